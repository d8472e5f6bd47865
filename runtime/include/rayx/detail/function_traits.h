// What a function pointer or member function pointer says about calls of it.
//
// Purpose:  parameters as values, result as a value, class of a method.
// Limits:   no variadic (C-style ...) functions.
#ifndef RAYX_DETAIL_FUNCTION_TRAITS_H_
#define RAYX_DETAIL_FUNCTION_TRAITS_H_

#include <cstddef>
#include <memory>
#include <tuple>
#include <type_traits>

namespace rayx::detail {

template <class... T>
struct TypeList {
  static constexpr std::size_t kSize = sizeof...(T);
};

template <class T>
using ValueOf = std::remove_cv_t<std::remove_reference_t<T>>;

template <class R, class C, class... P>
struct Signature {
  static constexpr bool kIsCallable = true;
  static constexpr bool kIsMethod = !std::is_void_v<C>;
  using Class = C;                    // void: not a method
  using Returned = R;                 // as declared
  using Result = ValueOf<R>;          // as a value; void stays void
  using Parameters = TypeList<P...>;  // as declared
};

// Anything else: a lambda, a functor, a pointer to data.
template <class F>
struct FunctionTraits {
  static constexpr bool kIsCallable = false;
  static constexpr bool kIsMethod = false;
};

template <class R, class... P>
struct FunctionTraits<R (*)(P...)> : Signature<R, void, P...> {};
template <class R, class... P>
struct FunctionTraits<R (*)(P...) noexcept> : Signature<R, void, P...> {};

#define RAYX_METHOD_TRAITS(qualifiers)    \
  template <class R, class C, class... P> \
  struct FunctionTraits<R (C::*)(P...) qualifiers> : Signature<R, C, P...> {}
RAYX_METHOD_TRAITS();
RAYX_METHOD_TRAITS(const);
RAYX_METHOD_TRAITS(&);
RAYX_METHOD_TRAITS(const&);
RAYX_METHOD_TRAITS(noexcept);
RAYX_METHOD_TRAITS(const noexcept);
RAYX_METHOD_TRAITS(&noexcept);
RAYX_METHOD_TRAITS(const& noexcept);
#undef RAYX_METHOD_TRAITS

// The class that an actor's factory makes: from T*, std::unique_ptr<T> or std::shared_ptr<T>.
template <class R>
struct MadeBy {
  using Type = void;
};
template <class T>
struct MadeBy<T*> {
  using Type = T;
};
template <class T>
struct MadeBy<std::unique_ptr<T>> {
  using Type = T;
};
template <class T>
struct MadeBy<std::shared_ptr<T>> {
  using Type = T;
};

// Picks one of several overloads: Overload<int, double>(f), Overload<int>(&C::m).
template <class... P>
struct OverloadOf {
  template <class R>
  constexpr auto operator()(R (*f)(P...)) const noexcept {
    return f;
  }
  template <class R, class C>
  constexpr auto operator()(R (C::*f)(P...)) const noexcept {
    return f;
  }
  template <class R, class C>
  constexpr auto operator()(R (C::*f)(P...) const) const noexcept {
    return f;
  }
};
template <class... P>
inline constexpr OverloadOf<P...> kOverload{};

}  // namespace rayx::detail

#endif  // RAYX_DETAIL_FUNCTION_TRAITS_H_
