// runtime/vms/vm_process.h
//
// A command that runs inside a simulated VM, as a handle in the process that started it.
// Owner:    the caller of SimulatedVms::Start.      Threads: one at a time.
// Promises: Wait never blocks longer than asked; the destructor kills what still runs and reaps
//           it within seconds. The exit code is the command's; a death by signal is told apart.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rayx::vms {

struct ExecOptions {
  std::vector<std::string> environment = {};  // NAME=value, on top of the VM's
  std::string working_folder = {};            // inside the VM; empty: the caller's own
  std::string output_file = {};  // stdout and stderr appended there; empty: both are captured
  std::string account = {};      // meter that the command counts on; empty: the VM's alone
  bool inherit_output = false;   // stdin, stdout and stderr are the caller's
  // Not -1: the command's stdin and stdout, which stay the caller's to close; stderr is the
  // caller's own.
  int conversation = -1;
};

struct ExitStatus {
  int exit_code = 0;  // 128 + signal when `signal` is not 0
  int signal = 0;
  std::string output;  // stdout, then
  std::string errors;  // stderr; empty unless captured

  bool ok() const { return exit_code == 0; }
};

class VmProcess {
 public:
  // Used by SimulatedVms: runs `argv` as a child; descriptors -1 are the caller's own.
  static absl::StatusOr<VmProcess> Spawn(const std::vector<std::string>& argv,
                                         const std::vector<std::string>& environment,
                                         const ExecOptions& options);
  VmProcess(VmProcess&& other) noexcept;
  VmProcess& operator=(VmProcess&& other) noexcept;
  ~VmProcess();

  // Host view of the process that stands for the command; signals sent to it reach the command.
  pid_t pid() const { return pid_; }
  bool Running();
  // kDeadlineExceeded when it still runs after `timeout`.
  absl::StatusOr<ExitStatus> Wait(std::chrono::milliseconds timeout);
  void Signal(int signal_number);

 private:
  VmProcess() = default;
  bool Reap(bool block);
  bool EndsWithin(std::chrono::milliseconds timeout);

  pid_t pid_ = -1;
  int output_ = -1, errors_ = -1;  // memfds, when captured
  bool ended_ = false;
  int raw_status_ = 0;
};

}  // namespace rayx::vms
