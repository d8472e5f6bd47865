// ray::Task(f).SetName("...").Remote(arguments...).
//
// Owner:    a value; it may be kept and used for many calls.
// Threads:  those of rayx/task.h, which it is made of; promises and limits, too.
#ifndef RAY_API_TASK_CALLER_H_
#define RAY_API_TASK_CALLER_H_

#include <ray/api/call_builder.h>
#include <rayx/task.h>

#include <string>
#include <utility>

namespace ray {
namespace internal {

// Calls of one function that runs elsewhere. F: its pointer's type.
template <class F>
class TaskCaller : public CallBuilder<TaskCaller<F>, ::rayx::TaskCaller<F>> {
 public:
  // Of ray::Task.
  explicit TaskCaller(::rayx::TaskCaller<F> caller) : TaskCaller::CallBuilder(std::move(caller)) {}

  TaskCaller& SetName(std::string name) {
    this->inner_.SetName(std::move(name));
    return *this;
  }

  // An ObjectRef of what the function returns. Each argument is a value for its parameter, or an
  // ObjectRef to one.
  template <class... A>
  auto Remote(A&&... arguments) const {
    return this->inner_.Remote(std::forward<A>(arguments)...);
  }
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
