// runtime/node/worker_log.h
//
// What a worker or zygote writes to stdout and stderr: read line by line, kept, filed, passed on.
// Owner:    WorkerStarter, one a process.
// Threads:  the node loop only.
// Inputs:   bytes of user programs: any.
// Promises: memory is bounded whatever is written; a line longer than kLineBytesMax is cut into
//           several; the last lines before a death are kept; the file is bounded and tells what it
//           lost (base/rotated_file.h).
// Limits:   kLinesPerSecondMax are passed on, the rest is counted and said, within a second or so
//           and at the end at the latest, with the files that have it and whether they have all.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/rotated_file.h"
#include "model/time.h"

namespace rayx::node {

class WorkerLog {
 public:
  static constexpr size_t kLineBytesMax = 8 * 1024;
  static constexpr size_t kLastLinesMax = 20;
  static constexpr uint32_t kLinesPerSecondMax = 1000;

  using LinesCallback = std::function<void(bool is_stderr, std::vector<std::string> lines)>;

  // Read ends; they become non-blocking. `file` may be "" (no file).
  WorkerLog(base::UniqueFd out, base::UniqueFd err, std::string file, base::RotationLimits limits,
            LinesCallback on_lines);

  const std::string& path() const { return file_.path(); }
  int fd(bool is_stderr) const { return streams_[is_stderr ? 1 : 0].fd.get(); }
  // Reads what is there, at most a fixed amount. False at end-of-file, once: stop watching it.
  bool ReadSome(bool is_stderr, model::TimePoint now);
  // Passes on what is in the pipes now, a bounded amount, and says what was not shown.
  void CatchUp(model::TimePoint now);
  // Several times a second: says what was not shown.
  void Tick(model::TimePoint now);
  // After the process's end: reads the rest and passes on a last line without its newline.
  void Finish(model::TimePoint now);

  // Of stderr; when that was silent, of stdout.
  std::vector<std::string> LastLines() const;

 private:
  struct Stream {
    base::UniqueFd fd;
    std::string partial;
    std::deque<std::string> last;
    uint64_t not_shown = 0;  // lines that nobody was told of yet
  };
  void Take(bool is_stderr, const char* bytes, size_t size, std::vector<std::string>& lines);
  void Deliver(bool is_stderr, std::vector<std::string> lines, model::TimePoint now);
  void TakePresent(bool is_stderr, std::vector<std::string>& lines);
  void SayNotShown();
  std::string WhereFiled() const;

  Stream streams_[2];
  base::RotatedFile file_;
  const LinesCallback on_lines_;
  model::TimePoint window_{};
  uint32_t lines_in_window_ = 0;
};

}  // namespace rayx::node
