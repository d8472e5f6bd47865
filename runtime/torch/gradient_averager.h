// Averages gradients over the ranks of a group while backward still runs.
//
// Purpose:  what PyTorch's DistributedDataParallel does around a module, in the same steps and with the
//           same buckets (one for the first iteration, then 1 MiB and 25 MiB in the order in which
//           gradients appear), so that weights agree with it bit for bit at any number of ranks.
// Owner:    TrainLoop; must die before the module and the group.
// Threads:  the training thread only.
// Promises: after construction all ranks have rank 0's parameters and buffers. After backward each
//           .grad is the average over the ranks.
// Errors:   a broken or timed-out group throws whatever c10d throws, out of the call that waited.
#ifndef RAYX_RUNTIME_TORCH_GRADIENT_AVERAGER_H_
#define RAYX_RUNTIME_TORCH_GRADIENT_AVERAGER_H_

#include <c10/util/intrusive_ptr.h>
#include <torch/torch.h>

#include <memory>
#include <vector>

namespace c10d {
class ProcessGroup;
class Reducer;
}  // namespace c10d

namespace rayx::torch {

class GradientAverager {
 public:
  // Checks that all ranks have the same shapes, then takes over rank 0's values.
  GradientAverager(::torch::nn::Module& module, c10::intrusive_ptr<c10d::ProcessGroup> group);
  ~GradientAverager();
  GradientAverager(const GradientAverager&) = delete;
  GradientAverager& operator=(const GradientAverager&) = delete;

  // Before forward of each training step. Buffers (of a BatchNorm) are rank 0's from here on.
  void BeforeForward();
  // Between forward and loss.backward().
  void BeforeBackward();

 private:
  void BroadcastFromRankZero(std::vector<at::Tensor> tensors);

  ::torch::nn::Module& module_;
  const c10::intrusive_ptr<c10d::ProcessGroup> group_;
  std::unique_ptr<c10d::Reducer> reducer_;
};

}  // namespace rayx::torch

#endif  // RAYX_RUNTIME_TORCH_GRADIENT_AVERAGER_H_
