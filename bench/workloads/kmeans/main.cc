// Arm rayx of kmeans: what a RayX user would write. One actor a VM keeps its blocks of rows; the
// driver sends centres and merges what comes back in the order of blocks.
#include <rayx/rayx.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "bench/workloads/arm/vm_actors.h"
#include "bench/workloads/kmeans/clustering.h"

namespace rayx::bench {
namespace {

class ActorWorkers : public BlockWorkers {
 public:
  ActorWorkers(const KmeansOptions& options, int workers) : block_rows_(options.block_rows) {
    std::vector<RowPlan> plans;
    for (int i = 0; i < workers; ++i) plans.push_back(PlanOf(options, i, workers));
    actors_ = OneActorAVm<&RowBlocks::Create, &RowBlocks::Labels>(plans);
  }

  int64_t Load() override {
    std::vector<ObjectRef<int64_t>> rows;
    for (const auto& actor : actors_) rows.push_back(actor.Task<&RowBlocks::Load>().Remote());
    for (const auto& count : Get(rows)) rows_ = *count;
    return rows_;
  }
  std::vector<double> AddCentre(const Points& centre) override {
    return OnAll<&RowBlocks::AddCentre, double>(centre);
  }
  Points RowAtSum(int64_t block, double target) override {
    return *Having(block).Task<&RowBlocks::RowAtSum>().Remote(block, target).Get();
  }
  Points RowAt(int64_t row) override {
    return *Having(row / block_rows_).Task<&RowBlocks::RowAt>().Remote(row).Get();
  }
  std::vector<double> AssignAll(const Points& centres) override {
    return OnAll<&RowBlocks::AssignAll, double>(centres);
  }
  std::vector<int32_t> Labels() override { return OnAll<&RowBlocks::Labels, int32_t>(); }

 private:
  // Calls a method of every actor at once; what they return, one after the other.
  template <auto Method, typename T, typename... Arguments>
  std::vector<T> OnAll(const Arguments&... arguments) {
    std::vector<ObjectRef<std::vector<T>>> parts;
    for (const auto& actor : actors_) {
      parts.push_back(actor.template Task<Method>().Remote(arguments...));
    }
    std::vector<T> all;
    for (const auto& part : Get(parts)) all.insert(all.end(), part->begin(), part->end());
    return all;
  }
  const ActorHandle<RowBlocks>& Having(int64_t block) const {
    const int worker =
        WorkerOfBlock(block, BlockCount(rows_, block_rows_), static_cast<int>(actors_.size()));
    return actors_.at(static_cast<size_t>(worker));
  }

  const int64_t block_rows_;
  int64_t rows_ = 0;
  std::vector<ActorHandle<RowBlocks>> actors_;
};

int Main(int argc, char** argv) {
  Init(&argc, argv);
  KmeansOptions kmeans;
  const ArmOptions options =
      ParseArmOptions(argc, argv, [&](CLI::App& app) { AddKmeansFlags(app, kmeans); });
  kmeans.folder = options.data;
  kmeans.seed = options.seed;
  ArmEvents events(options.out, options.rank);
  const int exit_code = RunArm("kmeans", events, [&] {
    ActorWorkers workers(kmeans, options.world_size);
    events.Ready({{"arm", "rayx"}, {"world_size", options.world_size}, {"threads", 1}});
    return ServeRepetitions(options, events, [&](const RepCommand& command) {
      RunKmeans(kmeans, command, workers, events);
    });
  });
  Shutdown();
  return exit_code;
}

}  // namespace
}  // namespace rayx::bench

int main(int argc, char** argv) {
  return rayx::bench::Main(argc, argv);
}
