// RAY_REMOTE and RAY_FUNC.
//
// Purpose:  RAY_REMOTE(f, &C::m, C::Create, RAY_FUNC(overloaded, int)) at namespace scope makes
//           ray::Task(f), ray::Actor(C::Create) and handle.Task(&C::m) work, as RAYX_REMOTE does.
// Promises: with a semicolon behind it or without. A function that returns a pointer makes actors,
//           any other is a task.
// Limits:   those of rayx/remote.h.
#ifndef RAY_API_RAY_REMOTE_H_
#define RAY_API_RAY_REMOTE_H_

#include <rayx/remote.h>

#include <string_view>
#include <type_traits>

namespace ray {
namespace internal {

// What RAYX_REMOTE takes for a factory may be a task of Ray's: one that returns an owning pointer.
template <class F>
constexpr bool IsTask() {
  using Traits = ::rayx::detail::FunctionTraits<F>;
  if constexpr (Traits::kIsCallable && !Traits::kIsMethod) {
    return !std::is_pointer_v<typename Traits::Result>;
  } else {
    return false;
  }
}

template <auto F>
void RegisterRemote(std::string_view source_file) {
  if constexpr (IsTask<decltype(F)>()) {
    ::rayx::detail::RegisterRemoteTask<F>(source_file);
  } else {
    ::rayx::detail::RegisterRemote<F>(source_file);
  }
}

template <auto... F>
bool RegisterAllRemote(std::string_view source_file) {
  (RegisterRemote<F>(source_file), ...);
  return true;
}

}  // namespace internal
}  // namespace ray

// In the source file that defines the functions.
#define RAY_REMOTE(...)                                                             \
  [[maybe_unused]] static const bool RAYX_REMOTE_CONCAT(ray_remote_, __COUNTER__) = \
      ::ray::internal::RegisterAllRemote<__VA_ARGS__>(__FILE__);

// One of several overloads: RAY_FUNC(f), RAY_FUNC(f, int, double), RAY_FUNC(&C::m, int).
#define RAY_FUNC(f, ...) (::rayx::detail::kOverload<__VA_ARGS__>(f))

#endif  // RAY_API_RAY_REMOTE_H_
