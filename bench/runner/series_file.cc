#include "bench/runner/series_file.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>

namespace rayx::bench {

absl::StatusOr<std::vector<double>> ReadSeries(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError("there is no series " + path);
  std::vector<double> numbers;
  for (std::string line; std::getline(file, line);) {
    char* end = nullptr;
    const double number = std::strtod(line.c_str(), &end);
    const std::string where = path + " line " + std::to_string(numbers.size() + 1);
    if (end == line.c_str() || *end != 0) {
      return absl::DataLossError(where + " is not a number: '" + line.substr(0, 40) + "'");
    }
    if (!std::isfinite(number)) return absl::DataLossError(where + ": the number is not finite");
    numbers.push_back(number);
    if (numbers.size() > kSeriesNumbersMax) return absl::DataLossError(path + " is too long");
  }
  return numbers;
}

std::string SeriesPath(const std::string& prefix, const std::string& name) {
  return prefix + "." + name + ".txt";
}

SeriesDifference CompareSeries(const std::vector<double>& numbers,
                               const std::vector<double>& reference, size_t count) {
  SeriesDifference result;
  result.same_length = numbers.size() == reference.size();
  for (size_t i = 0; i < std::min({numbers.size(), reference.size(), count}); ++i) {
    if (numbers[i] == reference[i]) continue;
    if (result.first == 0) result.first = i + 1;
    const double difference = std::abs(numbers[i] - reference[i]);
    const double size = std::abs(reference[i]);
    result.largest = std::max(result.largest, difference);
    result.largest_share =
        std::max(result.largest_share,
                 size > 0 ? difference / size : std::numeric_limits<double>::infinity());
    result.sum += difference;
  }
  return result;
}

}  // namespace rayx::bench
