#include <string>

#include "bench/runner/catalogue/arms.h"
#include "bench/runner/catalogue/workloads.h"

namespace rayx::bench {
namespace {

// k-means but for its data.
WorkloadSpec Kmeans() {
  using enum GateKind;
  using enum Closeness;
  return {
      .step_word = "iteration",
      .phases = {"load", "seed", "iterate", "assign"},
      .main_phase = "iterate",
      .compared_phases = {"seed", "iterate"},
      .gates = {{"assignment", "assignment", "cluster of every row", kHash},
                {"inertia", "inertia", "final inertia", kValue, kRelative, 1e-9},
                {"inertia trace", "inertia", "inertia of each iteration", kSeries, kRelative, 1e-9},
                {"centres", "centres", "centres", kSeries, kAbsolute, 1e-9}},
      .same_on_any_nodes = true,
      .qualities = {{"inertia", "inertia", 10}},
      .curve = {"inertia", "Do they find the same clusters?", "inertia"},
      .exchanged_what = "partial sums",
      .remark =
          "RayX and native C++ run the same compiled kernel, the Python arms LibTorch’s "
          "operators: RayX against native C++ compares runtimes, against native Python "
          "runtime and kernel together.",
      .arms = Join({RayxArm("kmeans", "RayX: C++, one actor a VM keeps its blocks of rows"),
                    NativeCppArm("kmeans")},
                   PythonArms("kmeans",
                              "as in a tutorial: cdist, a loop over the clusters, "
                              "all_reduce"))};
}

}  // namespace

WorkloadSpec KmeansCities() {
  constexpr int64_t kClusters = 64, kBlockRows = 8192, kRows = 171075, kColumns = 2;
  WorkloadSpec workload = Kmeans();
  workload.name = "kmeans-cities";
  workload.title =
      "k-means of 171,075 cities by latitude and longitude, 64 clusters, k-means++ "
      "seeds, exact Lloyd";
  workload.dataset_folder = "cities";
  workload.dataset_files = {"cities.parquet"};
  workload.dataset_sha256 = "6006d87cf023ba8945e8011c1a9a153601fa236c95e136e7f196681729516ae5";
  workload.dataset_command = "rayx-data fetch cities";
  workload.arguments = {"--columns=lat,lng", "--clusters=" + std::to_string(kClusters),
                        "--block-rows=" + std::to_string(kBlockRows)};
  workload.steps = {.smoke = 5, .quick = 20, .quick_warm_up = 2, .full = 50, .full_warm_up = 5};
  workload.series = {{.name = "inertia"}, {.name = "centres", .length = kClusters * kColumns}};
  workload.exchanged_bytes =
      8 * kClusters * (kColumns + 2) * ((kRows + kBlockRows - 1) / kBlockRows);
  return workload;
}

WorkloadSpec KmeansBlobs() {
  constexpr int64_t kClusters = 16, kBlockRows = 65536, kRows = 1000000, kColumns = 8;
  WorkloadSpec workload = Kmeans();
  workload.name = "kmeans-blobs";
  workload.title =
      "k-means of 1,000,000 made-up rows of 8 columns, 16 clusters, k-means++ seeds, "
      "exact Lloyd";
  workload.dataset_folder = "blobs-1000000x8-s1";
  workload.dataset_files = {"meta.json"};  // written last
  workload.dataset_sha256 = "9f7567a48c32b001693d5ef5006b2021a50cfa0cbf235ea1ad83051562e9baf1";
  workload.dataset_command =
      "rayx-data gen blobs --num_samples 1000000 --num_features 8 --classes 16 --separation 1 "
      "--seed 1 "
      "--format parquet";
  workload.arguments = {"--columns=f0,f1,f2,f3,f4,f5,f6,f7",
                        "--clusters=" + std::to_string(kClusters),
                        "--block-rows=" + std::to_string(kBlockRows)};
  workload.smallest_suite = "full";
  workload.steps = {.smoke = 3, .quick = 10, .quick_warm_up = 1, .full = 30, .full_warm_up = 3};
  workload.series = {{.name = "inertia"}, {.name = "centres", .length = kClusters * kColumns}};
  workload.exchanged_bytes =
      8 * kClusters * (kColumns + 2) * ((kRows + kBlockRows - 1) / kBlockRows);
  return workload;
}

}  // namespace rayx::bench
