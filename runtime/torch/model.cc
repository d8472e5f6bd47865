#include "rayx/torch/model.h"

namespace rayx::torch {
namespace {

// The values of a parameter as signed integers of the same width, widened to 64 bits.
at::Tensor Bits(const at::Tensor& parameter) {
  const at::Tensor flat = parameter.detach().contiguous().reshape(-1);
  switch (flat.element_size()) {
    case 1:
      return flat.view(at::kChar).to(at::kLong);
    case 2:
      return flat.view(at::kShort).to(at::kLong);
    case 4:
      return flat.view(at::kInt).to(at::kLong);
    default:
      return flat.view(at::kLong);
  }
}

}  // namespace

at::Tensor CrossEntropy(const at::Tensor& scores, const at::Tensor& labels) {
  return ::torch::nn::functional::cross_entropy(scores, labels);
}

at::Tensor MeanSquaredError(const at::Tensor& output, const at::Tensor& target) {
  return ::torch::nn::functional::mse_loss(output, target);
}

Optimizer Sgd(const std::vector<at::Tensor>& parameters, double learning_rate) {
  return std::make_unique<::torch::optim::SGD>(parameters,
                                               ::torch::optim::SGDOptions(learning_rate));
}

Optimizer Adam(const std::vector<at::Tensor>& parameters, double learning_rate) {
  return std::make_unique<::torch::optim::Adam>(parameters,
                                                ::torch::optim::AdamOptions(learning_rate));
}

std::uint64_t WeightsChecksum(const ::torch::nn::Module& module) {
  ::torch::NoGradGuard no_grad;
  std::uint64_t sum = 0;
  std::int64_t begin = 0;
  for (const at::Tensor& parameter : module.parameters()) {
    const at::Tensor bits = Bits(parameter);
    const at::Tensor factors = at::arange(begin, begin + bits.numel(), at::kLong) * 2 + 1;
    sum += static_cast<std::uint64_t>((bits * factors).sum().item<std::int64_t>());
    begin += bits.numel();
  }
  return sum;
}

double WeightsAbsoluteSum(const ::torch::nn::Module& module) {
  ::torch::NoGradGuard no_grad;
  double sum = 0;
  for (const at::Tensor& parameter : module.parameters()) {
    sum += parameter.detach().to(at::kDouble).abs().sum().item<double>();
  }
  return sum;
}

}  // namespace rayx::torch
