// runtime/client/output_printer.h
//
// Workers' output on the driver's terminal.
//
// Purpose:  prints without the baton: a terminal or pipe that takes no more must not hold up calls.
// Owner:    ClusterClient of a driver.
// Threads:  Push: any, never blocks. One thread of its own prints.
// Promises: lines of one worker and stream come in order; what does not fit is counted and said.
// Limits:   kOutputBytesMax wait at most. Stop prints what waits, but gives up on an output that
//           takes nothing for kOutputStopWait.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

namespace rayx::client {

inline constexpr size_t kOutputBytesMax = 16u << 20;
inline constexpr std::chrono::milliseconds kOutputStopWait{2000};

class OutputPrinter {
 public:
  OutputPrinter(int stdout_fd, int stderr_fd) : fds_{stdout_fd, stderr_fd} {}
  ~OutputPrinter() { Stop(); }

  void Push(bool is_stderr, std::string text, size_t lines);
  void Stop();

 private:
  struct Piece {
    bool is_stderr;
    std::string text;
  };
  void Loop();
  // Writes all of it; false: stopped while the output took nothing.
  bool Write(int fd, const std::string& text);
  bool StopIsOverdue() const;

  const int fds_[2];
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::deque<Piece> waiting_;
  size_t bytes_ = 0;
  size_t dropped_lines_ = 0;
  bool stopping_ = false;
  std::chrono::steady_clock::time_point stop_deadline_;
  std::thread thread_;  // started with the first piece
};

}  // namespace rayx::client
