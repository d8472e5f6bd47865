// runtime/torch/train_loop.h
//
// The training of one rank: batches in, losses out. Knows nothing of actors.
//
// Purpose:  one rank's model, optimiser and share of the rows; runs steps and evaluations.
// Owner:    TrainWorker, one a rank.
// Threads:  one at a time.
// Promises: with the same seed, data and group size the losses and weights are those of PyTorch's
//           DistributedDataParallel with Gloo (gradient_averager.h says how exactly). Without a
//           group (one rank): those of a plain training loop.
// Formula:  DDP averages the ranks' gradients. Where a batch does not divide evenly, rank r's loss
//           is scaled by rows_r * ranks / rows before backward, so that the average is that of the
//           whole batch; the reported loss is the unscaled one.
// Errors:   whatever the model, the loss or c10d throws. A loop that threw must not be used again.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rayx/torch/model.h"
#include "rayx/torch/sampler.h"
#include "rayx/torch/trainer.h"
#include "torch/gradient_averager.h"
#include "torch/row_set.h"

namespace rayx::torch {

struct TrainLoopOptions {
  int rank = 0;
  int ranks = 1;
  std::uint64_t seed = 0;
  double learning_rate = 1e-3;
  std::int64_t overlap_above_bytes = 0;  // see TrainerOptions
};

class TrainLoop {
 public:
  // Seeds the generator, makes the model, then joins its weights to the group's (null: alone).
  // `plan` divides `rows`, which must outlive the loop.
  TrainLoop(const detail::TrainFunctions& functions, const TrainLoopOptions& options,
            BatchPlan plan, const RowSet& rows, c10::intrusive_ptr<c10d::ProcessGroup> group);

  // Trains steps [first, first + count) of the whole training, counted over the epochs; appends
  // each one's loss over this rank's rows. Must be called in order, without gaps.
  void Run(std::int64_t first, std::int64_t count, std::vector<float>& losses);

  // How many rows of the class scores have their maximum at the label. Rows are taken
  // `batch` at a time.
  std::int64_t CountCorrect(const at::Tensor& features, const at::Tensor& labels,
                            std::int64_t batch);

  std::string Checkpoint() const;
  const ::torch::nn::Module& module() const { return model_.module(); }

 private:
  float Step(std::int64_t step);

  const detail::TrainFunctions functions_;
  const TrainLoopOptions options_;
  const BatchPlan plan_;
  const RowSet& rows_;
  Model model_;
  Optimizer optimizer_;
  std::unique_ptr<GradientAverager> averager_;  // null when alone
  std::int64_t epoch_ = -1;                     // the one that order_ belongs to
  at::Tensor order_;
  std::int64_t steps_done_ = 0;
};

}  // namespace rayx::torch
