#include "bench/workloads/kmeans/clustering.h"

#include <CLI/CLI.hpp>
#include <stdexcept>

#include "bench/workloads/arm/uniform_number.h"
#include "bench/workloads/table/parquet_rows.h"

namespace rayx::bench {
namespace {

// k-means++: the first centre is any row, each further one a row with a probability in proportion
// to its squared distance to the nearest centre so far.
Points Seed(const KmeansOptions& options, int64_t rows, BlockWorkers& workers) {
  const double first = UniformNumber(options.seed, 0) * static_cast<double>(rows);
  Points centre = workers.RowAt(static_cast<int64_t>(first));
  Points centres = centre;
  for (int64_t k = 1; k < options.clusters; ++k) {
    const std::vector<double> sums = workers.AddCentre(centre);
    const double target =
        UniformNumber(options.seed, static_cast<uint64_t>(k)) * SumBefore(sums, sums.size());
    const size_t block = PlaceOf(sums, target);
    centre = workers.RowAtSum(static_cast<int64_t>(block), target - SumBefore(sums, block));
    centres.insert(centres.end(), centre.begin(), centre.end());
  }
  return centres;
}

ArmOutcome OutcomeOf(const KmeansOptions& options, const std::vector<int32_t>& labels) {
  ArmOutcome outcome;
  Sha256 assignment;
  assignment.Add(labels.data(), labels.size() * sizeof(int32_t));
  outcome.hashes = {
      {"dataset", Sha256OfDoubles(ParquetRows(ParquetFiles(options.folder)), options.columns)},
      {"assignment", Sha256::Hex(assignment.Binary())}};
  return outcome;
}

}  // namespace

void AddKmeansFlags(CLI::App& app, KmeansOptions& options) {
  app.add_option("--columns", options.columns, "Columns of doubles, separated by commas")
      ->required()
      ->delimiter(',');
  app.add_option("--clusters", options.clusters, "Number of clusters")->check(CLI::Range(1, 65536));
  app.add_option("--block-rows", options.block_rows, "Rows of a block")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
}

RowPlan PlanOf(const KmeansOptions& options, int worker, int workers) {
  return {.folder = options.folder,
          .columns = options.columns,
          .block_rows = options.block_rows,
          .worker = worker,
          .workers = workers};
}

int WorkerOfBlock(int64_t block, int64_t blocks, int workers) {
  for (int worker = 0; worker < workers; ++worker) {
    const Range share = Share(blocks, worker, workers);
    if (block >= share.begin && block < share.end) return worker;
  }
  throw std::out_of_range("no worker has block " + std::to_string(block));
}

void RunKmeans(const KmeansOptions& options, const RepCommand& command, BlockWorkers& workers,
               ArmEvents& events) {
  const PhaseClock load;
  const int64_t rows = workers.Load();
  if (rows < 1) throw std::runtime_error(options.folder + ": a table without rows");
  events.Phase("load", load.Seconds());

  const PhaseClock seed;
  Points centres = Seed(options, rows, workers);
  events.Phase("seed", seed.Seconds());

  const PhaseClock iterate;
  const size_t columns = options.columns.size();
  std::vector<double> inertia;
  for (int64_t step = 0; step < command.steps; ++step) {
    inertia.push_back(MoveCentres(workers.AssignAll(centres), columns, centres));
    events.Step(step + 1);
  }
  events.Phase("iterate", iterate.Seconds());

  const PhaseClock assign;
  Points moved = centres;  // the result is where the centres are now, and whose the rows are
  const double final_inertia = MoveCentres(workers.AssignAll(centres), columns, moved);
  events.Phase("assign", assign.Seconds());

  const std::vector<int32_t> labels = workers.Labels();
  if (!events.active()) return;
  ArmOutcome outcome = OutcomeOf(options, labels);
  outcome.steps = command.steps;
  outcome.values["inertia"] = final_inertia;
  outcome.series = {{"inertia", inertia}, {"centres", centres}};
  events.Result(command, outcome);
}

}  // namespace rayx::bench
