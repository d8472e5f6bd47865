#include "torch/train_worker.h"

#include <torch/torch.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <type_traits>
#include <utility>

namespace rayx::torch {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// As many as the CPUs that the trainer leased for this actor. The pool that runs operations side by
// side can be set only once a process.
void UseThreads(double leased_cpus) {
  const int threads = std::max(1, static_cast<int>(leased_cpus));
  at::set_num_threads(threads);
  static std::once_flag once;
  std::call_once(once, [threads] {
    try {
      at::set_num_interop_threads(threads);
    } catch (const c10::Error&) {
      // The program has run something in parallel before: the pool stays as it is.
    }
  });
}

RowSet Fetch(const std::vector<ObjectRef<TensorBlock>>& refs) {
  std::vector<TensorBlock> blocks;
  for (const std::shared_ptr<TensorBlock>& block : rayx::Get(refs)) blocks.push_back(*block);
  return RowSet(std::move(blocks));
}

}  // namespace

namespace detail {

std::shared_ptr<TrainWorker> MakeWorker(const TrainFunctions& functions, const WorkerSetup& setup) {
  return std::make_shared<TrainWorker>(functions, setup);
}

}  // namespace detail

TrainWorker::TrainWorker(detail::TrainFunctions functions, detail::WorkerSetup setup)
    : functions_(functions), setup_(std::move(setup)) {}

// Runs a part of the work. Whatever it throws ends this rank, and with it the group.
template <typename Work>
auto TrainWorker::Guarded(const Work& work) {
  if (!failure_.empty()) {
    throw GroupBroken("rank " + std::to_string(setup_.rank) + " has given up: " + failure_);
  }
  try {
    return work();
  } catch (const std::exception& error) {
    failure_ = error.what();
    loop_.reset();
    if (group_) group_->CheckBroken(error);
    if (group_) group_->Leave();
    throw;
  } catch (...) {
    failure_ = "an exception that is no std::exception";
    loop_.reset();
    if (group_) group_->Leave();
    throw;
  }
}

std::uint32_t TrainWorker::Join() {
  return Guarded([&] {
    UseThreads(setup_.cpus);
    if (setup_.group.size > 1) group_ = std::make_unique<ProcessGroup>(setup_.group, setup_.rank);
    return GetRuntimeContext().NodeNumber();
  });
}

LoadReport TrainWorker::Load(const std::vector<ObjectRef<TensorBlock>>& blocks,
                             const ObjectRef<TensorBlock>& evaluation) {
  return Guarded([&] {
    loop_.reset();
    rows_ = Fetch(blocks);
    evaluation_ = {};
    LoadReport report;
    report.rows = rows_.rows();
    if (!evaluation) return report;
    const std::shared_ptr<TensorBlock> block = evaluation.Get();
    report.evaluation_rows = RowSet({*block}).rows();
    const RowRange part = RankPart(report.evaluation_rows, setup_.rank, setup_.group.size);
    evaluation_.features = block->features.narrow(0, part.begin, part.count);
    evaluation_.labels = block->labels.narrow(0, part.begin, part.count);
    return report;
  });
}

void TrainWorker::Begin(const std::vector<std::int64_t>& rows_of_rank) {
  Guarded([&] {
    loop_.reset();
    TrainLoopOptions options;
    options.rank = setup_.rank;
    options.ranks = setup_.group.size;
    options.seed = setup_.seed;
    options.learning_rate = setup_.learning_rate;
    options.overlap_above_bytes = setup_.overlap_above_bytes;
    BatchPlan plan = setup_.own_rows
                         ? BatchPlan::OwnRows(rows_of_rank, setup_.global_batch)
                         : BatchPlan::OneOrder(rows_.rows(), options.ranks, setup_.global_batch);
    loop_ = std::make_unique<TrainLoop>(
        functions_, options, std::move(plan), rows_,
        group_ ? group_->c10d() : c10::intrusive_ptr<c10d::ProcessGroup>());
  });
}

TrainLoop& TrainWorker::Loop() {
  if (!loop_) throw InvalidOption("a training worker was asked to train before it was begun");
  return *loop_;
}

TrainReport TrainWorker::Train(const TrainRequest& request) {
  return Guarded([&] {
    TrainReport report;
    const Clock::time_point begin = Clock::now();
    Loop().Run(request.first, request.count, report.losses);
    report.train_seconds = SecondsSince(begin);
    if (!request.evaluate) return report;
    const Clock::time_point evaluation_begin = Clock::now();
    report.correct =
        Loop().CountCorrect(evaluation_.features, evaluation_.labels, setup_.evaluation_batch);
    report.evaluate_seconds = SecondsSince(evaluation_begin);
    return report;
  });
}

WeightsReport TrainWorker::Weights() {
  return Guarded([&] {
    const ::torch::nn::Module& module = Loop().module();
    return WeightsReport{WeightsChecksum(module), WeightsAbsoluteSum(module)};
  });
}

std::string TrainWorker::Checkpoint() {
  return Guarded([&] { return Loop().Checkpoint(); });
}

}  // namespace rayx::torch
