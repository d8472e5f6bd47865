// runtime/vms/simulated_vms.h
//
// VMs simulated on one machine: each a set of namespaces (network, mount, host name, pid, IPC) with
// an init that reaps, its own /tmp, /dev/shm, /run and HOME, and a CPU quota, connected by veth to
// a bridge that lies in a network namespace of its own. No two of them share memory, and the
// machine's own network never sees them.
//   SimulatedVmsOptions options{.vms = 3};
//   auto vms = SimulatedVms::Up(options);                       // absl::StatusOr
//   auto run = vms->Exec(1, {"/usr/bin/hostname"});             // run->output == "vm1\n"
//   auto daemon = vms->Start(2, {"/path/rayx", "start", ...});  // a VmProcess handle
//   vms->Lose(2);                                               // link down, then SIGKILL its init
// Owner:    a benchmark or a test.              Threads: one at a time.
// Inputs:   root, iproute2, util-linux (nsenter), a kernel with namespaces, veth and a CPU cgroup;
//           rayx-vm-init beside the program, one folder up or in libexec/rayx there, or at
//           RAYX_VM_INIT.
// Promises: a VM sees no memory of another; losing a VM sends no packet; destruction, a crash or
//           SIGKILL of the owner ends every process inside (init hangs on a pipe of the owner), and
//           what a crash leaves (cgroups, a record) the next Up() of any owner clears.
// Limits:   kVmsMax VMs; loopback and these VMs are all the network there is.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "vms/vm_cgroup.h"
#include "vms/vm_process.h"

namespace rayx::vms {

inline constexpr int kVmsMax = 64;

// A host folder or file that appears inside.
struct VmMount {
  int vm = 0;  // 0: all of them
  std::string host_path, vm_path;
};

struct SimulatedVmsOptions {
  std::string name = {};     // one word; empty: made from the owner's pid
  int vms = 1;               // 1..kVmsMax
  double cpus_per_vm = 0.6;  // 0: no quota
  int cpu_period_us = 10000;
  // True: the VMs stay when this process ends, until Attach(name) and Down().
  bool outlive_owner = false;
  // Must stay reachable at the same path although /tmp and /run become private.
  std::vector<std::string> visible_folders = {};
  std::vector<VmMount> mounts = {};
};

class SimulatedVms {
 public:
  // "" when this machine can simulate VMs, else the reason in one sentence.
  static std::string WhyNot();

  static absl::StatusOr<SimulatedVms> Up(const SimulatedVmsOptions& options);
  // VMs that an earlier process left up with outlive_owner; they are not taken down at destruction.
  static absl::StatusOr<SimulatedVms> Attach(const std::string& name);
  // Names of the sets that are up; clears what crashed runs left.
  static std::vector<std::string> ListAndClearStale();

  SimulatedVms(SimulatedVms&&) noexcept;
  SimulatedVms& operator=(SimulatedVms&&) noexcept;
  ~SimulatedVms();

  int size() const;
  std::string Address(int vm) const;   // "10.77.0.1"; VMs count from 1
  std::string HostName(int vm) const;  // "vm1"
  bool Alive(int vm) const;
  // Host view of PID 1 of the VM; its descendants are the VM's processes.
  pid_t InitPid(int vm) const;

  // Starts a command in a VM. argv[0] is looked up in PATH.
  absl::StatusOr<VmProcess> Start(int vm, const std::vector<std::string>& argv,
                                  const ExecOptions& options = {});
  // Start and Wait. kDeadlineExceeded kills the command.
  absl::StatusOr<ExitStatus> Exec(int vm, const std::vector<std::string>& argv,
                                  const ExecOptions& options = {},
                                  std::chrono::milliseconds timeout = std::chrono::minutes(1));

  // All packets from and to the VM are dropped, or flow again.
  absl::Status SetLink(int vm, bool up);
  // What a VM sends goes at this rate from now on; 0: as fast as it can.
  absl::Status SetLinkRate(int vm, int64_t bits_per_second);
  // Another CPU quota from now on; 0: none.
  absl::Status SetCpus(int vm, double cpus, int period_us);
  // The VM is gone as if its power failed: no packet tells the others.
  absl::Status Lose(int vm);
  // Host view of the processes that were started with ExecOptions::account, and theirs.
  std::vector<pid_t> Processes(int vm, const std::string& account) const;
  // CPU seconds used inside so far by all processes that ever ran there, or by those started with
  // ExecOptions::account, and the most memory that they held at once since the last reset.
  absl::StatusOr<double> CpuSeconds(int vm, const std::string& account = "") const;
  absl::StatusOr<int64_t> PeakMemoryBytes(int vm, const std::string& account = "") const;
  absl::Status ResetPeakMemory(int vm, const std::string& account = "");

  void Down();

 private:
  struct State;
  absl::StatusOr<VmCgroup> Meter(int vm, const std::string& account) const;
  explicit SimulatedVms(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace rayx::vms
