#include "bench/runner/gates.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <optional>
#include <vector>

#include "bench/runner/series_file.h"

namespace rayx::bench {
namespace {

std::string Number(double value) {
  char text[40];
  snprintf(text, sizeof text, "%.6g", value);
  return text;
}

// Enough digits to see a difference that a gate has seen.
std::string Precise(double value) {
  char text[40];
  snprintf(text, sizeof text, "%.12g", value);
  return text;
}

GateResult Gate(std::string name, bool passed, std::string why) {
  return {std::move(name), passed, passed ? std::string() : std::move(why)};
}

template <typename Map>
typename Map::mapped_type Find(const Map& map, const std::string& name) {
  const auto found = map.find(name);
  return found == map.end() ? typename Map::mapped_type() : found->second;
}

GateResult SameHash(const std::string& name, const std::string& words, const std::string& got,
                    const std::string& expected) {
  if (!IsSha256(got)) return Gate(name, false, words + ": no checksum");
  if (!IsSha256(expected)) return Gate(name, false, words + ": no checksum to compare with");
  return Gate(
      name, got == expected,
      words + ": SHA-256 " + got.substr(0, 12) + ".. instead of " + expected.substr(0, 12) + "..");
}

GateResult SameText(const GateSpec& gate, const std::string& got, const std::string& expected) {
  return Gate(
      gate.name, !got.empty() && got == expected,
      gate.words + ": '" + got.substr(0, 100) + "' instead of '" + expected.substr(0, 100) + "'");
}

GateResult CloseValue(const GateSpec& gate, const Outcome& outcome, const Outcome& reference) {
  const auto got = outcome.values.find(gate.field), expected = reference.values.find(gate.field);
  if (got == outcome.values.end() || expected == reference.values.end()) {
    return Gate(gate.name, false, gate.words + ": no value");
  }
  const double apart = std::abs(got->second - expected->second);
  const double allowed = gate.closeness == Closeness::kExact ? 0
                         : gate.closeness == Closeness::kRelative
                             ? gate.tolerance * std::abs(expected->second)
                             : gate.tolerance;
  return Gate(gate.name, apart <= allowed,  // false where either is not a number
              gate.words + ": " + Precise(got->second) + " instead of " +
                  Precise(expected->second) + " (allowed: " + ClosenessWords(gate) + ")");
}

double Apart(const SeriesDifference& difference, Closeness closeness) {
  switch (closeness) {
    case Closeness::kRelative:
      return difference.largest_share;
    case Closeness::kL1:
      return difference.sum;
    default:
      return difference.largest;
  }
}

GateResult CloseSeries(const GateSpec& gate, const Outcome& outcome, const Outcome& reference) {
  const Series got = Find(outcome.series, gate.field);
  const Series expected = Find(reference.series, gate.field);
  if (!got.error.empty()) return Gate(gate.name, false, got.error);
  if (got.numbers.empty()) return Gate(gate.name, false, gate.words + ": no numbers");
  const size_t compared = gate.first_steps > 0 ? static_cast<size_t>(gate.first_steps) : SIZE_MAX;
  const SeriesDifference difference = CompareSeries(got.numbers, expected.numbers, compared);
  if (!difference.same_length) {
    return Gate(gate.name, false,
                gate.words + ": " + std::to_string(got.numbers.size()) +
                    " numbers, the reference has " + std::to_string(expected.numbers.size()));
  }
  const double apart = Apart(difference, gate.closeness);
  return Gate(gate.name, apart <= (gate.closeness == Closeness::kExact ? 0 : gate.tolerance),
              gate.words + ": differs from number " + std::to_string(difference.first) +
                  " on, by " + Number(apart) + " (allowed: " + ClosenessWords(gate) + ")");
}

std::optional<double> KnownAfter(const KnownSpec& known, int64_t steps) {
  for (const int64_t number : {steps, int64_t{0}}) {
    if (const auto at = known.by_steps.find(number); at != known.by_steps.end()) return at->second;
  }
  if (!known.and_beyond || known.by_steps.empty()) return std::nullopt;
  const auto& [most, value] = *known.by_steps.rbegin();
  return steps > most ? std::optional<double>(value) : std::nullopt;
}

void CheckKnown(const KnownSpec& known, const Outcome& outcome, std::vector<GateResult>& gates) {
  const std::optional<double> expected = KnownAfter(known, outcome.steps);
  if (!expected) return;
  const auto got = outcome.values.find(known.value);
  const bool is_there = got != outcome.values.end();
  const bool close = is_there && std::abs(got->second - *expected) <= known.tolerance;
  gates.push_back(Gate(known.name, close,  // false where one is not a number
                       known.words + ": " + (is_there ? Precise(got->second) : "no value") +
                           ", known to be " + Precise(*expected) +
                           (known.tolerance > 0 ? ", within " + Number(known.tolerance) : "")));
}

}  // namespace

std::vector<GateResult> CheckAlone(const WorkloadSpec& workload, const Outcome& outcome,
                                   const Expectation& expectation) {
  std::vector<GateResult> gates;
  gates.push_back(SameHash("dataset", "the data set", Find(outcome.hashes, "dataset"),
                           workload.dataset_sha256));
  gates.push_back(Gate("steps", outcome.steps == expectation.steps,
                       "made " + std::to_string(outcome.steps) + " " + workload.step_word +
                           "s instead of " + std::to_string(expectation.steps)));
  for (const SeriesSpec& spec : workload.series) {
    const Series series = Find(outcome.series, spec.name);
    const int64_t length = spec.length > 0 ? spec.length : expectation.steps;
    gates.push_back(
        Gate(spec.name + " complete",
             series.error.empty() && static_cast<int64_t>(series.numbers.size()) == length,
             series.error.empty()
                 ? "the series " + spec.name + " has " + std::to_string(series.numbers.size()) +
                       " numbers instead of " + std::to_string(length)
                 : series.error));
  }
  for (const KnownSpec& known : workload.known) CheckKnown(known, outcome, gates);
  return gates;
}

std::vector<GateSpec> GatesInForce(const WorkloadSpec& workload, const Expectation& expectation) {
  const GateScope here = expectation.bit_for_bit() ? GateScope::kBitForBit : GateScope::kBeyond;
  std::vector<GateSpec> gates;
  for (const GateSpec& gate : workload.gates) {
    const bool is_here = gate.scope == GateScope::kAlways || gate.scope == here;
    const bool is_long = gate.kind == GateKind::kValue && gate.first_steps > 0 &&
                         expectation.steps > gate.first_steps;
    const bool is_short = gate.after_steps > 0 && expectation.steps <= gate.after_steps;
    if (is_here && !is_long && !is_short) gates.push_back(gate);
  }
  return gates;
}

std::string ClosenessWords(const GateSpec& gate) {
  char number[40];
  snprintf(number, sizeof number, "%g", gate.tolerance);
  switch (gate.closeness) {
    case Closeness::kExact:
      return gate.kind == GateKind::kText ? "the same" : "in every bit";
    case Closeness::kAbsolute:
      return std::string("within ") + number;
    case Closeness::kRelative:
      return std::string("within ") + number + " of itself";
    case Closeness::kL1:
      return std::string("all differences together within ") + number;
  }
  return "";
}

std::vector<GateResult> CheckAgainst(const WorkloadSpec& workload, const Outcome& outcome,
                                     const Outcome& reference, const Expectation& expectation) {
  std::vector<GateResult> gates;
  for (const GateSpec& gate : GatesInForce(workload, expectation)) {
    switch (gate.kind) {
      case GateKind::kHash:
        gates.push_back(SameHash(gate.name, gate.words, Find(outcome.hashes, gate.field),
                                 Find(reference.hashes, gate.field)));
        break;
      case GateKind::kText:
        gates.push_back(
            SameText(gate, Find(outcome.texts, gate.field), Find(reference.texts, gate.field)));
        break;
      case GateKind::kValue:
        gates.push_back(CloseValue(gate, outcome, reference));
        break;
      case GateKind::kSeries:
        gates.push_back(CloseSeries(gate, outcome, reference));
        break;
    }
  }
  return gates;
}

bool IsSha256(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
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
