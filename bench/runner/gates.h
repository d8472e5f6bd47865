// bench/runner/gates.h
//
// The gates of a repetition: what must be right before its time may be shown. Pure.
// Inputs:   what an arm reported of one repetition, what the reference reported of the same work,
//           and what the workload declares (workload_spec.h).
// Promises: every gate is evaluated and has a sentence when it fails; an unreadable, missing or
//           non-finite value fails its gate, also where the reference lacks it too.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/runner/workload_spec.h"

namespace rayx::bench {

// Sums of two addends have one order only; beyond two ranks the order of a reduction may differ.
inline constexpr int kExactNodes = 2;

struct Series {
  std::vector<double> numbers;
  std::string error;  // why they could not be read
};

struct Outcome {
  int64_t steps = 0;
  std::map<std::string, std::string> hashes, texts;
  std::map<std::string, double> values;
  std::map<std::string, Series> series;
};

struct Expectation {
  int64_t steps = 0;
  int nodes = 1;
  // Compute threads are the reference's; else sums may be split differently.
  bool same_threads = true;

  bool bit_for_bit() const { return same_threads && nodes <= kExactNodes; }
};

struct GateResult {
  std::string name;
  bool passed = false;
  std::string why;  // empty when passed
};

// The gates that need no other arm: the data set is the pinned one, all steps were made, every
// series is readable and complete, what is known beforehand has come out.
std::vector<GateResult> CheckAlone(const WorkloadSpec& workload, const Outcome& outcome,
                                   const Expectation& expectation);
// The workload's own gates, against the reference.
std::vector<GateResult> CheckAgainst(const WorkloadSpec& workload, const Outcome& outcome,
                                     const Outcome& reference, const Expectation& expectation);

// The gates of a workload that are in force there.
std::vector<GateSpec> GatesInForce(const WorkloadSpec& workload, const Expectation& expectation);
// How close a gate wants it: "in every bit", "within 1e-06", ...
std::string ClosenessWords(const GateSpec& gate);

// 64 lower-case hex digits: an arm or a catalogue that says nothing must not pass by that.
bool IsSha256(const std::string& text);

bool AllPassed(const std::vector<GateResult>& gates);
// The sentences of those that failed, joined.
std::string WhyFailed(const std::vector<GateResult>& gates);

}  // namespace rayx::bench
