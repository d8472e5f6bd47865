// Goal: the trainer gives the numbers of native DDP, and tells what went wrong when something does.
// Method: local mode, where each worker is a thread of this process.
#include "tests/unit/torch/torch_catch.h"

#include <filesystem>
#include <stdexcept>

#include "rayx/torch.h"
#include "tests/unit/local/local_mode.h"
#include "tests/unit/torch/native_reference.h"

namespace rayx::torch {
namespace {

using rayx::testing::LocalMode;

TrainerOptions OptionsOf(const test::Job& job) {
  TrainerOptions options;
  options.workers = job.ranks;
  options.epochs = job.epochs;
  options.global_batch = job.batch;
  options.learning_rate = job.learning_rate;
  options.seed = job.seed;
  return options;
}

TensorBlock RowsOf(const test::Job& job) {
  return {test::JobFeatures(job), test::JobLabels(job)};
}

TEST_CASE("DataParallelTrainer: one and two workers have the losses and weights of native DDP") {
  const LocalMode local;
  test::Job job;
  job.ranks = GENERATE(1, 2);
  TrainerOptions options = OptionsOf(job);
  DataParallelTrainer<&test::MakePerceptron> trainer(options);
  const TrainResult result = trainer.Fit({Put(RowsOf(job))});

  options.overlap_above_bytes = 0;
  DataParallelTrainer<&test::MakePerceptron> as_ddp(options);
  CHECK(as_ddp.Fit({Put(RowsOf(job))}).rank_losses == result.rank_losses);

  const test::Reference native = test::RunNative(job);
  REQUIRE(result.rank_losses.size() == native.losses.size());
  CHECK(result.rank_losses == native.losses);
  CHECK(result.weights_checksum == native.checksum);
  CHECK(result.weights_absolute_sum == native.absolute_sum);
  if (job.ranks == 1) {
    CHECK(result.losses == std::vector<double>(native.losses[0].begin(), native.losses[0].end()));
  }
}

// A small job: two well-separated clouds of points.
::torch::nn::Sequential MakeSmall() {
  ::torch::nn::Sequential model;
  model->push_back(::torch::nn::Linear(4, 2));
  return model;
}

TensorBlock Clouds(std::int64_t rows, std::uint64_t seed) {
  const at::Tensor labels = RandomOrder(rows, seed) % 2;
  const at::Tensor noise = (RandomOrder(rows * 4, seed + 1) % 100).reshape({rows, 4});
  return {noise.to(at::kFloat) / 100 + labels.unsqueeze(1) * 2, labels};
}

TrainerOptions SmallOptions(int workers) {
  TrainerOptions options;
  options.workers = workers;
  options.epochs = 3;
  options.global_batch = 32;
  options.learning_rate = 0.1;
  return options;
}

TEST_CASE("DataParallelTrainer: progress, evaluation, and the same again from the seed") {
  const LocalMode local;
  TrainerOptions options = SmallOptions(2);
  options.report_every_steps = 5;
  DataParallelTrainer<&MakeSmall> trainer(options);
  trainer.Start();
  trainer.Load({Put(Clouds(300, 1)), Put(Clouds(90, 2))}, Put(Clouds(101, 3)));
  std::vector<Progress> reports;
  const TrainResult first = trainer.Train([&](const Progress& p) { reports.push_back(p); });

  // 390 rows: 12 batches of 32 and one of 6 an epoch; reports after 5, 10 and 13 steps of each.
  CHECK(first.steps == 39);
  REQUIRE(reports.size() == 9);
  for (std::size_t i = 0; i < reports.size(); ++i) {
    CHECK(reports[i].epoch == static_cast<int>(i / 3));
    CHECK(reports[i].first_step == static_cast<std::int64_t>(13 * (i / 3) + 5 * (i % 3)));
    CHECK(reports[i].losses.size() == (i % 3 == 2 ? 3 : 5));
    CHECK(reports[i].evaluated == (i % 3 == 2));
    CHECK(reports[i].steps_total == 39);
  }
  CHECK(first.losses.size() == 39);
  CHECK(first.losses.back() < first.losses.front() / 2);
  REQUIRE(first.accuracies.size() == 3);
  CHECK(first.accuracies.back() > 0.95);

  // A shorter training on the same workers changes nothing for the next one.
  const TrainResult shorter = trainer.Train({}, 7);
  CHECK(shorter.steps == 7);
  CHECK(shorter.losses == std::vector<double>(first.losses.begin(), first.losses.begin() + 7));
  const TrainResult second = trainer.Train();
  CHECK(second.losses == first.losses);
  CHECK(second.weights_checksum == first.weights_checksum);
}

TEST_CASE("DataParallelTrainer: workers with blocks of their own") {
  const LocalMode local;
  TrainerOptions options = SmallOptions(2);
  options.shard_blocks = true;
  DataParallelTrainer<&MakeSmall, &CrossEntropy, &Adam> trainer(options);
  const TrainResult result = trainer.Fit(
      {Put(Clouds(100, 1)), Put(Clouds(90, 2)), Put(Clouds(20, 3))}, Put(Clouds(50, 4)));
  CHECK(result.steps == 3 * 6);  // rank 0 has 120 rows, rank 1 has 90: 6 batches of 16
  CHECK(result.accuracies.size() == 3);
  CHECK(result.losses.back() < result.losses.front());
}

TEST_CASE("DataParallelTrainer: ranks with copies of their own train as on one data set") {
  const LocalMode local;
  DataParallelTrainer<&MakeSmall> trainer(SmallOptions(2));
  trainer.Start();
  CHECK(trainer.NodeNumbers() == std::vector<std::uint32_t>(2, GetRuntimeContext().NodeNumber()));
  trainer.Load({Put(Clouds(64, 1))}, Put(Clouds(50, 2)));
  const TrainResult shared = trainer.Train();
  using Blocks = std::vector<ObjectRef<TensorBlock>>;
  const Blocks evaluation = {Put(Clouds(50, 2)), Put(Clouds(50, 2))};
  trainer.LoadByRank({{Put(Clouds(64, 1))}, {Put(Clouds(64, 1))}}, evaluation);
  const TrainResult copies = trainer.Train();
  CHECK(copies.rank_losses == shared.rank_losses);
  CHECK(copies.accuracies == shared.accuracies);

  CHECK_THROWS_WITH(trainer.LoadByRank({{Put(Clouds(64, 1))}}), Catch::Contains("for 1 ranks"));
  CHECK_THROWS_WITH(trainer.LoadByRank({{Put(Clouds(64, 1))}, {}}), Catch::Contains("for rank 1"));
  CHECK_THROWS_WITH(trainer.LoadByRank({{Put(Clouds(64, 1))}, {Put(Clouds(63, 1))}}),
                    Catch::Contains("rank 1 was given another number of rows"));
  CHECK(trainer.NodeNumbers().empty());
}

TEST_CASE("DataParallelTrainer: max_steps ends the training, the checkpoint holds its weights") {
  const LocalMode local;
  TrainerOptions options = SmallOptions(2);
  options.checkpoint_path = (std::filesystem::temp_directory_path() /
                             ("rayx-trainer-test-" + std::to_string(::getpid()) + ".pt"))
                                .string();
  DataParallelTrainer<&MakeSmall> trainer(options);
  const TrainResult result = trainer.Fit({Put(Clouds(300, 1))}, {}, {}, 7);
  CHECK(result.losses.size() == 7);
  const Model model(MakeSmall());
  CHECK(LoadCheckpoint(*result.checkpoint.Get(), model) == 7);
  CHECK(WeightsChecksum(model.module()) == result.weights_checksum);
  CHECK(ReadCheckpointFile(options.checkpoint_path) == *result.checkpoint.Get());
  std::filesystem::remove(options.checkpoint_path);
}

class BadLabel : public std::runtime_error {
 public:
  explicit BadLabel(const std::string& what) : std::runtime_error(what) {}
};

// Fails where a label is 7: in one rank only, when one row has it.
at::Tensor PickyLoss(const at::Tensor& output, const at::Tensor& labels) {
  if ((labels == 7).any().item<bool>()) throw BadLabel("label 7");
  return CrossEntropy(output, labels);
}

TEST_CASE("DataParallelTrainer: one rank's exception is what the driver sees, at once") {
  const LocalMode local;
  TensorBlock rows = Clouds(300, 1);
  rows.labels[123] = 7;
  DataParallelTrainer<&MakeSmall, &PickyLoss> trainer(SmallOptions(2));
  const auto begin = std::chrono::steady_clock::now();
  CHECK_THROWS_AS(trainer.Fit({Put(rows)}), BadLabel);
  CHECK(std::chrono::steady_clock::now() - begin < kGroupTimeout);
  CHECK_THROWS_AS(trainer.Train(), InvalidOption);
  CHECK(trainer.Fit({Put(Clouds(300, 1))}).steps == 30);
}

TEST_CASE("DataParallelTrainer: wrong options and data are named") {
  const LocalMode local;
  const auto refused = [](auto change, const char* name) {
    TrainerOptions options = SmallOptions(2);
    change(options);
    CHECK_THROWS_WITH(DataParallelTrainer<&MakeSmall>(options), Catch::Contains(name));
  };
  refused([](auto& o) { o.workers = 0; }, "workers must be 1 to 4096, not 0");
  refused([](auto& o) { o.cpus_per_worker = -1; }, "cpus_per_worker");
  refused([](auto& o) { o.epochs = 0; }, "epochs");
  refused([](auto& o) { o.global_batch = 1; },
          "global_batch must be at least the number of workers");
  refused([](auto& o) { o.learning_rate = std::nan(""); }, "learning_rate");
  refused([](auto& o) { o.report_every_steps = -1; }, "report_every_steps");
  refused([](auto& o) { o.evaluation_batch = 0; }, "evaluation_batch");
  refused([](auto& o) { o.group_timeout = std::chrono::milliseconds(0); }, "group_timeout");
  refused([](auto& o) { o.checkpoint_every_epochs = 1; }, "checkpoint_path");
  refused([](auto& o) { o.checkpoint_path = "/no/such/folder/x.pt"; }, "/no/such/folder");

  DataParallelTrainer<&MakeSmall> trainer(SmallOptions(2));
  CHECK_THROWS_WITH(trainer.Train(), Catch::Contains("Start and Load"));
  CHECK_THROWS_WITH(trainer.Fit({Put(Clouds(9, 1))}, {}, {}, -1), Catch::Contains("max_steps"));
  CHECK_THROWS_WITH(trainer.Load({}), Catch::Contains("Start"));
  CHECK_THROWS_WITH(trainer.Fit({}), Catch::Contains("0 blocks"));
  CHECK_THROWS_WITH(trainer.Fit({Put(Clouds(1, 1))}), Catch::Contains("too few rows"));
  CHECK_THROWS_WITH(trainer.Fit({Put(TensorBlock{::torch::zeros({3, 4}), ::torch::zeros({2})})}),
                    Catch::Contains("as many rows"));
  CHECK_THROWS_WITH(trainer.Fit({Put(Clouds(9, 1)),
                                 Put(TensorBlock{::torch::zeros({3, 5}), ::torch::zeros({3})})}),
                    Catch::Contains("block 1: rows must have the type"));
  CHECK_THROWS_WITH(trainer.Fit({Put(TensorBlock())}), Catch::Contains("must be tensors"));
}

}  // namespace
}  // namespace rayx::torch

RAYX_EXCEPTION(rayx::torch::BadLabel);
