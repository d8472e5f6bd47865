#include "scheduling/wire.h"

#include <utility>

namespace rayx::scheduling {
namespace {

using model::NodeNumber;
using model::ResourceSet;

template <typename Repeated>
base::StatusOr<Labels> LabelsFromWire(const Repeated& repeated) {
  if (repeated.size() > kLabelsMax) return absl::InvalidArgumentError("more than 64 labels");
  Labels labels;
  for (const auto& label : repeated) labels[label.key()] = label.value();
  return labels;
}

template <typename Repeated>
base::StatusOr<LabelSelectors> SelectorsFromWire(const Repeated& repeated) {
  RAYX_ASSIGN_OR_RETURN(const Labels labels, LabelsFromWire(repeated));
  LabelSelectors selectors;
  for (const auto& [key, value] : labels) {
    RAYX_ASSIGN_OR_RETURN(LabelSelector selector, LabelSelector::Parse(key, value));
    selectors.emplace(key, std::move(selector));
  }
  return selectors;
}

template <typename Repeated>
void LabelsToWire(const Labels& labels, Repeated* repeated) {
  for (const auto& [key, value] : labels) {
    auto* label = repeated->Add();
    label->set_key(key);
    label->set_value(value);
  }
}

// What a node has free may be negative while it is oversubscribed; it counts as none.
base::StatusOr<ResourceSet> Amounts(const proto::Resources& resources, bool negative_is_zero) {
  if (static_cast<size_t>(resources.amounts_size()) > model::kResourceNamesMax) {
    return absl::InvalidArgumentError("more than 64 resources");
  }
  ResourceSet set;
  for (const auto& amount : resources.amounts()) {
    int64_t units = amount.units();
    if (units < 0) {
      if (!negative_is_zero) return absl::InvalidArgumentError("a negative amount of a resource");
      units = 0;
    }
    // Checks the name and the range; exact units are set below.
    RAYX_RETURN_IF_ERROR(
        set.SetDouble(amount.name(), static_cast<double>(units / model::kResourceUnit)));
    set.Set(amount.name(), units);
  }
  return set;
}

}  // namespace

base::StatusOr<ResourceSet> FromWire(const proto::Resources& resources) {
  return Amounts(resources, false);
}

base::StatusOr<Strategy> FromWire(const proto::Strategy& strategy) {
  Strategy out;
  switch (strategy.kind()) {
    case proto::Strategy::HYBRID:
      out.kind = StrategyKind::kHybrid;
      break;
    case proto::Strategy::SPREAD:
      out.kind = StrategyKind::kSpread;
      break;
    case proto::Strategy::NODE_AFFINITY:
      out.kind = StrategyKind::kNodeAffinity;
      break;
    default:
      return absl::InvalidArgumentError("unknown scheduling strategy");
  }
  out.node = NodeNumber{strategy.node()};
  out.soft = strategy.soft();
  RAYX_ASSIGN_OR_RETURN(out.labels, SelectorsFromWire(strategy.labels()));
  return out;
}

base::StatusOr<NodeView> FromWire(const proto::NodeInfo& node) {
  if (node.number() == 0) return absl::InvalidArgumentError("a node without a number");
  NodeView out;
  out.number = NodeNumber{node.number()};
  out.host_name = node.host_name();
  out.address = node.address();
  if (node.data_port() > UINT16_MAX) return absl::InvalidArgumentError("a data port above 65535");
  out.data_port = static_cast<uint16_t>(node.data_port());
  RAYX_ASSIGN_OR_RETURN(out.total, Amounts(node.total(), false));
  RAYX_ASSIGN_OR_RETURN(out.available, Amounts(node.available(), true));
  RAYX_ASSIGN_OR_RETURN(out.labels, LabelsFromWire(node.labels()));
  out.alive = node.alive();
  out.death_reason = node.death_reason();
  return out;
}

model::ObjectId FromWire(const proto::ObjectId& object) {
  return {model::ProcessId{object.owner()}, object.sequence()};
}

model::ActorId FromWire(const proto::ActorId& actor) {
  return {model::ProcessId{actor.creator()}, actor.sequence()};
}

model::StoredLocation FromWire(const proto::Location& location) {
  model::StoredLocation out;
  out.object = FromWire(location.object());
  out.node = NodeNumber{location.node()};
  out.job = model::JobId{location.job()};
  out.entry = location.entry();
  out.generation = location.generation();
  out.offset = location.offset();
  out.size = location.bytes();
  return out;
}

proto::Resources ToWire(const ResourceSet& resources) {
  proto::Resources out;
  for (const auto& [name, units] : resources.units()) {
    auto* amount = out.add_amounts();
    amount->set_name(name);
    amount->set_units(units);
  }
  return out;
}

proto::Strategy ToWire(const Strategy& strategy) {
  proto::Strategy out;
  switch (strategy.kind) {
    case StrategyKind::kHybrid:
      out.set_kind(proto::Strategy::HYBRID);
      break;
    case StrategyKind::kSpread:
      out.set_kind(proto::Strategy::SPREAD);
      break;
    case StrategyKind::kNodeAffinity:
      out.set_kind(proto::Strategy::NODE_AFFINITY);
      break;
  }
  out.set_node(strategy.node.value);
  out.set_soft(strategy.soft);
  for (const auto& [key, selector] : strategy.labels) {
    auto* label = out.add_labels();
    label->set_key(key);
    label->set_value(selector.ToString());
  }
  return out;
}

proto::NodeInfo ToWire(const NodeView& node) {
  proto::NodeInfo out;
  out.set_number(node.number.value);
  out.set_host_name(node.host_name);
  out.set_address(node.address);
  out.set_data_port(node.data_port);
  *out.mutable_total() = ToWire(node.total);
  *out.mutable_available() = ToWire(node.available);
  LabelsToWire(node.labels, out.mutable_labels());
  out.set_alive(node.alive);
  out.set_death_reason(node.death_reason);
  return out;
}

proto::ObjectId ToWire(const model::ObjectId& object) {
  proto::ObjectId out;
  out.set_owner(object.owner.value);
  out.set_sequence(object.sequence);
  return out;
}

proto::ActorId ToWire(const model::ActorId& actor) {
  proto::ActorId out;
  out.set_creator(actor.creator.value);
  out.set_sequence(actor.sequence);
  return out;
}

proto::Location ToWire(const model::StoredLocation& location) {
  proto::Location out;
  *out.mutable_object() = ToWire(location.object);
  out.set_node(location.node.value);
  out.set_job(location.job.value);
  out.set_entry(location.entry);
  out.set_generation(location.generation);
  out.set_offset(location.offset);
  out.set_bytes(location.size);
  return out;
}

proto::ErrorInfo ErrorOf(const proto::DeathCause& cause) {
  proto::ErrorInfo error;
  error.set_code(cause.code());
  error.set_message(cause.reason());
  error.set_signal(cause.signal());
  error.set_exit_code(cause.exit_code());
  *error.mutable_log_lines() = cause.log_lines();
  error.set_pid(cause.pid());
  error.set_host(cause.host());
  error.set_meant(cause.meant());
  return error;
}

}  // namespace rayx::scheduling
