// bench/runner/workload_run.h
//
// Runs one workload's arms on each number of VMs: launches them one after the other, then pairs in
// random order, then gates.
// Owner:    the run of a suite.                 Threads: one.
// Promises: an arm that fails is named with the first line of its reason (the rest is in its log)
//           and takes no part in what follows; the others go on. Stops early, with kCancelled, when
//           the user interrupts.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "bench/runner/progress.h"
#include "bench/runner/result_writer.h"
#include "bench/runner/suite.h"
#include "bench/runner/summary.h"

namespace rayx::bench {

struct WorkloadRunOptions {
  const WorkloadSpec& workload;
  SuitePlan plan;
  std::vector<const ArmSpec*> arms;
  Places places;
  MachineShape shape;
  bool simulate = true;
  uint64_t seed = 1;
};

class WorkloadRun {
 public:
  WorkloadRun(WorkloadRunOptions options, const ResultWriter& writer, Progress& progress);

  // Only what makes all further work pointless is an error; see failures in the records.
  absl::Status Run();

  const WorkloadRecords& records() const { return records_; }
  // CPU seconds of everything that ran; nullopt when a part of it could not be metered.
  std::optional<double> own_cpu_seconds() const { return own_cpu_seconds_; }
  // What the arms said when they were ready: torch version, BLAS, threads.
  const nlohmann::json& arm_facts() const { return arm_facts_; }

 private:
  using Sessions = std::vector<std::unique_ptr<ArmSession>>;

  absl::Status RunOn(int nodes);
  void RunUnrestricted();
  std::unique_ptr<ArmSession> Launch(const ArmSpec& arm, Machines& machines, int threads);
  void MeasureStarts(const ArmSpec& arm, Machines& machines);
  // One repetition of every live session, in random order.
  void RunPair(Sessions& sessions, int nodes, int pair);
  bool RunRep(ArmSession& session, int nodes, int pair, int order, bool unrestricted);
  void Fail(const ArmSpec& arm, int nodes, const absl::Status& why);
  void GateAndWrite(size_t first_rep, size_t first_start);
  void CountCpu(const Machines& machines);

  const WorkloadRunOptions options_;
  const ResultWriter& writer_;
  Progress& progress_;
  std::mt19937_64 random_;
  WorkloadRecords records_;
  nlohmann::json arm_facts_;
  std::optional<double> own_cpu_seconds_ = 0.0;
};

}  // namespace rayx::bench
