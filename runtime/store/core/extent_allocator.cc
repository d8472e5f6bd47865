#include "store/core/extent_allocator.h"

#include <algorithm>

#include "base/check.h"

namespace rayx::store {

ExtentAllocator::ExtentAllocator(uint64_t segment_bytes) : segment_bytes_(segment_bytes) {
  RAYX_CHECK(segment_bytes > 0 && segment_bytes % kPageBytes == 0, "a segment is whole pages");
  Insert(0, FreeRange{segment_bytes, false, 0});
}

std::optional<ExtentAllocator::Grant> ExtentAllocator::Allocate(uint64_t bytes) {
  RAYX_CHECK(bytes > 0 && bytes % kPageBytes == 0, "an extent is whole pages");
  const auto offset = FindOffset(bytes);
  if (!offset) return std::nullopt;
  return Take(ByteRange{*offset, bytes});
}

void ExtentAllocator::Free(ByteRange extent, bool warm) {
  const auto at = granted_.find(extent.offset);
  RAYX_CHECK(at != granted_.end() && at->second == extent.bytes, "freed what was not granted");
  granted_.erase(at);
  granted_bytes_ -= extent.bytes;
  Insert(extent.offset, FreeRange{extent.bytes, warm, ++stamp_});
}

std::optional<ByteRange> ExtentAllocator::Chill(uint64_t bytes_max) {
  RAYX_CHECK(bytes_max > 0 && bytes_max % kPageBytes == 0, "ranges are whole pages");
  if (warm_by_age_.empty()) return std::nullopt;
  const auto at = free_.find(warm_by_age_.begin()->second);
  const uint64_t offset = at->first;
  const FreeRange range = at->second;
  // From the upper end, so that what stays warm is one piece at a low address.
  const uint64_t cut = std::min(bytes_max, range.bytes);
  Erase(at);
  if (cut < range.bytes) Insert(offset, FreeRange{range.bytes - cut, true, range.stamp});
  const ByteRange chilled{offset + range.bytes - cut, cut};
  Insert(chilled.offset, FreeRange{cut, false, range.stamp});
  return chilled;
}

void ExtentAllocator::Link(uint64_t offset, const FreeRange& range) {
  free_.emplace(offset, range);
  by_size_[range.warm].insert(SizeKey{range.bytes, UINT64_MAX - range.stamp, offset});
  if (!range.warm) return;
  warm_by_age_.emplace(range.stamp, offset);
  warm_bytes_ += range.bytes;
}

ExtentAllocator::FreeMap::iterator ExtentAllocator::Erase(FreeMap::iterator at) {
  const FreeRange& range = at->second;
  by_size_[range.warm].erase(SizeKey{range.bytes, UINT64_MAX - range.stamp, at->first});
  if (range.warm) {
    warm_by_age_.erase({range.stamp, at->first});
    warm_bytes_ -= range.bytes;
  }
  return free_.erase(at);
}

void ExtentAllocator::Insert(uint64_t offset, FreeRange range) {
  auto next = free_.lower_bound(offset);
  if (next != free_.end() && next->first == offset + range.bytes &&
      next->second.warm == range.warm) {
    range.bytes += next->second.bytes;
    range.stamp = std::max(range.stamp, next->second.stamp);
    next = Erase(next);
  }
  if (next != free_.begin()) {
    const auto previous = std::prev(next);
    if (previous->first + previous->second.bytes == offset && previous->second.warm == range.warm) {
      offset = previous->first;
      range.bytes += previous->second.bytes;
      range.stamp = std::max(range.stamp, previous->second.stamp);
      Erase(previous);
    }
  }
  Link(offset, range);
}

ByteRange ExtentAllocator::StretchAround(FreeMap::const_iterator at) const {
  auto first = at;
  while (first != free_.begin()) {
    const auto previous = std::prev(first);
    if (previous->first + previous->second.bytes != first->first) break;
    first = previous;
  }
  uint64_t end = at->first + at->second.bytes;
  for (auto next = std::next(at); next != free_.end() && next->first == end; ++next) {
    end += next->second.bytes;
  }
  return ByteRange{first->first, end - first->first};
}

std::optional<uint64_t> ExtentAllocator::FindOffset(uint64_t bytes) const {
  const SizeKey key{bytes, 0, 0};
  if (const auto warm = by_size_[true].lower_bound(key); warm != by_size_[true].end()) {
    return warm->offset;
  }
  // The largest warm range with its cold neighbours: pages that are there are worth using.
  if (!by_size_[true].empty()) {
    const SizeKey& largest = *by_size_[true].rbegin();
    const ByteRange stretch = StretchAround(free_.find(largest.offset));
    if (stretch.bytes >= bytes) {
      return std::min(largest.offset, stretch.end() - bytes);
    }
  }
  if (const auto cold = by_size_[false].lower_bound(key); cold != by_size_[false].end()) {
    return cold->offset;
  }
  return FindAnyStretch(bytes);
}

std::optional<uint64_t> ExtentAllocator::FindAnyStretch(uint64_t bytes) const {
  std::optional<ByteRange> best;
  for (auto at = free_.begin(); at != free_.end();) {
    const ByteRange stretch = StretchAround(at);
    if (stretch.bytes >= bytes && (!best || stretch.bytes < best->bytes)) best = stretch;
    at = free_.lower_bound(stretch.end());
  }
  if (!best) return std::nullopt;
  return best->offset;
}

ExtentAllocator::Grant ExtentAllocator::Take(ByteRange extent) {
  Grant grant;
  grant.extent = extent;
  auto at = std::prev(free_.upper_bound(extent.offset));
  uint64_t covered = extent.offset;
  while (covered < extent.end()) {
    RAYX_CHECK(at != free_.end() && at->first <= covered, "a chosen stretch has a hole");
    const ByteRange whole{at->first, at->second.bytes};
    const FreeRange range = at->second;
    at = Erase(at);
    const uint64_t used_end = std::min(whole.end(), extent.end());
    if (whole.offset < covered) {
      Link(whole.offset, FreeRange{covered - whole.offset, range.warm, range.stamp});
    }
    if (used_end < whole.end()) {
      Link(used_end, FreeRange{whole.end() - used_end, range.warm, range.stamp});
    }
    if (!range.warm) grant.cold.push_back(ByteRange{covered, used_end - covered});
    covered = used_end;
  }
  granted_.emplace(extent.offset, extent.bytes);
  granted_bytes_ += extent.bytes;
  return grant;
}

void ExtentAllocator::CheckInvariants() const {
  uint64_t position = 0;
  uint64_t granted = 0;
  uint64_t warm = 0;
  size_t ranges[2] = {0, 0};
  auto free = free_.begin();
  auto live = granted_.begin();
  const FreeRange* neighbour = nullptr;  // the free range that ends at `position`
  while (position < segment_bytes_) {
    if (free != free_.end() && free->first == position) {
      const FreeRange& range = free->second;
      RAYX_CHECK(range.bytes > 0 && range.bytes % kPageBytes == 0);
      RAYX_CHECK(neighbour == nullptr || neighbour->warm != range.warm, "unmerged neighbours");
      RAYX_CHECK(by_size_[range.warm].count({range.bytes, UINT64_MAX - range.stamp, position}));
      RAYX_CHECK(!range.warm || warm_by_age_.count({range.stamp, position}));
      if (range.warm) warm += range.bytes;
      ++ranges[range.warm];
      neighbour = &range;
      position += range.bytes;
      ++free;
    } else {
      RAYX_CHECK(live != granted_.end() && live->first == position, "a gap or an overlap");
      granted += live->second;
      position += live->second;
      neighbour = nullptr;
      ++live;
    }
  }
  RAYX_CHECK(position == segment_bytes_ && free == free_.end() && live == granted_.end());
  RAYX_CHECK(granted == granted_bytes_ && warm == warm_bytes_);
  RAYX_CHECK(by_size_[0].size() == ranges[0] && by_size_[1].size() == ranges[1]);
  RAYX_CHECK(warm_by_age_.size() == ranges[1]);
}

}  // namespace rayx::store
