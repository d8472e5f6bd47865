// tests/unit/api/encoded.h
//
// Encoded values for tests: packed, laid out as they travel, read back.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "rayx/serialize.h"

namespace rayx::testing {

class Encoded {
 public:
  template <class T>
  explicit Encoded(const T& value) {
    const detail::Packed packed = detail::PackValue(value);
    Allocate(packed.EncodedBytes());
    packed.EncodeTo(bytes_.get());
  }
  // Exactly these bytes, in a block of exactly their size, so that a sanitizer sees the end.
  static Encoded FromBytes(const std::string& bytes) {
    Encoded encoded;
    encoded.Allocate(bytes.size());
    std::memcpy(encoded.bytes_.get(), bytes.data(), bytes.size());
    return encoded;
  }

  detail::Fetched fetched() const {
    detail::Fetched fetched;
    fetched.data = bytes_.get();
    fetched.bytes = size_;
    return fetched;
  }
  template <class T>
  T As() const {
    return detail::UnpackValue<T>(fetched());
  }
  std::string Bytes() const { return {reinterpret_cast<const char*>(bytes_.get()), size_}; }

 private:
  Encoded() = default;
  void Allocate(std::size_t size) {
    size_ = size;
    bytes_ = std::shared_ptr<std::byte[]>(
        new (std::align_val_t{64}) std::byte[size],
        [](std::byte* p) { operator delete[](p, std::align_val_t{64}); });
  }
  std::shared_ptr<std::byte[]> bytes_;
  std::size_t size_ = 0;
};

template <class T>
T RoundTrip(const T& value) {
  return Encoded(value).As<T>();
}

}  // namespace rayx::testing
