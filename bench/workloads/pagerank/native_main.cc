// Arm native-cpp of pagerank: the same kernel on c10d. Every rank keeps the edges that lead to its
// nodes and gathers what all nodes give.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>

#include "bench/workloads/arm/gloo_ranks.h"
#include "bench/workloads/pagerank/ranking.h"

namespace rayx::bench {
namespace {

class RankedRanks {
 public:
  RankedRanks(const RankPlan& plan, GlooRanks& ranks, ArmEvents& events)
      : plan_(plan), ranks_(ranks), events_(events) {}

  void Run(const RepCommand& command) {
    ranks_.Barrier();
    const PhaseClock load;
    const Edges edges = ReadEdges(plan_.folder);
    ranks_.Barrier();
    events_.Phase("load", load.Seconds());

    const PhaseClock partition;
    graph_.emplace(edges, ranks_.rank(), ranks_.size(), plan_.damping);
    Gift gift = graph_->Start();
    ranks_.Barrier();
    events_.Phase("partition", partition.Seconds());

    const PhaseClock iterate;
    std::vector<std::vector<double>> changes;  // of all blocks
    for (int64_t step = 0; step < command.steps; ++step) {
      const AllGifts all = Gather(gift);
      if (step > 0) changes.push_back(all.change);
      gift = graph_->Step(all.shares, all.dangling);
    }
    ranks_.Barrier();
    events_.Phase("iterate", iterate.Seconds());

    changes.push_back(Gather(gift).change);
    std::vector<int64_t> sizes;
    for (const Range& range : graph_->ranges()) sizes.push_back(range.size());
    const std::vector<double> ranks = ranks_.AllGather(graph_->ranks(), sizes);
    if (events_.active()) events_.Result(command, OutcomeOf(plan_.folder, ranks, changes));
  }

 private:
  struct AllGifts {
    std::vector<double> shares, dangling, change;
  };

  // One exchange: shares, dangling ranks and changes of a rank lie behind one another.
  AllGifts Gather(const Gift& own) {
    std::vector<double> packed = own.shares;
    packed.insert(packed.end(), own.dangling.begin(), own.dangling.end());
    packed.insert(packed.end(), own.change.begin(), own.change.end());
    std::vector<int64_t> sizes;
    for (const Range& range : graph_->ranges()) {
      sizes.push_back(range.size() + 2 * BlockCount(range.size(), kNodeBlock));
    }
    const std::vector<double> all = ranks_.AllGather(packed, sizes);
    AllGifts gifts;
    auto at = all.begin();
    for (const Range& range : graph_->ranges()) {
      const int64_t blocks = BlockCount(range.size(), kNodeBlock);
      for (auto& [part, count] :
           {std::pair{&gifts.shares, range.size()}, std::pair{&gifts.dangling, blocks},
            std::pair{&gifts.change, blocks}}) {
        part->insert(part->end(), at, at + count);
        at += count;
      }
    }
    return gifts;
  }

  const RankPlan plan_;
  GlooRanks& ranks_;
  ArmEvents& events_;
  std::optional<LinkGraph> graph_;
};

int Main(int argc, char** argv) {
  RankPlan plan;
  const ArmOptions options =
      ParseArmOptions(argc, argv, [&](CLI::App& app) { AddPagerankFlags(app, plan); });
  plan.folder = options.data;
  ArmEvents events(options.out, options.rank);
  return RunArm("pagerank_native", events, [&] {
    GlooRanks ranks(options);
    events.Ready({{"arm", "native-cpp"},
                  {"world_size", options.world_size},
                  {"threads", 1},
                  {"torch", GlooRanks::LibraryVersion()}});
    RankedRanks workload(plan, ranks, events);
    return ServeRepetitions(
        options, events, [&](const RepCommand& command) { workload.Run(command); },
        [&](const std::string& line) { return ranks.Share(line); });
  });
}

}  // namespace
}  // namespace rayx::bench

int main(int argc, char** argv) {
  return rayx::bench::Main(argc, argv);
}
