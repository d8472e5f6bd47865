// ray::Task(f).SetName("...").Remote(arguments...).
//
// Owner:    a value; it may be kept and used for many calls.
// Threads:  those of rayx/task.h, which it is made of; promises and limits, too.
#ifndef RAY_API_TASK_CALLER_H_
#define RAY_API_TASK_CALLER_H_

#include <ray/api/placement_group.h>
#include <ray/api/runtime_env.h>
#include <rayx/task.h>

#include <string>
#include <unordered_map>
#include <utility>

namespace ray {
namespace internal {

#ifdef RAY_HAS_RUNTIME_ENV
inline void RefuseRuntimeEnv(const RuntimeEnv& environment) {
  if (environment.Empty()) return;
  throw RayRuntimeEnvException(
      "SetRuntimeEnv: RayX has one environment a job, that of RayConfig::runtime_env.");
}
#endif

// Calls of one function that runs elsewhere. F: its pointer's type.
template <class F>
class TaskCaller {
 public:
  // Of ray::Task.
  explicit TaskCaller(::rayx::TaskCaller<F> caller) : caller_(std::move(caller)) {}

  TaskCaller& SetName(std::string name) {
    caller_.SetName(std::move(name));
    return *this;
  }
  // "CPU", "GPU", "memory" (bytes), or a name of your own.
  TaskCaller& SetResource(const std::string& name, double value) {
    caller_.SetResource(name, value);
    return *this;
  }
  TaskCaller& SetResources(const std::unordered_map<std::string, double>& resources) {
    caller_.SetResources(resources);
    return *this;
  }
  template <class Group>
  TaskCaller& SetPlacementGroup(const Group&, int) {
    RefusePlacementGroups<Group>();
    return *this;
  }
#ifdef RAY_HAS_RUNTIME_ENV
  TaskCaller& SetRuntimeEnv(const RuntimeEnv& environment) {
    RefuseRuntimeEnv(environment);
    return *this;
  }
#endif

  // An ObjectRef of what the function returns. Each argument is a value for its parameter, or an
  // ObjectRef to one.
  template <class... A>
  auto Remote(A&&... arguments) const {
    return caller_.Remote(std::forward<A>(arguments)...);
  }

 private:
  ::rayx::TaskCaller<F> caller_;
};

}  // namespace internal

// A function that a RAY_REMOTE names. Throws RayFunctionNotFound when none does. The parameters are
// spelled out so that an unqualified call is not ambiguous with rayx::Task.
template <class R, class... P>
internal::TaskCaller<R (*)(P...)> Task(R (*function)(P...)) {
  return internal::TaskCaller<R (*)(P...)>(::rayx::Task(function));
}
template <class R, class... P>
internal::TaskCaller<R (*)(P...) noexcept> Task(R (*function)(P...) noexcept) {
  return internal::TaskCaller<R (*)(P...) noexcept>(::rayx::Task(function));
}
// Anything else: rayx::Task says what is wrong with it.
template <class F>
auto Task(F function) {
  return ::rayx::Task(function);
}

}  // namespace ray

#endif  // RAY_API_TASK_CALLER_H_
