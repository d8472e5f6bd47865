// runtime/client/core/wait_notes.h
//
// Purpose:  when a wait says what it waits for: after 10 s, then each time that the silence was
//           twice as long, at most 10 min, so that a long task does not fill the log.
// Owner:    the wait.      Threads: one.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>

#include "model/time.h"

namespace rayx::client {

class WaitNotes {
 public:
  explicit WaitNotes(model::TimePoint began) : began_(began), next_(began + kFirst) {}

  model::TimePoint next() const { return next_; }
  // next() has come. The whole time that has passed: "70 s".
  std::string Take(model::TimePoint now) {
    silence_ = std::min(2 * silence_, kLongest);
    next_ = now + silence_;
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now - began_).count()) +
           " s";
  }

 private:
  static constexpr model::Duration kFirst = std::chrono::seconds(10);
  static constexpr model::Duration kLongest = std::chrono::minutes(10);

  const model::TimePoint began_;
  model::Duration silence_ = kFirst;
  model::TimePoint next_;
};

}  // namespace rayx::client
