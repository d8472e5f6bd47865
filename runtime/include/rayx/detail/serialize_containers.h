// Serializers of the standard library's containers.
//
// Owner:    no state.
// Threads:  any.
// Promises: order is kept; a vector or array of plain values travels as one block; room is made as
//           elements arrive, never by the size that was announced.
#ifndef RAYX_DETAIL_SERIALIZE_CONTAINERS_H_
#define RAYX_DETAIL_SERIALIZE_CONTAINERS_H_

#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "rayx/detail/serialize_basic.h"

namespace rayx {
namespace detail {

template <class C, class = void>
struct HasReserve : std::false_type {};
template <class C>
struct HasReserve<C, std::void_t<decltype(std::declval<C&>().reserve(std::size_t{}))>>
    : std::true_type {};

template <class C, class T>
struct SequenceSerializer {
  static void Pack(Packer& packer, const C& values) {
    packer.ArrayHeader(values.size());
    for (const T& value : values) packer.Pack(value);
  }
  static C Unpack(Unpacker& unpacker) {
    C values;
    const std::size_t count = unpacker.ArrayHeader();
    if constexpr (HasReserve<C>::value) values.reserve(Unpacker::Reserve(count, sizeof(T)));
    for (std::size_t i = 0; i < count; ++i) values.insert(values.end(), unpacker.Unpack<T>());
    return values;
  }
};

template <class C, class K, class V>
struct MapSerializer {
  static void Pack(Packer& packer, const C& values) {
    packer.MapHeader(values.size());
    for (const auto& [key, value] : values) {
      packer.Pack(key);
      packer.Pack(value);
    }
  }
  static C Unpack(Unpacker& unpacker) {
    C values;
    const std::size_t count = unpacker.MapHeader();
    for (std::size_t i = 0; i < count; ++i) {
      K key = unpacker.Unpack<K>();
      values.emplace_hint(values.end(), std::move(key), unpacker.Unpack<V>());
    }
    return values;
  }
};

template <class T>
void PackBlock(Packer& packer, const T* data, std::size_t count) {
  packer.Buffer(data, count * sizeof(T));
}
template <class T>
std::vector<T> UnpackBlock(Unpacker& unpacker) {
  const BufferView view = unpacker.Buffer();
  if (view.bytes % sizeof(T) != 0) unpacker.Fail("a whole number of elements");
  const std::size_t count = view.bytes / sizeof(T);
  if (reinterpret_cast<std::uintptr_t>(view.data) % alignof(T) == 0) {
    const T* first = reinterpret_cast<const T*>(view.data);
    return std::vector<T>(first, first + count);
  }
  std::vector<T> values(count);
  if (count != 0) std::memcpy(static_cast<void*>(values.data()), view.data, view.bytes);
  return values;
}

}  // namespace detail

template <class T>
struct Serializer<std::vector<T>> {
  static void Pack(Packer& packer, const std::vector<T>& values) {
    if constexpr (detail::kIsRaw<T>) {
      detail::PackBlock(packer, values.data(), values.size());
    } else {
      packer.ArrayHeader(values.size());
      for (const T& value : values) packer.Pack(value);
    }
  }
  static std::vector<T> Unpack(Unpacker& unpacker) {
    if constexpr (detail::kIsRaw<T>) {
      return detail::UnpackBlock<T>(unpacker);
    } else {
      std::vector<T> values;
      const std::size_t count = unpacker.ArrayHeader();
      values.reserve(Unpacker::Reserve(count, sizeof(T)));
      for (std::size_t i = 0; i < count; ++i) values.push_back(unpacker.Unpack<T>());
      return values;
    }
  }
};
// As bytes of 0 and 1.
template <>
struct Serializer<std::vector<bool>> {
  static void Pack(Packer& packer, const std::vector<bool>& values) {
    auto bytes = std::make_shared<std::vector<std::uint8_t>>(values.begin(), values.end());
    packer.Buffer(bytes->data(), bytes->size());
    packer.Keep(std::move(bytes));
  }
  static std::vector<bool> Unpack(Unpacker& unpacker) {
    const BufferView view = unpacker.Buffer();
    std::vector<bool> values(view.bytes);
    for (std::size_t i = 0; i < view.bytes; ++i) values[i] = view.data[i] != std::byte{0};
    return values;
  }
};
template <class T, std::size_t N>
struct Serializer<std::array<T, N>> {
  static void Pack(Packer& packer, const std::array<T, N>& values) {
    if constexpr (detail::kIsRaw<std::array<T, N>>) {
      packer.Buffer(values.data(), sizeof(T) * N);
    } else {
      packer.ArrayHeader(N);
      for (const T& value : values) packer.Pack(value);
    }
  }
  static std::array<T, N> Unpack(Unpacker& unpacker) {
    std::array<T, N> values{};
    if constexpr (detail::kIsRaw<std::array<T, N>>) {
      const BufferView view = unpacker.Buffer();
      if (view.bytes != sizeof(T) * N) unpacker.Fail("an array of the same size");
      std::memcpy(static_cast<void*>(values.data()), view.data, view.bytes);
    } else {
      unpacker.ArrayHeader(N);
      for (T& value : values) value = unpacker.Unpack<T>();
    }
    return values;
  }
};
// Strings of other characters.
template <class Char, class Traits, class Allocator>
struct Serializer<std::basic_string<Char, Traits, Allocator>> {
  using String = std::basic_string<Char, Traits, Allocator>;
  static void Pack(Packer& packer, const String& value) {
    detail::PackBlock(packer, value.data(), value.size());
  }
  static String Unpack(Unpacker& unpacker) {
    const std::vector<Char> values = detail::UnpackBlock<Char>(unpacker);
    return String(values.data(), values.size());
  }
};

#define RAYX_SEQUENCE(C)            \
  template <class T, class... Rest> \
  struct Serializer<C<T, Rest...>> : detail::SequenceSerializer<C<T, Rest...>, T> {}
RAYX_SEQUENCE(std::deque);
RAYX_SEQUENCE(std::list);
RAYX_SEQUENCE(std::set);
RAYX_SEQUENCE(std::multiset);
RAYX_SEQUENCE(std::unordered_set);
RAYX_SEQUENCE(std::unordered_multiset);
#undef RAYX_SEQUENCE

#define RAYX_MAP(C)                          \
  template <class K, class V, class... Rest> \
  struct Serializer<C<K, V, Rest...>> : detail::MapSerializer<C<K, V, Rest...>, K, V> {}
RAYX_MAP(std::map);
RAYX_MAP(std::multimap);
RAYX_MAP(std::unordered_map);
RAYX_MAP(std::unordered_multimap);
#undef RAYX_MAP

}  // namespace rayx

#endif  // RAYX_DETAIL_SERIALIZE_CONTAINERS_H_
