// runtime/base/file_tail.h
//
// The last lines of a text file that may be long and may grow meanwhile.
// Owner:    no state.      Threads: any.
// Promises: lines are whole at their beginning; the last one may have no end yet. What is looked at
//           is bounded; `is_cut` says that lines are missing for that reason.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace rayx::base {

// What a node daemon sends of a log in one answer.
inline constexpr size_t kSentTailBytesMax = size_t{1} << 20;
inline constexpr size_t kSentTailLinesMax = 10'000;

struct FileTail {
  std::string text;     // with the ends of the lines
  bool is_cut = false;  // the file has lines before these that were wanted
  off_t end = 0;        // where in the file `text` ends
};

// At most so many lines, and of so many bytes from the end. Nothing where it cannot be read.
FileTail ReadTail(int fd, size_t lines, size_t bytes_max);
// Without their ends.
std::vector<std::string> LinesOf(std::string_view text);

}  // namespace rayx::base
