// Goal: a tensor that travels arrives with its type, sizes and every bit, large ones without a
// copy, and bytes that are no tensor are refused.
// Method: values are encoded and decoded in this process; hostile ones are written with Packer.
#include "tests/unit/torch/torch_catch.h"

#include <cstring>
#include <limits>

#include "rayx/torch/tensor.h"

namespace rayx {
namespace {

using torch::kTensorCopyBytesMax;
using torch::TensorBlock;

// The encoded bytes of a value, 64-byte aligned, as the store would hold them.
struct Stored {
  std::shared_ptr<std::byte> bytes;
  std::size_t size = 0;

  detail::Fetched Fetched() const {
    detail::Fetched fetched;
    fetched.data = bytes.get();
    fetched.bytes = size;
    fetched.pin = bytes;
    return fetched;
  }
};

Stored Store(const detail::Packed& packed) {
  Stored stored;
  stored.size = packed.EncodedBytes();
  void* memory = std::aligned_alloc(64, (stored.size + 63) / 64 * 64);
  stored.bytes.reset(static_cast<std::byte*>(memory), [](std::byte* p) { std::free(p); });
  packed.EncodeTo(stored.bytes.get());
  return stored;
}

template <typename T>
T Travel(const T& value) {
  return detail::UnpackValue<T>(Store(detail::PackValue(value)).Fetched());
}

bool SameBits(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.contiguous(), y = b.contiguous();
  return x.scalar_type() == y.scalar_type() && x.sizes() == y.sizes() &&
         (x.nbytes() == 0 || std::memcmp(x.data_ptr(), y.data_ptr(), x.nbytes()) == 0);
}

TEST_CASE("Tensor: every element type arrives with the same bits") {
  const at::ScalarType type =
      GENERATE(at::kByte, at::kChar, at::kShort, at::kInt, at::kLong, at::kHalf, at::kFloat,
               at::kDouble, at::kComplexFloat, at::kComplexDouble, at::kBool, at::kBFloat16);
  const std::int64_t rows = GENERATE(1, 7, 20000);
  const at::Tensor sent = ::torch::randint(0, 2, {rows, 3}).to(type);
  CHECK(SameBits(Travel(sent), sent));
}

TEST_CASE("Tensor: NaN payloads, scalars, empty and undefined tensors arrive as they are") {
  const at::Tensor nan = ::torch::tensor({0x7fc12345, 0x7f800001}, at::kInt).view(at::kFloat);
  CHECK(SameBits(Travel(nan), nan));
  CHECK(SameBits(Travel(::torch::scalar_tensor(2.5)), ::torch::scalar_tensor(2.5)));
  const at::Tensor empty = ::torch::empty({3, 0, 5}, at::kDouble);
  CHECK(SameBits(Travel(empty), empty));
  CHECK_FALSE(Travel(at::Tensor()).defined());
}

TEST_CASE("Tensor: strides become contiguous, gradients stay at home") {
  const at::Tensor base = ::torch::randn({300, 200});
  for (const at::Tensor& sent :
       {base.t(), base.narrow(1, 3, 50), base.expand({2, 300, 200}),
        ::torch::randn({40}, at::kComplexFloat).conj(), at::_neg_view(base)}) {
    const at::Tensor received = Travel(sent);
    CHECK(received.is_contiguous());
    CHECK(at::equal(received, sent));
  }
  CHECK_FALSE(Travel(base.clone().set_requires_grad(true)).requires_grad());
}

TEST_CASE("Tensor: a large one is read where it lies and pins it") {
  const at::Tensor sent = ::torch::randn({200, 200});
  REQUIRE(sent.nbytes() > kTensorCopyBytesMax);
  Stored stored = Store(detail::PackValue(sent));
  const std::weak_ptr<std::byte> alive = stored.bytes;
  at::Tensor received = detail::UnpackValue<at::Tensor>(stored.Fetched());
  const auto* data = static_cast<const std::byte*>(received.const_data_ptr());
  CHECK(data >= stored.bytes.get());
  CHECK(data < stored.bytes.get() + stored.size);
  CHECK(reinterpret_cast<std::uintptr_t>(data) % 64 == 0);
  stored.bytes.reset();
  CHECK(SameBits(received, sent));
  at::Tensor view = received[3];
  received.reset();
  CHECK_FALSE(alive.expired());
  view.reset();
  CHECK(alive.expired());
}

TEST_CASE("Tensor: a small one, and one that nothing pins, is a copy") {
  const Stored small = Store(detail::PackValue(::torch::zeros({100, 100})));
  at::Tensor copy = detail::UnpackValue<at::Tensor>(small.Fetched());
  copy.add_(1);
  CHECK(detail::UnpackValue<at::Tensor>(small.Fetched()).sum().item<float>() == 0);

  const Stored large = Store(detail::PackValue(::torch::zeros({300, 300})));
  detail::Fetched unpinned = large.Fetched();
  unpinned.pin.reset();
  copy = detail::UnpackValue<at::Tensor>(unpinned);
  copy.add_(1);
  CHECK(detail::UnpackValue<at::Tensor>(unpinned).sum().item<float>() == 0);
}

TEST_CASE("Tensor: inside other values") {
  const std::vector<at::Tensor> sent{::torch::randn({2}), ::torch::randn({300, 300}), at::Tensor()};
  const std::vector<at::Tensor> received = Travel(sent);
  REQUIRE(received.size() == 3);
  CHECK(SameBits(received[0], sent[0]));
  CHECK(SameBits(received[1], sent[1]));
  CHECK_FALSE(received[2].defined());

  const TensorBlock block = Travel(TensorBlock{::torch::randn({500, 100}), ::torch::arange(500)});
  CHECK(block.features.sizes() == at::IntArrayRef({500, 100}));
  CHECK(block.labels[499].item<std::int64_t>() == 499);
}

TEST_CASE("Tensor: what cannot travel is refused where it is sent") {
  CHECK_THROWS_AS(detail::PackValue(::torch::eye(3).to_sparse()), SerializationError);
  CHECK_THROWS_AS(detail::PackValue(::torch::empty({3}, at::kMeta)), SerializationError);
  CHECK_THROWS_AS(
      detail::PackValue(at::quantize_per_tensor(::torch::randn({3}), 0.1, 0, at::kQInt8)),
      SerializationError);
}

// A tensor message of the given parts.
at::Tensor Decode(std::uint64_t type, const std::vector<std::int64_t>& sizes, std::size_t bytes) {
  const std::vector<char> data(bytes, 1);
  detail::Packed packed;
  Packer packer(packed);
  packer.ArrayHeader(3);
  packer.Unsigned(type);
  packer.ArrayHeader(sizes.size());
  for (const std::int64_t size : sizes) packer.Signed(size);
  packer.Buffer(data.data(), data.size());
  return detail::UnpackValue<at::Tensor>(Store(packed).Fetched());
}

TEST_CASE("Tensor: hostile bytes are refused") {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  constexpr std::uint64_t kFloat = 6;
  CHECK(Decode(kFloat, {2, 3}, 24).sizes() == at::IntArrayRef({2, 3}));
  CHECK_THROWS_AS(Decode(12, {2}, 8), SerializationError);
  CHECK_THROWS_AS(Decode(std::numeric_limits<std::uint64_t>::max(), {2}, 8), SerializationError);
  CHECK_THROWS_AS(Decode(kFloat, {-1}, 0), SerializationError);
  CHECK_THROWS_AS(Decode(kFloat, {-2, -3}, 24), SerializationError);
  CHECK_THROWS_AS(Decode(kFloat, {2, 3}, 20), SerializationError);
  CHECK_THROWS_AS(Decode(kFloat, {2, 3}, 28), SerializationError);
  CHECK_THROWS_AS(Decode(kFloat, {kMax}, 0), SerializationError);
  CHECK_THROWS_AS(Decode(kFloat, {kMax / 4 + 1}, 0), SerializationError);
  CHECK_THROWS_AS(Decode(kFloat, {std::int64_t{1} << 32, std::int64_t{1} << 32}, 0),
                  SerializationError);
  CHECK_THROWS_AS(Decode(kFloat, {0, kMax, kMax}, 0), SerializationError);
  CHECK_THROWS_AS(Decode(kFloat, std::vector<std::int64_t>(65, 1), 4), SerializationError);
  CHECK_THROWS_AS(detail::UnpackValue<at::Tensor>(Store(detail::PackValue(7)).Fetched()),
                  SerializationError);
}

TEST_CASE("Tensor: a message cut anywhere or with any byte changed never reads outside of it") {
  const Stored whole = Store(detail::PackValue(::torch::randn({30, 40})));
  for (std::size_t size = 0; size < 200; ++size) {
    detail::Fetched cut = whole.Fetched();
    cut.bytes = size;
    CHECK_THROWS_AS(detail::UnpackValue<at::Tensor>(cut), SerializationError);
  }
  for (std::size_t at = 0; at < 64; ++at) {
    for (const int change : {0x01, 0x80, 0xff}) {
      Stored damaged = Store(detail::PackValue(::torch::randn({30, 40})));
      damaged.bytes.get()[at] ^= static_cast<std::byte>(change);
      try {
        detail::UnpackValue<at::Tensor>(damaged.Fetched()).sum();
      } catch (const SerializationError&) {
      }
    }
  }
}

}  // namespace
}  // namespace rayx
