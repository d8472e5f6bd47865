#include "bench/runner/arm_catalogue.h"

#include <fnmatch.h>

#include "bench/runner/catalogue/workloads.h"

namespace rayx::bench {

const std::vector<WorkloadSpec>& Workloads() {
  static const std::vector<WorkloadSpec> workloads = {
      ClassificationLogreg(), ClassificationMlp(), Flights(),  FmnistMlp(),
      KmeansCities(),         KmeansBlobs(),       Pagerank(), Etl()};
  return workloads;
}

bool MatchesGlob(const std::string& pattern, const std::string& text) {
  return fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

}  // namespace rayx::bench
