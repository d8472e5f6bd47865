// bench/runner/machines.h
//
// Where the arms run: simulated VMs, or this machine itself: one "VM" without quota, for the serial
// program on the whole machine, and for everything where no VMs can be simulated.
// Owner:    the run of a suite, one a number of VMs.   Threads: one.
// Promises: the same quota for every arm; meters count an arm's processes and what they start, by
//           their cgroup, wherever it runs.
// Limits:   without root the bare machine has no meters, and Read() says nothing.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "vms/simulated_vms.h"
#include "vms/vm_cgroup.h"

namespace rayx::bench {

using vms::ExecOptions;
using vms::ExitStatus;
using vms::SimulatedVms;
using vms::SimulatedVmsOptions;
using vms::VmCgroup;
using vms::VmMount;
using vms::VmProcess;

struct MachineShape {
  double cpus = 0.6;
  int cpu_period_us = 10000;
};

// One cut-off point of an arm's consumption, summed over all VMs. Account "" is everything in them.
struct Usage {
  std::optional<double> cpu_seconds;
  std::optional<int64_t> peak_memory_bytes;
};

class Machines {
 public:
  // `visible_folders`: what must be reachable inside although /tmp and /run are private.
  static absl::StatusOr<Machines> Simulate(int nodes, const MachineShape& shape,
                                           const std::vector<std::string>& visible_folders,
                                           const std::vector<VmMount>& mounts = {});
  // This machine, without quota. `metered`: with meters where that is possible.
  static Machines Bare(bool metered);

  int size() const { return vms_ ? vms_->size() : 1; }
  bool simulated() const { return vms_.has_value(); }
  std::string Address(int vm) const { return vms_ ? vms_->Address(vm) : "127.0.0.1"; }
  // The network interface that leads to the others.
  std::string Interface() const { return vms_ ? "eth0" : "lo"; }

  absl::StatusOr<VmProcess> Start(int vm, const std::vector<std::string>& argv,
                                  const ExecOptions& options);
  absl::StatusOr<ExitStatus> Exec(int vm, const std::vector<std::string>& argv,
                                  const ExecOptions& options, std::chrono::milliseconds timeout);

  // Of VM `vm` alone; nullopt where it is lost or nothing meters.
  std::optional<double> CpuSeconds(int vm, const std::string& account) const;
  // What happens to VMs in a scenario; an error on the bare machine, where nothing is simulated.
  absl::Status Lose(int vm);
  absl::Status SetCpus(int vm, double cpus, int period_us);
  absl::Status SetLinkRate(int64_t bits_per_second);  // of every VM; 0: unlimited
  std::vector<pid_t> Processes(int vm, const std::string& account) const;

  Usage Read(const std::string& account) const;
  void ResetPeak(const std::string& account);

 private:
  struct RemoveGroup {
    void operator()(VmCgroup* group) const;
  };

  std::optional<SimulatedVms> vms_;
  std::unique_ptr<VmCgroup, RemoveGroup> group_;  // the bare machine's meter; null: none
};

}  // namespace rayx::bench
