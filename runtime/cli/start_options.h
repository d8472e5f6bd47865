// runtime/cli/start_options.h
//
// The options of `rayx start`, as given and as checked.
// Owner:    values.
// Threads:  any.
// Promises: Parse* and MakePlan answer with an error that names the option and what was expected;
//           they start nothing.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "cli/start_plan.h"

namespace rayx::cli {

struct StartOptions {
  bool head = false;
  std::string address;  // of the head to join
  std::string join_file;
  std::string listen;  // "" = the default
  std::string port;    // "" = the default
  std::string num_cpus;
  std::string num_gpus;
  std::string resources;  // JSON
  std::string labels;     // k=v,..
  std::string object_store_memory;
  std::string log_file_size;
  std::string log_files;
  std::string log_total;
  bool insecure = false;
  bool block = false;
  int ready_fd = -1;
  bool embedded = false;
  int pipe_fd = -1;
  int driver_pid = 0;
};

// "30%" of the VM's memory, "2GiB", "500MB", "1073741824".
base::StatusOr<uint64_t> ParseMemory(const std::string& option, const std::string& text,
                                     uint64_t vm_bytes);
// "16MiB": of a log, of all logs; how many files a log has.
base::StatusOr<LogBounds> ParseLogBounds(const StartOptions& options);
base::StatusOr<double> ParseAmount(const std::string& option, const std::string& text);
base::StatusOr<scheduling::Labels> ParseLabels(const std::string& text);
// CPU, GPU, memory (what the store leaves) and the custom ones.
base::StatusOr<model::ResourceSet> ParseResources(const StartOptions& options, uint64_t vm_bytes,
                                                  uint64_t store_bytes);

// All of the above, and which options go together. Fills in everything but cluster, and of a
// joining node the listen address.
base::StatusOr<StartPlan> MakePlan(const StartOptions& options);

uint64_t MemoryOfVm();  // bytes, a cgroup's limit included

}  // namespace rayx::cli
