// Naming the functions that other processes may run.
//
// Purpose:  RAYX_REMOTE(f, &C::m, C::Create, RAYX_FUNC(overloaded, int)); at namespace scope in the
//           source file that defines them makes Task(f), Actor(C::Create) and handle.Task(&C::m)
//           work. Task<&f>(), Actor<&C::Create>() and handle.Task<&C::m>() need no RAYX_REMOTE.
//           RAYX_LAMBDA(square, [](int x) { return x * x; }); at namespace scope makes a lambda
//           without captures a remote function: Task(square).Remote(7), and square(7) here.
// Promises: a function has the same id in every build and in every program that declares it alike.
//           Functions of internal linkage (static, anonymous namespace) carry their source file in
//           their id. Two functions with one id are an error of Init that names both.
// Limits:   a static library's object file that nothing else refers to is dropped by the linker,
//           and its RAYX_REMOTE with it: rayx_link_whole(target library) in CMake keeps it.
#ifndef RAYX_REMOTE_H_
#define RAYX_REMOTE_H_

#include <string_view>
#include <typeinfo>

#include "rayx/detail/entry.h"
#include "rayx/detail/lambda.h"

namespace rayx::detail {

template <auto F>
struct LinkageTag {};

// Whether the function or a type of its signature is known in its source file only.
RAYX_PUBLIC bool IsInternalName(const char* mangled_tag);

// What tells apart equal names of several source files: "" for what has no equal.
template <auto F>
std::string_view FileOf(std::string_view source_file) {
  return IsInternalName(typeid(LinkageTag<F>).name()) ? source_file : std::string_view();
}

template <auto F>
void RegisterRemoteTask(std::string_view source_file) {
  const std::string_view file = FileOf<F>(source_file);
  RegisterFunction(TaskEntry<F>(file));
  RegisterPointer(KeyOf(F, false), TaskId<F>(file));
}

template <auto F>
void RegisterRemote(std::string_view source_file) {
  using Traits = FunctionTraits<decltype(F)>;
  static_assert(
      Traits::kIsCallable,
      "RAYX_REMOTE takes functions and member functions: a lambda or functor cannot be found "
      "again in another process; give it a name.");
  [[maybe_unused]] const std::string_view file = FileOf<F>(source_file);
  if constexpr (Traits::kIsMethod) {
    RegisterFunction(MethodEntry<typename Traits::Class, F>(file));
    RegisterPointer(KeyOf(F, false), MethodId<typename Traits::Class, F>(file));
  } else if constexpr (std::is_class_v<typename MadeBy<typename Traits::Result>::Type>) {
    RegisterFunction(FactoryEntry<F>(file));
    RegisterPointer(KeyOf(F, true), FactoryId<F>(file));
  } else {
    RegisterRemoteTask<F>(source_file);
  }
}

template <auto... F>
bool RegisterAllRemote(std::string_view source_file) {
  (RegisterRemote<F>(source_file), ...);
  return true;
}

}  // namespace rayx::detail

#define RAYX_REMOTE_CONCAT_INNER(a, b) a##b
#define RAYX_REMOTE_CONCAT(a, b) RAYX_REMOTE_CONCAT_INNER(a, b)

// RAYX_REMOTE(f, &C::m, C::Create); at namespace scope, in the source file that defines them.
#define RAYX_REMOTE(...)                                                             \
  [[maybe_unused]] static const bool RAYX_REMOTE_CONCAT(rayx_remote_, __COUNTER__) = \
      ::rayx::detail::RegisterAllRemote<__VA_ARGS__>(__FILE__)

// The second anonymous namespace tells apart equal names of several source files; it is also what
// keeps the macro out of functions, where nothing would be registered in a worker.
#define RAYX_LAMBDA(name, ...)                                       \
  namespace {                                                        \
  struct RayxLambdaOf_##name {                                       \
    static constexpr auto kLambda = __VA_ARGS__;                     \
    static constexpr ::std::string_view kName = #name;               \
    static constexpr ::std::string_view kFile = __FILE__;            \
  };                                                                 \
  [[maybe_unused]] const bool rayx_lambda_done_##name =              \
      ::rayx::detail::RegisterLambda<RayxLambdaOf_##name>(__LINE__); \
  }                                                                  \
  [[maybe_unused]] static constexpr ::rayx::detail::LambdaName<RayxLambdaOf_##name> name {}

// One of several overloads: RAYX_FUNC(f, int, double), RAYX_FUNC(&C::m, int).
#define RAYX_FUNC(f, ...) (::rayx::detail::kOverload<__VA_ARGS__>(f))

#endif  // RAYX_REMOTE_H_
