// runtime/base/rotated_file.h
//
// A log of bounded size: a full file becomes FILE.1, FILE.1 becomes FILE.2, and FILE begins anew.
// Owner:    one writer.      Threads: one at a time.
// Inputs:   whole lines, each with its end.
// Promises: no file grows beyond its limit by more than one line; lines are whole in one file;
//           what a log has lost is told in it: a file says first what was removed to make room for
//           it, and where a disk took nothing it says how much is missing, as soon as it takes
//           something again. Nothing is buffered.
// Limits:   a loss is told by the writer that saw it: nothing is known of an earlier one's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/status.h"

namespace rayx::base {

struct RotationLimits {
  uint64_t file_bytes_max = 16u << 20;
  uint32_t old_files_max = 1;  // beside the one that is written
};

class RotatedFile {
 public:
  // "" = none: Write drops everything.
  RotatedFile(std::string path, RotationLimits limits);

  // Makes the file if it is not there. Write tries again when it could not.
  Status Open();
  void Write(std::string_view lines);

  const std::string& path() const { return path_; }
  bool is_open() const { return fd_.valid(); }
  uint32_t old_files() const;
  // Nothing was removed or refused by the disk.
  bool is_complete() const { return removed_files_ == 0 && lost_total_ == 0; }

 private:
  void Rotate();
  bool Append(std::string_view text);
  void Lose(std::string_view text, std::string why);
  bool SayLost();

  const std::string path_;
  const RotationLimits limits_;
  UniqueFd fd_;
  uint64_t bytes_ = 0;
  uint64_t rotations_ = 0;
  uint64_t removed_files_ = 0;
  uint64_t removed_bytes_ = 0;
  // Since it was said last: of the lines that the disk refused.
  uint64_t lost_lines_ = 0;
  std::string lost_why_;
  uint64_t lost_total_ = 0;
  bool cut_ = false;  // the last line has no end
};

}  // namespace rayx::base
