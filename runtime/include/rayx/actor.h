// Actors: objects that live in a process of their own and are called from everywhere.
//
// Purpose:  rayx::Actor(C::Create).Remote(arguments...) makes one; handle.Task(&C::m).Remote(...)
//           calls it.
// Owner:    the actor lives until Kill, ExitActor, the end of its job (unless detached) or its
//           death. Handles are plain values: they may be copied, sent and returned, and do not keep
//           it alive.
// Promises: with SetMaxConcurrency(1), the default, the calls of one caller run one at a time, in
//           order. Remote never waits: creation fails, if it does, at the Get of a call.
// Limits:   a factory returns C*, std::unique_ptr<C> or std::shared_ptr<C>; a handle names the
//           class that the factory makes.
#ifndef RAYX_ACTOR_H_
#define RAYX_ACTOR_H_

#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "rayx/detail/builder.h"
#include "rayx/detail/call.h"
#include "rayx/detail/entry.h"
#include "rayx/detail/remote_each.h"

namespace rayx {

// Calls of one method of one actor. F: its member function pointer's type.
template <class F>
class ActorTaskCaller : public detail::CallBuilder<ActorTaskCaller<F>> {
  using Traits = detail::FunctionTraits<F>;
  using Result = typename Traits::Result;

 public:
  ActorTaskCaller(const detail::RawActor& actor, std::uint64_t method)
      : actor_(actor), method_(method) {}

  // How many parts the std::vector that the function returns has: for RemoteEach.
  ActorTaskCaller& SetNumReturns(int num_returns) {
    return this->With([&](auto& o) { detail::SetNumReturnsOption(o, num_returns); });
  }

  // Calls the method. Each argument is a value for its parameter, or an ObjectRef to one.
  template <class... A>
  ObjectRef<Result> Remote(A&&... arguments) const {
    using Parameters = typename Traits::Parameters;
    if constexpr (detail::CallCheck<Parameters, A...>::Check() &&
                  detail::CheckResult<typename Traits::Returned>()) {
      if (this->options().num_returns != 0) detail::ThrowRemoteWithNumReturns();
      detail::RawRef result;
      detail::ArgumentPacker<Parameters>::With(
          [&](detail::ArgumentList packed) {
            detail::Runtime().CallActor(actor_, method_, this->options(), packed, &result, 1);
          },
          std::forward<A>(arguments)...);
      return ObjectRef<Result>(detail::RefHold(result));
    } else {
      return {};
    }
  }

  // One call, a reference to each part of its result: as TaskCaller::RemoteEach.
  template <class... A>
  auto RemoteEach(A&&... arguments) const {
    using Parameters = typename Traits::Parameters;
    if constexpr (detail::CallCheck<Parameters, A...>::Check() && detail::CheckParts<Result>()) {
      return detail::SubmitEach<Result, Parameters>(
          this->options(),
          [&](const detail::CallOptions& options, detail::ArgumentList packed, detail::RawRef* refs,
              std::size_t count) {
            detail::Runtime().CallActor(actor_, method_, options, packed, refs, count);
          },
          std::forward<A>(arguments)...);
    }
  }

 private:
  detail::RawActor actor_;
  std::uint64_t method_;
};

namespace detail {
[[noreturn]] RAYX_PUBLIC void ThrowEmptyHandle();
[[noreturn]] RAYX_PUBLIC void ThrowShiftedBase(std::string_view method_type);
RAYX_PUBLIC std::string ActorName(const RawActor& actor);

template <class T, class B, class = void>
struct IsVirtualBase : std::true_type {};
template <class T, class B>
struct IsVirtualBase<T, B, std::void_t<decltype(static_cast<T*>(std::declval<B*>()))>>
    : std::false_type {};

// Whether a T* is also a B* without adjustment.
template <class T, class B>
bool SameAddress() {
  if constexpr (std::is_same_v<T, B>) {
    return true;
  } else if constexpr (IsVirtualBase<T, B>::value) {
    return false;
  } else {
    alignas(T) static char somewhere[sizeof(T)];
    T* derived = reinterpret_cast<T*>(somewhere);
    return reinterpret_cast<char*>(static_cast<B*>(derived)) == somewhere;
  }
}
}  // namespace detail

// Of an actor of class T, wherever it lives.
template <class T>
class ActorHandle {
 public:
  // Of no actor: using it throws InvalidOption.
  ActorHandle() = default;
  explicit ActorHandle(const detail::RawActor& actor) : actor_(actor) {}

