#include "bench/data/row_progress.h"

#include <unistd.h>

#include <cstdio>

namespace rayx::bench {

RowProgress::RowProgress(std::string what, std::int64_t total, std::string unit)
    : what_(std::move(what)),
      total_(total),
      unit_(std::move(unit)),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(Clock::now()),
      next_(start_ + std::chrono::seconds(2)) {}

RowProgress::~RowProgress() {
  if (is_line_open_) fputs("\r\033[K", stderr);
}

void RowProgress::Add(std::int64_t count) {
  std::lock_guard<std::mutex> lock(mutex_);
  done_ += count;
  const auto now = Clock::now();
  if (now < next_) return;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - start_).count();
  std::string line = what_ + ": ";
  if (total_ > 0) {
    line += std::to_string(done_) + " of " + std::to_string(total_) + " " + unit_ + " (" +
            std::to_string(static_cast<int>(100.0 * static_cast<double>(done_) /
                                            static_cast<double>(total_))) +
            " %), ";
  }
  line += std::to_string(seconds) + " s";
  next_ = now + (terminal_ ? std::chrono::milliseconds(500) : std::chrono::seconds(10));
  is_line_open_ = terminal_;
  fprintf(stderr, terminal_ ? "\r\033[K%s" : "%s\n", line.c_str());
  fflush(stderr);
}

}  // namespace rayx::bench
