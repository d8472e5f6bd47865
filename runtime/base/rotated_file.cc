#include "base/rotated_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace rayx::base {
namespace {

std::string Numbered(const std::string& path, uint32_t number) {
  return number == 0 ? path : path + "." + std::to_string(number);
}

uint64_t SizeOf(const std::string& path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

// Whole lines of `text` that have at most `room` bytes; the first one at least, if `one`.
std::string_view WholeLines(std::string_view text, uint64_t room, bool one) {
  if (text.size() <= room) return text;
  const size_t last = room == 0 ? std::string_view::npos : text.rfind('\n', room - 1);
  if (last != std::string_view::npos) return text.substr(0, last + 1);
  return one ? text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1) : "";
}

}  // namespace

RotatedFile::RotatedFile(std::string path, RotationLimits limits)
    : path_(std::move(path)), limits_(limits) {}

Status RotatedFile::Open() {
  fd_.Reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!fd_) {
    return MakeStatus(StatusCode::kUnavailable,
                      "cannot log to " + path_ + ": " + std::strerror(errno));
  }
  bytes_ = SizeOf(path_);
  return OkStatus();
}

uint32_t RotatedFile::old_files() const {
  return static_cast<uint32_t>(std::min<uint64_t>(rotations_, limits_.old_files_max));
}

void RotatedFile::Write(std::string_view lines) {
  if (path_.empty()) return;
  bool just_rotated = false;  // its first line may say what was removed
  while (!lines.empty()) {
    if (!fd_) {
      const Status opened = Open();
      if (!opened.ok()) return Lose(lines, std::string(Message(opened)));
    }
    const uint64_t room = limits_.file_bytes_max - std::min(bytes_, limits_.file_bytes_max);
    const bool fresh = bytes_ == 0 || just_rotated;
    const std::string_view part = WholeLines(lines, room, fresh);
    just_rotated = part.empty();
    if (part.empty()) {
      Rotate();
      continue;
    }
    if (!SayLost() || !Append(part)) Lose(part, std::strerror(errno));
    lines.remove_prefix(part.size());
  }
}

void RotatedFile::Rotate() {
  const uint64_t removed = SizeOf(Numbered(path_, limits_.old_files_max));
  if (removed > 0) {
    ++removed_files_;
    removed_bytes_ += removed;
  }
  if (limits_.old_files_max == 0) {
    ::unlink(path_.c_str());
  } else {
    for (uint32_t number = limits_.old_files_max; number > 0; --number) {
      std::rename(Numbered(path_, number - 1).c_str(), Numbered(path_, number).c_str());
    }
  }
  ++rotations_;
  cut_ = false;
  if (!Open().ok() || removed_files_ == 0) return;
  Append("(rayx) what came before was removed: " + std::to_string(removed_bytes_) +
         " bytes; a log has " + std::to_string(limits_.old_files_max + 1) + " files of " +
         std::to_string(limits_.file_bytes_max) + " bytes at most\n");
}

bool RotatedFile::Append(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd_.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes_ += static_cast<uint64_t>(written);
    cut_ = text[static_cast<size_t>(written) - 1] != '\n';
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

void RotatedFile::Lose(std::string_view text, std::string why) {
  const auto lines = static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
  lost_lines_ += lines;
  lost_total_ += lines;
  lost_why_ = std::move(why);
}

bool RotatedFile::SayLost() {
  if (lost_lines_ == 0) return true;
  // Some of these may have been written before the disk was full.
  const std::string note =
      std::string(cut_ ? "\n" : "") + "(rayx) up to " + std::to_string(lost_lines_) +
      (lost_lines_ == 1 ? " line is" : " lines are") + " missing here: " + lost_why_ + "\n";
  if (!Append(note)) return false;
  lost_lines_ = 0;
  return true;
}

}  // namespace rayx::base
