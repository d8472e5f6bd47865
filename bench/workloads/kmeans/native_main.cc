// Arm native-cpp of kmeans: the same kernel on c10d. Every rank keeps its blocks of rows, gathers
// the sums of all blocks and moves the centres itself.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "bench/workloads/arm/gloo_ranks.h"
#include "bench/workloads/kmeans/clustering.h"

namespace rayx::bench {
namespace {

class RankWorkers : public BlockWorkers {
 public:
  RankWorkers(const KmeansOptions& options, GlooRanks& ranks)
      : own_(PlanOf(options, ranks.rank(), ranks.size())),
        ranks_(ranks),
        columns_(static_cast<int64_t>(options.columns.size())),
        block_rows_(options.block_rows) {}

  int64_t Load() override {
    rows_ = own_.Load();
    ranks_.Barrier();
    return rows_;
  }
  std::vector<double> AddCentre(const Points& centre) override {
    return ranks_.AllGather(own_.AddCentre(centre), Sizes(1));
  }
  Points RowAtSum(int64_t block, double target) override {
    const int root = Having(block);
    return ranks_.Broadcast(root == ranks_.rank() ? own_.RowAtSum(block, target) : Points(),
                            columns_, root);
  }
  Points RowAt(int64_t row) override {
    const int root = Having(row / block_rows_);
    return ranks_.Broadcast(root == ranks_.rank() ? own_.RowAt(row) : Points(), columns_, root);
  }
  std::vector<double> AssignAll(const Points& centres) override {
    const auto clusters = static_cast<int64_t>(centres.size()) / columns_;
    const size_t size = SumsSize(static_cast<size_t>(clusters), static_cast<size_t>(columns_));
    return ranks_.AllGather(own_.AssignAll(centres), Sizes(static_cast<int64_t>(size)));
  }
  std::vector<int32_t> Labels() override {
    const std::vector<int32_t> own = own_.Labels();
    std::vector<int64_t> sizes;
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      const Range blocks = Share(Blocks(), rank, ranks_.size());
      sizes.push_back(std::min(rows_, blocks.end * block_rows_) -
                      std::min(rows_, blocks.begin * block_rows_));
    }
    const std::vector<double> all = ranks_.AllGather({own.begin(), own.end()}, sizes);
    return {all.begin(), all.end()};
  }

 private:
  int64_t Blocks() const { return BlockCount(rows_, block_rows_); }
  int Having(int64_t block) const { return WorkerOfBlock(block, Blocks(), ranks_.size()); }
  // How many numbers each rank has where each of its blocks has `each`.
  std::vector<int64_t> Sizes(int64_t each) const {
    std::vector<int64_t> sizes;
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      sizes.push_back(each * Share(Blocks(), rank, ranks_.size()).size());
    }
    return sizes;
  }

  RowBlocks own_;
  GlooRanks& ranks_;
  const int64_t columns_, block_rows_;
  int64_t rows_ = 0;
};

int Main(int argc, char** argv) {
  KmeansOptions kmeans;
  const ArmOptions options =
      ParseArmOptions(argc, argv, [&](CLI::App& app) { AddKmeansFlags(app, kmeans); });
  kmeans.folder = options.data;
  kmeans.seed = options.seed;
  ArmEvents events(options.out, options.rank);
  return RunArm("kmeans_native", events, [&] {
    GlooRanks ranks(options);
    events.Ready({{"arm", "native-cpp"},
                  {"world_size", options.world_size},
                  {"threads", 1},
                  {"torch", GlooRanks::LibraryVersion()}});
    RankWorkers workers(kmeans, ranks);
    return ServeRepetitions(
        options, events,
        [&](const RepCommand& command) { RunKmeans(kmeans, command, workers, events); },
        [&](const std::string& line) { return ranks.Share(line); });
  });
}

}  // namespace
}  // namespace rayx::bench

int main(int argc, char** argv) {
  return rayx::bench::Main(argc, argv);
}
