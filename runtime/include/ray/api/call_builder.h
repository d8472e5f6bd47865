// The chain of Set... that precedes .Remote(...), as Ray spells it.
//
// Purpose:  what ray::Task and ray::Actor can be told alike.
// Owner:    a value; it may be kept and used for many calls.
// Threads:  those of what it is made of.
#ifndef RAY_API_CALL_BUILDER_H_
#define RAY_API_CALL_BUILDER_H_

#include <ray/api/placement_group.h>
#include <ray/api/runtime_env.h>

#include <string>
#include <unordered_map>
#include <utility>

namespace ray {
namespace internal {

// Self: the class made of this. Inner: RayX's, which does it.
template <class Self, class Inner>
class CallBuilder {
 public:
  // "CPU", "GPU", "memory" (bytes), or a name of your own.
  Self& SetResource(const std::string& name, double value) {
    inner_.SetResource(name, value);
    return self();
  }
  Self& SetResources(const std::unordered_map<std::string, double>& resources) {
    inner_.SetResources(resources);
    return self();
  }
  template <class Group>
  Self& SetPlacementGroup(const Group&, int) {
    RefusePlacementGroups<Group>();
    return self();
  }
#ifdef RAY_HAS_RUNTIME_ENV
  Self& SetRuntimeEnv(const RuntimeEnv& environment) {
    if (environment.Empty()) return self();
    throw RayRuntimeEnvException(
        "SetRuntimeEnv: RayX has one environment a job, that of RayConfig::runtime_env.");
  }
#endif

 protected:
  explicit CallBuilder(Inner inner) : inner_(std::move(inner)) {}
  Self& self() {
    return static_cast<Self&>(*this);
  }

  Inner inner_;
};

}  // namespace internal
}  // namespace ray

#endif  // RAY_API_CALL_BUILDER_H_
