// runtime/vms/vm_cgroup.h
//
// The CPU share of one simulated VM, and meters of what is used in it: a cgroup with a quota, and
// below it one cgroup a metered account (an arm of a benchmark).
// Owner:    SimulatedVms, one a VM.             Threads: one at a time.
// Inputs:   cgroup v1 (cpu, cpuacct, memory) where it is mounted or can be mounted; otherwise v2.
// Promises: every process that joins, and everything it starts, shares `cpus` CPUs with all others
//           of the VM, counted per `period_us`; RemoveFolders() leaves nothing behind once the
//           processes are gone.
// Limits:   needs root. A kernel without a CPU controller is an error that says so, never no quota.
//           With v2 memory is not metered.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rayx::vms {

class VmCgroup {
 public:
  // `name` becomes one path component below each controller's root. `cpus` 0: no quota is set.
  static absl::StatusOr<VmCgroup> Create(const std::string& name, double cpus, int period_us);
  // A meter for a part of the VM's processes; the same one for the same name.
  absl::StatusOr<VmCgroup> Account(const std::string& name) const;

  // Removes the folders and the accounts in them, which must be empty of processes.
  static void RemoveFolders(const std::vector<std::string>& folders);

  // Another quota from now on, for all members together; 0: none.
  absl::Status SetQuota(double cpus, int period_us) const;

  // Files to which a process writes "0" in order to join.
  std::vector<std::string> JoinFiles() const;
  const std::vector<std::string>& folders() const { return folders_; }

  // The members that run now; those of an account are no members of the VM's own group.
  std::vector<int> Members() const;
  // CPU seconds used by all members, past and present; user and system together.
  absl::StatusOr<double> CpuSeconds() const;
  // Most memory that the members held at once: anonymous, shared memory, and file pages that a
  // member was the first to read. Since the last reset.
  absl::StatusOr<int64_t> PeakMemoryBytes() const;
  absl::Status ResetPeakMemory() const;

 private:
  void FindMeters();

  std::vector<std::string> folders_;  // one a hierarchy
  std::string usage_file_, peak_file_, quota_folder_;
  bool version_2_ = false;
};

}  // namespace rayx::vms