  // A method known when the program is compiled; registers itself.
  template <auto F>
  auto Task() const {
    CheckMethod<decltype(F)>();
    static_cast<void>(&detail::RegisteredMethod<T, F>::done);
    constexpr std::uint64_t kId = detail::MethodId<T, F>();
    return ActorTaskCaller<decltype(F)>(Use(), kId);
  }

  // A method that a RAYX_REMOTE names. Throws UnknownFunction when none does.
  template <class F>
  auto Task(F method) const {
    CheckMethod<F>();
    if constexpr (detail::FunctionTraits<F>::kIsMethod) {
      using Base = typename detail::FunctionTraits<F>::Class;
      if (!detail::SameAddress<T, Base>()) detail::ThrowShiftedBase(detail::TypeName<F>());
      return ActorTaskCaller<F>(Use(), detail::IdOfPointer<F, false>(method, "handle.Task(&C::m)"));
    }
  }

  // Ends the actor: calls that wait or run fail with ActorDied. With no_restart false it is started
  // again if SetMaxRestarts leaves it a restart.
  void Kill(bool no_restart = true) const { detail::Runtime().KillActor(Use(), no_restart); }

  // Whether it names an actor; dead ones count.
  explicit operator bool() const noexcept { return actor_.creator != 0; }
  // As `rayx list actors` and ActorDescription::id show it.
  std::string ID() const { return detail::ActorName(actor_); }
  const detail::RawActor& raw() const noexcept { return actor_; }
  friend bool operator==(const ActorHandle& a, const ActorHandle& b) {
    return a.actor_.creator == b.actor_.creator && a.actor_.sequence == b.actor_.sequence;
  }
  friend bool operator!=(const ActorHandle& a, const ActorHandle& b) { return !(a == b); }

 private:
  template <class F>
  static constexpr void CheckMethod() {
    static_assert(detail::FunctionTraits<F>::kIsMethod,
                  "handle.Task takes a member function of the actor's class: handle.Task(&C::m) or "
                  "handle.Task<&C::m>().");
    if constexpr (detail::FunctionTraits<F>::kIsMethod) {
      static_assert(std::is_base_of_v<typename detail::FunctionTraits<F>::Class, T>,
                    "The member function is not one of the actor's class.");
    }
  }
  const detail::RawActor& Use() const {
    if (actor_.creator == 0) detail::ThrowEmptyHandle();
    return actor_;
  }

  detail::RawActor actor_;
};

// The making of an actor. F: its factory's function pointer type.
template <class F>
class ActorCreator : public detail::CallBuilder<ActorCreator<F>> {
  using Traits = detail::FunctionTraits<F>;
  using T = typename detail::MadeBy<typename Traits::Result>::Type;
  using Builder = detail::CallBuilder<ActorCreator<F>>;

 public:
  // Of rayx::Actor.
  explicit ActorCreator(std::uint64_t factory) : factory_(factory) {}

  using Builder::SetName;
  // In that namespace instead of the job's own (Options::job_namespace).
  ActorCreator& SetName(std::string name, std::string actor_namespace) {
    return this->With([&](auto& o) {
      o.name = std::move(name);
      o.actor_namespace = std::move(actor_namespace);
    });
  }
  // How often the actor may be started again after its death; -1: for ever. Default 0.
  ActorCreator& SetMaxRestarts(int max_restarts) {
    return this->With([&](auto& o) {
      detail::SetCountOption(o.max_restarts, "SetMaxRestarts", max_restarts, -1);
    });
  }
  // How many calls run at once, each on a thread of its own. Default 1.
  ActorCreator& SetMaxConcurrency(int max_concurrency) {
    return this->With([&](auto& o) {
      detail::SetCountOption(o.max_concurrency, "SetMaxConcurrency", max_concurrency, 1);
    });
  }
  // Lives on after its job has ended, until Kill, ExitActor or the end of the cluster. Needs a
  // name. It exists once a call of it has returned: a program that ends at once may be faster.
  ActorCreator& SetDetached(bool detached = true) {
    return this->With([&](auto& o) { o.detached = detached; });
  }

