// bench/runner/gates.h
//
// The gates of a repetition: what must be right before its time may be shown. Pure.
// Inputs:   what an arm reported of one repetition, what the reference arm reported of the same
//           work on as many VMs, and what the workload pins.
// Promises: every gate is evaluated and has a sentence when it fails; an unreadable or missing
//           value fails its gate; up to kExactNodes ranks the comparison is bit for bit, that of
//           features at any number.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rayx::bench {

// Sums of two addends have one order only; beyond two ranks the order of a reduction may differ.
inline constexpr int kExactNodes = 2;
// Of each loss; of the sum of the absolute weights, as a share of it (single weights are not
// compared there).
inline constexpr double kToleranceBeyond = 1e-6;
inline constexpr double kAccuracyToleranceBeyond = 0.001;

struct Outcome {
  int64_t steps = 0;
  std::string dataset_sha256, features_sha256, weights_sha256;
  double weights_abs_sum = 0;
  double accuracy = 0;
  std::vector<double> losses;
  std::string losses_error;  // why the trace could not be read
};

struct Expectation {
  std::string dataset_sha256;  // pinned
  int64_t steps = 0;
  int nodes = 1;
  // Compute threads differ from the reference's: sums may be split differently.
  bool exact = true;

  bool bit_for_bit() const { return exact && nodes <= kExactNodes; }
};

struct GateResult {
  std::string name;
  bool passed = false;
  std::string why;  // empty when passed
};

// The gates that need no other arm: dataset, steps, loss trace readable and complete.
std::vector<GateResult> CheckAlone(const Outcome& outcome, const Expectation& expectation);
// The gates against the reference: features, loss trace, weights, accuracy.
std::vector<GateResult> CheckAgainst(const Outcome& outcome, const Outcome& reference,
                                     const Expectation& expectation);

bool AllPassed(const std::vector<GateResult>& gates);
// The sentences of those that failed, joined.
std::string WhyFailed(const std::vector<GateResult>& gates);

}  // namespace rayx::bench
