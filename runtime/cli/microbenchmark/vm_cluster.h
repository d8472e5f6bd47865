// runtime/cli/microbenchmark/vm_cluster.h
//
// A cluster on VMs that are simulated on this machine (vms/simulated_vms.h), for one row, and
// programs in them.
//
// Purpose:  what calls and objects cost between VMs can be measured on one machine.
// Owner:    a sampler.
// Threads:  the main thread.
// Promises: VMs, daemons and programs end with it, or with this process however it ends. NotRun
//           says why VMs cannot be had here.
// Limits:   all VMs share this machine's CPUs and memory.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "vms/simulated_vms.h"

namespace rayx::cli {

enum class Wire { kInsecure, kTls };

class VmCluster {
 public:
  // A node on each VM, the head on the first. VM n, counted from 1, has 1 CPU and 1 of the resource
  // "vm<n>". Throws NotRun, or std::runtime_error when RayX does not start there.
  VmCluster(int vms, Wire wire);
  VmCluster(const VmCluster&) = delete;
  VmCluster& operator=(const VmCluster&) = delete;

  std::string Address(int vm) const { return vms_->Address(vm); }
  // What each VM sends from now on goes at this rate. Throws NotRun.
  void LimitLinks(int64_t bits_per_second);

 private:
  friend class VmProgram;
  void StartNode(int vm, const std::vector<std::string>& arguments);
  void CopyJoinFile(int vm);

  std::optional<vms::SimulatedVms> vms_;
};

// A part (fresh_program.h) in a VM that is asked for numbers, line by line.
class VmProgram {
 public:
  VmProgram(std::shared_ptr<VmCluster> cluster, int vm, const std::string& probe);

  // Throws std::runtime_error when it does not answer `line` with `count` numbers.
  std::vector<double> Ask(const std::string& line, size_t count);
  // What it says unasked.
  std::vector<double> Numbers(size_t count);

 private:
  std::shared_ptr<VmCluster> cluster_;  // outlives the process
  std::string who_;
  base::UniqueFd conversation_;
  std::optional<vms::VmProcess> process_;
};

}  // namespace rayx::cli
