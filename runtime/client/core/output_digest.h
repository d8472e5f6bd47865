// runtime/client/core/output_digest.h
//
// Decides what of workers' output is shown: what many workers print alike, once and then counted.
// Pure: no clock, no I/O.
// Owner:    OutputPrinter, one a driver.      Threads: one at a time.
// Inputs:   On*() calls with `now`.           Outputs: appended to `shown`, in order.
// Promises: the first of equal lines is shown at once, its worker's further ones too; those of
//           others in the kRepeatsWindow after it are counted and told at its end. No line is
//           left out that is not counted. Blank lines count as nothing and are all shown.
// Limits:   lines are equal when they are byte for byte, on one stream. At most kLinesMax lines of
//           kBytesMax are remembered; what comes beyond is shown as it is.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/time.h"

namespace rayx::client {

// Who printed: a process, and what stands before its lines.
struct OutputSource {
  uint64_t process = 0;
  std::string prefix;
};

struct ShownText {
  bool is_stderr = false;
  std::string text;  // whole lines
  size_t lines = 1;
};

class OutputDigest {
 public:
  static constexpr model::Duration kRepeatsWindow = std::chrono::seconds(5);
  static constexpr size_t kLinesMax = 1000;
  static constexpr size_t kBytesMax = 1 << 20;

  void OnLine(const OutputSource& from, bool is_stderr, const std::string& line,
              model::TimePoint now, std::vector<ShownText>& shown);
  // Tells the repeats whose time is over.
  void OnTick(model::TimePoint now, std::vector<ShownText>& shown);
  // Tells all of them.
  void OnEnd(std::vector<ShownText>& shown);
  // When OnTick has something to tell; kNever: nothing waits.
  model::TimePoint next_due() const;

 private:
  struct Seen {
    OutputSource first;
    uint64_t repeats = 0;  // of other processes, not shown
  };
  using Lines = std::map<std::pair<bool, std::string>, Seen>;
  void TellOldest(std::vector<ShownText>& shown);

  Lines seen_;
  std::deque<std::pair<model::TimePoint, Lines::iterator>> ends_;  // in order
  size_t bytes_ = 0;
};

}  // namespace rayx::client
