// What a trainer trains: a module with a forward, a loss, an optimiser.
//
// Purpose:  the types of the three functions that a DataParallelTrainer is given.
// Owner:    Model shares the module.
// Threads:  as the module: one at a time.
// Promises: converts from whatever a factory likes to return: a torch::nn::Sequential, any
//           TORCH_MODULE holder, a std::shared_ptr of a module, as long as forward(Tensor) ->
//           Tensor.
#ifndef RAYX_TORCH_MODEL_H_
#define RAYX_TORCH_MODEL_H_

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace rayx::torch {

// A module and how to run it.
class Model {
 public:
  // From a module holder (Sequential, Linear, your TORCH_MODULE).
  template <typename Impl>
  Model(const ::torch::nn::ModuleHolder<Impl>& holder)  // NOLINT: a factory returns its module
      : Model(holder.ptr()) {}

  // From a shared module.
  template <typename Impl,
            typename = std::enable_if_t<std::is_base_of_v<::torch::nn::Module, Impl>>>
  Model(std::shared_ptr<Impl> module)  // NOLINT: a factory returns its module
      : module_(module), forward_([module](const at::Tensor& input) -> at::Tensor {
          return module->forward(input);
        }) {}

  // Of a batch: [rows, ...] to what the module makes of it.
  at::Tensor Forward(const at::Tensor& features) const { return forward_(features); }
  // The module itself, shared with whoever made it.
  ::torch::nn::Module& module() const { return *module_; }

 private:
  std::shared_ptr<::torch::nn::Module> module_;
  std::function<at::Tensor(const at::Tensor&)> forward_;
};

using Optimizer = std::unique_ptr<::torch::optim::Optimizer>;

// The mean cross entropy of class scores [rows, classes] against labels int64 [rows].
at::Tensor CrossEntropy(const at::Tensor& scores, const at::Tensor& labels);
// The mean of squared differences.
at::Tensor MeanSquaredError(const at::Tensor& output, const at::Tensor& target);

// Plain stochastic gradient descent.
Optimizer Sgd(const std::vector<at::Tensor>& parameters, double learning_rate);
// Adam with PyTorch's default betas.
Optimizer Adam(const std::vector<at::Tensor>& parameters, double learning_rate);

// A fingerprint of all parameters, equal only if every bit is (up to a chance of 2^-64): the sum
// over i of bits_i * (2i + 1) modulo 2^64, where bits_i is the i-th parameter value, in the order
// of module.parameters() and row-major, read as a signed integer of its width. In Python, for
// float32:
//   b = torch.cat([p.detach().reshape(-1).view(torch.int32) for p in model.parameters()]).long()
//   checksum = int((b * (2 * torch.arange(len(b)) + 1)).sum()) % 2**64
std::uint64_t WeightsChecksum(const ::torch::nn::Module& module);
// The sum of the absolute values of all parameters, in double, a parameter after the other.
double WeightsAbsoluteSum(const ::torch::nn::Module& module);

}  // namespace rayx::torch

#endif  // RAYX_TORCH_MODEL_H_
