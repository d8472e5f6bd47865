// A lambda under a name of the program: what RAYX_LAMBDA (remote.h) makes.
//
// Purpose:  a type that stands for the lambda wherever the program runs, and its registration.
// Promises: the id is a hash of the lambda's signature and of its name with the namespaces around
//           it, and of its source file inside an anonymous namespace. Two lambdas of one name are
//           an error of Init that names both; one in a header is the same in every source file.
#ifndef RAYX_DETAIL_LAMBDA_H_
#define RAYX_DETAIL_LAMBDA_H_

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "rayx/detail/entry.h"

namespace rayx::detail {

// The signature of a lambda that is no template: from its call operator.
template <class Method>
struct SignatureOf;
#define RAYX_LAMBDA_SIGNATURE(qualifiers, is_noexcept) \
  template <class R, class C, class... P>              \
  struct SignatureOf<R (C::*)(P...) qualifiers> {      \
    using Pointer = R (*)(P...) noexcept(is_noexcept); \
  }
RAYX_LAMBDA_SIGNATURE(const, false);
RAYX_LAMBDA_SIGNATURE(const noexcept, true);
RAYX_LAMBDA_SIGNATURE(, false);  // mutable
RAYX_LAMBDA_SIGNATURE(noexcept, true);
#undef RAYX_LAMBDA_SIGNATURE

template <class L, class = void>
struct LambdaTraits {
  static constexpr bool kIsPlain = false;
  using Pointer = void (*)();
};
template <class L>
struct LambdaTraits<L, std::void_t<decltype(&L::operator())>> {
  static constexpr bool kIsPlain = true;
  using Pointer = typename SignatureOf<decltype(&L::operator())>::Pointer;
};

template <class L>
constexpr bool CheckLambda() {
  constexpr bool kIsPlain = LambdaTraits<L>::kIsPlain;
  constexpr bool kCaptures =
      kIsPlain && !std::is_convertible_v<L, typename LambdaTraits<L>::Pointer>;
  static_assert(kIsPlain,
                "RAYX_LAMBDA takes a lambda whose parameters have types: [](auto x) is a template, "
                "and another process would not know which function of it is meant.");
  static_assert(!kCaptures,
                "The lambda of RAYX_LAMBDA captures: what it captures would stay in this process. "
                "Give it another parameter, and the value as an argument of Remote.");
  return kIsPlain && !kCaptures;
}

// Tag: the struct that RAYX_LAMBDA defines, in an anonymous namespace of its own.
template <class Tag>
struct LambdaOf {
  using Type = ValueOf<decltype(Tag::kLambda)>;
  static constexpr bool kIsRight = CheckLambda<Type>();
  using Pointer = typename LambdaTraits<Type>::Pointer;
};

// "app::RayxLambdaOf_square" without what RAYX_LAMBDA has added: its own anonymous namespace and
// the prefix.
struct LambdaScope {
  std::string_view outer;  // "app::", ""
  bool is_internal = false;
};
constexpr LambdaScope ScopeOf(std::string_view tag, std::string_view name) {
#ifdef __clang__
  constexpr std::string_view kAnonymous = "(anonymous namespace)::";
#else
  constexpr std::string_view kAnonymous = "{anonymous}::";
#endif
  constexpr std::string_view kPrefix = "RayxLambdaOf_";
  const std::size_t added = kAnonymous.size() + kPrefix.size() + name.size();
  LambdaScope scope;
  scope.outer = tag.substr(0, tag.size() - added);
  scope.is_internal = scope.outer.find(kAnonymous) != std::string_view::npos;
  return scope;
}

template <class Tag>
constexpr std::uint64_t LambdaId() {
  constexpr LambdaScope scope = ScopeOf(TypeName<Tag>(), Tag::kName);
  Hash64 hash;
  hash.AddText("lambda");
  hash.AddText(TypeName<typename LambdaOf<Tag>::Pointer>());
  hash.AddText(scope.outer);
  hash.AddText(Tag::kName);
  if (scope.is_internal) hash.AddText(Tag::kFile);
  return hash.Value();
}

template <class Tag>
void InvokeLambda(const Arguments& arguments, ResultSink& results) {
  using Pointer = typename LambdaOf<Tag>::Pointer;
  using Traits = FunctionTraits<Pointer>;
  constexpr Pointer kFunction = Tag::kLambda;
  Caller<typename Traits::Parameters>::With(arguments, [&](auto&&... values) {
    CallAndEmit<typename Traits::Result>(results, [&]() -> typename Traits::Returned {
      return kFunction(static_cast<decltype(values)>(values)...);
    });
  });
}

template <class Tag>
bool RegisterLambda(int line) {
  if constexpr (LambdaOf<Tag>::kIsRight) {
    constexpr LambdaScope scope = ScopeOf(TypeName<Tag>(), Tag::kName);
    FunctionEntry entry;
    entry.id = LambdaId<Tag>();
    entry.name = DisplayName(FunctionText{TypeName<typename LambdaOf<Tag>::Pointer>(),
                                          std::string(scope.outer) + std::string(Tag::kName)});
    entry.task = &InvokeLambda<Tag>;
    entry.definition = std::string(Tag::kFile) + ":" + std::to_string(line);
    RegisterFunction(std::move(entry));
  }
  return true;
}

// What the name stands for in the program: an argument of rayx::Task, and callable here.
template <class Tag>
struct LambdaName {
  template <class... A>
  constexpr decltype(auto) operator()(A&&... arguments) const {
    return static_cast<typename LambdaOf<Tag>::Pointer>(Tag::kLambda)(
        std::forward<A>(arguments)...);
  }
};

}  // namespace rayx::detail

#endif  // RAYX_DETAIL_LAMBDA_H_
