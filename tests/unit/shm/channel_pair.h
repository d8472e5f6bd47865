// tests/unit/shm/channel_pair.h
//
// Two ends of a channel over one piece of ordinary memory, so that sanitizers see both.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include "base/check.h"
#include "shm/channel.h"

namespace rayx::shm {

struct FreeMemory {
  void operator()(std::byte* memory) const { std::free(memory); }
};

class ChannelPair {
 public:
  explicit ChannelPair(const ChannelOptions& options = {}) {
    const size_t bytes = ChannelShape::FromOptions(options)->total_bytes();
    const size_t whole_pages = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kPageBytes, whole_pages)));
    std::memset(memory_.get(), 0, bytes);
    bytes_ = {memory_.get(), bytes};
    RAYX_CHECK(Channel::InitializeMemory(bytes_, options).ok());
    first = *Channel::OnMemory(bytes_, Side::kFirst);
    second = *Channel::OnMemory(bytes_, Side::kSecond);
  }
  std::span<std::byte> memory() const { return bytes_; }

  // Where the lane written by the first side lies.
  LaneMemory FirstLane(Lane lane) const {
    return ChannelShape::Read(bytes_)->LaneOf(bytes_, Side::kFirst, lane);
  }

 private:
  std::unique_ptr<std::byte, FreeMemory> memory_;
  std::span<std::byte> bytes_;

 public:
  std::unique_ptr<Channel> first;
  std::unique_ptr<Channel> second;
};

inline model::FrameHeader Call(uint32_t sequence) {
  model::FrameHeader header;
  header.kind = model::FrameKind::kTask;
  header.cookie_sequence = sequence;
  return header;
}

inline model::FrameHeader Reply(uint32_t sequence) {
  model::FrameHeader header = Call(sequence);
  header.kind = model::FrameKind::kReply;
  return header;
}

// A body of which every byte follows from `seed` and its place.
inline std::vector<std::byte> Body(size_t bytes, uint32_t seed) {
  std::vector<std::byte> body(bytes);
  for (size_t i = 0; i < bytes; ++i)
    body[i] = static_cast<std::byte>(seed * 131 + i * 7 + (i >> 8));
  return body;
}

inline bool IsBody(std::span<const std::byte> body, uint32_t seed) {
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] != static_cast<std::byte>(seed * 131 + i * 7 + (i >> 8))) return false;
  }
  return true;
}

}  // namespace rayx::shm
