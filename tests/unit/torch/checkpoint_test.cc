// Goal: a checkpoint restores model, optimiser and step; damaged ones and bad paths are refused.
#include "tests/unit/torch/torch_catch.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "rayx/errors.h"
#include "rayx/torch/checkpoint.h"

namespace rayx::torch {
namespace {

class Folder {
 public:
  Folder() {
    path_ = (std::filesystem::temp_directory_path() / "rayx-checkpoint-XXXXXX").string();
    REQUIRE(::mkdtemp(path_.data()) != nullptr);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  std::size_t Entries() const {
    const std::filesystem::directory_iterator all(path_);
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

 private:
  std::string path_;
};

struct Training {
  ::torch::nn::Linear layer{20, 3};
  Model model{layer};
  Optimizer optimizer = Adam(layer->parameters(), 0.01);

  void Step(const at::Tensor& x) {
    optimizer->zero_grad();
    model.Forward(x).pow(2).mean().backward();
    optimizer->step();
  }
};

TEST_CASE("Checkpoint: training goes on from it as if it had not stopped") {
  const at::Tensor x = ::torch::randn({8, 20});
  Training original;
  for (int i = 0; i < 3; ++i) original.Step(x);
  const std::string bytes = SaveCheckpoint(original.model, *original.optimizer, 3);

  Training resumed;
  CHECK(LoadCheckpoint(bytes, resumed.model, resumed.optimizer.get()) == 3);
  CHECK(WeightsChecksum(resumed.model.module()) == WeightsChecksum(original.model.module()));
  original.Step(x);
  resumed.Step(x);
  CHECK(WeightsChecksum(resumed.model.module()) == WeightsChecksum(original.model.module()));
}

TEST_CASE("Checkpoint: bytes that are none, or of another model, are refused") {
  const Training training;
  const std::string bytes = SaveCheckpoint(training.model, *training.optimizer, 1);
  CHECK_THROWS_AS(LoadCheckpoint("", training.model), SerializationError);
  CHECK_THROWS_AS(LoadCheckpoint("not a checkpoint", training.model), SerializationError);
  CHECK_THROWS_AS(LoadCheckpoint(bytes.substr(0, bytes.size() / 2), training.model),
                  SerializationError);
  ::torch::nn::Sequential other(::torch::nn::Conv2d(1, 1, 1));
  CHECK_THROWS_AS(LoadCheckpoint(bytes, Model(other)), SerializationError);
}

TEST_CASE("Checkpoint: a file is replaced whole and leaves no draft behind") {
  const Folder folder;
  const std::string path = folder.File("model.pt");
  WriteCheckpointFile(path, "old");
  WriteCheckpointFile(path, std::string(100000, 'x'));
  CHECK(ReadCheckpointFile(path) == std::string(100000, 'x'));
  CHECK(folder.Entries() == 1);
}

TEST_CASE("Checkpoint: a path that cannot be written or read is named") {
  const Folder folder;
  const std::string path = folder.File("no/such/folder/model.pt");
  CHECK_THROWS_WITH(WriteCheckpointFile(path, "x"), Catch::Contains(path));
  CHECK_THROWS_WITH(ReadCheckpointFile(path), Catch::Contains(path));
  std::filesystem::create_directory(folder.File("folder"));
  CHECK_THROWS_AS(WriteCheckpointFile(folder.File("folder"), "x"), InvalidOption);
  CHECK_THROWS_AS(ReadCheckpointFile(folder.File("folder")), InvalidOption);
  CHECK(folder.Entries() == 1);
}

TEST_CASE("Weights: the checksum sees every bit and every place") {
  ::torch::nn::Linear layer(4, 3);
  ::torch::NoGradGuard no_grad;
  const std::uint64_t before = WeightsChecksum(*layer);
  CHECK(WeightsChecksum(*layer) == before);
  layer->weight.detach().view(at::kInt).reshape(-1)[5].bitwise_xor_(1);
  const std::uint64_t flipped = WeightsChecksum(*layer);
  CHECK(flipped != before);
  const at::Tensor row = layer->weight[0].clone();
  layer->weight[0].copy_(layer->weight[1]);
  layer->weight[1].copy_(row);
  CHECK(WeightsChecksum(*layer) != flipped);
}

}  // namespace
}  // namespace rayx::torch
