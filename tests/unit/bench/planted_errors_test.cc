// Goal: an arm that does its work wrong fails a gate. Method: the C++ arms' own code on small data,
// its workers in one process, what it writes read as the runner reads it; then a wrong row, another
// seed, a step left out, a part that is forgotten.
#include "bench/workloads/arm/uniform_number.h"
#include "bench/workloads/kmeans/clustering.h"
#include "bench/workloads/pagerank/ranking.h"
#include "tests/unit/bench/arm_outcomes.h"
#include "tests/unit/bench/parquet_files.h"

namespace rayx::bench {
namespace {

constexpr int64_t kSteps = 6;

std::string Failed(const WorkloadSpec& workload, const Outcome& outcome, const Outcome& reference) {
  return FailedGates(workload, outcome, reference, {.steps = kSteps, .nodes = 3});
}

// All workers in this process. May forget the last worker's sums.
class LocalWorkers : public BlockWorkers {
 public:
  LocalWorkers(const KmeansOptions& options, int workers, bool forgetful)
      : block_rows_(options.block_rows), forgetful_(forgetful) {
    for (int i = 0; i < workers; ++i) workers_.emplace_back(PlanOf(options, i, workers));
  }
  int64_t Load() override {
    for (RowBlocks& worker : workers_) rows_ = worker.Load();
    return rows_;
  }
  std::vector<double> AddCentre(const Points& centre) override {
    return Joined([&](RowBlocks& worker) { return worker.AddCentre(centre); });
  }
  Points RowAtSum(int64_t block, double target) override {
    return Having(block).RowAtSum(block, target);
  }
  Points RowAt(int64_t row) override { return Having(row / block_rows_).RowAt(row); }
  std::vector<double> AssignAll(const Points& centres) override {
    auto sums = Joined([&](RowBlocks& worker) { return worker.AssignAll(centres); });
    if (forgetful_) sums.resize(sums.size() / 2);
    return sums;
  }
  std::vector<int32_t> Labels() override {
    return Joined([](RowBlocks& worker) { return worker.Labels(); });
  }

 private:
  template <typename Method>
  std::invoke_result_t<const Method&, RowBlocks&> Joined(const Method& method) {
    std::invoke_result_t<const Method&, RowBlocks&> all;
    for (RowBlocks& worker : workers_) {
      const auto part = method(worker);
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }
  RowBlocks& Having(int64_t block) {
    const int worker =
        WorkerOfBlock(block, BlockCount(rows_, block_rows_), static_cast<int>(workers_.size()));
    return workers_.at(static_cast<size_t>(worker));
  }

  const int64_t block_rows_;
  const bool forgetful_;
  int64_t rows_ = 0;
  std::vector<RowBlocks> workers_;
};

class Clusters {
 public:
  Clusters() : folder_("kmeans") { Write(0); }

  // Two parts of rows around ten places; `shift` moves one row.
  void Write(double shift) const {
    std::vector<double> lat, lng;
    for (uint64_t i = 0; i < 5000; ++i) {
      const double place = std::floor(UniformNumber(3, 3 * i) * 10);
      lat.push_back(place * 7 + UniformNumber(3, 3 * i + 1));
      lng.push_back(std::fmod(place * 3, 10) * 5 + UniformNumber(3, 3 * i + 2));
    }
    lat[1234] += shift;
    for (const auto& [name, begin, end] :
         {std::tuple("a.parquet", 0, 3000), std::tuple("b.parquet", 3000, 5000)}) {
      const auto part = [&, b = begin, e = end](const std::vector<double>& values) {
        return ArrayOf<arrow::DoubleBuilder>(
            std::vector<double>(values.begin() + b, values.begin() + e));
      };
      WriteParquet(folder_.path() / name, {{"lat", part(lat)}, {"lng", part(lng)}}, 700);
    }
  }
  Outcome Run(int workers, uint64_t seed = 1, int64_t steps = kSteps,
              bool forgetful = false) const {
    const KmeansOptions options = {.folder = folder_.path(),
                                   .columns = {"lat", "lng"},
                                   .clusters = 10,
                                   .block_rows = 256,
                                   .seed = seed};
    const std::string prefix = (folder_.path() / "rep").string();
    ArmEvents events(prefix + ".events", 0);
    LocalWorkers local(options, workers, forgetful);
    RunKmeans(options, {"rep", steps, prefix}, local, events);
    return ReadOutcome(prefix, workload);
  }

  const WorkloadSpec workload = WorkloadNamed("kmeans-cities");

