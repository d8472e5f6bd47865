// Arm native-cpp of fmnist-mlp: the preprocessing of the RayX program on c10d, the Reducer averages
// the gradients. As in the tuned Python arm, the statistics are shared out by block, and every rank
// standardises all rows itself. Nothing of RayX is linked: of it, features.h takes a struct.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>

#include "bench/workloads/arm/gloo_ranks.h"
#include "bench/workloads/arm/model_outcome.h"
#include "bench/workloads/arm/reducer_training.h"
#include "bench/workloads/arm/share.h"
#include "bench/workloads/fmnist_mlp/features.h"

namespace rayx::bench {
namespace {

constexpr int64_t kTrainRows = 60000, kTestRows = 10000;

struct TrainingOptions {
  uint64_t sampler_seed = 45;
  int64_t batch = 64;
  double learning_rate = 1e-3;
};

::torch::nn::Sequential MakeModel() {
  ::torch::nn::Sequential model;
  model->push_back(::torch::nn::Linear(kPixels, 512));
  model->push_back(::torch::nn::ReLU());
  model->push_back(::torch::nn::Linear(512, 512));
  model->push_back(::torch::nn::ReLU());
  model->push_back(::torch::nn::Linear(512, 10));
  return model;
}

// One repetition on one rank.
class FmnistMlp {
 public:
  FmnistMlp(const ArmOptions& options, const TrainingOptions& training, GlooRanks& ranks)
      : options_(options), training_options_(training), ranks_(ranks) {}

  void Load();
  void Preprocess();
  void Train(int64_t steps);
  void Evaluate();
  ArmOutcome Outcome(int64_t steps) const;

 private:
  std::vector<std::string> Files() const;
  std::vector<RowBlock> Blocks(bool train) const;
  torch::TensorBlock Standardised(bool train, const Scale& scale) const;

