#include "torch/train_loop.h"

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include <algorithm>
#include <mutex>
#include <utility>

#include "rayx/torch/checkpoint.h"

namespace rayx::torch {
namespace {

// Ranks that are threads of one process share PyTorch's default generator: one makes its model at a
// time, from the seed.
Model MakeSeededModel(const detail::TrainFunctions& functions, std::uint64_t seed) {
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  ::torch::manual_seed(seed);
  return functions.make_model();
}

}  // namespace

TrainLoop::TrainLoop(const detail::TrainFunctions& functions, const TrainLoopOptions& options,
                     BatchPlan plan, const RowSet& rows,
                     c10::intrusive_ptr<c10d::ProcessGroup> group)
    : functions_(functions),
      options_(options),
      plan_(std::move(plan)),
      rows_(rows),
      model_(MakeSeededModel(functions, options.seed)),
      optimizer_(functions.make_optimizer(model_.module().parameters(), options.learning_rate)) {
  model_.module().train();
  if (!group) return;
  const auto method = GradientAverager::Choose(model_.module(), options_.overlap_above_bytes);
  averager_ = std::make_unique<GradientAverager>(model_.module(), std::move(group), method);
}

void TrainLoop::Run(std::int64_t first, std::int64_t count, std::vector<float>& losses) {
  for (std::int64_t index = first; index < first + count; ++index) {
    const std::int64_t epoch = index / plan_.steps();
    if (epoch != epoch_) {
      order_ = RandomOrder(rows_.rows(), options_.seed + static_cast<std::uint64_t>(epoch));
      epoch_ = epoch;
    }
    losses.push_back(Step(index % plan_.steps()));
    ++steps_done_;
  }
}

float TrainLoop::Step(std::int64_t step) {
  const RowRange part = plan_.Part(step, options_.rank);
  const TensorBlock rows = rows_.Take(order_.narrow(0, part.begin, part.count));

  optimizer_->zero_grad();
  if (averager_) averager_->BeforeForward();
  const at::Tensor loss = functions_.loss(model_.Forward(rows.features), rows.labels);
  if (averager_) averager_->BeforeBackward();
  const std::int64_t batch = plan_.BatchRows(step);
  if (part.count * options_.ranks == batch) {
    loss.backward();
  } else {
    const double share = static_cast<double>(part.count) * options_.ranks;
    (loss * (share / static_cast<double>(batch))).backward();
  }
  if (averager_) averager_->AfterBackward();
  optimizer_->step();
  return loss.item<float>();
}

std::int64_t TrainLoop::CountCorrect(const at::Tensor& features, const at::Tensor& labels,
                                     std::int64_t batch) {
  ::torch::NoGradGuard no_grad;
  model_.module().eval();
  std::int64_t correct = 0;
  for (std::int64_t begin = 0; begin < features.size(0); begin += batch) {
    const std::int64_t rows = std::min(batch, features.size(0) - begin);
    const at::Tensor scores = model_.Forward(features.narrow(0, begin, rows));
    const at::Tensor hits = scores.argmax(1).eq(labels.narrow(0, begin, rows));
    correct += hits.sum().item<std::int64_t>();
  }
  model_.module().train();
  return correct;
}

std::string TrainLoop::Checkpoint() const {
  return SaveCheckpoint(model_, *optimizer_, steps_done_);
}

}  // namespace rayx::torch
