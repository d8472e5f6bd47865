// bench/runner/summary.h
//
// Raw repetitions to gated numbers: applies the gates, then medians, intervals, paired ratios,
// verdicts, and which arms were compared with which. Pure.
// Inputs:   records in the order in which they ran.
// Promises: a repetition with a failed gate takes part in no number; both sides of a ratio come
//           from the same pairs; serial-unrestricted is in no ratio. An arm that was alone on its
//           number of VMs has been compared with nothing, and is said to be.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/runner/arm_session.h"
#include "bench/runner/gates.h"

namespace rayx::bench {

struct RepRecord {
  std::string arm;
  int nodes = 1;
  int pair = 0;   // 1..; 0 and below: warm-up
  int order = 0;  // position within its pair
  bool unrestricted = false;
  Repetition repetition;
  std::vector<GateResult> gates;
  // The reference; no arm: no repetition was sound in itself.
  std::string compared_with = {};
  int compared_with_nodes = 0;

  bool warm_up() const { return pair <= 0; }
  bool counted() const { return !warm_up() && AllPassed(gates); }
};

struct StartRecord {
  std::string arm;
  int nodes = 1;
  double seconds = 0, daemons_seconds = 0;
};

struct ArmFailure {
  std::string arm;
  int nodes = 1;
  std::string why;  // one line
};

struct WorkloadRecords {
  WorkloadSpec workload;
  int64_t steps = 0;
  std::vector<RepRecord> reps;
  std::vector<StartRecord> starts;
  std::vector<ArmFailure> failures;  // arms that did not run, or not to the end
};

// Fills in `gates` of every repetition but the warm-ups, which are shorter and count nowhere. The
// reference is the first repetition, sound in itself, of the most trusted arm that ran on as many
// VMs: native-py, serial, native-cpp, native-py-naive, then the others. Where a workload computes
// the same on any number of VMs, it is that of the fewest VMs, of the serial arm first.
void ApplyGates(WorkloadRecords& records);

bool AllGatesPassed(const WorkloadRecords& records);

// A median, its interval, what that is worth, and the samples.
nlohmann::json Estimate(const std::vector<double>& samples);

// One line of runs.jsonl.
nlohmann::json ToJson(const std::string& workload, const RepRecord& record);
nlohmann::json ToJson(const std::string& workload, const StartRecord& record);

// The workload's part of summary.json: what it is (phases, qualities, curve), rows (an arm on a
// number of VMs), ratios, failures, comparisons (who agrees with whom, and how closely),
// not_compared_on (where an arm was alone).
nlohmann::json Summarise(const WorkloadRecords& records);

}  // namespace rayx::bench
