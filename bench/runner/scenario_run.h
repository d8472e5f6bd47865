// bench/runner/scenario_run.h
//
// Carries out a scenario (scenario.h) with each arm of a workload, on fresh simulated VMs.
// Owner:    the run of a suite.                 Threads: one.
// Inputs:   root; steps and quotas as the scenario says. An arm whose program is in VM 1 is judged
//           by what that one does.
// Promises: waits kHangSeconds after a fault and longer where the arm was slow undisturbed, never
//           for ever; what was disturbed is undone before the next repetition.
#pragma once

#include <string>
#include <vector>

#include "bench/runner/progress.h"
#include "bench/runner/scenario.h"
#include "bench/runner/suite.h"

namespace rayx::bench {

inline constexpr double kHangSeconds = 60;

struct ScenarioRunOptions {
  const WorkloadSpec& workload;
  ScenarioSpec scenario;
  std::vector<const ArmSpec*> arms;
  Places places;
  MachineShape shape;
};

class ScenarioRun {
 public:
  ScenarioRun(ScenarioRunOptions options, Progress& progress);

  // Interrupted, or no VMs can be made; see failures in the records otherwise.
  absl::Status Run();
  const ScenarioRecords& records() const { return records_; }
  // CPU seconds of everything that ran in its VMs.
  double own_cpu_seconds() const { return own_cpu_seconds_; }

 private:
  absl::Status RunArm(const ArmSpec& arm);
  absl::Status RunDisturbed(const ArmSpec& arm);
  absl::Status RunPairs(const ArmSpec& arm, ArmSession& session, Machines& machines);
  absl::Status StartCold(const ArmSpec& arm);
  absl::StatusOr<Machines> FreshMachines() const;
  ScenarioRep RunOnce(ArmSession& session, Machines& machines, int pair, bool disturbed,
                      double undisturbed_seconds);
  absl::Status Disturb(Machines& machines);
  absl::Status Undo(Machines& machines);
  bool strikes_half_way() const;
  // Ends the process of the arm that has computed most since `before`.
  absl::Status KillWorker(ArmSession& session, Machines& machines) const;

  const ScenarioRunOptions options_;
  Progress& progress_;
  ScenarioRecords records_;
  double own_cpu_seconds_ = 0;
  Outcome expected_;  // of the arm that runs
  std::vector<std::pair<pid_t, double>> cpu_before_;
};

// How many steps a progress bar counts.
int ProgressSteps(const ScenarioSpec& scenario, size_t arms);

}  // namespace rayx::bench
