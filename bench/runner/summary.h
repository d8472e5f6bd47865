// bench/runner/summary.h
//
// Raw repetitions to gated numbers: applies the gates to the repetitions of one number of VMs,
// then medians, intervals, paired ratios, verdicts. Pure.
// Inputs:   records in the order in which they ran.
// Promises: a repetition with a failed gate takes part in no number; both sides of a ratio come
//           from the same pairs; serial-unrestricted is in no ratio.
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
  int pair = 0;  // 1..; 0 and below: warm-up
  int order = 0;  // position within its pair
  bool unrestricted = false;
  Repetition repetition;
  std::vector<GateResult> gates;

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
  std::string why;
};

struct WorkloadRecords {
  std::string workload, title;
  int64_t steps = 0;
  std::vector<RepRecord> reps;
  std::vector<StartRecord> starts;
  std::vector<ArmFailure> failures;  // arms that did not run, or not to the end
};

// Fills in `gates` of every repetition but the warm-ups, which are shorter and count nowhere. The reference is the first sound repetition of the most
// trusted arm that ran on as many VMs: native-py, serial, native-py-naive, rayx.
void ApplyGates(WorkloadRecords& records, const std::string& dataset_sha256);

bool AllGatesPassed(const WorkloadRecords& records);

// One line of runs.jsonl.
nlohmann::json ToJson(const std::string& workload, const RepRecord& record);
nlohmann::json ToJson(const std::string& workload, const StartRecord& record);

// The workload's part of summary.json.
nlohmann::json Summarise(const WorkloadRecords& records);

}  // namespace rayx::bench
