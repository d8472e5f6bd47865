// Data-parallel training on actors: each worker holds the whole model and a part of every batch.
//
// Purpose:  DataParallelTrainer<&MakeModel>(options).Fit(data): what PyTorch's
//           DistributedDataParallel does under torchrun, without addresses, ports, ranks or shells.
//           See rayx/torch.h for an example.
// Owner:    the trainer owns its actors; its destructor ends them.
// Threads:  one at a time.
// Promises: weights and losses agree bit for bit with DistributedDataParallel over Gloo for the
//           same seed and data (sampler.h says which rows a rank takes) at one and two workers, and
//           beyond with overlap_above_bytes = 0. A worker's death, or a lost VM, surfaces as the
//           error of its actor; the other workers are ended, nothing hangs. A checkpoint file is
//           written whole or not at all.
// Limits:   no restart from the last checkpoint by itself; a model that fits a worker.
// Errors:   InvalidOption names the option. ActorDied, NodeDied of a worker. GroupBroken when only
//           the collective shows that something is wrong. What MakeModel, Loss or MakeOptimizer
//           throw.
#ifndef RAYX_TORCH_TRAINER_H_
#define RAYX_TORCH_TRAINER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "rayx/rayx.h"
#include "rayx/torch/model.h"
#include "rayx/torch/process_group.h"
#include "rayx/torch/tensor.h"

namespace rayx::torch {

// What to train for how long, on how many workers.
struct TrainerOptions {
  int workers = 1;
  double cpus_per_worker = 1;  // also the number of threads, at least one, that LibTorch uses in it
  bool spread = true;          // workers on as many VMs as there are
  int epochs = 1;
  std::int64_t global_batch = 64;  // rows of a step, over all workers
  double learning_rate = 1e-3;     // handed to MakeOptimizer
  std::uint64_t seed = 0;          // of the weights; seed + epoch orders the rows
  // Worker w trains on blocks w, w + workers, ... alone. False: all workers see all blocks, in one
  // order, each its part of every batch.
  bool shard_blocks = false;
  std::int64_t report_every_steps = 0;   // 0: a report an epoch
  std::int64_t evaluation_batch = 1000;  // rows of one forward
  std::chrono::milliseconds group_timeout = kGroupTimeout;
  // Models of more bytes have their gradients reduced in DDP's buckets while backward still runs,
  // smaller ones at once after it, which is faster for them. 0: always as DDP, whose bits at three
  // and more workers depend on its buckets.
  std::int64_t overlap_above_bytes = std::int64_t{25} << 20;
  // Written by the driver: at the end, and after every checkpoint_every_epochs epochs. "": none.
  std::string checkpoint_path;
  int checkpoint_every_epochs = 0;
};

// What happened since the last report.
struct Progress {
  int epoch = 0;                // of the last step, from 0
  std::int64_t first_step = 0;  // from 0, over all epochs
  std::vector<double> losses;   // of each step, the mean over the global batch
  std::int64_t steps_total = 0;
  double seconds = 0;  // since training began, without evaluation, of the slowest worker
  bool evaluated = false;
  double evaluate_seconds = 0;  // of this evaluation, of the slowest worker
  double accuracy = 0;          // on the evaluation rows
};

// What a training has come to.
struct TrainResult {
  std::int64_t steps = 0;
  std::vector<double> losses;                   // [step]: the mean over the global batch
  std::vector<std::vector<float>> rank_losses;  // [rank][step]: the mean over the rank's rows
  std::vector<double> accuracies;               // of each evaluation
  std::uint64_t weights_checksum = 0;           // model.h says how it is computed
  double weights_absolute_sum = 0;
  ObjectRef<std::string> checkpoint;  // checkpoint.h reads it
  // Seconds on the driver's clock, and what of the last the slowest worker spent on evaluation.
  double start_seconds = 0;  // until all workers have joined
  double load_seconds = 0;   // until all have their rows
  double begin_seconds = 0;  // until all have the same first weights
  double train_seconds = 0;  // from there to the last report, without evaluation
  double evaluate_seconds = 0;
};

class TrainWorker;

namespace detail {

struct TrainFunctions {
  Model (*make_model)() = nullptr;
  at::Tensor (*loss)(const at::Tensor& output, const at::Tensor& labels) = nullptr;
  Optimizer (*make_optimizer)(const std::vector<at::Tensor>& parameters,
                              double learning_rate) = nullptr;
};

// What a worker is told when it is made.
struct WorkerSetup {
  GroupSpec group;
  int rank = 0;
  double cpus = 1;
  std::int64_t global_batch = 0;
  double learning_rate = 0;
  std::uint64_t seed = 0;
  bool own_rows = false;
  std::int64_t evaluation_batch = 0;
  std::int64_t overlap_above_bytes = 0;
};

std::shared_ptr<TrainWorker> MakeWorker(const TrainFunctions& functions, const WorkerSetup& setup);

// The actor's factory: the functions are part of its name.
template <auto MakeModel, auto Loss, auto MakeOptimizer>
std::shared_ptr<TrainWorker> MakeWorkerOf(const WorkerSetup& setup) {
  TrainFunctions functions;
  functions.make_model = [] { return Model(MakeModel()); };
  functions.loss = [](const at::Tensor& output, const at::Tensor& labels) -> at::Tensor {
    return Loss(output, labels);
  };
  functions.make_optimizer = [](const std::vector<at::Tensor>& parameters,
                                double learning_rate) -> Optimizer {
    return MakeOptimizer(parameters, learning_rate);
  };
  return MakeWorker(functions, setup);
}

using WorkerCreator = ActorCreator<std::shared_ptr<TrainWorker> (*)(const WorkerSetup&)>;

}  // namespace detail

// All of the trainer but the three functions.
class TrainerBase {
 public:
  using OnProgress = std::function<void(const Progress&)>;

