// runtime/torch/gradient_averager.h
//
// Averages gradients over the ranks of a group.
//
// Purpose:  what PyTorch's DistributedDataParallel does around a module: all ranks begin with rank
//           0's values, and after backward each gradient is the average over the ranks.
// Method:   kOverlapped is c10d's own Reducer with DDP's buckets (one for the first iteration, then
//           1 MiB and 25 MiB in the order in which gradients appear), reduced while backward still
//           runs: DDP's bits at any number of ranks. kAtOnce reduces all gradients in one piece
//           after backward: fewer round trips and less work for small models, the same bits at one
//           and two ranks (beyond two the order of the sum depends on the layout).
// Owner:    TrainLoop; must die before the module and the group.
// Threads:  the training thread only.
// Errors:   a broken or timed-out group throws whatever c10d throws, out of the call that waited.
#pragma once

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
  enum class Method { kAtOnce, kOverlapped };

  // kOverlapped when the trained parameters have more than `overlap_above_bytes`, or several types.
  static Method Choose(const ::torch::nn::Module& module, std::int64_t overlap_above_bytes);

  // Checks that all ranks have the same shapes, then takes over rank 0's parameters and buffers.
  GradientAverager(::torch::nn::Module& module, c10::intrusive_ptr<c10d::ProcessGroup> group,
                   Method method);
  ~GradientAverager();
  GradientAverager(const GradientAverager&) = delete;
  GradientAverager& operator=(const GradientAverager&) = delete;

  // Around each training step, in this order. Buffers (of a BatchNorm) are rank 0's before forward.
  void BeforeForward();
  void BeforeBackward();
  void AfterBackward();

 private:
  void MakeReducer();
  void MakeFlat();
  void BroadcastFromRankZero(std::vector<at::Tensor> tensors);

  ::torch::nn::Module& module_;
  const c10::intrusive_ptr<c10d::ProcessGroup> group_;
  const std::vector<at::Tensor> trained_;   // the parameters that have gradients
  std::unique_ptr<c10d::Reducer> reducer_;  // kOverlapped
  at::Tensor flat_;                         // kAtOnce: all gradients, one after the other
  std::vector<at::Tensor> parts_;           // of flat_, shaped like the parameters
  at::Tensor share_;                        // 1 / ranks
};

}  // namespace rayx::torch
