#include "io/clock.h"

#include <time.h>

namespace rayx::io {

model::TimePoint PosixClock::Now() const {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return model::TimePoint(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

}  // namespace rayx::io
