// runtime/client/executor/call_turn.h
//
// Whose calls a worker serves next, and which replies may be shown to their caller together.
//
// Purpose:  short calls of one caller are served several in a row, and their replies go together:
//           each time that replies are shown, a line travels and perhaps a sleeper is woken.
// Owner:    Executor.         Threads: the baton's holder only.
// Promises: a caller with short calls has the turn for kCalls of them at most, then it is the next
//           one's; a longer call ends its caller's turn. A reply is kept back only for the next of
//           the same caller, which is there already: never behind another caller's calls.
#pragma once

#include <cstdint>

#include "model/ids.h"
#include "model/time.h"

namespace rayx::client {

class CallTurn {
 public:
  static constexpr uint32_t kCalls = 64;
  static constexpr model::Duration kShort = std::chrono::microseconds(5);

  // Whether the caller whose turn it is goes first.
  bool goes_on() const { return left_ > 0; }
  // A call of it was taken.
  void GoOn() { --left_; }
  // A call was taken after looking at all callers.
  void Begin() { left_ = kCalls - 1; }

  // A call took so long. Before the next one is looked for.
  void Ended(model::Duration ran) {
    if (ran > kShort) left_ = 0;
  }
  // Whether the reply to a call of `caller` that took so long is to be shown at once; else it may
  // go with the next one's. `next`: whose call comes next; null: none is there.
  static bool ShowsAtOnce(model::ProcessId caller, model::Duration ran,
                          const model::ProcessId* next) {
    return ran > kShort || next == nullptr || *next != caller;
  }

 private:
  uint32_t left_ = 0;
};

}  // namespace rayx::client
