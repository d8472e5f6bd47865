#include "bench/runner/arm_catalogue.h"

#include <fnmatch.h>

#include <algorithm>

#include "bench/runner/catalogue/workloads.h"

namespace rayx::bench {

const std::vector<WorkloadSpec>& Workloads() {
  static const std::vector<WorkloadSpec> workloads = {
      ClassificationLogreg(), ClassificationMlp(), Flights(),  FmnistMlp(),
      KmeansCities(),         KmeansBlobs(),       Pagerank(), Etl()};
  return workloads;
}

std::vector<std::string> DatasetCommands(const std::vector<const WorkloadSpec*>& workloads) {
  std::vector<std::string> commands;
  for (const WorkloadSpec* workload : workloads) {
    const std::string& command = workload->dataset_command;
    if (std::find(commands.begin(), commands.end(), command) == commands.end()) {
      commands.push_back(command);
    }
  }
  return commands;
}

bool MatchesGlob(const std::string& pattern, const std::string& text) {
  return fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

}  // namespace rayx::bench
