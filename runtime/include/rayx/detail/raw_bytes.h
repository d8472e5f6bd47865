// Which values are their bytes: they may be copied as a block, in vectors and arrays.
//
// Promises: numbers (not bool, whose bytes could be hostile), enumerations, std::complex,
//           std::array and plain structs of those. Nothing that holds a pointer, whatever
//           std::is_trivially_copyable says.
#ifndef RAYX_DETAIL_RAW_BYTES_H_
#define RAYX_DETAIL_RAW_BYTES_H_

#include <array>
#include <complex>
#include <tuple>
#include <type_traits>

#include "rayx/detail/packer.h"
#include "rayx/detail/reflect.h"

namespace rayx::detail {

template <class T, class = void>
struct UsesPrimary : std::false_type {};
template <class T>
struct UsesPrimary<T, std::void_t<typename Serializer<T>::RayxPrimary>> : std::true_type {};

template <class T>
constexpr bool IsRaw();

template <class Tuple>
struct AllRaw;
template <class... F>
struct AllRaw<std::tuple<F&...>> {
  static constexpr bool value = (IsRaw<std::remove_cv_t<F>>() && ...);
};

template <class T>
struct RawTemplate : std::false_type {};
template <class T>
struct RawTemplate<std::complex<T>> : std::bool_constant<IsRaw<T>()> {};
template <class T, std::size_t N>
struct RawTemplate<std::array<T, N>> : std::bool_constant<(N > 0) && IsRaw<T>()> {};

template <class T>
constexpr bool IsRaw() {
  if constexpr (std::is_same_v<T, bool>) {
    return false;
  } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T> || RawTemplate<T>::value) {
    return true;
  } else if constexpr (std::is_array_v<T>) {
    return IsRaw<std::remove_all_extents_t<T>>();
  } else if constexpr (IsPlainStruct<T>() && std::is_trivially_copyable_v<T> &&
                       !std::is_empty_v<T> && UsesPrimary<T>::value) {
    if constexpr (kFieldCount < T >> 0 && kFieldCount<T> <= kFieldsMax) {
      return AllRaw<decltype(FieldsOf(std::declval<T&>()))>::value;
    } else {
      return false;
    }
  } else {
    return false;
  }
}
template <class T>
inline constexpr bool kIsRaw = IsRaw<T>();

}  // namespace rayx::detail

#endif  // RAYX_DETAIL_RAW_BYTES_H_
