// runtime/torch/row_set.h
//
// Rows that lie in several blocks, as if they were one.
//
// Purpose:  takes batches of rows out of blocks in the object store, without joining the blocks
//           first.
// Owner:    whoever trains; pins the blocks.
// Threads:  one at a time.
// Promises: Take gives the rows asked for, in that order, bit for bit.
// Errors:   InvalidOption when features and labels of a block differ in rows, or blocks in anything
//           else.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "rayx/torch/tensor.h"

namespace rayx::torch {

class RowSet {
 public:
  RowSet() = default;
  explicit RowSet(std::vector<TensorBlock> blocks);

  std::int64_t rows() const { return begins_.empty() ? 0 : begins_.back(); }
  // `rows`: int64 positions within [0, rows()).
  TensorBlock Take(const at::Tensor& rows) const;

 private:
  std::vector<TensorBlock> blocks_;   // contiguous
  std::vector<std::int64_t> begins_;  // of each block; behind them the number of rows
};

}  // namespace rayx::torch
