// Serializers of what wraps other values: optional, owning pointers, tuple, pair, variant, complex,
// times.
#ifndef RAYX_DETAIL_SERIALIZE_WRAPPERS_H_
#define RAYX_DETAIL_SERIALIZE_WRAPPERS_H_

#include <chrono>
#include <complex>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "rayx/detail/serialize_basic.h"

namespace rayx {
namespace detail {

// Nothing, or one value: nil or an array of one, so that an empty optional inside an optional
// differs.
template <class P, class T>
struct NullableSerializer {
  static void Pack(Packer& packer, const P& value) {
    if (!value) {
      packer.Nil();
    } else {
      packer.ArrayHeader(1);
      packer.Pack(*value);
    }
  }
  template <class Make>
  static P UnpackWith(Unpacker& unpacker, Make&& make) {
    if (unpacker.TryNil()) return P();
    unpacker.ArrayHeader(1);
    return make(unpacker.Unpack<T>());
  }
};

}  // namespace detail

template <class T>
struct Serializer<std::optional<T>> : detail::NullableSerializer<std::optional<T>, T> {
  static std::optional<T> Unpack(Unpacker& unpacker) {
    return Serializer::UnpackWith(unpacker,
                                  [](T&& value) { return std::optional<T>(std::move(value)); });
  }
};
template <class T>
struct Serializer<std::unique_ptr<T>>
    : detail::NullableSerializer<std::unique_ptr<T>, std::remove_cv_t<T>> {
  static_assert(!std::is_polymorphic_v<T>,
                "RayX sends what a unique_ptr points to as the type it names: a class with virtual "
                "functions would lose its derived part. Specialise rayx::Serializer for it.");
  static std::unique_ptr<T> Unpack(Unpacker& unpacker) {
    return Serializer::UnpackWith(unpacker, [](std::remove_cv_t<T>&& value) {
      return std::make_unique<T>(std::move(value));
    });
  }
};
template <class T>
struct Serializer<std::shared_ptr<T>>
    : detail::NullableSerializer<std::shared_ptr<T>, std::remove_cv_t<T>> {
  static_assert(!std::is_polymorphic_v<T>,
                "RayX sends what a shared_ptr points to as the type it names: a class with virtual "
                "functions would lose its derived part. Specialise rayx::Serializer for it.");
  static std::shared_ptr<T> Unpack(Unpacker& unpacker) {
    return Serializer::UnpackWith(unpacker, [](std::remove_cv_t<T>&& value) {
      return std::make_shared<T>(std::move(value));
    });
  }
};

template <class... T>
struct Serializer<std::tuple<T...>> {
  static void Pack(Packer& packer, const std::tuple<T...>& value) {
    packer.ArrayHeader(sizeof...(T));
    std::apply([&](const auto&... element) { (packer.Pack(element), ...); }, value);
  }
  static std::tuple<T...> Unpack(Unpacker& unpacker) {
    unpacker.ArrayHeader(sizeof...(T));
    return std::tuple<T...>{unpacker.Unpack<T>()...};
  }
};
template <class A, class B>
struct Serializer<std::pair<A, B>> {
  static void Pack(Packer& packer, const std::pair<A, B>& value) {
    packer.ArrayHeader(2);
    packer.Pack(value.first);
    packer.Pack(value.second);
  }
  static std::pair<A, B> Unpack(Unpacker& unpacker) {
    unpacker.ArrayHeader(2);
    return std::pair<A, B>{unpacker.Unpack<std::remove_cv_t<A>>(),
                           unpacker.Unpack<std::remove_cv_t<B>>()};
  }
};

template <>
struct Serializer<std::monostate> {
  static void Pack(Packer& packer, std::monostate) { packer.Nil(); }
  static std::monostate Unpack(Unpacker& unpacker) {
    unpacker.Nil();
    return {};
  }
};
template <class... T>
struct Serializer<std::variant<T...>> {
  using Variant = std::variant<T...>;
  static void Pack(Packer& packer, const Variant& value) {
    packer.ArrayHeader(2);
    packer.Unsigned(value.index());
    std::visit([&](const auto& held) { packer.Pack(held); }, value);
  }
  static Variant Unpack(Unpacker& unpacker) {
    unpacker.ArrayHeader(2);
    const auto index = static_cast<std::size_t>(unpacker.Unsigned(sizeof...(T) - 1));
    return Read(unpacker, index, std::make_index_sequence<sizeof...(T)>());
  }

 private:
  template <std::size_t I>
  static Variant ReadOne(Unpacker& unpacker) {
    return Variant(std::in_place_index<I>,
                   unpacker.Unpack<std::variant_alternative_t<I, Variant>>());
  }
  template <std::size_t... I>
  static Variant Read(Unpacker& unpacker, std::size_t index, std::index_sequence<I...>) {
    using Reader = Variant (*)(Unpacker&);
    constexpr Reader kReaders[] = {&ReadOne<I>...};
    return kReaders[index](unpacker);
  }
};

template <class Number>
struct Serializer<std::complex<Number>> {
  static void Pack(Packer& packer, const std::complex<Number>& value) {
    packer.ArrayHeader(2);
    packer.Pack(value.real());
    packer.Pack(value.imag());
  }
  static std::complex<Number> Unpack(Unpacker& unpacker) {
    unpacker.ArrayHeader(2);
    const Number real = unpacker.Unpack<Number>();
    return {real, unpacker.Unpack<Number>()};
  }
};
template <class Rep, class Period>
struct Serializer<std::chrono::duration<Rep, Period>> {
  using Duration = std::chrono::duration<Rep, Period>;
  static void Pack(Packer& packer, const Duration& value) { packer.Pack(value.count()); }
  static Duration Unpack(Unpacker& unpacker) { return Duration(unpacker.Unpack<Rep>()); }
};
template <class Clock, class Duration>
struct Serializer<std::chrono::time_point<Clock, Duration>> {
  using Point = std::chrono::time_point<Clock, Duration>;
  static void Pack(Packer& packer, const Point& value) { packer.Pack(value.time_since_epoch()); }
  static Point Unpack(Unpacker& unpacker) { return Point(unpacker.Unpack<Duration>()); }
};

}  // namespace rayx

#endif  // RAYX_DETAIL_SERIALIZE_WRAPPERS_H_
