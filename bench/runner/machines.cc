#include "bench/runner/machines.h"

#include <filesystem>

extern char** environ;

namespace rayx::bench {

absl::StatusOr<Machines> Machines::Simulate(int nodes, const MachineShape& shape,
                                            const std::vector<std::string>& visible_folders) {
  SimulatedVmsOptions options;
  options.vms = nodes;
  options.cpus_per_vm = shape.cpus;
  options.cpu_period_us = shape.cpu_period_us;
  options.visible_folders = visible_folders;
  auto vms = SimulatedVms::Up(options);
  if (!vms.ok()) return vms.status();
  Machines machines;
  machines.vms_.emplace(*std::move(vms));
  return machines;
}

absl::StatusOr<VmProcess> Machines::Start(int vm, const std::vector<std::string>& argv,
                                          const ExecOptions& options) {
  if (vms_) return vms_->Start(vm, argv, options);
  std::vector<std::string> words = {"/usr/bin/env"};
  words.insert(words.end(), options.environment.begin(), options.environment.end());
  words.insert(words.end(), argv.begin(), argv.end());
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) variables.emplace_back(*variable);
  return VmProcess::Spawn(words, variables, options);
}

absl::StatusOr<ExitStatus> Machines::Exec(int vm, const std::vector<std::string>& argv,
                                          const ExecOptions& options,
                                          std::chrono::milliseconds timeout) {
  auto process = Start(vm, argv, options);
  if (!process.ok()) return process.status();
  return process->Wait(timeout);
}

Usage Machines::Read(const std::string& account) const {
  Usage usage;
  for (int vm = 1; vms_ && vm <= vms_->size(); ++vm) {
    if (auto seconds = vms_->CpuSeconds(vm, account); seconds.ok()) {
      usage.cpu_seconds = usage.cpu_seconds.value_or(0) + *seconds;
    }
    if (auto bytes = vms_->PeakMemoryBytes(vm, account); bytes.ok()) {
      usage.peak_memory_bytes = usage.peak_memory_bytes.value_or(0) + *bytes;
    }
  }
  return usage;
}

void Machines::ResetPeak(const std::string& account) {
  for (int vm = 1; vms_ && vm <= vms_->size(); ++vm) {
    vms_->ResetPeakMemory(vm, account).IgnoreError();
  }
}

}  // namespace rayx::bench
