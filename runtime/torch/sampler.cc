#include "rayx/torch/sampler.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/torch.h>

#include <algorithm>

namespace rayx::torch {

at::Tensor RandomOrder(std::int64_t rows, std::uint64_t seed) {
  return ::torch::randperm(rows, at::detail::createCPUGenerator(seed), at::kLong);
}

RowRange RankPart(std::int64_t rows, int rank, int ranks) {
  const std::int64_t each = rows / ranks;
  const std::int64_t longer = rows % ranks;
  return {rank * each + std::min<std::int64_t>(rank, longer), each + (rank < longer ? 1 : 0)};
}

BatchPlan BatchPlan::OneOrder(std::int64_t rows, int ranks, std::int64_t global_batch) {
  BatchPlan plan;
  plan.ranks_ = ranks;
  plan.global_batch_ = global_batch;
  plan.rows_ = {rows};
  plan.steps_ = rows / global_batch + (rows % global_batch >= ranks ? 1 : 0);
  return plan;
}

BatchPlan BatchPlan::OwnRows(const std::vector<std::int64_t>& rows_of_rank,
                             std::int64_t global_batch) {
  BatchPlan plan;
  plan.own_rows_ = true;
  plan.ranks_ = static_cast<int>(rows_of_rank.size());
  plan.global_batch_ = global_batch;
  plan.rows_ = rows_of_rank;
  for (int rank = 0; rank < plan.ranks_; ++rank) {
    const std::int64_t batch = RankPart(global_batch, rank, plan.ranks_).count;
    const std::int64_t steps = (rows_of_rank[static_cast<std::size_t>(rank)] + batch - 1) / batch;
    plan.steps_ = rank == 0 ? steps : std::min(plan.steps_, steps);
  }
  return plan;
}

std::int64_t BatchPlan::BatchRows(std::int64_t step) const {
  if (!own_rows_) return std::min(global_batch_, rows_[0] - step * global_batch_);
  std::int64_t rows = 0;
  for (int rank = 0; rank < ranks_; ++rank) rows += Part(step, rank).count;
  return rows;
}

RowRange BatchPlan::Part(std::int64_t step, int rank) const {
  if (!own_rows_) {
    RowRange part = RankPart(BatchRows(step), rank, ranks_);
    part.begin += step * global_batch_;
    return part;
  }
  const std::int64_t batch = RankPart(global_batch_, rank, ranks_).count;
  const std::int64_t begin = step * batch;
  return {begin, std::min(batch, rows_[static_cast<std::size_t>(rank)] - begin)};
}

}  // namespace rayx::torch
