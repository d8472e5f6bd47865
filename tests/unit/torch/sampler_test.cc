// Goal: every row is taken once an epoch, by the rank that the contract says, in Python's order.
#include "tests/unit/torch/torch_catch.h"

#include "rayx/torch/sampler.h"

namespace rayx::torch {
namespace {

TEST_CASE("Sampler: the order is Python's torch.randperm of the same seed") {
  // torch.randperm(10, generator=torch.Generator().manual_seed(45)), and 60000 of them.
  const at::Tensor ten = RandomOrder(10, 45);
  CHECK(at::equal(ten, ::torch::tensor({7, 6, 5, 3, 4, 9, 0, 8, 2, 1}, at::kLong)));
  const at::Tensor many = RandomOrder(60000, 45).narrow(0, 0, 5);
  CHECK(at::equal(many, ::torch::tensor({12107, 55846, 15291, 47435, 7540}, at::kLong)));
}

TEST_CASE("Sampler: the parts of the ranks are contiguous and differ by at most one row") {
  for (const std::int64_t rows : {1, 2, 7, 64, 65, 1000}) {
    for (const int ranks : {1, 2, 3, 7}) {
      std::int64_t next = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const RowRange part = RankPart(rows, rank, ranks);
        CHECK(part.begin == next);
        CHECK(part.count >= rows / ranks);
        CHECK(part.count <= rows / ranks + 1);
        next += part.count;
      }
      CHECK(next == rows);
    }
  }
}

TEST_CASE("BatchPlan: one order is used up once an epoch, but for a tail smaller than the ranks") {
  for (const std::int64_t rows : {3, 64, 65, 66, 67, 128, 1610}) {
    for (const int ranks : {1, 2, 3}) {
      const BatchPlan plan = BatchPlan::OneOrder(rows, ranks, 64);
      std::int64_t next = 0;
      for (std::int64_t step = 0; step < plan.steps(); ++step) {
        std::int64_t batch = 0;
        for (int rank = 0; rank < ranks; ++rank) {
          const RowRange part = plan.Part(step, rank);
          CHECK(part.begin == next);
          CHECK(part.count >= 1);
          next += part.count;
          batch += part.count;
        }
        CHECK(batch == plan.BatchRows(step));
        CHECK(batch <= 64);
      }
      CHECK(rows - next < ranks);
      CHECK(rows - next >= 0);
    }
  }
  CHECK(BatchPlan::OneOrder(2, 3, 64).steps() == 0);
}

TEST_CASE("BatchPlan: ranks with rows of their own stop together") {
  const BatchPlan plan = BatchPlan::OwnRows({100, 70, 64}, 64);  // batches of 22, 21, 21
  CHECK(plan.steps() == 4);                                      // 5, 4, 4
  for (std::int64_t step = 0; step < plan.steps(); ++step) {
    std::int64_t batch = 0;
    for (int rank = 0; rank < 3; ++rank) {
      const RowRange part = plan.Part(step, rank);
      CHECK(part.begin == step * (rank == 0 ? 22 : 21));
      CHECK(part.count >= 1);
      batch += part.count;
    }
    CHECK(batch == plan.BatchRows(step));
  }
  CHECK(plan.Part(3, 0).count == 22);
  CHECK(plan.Part(3, 1).count == 7);
  CHECK(plan.Part(3, 2).count == 1);
}

}  // namespace
}  // namespace rayx::torch
