// ray::Actor(C::Create).SetName("...").Remote(arguments...), and GetActor.
//
// Owner:    a creator is a value; an actor lives as rayx/actor.h says.
// Threads:  those of rayx/actor.h, which it is made of; promises and limits, too.
#ifndef RAY_API_ACTOR_CREATOR_H_
#define RAY_API_ACTOR_CREATOR_H_

#include <ray/api/call_builder.h>
#include <ray/api/init.h>
#include <rayx/actor.h>

#include <optional>
#include <string>
#include <utility>

namespace ray {

template <class T>
using ActorHandle = ::rayx::ActorHandle<T>;

namespace internal {

// The making of an actor. F: its factory's function pointer type.
template <class F>
class ActorCreator : public CallBuilder<ActorCreator<F>, ::rayx::ActorCreator<F>> {
 public:
  // Of ray::Actor.
  explicit ActorCreator(::rayx::ActorCreator<F> creator)
      : ActorCreator::CallBuilder(std::move(creator)) {}

  // By which GetActor finds it, in the namespace of this job or in the one given.
  ActorCreator& SetName(std::string name) {
    has_name_ = !name.empty();
    this->inner_.SetName(std::move(name));
    return *this;
  }
  ActorCreator& SetName(std::string name, std::string ray_namespace) {
    has_name_ = !name.empty();
    this->inner_.SetName(std::move(name), std::move(ray_namespace));
    return *this;
  }
  // -1: for ever.
  ActorCreator& SetMaxRestarts(int max_restarts) {
    this->inner_.SetMaxRestarts(max_restarts);
    return *this;
  }
  ActorCreator& SetMaxConcurrency(int max_concurrency) {
    this->inner_.SetMaxConcurrency(max_concurrency);
    return *this;
  }

  // The handle of the new actor. Each argument is a value for its parameter, or an ObjectRef to
  // one.
  template <class... A>
  auto Remote(A&&... arguments) const {
    ::rayx::ActorCreator<F> creator = this->inner_;
    if (has_name_ && DetachedByDefault()) creator.SetDetached();
    return creator.Remote(std::forward<A>(arguments)...);
  }

 private:
  bool has_name_ = false;
};

}  // namespace internal

// A function that returns a pointer to the new actor, and that a RAY_REMOTE names. Throws
// RayFunctionNotFound when none does. The parameters are spelled out so that an unqualified call is
// not ambiguous with rayx::Actor.
template <class C, class... P>
internal::ActorCreator<C* (*)(P...)> Actor(C* (*factory)(P...)) {
  return internal::ActorCreator<C* (*)(P...)>(::rayx::Actor(factory));
}
template <class C, class... P>
internal::ActorCreator<C* (*)(P...) noexcept> Actor(C* (*factory)(P...) noexcept) {
  return internal::ActorCreator<C* (*)(P...) noexcept>(::rayx::Actor(factory));
}
// Anything else: rayx::Actor says what is wrong with it.
template <class F>
auto Actor(F factory) {
  return ::rayx::Actor(factory);
}

// The living actor of that name, if there is one: in the namespace of this job, or in the one
// given.
template <class T>
internal::Optional<ActorHandle<T>> GetActor(const std::string& actor_name,
                                            const std::string& ray_namespace = "") {
  if (actor_name.empty()) return {};
  const std::optional<ActorHandle<T>> found = ::rayx::GetActor<T>(actor_name, ray_namespace);
  if (!found) return {};
  return *found;
}

}  // namespace ray

#endif  // RAY_API_ACTOR_CREATOR_H_
