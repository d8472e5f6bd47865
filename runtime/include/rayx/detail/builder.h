// The chain of Set... that precedes .Remote(...).
//
// Owner:    a caller object is a value; it may be kept and used for many calls.
// Promises: a wrong value throws InvalidOption at the setter and names what was expected.
#ifndef RAYX_DETAIL_BUILDER_H_
#define RAYX_DETAIL_BUILDER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "rayx/detail/runtime_interface.h"
#include "rayx/detail/visibility.h"

namespace rayx {

// Which node a task or actor is put on.
class SchedulingStrategy {
 public:
  // Which of the three it is.
  enum class Kind { kHybrid, kSpread, kNodeAffinity };
  // Packs nodes to half of their CPUs, then spreads. The default.
  static SchedulingStrategy Hybrid() { return {}; }
  // Over as many nodes as there are.
  static SchedulingStrategy Spread() { return {Kind::kSpread, 0, false}; }
  // On this node (NodeDescription::number); soft: elsewhere when it is gone or too small.
  static SchedulingStrategy NodeAffinity(std::uint32_t node, bool soft = false) {
    return {Kind::kNodeAffinity, node, soft};
  }

  // What it was made with:
  Kind kind() const { return kind_; }
  std::uint32_t node() const { return node_; }
  bool soft() const { return soft_; }

 private:
  SchedulingStrategy() = default;
  SchedulingStrategy(Kind kind, std::uint32_t node, bool soft)
      : kind_(kind), node_(node), soft_(soft) {}
  Kind kind_ = Kind::kHybrid;
  std::uint32_t node_ = 0;
  bool soft_ = false;
};

namespace detail {

// Each throws InvalidOption.
RAYX_PUBLIC void SetResourceOption(CallOptions& options, const std::string& name, double value);
RAYX_PUBLIC void SetStrategyOption(CallOptions& options, const SchedulingStrategy& strategy);
RAYX_PUBLIC void SetStrategyOption(CallOptions& options, const std::string& name);
RAYX_PUBLIC void SetLabelsOption(CallOptions& options, std::map<std::string, std::string> labels);
RAYX_PUBLIC void SetCountOption(int& option, const char* name, int value, int min);
RAYX_PUBLIC void SetNumReturnsOption(CallOptions& options, int num_returns);
// What only the whole chain can show: a detached actor without a name.
RAYX_PUBLIC void CheckActorOptions(const CallOptions& options);
// GetActor<T>: calls of T's methods on an object of another class would run on its memory.
RAYX_PUBLIC void CheckActorClass(const std::string& name, std::string_view found,
                                 std::string_view asked);
RAYX_PUBLIC const CallOptions& DefaultCallOptions();

// What a task and an actor can be told alike.
template <class Self>
class CallBuilder {
 public:
  // Shown in process titles, lists and errors; an actor's name is what GetActor finds it by.
  Self& SetName(std::string name) {
    return With([&](auto& o) { o.name = std::move(name); });
  }
  // "CPU", "GPU", "memory" (bytes), or a name of your own. Fractions down to 1/10000.
  Self& SetResource(const std::string& name, double value) {
    return With([&](auto& o) { SetResourceOption(o, name, value); });
  }
  // All at once; what was set before no longer counts.
  Self& SetResources(const std::unordered_map<std::string, double>& resources) {
    return With([&](auto& o) {
      o.resources.clear();
      for (const auto& [name, value] : resources) SetResourceOption(o, name, value);
    });
  }
  // Labels that the node must have (`rayx start --labels`), by key: "a", "!a" (any other, or none),
  // "in(a,b)", "!in(a,b)".
  Self& SetLabels(std::map<std::string, std::string> labels) {
    return With([&](auto& o) { SetLabelsOption(o, std::move(labels)); });
  }
  // Without a word: SchedulingStrategy::Hybrid().
  Self& SetSchedulingStrategy(const SchedulingStrategy& strategy) {
    return With([&](auto& o) { SetStrategyOption(o, strategy); });
  }
  // "DEFAULT" or "SPREAD", as Ray spells them.
  Self& SetSchedulingStrategy(const std::string& name) {
    return With([&](auto& o) { SetStrategyOption(o, name); });
  }
  // Wait for a node that could run it, instead of failing with Infeasible.
  Self& SetWaitIfInfeasible(bool wait) {
    return With([&](auto& o) { o.wait_if_infeasible = wait; });
  }

 protected:
  template <class Change>
  Self& With(Change&& change) {
    if (!options_) options_.emplace(DefaultCallOptions());
    change(*options_);
    return static_cast<Self&>(*this);
  }
  const CallOptions& options() const { return options_ ? *options_ : DefaultCallOptions(); }

 private:
  std::optional<CallOptions> options_;
};

}  // namespace detail
}  // namespace rayx

#endif  // RAYX_DETAIL_BUILDER_H_
