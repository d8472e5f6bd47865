// Arm rayx of pagerank: what a RayX user would write. One actor a VM keeps the edges that lead to
// its nodes. What nodes give is an object: an iteration's calls take the objects that the iteration
// before has made, from VM to VM, so that the driver submits all iterations and then waits.
#include <rayx/rayx.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <optional>
#include <utility>

#include "bench/workloads/arm/vm_actors.h"
#include "bench/workloads/pagerank/ranking.h"

namespace rayx::bench {
namespace {

constexpr size_t kWorkersMax = 16;  // as many VMs as rayx-bench simulates

// Shares by node, then dangling ranks by block: one block of numbers, read where it lies.
using GiftObject = std::vector<double>;
using GiftView = View<GiftObject>;

class RankWorker {
 public:
  static std::unique_ptr<RankWorker> Create(const RankPlan& plan) {
    return std::make_unique<RankWorker>(plan);
  }
  explicit RankWorker(const RankPlan& plan) : plan_(plan) {}

  int64_t Load() {
    edges_ = ReadEdges(plan_.folder);
    changes_.clear();
    return edges_.nodes;
  }
  GiftObject Partition() {
    graph_.emplace(edges_, plan_.worker, plan_.workers, plan_.damping);
    edges_ = {};
    return ObjectOf(graph_->Start(), false);
  }
  // One iteration; what each worker gave, in their order.
  template <typename... Gifts>
  GiftObject Step(const Gifts&... gifts) {
    shares_.clear();
    dangling_.clear();
    size_t worker = 0;
    (TakeApart(gifts, graph_->ranges().at(worker++)), ...);
    return ObjectOf(graph_->Step(shares_, dangling_), true);
  }
  std::vector<double> Ranks() const { return graph_ ? graph_->ranks() : std::vector<double>(); }
  // [iterations][own blocks]
  std::vector<std::vector<double>> Changes() const { return changes_; }
  bool IsUp() const { return true; }

 private:
  void TakeApart(const GiftView& gift, const Range& range) {
    const double* const own = gift.begin() + range.size();
    shares_.insert(shares_.end(), gift.begin(), own);
    dangling_.insert(dangling_.end(), own, gift.end());
  }
  GiftObject ObjectOf(Gift gift, bool iteration) {
    if (iteration) changes_.push_back(std::move(gift.change));
    gift.shares.insert(gift.shares.end(), gift.dangling.begin(), gift.dangling.end());
    return std::move(gift.shares);
  }

  const RankPlan plan_;
  Edges edges_;
  std::optional<LinkGraph> graph_;
  std::vector<std::vector<double>> changes_;
  std::vector<double> shares_, dangling_;  // of one iteration; their memory serves the next
};

using Worker = ActorHandle<RankWorker>;
using GiftRefs = std::vector<ObjectRef<GiftObject>>;

template <size_t>
using OneMore = GiftView;

// Step of a worker with as many arguments as there are workers: an argument is an object that is
// brought to the worker before the call, and let go after it.
template <size_t... I>
ObjectRef<GiftObject> CallStep(const Worker& worker, const GiftRefs& gifts,
                               std::index_sequence<I...>) {
  return worker.Task<&RankWorker::Step<OneMore<I>...>>().Remote(gifts[I]...);
}

template <size_t Count>
ObjectRef<GiftObject> CallStepOf(const Worker& worker, const GiftRefs& gifts) {
  return CallStep(worker, gifts, std::make_index_sequence<Count>());
}

template <size_t... I>
constexpr auto StepCalls(std::index_sequence<I...>) {
  return std::array{&CallStepOf<I + 1>...};
}

ObjectRef<GiftObject> Step(const Worker& worker, const GiftRefs& gifts) {
  static constexpr auto kCalls = StepCalls(std::make_index_sequence<kWorkersMax>());
  return kCalls.at(gifts.size() - 1)(worker, gifts);
}

// Calls a method of every worker at once and waits.
template <auto Method>
auto OnAll(const std::vector<Worker>& workers) {
  std::vector<decltype(workers[0].template Task<Method>().Remote())> results;
  for (const Worker& worker : workers) {
    results.push_back(worker.template Task<Method>().Remote());
  }
  return Get(results);
}

class Pagerank {
 public:
  Pagerank(const RankPlan& plan, int workers, ArmEvents& events) : plan_(plan), events_(events) {
    std::vector<RankPlan> plans(static_cast<size_t>(workers), plan);
    for (int i = 0; i < workers; ++i) {
      plans[static_cast<size_t>(i)].worker = i;
      plans[static_cast<size_t>(i)].workers = workers;
    }
    workers_ = OneActorAVm<&RankWorker::Create, &RankWorker::IsUp>(plans);
  }

  void Run(const RepCommand& command) {
    const PhaseClock load;
    OnAll<&RankWorker::Load>(workers_);
    events_.Phase("load", load.Seconds());

    const PhaseClock partition;
    GiftRefs gifts;
    for (const Worker& worker : workers_) {
      gifts.push_back(worker.Task<&RankWorker::Partition>().Remote());
    }
    Wait(gifts, static_cast<int>(gifts.size()), -1);
    events_.Phase("partition", partition.Seconds());

    const PhaseClock iterate;
    for (int64_t step = 0; step < command.steps; ++step) {
      GiftRefs next;
      for (const Worker& worker : workers_) next.push_back(Step(worker, gifts));
      gifts = std::move(next);
    }
    OnAll<&RankWorker::IsUp>(workers_);  // comes behind the last iteration
    events_.Phase("iterate", iterate.Seconds());
    Report(command);
  }

 private:
  void Report(const RepCommand& command) {
    std::vector<double> ranks;
    for (const auto& part : OnAll<&RankWorker::Ranks>(workers_)) {
      ranks.insert(ranks.end(), part->begin(), part->end());
    }
    std::vector<std::vector<double>> changes(static_cast<size_t>(command.steps));
    for (const auto& part : OnAll<&RankWorker::Changes>(workers_)) {
      for (size_t i = 0; i < changes.size(); ++i) {
        changes[i].insert(changes[i].end(), part->at(i).begin(), part->at(i).end());
      }
    }
    events_.Result(command, OutcomeOf(plan_.folder, ranks, changes));
  }

  const RankPlan plan_;
  ArmEvents& events_;
  std::vector<Worker> workers_;
};

int Main(int argc, char** argv) {
  Init(&argc, argv);
  RankPlan plan;
  const ArmOptions options =
      ParseArmOptions(argc, argv, [&](CLI::App& app) { AddPagerankFlags(app, plan); });
  plan.folder = options.data;
  ArmEvents events(options.out, options.rank);
  const int exit_code = RunArm("pagerank", events, [&] {
    if (static_cast<size_t>(options.world_size) > kWorkersMax) {
      throw std::invalid_argument("at most " + std::to_string(kWorkersMax) + " VMs");
    }
    Pagerank workload(plan, options.world_size, events);
    events.Ready({{"arm", "rayx"}, {"world_size", options.world_size}, {"threads", 1}});
    return ServeRepetitions(options, events,
                            [&](const RepCommand& command) { workload.Run(command); });
  });
  Shutdown();
  return exit_code;
}

}  // namespace
}  // namespace rayx::bench

int main(int argc, char** argv) {
  return rayx::bench::Main(argc, argv);
}
