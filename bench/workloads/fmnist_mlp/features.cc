#include "bench/workloads/fmnist_mlp/features.h"

namespace rayx::bench {
namespace {

constexpr int64_t kImagesHeader = 16, kLabelsHeader = 8;

// Bytes [offset, offset + count) of a mapped file of `total` bytes.
at::Tensor MappedBytes(const std::string& path, int64_t total, int64_t offset, int64_t count) {
  return ::torch::from_file(path, /*shared=*/false, total, ::torch::kUInt8)
      .narrow(0, offset, count);
}

at::Tensor Images(const RowBlock& block) {
  return MappedBytes(block.images_path, kImagesHeader + block.file_rows * kPixels,
                     kImagesHeader + block.begin * kPixels, block.rows * kPixels)
      .view({block.rows, kPixels});
}

}  // namespace

Moments MomentsOf(const RowBlock& block) {
  at::set_num_threads(block.threads);
  at::Tensor values = Images(block).to(::torch::kFloat64).div_(255.0);
  Moments moments;
  moments.first = values.sum().item<double>();
  moments.second = values.mul_(values).sum().item<double>();
  return moments;
}

torch::TensorBlock Standardise(const RowBlock& block, const Scale& scale) {
  at::set_num_threads(block.threads);
  torch::TensorBlock result;
  result.features = ::torch::empty({block.rows, kPixels});
  result.features.copy_(Images(block)).div_(255.0).sub_(scale.mean).div_(scale.deviation);
  result.labels = MappedBytes(block.labels_path, kLabelsHeader + block.file_rows,
                              kLabelsHeader + block.begin, block.rows)
                      .to(::torch::kInt64);
  return result;
}

}  // namespace rayx::bench
