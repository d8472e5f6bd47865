#include "store/core/chunk_plan.h"

#include <algorithm>

namespace rayx::store {

ChunkPlan::ChunkPlan(uint64_t object_bytes)
    : object_bytes_(object_bytes),
      states_(object_bytes / kChunkBytes + (object_bytes % kChunkBytes != 0), State::kMissing),
      to_come_(states_.size()) {}

ByteRange ChunkPlan::RangeOf(uint64_t begin, uint64_t end) const {
  const uint64_t offset = begin * kChunkBytes;
  return {offset, std::min(end * kChunkBytes, object_bytes_) - offset};
}

std::optional<ByteRange> ChunkPlan::Take(uint64_t first, uint64_t chunks_max) {
  const auto middle = states_.begin() + static_cast<std::ptrdiff_t>(std::min(first, chunks()));
  auto begin = std::find(middle, states_.end(), State::kMissing);
  if (begin == states_.end()) begin = std::find(states_.begin(), middle, State::kMissing);
  if (begin == states_.end() || *begin != State::kMissing) return std::nullopt;
  const auto limit = begin + static_cast<std::ptrdiff_t>(std::min<uint64_t>(
                                 chunks_max, static_cast<uint64_t>(states_.end() - begin)));
  const auto end = std::find_if(begin, limit, [](State state) { return state != State::kMissing; });
  std::fill(begin, end, State::kOnItsWay);
  return RangeOf(static_cast<uint64_t>(begin - states_.begin()),
                 static_cast<uint64_t>(end - states_.begin()));
}

bool ChunkPlan::Arrive(uint64_t offset) {
  const uint64_t chunk = offset / kChunkBytes;
  if (offset % kChunkBytes != 0 || chunk >= chunks() || states_[chunk] != State::kOnItsWay) {
    return false;
  }
  states_[chunk] = State::kHere;
  --to_come_;
  return true;
}

void ChunkPlan::GiveBack(ByteRange range) {
  for (uint64_t offset = range.offset; offset < range.end(); offset += kChunkBytes) {
    State& state = states_[offset / kChunkBytes];
    if (state == State::kOnItsWay) state = State::kMissing;
  }
}

ByteRange ChunkPlan::FirstHere(ByteRange within) const {
  const uint64_t stop = std::min(within.end(), object_bytes_);
  const uint64_t first = within.offset / kChunkBytes + (within.offset % kChunkBytes != 0);
  const uint64_t last = stop == object_bytes_ ? chunks() : stop / kChunkBytes;
  if (within.end() < within.offset || first >= last) return {};
  const auto from = states_.begin() + static_cast<std::ptrdiff_t>(first);
  const auto to = states_.begin() + static_cast<std::ptrdiff_t>(last);
  const auto begin = std::find(from, to, State::kHere);
  const auto end = std::find_if(begin, to, [](State state) { return state != State::kHere; });
  if (begin == to) return {};
  return RangeOf(static_cast<uint64_t>(begin - states_.begin()),
                 static_cast<uint64_t>(end - states_.begin()));
}

uint64_t ChunkPlan::OnTheirWay(ByteRange range) const {
  uint64_t count = 0;
  for (uint64_t offset = range.offset; offset < range.end(); offset += kChunkBytes) {
    count += states_[offset / kChunkBytes] == State::kOnItsWay;
  }
  return count;
}

}  // namespace rayx::store
