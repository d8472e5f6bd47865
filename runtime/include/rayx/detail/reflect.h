// The fields of an aggregate, without a macro.
//
// Purpose:  FieldsOf(value) is a std::tuple of references to the fields of a plain struct.
// Method:   the number of fields is the largest number of initialisers that the struct accepts,
//           less what brace elision lets a C array take; structured bindings then name them.
// Limits:   at most kFieldsMax fields; no base classes; kFieldCount is 0 for what cannot be taken
//           apart.
#ifndef RAYX_DETAIL_REFLECT_H_
#define RAYX_DETAIL_REFLECT_H_

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

namespace rayx::detail {

inline constexpr std::size_t kFieldsMax = 16;

// GCC warns that std::optional's own constructor wins over the conversion: either is right here.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"

// Stands for an initialiser of any type but the struct itself (a copy is no field).
template <class Whole>
struct AnyValue {
  template <class T, class = std::enable_if_t<!std::is_same_v<std::remove_cv_t<T>, Whole> &&
                                              !std::is_base_of_v<std::remove_cv_t<T>, Whole>>>
  operator T&&() const&& noexcept;  // NOLINT: implicit on purpose
  template <class T, class = std::enable_if_t<!std::is_same_v<std::remove_cv_t<T>, Whole> &&
                                              !std::is_base_of_v<std::remove_cv_t<T>, Whole>>>
  operator T&() const& noexcept;  // NOLINT: implicit on purpose
};
template <class T, std::size_t>
using AnyAt = AnyValue<T>;

// T{any x I...}
template <class T, class I, class = void>
struct TakesFlat : std::false_type {};
template <class T, std::size_t... I>
struct TakesFlat<T, std::index_sequence<I...>,
                 std::void_t<decltype(T{std::declval<AnyAt<T, I>>()...})>> : std::true_type {};

// T{any x I..., {any x J...}, any x K...}
template <class T, class I, class J, class K, class = void>
struct TakesNested : std::false_type {};
template <class T, std::size_t... I, std::size_t... J, std::size_t... K>
struct TakesNested<T, std::index_sequence<I...>, std::index_sequence<J...>,
                   std::index_sequence<K...>,
                   std::void_t<decltype(T{std::declval<AnyAt<T, I>>()...,
                                          {std::declval<AnyAt<T, J>>()...},
                                          std::declval<AnyAt<T, K>>()...})>> : std::true_type {};

#pragma GCC diagnostic pop

// Stands for an initialiser of a base class of the struct, and of nothing else.
template <class Whole>
struct AnyBase {
  template <class T, class = std::enable_if_t<!std::is_same_v<std::remove_cv_t<T>, Whole> &&
                                              std::is_base_of_v<std::remove_cv_t<T>, Whole>>>
  operator T&() const& noexcept;  // NOLINT: implicit on purpose
};
template <class T, class = void>
struct TakesBase : std::false_type {};
template <class T>
struct TakesBase<T, std::void_t<decltype(T{std::declval<const AnyBase<T>&>()})>> : std::true_type {
};

// The largest number of initialisers; kFlatMax + 1 when there are more.
inline constexpr std::size_t kFlatMax = 64;
template <class T, std::size_t N = 0>
constexpr std::size_t CountFlat() {
  if constexpr (N > kFlatMax) {
    return N;
  } else if constexpr (TakesFlat<T, std::make_index_sequence<N + 1>>::value) {
    return CountFlat<T, N + 1>();
  } else {
    return N;
  }
}

// How many of `Total` flat initialisers field number (those before it took Before) takes: more than
// one only for a C array.
template <class T, std::size_t Total, std::size_t Before, std::size_t Width>
constexpr std::size_t WidthOfField() {
  constexpr std::size_t kLeft = Total - Before;
  if constexpr (Width < 2) {
    return 1;
  } else if constexpr (TakesNested<T, std::make_index_sequence<Before>,
                                   std::make_index_sequence<Width>,
                                   std::make_index_sequence<kLeft - Width>>::value &&
                       !TakesNested<T, std::make_index_sequence<Before>,
                                    std::make_index_sequence<Width>,
                                    std::make_index_sequence<kLeft - Width + 1>>::value) {
    return Width;
  } else {
    return WidthOfField<T, Total, Before, Width - 1>();
  }
}

template <class T, std::size_t Total, std::size_t Before = 0>
constexpr std::size_t CountFields() {
  if constexpr (Before >= Total) {
    return 0;
  } else {
    return 1 + CountFields<T, Total, Before + WidthOfField<T, Total, Before, Total - Before>()>();
  }
}

template <class T>
constexpr bool IsPlainStruct() {
  return std::is_aggregate_v<T> && std::is_class_v<T> && !std::is_polymorphic_v<T>;
}

// Structured bindings name the fields of one class: those of a base are not of them. (A lone field
// is one initialiser, wherever it stands.)
template <class T>
constexpr bool HasFieldsInBase() {
  if constexpr (IsPlainStruct<T>() && !std::is_empty_v<T>) {
    return TakesBase<T>::value && CountFlat<T>() != 1;
  } else {
    return false;
  }
}

// 0 for an empty struct too; kFieldsMax + 1 when there are too many.
template <class T>
constexpr std::size_t FieldCount() {
  if constexpr (IsPlainStruct<T>() && !std::is_empty_v<T> && !HasFieldsInBase<T>()) {
    constexpr std::size_t kFlat = CountFlat<T>();
    if constexpr (kFlat > kFlatMax) {
      return kFieldsMax + 1;
    } else {
      return CountFields<T, kFlat>();
    }
  } else {
    return 0;
  }
}
template <class T>
inline constexpr std::size_t kFieldCount = FieldCount<std::remove_cv_t<T>>();

// std::tuple<F&...>; const references for a const struct.
template <class T>
constexpr auto FieldsOf(T& value) {
  constexpr std::size_t kCount = kFieldCount<T>;
  static_assert(kCount <= kFieldsMax);
  if constexpr (kCount == 0) {
    static_cast<void>(value);
    return std::tuple<>();
  } else if constexpr (kCount == 1) {
    auto& [a] = value;
    return std::tie(a);
  } else if constexpr (kCount == 2) {
    auto& [a, b] = value;
    return std::tie(a, b);
  } else if constexpr (kCount == 3) {
    auto& [a, b, c] = value;
    return std::tie(a, b, c);
  } else if constexpr (kCount == 4) {
    auto& [a, b, c, d] = value;
    return std::tie(a, b, c, d);
  } else if constexpr (kCount == 5) {
    auto& [a, b, c, d, e] = value;
    return std::tie(a, b, c, d, e);
  } else if constexpr (kCount == 6) {
    auto& [a, b, c, d, e, f] = value;
    return std::tie(a, b, c, d, e, f);
  } else if constexpr (kCount == 7) {
    auto& [a, b, c, d, e, f, g] = value;
    return std::tie(a, b, c, d, e, f, g);
  } else if constexpr (kCount == 8) {
    auto& [a, b, c, d, e, f, g, h] = value;
    return std::tie(a, b, c, d, e, f, g, h);
  } else if constexpr (kCount == 9) {
    auto& [a, b, c, d, e, f, g, h, i] = value;
    return std::tie(a, b, c, d, e, f, g, h, i);
  } else if constexpr (kCount == 10) {
    auto& [a, b, c, d, e, f, g, h, i, j] = value;
    return std::tie(a, b, c, d, e, f, g, h, i, j);
  } else if constexpr (kCount == 11) {
    auto& [a, b, c, d, e, f, g, h, i, j, k] = value;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k);
  } else if constexpr (kCount == 12) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l] = value;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l);
  } else if constexpr (kCount == 13) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = value;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m);
  } else if constexpr (kCount == 14) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = value;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n);
  } else if constexpr (kCount == 15) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o] = value;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o);
  } else if constexpr (kCount == 16) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = value;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
  }
}

}  // namespace rayx::detail

#endif  // RAYX_DETAIL_REFLECT_H_
