#include "bench/runner/arm_catalogue.h"

#include <fnmatch.h>

namespace rayx::bench {
namespace {

ArmSpec Rayx(const std::string& program, const std::string& description) {
  return {.name = "rayx",
          .kind = ArmKind::kRayx,
          .program = "bench/" + program,
          .description = description};
}

ArmSpec NativeCpp(const std::string& program) {
  return {.name = "native-cpp",
          .kind = ArmKind::kRanks,
          .program = "bench/" + program + "_native",
          .description = "C++ on c10d: the kernel of the RayX program, ranks over Gloo"};
}

// The Python arms of `program`: tuned, as in a tutorial, and one process alone, with the quota of
// one VM and without any.
std::vector<ArmSpec> PythonArms(const std::string& program, const std::string& naive) {
  ArmSpec serial = {.name = "serial",
                    .kind = ArmKind::kSerial,
                    .program = program + "_tuned.py",
                    .arguments = {"--serial"},
                    .one_node_only = true,
                    .description = "one process in one VM, nothing distributed"};
  ArmSpec unrestricted = serial;
  unrestricted.name = "serial-unrestricted";
  unrestricted.unrestricted = true;
  unrestricted.description = "one process on the whole machine, without quota";
  return {{.name = "native-py",
           .kind = ArmKind::kTorchrun,
           .program = program + "_tuned.py",
           .description = "torch.distributed + Gloo under torchrun, tuned by hand"},
          {.name = "native-py-naive",
           .kind = ArmKind::kTorchrun,
           .program = program + "_naive.py",
           .description = naive},
          serial,
          unrestricted};
}

std::vector<ArmSpec> Join(std::vector<ArmSpec> first, const std::vector<ArmSpec>& then) {
  first.insert(first.end(), then.begin(), then.end());
  return first;
}

WorkloadSpec FmnistMlp() {
  using enum GateKind;
  using enum Closeness;
  using enum GateScope;
  return {
      .name = "fmnist-mlp",
      .title = "Fashion-MNIST, multilayer perceptron 784-512-512-10, SGD 0.001, global batch 64",
      .dataset_folder = "fashion-mnist",
      .dataset_files = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                        "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"},
      .dataset_sha256 = "14410854cf7a289477dcfc7df3f8ec24741e281cdcc425ede0d9a748ca630214",
      .dataset_command = "rayx-data fetch fashion-mnist",
      .steps = {.smoke = 60, .quick = 200, .quick_warm_up = 20, .full = 938, .full_warm_up = 100},
      .phases = {"load", "preprocess", "train", "evaluate"},
      .main_phase = "train",
      .compared_phases = {"preprocess", "train"},
      .gates = {{"features", "features", "features", kHash},
                {"loss trace", "loss", "loss of each step", kSeries, kExact, 0, kBitForBit},
                {"loss trace", "loss", "loss of each step", kSeries, kAbsolute, 1e-6, kBeyond},
                {"weights", "weights", "final weights", kHash, kExact, 0, kBitForBit},
                // Single weights are not compared there.
                {"weights", "weights_abs_sum", "sum of the weights’ absolute values", kValue,
                 kRelative, 1e-6, kBeyond},
                {"accuracy", "accuracy", "accuracy", kValue, kExact, 0, kBitForBit},
                {"accuracy", "accuracy", "accuracy", kValue, kAbsolute, 0.001, kBeyond}},
      .series = {{.name = "loss"}},
      .qualities = {{"accuracy", "accuracy", 4}},
      .curve = {"loss", "Do they learn the same?", "training loss"},
      .exchanged_bytes = 4 * (785 * 512 + 513 * 512 + 513 * 10),
      .exchanged_what = "gradients",
      .remark =
          "All arms compute with the same LibTorch; differences are the runtime’s and the "
          "language’s together (native is Python, RayX is C++).",
      .arms =
          Join({Rayx("fmnist_mlp",
                     "RayX: C++ program, preprocessing as tasks, "
                     "DataParallelTrainer")},
               PythonArms("fmnist_mlp", "torch.distributed as in a tutorial: DDP, DataLoader"))};
}

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
      .arms = Join({Rayx("kmeans", "RayX: C++, one actor a VM keeps its blocks of rows"),
                    NativeCpp("kmeans")},
                   PythonArms("kmeans",
                              "as in a tutorial: cdist, a loop over the clusters, "
                              "all_reduce"))};
}

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
  workload.steps = {.smoke = 3, .quick = 10, .quick_warm_up = 1, .full = 30, .full_warm_up = 3};
  workload.series = {{.name = "inertia"}, {.name = "centres", .length = kClusters * kColumns}};
  workload.exchanged_bytes =
      8 * kClusters * (kColumns + 2) * ((kRows + kBlockRows - 1) / kBlockRows);
  return workload;
}

WorkloadSpec Pagerank() {
  using enum GateKind;
  using enum Closeness;
  constexpr int64_t kNodes = 117659;
  return {
      .name = "pagerank",
      .title = "PageRank of the WordNet graph, 117,659 nodes, 377,592 edges, damping 0.85",
      .dataset_folder = "wordnet",
      .dataset_files = {"edges.parquet", "nodes.parquet"},
      .dataset_sha256 = "306a22686941fb114afca653213aa10e446ff0c646eec8269d08c63aba02c78f",
      .dataset_command = "rayx-data fetch wordnet",
      .steps = {.smoke = 20, .quick = 50, .quick_warm_up = 5, .full = 100, .full_warm_up = 10},
      .step_word = "iteration",
      .phases = {"load", "partition", "iterate"},
      .main_phase = "iterate",
      .compared_phases = {"iterate"},
      .gates = {{"ranks", "ranks", "ranks of all nodes", kSeries, kL1, 1e-10},
                {"top 10", "top10", "the ten highest nodes", kText},
                {"change trace", "change", "change of each iteration", kSeries, kAbsolute, 1e-10}},
      .same_on_any_nodes = true,
      .series = {{.name = "change"}, {.name = "ranks", .length = kNodes, .kept = false}},
      .qualities = {{"highest", "highest rank", 8}, {"change", "last change", 3}},
      .curve = {"change", "Do they converge alike?", "change of the ranks (L1)", true},
      .exchanged_bytes = 8 * kNodes,
      .exchanged_what = "ranks",
      .remark =
          "RayX and native C++ run the same compiled kernel, the Python arms LibTorch’s "
          "operators: RayX against native C++ compares runtimes, against native Python "
          "runtime and kernel together.",
      .arms =
          Join({Rayx("pagerank", "RayX: C++, one actor a VM keeps its edges, ranks are objects"),
                NativeCpp("pagerank")},
               PythonArms("pagerank",
                          "as a student would: every rank a share of the edges, "
                          "index_add, all_reduce"))};
}

}  // namespace

const std::vector<WorkloadSpec>& Workloads() {
  static const std::vector<WorkloadSpec> workloads = {FmnistMlp(), KmeansCities(), KmeansBlobs(),
                                                      Pagerank()};
  return workloads;
}

bool MatchesGlob(const std::string& pattern, const std::string& text) {
  return fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

}  // namespace rayx::bench