  const ArmOptions& options_;
  const TrainingOptions& training_options_;
  GlooRanks& ranks_;
  torch::TensorBlock train_, test_;
  std::unique_ptr<ReducerTraining> training_;
  std::vector<double> losses_;
  double accuracy_ = 0;
};

std::vector<std::string> FmnistMlp::Files() const {
  return {options_.data + "/train-images-idx3-ubyte", options_.data + "/train-labels-idx1-ubyte",
          options_.data + "/t10k-images-idx3-ubyte", options_.data + "/t10k-labels-idx1-ubyte"};
}

std::vector<RowBlock> FmnistMlp::Blocks(bool train) const {
  const std::vector<std::string> files = Files();
  std::vector<RowBlock> blocks;
  const int64_t rows = train ? kTrainRows : kTestRows;
  for (int64_t begin = 0; begin < rows; begin += kFeatureBlockRows) {
    RowBlock block;
    block.images_path = files[train ? 0 : 2];
    block.labels_path = files[train ? 1 : 3];
    block.file_rows = rows;
    block.begin = begin;
    block.rows = kFeatureBlockRows;
    block.threads = options_.threads;
    blocks.push_back(block);
  }
  return blocks;
}

void FmnistMlp::Load() {
  const std::vector<std::string> files = Files();
  CheckRawFiles(files[0], files[1], kTrainRows);
  CheckRawFiles(files[2], files[3], kTestRows);
}

torch::TensorBlock FmnistMlp::Standardised(bool train, const Scale& scale) const {
  const int64_t rows = train ? kTrainRows : kTestRows;
  torch::TensorBlock all = {at::empty({rows, kPixels}), at::empty({rows}, at::kLong)};
  for (const RowBlock& block : Blocks(train)) {
    const torch::TensorBlock part = Standardise(block, scale);
    all.features.narrow(0, block.begin, block.rows).copy_(part.features);
    all.labels.narrow(0, block.begin, block.rows).copy_(part.labels);
  }
  return all;
}

void FmnistMlp::Preprocess() {
  const std::vector<RowBlock> blocks = Blocks(true);
  const auto count = static_cast<int64_t>(blocks.size());
  at::Tensor sums = at::zeros({count, 2}, at::kDouble);
  auto* sum = sums.mutable_data_ptr<double>();
  const Range own = Share(count, ranks_.rank(), ranks_.size());
  for (int64_t block = own.begin; block < own.end; ++block) {
    const Moments moments = MomentsOf(blocks[static_cast<size_t>(block)]);
    sum[2 * block] = moments.first;
    sum[2 * block + 1] = moments.second;
  }
  ranks_.Sum(sums);  // every other rank's are zero: exact
  double first = 0, second = 0;
  for (int64_t block = 0; block < count; ++block) {
    first += sum[2 * block];
    second += sum[2 * block + 1];
  }
  const auto pixels = static_cast<double>(kTrainRows * kPixels);
  Scale scale;
  scale.mean = first / pixels;
  scale.deviation = std::sqrt(second / pixels - scale.mean * scale.mean);
  train_ = Standardised(true, scale);
  test_ = Standardised(false, scale);
}

void FmnistMlp::Train(int64_t steps) {
  ::torch::manual_seed(options_.seed);
  training_ = std::make_unique<ReducerTraining>(
      ranks_, MakeModel(),
      ReducerTrainingOptions{.order_seed = training_options_.sampler_seed,
                             .batch = training_options_.batch,
                             .learning_rate = training_options_.learning_rate});
  losses_ = training_->Run(train_.features, train_.labels, steps);
}

void FmnistMlp::Evaluate() {
  const Range own = Share(kTestRows, ranks_.rank(), ranks_.size());
  at::Tensor correct =
      at::full({1},
               training_->CountCorrect(test_.features.narrow(0, own.begin, own.size()),
                                       test_.labels.narrow(0, own.begin, own.size())),
               at::kLong);
  ranks_.Sum(correct);
  accuracy_ = static_cast<double>(correct.item<int64_t>()) / static_cast<double>(kTestRows);
}

ArmOutcome FmnistMlp::Outcome(int64_t steps) const {
  Sha256 features;
  for (const at::Tensor& rows : {train_.features, test_.features}) {
    for (int64_t begin = 0; begin < rows.size(0); begin += kFeatureBlockRows) {
      const at::Tensor block = rows.narrow(0, begin, kFeatureBlockRows);
      Sha256 inner;
      inner.Add(block.const_data_ptr(), block.nbytes());
      const std::string digest = inner.Binary();
      features.Add(digest.data(), digest.size());
    }
  }
  ArmOutcome outcome;
  outcome.steps = steps;
  outcome.hashes = {{"dataset", Sha256OfFiles(Files())},
                    {"features", Sha256::Hex(features.Binary())}};
  outcome.values["accuracy"] = accuracy_;
  outcome.series["loss"] = losses_;
  AddWeights(training_->parameters(), outcome);
  return outcome;
}

void RunOnce(const ArmOptions& options, const TrainingOptions& training, const RepCommand& command,
             GlooRanks& ranks, ArmEvents& events) {
  FmnistMlp rep(options, training, ranks);
  RunPhase("load", ranks, events, [&] { rep.Load(); });
  RunPhase("preprocess", ranks, events, [&] { rep.Preprocess(); });
  RunPhase("train", ranks, events, [&] { rep.Train(command.steps); });
  RunPhase("evaluate", ranks, events, [&] { rep.Evaluate(); });
  if (events.active()) events.Result(command, rep.Outcome(command.steps));
}

int Main(int argc, char** argv) {
  TrainingOptions training;
  const ArmOptions options = ParseArmOptions(argc, argv, [&](CLI::App& app) {
    app.add_option("--sampler-seed", training.sampler_seed, "Of the first epoch's permutation");
    app.add_option("--batch", training.batch, "Global batch")
        ->check(CLI::Range(int64_t{1}, kTrainRows));
    app.add_option("--lr", training.learning_rate, "Learning rate")->check(CLI::Range(0.0, 100.0));
  });
  at::set_num_threads(options.threads);
  ArmEvents events(options.out, options.rank);
  return RunArm("fmnist_mlp_native", events, [&] {
    GlooRanks ranks(options);
    events.Ready({{"arm", "native-cpp"},
                  {"world_size", options.world_size},
                  {"threads", at::get_num_threads()},
                  {"torch", GlooRanks::LibraryVersion()},
                  {"blas", BlasOfLibTorch()}});
    return ServeRepetitions(
        options, events,
        [&](const RepCommand& command) { RunOnce(options, training, command, ranks, events); },
        [&](const std::string& line) { return ranks.Share(line); });
  });
}

}  // namespace
}  // namespace rayx::bench

int main(int argc, char** argv) {
  return rayx::bench::Main(argc, argv);
}
