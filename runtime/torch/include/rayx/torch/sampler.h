// Which rows each rank trains on in each step.
//
// Purpose:  the order of a data set in an epoch and its division over steps and ranks, reproducible
//           from Python: the order of epoch e is torch.randperm(rows,
//           generator=torch.Generator().manual_seed(seed + e)) step b takes the global batch
//           order[b*G : (b+1)*G], rank r its contiguous part of that.
// Owner:    plain values.
// Threads:  any.
// Promises: the same numbers for the same arguments on every machine; no state between calls.
// Limits:   a last batch with fewer rows than ranks is left out, because a rank without rows has no
//           loss.
#ifndef RAYX_TORCH_SAMPLER_H_
#define RAYX_TORCH_SAMPLER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace rayx::torch {

// A permutation of 0..rows-1 (int64), the one that Python makes from a generator with this seed.
at::Tensor RandomOrder(std::int64_t rows, std::uint64_t seed);

// Rows begin to begin + count - 1.
struct RowRange {
  std::int64_t begin = 0;
  std::int64_t count = 0;
};

// The part of `rows` that `rank` of `ranks` takes: contiguous, in rank order, the first
// rows % ranks ranks one row longer.
RowRange RankPart(std::int64_t rows, int rank, int ranks);

// The division of one epoch into steps.
class BatchPlan {
 public:
  // Every rank sees all `rows` in one common order and takes its part of each global batch.
  static BatchPlan OneOrder(std::int64_t rows, int ranks, std::int64_t global_batch);
  // Rank r has rows_of_rank[r] rows of its own, in an order of its own, and takes
  // RankPart(global_batch) of them in a step. The rank that runs out of rows first ends the epoch.
  static BatchPlan OwnRows(const std::vector<std::int64_t>& rows_of_rank,
                           std::int64_t global_batch);

  // Of one epoch.
  std::int64_t steps() const { return steps_; }
  // Rows of the global batch of `step` (0 <= step < steps()).
  std::int64_t BatchRows(std::int64_t step) const;
  // The positions in the order (the common one, or the rank's own) that `rank` takes in `step`.
  RowRange Part(std::int64_t step, int rank) const;

 private:
  BatchPlan() = default;

  bool own_rows_ = false;
  int ranks_ = 1;
  std::int64_t global_batch_ = 1;
  std::int64_t steps_ = 0;
  std::vector<std::int64_t> rows_;  // one entry (common order) or one a rank
};

}  // namespace rayx::torch

#endif  // RAYX_TORCH_SAMPLER_H_
