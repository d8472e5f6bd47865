// runtime/io/clock.h
//
// The clock of shells; cores get its answers as arguments.
// Owner:    whoever constructs the shell.          Threads: any.
// Promises: Now never goes back and counts while the VM is suspended (CLOCK_BOOTTIME).
#pragma once

#include "model/time.h"

namespace rayx::io {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual model::TimePoint Now() const = 0;
};

class PosixClock final : public Clock {
 public:
  model::TimePoint Now() const override;
};

}  // namespace rayx::io
