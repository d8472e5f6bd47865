// A remote call's arguments: checked when the program is compiled, packed when it runs.
//
// Promises: each mistake is one static_assert with a sentence. An argument of the parameter's own
//           type is packed where it is; another is converted first. An ObjectRef for a parameter T
//           is sent as a reference, which the receiver resolves before the call.
#ifndef RAYX_DETAIL_CALL_H_
#define RAYX_DETAIL_CALL_H_

#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#if __cplusplus >= 202002L
#include <span>
#endif

#include "rayx/detail/function_traits.h"
#include "rayx/detail/runtime_interface.h"
#include "rayx/object_ref.h"
#include "rayx/view.h"

namespace rayx::detail {

template <class T>
struct RefTarget {
  static constexpr bool kIsRef = false;
  using Type = void;
};
template <class T>
struct RefTarget<ObjectRef<T>> {
  static constexpr bool kIsRef = true;
  using Type = T;
};

// What travels for a parameter of type T.
template <class T>
struct TravelsAs {
  using Type = T;
};
template <class T>
struct TravelsAs<View<T>> {
  using Type = T;
};
template <class T>
using Travelling = typename TravelsAs<T>::Type;

template <class T>
struct IsForeignView : std::false_type {};
template <class Char, class Traits>
struct IsForeignView<std::basic_string_view<Char, Traits>> : std::true_type {};
#if __cplusplus >= 202002L
template <class T, std::size_t N>
struct IsForeignView<std::span<T, N>> : std::true_type {};
#endif

template <class P>
constexpr bool CheckParameter() {
  using Bare = std::remove_reference_t<P>;
  constexpr bool kIsPointer = std::is_pointer_v<Bare>;
  constexpr bool kIsMutable = std::is_lvalue_reference_v<P> && !std::is_const_v<Bare>;
  constexpr bool kIsView = IsForeignView<ValueOf<P>>::value;
  static_assert(
      !kIsPointer,
      "A remote function cannot take a pointer: it would point into another process. Take the "
      "value, or a rayx::ObjectRef.");
  static_assert(!kIsMutable,
                "A remote function cannot take a non-const reference: the caller would not see the "
                "change. Take a value or a const reference, and return what changed.");
  static_assert(
      !kIsView,
      "A remote function cannot take a view: what it looks at lives in another process. Take a "
      "std::string, a std::vector, or a rayx::ObjectRef.");
  return !kIsPointer && !kIsMutable && !kIsView;
}

template <class R>
constexpr bool CheckResult() {
  constexpr bool kIsPointer = std::is_pointer_v<std::remove_reference_t<R>>;
  constexpr bool kIsView = IsForeignView<ValueOf<R>>::value;
  static_assert(
      !kIsPointer,
      "A remote function cannot return a pointer: it would point into another process. Return "
      "the value, or a std::unique_ptr to it. (A factory is for rayx::Actor.)");
  static_assert(
      !kIsView,
      "A remote function cannot return a view: what it looks at lives in another process. "
      "Return a std::string or a std::vector.");
  return !kIsPointer && !kIsView;
}

template <class P, class A>
constexpr bool CheckArgument() {
  using Value = Travelling<ValueOf<P>>;
  using Given = Travelling<ValueOf<A>>;
  if constexpr (RefTarget<Given>::kIsRef && !std::is_same_v<Given, Value>) {
    constexpr bool kMatches = std::is_same_v<Travelling<typename RefTarget<Given>::Type>, Value>;
    static_assert(kMatches,
                  "The rayx::ObjectRef that is given refers to another type than the parameter's.");
    return kMatches;
  } else {
    constexpr bool kConverts = std::is_same_v<Given, Value> || std::is_convertible_v<A, Value>;
    static_assert(kConverts, "An argument cannot be converted to the type of its parameter.");
    return kConverts;
  }
}

template <class Parameters, class... A>
struct CallCheck;
template <class... P, class... A>
struct CallCheck<TypeList<P...>, A...> {
  static constexpr bool kCount = sizeof...(P) == sizeof...(A);
  static constexpr bool Check() {
    static_assert(kCount,
                  "The number of arguments is not the number of the function's parameters (default "
                  "arguments do not count).");
    if constexpr (kCount) {
      return (CheckParameter<P>() && ... && true) && (CheckArgument<P, A>() && ... && true);
    } else {
      return false;
    }
  }
};

// One argument, packed; made from A for a parameter of type Value.
template <class Value, class A, class Enable = void>
class PackedArgument {  // converted first
 public:
  explicit PackedArgument(A&& given) : value_(static_cast<Value>(std::forward<A>(given))) {
    Packer(packed_).Pack(value_);
  }
  Argument Get() const {
    Argument argument;
    argument.value = &packed_;
    return argument;
  }

 private:
  Value value_;
  Packed packed_;
};
template <class Value, class A>
class PackedArgument<Value, A, std::enable_if_t<std::is_same_v<Travelling<ValueOf<A>>, Value>>> {
 public:
  explicit PackedArgument(const ValueOf<A>& given) { Packer(packed_).Pack(given); }
  Argument Get() const {
    Argument argument;
    argument.value = &packed_;
    return argument;
  }

 private:
  Packed packed_;
};
template <class Value, class A>
class PackedArgument<
    Value, A,
    std::enable_if_t<RefTarget<ValueOf<A>>::kIsRef && !std::is_same_v<ValueOf<A>, Value>>> {
 public:
  explicit PackedArgument(const ValueOf<A>& given) : reference_(given.hold().Use()) {}
  Argument Get() const {
    Argument argument;
    argument.is_reference = true;
    argument.reference = reference_;
    return argument;
  }

 private:
  RawRef reference_;
};

// Packs the arguments and hands them to `submit(ArgumentList)`.
template <class Parameters>
struct ArgumentPacker;
template <class... P>
struct ArgumentPacker<TypeList<P...>> {
  template <class Submit, class... A>
  static decltype(auto) With(Submit&& submit, A&&... given) {
    return Run(std::forward<Submit>(submit),
               PackedArgument<Travelling<ValueOf<P>>, A>(std::forward<A>(given))...);
  }

 private:
  template <class Submit, class... Holder>
  static decltype(auto) Run(Submit&& submit, const Holder&... holders) {
    // One more than there are: an array of none is not C++.
    const Argument arguments[sizeof...(Holder) + 1] = {holders.Get()...};
    return submit(ArgumentList(arguments, sizeof...(Holder)));
  }
};

}  // namespace rayx::detail

#endif  // RAYX_DETAIL_CALL_H_
