// bench/workloads/arm/reducer_training.h
//
// Training of the arms native-cpp: what DistributedDataParallel is made of, in C++. c10d's Reducer
// averages gradients over Gloo while backward still runs, in DDP's buckets.
// Owner:    an arm's rank.                      Threads: one.
// Promises: the arithmetic of bench/native/training.py: the same rows in each step, the same bits
//           on one and two ranks.
// Limits:   every rank has all rows; a model with gradients in all its parameters.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "bench/workloads/arm/gloo_ranks.h"

namespace c10d {
class Reducer;
}  // namespace c10d

namespace rayx::bench {

struct ReducerTrainingOptions {
  uint64_t order_seed = 0;  // of the first epoch's permutation, + 1 of the next
  int64_t batch = 64;       // over all ranks
  double learning_rate = 1e-3;
};

class ReducerTraining {
 public:
  // `model`: the same weights on every rank. `ranks` must outlive this.
  ReducerTraining(GlooRanks& ranks, ::torch::nn::Sequential model,
                  const ReducerTrainingOptions& options);
  ~ReducerTraining();

  // Trains so many steps. The loss of each, the mean over the whole batch, on every rank.
  std::vector<double> Run(const at::Tensor& features, const at::Tensor& labels, int64_t steps);
  // How many of this rank's rows have their highest score at the label.
  int64_t CountCorrect(const at::Tensor& features, const at::Tensor& labels);
  std::vector<at::Tensor> parameters() const { return model_->parameters(); }

 private:
  at::Tensor Step(const at::Tensor& features, const at::Tensor& labels, int64_t batch_rows);

  GlooRanks& ranks_;
  ::torch::nn::Sequential model_;
  const ReducerTrainingOptions options_;
  ::torch::optim::SGD optimizer_;
  std::unique_ptr<c10d::Reducer> reducer_;  // null on one rank
};

}  // namespace rayx::bench
