// bench/runner/cluster_command.h
//
// `rayx-bench cluster up|down|exec|lose|status`: simulated VMs by hand, under the name "default".
// Owner: main.                                  Threads: one.
// Promises: up either leaves all VMs up or none; exec ends with the command's exit code.
#pragma once

#include <string>
#include <vector>

namespace rayx::bench {

int ClusterUp(const std::string& name, int nodes, double cpus);
int ClusterDown(const std::string& name);
int ClusterExec(const std::string& name, int vm, const std::vector<std::string>& command);
int ClusterLose(const std::string& name, int vm);
int ClusterStatus();

}  // namespace rayx::bench
