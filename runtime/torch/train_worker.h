// runtime/torch/train_worker.h
//
// The actor that is one rank of a DataParallelTrainer.
//
// Purpose:  joins the group, fetches its rows, trains steps when told to.
// Owner:    the trainer, by its handle. Not a type for users.
// Threads:  calls come one at a time.
// Promises: uses as many threads as it has leased CPUs (at least one). After a failure it leaves
//           the group at once, so that the other ranks fail too instead of waiting; later calls
//           then throw GroupBroken.
// Errors:   GroupBroken when another rank is gone or late; whatever the user's functions throw.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rayx/rayx.h"
#include "rayx/torch/process_group.h"
#include "rayx/torch/tensor.h"
#include "rayx/torch/trainer.h"
#include "torch/row_set.h"
#include "torch/train_loop.h"

namespace rayx::torch {

struct LoadReport {
  std::int64_t rows = 0;
  std::int64_t evaluation_rows = 0;  // all of them, not only this rank's part
};

// Steps [first, first + count), then perhaps an evaluation.
struct TrainRequest {
  std::int64_t first = 0;
  std::int64_t count = 0;
  bool evaluate = false;
};

struct TrainReport {
  std::vector<float> losses;
  double train_seconds = 0;
  double evaluate_seconds = 0;
  std::int64_t correct = 0;  // of this rank's part of the evaluation rows
};

struct WeightsReport {
  std::uint64_t checksum = 0;
  double absolute_sum = 0;
};

class TrainWorker {
 public:
  TrainWorker(detail::TrainFunctions functions, detail::WorkerSetup setup);

  // Returns this rank's node when all ranks have joined.
  std::uint32_t Join();
  // The rows to train on, and those to evaluate on (an empty reference: none).
  LoadReport Load(const std::vector<ObjectRef<TensorBlock>>& blocks,
                  const ObjectRef<TensorBlock>& evaluation);
  // Starts from the seed. `rows_of_rank` is used when ranks have rows of their own.
  void Begin(const std::vector<std::int64_t>& rows_of_rank);
  TrainReport Train(const TrainRequest& request);
  WeightsReport Weights();
  std::string Checkpoint();

 private:
  template <typename Work>
  auto Guarded(const Work& work);
  TrainLoop& Loop();

  const detail::TrainFunctions functions_;
  const detail::WorkerSetup setup_;
  std::unique_ptr<ProcessGroup> group_;  // null when there is one rank
  RowSet rows_;
  TensorBlock evaluation_;
  std::unique_ptr<TrainLoop> loop_;
  std::string failure_;  // why this rank gave up; "" while it works
};

}  // namespace rayx::torch
