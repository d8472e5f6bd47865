// bench/data/row_progress.h
//
// Says on stderr how far something is that takes more than two seconds: a line that is rewritten on
// a terminal, a line every ten seconds otherwise. Quick work says nothing.
// Owner:    whoever does the work.              Threads: any.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace rayx::bench {

class RowProgress {
 public:
  // total 0: not known, seconds are shown alone. `unit`: of what, for example "rows".
  RowProgress(std::string what, std::int64_t total, std::string unit);
  ~RowProgress();  // ends the line
  RowProgress(const RowProgress&) = delete;
  RowProgress& operator=(const RowProgress&) = delete;

  void Add(std::int64_t count);

 private:
  using Clock = std::chrono::steady_clock;

  const std::string what_;
  const std::int64_t total_;
  const std::string unit_;
  const bool terminal_;
  const Clock::time_point start_;
  std::mutex mutex_;
  std::int64_t done_ = 0;      // under mutex_
  Clock::time_point next_;     // under mutex_
  bool is_line_open_ = false;  // under mutex_
};

}  // namespace rayx::bench
