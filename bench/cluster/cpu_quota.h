// bench/cluster/cpu_quota.h
//
// The CPU share of one simulated VM: a cgroup with a quota, and a meter of the CPU time used in it.
// Owner:    SimulatedVms, one a VM.             Threads: one at a time.
// Inputs:   cgroup v1 (cpu, cpuacct) where it is mounted or can be mounted; otherwise v2.
// Promises: every process that joins, and everything it starts, shares `cpus` CPUs, counted per
//           `period_us`; Remove() leaves no folder behind once the processes are gone.
// Limits:   needs root. A kernel without a CPU controller is an error that says so, never no quota.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rayx::bench {

class CpuQuota {
 public:
  // `name` becomes one path component below the controller's root. `cpus` 0 means: meter only.
  static absl::StatusOr<CpuQuota> Create(const std::string& name, double cpus, int period_us);

  // Removes what a crashed run left under `folders`, which must be empty of processes.
  static void RemoveFolders(const std::vector<std::string>& folders);

  // Files to which a process writes "0" in order to join.
  std::vector<std::string> JoinFiles() const;
  const std::vector<std::string>& folders() const { return folders_; }

  // CPU seconds used by all members, past and present; user and system together.
  absl::StatusOr<double> CpuSeconds() const;

  void Remove() { RemoveFolders(folders_); }

 private:
  std::vector<std::string> folders_;  // one, or two where cpu and cpuacct are separate hierarchies
  std::string usage_file_;
  bool version_2_ = false;
};

}  // namespace rayx::bench
