#include "torch/row_set.h"

#include <torch/torch.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace rayx::torch {
namespace {

bool AreRows(const at::Tensor& features, const at::Tensor& labels) {
  return features.defined() && labels.defined() && features.dim() >= 1 && labels.dim() >= 1 &&
         features.size(0) == labels.size(0);
}

bool HaveSameRows(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes().slice(1) == b.sizes().slice(1);
}

// Memory for `rows` rows like those of `like`, filled row by row.
class RowCopy {
 public:
  RowCopy(const at::Tensor& like, std::int64_t rows) {
    std::vector<std::int64_t> sizes = like.sizes().vec();
    sizes[0] = rows;
    target_ = at::empty(sizes, like.options());
    row_bytes_ = rows == 0 ? 0 : target_.nbytes() / static_cast<std::size_t>(rows);
    next_ = static_cast<char*>(target_.data_ptr());
  }
  void Add(const at::Tensor& block, std::int64_t row) {
    const char* from = static_cast<const char*>(block.const_data_ptr());
    std::memcpy(next_, from + static_cast<std::size_t>(row) * row_bytes_, row_bytes_);
    next_ += row_bytes_;
  }
  at::Tensor Finished() { return std::move(target_); }

 private:
  at::Tensor target_;
  std::size_t row_bytes_ = 0;
  char* next_ = nullptr;
};

}  // namespace

RowSet::RowSet(std::vector<TensorBlock> blocks) : blocks_(std::move(blocks)), begins_{0} {
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    TensorBlock& block = blocks_[i];
    if (!AreRows(block.features, block.labels)) {
      throw InvalidOption("block " + std::to_string(i) +
                          ": features and labels must be tensors with as many rows each");
    }
    if (!HaveSameRows(block.features, blocks_[0].features) ||
        !HaveSameRows(block.labels, blocks_[0].labels)) {
      throw InvalidOption("block " + std::to_string(i) +
                          ": rows must have the type and the sizes of those in block 0");
    }
    block.features = block.features.contiguous();
    block.labels = block.labels.contiguous();
    begins_.push_back(begins_.back() + block.features.size(0));
  }
}

TensorBlock RowSet::Take(const at::Tensor& rows) const {
  const at::Tensor positions = rows.contiguous();
  const auto* position = positions.const_data_ptr<std::int64_t>();
  RowCopy features(blocks_.at(0).features, positions.numel());
  RowCopy labels(blocks_.at(0).labels, positions.numel());
  for (std::int64_t i = 0; i < positions.numel(); ++i) {
    TORCH_CHECK_INDEX(position[i] >= 0 && position[i] < this->rows(), "row ", position[i],
                      " is not one of ", this->rows());
    const auto after = std::upper_bound(begins_.begin(), begins_.end(), position[i]);
    const auto block = static_cast<std::size_t>(after - begins_.begin() - 1);
    features.Add(blocks_[block].features, position[i] - begins_[block]);
    labels.Add(blocks_[block].labels, position[i] - begins_[block]);
  }
  return {features.Finished(), labels.Finished()};
}

}  // namespace rayx::torch
