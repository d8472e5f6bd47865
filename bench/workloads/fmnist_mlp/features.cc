#include "bench/workloads/fmnist_mlp/features.h"

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "bench/data/idx_file.h"

namespace rayx::bench {
namespace {

constexpr int64_t kImagesHeader = 16, kLabelsHeader = 8;

// Bytes [offset, offset + count) of a mapped file of `total` bytes.
at::Tensor MappedBytes(const std::string& path, int64_t total, int64_t offset, int64_t count) {
  return ::torch::from_file(path, /*shared=*/false, total, ::torch::kUInt8)
      .narrow(0, offset, count);
}

void CheckRawFile(const std::string& path, const std::vector<uint32_t>& sizes) {
  std::ifstream file(path, std::ios::binary);
  std::string head(16, '\0');
  file.read(head.data(), 16);
  head.resize(static_cast<size_t>(file.gcount()));
  std::error_code error;
  const uint64_t bytes = std::filesystem::file_size(path, error);
  if (error) throw std::runtime_error(path + ": " + error.message());
  if (auto header = ExpectIdx(head, bytes, sizes, path); !header.ok()) {
    throw std::runtime_error(std::string(header.status().message()));
  }
}

at::Tensor Images(const RowBlock& block) {
  return MappedBytes(block.images_path, kImagesHeader + block.file_rows * kPixels,
                     kImagesHeader + block.begin * kPixels, block.rows * kPixels)
      .view({block.rows, kPixels});
}

// [rows, 784], what was in it before.
template <typename T>
at::Tensor Scratch(int64_t rows) {
  thread_local at::Tensor kept = ::torch::empty({0}, c10::CppTypeToScalarType<T>::value);
  return kept.resize_({rows, kPixels}).view({rows, kPixels});
}

}  // namespace

void CheckRawFiles(const std::string& images_path, const std::string& labels_path, int64_t rows) {
  CheckRawFile(images_path, {static_cast<uint32_t>(rows), 28, 28});
  CheckRawFile(labels_path, {static_cast<uint32_t>(rows)});
}

Moments MomentsOf(const RowBlock& block) {
  at::set_num_threads(block.threads);
  at::Tensor values = Scratch<double>(block.rows).copy_(Images(block)).div_(255.0);
  Moments moments;
  moments.first = values.sum().item<double>();
  moments.second = values.mul_(values).sum().item<double>();
  return moments;
}

torch::TensorBlock Standardise(const RowBlock& block, const Scale& scale) {
  at::set_num_threads(block.threads);
  torch::TensorBlock result;
  result.features = Scratch<float>(block.rows);
  result.features.copy_(Images(block)).div_(255.0).sub_(scale.mean).div_(scale.deviation);
  result.labels = MappedBytes(block.labels_path, kLabelsHeader + block.file_rows,
                              kLabelsHeader + block.begin, block.rows)
                      .to(::torch::kInt64);
  return result;
}

}  // namespace rayx::bench