  // Makes the actor, with the factory's arguments. Throws InvalidOption for a detached one without
  // a name; what goes wrong later surfaces at the Get of a call.
  template <class... A>
  ActorHandle<T> Remote(A&&... arguments) const {
    using Parameters = typename Traits::Parameters;
    if constexpr (detail::CallCheck<Parameters, A...>::Check()) {
      detail::CallOptions options = this->options();
      detail::CheckActorOptions(options);
      options.actor_class = detail::TypeName<T>();
      return detail::ArgumentPacker<Parameters>::With(
          [&](detail::ArgumentList packed) {
            return ActorHandle<T>(detail::Runtime().CreateActor(factory_, options, packed));
          },
          std::forward<A>(arguments)...);
    } else {
      return {};
    }
  }

 private:
  std::uint64_t factory_;
};

namespace detail {
template <class>
inline constexpr bool kNoFactory = false;

template <class F>
constexpr bool CheckFactory() {
  using Traits = FunctionTraits<F>;
  static_assert(
      Traits::kIsCallable && !Traits::kIsMethod,
      "rayx::Actor takes a function that makes the actor: a free or static member function.");
  if constexpr (Traits::kIsCallable && !Traits::kIsMethod) {
    constexpr bool kMakes = std::is_class_v<typename MadeBy<typename Traits::Result>::Type>;
    static_assert(kMakes,
                  "An actor's factory returns C*, std::unique_ptr<C> or std::shared_ptr<C>.");
    return kMakes;
  } else {
    return false;
  }
}
}  // namespace detail

// A factory known when the program is compiled; registers itself.
template <auto F>
auto Actor() {
  if constexpr (detail::CheckFactory<decltype(F)>()) {
    static_cast<void>(&detail::RegisteredFactory<F>::done);
    return ActorCreator<decltype(F)>(detail::FactoryId<F>());
  }
}

// rayx::Actor<C>(): a class is no factory.
template <class C>
auto Actor() {
  static_assert(
      detail::kNoFactory<C>,
      "rayx::Actor<&C::Create>() names the function that makes the actor, not its class.");
}

// A factory that a RAYX_REMOTE names. Throws UnknownFunction when none does.
template <class F>
auto Actor(F factory) {
  if constexpr (detail::CheckFactory<F>()) {
    return ActorCreator<F>(detail::IdOfPointer<F, true>(factory, "rayx::Actor(f)"));
  }
}

// The living actor of that name; nothing when there is none. The namespace "" is this job's. Throws
// InvalidOption when it is of another class than T.
template <class T>
std::optional<ActorHandle<T>> GetActor(const std::string& name,
                                       const std::string& actor_namespace = "") {
  detail::RawActor actor;
  std::string actor_class;
  if (!detail::Runtime().FindActor(name, actor_namespace, actor, actor_class)) return std::nullopt;
  detail::CheckActorClass(name, actor_class, detail::TypeName<T>());
  return ActorHandle<T>(actor);
}

// Ends the calling actor after the call that runs. Throws InvalidOption outside of an actor.
RAYX_PUBLIC void ExitActor();

template <class T>
struct Serializer<ActorHandle<T>> {
  static void Pack(Packer& packer, const ActorHandle<T>& handle) {
    const std::uint64_t ids[2] = {handle.raw().creator, handle.raw().sequence};
    packer.Extension(detail::kActorExtension, ids, sizeof(ids));
  }
  static ActorHandle<T> Unpack(Unpacker& unpacker) {
    const auto [creator, sequence] = unpacker.Pair(detail::kActorExtension);
    return ActorHandle<T>(detail::RawActor{creator, sequence});
  }
};

}  // namespace rayx

#endif  // RAYX_ACTOR_H_
