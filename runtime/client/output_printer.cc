#include "client/output_printer.h"

#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace rayx::client {
namespace {

constexpr int kLookMs = 50;           // for a Stop, while an output takes nothing
constexpr size_t kWriteBytes = 4096;  // what a pipe takes whole once poll says that it is writable

}  // namespace

void OutputPrinter::Push(bool is_stderr, std::string text, size_t lines) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  if (bytes_ + text.size() > kOutputBytesMax) {
    dropped_lines_ += lines;
    return;
  }
  if (dropped_lines_ > 0) {
    const std::string note = "(rayx) " + std::to_string(std::exchange(dropped_lines_, 0)) +
                             " lines of workers' output were dropped: nobody read it fast enough\n";
    bytes_ += note.size();
    waiting_.push_back({true, note});
  }
  bytes_ += text.size();
  waiting_.push_back({is_stderr, std::move(text)});
  if (!thread_.joinable()) thread_ = std::thread([this] { Loop(); });
  changed_.notify_one();
}

void OutputPrinter::Stop() {
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(stopping_, true))
      stop_deadline_ = std::chrono::steady_clock::now() + kOutputStopWait;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void OutputPrinter::Loop() {
  ::prctl(PR_SET_NAME, "rayx-output");
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const Piece piece = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    const bool written = Write(fds_[piece.is_stderr ? 1 : 0], piece.text);
    lock.lock();
    bytes_ -= piece.text.size();
    if (!written) return;
  }
}

bool OutputPrinter::StopIsOverdue() const {
  const std::lock_guard lock(mutex_);
  return stopping_ && std::chrono::steady_clock::now() >= stop_deadline_;
}

bool OutputPrinter::Write(int fd, const std::string& text) {
  size_t at = 0;
  while (at < text.size()) {
    pollfd writable{fd, POLLOUT, 0};
    if (::poll(&writable, 1, kLookMs) <= 0) {
      if (StopIsOverdue()) return false;
      continue;
    }
    const ssize_t wrote = ::write(fd, text.data() + at, std::min(text.size() - at, kWriteBytes));
    if (wrote > 0) {
      at += static_cast<size_t>(wrote);
    } else if (wrote < 0 && errno != EINTR && errno != EAGAIN) {
      return true;  // nobody will ever read it
    }
  }
  return true;
}

}  // namespace rayx::client
