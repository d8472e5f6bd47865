#include "torch/gradient_averager.h"

#include <ATen/ScalarOps.h>
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

GradientAverager::Method GradientAverager::Choose(const ::torch::nn::Module& module,
                                                  std::int64_t overlap_above_bytes) {
  std::int64_t bytes = 0;
  const std::vector<at::Tensor> trained = TrainedParameters(module);
  for (const at::Tensor& parameter : trained) {
    if (parameter.scalar_type() != trained[0].scalar_type()) return Method::kOverlapped;
    bytes += static_cast<std::int64_t>(parameter.nbytes());
  }
  return bytes > overlap_above_bytes ? Method::kOverlapped : Method::kAtOnce;
}

GradientAverager::GradientAverager(::torch::nn::Module& module,
                                   c10::intrusive_ptr<c10d::ProcessGroup> group, Method method)
    : module_(module), group_(std::move(group)), trained_(TrainedParameters(module)) {
  c10d::verify_params_across_processes(group_, trained_, std::nullopt);
  std::vector<at::Tensor> state = module_.parameters();
  for (const at::Tensor& buffer : module_.buffers()) state.push_back(buffer);
  BroadcastFromRankZero(std::move(state));
  if (trained_.empty()) return;
  if (method == Method::kOverlapped) {
    MakeReducer();
  } else {
    MakeFlat();
  }
}

GradientAverager::~GradientAverager() = default;

void GradientAverager::MakeReducer() {
  const std::vector<bool> sparse(trained_.size(), false);
  auto buckets = std::get<0>(
      c10d::compute_bucket_assignment_by_size(trained_, {kFirstBucketBytesUnlimited}, sparse));
  std::reverse(buckets.begin(), buckets.end());
  reducer_ = std::make_unique<c10d::Reducer>(
      trained_, std::move(buckets), group_, sparse, c10d::kDefaultBucketBytesCap,
      /*find_unused_parameters=*/false, /*gradient_as_bucket_view=*/false,
      std::unordered_map<std::size_t, std::string>(), c10d::kDefaultFirstBucketBytes,
      /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false,
      std::vector<std::int64_t>());
}

void GradientAverager::MakeFlat() {
  std::int64_t elements = 0;
  for (const at::Tensor& parameter : trained_) elements += parameter.numel();
  flat_ = at::zeros({elements}, trained_[0].detach().options());
  std::byte* part = static_cast<std::byte*>(flat_.mutable_data_ptr());
  for (const at::Tensor& parameter : trained_) {
    // Tensors of their own on flat_'s memory: an optimizer detaches gradients, which views refuse.
    parts_.push_back(at::from_blob(
        part, parameter.sizes(), [flat = flat_](void*) {}, flat_.options()));
    part += parameter.nbytes();
  }
  share_ = at::native::wrapped_scalar_tensor(1.0 / group_->getSize());
}

void GradientAverager::BeforeForward() {
  if (reducer_) {
    reducer_->prepare_for_forward();
    reducer_->rebuild_buckets();
  }
  BroadcastFromRankZero(module_.buffers());
}

void GradientAverager::BeforeBackward() {
  if (reducer_) reducer_->prepare_for_backward({});
}

void GradientAverager::AfterBackward() {
  if (!flat_.defined()) return;
  ::torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    at::Tensor& gradient = trained_[i].mutable_grad();
    if (gradient.defined()) {
      at::mul_out(parts_[i], gradient, share_);  // divided before they are added, as DDP does
    } else {
      parts_[i].zero_();
    }
    gradient = parts_[i];
  }
  std::vector<at::Tensor> all{flat_};
  group_->allreduce(all)->wait();
}

void GradientAverager::BroadcastFromRankZero(std::vector<at::Tensor> tensors) {
  if (tensors.empty()) return;
  ::torch::NoGradGuard no_grad;
  for (at::Tensor& tensor : tensors) tensor = tensor.detach();
  c10d::broadcast_coalesced(group_, tensors, kBroadcastBufferBytes, /*rank=*/0);
}

}  // namespace rayx::torch
