#include "rayx/torch/tensor.h"

#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace rayx {
namespace {

constexpr std::size_t kDimensionsMax = 64;

// The numbers that stand for element types on the wire: fixed for ever.
struct ElementType {
  std::uint64_t number;
  at::ScalarType type;
};
constexpr std::array<ElementType, 12> kElementTypes = {{{0, at::kByte},
                                                        {1, at::kChar},
                                                        {2, at::kShort},
                                                        {3, at::kInt},
                                                        {4, at::kLong},
                                                        {5, at::kHalf},
                                                        {6, at::kFloat},
                                                        {7, at::kDouble},
                                                        {8, at::kComplexFloat},
                                                        {9, at::kComplexDouble},
                                                        {10, at::kBool},
                                                        {11, at::kBFloat16}}};

// The values in memory order, or SerializationError.
at::Tensor Travelling(const at::Tensor& tensor) {
  if (tensor.layout() != at::kStrided || tensor.device().type() != at::kCPU) {
    throw SerializationError("a tensor of layout " + c10::str(tensor.layout()) + " on device " +
                             tensor.device().str() +
                             " cannot travel: dense tensors on the CPU can");
  }
  return tensor.detach().resolve_conj().resolve_neg().contiguous();
}

std::uint64_t NumberOf(at::ScalarType type) {
  for (const ElementType& known : kElementTypes) {
    if (known.type == type) return known.number;
  }
  throw SerializationError(std::string("a tensor of type ") + at::toString(type) +
                           " cannot travel: real, complex and bool tensors can");
}

at::ScalarType ReadType(Unpacker& unpacker) {
  const std::uint64_t number = unpacker.Unsigned(std::numeric_limits<std::uint64_t>::max());
  for (const ElementType& known : kElementTypes) {
    if (known.number == number) return known.type;
  }
  unpacker.Fail("a tensor's element type");
}

// Sizes whose product, zeros taken as ones, times the element's size fits into an int64: strides
// and offsets then fit too.
std::vector<std::int64_t> ReadSizes(Unpacker& unpacker, std::size_t element_bytes) {
  const std::size_t dimensions = unpacker.ArrayHeader();
  if (dimensions > kDimensionsMax) unpacker.Fail("a tensor of at most 64 dimensions");
  std::vector<std::int64_t> sizes(dimensions);
  auto extent = static_cast<std::int64_t>(element_bytes);
  for (std::int64_t& size : sizes) {
    size = unpacker.Signed(0, std::numeric_limits<std::int64_t>::max());
    if (__builtin_mul_overflow(extent, std::max<std::int64_t>(size, 1), &extent)) {
      unpacker.Fail("a tensor whose size can be counted");
    }
  }
  return sizes;
}

std::size_t BytesOf(const std::vector<std::int64_t>& sizes, std::size_t element_bytes) {
  std::size_t bytes = element_bytes;
  for (const std::int64_t size : sizes) bytes *= static_cast<std::size_t>(size);
  return bytes;
}

at::Tensor CopyOf(const BufferView& buffer, at::IntArrayRef sizes, at::ScalarType type) {
  at::Tensor tensor = at::empty(sizes, type);
  if (buffer.bytes > 0) std::memcpy(tensor.data_ptr(), buffer.data, buffer.bytes);
  return tensor;
}

}  // namespace

void Serializer<at::Tensor>::Pack(Packer& packer, const at::Tensor& tensor) {
  if (!tensor.defined()) {
    packer.Nil();
    return;
  }
  const std::uint64_t number = NumberOf(tensor.scalar_type());
  const auto values = std::make_shared<const at::Tensor>(Travelling(tensor));
  packer.ArrayHeader(3);
  packer.Unsigned(number);
  packer.ArrayHeader(static_cast<std::size_t>(values->dim()));
  for (const std::int64_t size : values->sizes()) packer.Signed(size);
  packer.Buffer(values->const_data_ptr(), values->nbytes());
  packer.Keep(values);
}

at::Tensor Serializer<at::Tensor>::Unpack(Unpacker& unpacker) {
  if (unpacker.TryNil()) return at::Tensor();
  unpacker.ArrayHeader(3);
  const at::ScalarType type = ReadType(unpacker);
  const std::size_t element_bytes = c10::elementSize(type);
  const std::vector<std::int64_t> sizes = ReadSizes(unpacker, element_bytes);
  const BufferView buffer = unpacker.Buffer();
  if (buffer.bytes != BytesOf(sizes, element_bytes)) {
    unpacker.Fail("as many bytes as the tensor's sizes say");
  }
  const bool aligned =
      reinterpret_cast<std::uintptr_t>(buffer.data) % detail::kBufferAlignment == 0;
  if (buffer.bytes <= torch::kTensorCopyBytesMax || !buffer.out_of_band || !aligned) {
    return CopyOf(buffer, sizes, type);
  }
  std::shared_ptr<const void> pin = unpacker.Pin();
  if (!pin) return CopyOf(buffer, sizes, type);
  // LibTorch has no const tensors; the pages are read-only where the object lies in the store.
  void* data = const_cast<std::byte*>(buffer.data);  // NOLINT
  return at::from_blob(
      data, sizes, [pin = std::move(pin)](void*) {}, at::TensorOptions(type));
}

void Serializer<torch::TensorBlock>::Pack(Packer& packer, const torch::TensorBlock& block) {
  packer.ArrayHeader(2);
  packer.Pack(block.features);
  packer.Pack(block.labels);
}

torch::TensorBlock Serializer<torch::TensorBlock>::Unpack(Unpacker& unpacker) {
  unpacker.ArrayHeader(2);
  torch::TensorBlock block;
  block.features = unpacker.Unpack<at::Tensor>();
  block.labels = unpacker.Unpack<at::Tensor>();
  return block;
}

}  // namespace rayx
