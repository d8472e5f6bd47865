// Serializers of numbers, strings, plain structs and classes with RAYX_SERIALIZE.
//
// Owner:    no state.
// Threads:  any.
// Promises: a number that does not fit the type that reads it, and any other form than the expected
//           one, throw SerializationError.
#ifndef RAYX_DETAIL_SERIALIZE_BASIC_H_
#define RAYX_DETAIL_SERIALIZE_BASIC_H_

#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "rayx/detail/packer.h"
#include "rayx/detail/raw_bytes.h"
#include "rayx/detail/reflect.h"
#include "rayx/detail/unpacker.h"

namespace rayx {
namespace detail {

template <class T>
inline constexpr bool kNever = false;

// What RAYX_SERIALIZE makes a friend.
struct FieldAccess {
  template <class T>
  static auto Fields(const T& value) -> decltype(value.RayxFields()) {
    return value.RayxFields();
  }
  template <class T>
  static auto Declared() -> decltype(&T::RayxFields);
  template <class T>
  static T Make() {
    return T();
  }
};

template <class T, class = void>
struct HasFieldsMacro : std::false_type {};
template <class T>
struct HasFieldsMacro<T, std::void_t<decltype(FieldAccess::Fields(std::declval<const T&>()))>>
    : std::true_type {};
template <class C, class R>
C ClassOfMember(R (C::*)() const);

template <class T>
void PackField(Packer& packer, const T& field) {
  if constexpr (std::is_array_v<T>) {
    packer.ArrayHeader(std::extent_v<T>);
    for (const auto& element : field) PackField(packer, element);
  } else {
    packer.Pack(field);
  }
}
template <class T>
void UnpackField(Unpacker& unpacker, T& field) {
  if constexpr (std::is_array_v<T>) {
    unpacker.ArrayHeader(std::extent_v<T>);
    for (auto& element : field) UnpackField(unpacker, element);
  } else {
    field = unpacker.Unpack<T>();
  }
}

template <class T, class Tuple>
struct StructReader;
template <class T, class... F>
struct StructReader<T, std::tuple<F&...>> {
  static T Read(Unpacker& unpacker) {
    unpacker.ArrayHeader(sizeof...(F));
    if constexpr ((std::is_array_v<F> || ...)) {
      T value{};
      std::apply([&](auto&... field) { (UnpackField(unpacker, field), ...); }, FieldsOf(value));
      return value;
    } else {
      return T{unpacker.Unpack<std::remove_cv_t<F>>()...};
    }
  }
};

}  // namespace detail

// Plain structs; and the sentence for whatever else nobody has taught to travel.
template <class T, class Enable>
struct Serializer {
  using RayxPrimary = void;
  static constexpr bool kFits =
      detail::IsPlainStruct<T>() && (std::is_empty_v<T> || detail::kFieldCount<T> > 0);
  static_assert(
      !detail::HasFieldsInBase<T>(),
      "RayX cannot take a struct with a base class apart: write RAYX_SERIALIZE(fields...) "
      "inside it.");
  static_assert(
      kFits || detail::HasFieldsInBase<T>(),
      "RayX cannot send this type: make it a plain struct, write RAYX_SERIALIZE(fields...) "
      "inside it, or specialise rayx::Serializer for it.");
  static_assert(
      !kFits || detail::kFieldCount<T> <= detail::kFieldsMax,
      "RayX takes plain structs of at most 16 fields apart: write RAYX_SERIALIZE(fields...) "
      "inside this one.");

