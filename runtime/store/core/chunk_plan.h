// runtime/store/core/chunk_plan.h
//
// Which chunks of an object that is being copied are here, are on their way, or are missing. Pure.
// Owner:    a transfer of PullCore.
// Threads:  the node loop only.
// Promises: a chunk is on its way in one range at a time; one that is here stays here. Ranges begin
//           at multiples of kChunkBytes and end there or with the object.
// Limits:   a byte a chunk; Take and FirstHere are O(chunks).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "store/core/extent_allocator.h"

namespace rayx::store {

inline constexpr uint64_t kChunkBytes = uint64_t{1} << 20;

class ChunkPlan {
 public:
  ChunkPlan() = default;  // of an object of 0 bytes
  explicit ChunkPlan(uint64_t object_bytes);

  uint64_t chunks() const { return states_.size(); }
  uint64_t to_come() const { return to_come_; }  // chunks that are not here

  // The first stretch of at most `chunks_max` missing chunks at or after chunk `first`, from the
  // beginning again if there is none: on its way from now on. Nothing: no chunk is missing.
  std::optional<ByteRange> Take(uint64_t first, uint64_t chunks_max);
  // The chunk at `offset` has come. False: it is not on its way.
  bool Arrive(uint64_t offset);
  // Of a range that Take gave: what has not come is missing again.
  void GiveBack(ByteRange range);
  // The first chunks in a row that are here, of those that lie whole in `within`. Empty: none.
  ByteRange FirstHere(ByteRange within) const;

  // Of the range, chunks on their way; of all when it is the whole object.
  uint64_t OnTheirWay(ByteRange range) const;

 private:
  enum class State : uint8_t { kMissing, kOnItsWay, kHere };
  ByteRange RangeOf(uint64_t begin, uint64_t end) const;  // chunks

  uint64_t object_bytes_ = 0;
  std::vector<State> states_;
  uint64_t to_come_ = 0;
};

}  // namespace rayx::store
