#include "bench/runner/gates.h"

#include <cmath>
#include <cstdio>

#include "bench/runner/loss_trace.h"

namespace rayx::bench {
namespace {

std::string Number(double value) {
  char text[40];
  snprintf(text, sizeof text, "%.6g", value);
  return text;
}

GateResult Gate(std::string name, bool passed, std::string why) {
  return {std::move(name), passed, passed ? std::string() : std::move(why)};
}

// 64 lower-case hex digits: an arm that reports nothing must not pass by being as empty as another.
bool IsSha256(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

GateResult SameHash(const std::string& name, const std::string& what, const std::string& got,
                    const std::string& expected) {
  if (!IsSha256(got)) return Gate(name, false, what + " have no checksum");
  return Gate(name, got == expected,
              what + " differ: SHA-256 " + got.substr(0, 12) + ".. instead of " +
                  expected.substr(0, 12) + "..");
}

GateResult LossGate(const Outcome& outcome, const Outcome& reference, bool exact) {
  if (!outcome.losses_error.empty()) return Gate("loss trace", false, outcome.losses_error);
  const TraceDifference difference = CompareTraces(outcome.losses, reference.losses);
  if (!difference.same_length) {
    return Gate("loss trace", false,
                "the loss trace has " + std::to_string(outcome.losses.size()) +
                    " steps, the reference's " + std::to_string(reference.losses.size()));
  }
  const double allowed = exact ? 0 : kToleranceBeyond;
  return Gate("loss trace", difference.largest <= allowed,
              "the loss differs from step " + std::to_string(difference.first_difference) +
                  " on, by up to " + Number(difference.largest) + " (allowed: " + Number(allowed) +
                  ")");
}

GateResult WeightsGate(const Outcome& outcome, const Outcome& reference, bool exact) {
  if (exact) {
    return SameHash("weights", "the final weights", outcome.weights_sha256,
                    reference.weights_sha256);
  }
  const double difference =
      std::abs(outcome.weights_abs_sum - reference.weights_abs_sum) / reference.weights_abs_sum;
  return Gate("weights", IsSha256(outcome.weights_sha256) && difference <= kToleranceBeyond,
              "the sum of the final weights differs by " + Number(difference) + " of itself");
}

}  // namespace

std::vector<GateResult> CheckAlone(const Outcome& outcome, const Expectation& expectation) {
  std::vector<GateResult> gates;
  gates.push_back(SameHash("dataset", "the data set's bytes", outcome.dataset_sha256,
                           expectation.dataset_sha256));
  gates.push_back(Gate("steps", outcome.steps == expectation.steps,
                       "trained " + std::to_string(outcome.steps) + " steps instead of " +
                           std::to_string(expectation.steps)));
  const bool readable = outcome.losses_error.empty();
  gates.push_back(Gate(
      "loss complete", readable && static_cast<int64_t>(outcome.losses.size()) == expectation.steps,
      readable ? "the loss trace has " + std::to_string(outcome.losses.size()) + " steps"
               : outcome.losses_error));
  return gates;
}

std::vector<GateResult> CheckAgainst(const Outcome& outcome, const Outcome& reference,
                                     const Expectation& expectation) {
  const bool exact = expectation.bit_for_bit();
  std::vector<GateResult> gates;
  gates.push_back(SameHash("features", "the preprocessed features", outcome.features_sha256,
                           reference.features_sha256));
  gates.push_back(LossGate(outcome, reference, exact));
  gates.push_back(WeightsGate(outcome, reference, exact));
  const double difference = std::abs(outcome.accuracy - reference.accuracy);
  gates.push_back(
      Gate("accuracy", difference <= (exact ? 0 : kAccuracyToleranceBeyond),
           "accuracy " + Number(outcome.accuracy) + " instead of " + Number(reference.accuracy)));
  return gates;
}

bool AllPassed(const std::vector<GateResult>& gates) {
  for (const GateResult& gate : gates) {
    if (!gate.passed) return false;
  }
  return true;
}

std::string WhyFailed(const std::vector<GateResult>& gates) {
  std::string text;
  for (const GateResult& gate : gates) {
    if (!gate.passed) text += (text.empty() ? "" : "; ") + gate.why;
  }
  return text;
}

}  // namespace rayx::bench
