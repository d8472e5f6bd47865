// bench/runner/loss_trace.h
//
// The losses of a training, one a step, as an arm wrote them ("%a", one a line).
// Inputs:   a file from outside the process: every line must be one finite number.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace rayx::bench {

inline constexpr size_t kLossStepsMax = 10'000'000;

absl::StatusOr<std::vector<double>> ReadLossTrace(const std::string& path);

struct TraceDifference {
  bool same_length = true;
  size_t first_difference = 0;  // step, counted from 1; 0: none
  double largest = 0;           // absolute
};
TraceDifference CompareTraces(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace rayx::bench
