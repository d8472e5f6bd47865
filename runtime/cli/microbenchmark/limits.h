// runtime/cli/microbenchmark/limits.h
//
// The physical limits that stand beside the rows, measured in the same run.
//
// Purpose:  what this machine can do at its best: the least that a call, a copy, a read, a process
//           or an entry in memory costs.
// Owner:    microbenchmark.cc.
// Threads:  one, in a process that has no other: processes are forked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "base/status.h"

namespace rayx::cli {

inline constexpr size_t kLargeObjectBytes = 80u << 20;

enum class Limit {
  kRingRoundTrip,  // one 64-byte line to another process and back (shm/ring_round_trip.h)
  kWarmCopy,       // memcpy of kLargeObjectBytes into memory that was touched before
  kWarmRead,       // ReadAll of kLargeObjectBytes that were read before
  kFork,           // fork of a small process, until its child has ended and is reaped
  kCacheLine,      // bytes that memory moves at once: nothing is kept in fewer
  kBeside,         // what the row itself measures beside each sample; the best of them counts
};

enum class Unit {
  kMicroseconds,
  kMilliseconds,
  kSeconds,
  kBytes,
  kMegabytes,
  kPerSecond,
  kGigabytesPerSecond,
};
// "us", "ms", "s", "B", "MB": less is better; "1/s", "GB/s": more is better.
const char* UnitName(Unit unit);
bool LessIsBetter(Unit unit);

struct Limits {
  double ring_us = std::numeric_limits<double>::infinity();
  double fork_us = std::numeric_limits<double>::infinity();
  double copy_gbs = 0;
  double read_gbs = 0;
  double cache_line_bytes = 64;
};

// Improves on what was measured before: a limit is what the machine can do at its best, so that
// whoever else uses it at one moment must not count.
base::Status MeasureLimits(Limits& limits);

// `count` times the limit, in that unit: of a time, how long so many one after another take; of a
// rate, how many such groups there can be in a second. Rates of bytes have a count of 1. Not of
// Limit::kBeside.
double LimitIn(Unit unit, Limit limit, double count, const Limits& limits);
// How many times the limit `value` is; 1 = as good as the machine.
double RatioTo(double limit, double value, Unit unit);

// The read that is measured: every byte counts in the sum.
uint64_t ReadAll(std::span<const uint64_t> words);

}  // namespace rayx::cli
