// Arm rayx of fmnist-mlp: what a RayX user would write. The statistics are one task a block, shared
// out over the VMs. Every VM then standardises all blocks into its own object store, one task a
// block, where its rank of a DataParallelTrainer reads them in place: bringing them from other VMs
// takes several times as long as computing them.
#include <ATen/Parallel.h>
#include <rayx/rayx.h>
#include <rayx/torch.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <limits>

#include "bench/workloads/arm/arm_program.h"
#include "bench/workloads/arm/model_outcome.h"
#include "bench/workloads/arm/trainer_run.h"
#include "bench/workloads/fmnist_mlp/features.h"

namespace rayx::bench {
namespace {

constexpr int64_t kTrainRows = 60000, kTestRows = 10000;
constexpr uint64_t kModelSeed = 1;

std::vector<std::string> DataFiles(const std::string& folder) {
  return {folder + "/train-images-idx3-ubyte", folder + "/train-labels-idx1-ubyte",
          folder + "/t10k-images-idx3-ubyte", folder + "/t10k-labels-idx1-ubyte"};
}

// The trainer has one seed, for weights and order; the workload has two.
::torch::nn::Sequential MakeModel() {
  ::torch::manual_seed(kModelSeed);
  ::torch::nn::Sequential model;
  model->push_back(::torch::nn::Linear(784, 512));
  model->push_back(::torch::nn::ReLU());
  model->push_back(::torch::nn::Linear(512, 512));
  model->push_back(::torch::nn::ReLU());
  model->push_back(::torch::nn::Linear(512, 10));
  return model;
}

using Trainer = torch::DataParallelTrainer<&MakeModel>;
using BlockRefs = std::vector<ObjectRef<torch::TensorBlock>>;

template <auto Function>
auto TaskOn(uint32_t node) {
  return Task<Function>().SetSchedulingStrategy(SchedulingStrategy::NodeAffinity(node));
}

struct TrainingOptions {
  uint64_t sampler_seed = 45;
  int64_t batch = 64;
  double learning_rate = 1e-3;
};

class FmnistMlp {
 public:
  FmnistMlp(const ArmOptions& options, const TrainingOptions& training, ArmEvents& events)
      : options_(options), training_(training), events_(events) {}

  // Brings the workers up, as torchrun does its ranks. They stay for all repetitions.
  void Start();
  void Run(const RepCommand& command);

 private:
  void Load();
  void Preprocess();
  Scale Statistics() const;
  ArmOutcome Outcome(const torch::TrainResult& result) const;
  RowBlock Block(bool train, int64_t begin, int64_t rows) const;