  static void Pack(Packer& packer, const T& value) {
    if constexpr (kFits && detail::kFieldCount<T> <= detail::kFieldsMax) {
      const auto fields = detail::FieldsOf(value);
      packer.ArrayHeader(std::tuple_size_v<decltype(fields)>);
      std::apply([&](const auto&... field) { (detail::PackField(packer, field), ...); }, fields);
    }
  }
  static T Unpack(Unpacker& unpacker) {
    if constexpr (kFits && std::is_empty_v<T>) {
      unpacker.ArrayHeader(0);
      return T{};
    } else if constexpr (kFits && detail::kFieldCount<T> <= detail::kFieldsMax) {
      return detail::StructReader<T, decltype(detail::FieldsOf(std::declval<T&>()))>::Read(
          unpacker);
    } else {
      unpacker.Fail("a type that travels");
    }
  }
};

template <class T>
struct Serializer<T, std::enable_if_t<detail::HasFieldsMacro<T>::value>> {
  static_assert(
      std::is_same_v<decltype(detail::ClassOfMember(detail::FieldAccess::Declared<T>())), T>,
      "RAYX_SERIALIZE stands in a base class: write one in this class too, with the base's "
      "fields.");
  static void Pack(Packer& packer, const T& value) {
    const auto fields = detail::FieldAccess::Fields(value);
    packer.ArrayHeader(std::tuple_size_v<decltype(fields)>);
    std::apply([&](const auto&... field) { (detail::PackField(packer, field), ...); }, fields);
  }
  static T Unpack(Unpacker& unpacker) {
    T value = detail::FieldAccess::Make<T>();
    // RayxFields is const so that its class can be told; `value` itself is not.
    const auto fields = detail::FieldAccess::Fields(value);
    unpacker.ArrayHeader(std::tuple_size_v<decltype(fields)>);
    std::apply(
        [&](const auto&... field) {
          (detail::UnpackField(
               unpacker,
               const_cast<std::remove_const_t<std::remove_reference_t<decltype(field)>>&>(field)),
           ...);
        },
        fields);
    return value;
  }
};

template <>
struct Serializer<bool> {
  static void Pack(Packer& packer, bool value) { packer.Bool(value); }
  static bool Unpack(Unpacker& unpacker) { return unpacker.Bool(); }
};

template <class T>
struct Serializer<T, std::enable_if_t<std::is_integral_v<T>>> {
  static void Pack(Packer& packer, T value) {
    if constexpr (std::is_signed_v<T>) {
      packer.Signed(value);
    } else {
      packer.Unsigned(value);
    }
  }
  static T Unpack(Unpacker& unpacker) {
    using Limits = std::numeric_limits<T>;
    if constexpr (std::is_signed_v<T>) {
      return static_cast<T>(unpacker.Signed(Limits::min(), Limits::max()));
    } else {
      return static_cast<T>(unpacker.Unsigned(Limits::max()));
    }
  }
};

template <class T>
struct Serializer<T, std::enable_if_t<std::is_enum_v<T>>> {
  using Number = std::underlying_type_t<T>;
  static void Pack(Packer& packer, T value) { packer.Pack(static_cast<Number>(value)); }
  static T Unpack(Unpacker& unpacker) { return static_cast<T>(unpacker.Unpack<Number>()); }
};

template <>
struct Serializer<float> {
  static void Pack(Packer& packer, float value) { packer.Float(value); }
  static float Unpack(Unpacker& unpacker) { return static_cast<float>(unpacker.Double()); }
};
template <>
struct Serializer<double> {
  static void Pack(Packer& packer, double value) { packer.Double(value); }
  static double Unpack(Unpacker& unpacker) { return unpacker.Double(); }
};
template <>
struct Serializer<long double> {
  static void Pack(Packer& packer, long double value) { packer.Buffer(&value, sizeof(value)); }
  static long double Unpack(Unpacker& unpacker) {
    const BufferView view = unpacker.Buffer();
    if (view.bytes != sizeof(long double)) unpacker.Fail("a long double");
    long double value;
    std::memcpy(&value, view.data, sizeof(value));
    return value;
  }
};

template <class Traits, class Allocator>
struct Serializer<std::basic_string<char, Traits, Allocator>> {
  using String = std::basic_string<char, Traits, Allocator>;
  static void Pack(Packer& packer, const String& value) {
    packer.String({value.data(), value.size()});
  }
  static String Unpack(Unpacker& unpacker) {
    const std::string_view view = unpacker.String();
    return String(view.data(), view.size());
  }
};

template <class T>
struct Serializer<T*> {
  static_assert(
      detail::kNever<T>,
      "RayX cannot send a pointer: what it points to lives in this process. Send the value, a "
      "std::unique_ptr or std::shared_ptr to it, or a rayx::ObjectRef.");
};
template <class Char, class Traits>
struct Serializer<std::basic_string_view<Char, Traits>> {
  static_assert(
      detail::kNever<Char>,
      "RayX cannot send a view: what it looks at lives in this process. Send a std::string, a "
      "std::vector, or a rayx::ObjectRef.");
};

}  // namespace rayx

#endif  // RAYX_DETAIL_SERIALIZE_BASIC_H_
