// Arm rayx of flights: what a RayX user would write. A task a VM reads and cleans the blocks of its
// worker, a task a block standardises it there; the blocks stay in the object store of their VM,
// where a DataParallelTrainer trains on them and tasks evaluate them.
#include <ATen/Parallel.h>
#include <rayx/rayx.h>
#include <rayx/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <limits>
#include <memory>

#include "bench/workloads/arm/arm_program.h"
#include "bench/workloads/arm/model_outcome.h"
#include "bench/workloads/arm/share.h"
#include "bench/workloads/arm/trainer_run.h"
#include "bench/workloads/flights/features.h"

namespace rayx::bench {
namespace {

using Trainer = torch::DataParallelTrainer<&MakeModel, &LogisticLoss>;
using BlockRef = ObjectRef<FlightBlock>;
using FeaturesRef = ObjectRef<torch::TensorBlock>;

struct FlightsOptions {
  int64_t block_rows = 65536;
  int64_t train_steps = 50, batch = 8192;
  double learning_rate = 2;
};

// What the tasks of a block are told.
struct ReadPlan {
  std::string path;
  std::vector<int64_t> blocks;
  int64_t block_rows = 0;
};

std::vector<FlightBlock> Read(const ReadPlan& plan, const Airports& airports) {
  return ReadFlights(plan.path, plan.blocks, plan.block_rows, airports);
}

Moments MomentsOn(const FlightBlock& block, int threads) {
  at::set_num_threads(threads);
  return MomentsOf(block);
}

Histogram Evaluate(const torch::TensorBlock& block, const std::string& checkpoint, int threads) {
  at::set_num_threads(threads);
  const ::torch::nn::Sequential model = MakeModel();
  torch::LoadCheckpoint(checkpoint, model);
  return HistogramOf(block, model);
}

class FlightsArm {
 public:
  FlightsArm(const ArmOptions& options, const FlightsOptions& flights, ArmEvents& events)
      : options_(options), flights_(flights), events_(events) {}

  // Brings the workers up, as torchrun does its ranks. They stay for all repetitions.
  void Start();
  void Run(const RepCommand& command);

 private:
  std::string Path(const std::string& name) const { return options_.data + "/" + name; }
  // The caller of a task on the VM of a rank.
  template <auto Function>
  auto On(int64_t rank) const {
    return Task<Function>().SetSchedulingStrategy(
        SchedulingStrategy::NodeAffinity(nodes_.at(static_cast<size_t>(rank))));
  }
  void Load(int64_t blocks);
  void Preprocess();
  torch::TrainResult Train();
  double EvaluateAll(const ObjectRef<std::string>& checkpoint) const;
  torch::BatchPlan Plan() const;  // of the batches, from the rows of each rank
  void Report(const RepCommand& command, const torch::TrainResult& result, double area) const;

