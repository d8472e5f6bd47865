#include "torch/gradient_averager.h"

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/comm.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

namespace rayx::torch {
namespace {

// As in torch/nn/parallel/distributed.py.
constexpr std::size_t kBroadcastBufferBytes = 250 * 1024 * 1024;
constexpr std::size_t kFirstBucketBytesUnlimited = std::numeric_limits<std::int64_t>::max();

std::vector<at::Tensor> TrainedParameters(const ::torch::nn::Module& module) {
  std::vector<at::Tensor> trained;
  for (const at::Tensor& parameter : module.parameters()) {
    if (parameter.requires_grad()) trained.push_back(parameter);
  }
  return trained;
}

}  // namespace

GradientAverager::GradientAverager(::torch::nn::Module& module,
                                   c10::intrusive_ptr<c10d::ProcessGroup> group)
    : module_(module), group_(std::move(group)) {
  const std::vector<at::Tensor> trained = TrainedParameters(module_);
  c10d::verify_params_across_processes(group_, trained, std::nullopt);
  std::vector<at::Tensor> state = module_.parameters();
  for (const at::Tensor& buffer : module_.buffers()) state.push_back(buffer);
  BroadcastFromRankZero(std::move(state));

  const std::vector<bool> sparse(trained.size(), false);
  auto buckets = std::get<0>(
      c10d::compute_bucket_assignment_by_size(trained, {kFirstBucketBytesUnlimited}, sparse));
  std::reverse(buckets.begin(), buckets.end());
  reducer_ = std::make_unique<c10d::Reducer>(
      trained, std::move(buckets), group_, sparse, c10d::kDefaultBucketBytesCap,
      /*find_unused_parameters=*/false, /*gradient_as_bucket_view=*/false,
      std::unordered_map<std::size_t, std::string>(), c10d::kDefaultFirstBucketBytes,
      /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false,
      std::vector<std::int64_t>());
}

GradientAverager::~GradientAverager() = default;

void GradientAverager::BeforeForward() {
  reducer_->prepare_for_forward();
  reducer_->rebuild_buckets();
  BroadcastFromRankZero(module_.buffers());
}

void GradientAverager::BeforeBackward() { reducer_->prepare_for_backward({}); }

void GradientAverager::BroadcastFromRankZero(std::vector<at::Tensor> tensors) {
  if (tensors.empty()) return;
  ::torch::NoGradGuard no_grad;
  for (at::Tensor& tensor : tensors) tensor = tensor.detach();
  c10d::broadcast_coalesced(group_, tensors, kBroadcastBufferBytes, /*rank=*/0);
}

}  // namespace rayx::torch
