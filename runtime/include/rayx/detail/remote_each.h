// RemoteEach: a call whose result comes in parts, a reference each.
//
// Purpose:  what Task and handle.Task share of it.
// Promises: the references have the shape of the result: a tuple, pair, array or vector of them.
#ifndef RAYX_DETAIL_REMOTE_EACH_H_
#define RAYX_DETAIL_REMOTE_EACH_H_

#include <array>
#include <cstddef>
#include <tuple>
#include <utility>
#include <vector>

#include "rayx/detail/call.h"
#include "rayx/detail/result_parts.h"
#include "rayx/object_ref.h"

namespace rayx::detail {

template <class T>
using PartRef = ObjectRef<ValueOf<T>>;

template <class T>
PartRef<T> TakePart(const RawRef& raw) {
  return PartRef<T>(RefHold(raw));
}

// The references in the shape of the result.
template <class R>
struct PartRefs;
template <class... T>
struct PartRefs<std::tuple<T...>> {
  using Type = std::tuple<PartRef<T>...>;
  static Type From(const std::vector<RawRef>& raw) {
    return Take(raw, std::index_sequence_for<T...>());
  }

 private:
  template <std::size_t... I>
  static Type Take(const std::vector<RawRef>& raw, std::index_sequence<I...>) {
    return Type{TakePart<T>(raw[I])...};
  }
};
template <class A, class B>
struct PartRefs<std::pair<A, B>> {
  using Type = std::pair<PartRef<A>, PartRef<B>>;
  static Type From(const std::vector<RawRef>& raw) {
    return Type{TakePart<A>(raw[0]), TakePart<B>(raw[1])};
  }
};
template <class T, std::size_t N>
struct PartRefs<std::array<T, N>> {
  using Type = std::array<PartRef<T>, N>;
  static Type From(const std::vector<RawRef>& raw) {
    Type refs;
    for (std::size_t i = 0; i < N; ++i) refs[i] = TakePart<T>(raw[i]);
    return refs;
  }
};
template <class T, class Allocator>
struct PartRefs<std::vector<T, Allocator>> {
  using Type = std::vector<PartRef<T>>;
  static Type From(const std::vector<RawRef>& raw) {
    Type refs;
    refs.reserve(raw.size());
    for (const RawRef& one : raw) refs.push_back(TakePart<T>(one));
    return refs;
  }
};

template <class List>
struct PartsCheck;
template <class... T>
struct PartsCheck<TypeList<T...>> {
  static constexpr bool Check() { return (CheckResult<T>() && ... && true); }
};

template <class R>
constexpr bool CheckParts() {
  constexpr bool kHasParts = ResultParts<R>::kHasParts;
  static_assert(kHasParts,
                "RemoteEach gives a reference to each part of a result: the function has to return "
                "a std::tuple, std::pair, std::array or std::vector. Use Remote for one value.");
  if constexpr (kHasParts) {
    return PartsCheck<typename ResultParts<R>::Types>::Check();
  } else {
    return false;
  }
}

// `submit(options, packed arguments, refs, count)` makes the call.
template <class R, class Parameters, class Submit, class... A>
auto SubmitEach(const CallOptions& options, Submit&& submit, A&&... arguments) {
  std::vector<RawRef> raw(PartsToAskFor(options, ResultParts<R>::kFixed));
  CallOptions in_parts = options;
  in_parts.each_result = true;
  ArgumentPacker<Parameters>::With(
      [&](ArgumentList packed) { submit(in_parts, packed, raw.data(), raw.size()); },
      std::forward<A>(arguments)...);
  return PartRefs<R>::From(raw);
}

}  // namespace rayx::detail

#endif  // RAYX_DETAIL_REMOTE_EACH_H_