 private:
  const TestFolder folder_;
};

TEST_CASE("k-means: every bit is the same on 1, 2, 3 and 20 workers") {
  const Clusters clusters;
  const Outcome one = clusters.Run(1);
  REQUIRE(one.series.at("inertia").numbers.size() == kSteps);
  for (int workers : {2, 3, 20}) {
    const Outcome several = clusters.Run(workers);
    CHECK(several.hashes == one.hashes);
    CHECK(several.values == one.values);
    CHECK(several.series.at("centres").numbers == one.series.at("centres").numbers);
    CHECK(Failed(clusters.workload, several, one).empty());
  }
}

TEST_CASE("k-means: a wrong row, another seed, a step left out, a forgotten part fail") {
  const Clusters clusters;
  const Outcome sound = clusters.Run(2);
  CHECK(Failed(clusters.workload, clusters.Run(2, 2), sound).find("assignment;") == 0);
  const std::string short_of_steps =
      Failed(clusters.workload, clusters.Run(2, 1, kSteps - 1), sound);
  CHECK(short_of_steps.find("steps;inertia complete;") == 0);
  CHECK(Failed(clusters.workload, clusters.Run(2, 1, kSteps, true), sound).find("inertia;") !=
        std::string::npos);
  clusters.Write(1e-3);
  CHECK(Failed(clusters.workload, clusters.Run(2), sound).find("dataset;") == 0);
}

TEST_CASE("k-means: a wrong row fails the results' own gates too") {
  const Clusters clusters;
  const Outcome sound = clusters.Run(2);
  clusters.Write(1e-3);
  Outcome planted = clusters.Run(2);
  planted.hashes["dataset"] = sound.hashes.at("dataset");  // an arm that lies about its data
  CHECK(Failed(clusters.workload, planted, sound).find("inertia;") != std::string::npos);
}

class WebGraph {
 public:
  WebGraph() : folder_("pagerank") { Write(false); }

  // `rewired`: one edge leads elsewhere.
  void Write(bool rewired) const {
    std::vector<int32_t> sources, targets;
    for (uint64_t e = 0; e < 9000; ++e) {
      sources.push_back(static_cast<int32_t>(UniformNumber(1, 2 * e) * kNodes));
      const double wanted = UniformNumber(1, 2 * e + 1);
      targets.push_back(static_cast<int32_t>(wanted * wanted * kNodes));
    }
    if (rewired) targets[17] = (targets[17] + 1) % kNodes;
    WriteParquet(folder_.path() / "edges.parquet",
                 {{"source", ArrayOf<arrow::Int32Builder>(sources)},
                  {"target", ArrayOf<arrow::Int32Builder>(targets)}},
                 1000);
    WriteParquet(folder_.path() / "nodes.parquet",
                 {{"name", ArrayOf<arrow::StringBuilder>(std::vector<std::string>(kNodes, "n"))}},
                 5000);
  }
  Outcome Run(double damping = 0.85, int64_t steps = kSteps) const {
    LinkGraph graph(ReadEdges(folder_.path()), 0, 1, damping);
    Gift gift = graph.Start();
    std::vector<std::vector<double>> changes;
    for (int64_t step = 0; step < steps; ++step) {
      gift = graph.Step(gift.shares, gift.dangling);
      changes.push_back(gift.change);
    }
    const std::string prefix = (folder_.path() / "rep").string();
    ArmEvents(prefix + ".events", 0)
        .Result({"rep", steps, prefix}, OutcomeOf(folder_.path(), graph.ranks(), changes));
    return ReadOutcome(prefix, workload);
  }

  const WorkloadSpec workload = WorkloadNamed("pagerank");

 private:
  static constexpr int32_t kNodes = 3000;
  const TestFolder folder_;
};

TEST_CASE("PageRank: a wrong edge, another damping, a step left out fail") {
  const WebGraph graph;
  const Outcome sound = graph.Run();
  CHECK(Failed(graph.workload, graph.Run(), sound).empty());
  CHECK(Failed(graph.workload, graph.Run(0.8501), sound) == "ranks;change trace;");
  CHECK(Failed(graph.workload, graph.Run(0.85, kSteps - 1), sound)
            .find("steps;change complete;ranks;") == 0);
  graph.Write(true);
  Outcome planted = graph.Run();
  CHECK(Failed(graph.workload, planted, sound).find("dataset;ranks;") == 0);
}

}  // namespace
}  // namespace rayx::bench
