// Tensors as objects: put, passed, returned and read like any other value.
//
// Purpose:  rayx::Serializer of at::Tensor, and the two tensors that training data come in.
// Owner:    a fetched tensor of more than kTensorCopyBytesMax is a view of the object and pins it
//           as long as the tensor or any view of it lives; a smaller one is a private copy.
// Threads:  any.
// Promises: a contiguous tensor of >= 4096 bytes is written once, 64-byte aligned, and not copied
//           to be read. dtype, sizes and every bit of the values arrive; strides become contiguous;
//           requires_grad does not travel. An undefined tensor arrives undefined.
// Limits:   dense tensors on the CPU, real, complex or bool, at most 64 dimensions. Views lie on
//           read-only pages: clone() before writing.
// Errors:   SerializationError for tensors that cannot travel and bytes that are no tensor.
#ifndef RAYX_TORCH_TENSOR_H_
#define RAYX_TORCH_TENSOR_H_

#include <ATen/core/Tensor.h>

#include <cstddef>

#include "rayx/rayx.h"

namespace rayx {

namespace torch {

inline constexpr std::size_t kTensorCopyBytesMax = 100 * 1024;

// Rows of training data: features [rows, ...] and labels [rows] or [rows, ...].
struct TensorBlock {
  at::Tensor features;
  at::Tensor labels;
};

}  // namespace torch

template <>
struct Serializer<at::Tensor> {
  static void Pack(Packer& packer, const at::Tensor& tensor);
  static at::Tensor Unpack(Unpacker& unpacker);
};

template <>
struct Serializer<torch::TensorBlock> {
  static void Pack(Packer& packer, const torch::TensorBlock& block);
  static torch::TensorBlock Unpack(Unpacker& unpacker);
};

}  // namespace rayx

#endif  // RAYX_TORCH_TENSOR_H_
