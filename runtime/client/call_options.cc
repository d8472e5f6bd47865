// Checks of what the Set... chains are given (rayx/detail/builder.h), and the handles' small
// errors.
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "model/ids.h"
#include "model/resources.h"
#include "rayx/actor.h"
#include "rayx/detail/builder.h"
#include "rayx/detail/result_parts.h"
#include "rayx/errors.h"
#include "scheduling/label_selector.h"

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

void SetLabelsOption(CallOptions& options, std::map<std::string, std::string> labels) {
  if (labels.size() > static_cast<std::size_t>(scheduling::kLabelsMax)) {
    throw InvalidOption("SetLabels: " + std::to_string(labels.size()) + " labels; at most " +
                        std::to_string(scheduling::kLabelsMax) + " are possible.");
  }
  for (const auto& [key, value] : labels) {
    const auto selector = scheduling::LabelSelector::Parse(key, value);
    if (!selector.ok()) {
      throw InvalidOption("SetLabels: " + std::string(base::Message(selector.status())));
    }
  }
  options.labels = std::move(labels);
}

void SetCountOption(int& option, const char* name, int value, int min) {
  if (value < min) {
    throw InvalidOption(std::string(name) + ": " + std::to_string(value) +
                        " is too small; expected " + std::to_string(min) + " or more.");
  }
  option = value;
}

void SetNumReturnsOption(CallOptions& options, int num_returns) {
  if (num_returns < 1 || static_cast<std::size_t>(num_returns) > kPartsMax) {
    throw InvalidOption("SetNumReturns: " + std::to_string(num_returns) + "; expected 1 to " +
                        std::to_string(kPartsMax) + ".");
  }
  options.num_returns = static_cast<std::size_t>(num_returns);
}

void ThrowRemoteWithNumReturns() {
  throw InvalidOption(
      "SetNumReturns is for RemoteEach, which gives a reference to each part; Remote gives one to "
      "the whole result.");
}

std::size_t PartsToAskFor(const CallOptions& options, std::size_t fixed) {
  if (fixed == 0 && options.num_returns == 0) {
    throw InvalidOption(
        "RemoteEach of a function that returns a std::vector: SetNumReturns(n) has to say how many "
        "elements it will have.");
  }
  if (fixed != 0 && options.num_returns != 0 && options.num_returns != fixed) {
    throw InvalidOption("SetNumReturns(" + std::to_string(options.num_returns) +
                        "): the type that the function returns has " + std::to_string(fixed) +
                        " parts.");
  }
  const std::size_t parts = fixed != 0 ? fixed : options.num_returns;
  if (parts > kPartsMax) {
    throw InvalidOption("RemoteEach: " + std::to_string(parts) + " parts; at most " +
                        std::to_string(kPartsMax) + " are possible.");
  }
  return parts;
}

void CheckActorOptions(const CallOptions& options) {
  if (options.detached && options.name.empty()) {
    throw InvalidOption(
        "SetDetached: an actor that outlives its job needs a name (SetName), or nobody finds it.");
  }
}

void CheckActorClass(const std::string& name, std::string_view found, std::string_view asked) {
  if (found == asked) return;
  throw InvalidOption("GetActor: the actor \"" + name + "\" is of class " + std::string(found) +
                      ", not " + std::string(asked));
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
