// Goal: the measurement ends, with plausible numbers, wherever the two processes run. Method: few
// round trips, unpinned and with both processes on one CPU.
#include "shm/ring_round_trip.h"

#include <sched.h>
#include <catch2/catch.hpp>

namespace rayx::shm {

TEST_CASE("Ring round trip: samples, their median and spread") {
  RingRoundTripOptions options;
  options.round_trips = 2'000;
  const auto result = MeasureRingRoundTrip(options);
  REQUIRE(result.ok());
  CHECK(result->samples_ns.size() == 5);
  CHECK(result->min_ns > 0);
  CHECK(result->min_ns <= result->median_ns);
  CHECK(result->median_ns <= result->max_ns);
}

TEST_CASE("Ring round trip: both processes on one CPU take turns instead of spinning") {
  RingRoundTripOptions options;
  options.samples = 1;
  options.round_trips = 200;
  options.parent_cpu = options.child_cpu = ::sched_getcpu();
  const auto result = MeasureRingRoundTrip(options);
  REQUIRE(result.ok());
  // Spinning out a time slice each turn would take milliseconds.
  CHECK(result->median_ns < 2'000'000);
}

TEST_CASE("Ring round trip: a child that cannot start ends the measurement in time") {
  RingRoundTripOptions options;
  options.child_cpu = CPU_SETSIZE - 1;
  options.time_max = std::chrono::milliseconds(50);
  CHECK(MeasureRingRoundTrip(options).status().code() == base::StatusCode::kDeadlineExceeded);
  options.samples = 0;
  CHECK(MeasureRingRoundTrip(options).status().code() == base::StatusCode::kInvalidArgument);
}

}  // namespace rayx::shm
