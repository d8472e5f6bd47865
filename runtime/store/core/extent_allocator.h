// runtime/store/core/extent_allocator.h
//
// Which bytes of one job's segment are granted to whom. Pure: it knows addresses, not memory.
// Owner:    StoreCore, one a job.
// Threads:  the node loop only.
// Inputs:   sizes, and ranges that it granted.
// Outputs:  ranges; those of them that have no pages.
// Promises: granted ranges are whole pages inside the segment and never overlap. Best fit; among
//           equals the range freed last, whose pages are the likeliest to be in a cache. Ranges
//           with pages ("warm") go before those without ("cold"), because a first touch costs ten
//           times a copy. Neighbours of one kind are merged.
// Limits:   O(log n) but for a segment so fragmented that only neighbours of both kinds together
//           have room: then O(n).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

namespace rayx::store {

inline constexpr uint64_t kPageBytes = 4096;

// `bytes` up to the next whole page. Needs bytes <= UINT64_MAX - kPageBytes.
constexpr uint64_t RoundToPages(uint64_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

// A piece of a segment, in whole pages.
struct ByteRange {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  uint64_t end() const { return offset + bytes; }
  friend auto operator<=>(const ByteRange&, const ByteRange&) = default;
};

class ExtentAllocator {
 public:
  struct Grant {
    ByteRange extent;
    std::vector<ByteRange> cold;  // parts of the extent without pages, in order of offset
  };

  // A segment of `segment_bytes` (whole pages), all of it cold and free.
  explicit ExtentAllocator(uint64_t segment_bytes);

  // `bytes` > 0 in whole pages. Nothing: no free stretch is that long.
  std::optional<Grant> Allocate(uint64_t bytes);

  // Gives back a granted extent. `warm`: every page of it is there and is kept for the next grant.
  void Free(ByteRange extent, bool warm);

  // The warm free range unused for longest, cut to at most `bytes_max`, becomes cold: the caller
  // gives its pages back to the system. Nothing: no free range is warm.
  std::optional<ByteRange> Chill(uint64_t bytes_max);

  uint64_t segment_bytes() const { return segment_bytes_; }
  uint64_t granted_bytes() const { return granted_bytes_; }
  uint64_t warm_bytes() const { return warm_bytes_; }  // free, with pages

  // O(n). Aborts when the bookkeeping contradicts itself.
  void CheckInvariants() const;

 private:
  struct FreeRange {
    uint64_t bytes = 0;
    bool warm = false;
    uint64_t stamp = 0;  // order of freeing; of merged ranges the newest
  };
  using FreeMap = std::map<uint64_t, FreeRange>;
  // Smallest first, then newest, then lowest.
  struct SizeKey {
    uint64_t bytes;
    uint64_t age;  // UINT64_MAX - stamp
    uint64_t offset;
    friend auto operator<=>(const SizeKey&, const SizeKey&) = default;
  };

  void Insert(uint64_t offset, FreeRange range);  // merges with neighbours of its kind
  void Link(uint64_t offset, const FreeRange& range);
  FreeMap::iterator Erase(FreeMap::iterator at);
  // The stretch of free ranges of both kinds around `at`.
  ByteRange StretchAround(FreeMap::const_iterator at) const;
  std::optional<uint64_t> FindOffset(uint64_t bytes) const;
  std::optional<uint64_t> FindAnyStretch(uint64_t bytes) const;
  Grant Take(ByteRange extent);

  const uint64_t segment_bytes_;
  FreeMap free_;                                         // by offset
  std::set<SizeKey> by_size_[2];                         // [warm]
  std::set<std::pair<uint64_t, uint64_t>> warm_by_age_;  // stamp, offset
  std::map<uint64_t, uint64_t> granted_;                 // offset -> bytes
  uint64_t granted_bytes_ = 0;
  uint64_t warm_bytes_ = 0;
  uint64_t stamp_ = 0;
};

}  // namespace rayx::store