  const ArmOptions options_;
  const TrainingOptions training_;
  ArmEvents& events_;
  std::unique_ptr<Trainer> trainer_;
  std::vector<RowBlock> train_rows_;
  RowBlock test_rows_;
  BlockRefs train_;  // rank 0's, as test_
  ObjectRef<torch::TensorBlock> test_;
};

RowBlock FmnistMlp::Block(bool train, int64_t begin, int64_t rows) const {
  const std::vector<std::string> files = DataFiles(options_.data);
  RowBlock block;
  block.images_path = files[train ? 0 : 2];
  block.labels_path = files[train ? 1 : 3];
  block.file_rows = train ? kTrainRows : kTestRows;
  block.begin = begin;
  block.rows = rows;
  block.threads = options_.threads;
  return block;
}

void FmnistMlp::Start() {
  torch::TrainerOptions options;
  options.workers = options_.world_size;
  options.cpus_per_worker = options_.threads;
  options.epochs = std::numeric_limits<int>::max();  // each repetition says how many steps
  options.global_batch = training_.batch;
  options.learning_rate = training_.learning_rate;
  options.seed = training_.sampler_seed;
  if (options_.step_events) options.report_every_steps = 1;
  trainer_ = std::make_unique<Trainer>(options);
  trainer_->Start();
}

void FmnistMlp::Load() {
  const std::vector<std::string> files = DataFiles(options_.data);
  CheckRawFiles(files[0], files[1], kTrainRows);
  CheckRawFiles(files[2], files[3], kTestRows);
  train_rows_.clear();
  for (int64_t begin = 0; begin < kTrainRows; begin += kFeatureBlockRows) {
    train_rows_.push_back(Block(true, begin, kFeatureBlockRows));
  }
  test_rows_ = Block(false, 0, kTestRows);
}

void FmnistMlp::Preprocess() {
  const Scale scale = Statistics();
  std::vector<BlockRefs> train(trainer_->NodeNumbers().size());
  BlockRefs test;
  for (size_t rank = 0; rank < train.size(); ++rank) {
    const auto standardise = TaskOn<&Standardise>(trainer_->NodeNumbers()[rank]);
    for (const RowBlock& block : train_rows_) {
      train[rank].push_back(standardise.Remote(block, scale));
    }
    test.push_back(standardise.Remote(test_rows_, scale));
  }
  // A rank that waits for its blocks would lend its CPU to another task, for which a worker would
  // be started.
  for (const BlockRefs& blocks : train) Wait(blocks, static_cast<int>(blocks.size()), -1);
  Wait(test, static_cast<int>(test.size()), -1);
  trainer_->LoadByRank(train, test);  // every rank can read every row
  train_ = train[0];
  test_ = test[0];
}

Scale FmnistMlp::Statistics() const {
  std::vector<ObjectRef<Moments>> moments;
  const std::vector<uint32_t>& nodes = trainer_->NodeNumbers();
  for (size_t i = 0; i < train_rows_.size(); ++i) {
    moments.push_back(TaskOn<&MomentsOf>(nodes[i % nodes.size()]).Remote(train_rows_[i]));
  }
  double first = 0, second = 0;
  for (const auto& block : Get(moments)) {  // in block order
    first += block->first;
    second += block->second;
  }
  const auto count = static_cast<double>(kTrainRows * kPixels);
  Scale scale;
  scale.mean = first / count;
  scale.deviation = std::sqrt(second / count - scale.mean * scale.mean);
  return scale;
}

ArmOutcome FmnistMlp::Outcome(const torch::TrainResult& result) const {
  Sha256 features;
  const auto add = [&](const at::Tensor& rows) {
    for (int64_t begin = 0; begin < rows.size(0); begin += kFeatureBlockRows) {
      const at::Tensor block = rows.narrow(0, begin, kFeatureBlockRows).contiguous();
      Sha256 inner;
      inner.Add(block.const_data_ptr(), block.nbytes());
      const std::string digest = inner.Binary();
      features.Add(digest.data(), digest.size());
    }
  };
  for (const auto& block : train_) add(block.Get()->features);
  add(test_.Get()->features);

  const ::torch::nn::Sequential model = MakeModel();
  torch::LoadCheckpoint(*result.checkpoint.Get(), model);
  ArmOutcome outcome;
  outcome.steps = result.steps;
  outcome.hashes = {{"dataset", Sha256OfFiles(DataFiles(options_.data))},
                    {"features", Sha256::Hex(features.Binary())}};
  outcome.values["accuracy"] = result.accuracies.empty() ? 0.0 : result.accuracies.back();
  outcome.series["loss"] = GlobalLosses(
      result, torch::BatchPlan::OneOrder(kTrainRows, options_.world_size, training_.batch),
      options_.world_size);
  AddWeights(model->parameters(), outcome);
  return outcome;
}

void FmnistMlp::Run(const RepCommand& command) {
  const PhaseClock load;
  Load();
  events_.Phase("load", load.Seconds());
  const PhaseClock preprocess;
  Preprocess();
  events_.Phase("preprocess", preprocess.Seconds());
  const torch::TrainResult result = TrainAndEvaluate(*trainer_, command.steps, events_);
  events_.Result(command, Outcome(result));
  train_.clear();
  test_ = {};
}

int Main(int argc, char** argv) {
  Options rayx_options;
  // Slots, not CPU share: one for the worker of the trainer, one for preprocessing tasks.
  rayx_options.num_cpus = 2;
  Init(&argc, argv, rayx_options);
  TrainingOptions training;
  const ArmOptions options = ParseArmOptions(argc, argv, [&](CLI::App& app) {
    app.add_option("--sampler-seed", training.sampler_seed, "Of the first epoch's permutation");
    app.add_option("--batch", training.batch, "Global batch")
        ->check(CLI::Range(int64_t{1}, kTrainRows));
    app.add_option("--lr", training.learning_rate, "Learning rate")->check(CLI::Range(0.0, 100.0));
  });
  at::set_num_threads(options.threads);
  ArmEvents events(options.out, options.rank);
  const int exit_code = RunArm("fmnist_mlp", events, [&] {
    FmnistMlp workload(options, training, events);
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
