// Checks of what the Set... chains are given (rayx/detail/builder.h), and the handles' small
// errors.
#include <string>

#include "base/status.h"
#include "model/ids.h"
#include "model/resources.h"
#include "rayx/actor.h"
#include "rayx/detail/builder.h"
#include "rayx/errors.h"

namespace rayx::detail {

const CallOptions& DefaultCallOptions() {
  static const CallOptions* defaults = new CallOptions;
  return *defaults;
}

void SetResourceOption(CallOptions& options, const std::string& name, double value) {
  model::ResourceSet checked;
  const absl::Status status = checked.SetDouble(name, value);
  if (!status.ok()) throw InvalidOption("SetResource: " + std::string(base::Message(status)));
  options.resources[name] = value;
}

void SetStrategyOption(CallOptions& options, const SchedulingStrategy& strategy) {
  using Kind = SchedulingStrategy::Kind;
  if (strategy.kind() == Kind::kNodeAffinity && strategy.node() == 0) {
    throw InvalidOption(
        "SchedulingStrategy::NodeAffinity: 0 is no node; nodes count from 1 (rayx::Nodes).");
  }
  options.spread = strategy.kind() == Kind::kSpread;
  options.affinity_node = strategy.kind() == Kind::kNodeAffinity ? strategy.node() : 0;
  options.affinity_soft = strategy.soft();
}

void SetStrategyOption(CallOptions& options, const std::string& name) {
  if (name == "SPREAD") {
    SetStrategyOption(options, SchedulingStrategy::Spread());
  } else if (name == "DEFAULT") {
    SetStrategyOption(options, SchedulingStrategy::Hybrid());
  } else {
    throw InvalidOption("SetSchedulingStrategy: '" + name +
                        "' is none; expected DEFAULT or SPREAD.");
  }
}

void SetCountOption(int& option, const char* name, int value, int min) {
  if (value < min) {
    throw InvalidOption(std::string(name) + ": " + std::to_string(value) +
                        " is too small; expected " + std::to_string(min) + " or more.");
  }
  option = value;
}

void CheckActorOptions(const CallOptions& options) {
  if (options.detached && options.name.empty()) {
    throw InvalidOption(
        "SetDetached: an actor that outlives its job needs a name (SetName), or nobody finds it.");
  }
}

void ThrowEmptyHandle() {
  throw InvalidOption("An empty rayx::ActorHandle was used: it was default-constructed.");
}

void ThrowShiftedBase(std::string_view method_type) {
  throw InvalidOption(
      "handle.Task(&B::m): the base class of the member function '" + std::string(method_type) +
      "' does not lie at the start of the actor's class: write handle.Task<&B::m>().");
}

std::string ActorName(const RawActor& actor) {
  if (actor.creator == 0) return "";
  return model::ToString(model::ActorId{model::ProcessId{actor.creator}, actor.sequence});
}

}  // namespace rayx::detail
