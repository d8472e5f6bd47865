// Goal: delays grow, keep their bounds and never overflow.
// Method: the extremes of attempt, random word and options.
#include "base/backoff.h"

#include <catch2/catch.hpp>

using rayx::base::BackoffDelay;
using rayx::base::BackoffOptions;
using std::chrono::milliseconds;

namespace {
constexpr BackoffOptions kOptions{.initial = milliseconds(100), .max = milliseconds(1000)};
}

TEST_CASE("Backoff: doubles from the initial delay to the maximum") {
  const int full[] = {100, 200, 400, 800, 1000, 1000};
  for (std::uint32_t attempt = 0; attempt < 6; ++attempt) {
    CHECK(BackoffDelay(kOptions, attempt, UINT64_MAX) == milliseconds(full[attempt]));
    CHECK(BackoffDelay(kOptions, attempt, 0) == milliseconds(full[attempt] / 2));
  }
}

TEST_CASE("Backoff: no attempt overflows") {
  for (std::uint32_t attempt : {31u, 61u, 62u, 63u, 64u, UINT32_MAX})
    CHECK(BackoffDelay(kOptions, attempt, UINT64_MAX) == milliseconds(1000));
  constexpr BackoffOptions kHuge{.initial = milliseconds(1), .max = milliseconds::max()};
  for (std::uint32_t attempt = 0; attempt < 100; ++attempt)
    CHECK(BackoffDelay(kHuge, attempt, UINT64_MAX).count() > 0);
}

TEST_CASE("Backoff: odd options give a delay all the same") {
  CHECK(BackoffDelay({milliseconds(0), milliseconds(10)}, 5, UINT64_MAX) == milliseconds(0));
  CHECK(BackoffDelay({milliseconds(50), milliseconds(10)}, 0, UINT64_MAX) == milliseconds(10));
  CHECK(BackoffDelay({milliseconds(-5), milliseconds(-1)}, 3, UINT64_MAX) == milliseconds(0));
}
