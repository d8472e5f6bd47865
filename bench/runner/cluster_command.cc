#include "bench/runner/cluster_command.h"

#include <cstdio>
#include <filesystem>

#include "vms/simulated_vms.h"

namespace rayx::bench {
namespace {

using vms::SimulatedVms;
using vms::SimulatedVmsOptions;

int Fail(const absl::Status& status) {
  fprintf(stderr, "rayx-bench cluster: %s\n", std::string(status.message()).c_str());
  return 1;
}

void Print(const std::string& name, const SimulatedVms& vms) {
  for (int vm = 1; vm <= vms.size(); ++vm) {
    printf("%-10s %-6s %-12s %s\n", name.c_str(), vms.HostName(vm).c_str(), vms.Address(vm).c_str(),
           vms.Alive(vm) ? "up" : "lost");
  }
}

}  // namespace

int ClusterUp(const std::string& name, int nodes, double cpus) {
  SimulatedVmsOptions options;
  options.name = name;
  options.vms = nodes;
  options.cpus_per_vm = cpus;
  options.outlive_owner = true;
  options.visible_folders = {std::filesystem::current_path().string()};
  auto vms = SimulatedVms::Up(options);
  if (!vms.ok()) return Fail(vms.status());
  Print(name, *vms);
  printf(
      "rayx-bench cluster exec 1 -- COMMAND runs a command in vm1; cluster down ends them all\n");
  return 0;
}

int ClusterDown(const std::string& name) {
  auto vms = SimulatedVms::Attach(name);
  if (!vms.ok()) return Fail(vms.status());
  vms->Down();
  return 0;
}

int ClusterExec(const std::string& name, int vm, const std::vector<std::string>& command) {
  auto vms = SimulatedVms::Attach(name);
  if (!vms.ok()) return Fail(vms.status());
  auto process = vms->Start(vm, command, {.inherit_output = true});
  if (!process.ok()) return Fail(process.status());
  for (;;) {
    auto ended = process->Wait(std::chrono::hours(1));
    if (ended.ok()) return ended->exit_code;
    if (ended.status().code() != absl::StatusCode::kDeadlineExceeded) return Fail(ended.status());
  }
}

int ClusterLose(const std::string& name, int vm) {
  auto vms = SimulatedVms::Attach(name);
  if (!vms.ok()) return Fail(vms.status());
  if (auto s = vms->Lose(vm); !s.ok()) return Fail(s);
  Print(name, *vms);
  return 0;
}

int ClusterStatus() {
  const auto names = SimulatedVms::ListAndClearStale();
  if (names.empty()) printf("no simulated VMs are up\n");
  for (const std::string& name : names) {
    if (auto vms = SimulatedVms::Attach(name); vms.ok()) Print(name, *vms);
  }
  return 0;
}

}  // namespace rayx::bench
