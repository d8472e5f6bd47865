// runtime/client/output_printer.h
//
// Workers' output on the driver's terminal.
//
// Purpose:  prints without the baton: a terminal or pipe that takes no more must not hold up calls.
// Owner:    ClusterClient of a driver.
// Threads:  Push: any, never blocks. One thread of its own prints.
// Promises: lines of one worker and stream come in order; what does not fit is counted and said;
//           what several workers print alike is told as core/output_digest.h has it, unless
//           WorkerOutput::kEveryLine was asked for.
// Limits:   kOutputBytesMax wait at most. Stop prints what waits, but gives up on an output that
//           takes nothing for kOutputStopWait.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "client/core/output_digest.h"

namespace rayx::client {

inline constexpr size_t kOutputBytesMax = 16u << 20;
inline constexpr std::chrono::milliseconds kOutputStopWait{2000};

enum class WorkerOutput { kHidden, kEveryLine, kRepeatsCounted };

class OutputPrinter {
 public:
  OutputPrinter(int stdout_fd, int stderr_fd, WorkerOutput wanted = WorkerOutput::kRepeatsCounted)
      : fds_{stdout_fd, stderr_fd}, wanted_(wanted) {}
  ~OutputPrinter() { Stop(); }

  bool is_hidden() const { return wanted_ == WorkerOutput::kHidden; }
  // Lines without their ends.
  void Push(const OutputSource& from, bool is_stderr, const std::vector<std::string>& lines);
  void Stop();

 private:
  void Queue(std::vector<ShownText> pieces);
  void Loop();
  // False: it is time to end.
  bool WaitForMore(std::unique_lock<std::mutex>& lock);
  // Writes all of it; false: stopped while the output took nothing.
  bool Write(int fd, const std::string& text);
  bool StopIsOverdue() const;

  const int fds_[2];
  const WorkerOutput wanted_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  OutputDigest digest_;
  std::deque<ShownText> waiting_;
  size_t bytes_ = 0;
  size_t dropped_lines_ = 0;
  bool stopping_ = false;
  std::chrono::steady_clock::time_point stop_deadline_;
  std::thread thread_;  // started with the first piece
};

}  // namespace rayx::client
