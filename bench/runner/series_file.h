// bench/runner/series_file.h
//
// A series of a repetition (losses, one a step, for example) as an arm wrote it: "%a", one number a
// line; and how far two of them are apart.
// Inputs:   a file from outside the process: every line must be one finite number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace rayx::bench {

inline constexpr size_t kSeriesNumbersMax = 10'000'000;

absl::StatusOr<std::vector<double>> ReadSeries(const std::string& path);

// Where an arm writes series `name` of a repetition, given the prefix of its command.
std::string SeriesPath(const std::string& prefix, const std::string& name);

struct SeriesDifference {
  bool same_length = true;
  size_t first = 0;          // place of the first difference, counted from 1; 0: none
  double largest = 0;        // absolute
  double largest_share = 0;  // of the number in `reference`
  double sum = 0;            // of the absolute differences
};
// `same_length` is of the whole series, the rest of their first `count` numbers.
SeriesDifference CompareSeries(const std::vector<double>& numbers,
                               const std::vector<double>& reference, size_t count = SIZE_MAX);

}  // namespace rayx::bench
