#include "bench/workloads/arm/reducer_training.h"

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <tuple>

#include "bench/workloads/arm/share.h"

namespace rayx::bench {
namespace {

constexpr int64_t kRowsAtOnce = 1000;  // of a forward that counts

// As torch/nn/parallel/distributed.py makes it.
std::unique_ptr<c10d::Reducer> MakeReducer(const std::vector<at::Tensor>& parameters,
                                           const c10::intrusive_ptr<c10d::ProcessGroup>& group) {
  const std::vector<bool> sparse(parameters.size(), false);
  auto buckets = std::get<0>(c10d::compute_bucket_assignment_by_size(
      parameters, {static_cast<size_t>(std::numeric_limits<int64_t>::max())}, sparse));
  std::reverse(buckets.begin(), buckets.end());
  return std::make_unique<c10d::Reducer>(
      parameters, std::move(buckets), group, sparse, c10d::kDefaultBucketBytesCap,
      /*find_unused_parameters=*/false, /*gradient_as_bucket_view=*/true,
      std::unordered_map<size_t, std::string>(), c10d::kDefaultFirstBucketBytes,
      /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false,
      std::vector<int64_t>());
}

}  // namespace

ReducerTraining::ReducerTraining(GlooRanks& ranks, ::torch::nn::Sequential model,
                                 const ReducerTrainingOptions& options)
    : ranks_(ranks),
      model_(std::move(model)),
      options_(options),
      optimizer_(model_->parameters(), ::torch::optim::SGDOptions(options.learning_rate)) {
  if (ranks.size() > 1) reducer_ = MakeReducer(model_->parameters(), ranks.group());
}

ReducerTraining::~ReducerTraining() = default;

at::Tensor ReducerTraining::Step(const at::Tensor& features, const at::Tensor& labels,
                                 int64_t batch_rows) {
  // Not zero_grad, which detaches in place: the gradients are views of the Reducer's buckets.
  for (at::Tensor& parameter : optimizer_.param_groups().front().params()) {
    parameter.mutable_grad().reset();
  }
  if (reducer_) {
    reducer_->prepare_for_forward();
    reducer_->rebuild_buckets();
  }
  const at::Tensor loss = ::torch::nn::functional::cross_entropy(model_->forward(features), labels);
  if (reducer_) reducer_->prepare_for_backward({});
  // The ranks' gradients are averaged: scaled where ranks have different numbers of rows.
  const int64_t scaled_rows = labels.size(0) * ranks_.size();
  if (scaled_rows == batch_rows) {
    loss.backward();
  } else {
    (loss * (static_cast<double>(scaled_rows) / static_cast<double>(batch_rows))).backward();
  }
  optimizer_.step();
  return loss.detach();
}

std::vector<double> ReducerTraining::Run(const at::Tensor& features, const at::Tensor& labels,
                                         int64_t steps) {
  const int64_t rows = labels.size(0), batch = options_.batch, world = ranks_.size();
  const int64_t per_epoch = rows / batch + (rows % batch >= world ? 1 : 0);
  if (per_epoch == 0) {
    throw std::runtime_error(std::to_string(rows) + " rows to train on are too few for " +
                             std::to_string(world) + " ranks");
  }
  model_->train();
  at::Tensor order, losses = at::zeros({steps}, at::kFloat);
  auto* loss = losses.mutable_data_ptr<float>();
  for (int64_t step = 0; step < steps; ++step) {
    const int64_t in_epoch = step % per_epoch;
    if (in_epoch == 0) {
      const auto seed = options_.order_seed + static_cast<uint64_t>(step / per_epoch);
      order = ::torch::randperm(rows, at::detail::createCPUGenerator(seed), at::kLong);
    }
    const int64_t whole = std::min(batch, rows - in_epoch * batch);
    const Range part = Share(whole, ranks_.rank(), world);
    const at::Tensor chosen = order.narrow(0, in_epoch * batch + part.begin, part.size());
    const at::Tensor own =
        Step(features.index_select(0, chosen), labels.index_select(0, chosen), whole);
    loss[step] = own.item<float>() * static_cast<float>(part.size()) / static_cast<float>(whole);
  }
  ranks_.Sum(losses);
  return {loss, loss + steps};
}

int64_t ReducerTraining::CountCorrect(const at::Tensor& features, const at::Tensor& labels) {
  const c10::InferenceMode inference;
  model_->eval();
  int64_t correct = 0;
  for (int64_t begin = 0; begin < labels.size(0); begin += kRowsAtOnce) {
    const int64_t rows = std::min(kRowsAtOnce, labels.size(0) - begin);
    const at::Tensor scores = model_->forward(features.narrow(0, begin, rows));
    correct += scores.argmax(1).eq(labels.narrow(0, begin, rows)).sum().item<int64_t>();
  }
  return correct;
}

}  // namespace rayx::bench
