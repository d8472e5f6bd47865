#include "bench/runner/catalogue/arms.h"
#include "bench/runner/catalogue/workloads.h"

namespace rayx::bench {

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
          Join({RayxArm("pagerank", "RayX: C++, one actor a VM keeps its edges, ranks are objects"),
                NativeCppArm("pagerank")},
               PythonArms("pagerank",
                          "as a student would: every rank a share of the edges, "
                          "index_add, all_reduce"))};
}

}  // namespace rayx::bench
