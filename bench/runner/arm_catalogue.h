// bench/runner/arm_catalogue.h
//
// Which workloads there are, which arms each has, and how an arm is started. Adding an arm or a
// workload is a row in arm_catalogue.cc and its program.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rayx::bench {

enum class ArmKind {
  kTorchrun,  // one rank a VM under torchrun
  kSerial,    // one process in VM 1
  kRayx,      // a driver in VM 1, daemons on all
};

struct ArmSpec {
  std::string name;
  ArmKind kind = ArmKind::kTorchrun;
  std::string program;  // below bench/native, or below the build's bin/ for kRayx
  std::vector<std::string> arguments = {};
  bool one_node_only = false;
  // Runs on the bare machine with all its CPUs: a line for orientation, never part of a pair.
  bool unrestricted = false;
  std::string description = {};
};

struct WorkloadSpec {
  std::string name;
  std::string title;
  std::string dataset_folder;  // below the data folder
  std::string dataset_sha256;  // pinned: see arm_protocol.h
  int64_t steps_per_epoch = 0;
  int64_t gradient_bytes = 0;  // that ranks exchange a step
  std::vector<ArmSpec> arms;
};

const std::vector<WorkloadSpec>& Workloads();

// Shell-style pattern over workload names: * and ?.
bool MatchesGlob(const std::string& pattern, const std::string& text);

}  // namespace rayx::bench
