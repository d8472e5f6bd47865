// runtime/client/executor/call_clock.h
//
// How long a worker's calls run, without reading a clock for each.
//
// Purpose:  a clock costs a tenth of a short call. After kTimedFirst calls of one function in a row
//           that were short it is read for one in kUntimed + 1 only; what these took together is
//           divided among them.
// Owner:    Executor.         Threads: the baton's holder only.
// Promises: a call that was not there when the one before it ended is always timed.
// Limits:   up to kUntimed long calls behind a row of short ones count as short.
#pragma once

#include <cstdint>
#include <utility>

#include "client/executor/call_turn.h"
#include "model/time.h"

namespace rayx::client {

class CallClock {
 public:
  static constexpr uint32_t kTimedFirst = 8;
  static constexpr uint32_t kUntimed = 3;

  // A call of `function` begins: whether a clock is to be read at its end. `follows`: it was there
  // when the one before it ended; its beginning is then that one's end, or the beginning of the
  // first before it that no clock was read for.
  bool Begins(const void* function, bool follows) {
    if (!follows) untimed_ = 0;
    return !follows || function != function_ || timed_short_ < kTimedFirst || untimed_ >= kUntimed;
  }
  // It ended, `since_begin` after its beginning. How long it ran.
  model::Duration Timed(const void* function, model::Duration since_begin) {
    last_ran_ = since_begin / (std::exchange(untimed_, 0) + 1);
    const bool goes_on = std::exchange(function_, function) == function;
    timed_short_ = goes_on ? timed_short_ + 1 : 1;
    if (last_ran_ > CallTurn::kShort) timed_short_ = 0;
    return last_ran_;
  }
  // It ended, and no clock was read. How long calls of its function ran last.
  model::Duration Untimed() {
    ++untimed_;
    return last_ran_;
  }

 private:
  const void* function_ = nullptr;  // timed last
  uint32_t timed_short_ = 0;        // calls of it in a row
  uint32_t untimed_ = 0;            // since a clock was read
  model::Duration last_ran_{0};
};

}  // namespace rayx::client
