// Arm rayx of etl: what a RayX user would write. A task a block cleans it where it is read; rows
// stay in the object store of that VM, and the tasks that add them up and cut them by range come to
// them. What a range is given by all blocks is sorted on the VM whose range it is. Rows never pass
// through the driver.
#include <rayx/rayx.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <utility>

#include "bench/workloads/etl/etl_result.h"

namespace rayx::bench {
namespace {

// The rows of a block that are read, and how.
struct BlockPlan {
  std::string folder;
  int64_t begin = 0, end = 0;
  std::vector<int32_t> regions;
};

using Sample = std::vector<int64_t>;
using SalesRef = ObjectRef<Sales>;
using SalesView = View<Sales>;  // read where it lies

std::pair<Sales, Sample> Clean(const BlockPlan& plan) {
  const ParquetTable table(SalesFiles(plan.folder));
  std::pair<Sales, Sample> result;
  result.first = ReadCleanSales(table, plan.begin, plan.end, plan.regions);
  result.second = SampleOf(result.first);
  return result;
}

Totals Group(const SalesView& sales) {
  Totals totals = NoTotals();
  AddTotals(sales, totals);
  return totals;
}

// A part for each range.
std::vector<Sales> Cut(const SalesView& sales, const std::vector<int64_t>& splitters) {
  return CutByRange(sales, splitters);
}

// One range, from what each block has of it.
Sales Sort(const std::vector<SalesRef>& parts) {
  Wait(parts, static_cast<int>(parts.size()), -1);  // all come at once
  Sales sales;
  for (const auto& part : parts) {
    const SalesView view = GetView(part);
    sales.insert(sales.end(), view.begin(), view.end());
  }
  SortByRevenue(sales);
  return sales;
}

Fingerprint Prove(const SalesView& sales) {
  return FingerprintOf(sales);
}

std::vector<NodeDescription> LivingNodes() {
  std::vector<NodeDescription> nodes = Nodes();
  std::erase_if(nodes, [](const NodeDescription& node) { return !node.alive; });
  return nodes;
}

class Etl {
 public:
  Etl(const EtlOptions& options, int workers, ArmEvents& events)
      : options_(options), events_(events), nodes_(LivingNodes()) {
    if (nodes_.size() != static_cast<size_t>(workers)) {
      throw std::runtime_error("--world-size says " + std::to_string(workers) +
                               ", the cluster has " + std::to_string(nodes_.size()) + " VMs");
    }
  }

  void Run(const RepCommand& command) {
    Phase("clean", [&] { CleanAll(command.steps); });
    Phase("group", [&] { GroupAll(); });
    Phase("sort", [&] { SortAll(); });
    Report(command);
  }

 private:
  template <typename Work>
  void Phase(const std::string& name, const Work& work) {
    const PhaseClock clock;
    work();
    events_.Phase(name, clock.Seconds());
  }

  SchedulingStrategy On(size_t vm) const {
    return SchedulingStrategy::NodeAffinity(nodes_.at(vm).number);
  }

  void CleanAll(int64_t steps) {
    rows_.clear();
    samples_.clear();
    BlockPlan plan;
    plan.folder = options_.folder;
    plan.regions = ReadRegions(options_.folder);
    const int64_t rows = RowsOf(options_, steps);
    for (size_t vm = 0; vm < nodes_.size(); ++vm) {
      const Range blocks =
          Share(steps, static_cast<int64_t>(vm), static_cast<int64_t>(nodes_.size()));
      for (int64_t block = blocks.begin; block < blocks.end; ++block) {
        const Range range = BlockRange(block, rows, options_.block_rows);
        plan.begin = range.begin;
        plan.end = range.end;
        auto [sales, sample] = Task<&Clean>().SetSchedulingStrategy(On(vm)).RemoteEach(plan);
        rows_.push_back(std::move(sales));
        samples_.push_back(std::move(sample));
      }
    }
    Wait(samples_, static_cast<int>(samples_.size()), -1);
  }

  void GroupAll() {
    std::vector<ObjectRef<Totals>> parts;
    for (const SalesRef& rows : rows_) parts.push_back(Task<&Group>().Remote(rows));
    totals_ = NoTotals();
    for (const auto& part : Get(parts)) {
      for (size_t i = 0; i < totals_.size(); ++i) totals_[i] += part->at(i);
    }
  }

  void SortAll() {
    Sample sample;
    for (const auto& part : Get(samples_)) sample.insert(sample.end(), part->begin(), part->end());
    const int ranges = static_cast<int>(nodes_.size());
    const auto splitters = Put(Splitters(std::move(sample), ranges));
    std::vector<std::vector<SalesRef>> parts(nodes_.size());  // by range, of each block
    for (const SalesRef& rows : rows_) {
      auto cut = Task<&Cut>().SetNumReturns(ranges).RemoteEach(rows, splitters);
      for (size_t range = 0; range < parts.size(); ++range) {
        parts[range].push_back(std::move(cut[range]));
      }
    }
    rows_.clear();
    for (size_t range = 0; range < parts.size(); ++range) {
      rows_.push_back(Task<&Sort>().SetSchedulingStrategy(On(range)).Remote(parts[range]));
    }
    Wait(rows_, static_cast<int>(rows_.size()), -1);
  }

  void Report(const RepCommand& command) {
    std::vector<ObjectRef<Fingerprint>> proofs;
    for (const SalesRef& rows : rows_) proofs.push_back(Task<&Prove>().Remote(rows));
    Fingerprint whole;
    for (const auto& proof : Get(proofs)) whole = Merge(whole, *proof);
    if (dataset_.empty()) dataset_ = HashOfTable(options_.folder);
    events_.Result(command, EtlOutcome(dataset_, command, totals_, whole));
  }

  const EtlOptions options_;
  ArmEvents& events_;
  const std::vector<NodeDescription> nodes_;
  std::string dataset_;         // once found
  std::vector<SalesRef> rows_;  // of each block; after sorting of each range
  std::vector<ObjectRef<Sample>> samples_;
  Totals totals_;
};

int Main(int argc, char** argv) {
  Init(&argc, argv);
  EtlOptions etl;
  const ArmOptions options =
      ParseArmOptions(argc, argv, [&](CLI::App& app) { AddEtlFlags(app, etl); });
  etl.folder = options.data;
  ArmEvents events(options.out, options.rank);
  const int exit_code = RunArm("etl", events, [&] {
    Etl workload(etl, options.world_size, events);
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
