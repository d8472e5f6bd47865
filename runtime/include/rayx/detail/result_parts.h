// The parts of a result that RemoteEach asks for: the elements of a std::tuple, pair, array or
// vector, each an object of its own.
//
// Promises: a part is packed as a value of its own type, so that its reference is like any other.
//           A std::vector of another length than SetNumReturns said is InvalidOption at each
//           reference; nothing of it is emitted.
#ifndef RAYX_DETAIL_RESULT_PARTS_H_
#define RAYX_DETAIL_RESULT_PARTS_H_

#include <array>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rayx/detail/function_traits.h"
#include "rayx/detail/packer.h"
#include "rayx/detail/runtime_interface.h"

namespace rayx::detail {

inline constexpr std::size_t kPartsMax = 4096;

// Throw InvalidOption.
[[noreturn]] RAYX_PUBLIC void ThrowPartCount(std::size_t wanted, std::size_t given);
[[noreturn]] RAYX_PUBLIC void ThrowRemoteWithNumReturns();
// How many parts to ask for. `fixed`: of the type; 0: what SetNumReturns said.
RAYX_PUBLIC std::size_t PartsToAskFor(const CallOptions& options, std::size_t fixed);

// Of a result type without parts.
template <class R>
struct ResultParts {
  static constexpr bool kHasParts = false;
};

// Of a fixed number of parts of types T: a tuple or pair.
template <class R, class... T>
struct TupleParts {
  static constexpr bool kHasParts = sizeof...(T) > 0;
  static constexpr std::size_t kFixed = sizeof...(T);
  using Types = TypeList<T...>;
  static std::size_t Count(const R&) { return kFixed; }
  template <class Each>
  static void ForEach(const R& value, Each&& each) {
    std::apply([&](const auto&... part) { (each(part), ...); }, value);
  }
};
template <class... T>
struct ResultParts<std::tuple<T...>> : TupleParts<std::tuple<T...>, T...> {};
template <class A, class B>
struct ResultParts<std::pair<A, B>> : TupleParts<std::pair<A, B>, A, B> {};

template <class T, std::size_t N>
struct ResultParts<std::array<T, N>> {
  static constexpr bool kHasParts = N > 0;
  static constexpr std::size_t kFixed = N;
  using Types = TypeList<T>;
  static std::size_t Count(const std::array<T, N>&) { return N; }
  template <class Each>
  static void ForEach(const std::array<T, N>& value, Each&& each) {
    for (const T& part : value) each(part);
  }
};
template <class T, class Allocator>
struct ResultParts<std::vector<T, Allocator>> {
  static constexpr bool kHasParts = true;
  static constexpr std::size_t kFixed = 0;
  using Types = TypeList<T>;
  static std::size_t Count(const std::vector<T, Allocator>& value) { return value.size(); }
  template <class Each>
  static void ForEach(const std::vector<T, Allocator>& value, Each&& each) {
    for (auto&& part : value) each(static_cast<const T&>(part));
  }
};

// All are packed before the first is emitted: a part that cannot be packed fails the whole call.
template <class R>
void EmitParts(const R& value, std::size_t wanted, ResultSink& results) {
  const std::size_t given = ResultParts<R>::Count(value);
  if (given != wanted) ThrowPartCount(wanted, given);
  std::vector<Packed> packed(given);
  std::size_t next = 0;
  ResultParts<R>::ForEach(value, [&](const auto& part) { Packer(packed[next++]).Pack(part); });
  for (std::size_t i = 0; i < given; ++i) results.Emit(i, packed[i]);
}

}  // namespace rayx::detail

#endif  // RAYX_DETAIL_RESULT_PARTS_H_
