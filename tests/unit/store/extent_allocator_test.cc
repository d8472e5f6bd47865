// Goal:   extents never overlap, warm pages are used first, and nothing is ever lost between
//         grants.
// Method: named cases, then every sequence of operations on a segment of five pages, checked
//         against a plain array of pages.
#include "store/core/extent_allocator.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <vector>

namespace rayx::store {
namespace {

constexpr uint64_t kPage = kPageBytes;

TEST_CASE("ExtentAllocator: a first grant is cold, the same extent again is warm") {
  ExtentAllocator extents(16 * kPage);
  const auto first = extents.Allocate(4 * kPage);
  REQUIRE(first);
  CHECK(first->cold == std::vector<ByteRange>{first->extent});
  extents.Free(first->extent, true);
  CHECK(extents.warm_bytes() == 4 * kPage);
  const auto again = extents.Allocate(4 * kPage);
  REQUIRE(again);
  CHECK(again->extent == first->extent);
  CHECK(again->cold.empty());
  CHECK(extents.warm_bytes() == 0);
}

TEST_CASE("ExtentAllocator: best fit, and among equals the range freed last") {
  ExtentAllocator extents(64 * kPage);
  std::vector<ByteRange> ranges;
  for (const uint64_t pages : {2, 1, 3, 1, 2, 1}) {
    ranges.push_back(extents.Allocate(pages * kPage)->extent);
  }
  extents.Free(ranges[0], true);  // 2 pages
  extents.Free(ranges[2], true);  // 3 pages
  extents.Free(ranges[4], true);  // 2 pages, newest
  CHECK(extents.Allocate(2 * kPage)->extent == ranges[4]);
  CHECK(extents.Allocate(2 * kPage)->extent == ranges[0]);
  CHECK(extents.Allocate(kPage)->extent == ByteRange{ranges[2].offset, kPage});
  extents.CheckInvariants();
}

TEST_CASE("ExtentAllocator: a larger request uses the warm range and its cold neighbour") {
  ExtentAllocator extents(16 * kPage);
  const auto first = extents.Allocate(4 * kPage);
  extents.Free(first->extent, true);
  const auto larger = extents.Allocate(6 * kPage);
  REQUIRE(larger);
  CHECK(larger->extent == ByteRange{0, 6 * kPage});
  CHECK(larger->cold == std::vector<ByteRange>{{4 * kPage, 2 * kPage}});
}

TEST_CASE("ExtentAllocator: the oldest warm range is chilled first, in part") {
  ExtentAllocator extents(16 * kPage);
  const auto a = extents.Allocate(4 * kPage)->extent;
  const auto gap = extents.Allocate(kPage)->extent;
  const auto b = extents.Allocate(4 * kPage)->extent;
  extents.Free(b, true);
  extents.Free(a, true);
  CHECK(extents.Chill(3 * kPage) == ByteRange{b.offset + kPage, 3 * kPage});
  CHECK(extents.Chill(16 * kPage) == ByteRange{b.offset, kPage});
  CHECK(extents.Chill(16 * kPage) == a);
  CHECK_FALSE(extents.Chill(kPage));
  extents.Free(gap, false);
  extents.CheckInvariants();
  CHECK(extents.Allocate(16 * kPage));
}

// What the allocator claims, page by page.
enum class Page { kCold, kWarm, kGranted };

struct Explorer {
  static constexpr int kPages = 5;
  uint64_t steps = 0;

  void Explore(const ExtentAllocator& extents, const std::array<Page, kPages>& pages,
               const std::vector<ByteRange>& live, int depth) {
    ++steps;
    extents.CheckInvariants();
    uint64_t warm = 0;
    for (const Page page : pages) warm += page == Page::kWarm;
    REQUIRE(extents.warm_bytes() == warm * kPage);
    if (depth == 0) return;
    for (int size = 1; size <= kPages; ++size) TryAllocate(extents, pages, live, size, depth);
    for (size_t i = 0; i < live.size(); ++i) {
      for (const bool is_warm : {false, true}) TryFree(extents, pages, live, i, is_warm, depth);
    }
    for (const int size : {1, 2}) TryChill(extents, pages, live, size, depth);
  }

  void TryAllocate(ExtentAllocator extents, std::array<Page, kPages> pages,
                   std::vector<ByteRange> live, int size, int depth) {
    int run = 0;
    int longest = 0;
    for (const Page page : pages) {
      run = page == Page::kGranted ? 0 : run + 1;
      longest = std::max(longest, run);
    }
    const auto grant = extents.Allocate(static_cast<uint64_t>(size) * kPage);
    REQUIRE(grant.has_value() == (longest >= size));
    if (!grant) return;
    std::vector<ByteRange> cold = grant->cold;
    for (uint64_t at = grant->extent.offset; at < grant->extent.end(); at += kPage) {
      Page& page = pages[at / kPage];
      REQUIRE(page != Page::kGranted);
      const bool is_cold = !cold.empty() && at >= cold.front().offset && at < cold.front().end();
      REQUIRE(is_cold == (page == Page::kCold));
      if (is_cold && at + kPage == cold.front().end()) cold.erase(cold.begin());
      page = Page::kGranted;
    }
    REQUIRE(cold.empty());
    live.push_back(grant->extent);
    Explore(extents, pages, live, depth - 1);
  }

  void TryFree(ExtentAllocator extents, std::array<Page, kPages> pages, std::vector<ByteRange> live,
               size_t index, bool is_warm, int depth) {
    const ByteRange extent = live[index];
    extents.Free(extent, is_warm);
    for (uint64_t at = extent.offset; at < extent.end(); at += kPage) {
      pages[at / kPage] = is_warm ? Page::kWarm : Page::kCold;
    }
    live.erase(live.begin() + static_cast<std::ptrdiff_t>(index));
    Explore(extents, pages, live, depth - 1);
  }

  void TryChill(ExtentAllocator extents, std::array<Page, kPages> pages,
                const std::vector<ByteRange>& live, int size, int depth) {
    const auto cold = extents.Chill(static_cast<uint64_t>(size) * kPage);
    REQUIRE(cold.has_value() == (std::count(pages.begin(), pages.end(), Page::kWarm) > 0));
    if (!cold) return;
    REQUIRE(cold->bytes <= static_cast<uint64_t>(size) * kPage);
    for (uint64_t at = cold->offset; at < cold->end(); at += kPage) {
      REQUIRE(pages[at / kPage] == Page::kWarm);
      pages[at / kPage] = Page::kCold;
    }
    Explore(extents, pages, live, depth - 1);
  }
};

TEST_CASE("ExtentAllocator: every sequence of six operations on five pages") {
  Explorer explorer;
  std::array<Page, Explorer::kPages> pages{};
  explorer.Explore(ExtentAllocator(Explorer::kPages * kPage), pages, {}, 6);
  CHECK(explorer.steps > 10'000);
  WARN("states visited: " << explorer.steps);
}

}  // namespace
}  // namespace rayx::store
