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

model::TimePoint Now() {
  return model::TimePoint(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace

void OutputPrinter::Push(const OutputSource& from, bool is_stderr,
                         const std::vector<std::string>& lines) {
  if (is_hidden()) return;
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  std::vector<ShownText> shown;
  if (wanted_ == WorkerOutput::kRepeatsCounted) {
    const model::TimePoint now = Now();
    for (const std::string& line : lines) digest_.OnLine(from, is_stderr, line, now, shown);
  } else {
    shown.push_back({is_stderr, "", 0});
    for (const std::string& line : lines) shown[0].text += from.prefix + line + "\n";
    shown[0].lines = lines.size();
  }
  Queue(std::move(shown));
  if (!thread_.joinable()) thread_ = std::thread([this] { Loop(); });
  changed_.notify_one();
}

void OutputPrinter::Queue(std::vector<ShownText> pieces) {
  for (ShownText& piece : pieces) {
    if (bytes_ + piece.text.size() > kOutputBytesMax) {
      dropped_lines_ += piece.lines;
      continue;
    }
    if (dropped_lines_ > 0) {
      const std::string note =
          "(rayx) " + std::to_string(std::exchange(dropped_lines_, 0)) +
          " lines of workers' output were dropped: nobody read it fast enough\n";
      bytes_ += note.size();
      waiting_.push_back({true, note});
    }
    bytes_ += piece.text.size();
    waiting_.push_back(std::move(piece));
  }
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

bool OutputPrinter::WaitForMore(std::unique_lock<std::mutex>& lock) {
  while (waiting_.empty()) {
    std::vector<ShownText> told;
    if (stopping_) {
      digest_.OnEnd(told);
      Queue(std::move(told));
      return !waiting_.empty();
    }
    digest_.OnTick(Now(), told);
    Queue(std::move(told));
    if (!waiting_.empty()) break;
    const model::TimePoint due = digest_.next_due();
    if (due == model::kNever) {
      changed_.wait(lock);
    } else {
      changed_.wait_for(lock, due - Now());
    }
  }
  return true;
}

void OutputPrinter::Loop() {
  ::prctl(PR_SET_NAME, "rayx-output");
  std::unique_lock lock(mutex_);
  while (WaitForMore(lock)) {
    const ShownText piece = std::move(waiting_.front());
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
