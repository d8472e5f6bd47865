// Goal: a rank's training reproduces PyTorch's DistributedDataParallel bit for bit, at three ranks
// too, where the sum's order depends on how gradients are laid out in buckets. (One and two:
// trainer_test.)
// Method: ranks are threads that meet in an in-process store; the truth is native_ddp.py.
#include "tests/unit/torch/torch_catch.h"

#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include <exception>
#include <thread>

#include "tests/unit/torch/native_reference.h"
#include "torch/gloo_group.h"
#include "torch/train_loop.h"

namespace rayx::torch {
namespace {

using test::Job;

detail::TrainFunctions Functions() {
  return {[] { return Model(test::MakePerceptron()); }, &CrossEntropy, &Sgd};
}

TrainLoop MakeLoop(const Job& job, int rank, const RowSet& rows,
                   c10::intrusive_ptr<c10d::ProcessGroup> group) {
  TrainLoopOptions options;
  options.rank = rank;
  options.ranks = job.ranks;
  options.seed = job.seed;
  options.learning_rate = job.learning_rate;
  return TrainLoop(Functions(), options, BatchPlan::OneOrder(job.rows, job.ranks, job.batch), rows,
                   std::move(group));
}

struct Trained {
  std::vector<float> losses;
  std::uint64_t checksum = 0;
  double absolute_sum = 0;
};

Trained Train(const Job& job, int rank, c10::intrusive_ptr<c10d::ProcessGroup> group) {
  at::set_num_threads(1);
  const RowSet rows({{test::JobFeatures(job), test::JobLabels(job)}});
  TrainLoop loop = MakeLoop(job, rank, rows, std::move(group));
  Trained trained;
  const std::int64_t steps = BatchPlan::OneOrder(job.rows, job.ranks, job.batch).steps();
  loop.Run(0, steps * job.epochs, trained.losses);
  trained.checksum = WeightsChecksum(loop.module());
  trained.absolute_sum = WeightsAbsoluteSum(loop.module());
  return trained;
}

std::vector<Trained> TrainInThreads(const Job& job) {
  const auto store = c10::make_intrusive<c10d::HashStore>();
  std::vector<Trained> results(static_cast<std::size_t>(job.ranks));
  std::vector<std::exception_ptr> errors(results.size());
  std::vector<std::thread> threads;
  for (int rank = 0; rank < job.ranks; ++rank) {
    threads.emplace_back([&, rank] {
      const auto i = static_cast<std::size_t>(rank);
      try {
        GlooOptions options;
        options.rank = rank;
        options.size = job.ranks;
        results[i] = Train(job, rank, ConnectGloo(store, options));
      } catch (...) {
        errors[i] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return results;
}

void CheckAgainstNative(const Job& job, const std::vector<Trained>& trained) {
  const test::Reference native = test::RunNative(job);
  for (std::size_t rank = 0; rank < trained.size(); ++rank) {
    INFO("rank " << rank);
    REQUIRE(trained[rank].losses.size() == native.losses[rank].size());
    for (std::size_t step = 0; step < native.losses[rank].size(); ++step) {
      INFO("step " << step);
      REQUIRE(trained[rank].losses[step] == native.losses[rank][step]);
    }
    CHECK(trained[rank].checksum == native.checksum);
    CHECK(trained[rank].absolute_sum == native.absolute_sum);
  }
}

// The sum of three numbers depends on its order, and that on the layout of the buckets: DDP's own.
TEST_CASE(
    "TrainLoop: ranks that share batches unevenly have the losses and weights of native DDP") {
  Job job;
  job.ranks = 3;  // 64 rows: 22, 21, 21
  job.rows = 650;
  CheckAgainstNative(job, TrainInThreads(job));
}

}  // namespace
}  // namespace rayx::torch
