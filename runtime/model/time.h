// runtime/model/time.h
//
// Time as cores see it: a value handed in, never read.
//
// Purpose:  one time axis (CLOCK_BOOTTIME, which goes on while a VM is suspended) for every
//           deadline.
// Owner:    values.
// Threads:  any.
// Promises: no function here reads a clock; io/clock.h does.
#pragma once

#include <chrono>
#include <cstdint>

namespace rayx::model {

// Tag of the time axis. It has no now(): cores cannot read it.
struct BootTime {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootTime, duration>;
  static constexpr bool is_steady = true;
};

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<BootTime, Duration>;

inline constexpr TimePoint kNever = TimePoint::max();

}  // namespace rayx::model
