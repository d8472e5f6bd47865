// Arm native-cpp of etl: the same kernel on c10d. Every rank keeps its blocks' clean rows, adds its
// totals to the others' and exchanges rows with them, once, by range of the order.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>

#include "bench/workloads/arm/gloo_ranks.h"
#include "bench/workloads/etl/etl_result.h"

namespace rayx::bench {
namespace {

class EtlRanks {
 public:
  EtlRanks(const EtlOptions& options, GlooRanks& ranks, ArmEvents& events)
      : options_(options), ranks_(ranks), events_(events) {}

  void Run(const RepCommand& command) {
    Phase("clean", [&] { Clean(command.steps); });
    Phase("group", [&] { Group(); });
    Phase("sort", [&] { Sort(); });

    const Fingerprint whole = Whole(FingerprintOf(sales_));
    if (!events_.active()) return;
    if (dataset_.empty()) dataset_ = HashOfTable(options_.folder);
    events_.Result(command, EtlOutcome(dataset_, command, totals_, whole));
  }

 private:
  template <typename Work>
  void Phase(const std::string& name, const Work& work) {
    ranks_.Barrier();
    const PhaseClock clock;
    work();
    ranks_.Barrier();
    events_.Phase(name, clock.Seconds());
  }

  void Clean(int64_t steps) {
    const int64_t rows = RowsOf(options_, steps);
    const Range blocks = Share(steps, ranks_.rank(), ranks_.size());
    const ParquetTable table(SalesFiles(options_.folder));
    sales_ = ReadCleanSales(table, std::min(rows, blocks.begin * options_.block_rows),
                            std::min(rows, blocks.end * options_.block_rows),
                            ReadRegions(options_.folder));
  }

  void Group() {
    totals_ = NoTotals();
    AddTotals(sales_, totals_);
    totals_ = ranks_.Sum(totals_);
  }

  void Sort() {
    if (ranks_.size() > 1) sales_ = Exchanged();
    SortByRevenue(sales_);
  }

  // The rows of this rank's range, from all ranks.
  Sales Exchanged() {
    const std::vector<Sales> parts =
        CutByRange(sales_, Splitters(ranks_.Joined(SampleOf(sales_)), ranks_.size()));
    std::vector<int64_t> counts;
    Sales outgoing;
    outgoing.reserve(sales_.size());
    for (const Sales& part : parts) {
      counts.push_back(static_cast<int64_t>(part.size()));
      outgoing.insert(outgoing.end(), part.begin(), part.end());
    }
    return ranks_.Exchange(outgoing, ranks_.Joined(counts));
  }

  Fingerprint Whole(const Fingerprint& own) {
    const std::vector<int64_t> numbers = {own.rows,
                                          static_cast<int64_t>(own.sum),
                                          static_cast<int64_t>(own.ordered),
                                          own.descents,
                                          own.first,
                                          own.last};
    const std::vector<int64_t> all = ranks_.Joined(numbers);
    Fingerprint whole;
    for (size_t at = 0; at < all.size(); at += numbers.size()) {
      whole = Merge(whole, {.rows = all[at],
                            .sum = static_cast<uint64_t>(all[at + 1]),
                            .ordered = static_cast<uint64_t>(all[at + 2]),
                            .descents = all[at + 3],
                            .first = all[at + 4],
                            .last = all[at + 5]});
    }
    return whole;
  }

  const EtlOptions options_;
  GlooRanks& ranks_;
  ArmEvents& events_;
  std::string dataset_;
  Sales sales_;
  Totals totals_;
};

int Main(int argc, char** argv) {
  EtlOptions etl;
  const ArmOptions options =
      ParseArmOptions(argc, argv, [&](CLI::App& app) { AddEtlFlags(app, etl); });
  etl.folder = options.data;
  ArmEvents events(options.out, options.rank);
  return RunArm("etl_native", events, [&] {
    GlooRanks ranks(options);
    events.Ready({{"arm", "native-cpp"},
                  {"world_size", options.world_size},
                  {"threads", 1},
                  {"torch", GlooRanks::LibraryVersion()}});
    EtlRanks workload(etl, ranks, events);
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
