// Remote tasks: rayx::Task<&f>().Remote(arguments...), rayx::Task(f).Remote(arguments...).
//
// Purpose:  run a function somewhere in the cluster; its result is an ObjectRef at once.
// Threads:  any.
// Promises: Remote never waits for the task (in local mode it runs it) and never throws what
//           happens there: that surfaces at Get. A worker's death reruns the task up to
//           SetMaxRetries times; an exception that the function throws does not.
// Limits:   parameters by value or const reference; no pointers or views.
#ifndef RAYX_TASK_H_
#define RAYX_TASK_H_

#include <type_traits>
#include <utility>
#include <vector>

#include "rayx/detail/builder.h"
#include "rayx/detail/call.h"
#include "rayx/detail/entry.h"

namespace rayx {

// F: a function pointer's type.
template <class F>
class TaskCaller : public detail::CallBuilder<TaskCaller<F>> {
  using Traits = detail::FunctionTraits<F>;
  using Result = typename Traits::Result;

 public:
  explicit TaskCaller(std::uint64_t function) : function_(function) {}

  // How often the task may be started again after its worker or VM died; -1: for ever. Default 3.
  TaskCaller& SetMaxRetries(int max_retries) {
    return this->With(
        [&](auto& o) { detail::SetCountOption(o.max_retries, "SetMaxRetries", max_retries, -1); });
  }

  // Each argument is a value for its parameter, or an ObjectRef to one.
  template <class... A>
  ObjectRef<Result> Remote(A&&... arguments) const {
    using Parameters = typename Traits::Parameters;
    if constexpr (detail::CallCheck<Parameters, A...>::Check() &&
                  detail::CheckResult<typename Traits::Returned>()) {
      detail::RawRef result;
      detail::ArgumentPacker<Parameters>::With(
          [&](const std::vector<detail::Argument>& packed) {
            detail::Runtime().SubmitTask(function_, this->options(), packed, &result, 1);
          },
          std::forward<A>(arguments)...);
      return ObjectRef<Result>(detail::RefHold(result));
    } else {
      return {};
    }
  }

 private:
  std::uint64_t function_;
};

// A function known when the program is compiled; registers itself.
template <auto F>
auto Task() {
  using Traits = detail::FunctionTraits<decltype(F)>;
  static_assert(Traits::kIsCallable && !Traits::kIsMethod,
                "rayx::Task<&f>() takes a function. For a member function create an actor and use "
                "handle.Task<&C::m>(); a lambda cannot be found again in another process.");
  static_cast<void>(&detail::RegisteredTask<F>::done);
  return TaskCaller<decltype(F)>(detail::TaskId<F>());
}

// A function that a RAYX_REMOTE names. Throws UnknownFunction when none does.
template <class F>
auto Task(F function) {
  using Traits = detail::FunctionTraits<F>;
  static_assert(
      Traits::kIsCallable && !Traits::kIsMethod,
      "rayx::Task(f) takes a function. For a member function create an actor and use "
      "handle.Task(&C::m); a lambda or functor cannot be found again in another process: give "
      "it a name and write RAYX_REMOTE(name).");
  if constexpr (Traits::kIsCallable && !Traits::kIsMethod) {
    return TaskCaller<F>(detail::IdOfPointer<F, false>(function, "rayx::Task(f)"));
  }
}

}  // namespace rayx

#endif  // RAYX_TASK_H_
