#include "cli/microbenchmark/process_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace rayx::cli {
namespace {

constexpr std::string_view kStorePages = "memfd:rayx:segment-";

// One entry of smaps (proc(5)).
struct MappedRange {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  std::string_view access;  // "r-xp"
  std::string_view path;
  double proportional_kilobytes = 0;
  double anonymous_kilobytes = 0;
};

std::string_view TakeWord(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

template <class T>
T Number(std::string_view text, int base = 10) {
  T value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

// "55d0-55d8 r-xp 00001000 08:01 4711 /usr/bin/rayx"
MappedRange RangeOf(std::string_view line) {
  MappedRange range;
  const std::string_view addresses = TakeWord(line);
  const size_t dash = addresses.find('-');
  range.begin = Number<uintptr_t>(addresses.substr(0, dash), 16);
  range.end = Number<uintptr_t>(addresses.substr(dash + 1), 16);
  range.access = TakeWord(line);
  for (int skipped = 0; skipped < 3; ++skipped) TakeWord(line);
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  range.path = line;
  return range;
}

std::vector<MappedRange> RangesOf(std::string_view smaps) {
  std::vector<MappedRange> ranges;
  while (!smaps.empty()) {
    std::string_view line = smaps.substr(0, smaps.find('\n'));
    smaps.remove_prefix(std::min(line.size() + 1, smaps.size()));
    std::string_view rest = line;
    const std::string_view first = TakeWord(rest);
    if (!first.empty() && first.back() != ':') {
      ranges.push_back(RangeOf(line));
    } else if (!ranges.empty() && first == "Pss:") {
      ranges.back().proportional_kilobytes = static_cast<double>(Number<int64_t>(TakeWord(rest)));
    } else if (!ranges.empty() && first == "Anonymous:") {
      ranges.back().anonymous_kilobytes = static_cast<double>(Number<int64_t>(TakeWord(rest)));
    }
  }
  return ranges;
}

std::string SmapsOf(const std::string& process) {
  std::ifstream file("/proc/" + process + "/smaps");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (text.empty()) throw std::runtime_error("/proc/" + process + "/smaps cannot be read");
  return text;
}

// What is not written to and has not been (no relocation either) comes back from the file by
// itself.
void LetGoOfFilePages() {
  const std::string smaps = SmapsOf("self");
  for (const MappedRange& range : RangesOf(smaps)) {
    if (!range.path.starts_with('/') || range.anonymous_kilobytes > 0 ||
        range.access.find('w') != std::string_view::npos) {
      continue;
    }
    ::madvise(reinterpret_cast<void*>(range.begin), range.end - range.begin, MADV_DONTNEED);
  }
}

}  // namespace

double ProportionalBytesIn(std::string_view smaps) {
  double kilobytes = 0;
  for (const MappedRange& range : RangesOf(smaps)) {
    if (range.path.find(kStorePages) != std::string_view::npos) continue;
    kilobytes += range.proportional_kilobytes;
  }
  return kilobytes * 1024;
}

double ProportionalBytes(const std::vector<pid_t>& processes) {
  LetGoOfFilePages();
  double bytes = 0;
  for (const pid_t process : processes) {
    bytes += ProportionalBytesIn(SmapsOf(std::to_string(process)));
  }
  return bytes;
}

}  // namespace rayx::cli
