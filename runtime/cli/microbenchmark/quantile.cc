#include "cli/microbenchmark/quantile.h"

#include <algorithm>
#include <cstddef>

#include "base/check.h"

namespace rayx::cli {

double Quantile(std::vector<double> values, double q) {
  RAYX_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (values[above] - values[below]) * (at - static_cast<double>(below));
}

}  // namespace rayx::cli
