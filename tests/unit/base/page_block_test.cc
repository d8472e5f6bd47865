// Goal:   blocks are aligned, zeroed, usable to their last byte, and given back.
// Method: a few blocks, the process's own memory map.
#include "base/page_block.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <fstream>
#include <string>

namespace rayx::base {
namespace {

bool IsMapped(const void* address) {
  std::ifstream maps("/proc/self/maps");
  const auto at = reinterpret_cast<uintptr_t>(address);
  for (std::string line; std::getline(maps, line);) {
    size_t end = 0;
    const uintptr_t first = std::stoull(line, &end, 16);
    const uintptr_t last = std::stoull(line.substr(end + 1), nullptr, 16);
    if (at >= first && at < last) return true;
  }
  return false;
}

TEST_CASE("PageBlock: aligned, zeroed, whole, and given back") {
  for (const size_t pages : {size_t{1}, size_t{3}}) {
    const size_t bytes = pages * kHugePageBytes;
    PageBlock block = NewPageBlock(bytes);
    CHECK(reinterpret_cast<uintptr_t>(block.get()) % kHugePageBytes == 0);
    CHECK(block[0] == std::byte{0});
    CHECK(block[bytes - 1] == std::byte{0});
    block[0] = block[bytes - 1] = std::byte{1};
    const std::byte* const last = block.get() + bytes - 1;
    CHECK(IsMapped(last));
    block.reset();
    CHECK_FALSE(IsMapped(last));
  }
}

}  // namespace
}  // namespace rayx::base
