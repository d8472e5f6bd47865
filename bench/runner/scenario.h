// bench/runner/scenario.h
//
// What happens to a program when something goes wrong or is slow: a workload's repetition that is
// disturbed beside one that is not. Pure: which scenarios there are, what was seen of each, what is
// said of it. scenario_run.h runs them; the rows are in bench/runner/catalogue/scenarios.cc.
// Promises: an arm that fails or hangs is a result and is told as what it is; a disturbed
//           repetition that ends with another result than an undisturbed one is never a good end.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/runner/arm_session.h"

namespace rayx::bench {

enum class ScenarioKind {
  kColdStart,     // nothing runs; until the first step is done
  kWorkerKilled,  // SIGKILL of the process that computes in the last VM, half-way
  kVmLost,        // the last VM is gone half-way, and no packet says so
  kStraggler,     // half the CPU quota for the last VM
  kSlowLink,      // 1 Gbit/s for what each VM sends
  kMistakes,      // what a user does wrong at a launch: mistake_run.h
  kImpossible,    // cannot be run yet
};

struct ScenarioSpec {
  std::string name = {}, title = {};
  std::string what = {};  // one sentence
  ScenarioKind kind = ScenarioKind::kImpossible;
  std::string workload = {};
  int nodes = 3;
  int64_t steps = 0;
  // Undisturbed and disturbed, one after the other; 1 where nothing is left after it.
  int pairs = 1;
  std::string not_run_because = {};
};

const std::vector<ScenarioSpec>& Scenarios();
// By names, in the catalogue's order; "all" and "none" are names too. An unknown one is an error
// that lists the known.
absl::StatusOr<std::vector<const ScenarioSpec*>> ChooseScenarios(
    const std::vector<std::string>& names);

enum class Ending { kFinished, kFailed, kHung };

// CPU seconds used so far by the arm in each VM; nothing where it is lost.
struct CpuSample {
  double at = 0;  // CLOCK_MONOTONIC
  std::vector<std::optional<double>> seconds;
};

// One repetition. Durations count from its command, `after_fault` from the fault.
struct ScenarioRep {
  std::string arm;
  int pair = 1;
  bool disturbed = false;
  Ending ending = Ending::kFinished;
  double seconds =
      0;  // to the end of the last phase, to the error, or until nobody waited any more
  std::optional<double> fault_at = {};
  std::string error = {};  // one line
  // Empty where it finished as the first undisturbed one of its arm did.
  std::string other_result = {};
  RunTrace trace = {};
  std::vector<CpuSample> cpu = {};
};

struct ColdStart {
  std::string arm;
  double daemons = 0, ready = 0, first_step = 0;  // seconds, each from the end of the one before
};

struct ScenarioRecords {
  ScenarioSpec scenario;
  std::string step_word = "step";
  std::vector<ScenarioRep> reps = {};
  std::vector<ColdStart> starts = {};
  // An arm with which the scenario could not be carried out: name and one line.
  std::vector<std::pair<std::string, std::string>> failures = {};
};

// Whether `half` of the steps are done: the moment of a fault. An arm that writes no step events is
// disturbed after half the time of an undisturbed repetition.
bool IsHalfWay(const RunTrace& trace, int64_t steps, double now, double undisturbed_seconds);

// What an arm did, as a sentence: "finishes 1.48x as long as undisturbed (...)".
std::string EndingWords(const ScenarioRecords& records, const std::string& arm);

bool AllResultsSame(const ScenarioRecords& records);

// Lines of runs.jsonl ("kind": "scenario") and the scenario's part of summary.json.
std::vector<nlohmann::json> ToJsonLines(const ScenarioRecords& records);
nlohmann::json Summarise(const ScenarioRecords& records);

}  // namespace rayx::bench
