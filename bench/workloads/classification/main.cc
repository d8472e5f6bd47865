// Arm rayx of classification-*: what a RayX user would write. Every step of preprocessing is one
// task a block, on the VM where the block lies; blocks stay in the object store, and a
// DataParallelTrainer trains on them.
#include <ATen/Parallel.h>
#include <rayx/rayx.h>
#include <rayx/torch.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <limits>
#include <tuple>
#include <utility>

#include "bench/workloads/arm/model_outcome.h"
#include "bench/workloads/arm/trainer_run.h"
#include "bench/workloads/classification/classification_options.h"
#include "bench/workloads/classification/models.h"
#include "bench/workloads/classification/table_blocks.h"

namespace rayx::bench {
namespace {

// What a task knows of the block that it works on. Results that the driver looks at travel beside
// the block, which stays where it is.
struct BlockTask {
  TablePlan plan;
  int64_t block = 0;
  uint64_t seed = 1;
  int threads = 1;
};

torch::TensorBlock BlockOf(LabelledRows rows) {
  return {std::move(rows.features), std::move(rows.labels)};
}

LabelledRows RowsOf(const torch::TensorBlock& block) {
  return {block.features, block.labels};
}

std::pair<torch::TensorBlock, int64_t> Read(const BlockTask& task) {
  LabelledRows rows = ReadBlock(task.plan, task.block);
  const int64_t count = rows.labels.size(0);
  return {BlockOf(std::move(rows)), count};
}

std::pair<at::Tensor, int64_t> Clean(const torch::TensorBlock& raw) {
  at::Tensor complete = CompleteRows(RowsOf(raw));
  const auto count = complete.sum().item<int64_t>();
  return {std::move(complete), count};
}

std::tuple<torch::TensorBlock, torch::TensorBlock, int64_t> SplitBlock(
    const BlockTask& task, const torch::TensorBlock& raw, const at::Tensor& complete) {
  SplitRows rows = Split(task.plan, task.block, RowsOf(raw), complete, task.seed);
  const int64_t count = rows.train.labels.size(0);
  return {BlockOf(std::move(rows.train)), BlockOf(std::move(rows.test)), count};
}

Moments MomentsOfBlock(const BlockTask& task, const torch::TensorBlock& train) {
  at::set_num_threads(task.threads);
  return MomentsOf(RowsOf(train));
}

std::pair<torch::TensorBlock, torch::TensorBlock> StandardiseBlock(const BlockTask& task,
                                                                   const torch::TensorBlock& train,
                                                                   const torch::TensorBlock& test,
                                                                   const Scale& scale) {
  at::set_num_threads(task.threads);
  return {BlockOf(Standardise(RowsOf(train), scale)), BlockOf(Standardise(RowsOf(test), scale))};
}

torch::TensorBlock Join(const std::vector<ObjectRef<torch::TensorBlock>>& blocks) {
  std::vector<at::Tensor> features, labels;
  for (const auto& block : Get(blocks)) {
    features.push_back(block->features);
    labels.push_back(block->labels);
  }
  return {at::cat(features), at::cat(labels)};
}

std::string Digest(const torch::TensorBlock& rows) {
  return DigestOf(RowsOf(rows));
}

std::shared_ptr<torch::TrainerBase> MakeTrainer(const ArmOptions& options,
                                                const ClassificationOptions& classification) {
  torch::TrainerOptions trainer;
  trainer.workers = options.world_size;
  trainer.cpus_per_worker = options.threads;
  trainer.epochs = std::numeric_limits<int>::max();  // each repetition says how many steps
  trainer.global_batch = classification.batch;
  trainer.learning_rate = classification.learning_rate;
  trainer.seed = options.seed;
  if (classification.is_mlp()) {
    return std::make_shared<torch::DataParallelTrainer<&MakeMultilayerPerceptron>>(trainer);
  }
  return std::make_shared<torch::DataParallelTrainer<&MakeLogisticRegression>>(trainer);
}

// What each block is, step by step.
struct BlockRefs {
  ObjectRef<torch::TensorBlock> raw, train_columns, test_columns, train, test;
  ObjectRef<at::Tensor> complete;
};

class Classification {
 public:
  Classification(const ArmOptions& options, const ClassificationOptions& classification,
                 ArmEvents& events)
      : options_(options),
        classification_(classification),
        events_(events),
        trainer_(MakeTrainer(options, classification)) {}

  // Brings the workers up, as torchrun does its ranks. They stay for all repetitions.
  void Start();
  void Run(const RepCommand& command);

 private:
  void Load();
  void CleanBlocks();
  void SplitBlocks();
  void StandardiseBlocks();
  ArmOutcome Outcome(const torch::TrainResult& result) const;

  BlockTask TaskOf(size_t block) const;
  // The caller of a task on the VM of a block.
  template <auto Function>
  auto On(size_t block) const;
  template <typename Part>
  int64_t SumOf(const std::vector<ObjectRef<Part>>& counts) const;

