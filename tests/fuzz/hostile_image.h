// tests/fuzz/hostile_image.h
//
// What a fuzz input means: the two targets that libFuzzer and the replaying test share.
// Owner:    a process; the channel's image is made once.
// Threads:  one.
// Inputs:   any bytes.
// Promises: returns for every input; what is not right in the code under test shows as a
//           sanitizer's report or a failed check.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace rayx::fuzz {

enum class Outcome {
  kAccepted,  // by all that looked at it
  kRefused,   // by an error with a name
};

// The first byte picks the target: even, a frame; odd, a channel.
Outcome OneInput(std::span<const std::byte> input);

// DecodeHeader on the input, then BodyReader on the rest, with the header's item count. What is
// accepted is written again, and read again it is the same.
Outcome DecodeFrame(std::span<const std::byte> input);

// Each 8 bytes patch the image of a channel that holds frames: {where, when, value}. Both ends then
// read, claim and write while the later patches come in between.
Outcome UseChannel(std::span<const std::byte> input);

// Inputs that reach deep: first kSoundSeeds that are accepted, then patches of every field that is
// checked.
inline constexpr size_t kSoundSeeds = 4;
std::vector<std::vector<std::byte>> Seeds();

}  // namespace rayx::fuzz
