#include "base/file_tail.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>

#include "base/read_at.h"

namespace rayx::base {
namespace {

constexpr size_t kFirstLook = size_t{64} << 10;

}  // namespace

FileTail ReadTail(int fd, size_t lines, size_t bytes_max) {
  FileTail tail;
  struct stat info = {};
  if (::fstat(fd, &info) != 0) return tail;
  const auto there = static_cast<size_t>(std::max<off_t>(0, info.st_size));
  const size_t most = std::min(there, bytes_max);
  off_t begin = 0;
  for (size_t look = std::min(kFirstLook, most);; look = std::min(2 * look, most)) {
    begin = static_cast<off_t>(there - look);
    tail.text = ReadAt(fd, static_cast<uint64_t>(begin), look);
    const auto ends = std::count(tail.text.begin(), tail.text.end(), '\n');
    // With the end of the line before the first of them.
    if (look == most || static_cast<size_t>(ends) > lines) break;
  }
  tail.end = begin + static_cast<off_t>(tail.text.size());
  if (begin > 0) {  // in the middle of a line
    const size_t end = tail.text.find('\n');
    tail.text.erase(0, end == std::string::npos ? end : end + 1);
  }
  size_t first = tail.text.size();
  size_t found = 0;
  for (; found < lines && first > 0; ++found) {
    const size_t end = first < 2 ? std::string::npos : tail.text.rfind('\n', first - 2);
    first = end == std::string::npos ? 0 : end + 1;
  }
  tail.text.erase(0, first);
  tail.is_cut = begin > 0 && found < lines;
  return tail;
}

std::vector<std::string> LinesOf(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace rayx::base
