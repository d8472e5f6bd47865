// runtime/cli/microbenchmark/rows.h
//
// The rows of `rayx microbenchmark`.
//
// Purpose:  each row runs one sample: a number of calls, timed, checked.
// Owner:    microbenchmark.cc.      Threads: the main thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace rayx::cli {

// Which limit stands beside a row.
enum class Limit {
  kRingRoundTrip,  // microseconds of one 64-byte line there and back
  kWarmCopy,       // GB/s of memcpy into memory that was touched before
};

struct Row {
  std::string name;
  std::string unit;  // "us": less is better; "1/s" and "GB/s": more is better
  Limit limit;
  // Does `calls` calls and gives the row's figure. Throws std::runtime_error for a wrong result.
  std::function<double(size_t calls)> sample;
  size_t calls_first;  // of the first, uncounted sample; grown until a sample lasts long enough
};

std::vector<Row> AllRows();
// GB/s of copying `bytes` into warm memory: the median of 5.
double MeasureWarmCopy(size_t bytes);

inline constexpr size_t kLargeObjectBytes = 80u << 20;

}  // namespace rayx::cli
