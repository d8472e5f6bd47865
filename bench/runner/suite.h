// bench/runner/suite.h
//
// What the suites mean, and what a run with given options will do. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/runner/workload_spec.h"

namespace rayx::bench {

struct SuitePlan {
  std::vector<int> nodes;
  std::vector<std::string> arms;
  int pairs = 1;
  int pairs_beside = 1;       // of an arm that is shown beside the others
  int64_t warm_up_steps = 0;  // 0: no warm-up
  int64_t steps = 0;
  int extra_starts = 0;  // launches an arm and number of VMs, for start-up alone
  bool shows_ratios = true;
};

// smoke: gates only, of RayX against its reference at 1 and 2 VMs, one pair: under a minute.
// check: gates only, of RayX, tuned native and serial at 1, 2 and 3 VMs.
// quick: RayX and tuned native at 1 and 3 VMs, 3 pairs; serial where it is the reference: minutes.
// full:  all arms at 1, 2 and 3 VMs, more steps, 5 pairs, start-up by launches of its own.
absl::StatusOr<SuitePlan> PlanOf(const std::string& suite, const WorkloadSpec& workload);

// Whether a suite has a workload that nobody asks for by name: smoke has one that trains and one
// that turns data over, quick one of each kind, the others have all.
bool IsPartOf(const std::string& suite, const WorkloadSpec& workload);

// The scenarios of a suite, as ChooseScenarios takes them: all in full, else none.
std::vector<std::string> ScenariosOf(const std::string& suite);

// Steps that a progress bar counts.
int ProgressSteps(const SuitePlan& plan, const std::vector<const ArmSpec*>& arms);

// The arms of `names`, in the workload's order; an unknown name is an error that lists the known.
absl::StatusOr<std::vector<const ArmSpec*>> ChooseArms(const WorkloadSpec& workload,
                                                       const std::vector<std::string>& names);

// Whether `arm` takes part in a pair, counted from 1; 0 is the warm-up.
bool TakesPart(const SuitePlan& plan, const ArmSpec& arm, int pair);

// Whether `arm` runs on so many VMs.
bool RunsOn(const ArmSpec& arm, int nodes);

}  // namespace rayx::bench
