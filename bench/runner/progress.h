// bench/runner/progress.h
//
// Says what runs now and how far the run is: one line that is rewritten on a terminal, one line a
// step otherwise.
// Owner:    the run of a suite.                 Threads: one.
#pragma once

#include <chrono>
#include <string>

namespace rayx::bench {

class Progress {
 public:
  explicit Progress(int steps_total);
  void Begin(const std::string& what);     // the next step starts
  void End(const std::string& outcome);    // it ended, with a word about how
  void Note(const std::string& sentence);  // stays on the screen

 private:
  void Clear();

  const bool terminal_;
  const int total_;
  int done_ = 0;
  std::string what_;
  const std::chrono::steady_clock::time_point start_;
};

}  // namespace rayx::bench
