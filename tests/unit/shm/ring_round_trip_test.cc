// Goal: the measurement ends, with plausible numbers, wherever the two processes run. Method: few
// round trips, unpinned and with both processes on one CPU.
#include "shm/ring_round_trip.h"

#include <sched.h>
#include <sys/resource.h>

#include <catch2/catch.hpp>

namespace rayx::shm {
namespace {

// Of this process and of its children that have ended.
double CpuSeconds() {
  double seconds = 0;
  for (const int whose : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage = {};
    ::getrusage(whose, &usage);
    for (const timeval& time : {usage.ru_utime, usage.ru_stime}) {
      seconds += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    }
  }
  return seconds;
}

}  // namespace

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
  const double begin = CpuSeconds();
  const auto result = MeasureRingRoundTrip(options);
  REQUIRE(result.ok());
  // Spinning out a time slice each turn would take milliseconds of CPU time, however busy the
  // machine is with others.
  CHECK(CpuSeconds() - begin < options.round_trips * 1e-3);
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