  TrainerBase(const TrainerBase&) = delete;
  TrainerBase& operator=(const TrainerBase&) = delete;
  ~TrainerBase();

  // Start, Load, Train and Stop. `data`: blocks of rows, equal in all but the number of rows, read
  // where they lie; their rows count as if the blocks were joined in this order.
  // max_steps > 0 ends the training after so many steps, if the epochs are not over before.
  TrainResult Fit(const std::vector<ObjectRef<TensorBlock>>& data,
                  const ObjectRef<TensorBlock>& evaluation = {}, const OnProgress& progress = {},
                  std::int64_t max_steps = 0);

  // Fit in steps: makes the workers, and returns when all have joined.
  void Start();
  // Hands each worker its rows; both may be called again with others.
  void Load(const std::vector<ObjectRef<TensorBlock>>& data,
            const ObjectRef<TensorBlock>& evaluation = {});
  // The same with blocks for each rank: copies of one data set that were made where the rank is,
  // or, with shard_blocks, rows of its own. `evaluation`: a block for each rank, or none at all.
  void LoadByRank(const std::vector<std::vector<ObjectRef<TensorBlock>>>& data,
                  const std::vector<ObjectRef<TensorBlock>>& evaluation = {});
  // Of each rank, from Start to Stop: for SchedulingStrategy::NodeAffinity.
  const std::vector<std::uint32_t>& NodeNumbers() const;
  // May be called again, and trains anew from the seed.
  TrainResult Train(const OnProgress& progress = {}, std::int64_t max_steps = 0);
  // Ends the workers.
  void Stop() noexcept;

 protected:
  TrainerBase(const TrainerOptions& options, const detail::WorkerCreator& creator);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// MakeModel: a function without parameters that returns what Model is made from. Loss: (output,
// labels) -> a scalar tensor, the mean over the rows. MakeOptimizer: (parameters, learning rate) ->
// an optimiser in a std::unique_ptr. Each worker calls MakeModel after torch::manual_seed(seed).
template <auto MakeModel, auto Loss = &CrossEntropy, auto MakeOptimizer = &Sgd>
class DataParallelTrainer : public TrainerBase {
 public:
  // Throws InvalidOption, which names the option.
  explicit DataParallelTrainer(const TrainerOptions& options)
      : TrainerBase(options, rayx::Actor<&detail::MakeWorkerOf<MakeModel, Loss, MakeOptimizer>>()) {
  }
};

}  // namespace rayx::torch

#endif  // RAYX_TORCH_TRAINER_H_
