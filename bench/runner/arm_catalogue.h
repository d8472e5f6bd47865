// bench/runner/arm_catalogue.h
//
// Which workloads there are, which arms each has, and how an arm is started. A new one is
// a file in catalogue/, a row in arm_catalogue.cc, and its programs.
#pragma once

#include <string>
#include <vector>

#include "bench/runner/workload_spec.h"

namespace rayx::bench {

const std::vector<WorkloadSpec>& Workloads();

// What brings the data of these: each command once.
std::vector<std::string> DatasetCommands(const std::vector<const WorkloadSpec*>& workloads);

// Shell-style pattern over workload names: * and ?.
bool MatchesGlob(const std::string& pattern, const std::string& text);

}  // namespace rayx::bench
