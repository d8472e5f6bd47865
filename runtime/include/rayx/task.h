// Remote tasks: rayx::Task<&f>().Remote(arguments...), rayx::Task(f).Remote(arguments...).
//
// Purpose:  run a function somewhere in the cluster; its result is an ObjectRef at once.
// Threads:  any.
// Promises: Remote never waits for the task (in local mode it runs it) and never throws what
//           happens there: that surfaces at Get. A worker's death reruns the task up to
//           SetMaxRetries times; an exception that the function throws does not.
//           RemoteEach gives a reference to each part of a std::tuple, pair, array or vector.
// Limits:   parameters by value or const reference; no pointers or views. At most 4096 parts.
#ifndef RAYX_TASK_H_
#define RAYX_TASK_H_

#include <type_traits>
#include <utility>
#include <vector>

#include "rayx/detail/builder.h"
#include "rayx/detail/call.h"
#include "rayx/detail/entry.h"
#include "rayx/detail/lambda.h"
#include "rayx/detail/remote_each.h"

namespace rayx {

// Calls of one function that runs elsewhere. F: its pointer's type.
template <class F>
class TaskCaller : public detail::CallBuilder<TaskCaller<F>> {
  using Traits = detail::FunctionTraits<F>;
  using Result = typename Traits::Result;

 public:
  // Of rayx::Task.
  explicit TaskCaller(std::uint64_t function) : function_(function) {}

  // How often the task may be started again after its worker or VM died; -1: for ever. Default 3.
  TaskCaller& SetMaxRetries(int max_retries) {
    return this->With(
        [&](auto& o) { detail::SetCountOption(o.max_retries, "SetMaxRetries", max_retries, -1); });
  }

  // How many parts the std::vector that the function returns has: for RemoteEach.
  TaskCaller& SetNumReturns(int num_returns) {
    return this->With([&](auto& o) { detail::SetNumReturnsOption(o, num_returns); });
  }

  // Each argument is a value for its parameter, or an ObjectRef to one.
  template <class... A>
  ObjectRef<Result> Remote(A&&... arguments) const {
    using Parameters = typename Traits::Parameters;
    if constexpr (detail::CallCheck<Parameters, A...>::Check() &&
                  detail::CheckResult<typename Traits::Returned>()) {
      if (this->options().num_returns != 0) detail::ThrowRemoteWithNumReturns();
      detail::RawRef result;
      detail::ArgumentPacker<Parameters>::With(
          [&](detail::ArgumentList packed) {
            detail::Runtime().SubmitTask(function_, this->options(), packed, &result, 1);
          },
          std::forward<A>(arguments)...);
      return ObjectRef<Result>(detail::RefHold(result));
    } else {
      return {};
    }
  }

  // One task, a reference to each part of its result: of a std::tuple<A, B> a
  // std::tuple<ObjectRef<A>, ObjectRef<B>>, and likewise of a pair, an array, and a vector of
  // SetNumReturns(n) elements.
  template <class... A>
  auto RemoteEach(A&&... arguments) const {
    using Parameters = typename Traits::Parameters;
    if constexpr (detail::CallCheck<Parameters, A...>::Check() && detail::CheckParts<Result>()) {
      return detail::SubmitEach<Result, Parameters>(
          this->options(),
          [&](const detail::CallOptions& options, detail::ArgumentList packed, detail::RawRef* refs,
              std::size_t count) {
            detail::Runtime().SubmitTask(function_, options, packed, refs, count);
          },
          std::forward<A>(arguments)...);
    }
  }

 private:
  std::uint64_t function_;
};

// A function known when the program is compiled; registers itself.
template <auto F>
auto Task() {
  using Traits = detail::FunctionTraits<decltype(F)>;
  static_assert(
      Traits::kIsCallable && !Traits::kIsMethod,
      "rayx::Task<&f>() takes a function. For a member function create an actor and use "
      "handle.Task<&C::m>(); a lambda needs a name: RAYX_LAMBDA(name, lambda), Task(name).");
  static_cast<void>(&detail::RegisteredTask<F>::done);
  constexpr std::uint64_t kId = detail::TaskId<F>();
  return TaskCaller<decltype(F)>(kId);
}

// A function that a RAYX_REMOTE names. Throws UnknownFunction when none does.
template <class F>
auto Task(F function) {
  using Traits = detail::FunctionTraits<F>;
  static_assert(
      Traits::kIsCallable && !Traits::kIsMethod,
      "rayx::Task(f) takes a function. For a member function create an actor and use "
      "handle.Task(&C::m); a lambda or functor cannot be found again in another process: write "
      "RAYX_LAMBDA(name, lambda) at namespace scope, without captures, and Task(name).");
  if constexpr (Traits::kIsCallable && !Traits::kIsMethod) {
    return TaskCaller<F>(detail::IdOfPointer<F, false>(function, "rayx::Task(f)"));
  }
}

// A lambda that a RAYX_LAMBDA names.
template <class Tag>
auto Task(detail::LambdaName<Tag>) {
  if constexpr (detail::LambdaOf<Tag>::kIsRight) {
    return TaskCaller<typename detail::LambdaOf<Tag>::Pointer>(detail::LambdaId<Tag>());
  }
}

}  // namespace rayx

#endif  // RAYX_TASK_H_
