// runtime/base/backoff.h
//
// How long to wait before a retry. Pure: the caller brings the attempt and a random word (prng.h),
// and keeps its own timer.
// Threads:  any.
// Promises: the delay lies in [d/2, d] with d = min(initial * 2^attempt, max): it grows, it is
//           bounded, and peers that failed together do not come back together. Never overflows.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/prng.h"

namespace rayx::base {

struct BackoffOptions {
  std::chrono::milliseconds initial{50};
  std::chrono::milliseconds max{5000};
};

// `attempt` counts from 0: the delay after the first failure.
constexpr std::chrono::milliseconds BackoffDelay(const BackoffOptions& options,
                                                 std::uint32_t attempt, std::uint64_t random_word) {
  const std::int64_t max = std::max<std::int64_t>(options.max.count(), 0);
  const std::int64_t initial = std::clamp<std::int64_t>(options.initial.count(), 0, max);
  // max >> attempt is exact enough to know that the shift below does not pass max.
  const bool saturated = attempt >= 62 || initial > (max >> attempt);
  const std::int64_t full = saturated ? (initial == 0 ? 0 : max) : initial << attempt;
  const std::int64_t half = full / 2;
  const auto jitter = ToBelow(random_word, static_cast<std::uint64_t>(full - half) + 1);
  return std::chrono::milliseconds(half + static_cast<std::int64_t>(jitter));
}

}  // namespace rayx::base
