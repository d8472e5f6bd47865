#include "bench/runner/machines.h"

#include <unistd.h>

extern char** environ;

namespace rayx::bench {
namespace {

// Joins the cgroups named before "--", then becomes the command after it.
constexpr char kJoinAndRun[] =
    "while [ \"$1\" != -- ]; do echo 0 > \"$1\" || exit 126; shift; done; shift; exec \"$@\"";

constexpr char kNotSimulated[] = "this machine is no simulated VM";

void Add(const VmCgroup& group, Usage& usage) {
  if (auto seconds = group.CpuSeconds(); seconds.ok()) usage.cpu_seconds = *seconds;
  if (auto bytes = group.PeakMemoryBytes(); bytes.ok()) usage.peak_memory_bytes = *bytes;
}

}  // namespace

void Machines::RemoveGroup::operator()(VmCgroup* group) const {
  VmCgroup::RemoveFolders(group->folders());
  delete group;
}

Machines Machines::Bare(bool metered) {
  Machines machines;
  if (!metered || geteuid() != 0) return machines;
  auto group = VmCgroup::Create("rayx-bench-" + std::to_string(getpid()), 0, 10000);
  if (group.ok()) machines.group_.reset(new VmCgroup(*std::move(group)));
  return machines;
}

absl::StatusOr<Machines> Machines::Simulate(int nodes, const MachineShape& shape,
                                            const std::vector<std::string>& visible_folders,
                                            const std::vector<VmMount>& mounts) {
  SimulatedVmsOptions options;
  options.vms = nodes;
  options.cpus_per_vm = shape.cpus;
  options.cpu_period_us = shape.cpu_period_us;
  options.visible_folders = visible_folders;
  options.mounts = mounts;
  auto vms = SimulatedVms::Up(options);
  if (!vms.ok()) return vms.status();
  Machines machines;
  machines.vms_.emplace(*std::move(vms));
  return machines;
}

absl::StatusOr<VmProcess> Machines::Start(int vm, const std::vector<std::string>& argv,
                                          const ExecOptions& options) {
  if (vms_) return vms_->Start(vm, argv, options);
  std::vector<std::string> words;
  if (group_) {
    auto account = group_->Account(options.account);
    if (!account.ok()) return account.status();
    words = {"/bin/sh", "-c", kJoinAndRun, "sh"};
    for (const std::string& file : account->JoinFiles()) words.push_back(file);
    words.emplace_back("--");
  }
  words.emplace_back("/usr/bin/env");
  words.insert(words.end(), options.environment.begin(), options.environment.end());
  words.insert(words.end(), argv.begin(), argv.end());
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable)
    variables.emplace_back(*variable);
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
  if (group_ && account.empty()) Add(*group_, usage);
  if (group_ && !account.empty()) {
    if (auto part = group_->Account(account); part.ok()) Add(*part, usage);
  }
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

std::optional<double> Machines::CpuSeconds(int vm, const std::string& account) const {
  if (!vms_) return Read(account).cpu_seconds;
  auto seconds = vms_->CpuSeconds(vm, account);
  return seconds.ok() ? std::optional(*seconds) : std::nullopt;
}

absl::Status Machines::Lose(int vm) {
  return vms_ ? vms_->Lose(vm) : absl::FailedPreconditionError(kNotSimulated);
}

absl::Status Machines::SetCpus(int vm, double cpus, int period_us) {
  return vms_ ? vms_->SetCpus(vm, cpus, period_us) : absl::FailedPreconditionError(kNotSimulated);
}

absl::Status Machines::SetLinkRate(int64_t bits_per_second) {
  if (!vms_) return absl::FailedPreconditionError(kNotSimulated);
  for (int vm = 1; vm <= vms_->size(); ++vm) {
    if (auto s = vms_->SetLinkRate(vm, bits_per_second); !s.ok()) return s;
  }
  return absl::OkStatus();
}

std::vector<pid_t> Machines::Processes(int vm, const std::string& account) const {
  return vms_ ? vms_->Processes(vm, account) : std::vector<pid_t>();
}

void Machines::ResetPeak(const std::string& account) {
  if (group_) {
    if (auto part = group_->Account(account); part.ok()) part->ResetPeakMemory().IgnoreError();
  }
  for (int vm = 1; vms_ && vm <= vms_->size(); ++vm) {
    vms_->ResetPeakMemory(vm, account).IgnoreError();
  }
}

}  // namespace rayx::bench