  const ArmOptions options_;
  const FlightsOptions flights_;
  ArmEvents& events_;
  std::unique_ptr<Trainer> trainer_;
  std::vector<uint32_t> nodes_;  // of each rank
  std::vector<int64_t> rank_of_block_;
  std::vector<BlockRef> rows_;         // by block
  std::vector<FeaturesRef> features_;  // by block
  std::vector<int64_t> rows_of_block_;
};

void FlightsArm::Start() {
  torch::TrainerOptions options;
  options.workers = options_.world_size;
  options.cpus_per_worker = options_.threads;
  options.epochs = std::numeric_limits<int>::max();  // --train-steps says how many steps
  options.global_batch = flights_.batch;
  options.learning_rate = flights_.learning_rate;
  options.seed = options_.seed;
  options.shard_blocks = true;
  trainer_ = std::make_unique<Trainer>(options);
  trainer_->Start();
  nodes_ = trainer_->NodeNumbers();
}

// Each rank's share of the blocks to train on and of those for evaluation is read on its VM.
void FlightsArm::Load(int64_t blocks) {
  const int64_t all = BlockCount(CountFlights(Path("flights-3m.parquet")), flights_.block_rows);
  if (blocks > all || blocks < kEvaluationEvery) {
    throw std::runtime_error(Path("flights-3m.parquet") + ": has " + std::to_string(all) +
                             " blocks; a run takes a step each, from 4 on, not " +
                             std::to_string(blocks));
  }
  const auto airports = Put(ReadAirports(Path("airports.csv")));
  std::vector<int64_t> kinds[2];
  for (int64_t block = 0; block < blocks; ++block) {
    kinds[IsForEvaluation(block) ? 1 : 0].push_back(block);
  }
  rank_of_block_.assign(static_cast<size_t>(blocks), 0);
  rows_.assign(static_cast<size_t>(blocks), {});
  for (int64_t rank = 0; rank < options_.world_size; ++rank) {
    ReadPlan plan = {
        .path = Path("flights-3m.parquet"), .blocks = {}, .block_rows = flights_.block_rows};
    for (const auto& kind : kinds) {
      const Range own = Share(static_cast<int64_t>(kind.size()), rank, options_.world_size);
      plan.blocks.insert(plan.blocks.end(), kind.begin() + own.begin, kind.begin() + own.end);
    }
    std::sort(plan.blocks.begin(), plan.blocks.end());
    if (plan.blocks.empty()) continue;
    const auto parts = On<&Read>(rank)
                           .SetNumReturns(static_cast<int>(plan.blocks.size()))
                           .RemoteEach(plan, airports);
    for (size_t i = 0; i < parts.size(); ++i) {
      const auto block = static_cast<size_t>(plan.blocks[i]);
      rank_of_block_[block] = rank;
      rows_[block] = parts[i];
    }
  }
  Wait(rows_, static_cast<int>(rows_.size()), -1);
}

void FlightsArm::Preprocess() {
  std::vector<ObjectRef<Moments>> tasks;
  for (size_t i = 0; i < rows_.size(); ++i) {
    tasks.push_back(On<&MomentsOn>(rank_of_block_[i]).Remote(rows_[i], options_.threads));
  }
  std::vector<Moments> moments;
  rows_of_block_.clear();
  int64_t block = 0;
  for (const auto& part : Get(tasks)) {
    if (!IsForEvaluation(block++)) moments.push_back(*part);
    rows_of_block_.push_back(part->rows);
  }
  const auto scale = Put(ScaleOf(moments));
  features_.clear();
  for (size_t i = 0; i < rows_.size(); ++i) {
    features_.push_back(On<&Encode>(rank_of_block_[i]).Remote(rows_[i], scale));
  }
  rows_.clear();

  // The trainer deals blocks out in turn: each rank's own are laid where its turns are.
  std::vector<FeaturesRef> blocks;
  for (size_t i = 0; i < features_.size(); ++i) {
    if (!IsForEvaluation(static_cast<int64_t>(i))) blocks.push_back(features_[i]);
  }
  const auto count = static_cast<int64_t>(blocks.size());
  std::vector<FeaturesRef> dealt(blocks.size());
  for (int64_t rank = 0; rank < options_.world_size; ++rank) {
    const Range own = Share(count, rank, options_.world_size);
    for (int64_t i = own.begin; i < own.end; ++i) {
      dealt[static_cast<size_t>((i - own.begin) * options_.world_size + rank)] =
          blocks[static_cast<size_t>(i)];
    }
  }
  trainer_->Load(dealt);
  Wait(features_, static_cast<int>(features_.size()), -1);  // those for evaluation too
}

double FlightsArm::EvaluateAll(const ObjectRef<std::string>& checkpoint) const {
  std::vector<ObjectRef<Histogram>> tasks;
  for (size_t block = 0; block < features_.size(); ++block) {
    if (!IsForEvaluation(static_cast<int64_t>(block))) continue;
    tasks.push_back(On<&Evaluate>(rank_of_block_[block])
                        .Remote(features_[block], checkpoint, options_.threads));
  }
  Histogram all(2 * kBins);
  for (const auto& part : Get(tasks)) {
    for (size_t bin = 0; bin < all.size(); ++bin) all[bin] += part->at(bin);
  }
  return AreaUnderCurve(all);
}

torch::BatchPlan FlightsArm::Plan() const {
  std::vector<int64_t> rows_of_rank;
  std::vector<int64_t> rows;
  for (size_t block = 0; block < rows_of_block_.size(); ++block) {
    if (!IsForEvaluation(static_cast<int64_t>(block))) rows.push_back(rows_of_block_[block]);
  }
  for (int64_t rank = 0; rank < options_.world_size; ++rank) {
    const Range own = Share(static_cast<int64_t>(rows.size()), rank, options_.world_size);
    rows_of_rank.push_back(0);
    for (int64_t i = own.begin; i < own.end; ++i) {
      rows_of_rank.back() += rows[static_cast<size_t>(i)];
    }
  }
  return torch::BatchPlan::OwnRows(rows_of_rank, flights_.batch);
}

void FlightsArm::Report(const RepCommand& command, const torch::TrainResult& result,
                        double area) const {
  std::vector<ObjectRef<std::string>> digests;
  for (size_t i = 0; i < features_.size(); ++i) {
    digests.push_back(On<&DigestOf>(rank_of_block_[i]).Remote(features_[i]));
  }
  Sha256 features;
  for (const auto& digest : Get(digests)) features.Add(digest->data(), digest->size());

  const ::torch::nn::Sequential model = MakeModel();
  torch::LoadCheckpoint(*result.checkpoint.Get(), model);
  int64_t rows = 0;
  for (const int64_t count : rows_of_block_) rows += count;
  ArmOutcome outcome;
  outcome.steps = command.steps;
  outcome.hashes = {{"dataset", Sha256OfFiles({Path("flights-3m.parquet"), Path("airports.csv")})},
                    {"features", Sha256::Hex(features.Binary())}};
  outcome.values = {{"clean_rows", static_cast<double>(rows)}, {"auc", area}};
  outcome.series["loss"] = GlobalLosses(result, Plan(), options_.world_size);
  AddWeights(model->parameters(), outcome);
  events_.Result(command, outcome);
}

void FlightsArm::Run(const RepCommand& command) {
  const PhaseClock load;
  Load(command.steps);
  events_.Phase("load", load.Seconds());
  const PhaseClock preprocess;
  Preprocess();
  events_.Phase("preprocess", preprocess.Seconds());
  const PhaseClock train;
  const torch::TrainResult result = trainer_->Train({}, flights_.train_steps);
  events_.Phase("train", train.Seconds());
  const PhaseClock evaluate;
  const double area = EvaluateAll(result.checkpoint);
  events_.Phase("evaluate", evaluate.Seconds());
  Report(command, result, area);
  features_.clear();
}

int Main(int argc, char** argv) {
  Options rayx_options;
  // Slots, not CPU share: one for the worker of the trainer, one for tasks.
  rayx_options.num_cpus = 2;
  Init(&argc, argv, rayx_options);
  FlightsOptions flights;
  const ArmOptions options = ParseArmOptions(argc, argv, [&](CLI::App& app) {
    const auto positive = CLI::Range(int64_t{1}, int64_t{1} << 30);
    app.add_option("--block-rows", flights.block_rows, "Raw rows of a block")->check(positive);
    app.add_option("--train-steps", flights.train_steps, "Steps of the optimiser")->check(positive);
    app.add_option("--batch", flights.batch, "Global batch")->check(positive);
    app.add_option("--lr", flights.learning_rate, "Learning rate")->check(CLI::Range(0.0, 100.0));
  });
  at::set_num_threads(options.threads);
  ArmEvents events(options.out, options.rank);
  const int exit_code = RunArm("flights", events, [&] {
    FlightsArm workload(options, flights, events);
    workload.Start();
    events.Ready({{"arm", "rayx"},
                  {"world_size", options.world_size},
                  {"threads", at::get_num_threads()},
                  {"torch", TORCH_VERSION},
                  {"blas", BlasOfLibTorch()}});
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
