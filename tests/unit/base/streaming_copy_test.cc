// Goal: a streaming copy copies what std::memcpy would, and nothing beside it.
// Method: every alignment of both sides within a line, lengths around the sizes of its steps.
#include "base/streaming_copy.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

namespace rayx::base {
namespace {

constexpr std::byte kGuard{0xee};
constexpr size_t kStep = 4 * 4096;

bool IsCopied(size_t to_offset, size_t from_offset, size_t bytes) {
  std::vector<std::byte> from(from_offset + bytes);
  for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i * 31 % 237);
  std::vector<std::byte> to(to_offset + bytes + 64, kGuard);
  StreamingCopy(to.data() + to_offset, from.data() + from_offset, bytes);
  const auto begin = to.begin() + static_cast<std::ptrdiff_t>(to_offset);
  const auto end = begin + static_cast<std::ptrdiff_t>(bytes);
  const auto is_guard = [](std::byte value) { return value == kGuard; };
  return std::all_of(to.begin(), begin, is_guard) && std::all_of(end, to.end(), is_guard) &&
         std::equal(begin, end, from.begin() + static_cast<std::ptrdiff_t>(from_offset));
}

TEST_CASE("StreamingCopy: any alignment and length") {
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{63}, size_t{4096}, kStep - 1, kStep,
                             kStep + 1, kStep + 63, kStep + 64, 2 * kStep, 3 * kStep + 17}) {
    for (const size_t to_offset : {0, 1, 15, 16, 63}) {
      for (const size_t from_offset : {0, 1, 8, 16, 63}) {
        CAPTURE(bytes, to_offset, from_offset);
        CHECK(IsCopied(to_offset, from_offset, bytes));
      }
    }
  }
}

}  // namespace
}  // namespace rayx::base
