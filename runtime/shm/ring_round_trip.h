// runtime/shm/ring_round_trip.h
//
// The ring round trip: how long one 64-byte line takes there and back between two processes. The
// physical limit that benchmarks print beside their numbers.
// Owner:    `rayx microbenchmark` and tests.        Threads: one caller; it forks one child.
// Promises: ends within `time_max` whatever happens to the child; the child is reaped.
// Limits:   measures where the kernel puts the two processes unless CPUs are named.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "base/status.h"
#include "model/time.h"

namespace rayx::shm {

struct RingRoundTripOptions {
  int samples = 5;                 // at least 1
  uint32_t round_trips = 100'000;  // per sample
  int parent_cpu = -1;             // -1: not pinned
  int child_cpu = -1;
  model::Duration time_max = std::chrono::seconds(20);
};

struct RingRoundTripResult {
  double median_ns = 0;
  double min_ns = 0;
  double max_ns = 0;
  std::vector<double> samples_ns;  // mean of each sample, in the order taken
};

// Errors: InvalidArgument (options), DeadlineExceeded, Unavailable (no memory, no fork, child
// died).
base::StatusOr<RingRoundTripResult> MeasureRingRoundTrip(const RingRoundTripOptions& options = {});

}  // namespace rayx::shm
