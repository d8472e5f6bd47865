// bench/runner/catalogue/workloads.h
//
// One function a workload, one file a family. bench/runner/arm_catalogue.cc lists them.
#pragma once

#include "bench/runner/workload_spec.h"

namespace rayx::bench {

WorkloadSpec ClassificationLogreg();
WorkloadSpec ClassificationMlp();
WorkloadSpec Etl();
WorkloadSpec Flights();
WorkloadSpec FmnistMlp();
WorkloadSpec KmeansCities();
WorkloadSpec KmeansBlobs();
WorkloadSpec Pagerank();

}  // namespace rayx::bench
