#include "bench/runner/loss_trace.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>

namespace rayx::bench {

absl::StatusOr<std::vector<double>> ReadLossTrace(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError("there is no loss trace " + path);
  std::vector<double> losses;
  for (std::string line; std::getline(file, line);) {
    char* end = nullptr;
    const double loss = std::strtod(line.c_str(), &end);
    const std::string where = path + " line " + std::to_string(losses.size() + 1);
    if (end == line.c_str() || *end != 0) {
      return absl::DataLossError(where + " is not a number: '" + line.substr(0, 40) + "'");
    }
    if (!std::isfinite(loss)) return absl::DataLossError(where + ": the loss is not finite");
    losses.push_back(loss);
    if (losses.size() > kLossStepsMax) return absl::DataLossError(path + " has too many steps");
  }
  return losses;
}

TraceDifference CompareTraces(const std::vector<double>& a, const std::vector<double>& b) {
  TraceDifference result;
  result.same_length = a.size() == b.size();
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i] == b[i]) continue;
    if (result.first_difference == 0) result.first_difference = i + 1;
    result.largest = std::max(result.largest, std::abs(a[i] - b[i]));
  }
  return result;
}

}  // namespace rayx::bench