  const ArmOptions options_;
  const ClassificationOptions classification_;
  ArmEvents& events_;
  const std::shared_ptr<torch::TrainerBase> trainer_;
  std::vector<uint32_t> nodes_;
  TablePlan plan_;
  std::vector<BlockRefs> blocks_;
  int64_t rows_ = 0, train_rows_ = 0;
};

void Classification::Start() {
  for (const NodeDescription& node : Nodes()) {
    if (node.alive) nodes_.push_back(node.number);
  }
  trainer_->Start();
}

BlockTask Classification::TaskOf(size_t block) const {
  return {plan_, static_cast<int64_t>(block), options_.seed, options_.threads};
}

template <auto Function>
auto Classification::On(size_t block) const {
  const size_t vm = block * nodes_.size() / blocks_.size();
  return Task<Function>().SetSchedulingStrategy(SchedulingStrategy::NodeAffinity(nodes_.at(vm)));
}

// Waits for the tasks, and throws what they throw.
template <typename Part>
int64_t Classification::SumOf(const std::vector<ObjectRef<Part>>& counts) const {
  int64_t sum = 0;
  for (const auto& count : Get(counts)) sum += *count;
  return sum;
}

void Classification::Load() {
  plan_ = PlanOfTable(options_.data, classification_.block_rows);
  blocks_.assign(static_cast<size_t>(plan_.blocks()), {});
  std::vector<ObjectRef<int64_t>> rows;
  for (size_t b = 0; b < blocks_.size(); ++b) {
    std::tie(blocks_[b].raw, rows.emplace_back()) = On<&Read>(b).RemoteEach(TaskOf(b));
  }
  SumOf(rows);
}

void Classification::CleanBlocks() {
  std::vector<ObjectRef<int64_t>> rows;
  for (size_t b = 0; b < blocks_.size(); ++b) {
    std::tie(blocks_[b].complete, rows.emplace_back()) = On<&Clean>(b).RemoteEach(blocks_[b].raw);
  }
  rows_ = SumOf(rows);
}

void Classification::SplitBlocks() {
  std::vector<ObjectRef<int64_t>> rows;
  for (size_t b = 0; b < blocks_.size(); ++b) {
    BlockRefs& block = blocks_[b];
    std::tie(block.train_columns, block.test_columns, rows.emplace_back()) =
        On<&SplitBlock>(b).RemoteEach(TaskOf(b), block.raw, block.complete);
  }
  train_rows_ = SumOf(rows);
}

void Classification::StandardiseBlocks() {
  std::vector<ObjectRef<Moments>> parts;
  for (size_t b = 0; b < blocks_.size(); ++b) {
    parts.push_back(On<&MomentsOfBlock>(b).Remote(TaskOf(b), blocks_[b].train_columns));
  }
  std::vector<Moments> moments;
  for (const auto& part : Get(parts)) moments.push_back(*part);
  const Scale scale = ScaleOf(moments);
  std::vector<ObjectRef<torch::TensorBlock>> train, test;
  for (size_t b = 0; b < blocks_.size(); ++b) {
    BlockRefs& block = blocks_[b];
    std::tie(block.train, block.test) = On<&StandardiseBlock>(b).RemoteEach(
        TaskOf(b), block.train_columns, block.test_columns, scale);
    train.push_back(block.train);
    test.push_back(block.test);
  }
  // Joining waits for all of them in the slot that they need.
  Wait(test, static_cast<int>(test.size()), -1);
  trainer_->Load(train, Task<&Join>().Remote(test));  // every worker can read every row
}

ArmOutcome Classification::Outcome(const torch::TrainResult& result) const {
  std::vector<ObjectRef<std::string>> raw, features;
  for (size_t b = 0; b < blocks_.size(); ++b) {
    raw.push_back(On<&Digest>(b).Remote(blocks_[b].raw));
    features.push_back(On<&Digest>(b).Remote(blocks_[b].train));
  }
  for (size_t b = 0; b < blocks_.size(); ++b) {
    features.push_back(On<&Digest>(b).Remote(blocks_[b].test));
  }
  const auto digest_of = [](const std::vector<ObjectRef<std::string>>& parts) {
    Sha256 digest;
    for (const auto& part : Get(parts)) digest.Add(part->data(), part->size());
    return Sha256::Hex(digest.Binary());
  };
  ArmOutcome outcome;
  outcome.steps = result.steps;
  outcome.hashes = {{"dataset", digest_of(raw)}, {"features", digest_of(features)}};
  outcome.values = {{"rows", static_cast<double>(rows_)},
                    {"accuracy", result.accuracies.empty() ? 0.0 : result.accuracies.back()},
                    {"best_accuracy", BestAccuracy(options_.data)}};
  outcome.series["loss"] = GlobalLosses(
      result, torch::BatchPlan::OneOrder(train_rows_, options_.world_size, classification_.batch),
      options_.world_size);
  const ::torch::nn::Sequential model =
      classification_.is_mlp() ? MakeMultilayerPerceptron() : MakeLogisticRegression();
  torch::LoadCheckpoint(*result.checkpoint.Get(), model);
  AddWeights(model->parameters(), outcome);
  return outcome;
}

void Classification::Run(const RepCommand& command) {
  const auto phase = [&](const char* name, void (Classification::*work)()) {
    const PhaseClock clock;
    (this->*work)();
    events_.Phase(name, clock.Seconds());
  };
  phase("load", &Classification::Load);
  phase("clean", &Classification::CleanBlocks);
  phase("split", &Classification::SplitBlocks);
  phase("standardise", &Classification::StandardiseBlocks);
  const torch::TrainResult result = TrainAndEvaluate(*trainer_, command.steps, events_);
  events_.Result(command, Outcome(result));
  blocks_.clear();
}

int Main(int argc, char** argv) {
  Options rayx_options;
  // Slots, not CPU share: one for the worker of the trainer, one for preprocessing tasks.
  rayx_options.num_cpus = 2;
  Init(&argc, argv, rayx_options);
  ClassificationOptions classification;
  const ArmOptions options = ParseArmOptions(
      argc, argv, [&](CLI::App& app) { AddClassificationFlags(app, classification); });
  at::set_num_threads(options.threads);
  ArmEvents events(options.out, options.rank);
  const int exit_code = RunArm("classification", events, [&] {
    Classification workload(options, classification, events);
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
