// runtime/shm/channel_layout.h
//
// Where things lie in a channel's memory file, and the sizes copied out of it once.
// Owner:    shm/channel.h.                 Threads: values and atomic words.
// Inputs:   the header in the file is a peer's claim until Read() accepted it; afterwards only
//           the private ChannelShape is used.
//
// One file for a pair of processes:
//   page 0            ChannelHeader, then a LaneControl for each of the four lanes
//   claim words       two arrays, one a direction
//   rings             four of ring_bytes: direction 0 calls, replies; direction 1 calls, replies
//   payload rings     four of payload_bytes, in the same order
// Direction 0 is written by the first side, direction 1 by the second.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"
#include "model/frame.h"
#include "shm/memory_file.h"

namespace rayx::shm {

enum class Lane : uint8_t { kCalls = 0, kReplies = 1 };
enum class Side : uint8_t { kFirst = 0, kSecond = 1 };
inline constexpr size_t kLanes = 2;
inline constexpr size_t kSides = 2;

// All powers of two. Sizes are per lane.
struct ChannelOptions {
  size_t ring_bytes = 16384;       // 16 KiB .. 64 MiB
  size_t payload_bytes = 1 << 20;  // 1 MiB .. 1 GiB: two of the largest bodies always make progress
  uint32_t claim_words = 1024;     // 64 .. 1 Mi: calls queued or running at the same time
};
inline constexpr size_t kRingBytesMin = 4 * model::kFrameBytesMax;
inline constexpr size_t kRingBytesMax = size_t{64} << 20;
inline constexpr size_t kPayloadBytesMin = 2 * model::kBodyBytesMax;
inline constexpr size_t kPayloadBytesMax = size_t{1} << 30;
inline constexpr uint32_t kClaimWordsMin = 64;
inline constexpr uint32_t kClaimWordsMax = 1 << 20;

inline constexpr uint32_t kChannelMagic = 0x48435852;  // "RXCH"

struct ChannelHeader {
  uint32_t magic;
  uint32_t layout_version;
  uint64_t ring_bytes;
  uint64_t payload_bytes;
  uint32_t claim_words;
  uint32_t frame_version;
};

// Positions count bytes since the channel began and never wrap; offset = position mod ring size.
struct LaneControl {
  alignas(kCacheLineBytes) std::atomic<uint64_t> head;  // producer: end of the published frames
  alignas(kCacheLineBytes) std::atomic<uint64_t> tail;  // consumer: end of the popped frames
  std::atomic<uint64_t> payload_tail;  // consumer: end of the released payload blocks
  // Producer: end of the written frames, of which some are not published; of replies alone. The
  // consumer looks at it once, when the producer is dead or has left.
  alignas(kCacheLineBytes) std::atomic<uint64_t> written;
};
static_assert(sizeof(LaneControl) == 3 * kCacheLineBytes);
static_assert(offsetof(LaneControl, tail) == kCacheLineBytes);

struct ChannelFirstPage {
  alignas(kCacheLineBytes) ChannelHeader header;
  LaneControl lanes[kSides][kLanes];
};
static_assert(sizeof(ChannelHeader) == 32);
static_assert(sizeof(ChannelFirstPage) == 832 && sizeof(ChannelFirstPage) <= kPageBytes);

// One lane of one direction, resolved to addresses.
struct LaneMemory {
  Lane lane = Lane::kCalls;
  LaneControl* control = nullptr;
  std::span<std::byte> ring;
  std::span<std::byte> payload;
};

class ChannelShape {
 public:
  static base::StatusOr<ChannelShape> FromOptions(const ChannelOptions& options);
  // Copies and checks the header at the start of `memory`. InvalidArgument names the field.
  static base::StatusOr<ChannelShape> Read(std::span<const std::byte> memory);

  void WriteHeader(std::span<std::byte> memory) const;
  size_t total_bytes() const;
  // Where the rings of frames begin, and where they end and the payload rings begin.
  size_t rings_offset() const;
  size_t payloads_offset() const;
  const ChannelOptions& options() const { return options_; }

  LaneMemory LaneOf(std::span<std::byte> memory, Side writer, Lane lane) const;
  std::span<std::atomic<uint64_t>> ClaimsOf(std::span<std::byte> memory, Side writer) const;

 private:
  explicit ChannelShape(const ChannelOptions& options) : options_(options) {}
  size_t ClaimBytes() const { return options_.claim_words * sizeof(uint64_t); }

  ChannelOptions options_;
};

}  // namespace rayx::shm
