#include "node/worker_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace rayx::node {
namespace {

constexpr size_t kReadBytesMax = 64 * 1024;

void SetNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0) ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

}  // namespace

WorkerLog::WorkerLog(base::UniqueFd out, base::UniqueFd err, std::string file,
                     base::RotationLimits limits, LinesCallback on_lines)
    : file_(std::move(file), limits), on_lines_(std::move(on_lines)) {
  streams_[0].fd = std::move(out);
  streams_[1].fd = std::move(err);
  for (const Stream& stream : streams_) SetNonBlocking(stream.fd.get());
}

void WorkerLog::Take(bool is_stderr, const char* bytes, size_t size,
                     std::vector<std::string>& lines) {
  Stream& stream = streams_[is_stderr ? 1 : 0];
  for (size_t i = 0; i < size; ++i) {
    if (bytes[i] != '\n') stream.partial.push_back(bytes[i]);
    if (bytes[i] != '\n' && stream.partial.size() < kLineBytesMax) continue;
    lines.push_back(std::move(stream.partial));
    stream.partial.clear();
  }
}

bool WorkerLog::ReadSome(bool is_stderr, model::TimePoint now) {
  Stream& stream = streams_[is_stderr ? 1 : 0];
  if (!stream.fd) return false;
  char buffer[kReadBytesMax];
  const ssize_t size = ::read(stream.fd.get(), buffer, sizeof buffer);
  if (size < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  if (size == 0) return false;
  std::vector<std::string> lines;
  Take(is_stderr, buffer, static_cast<size_t>(size), lines);
  Deliver(is_stderr, std::move(lines), now);
  return true;
}

// A grandchild may hold the pipe open and go on writing: what is there now, and no more.
void WorkerLog::TakePresent(bool is_stderr, std::vector<std::string>& lines) {
  char buffer[kReadBytesMax];
  for (int reads = 0; reads < 16; ++reads) {
    const ssize_t size = ::read(fd(is_stderr), buffer, sizeof buffer);
    if (size <= 0) break;
    Take(is_stderr, buffer, static_cast<size_t>(size), lines);
  }
}

void WorkerLog::CatchUp(model::TimePoint now) {
  for (const bool is_stderr : {false, true}) {
    if (fd(is_stderr) < 0) continue;
    std::vector<std::string> lines;
    TakePresent(is_stderr, lines);
    Deliver(is_stderr, std::move(lines), now);
  }
  SayNotShown();
}

void WorkerLog::Finish(model::TimePoint now) {
  for (const bool is_stderr : {false, true}) {
    Stream& stream = streams_[is_stderr ? 1 : 0];
    if (!stream.fd) continue;
    std::vector<std::string> lines;
    TakePresent(is_stderr, lines);
    if (!stream.partial.empty()) {
      lines.push_back(std::move(stream.partial));
      stream.partial.clear();
    }
    Deliver(is_stderr, std::move(lines), now);
    stream.fd.Reset();
  }
  SayNotShown();
}

void WorkerLog::Tick(model::TimePoint now) {
  if (now - window_ < std::chrono::seconds(1)) return;
  window_ = now;
  lines_in_window_ = 0;
  SayNotShown();
}

void WorkerLog::SayNotShown() {
  for (const bool is_stderr : {false, true}) {
    const uint64_t count = std::exchange(streams_[is_stderr ? 1 : 0].not_shown, 0);
    if (count == 0) continue;
    on_lines_(is_stderr,
              {"... " + std::to_string(count) + (count == 1 ? " line was" : " lines were") +
               " not shown (at most " + std::to_string(kLinesPerSecondMax) + " a second are; " +
               WhereFiled() + ")"});
  }
}

std::string WorkerLog::WhereFiled() const {
  if (!file_.is_open()) return "they are in no file";
  const std::string& path = file_.path();
  const uint32_t old = file_.old_files();
  std::string files = path;
  if (old > 0) files = path + ".1 and " + path;
  if (old > 1) files = path + "." + std::to_string(old) + " to .1 and " + path;
  return file_.is_complete() ? "all are in " + files : "a part of the output is in " + files;
}

void WorkerLog::Deliver(bool is_stderr, std::vector<std::string> lines, model::TimePoint now) {
  if (lines.empty()) return;
  Stream& stream = streams_[is_stderr ? 1 : 0];
  std::string text;
  for (const std::string& line : lines) {
    stream.last.push_back(line);
    if (stream.last.size() > kLastLinesMax) stream.last.pop_front();
    text += line;
    text += '\n';
  }
  file_.Write(text);  // a full disk loses log lines, nothing else
  Tick(now);
  const size_t room = kLinesPerSecondMax - std::min(lines_in_window_, kLinesPerSecondMax);
  if (lines.size() > room) {
    stream.not_shown += lines.size() - room;
    lines.resize(room);
  }
  lines_in_window_ += static_cast<uint32_t>(lines.size());
  if (!lines.empty()) on_lines_(is_stderr, std::move(lines));
}

std::vector<std::string> WorkerLog::LastLines() const {
  const auto& last = streams_[1].last.empty() ? streams_[0].last : streams_[1].last;
  return {last.begin(), last.end()};
}

}  // namespace rayx::node
