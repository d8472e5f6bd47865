#include "scheduling/policy.h"

#include <algorithm>
#include <optional>
#include <tuple>

namespace rayx::scheduling {
namespace {

using model::NodeNumber;
using model::ResourceSet;

constexpr int64_t kScale = 1'000'000;
constexpr int64_t kPackBelow = kScale / 2;

// Does the strategy allow this node at all, whatever its size?
bool Allowed(const NodeView& node, const Strategy& strategy) {
  if (!node.alive) return false;
  for (const auto& [key, selector] : strategy.labels) {
    const auto label = node.labels.find(key);
    if (!selector.Matches(label == node.labels.end() ? nullptr : &label->second)) return false;
  }
  return true;
}

bool Feasible(const NodeView& node, const PlacementRequest& request) {
  return Allowed(node, request.strategy) && node.total.Covers(request.demand) &&
         node.total.Covers(request.total_at_least);
}

// Use of the fullest resource, in millionths; below the packing threshold all count as zero.
int64_t Score(const NodeView& node) {
  int64_t fullest = 0;
  for (const auto& [name, total] : node.total.units()) {
    if (total <= 0) continue;
    const int64_t used = std::max<int64_t>(0, total - node.available.Get(name));
    fullest = std::max(fullest, static_cast<int64_t>(static_cast<double>(used) /
                                                     static_cast<double>(total) * kScale));
  }
  return fullest < kPackBelow ? 0 : fullest;
}

size_t ArgumentRank(const PlacementRequest& request, NodeNumber node) {
  const auto& nodes = request.argument_nodes;
  return static_cast<size_t>(std::find(nodes.begin(), nodes.end(), node) - nodes.begin());
}

Placement Wait(const std::string& why) {
  return Placement{Placement::Kind::kWait, NodeNumber{}, why};
}

Placement Hybrid(const ClusterView& view, const PlacementRequest& request) {
  std::optional<std::tuple<int64_t, size_t, bool, NodeNumber>> best;
  for (const auto& [number, node] : view.nodes()) {
    if (!Feasible(node, request) || !node.available.Covers(request.demand)) continue;
    const auto rank = std::make_tuple(Score(node), ArgumentRank(request, number),
                                      number != request.local, number);
    if (!best || rank < *best) best = rank;
  }
  if (!best) return Wait("every node that could run it is in use");
  return Placement{Placement::Kind::kNode, std::get<3>(*best), ""};
}

Placement Spread(const ClusterView& view, const PlacementRequest& request, NodeNumber& cursor) {
  NodeNumber first;
  NodeNumber next;
  for (const auto& [number, node] : view.nodes()) {
    if (!Feasible(node, request) || !node.available.Covers(request.demand)) continue;
    if (!first) first = number;
    if (!next && number > cursor) next = number;
  }
  if (!first) return Wait("every node that could run it is in use");
  cursor = next ? next : first;
  return Placement{Placement::Kind::kNode, cursor, ""};
}

// The live node that lacks least, to say what is missing.
std::string LargestNodeMissing(const ClusterView& view, const PlacementRequest& request) {
  ResourceSet demand = request.demand;
  for (const auto& [name, units] : request.total_at_least.units()) {
    demand.Set(name, std::max(units, demand.Get(name)));
  }
  const NodeView* closest = nullptr;
  size_t fewest = 0;
  for (const auto& [number, node] : view.nodes()) {
    if (!Allowed(node, request.strategy)) continue;
    size_t lacking = 0;
    for (const auto& [name, units] : demand.units())
      lacking += node.total.Get(name) < units ? 1 : 0;
    if (closest == nullptr || lacking < fewest ||
        (lacking == fewest && node.total.Get(model::kCpu) > closest->total.Get(model::kCpu))) {
      closest = &node;
      fewest = lacking;
    }
  }
  if (closest == nullptr) return "";
  return "no node can ever run this: " + closest->total.Missing(demand) + " (on " +
         ToString(closest->number) + " " + closest->host_name + ", the closest of " +
         std::to_string(view.alive_count()) + (view.alive_count() == 1 ? " node)" : " nodes)");
}

std::string WhyAffinityFails(const ClusterView& view, const PlacementRequest& request) {
  const NodeNumber wanted = request.strategy.node;
  const NodeView* node = view.Find(wanted);
  const std::string name = "node " + ToString(wanted);
  if (node == nullptr) return name + ", which the strategy names, is not in this cluster";
  if (!node->alive) return name + ", which the strategy names, is dead: " + node->death_reason;
  if (Feasible(*node, request)) return "";
  if (!Allowed(*node, request.strategy)) {
    return name + ", which the strategy names, does not have the labels that it asks for";
  }
  ResourceSet demand = request.demand;
  if (node->total.Covers(demand)) demand = request.total_at_least;
  return name + ", which the strategy names, is too small: " + node->total.Missing(demand);
}

bool IsHardAffinity(const Strategy& strategy) {
  return strategy.kind == StrategyKind::kNodeAffinity && !strategy.soft;
}

// Waits for the node that it names, however busy that is.
bool KeepsToItsNode(const ClusterView& view, const PlacementRequest& request) {
  if (request.strategy.kind != StrategyKind::kNodeAffinity) return false;
  const NodeView* node = view.Find(request.strategy.node);
  return IsHardAffinity(request.strategy) || (node != nullptr && Feasible(*node, request));
}

}  // namespace

std::string WhyInfeasible(const ClusterView& view, const PlacementRequest& request) {
  if (IsHardAffinity(request.strategy)) return WhyAffinityFails(view, request);
  bool any_allowed = false;
  for (const auto& [number, node] : view.nodes()) {
    if (Feasible(node, request)) return "";
    any_allowed = any_allowed || Allowed(node, request.strategy);
  }
  if (any_allowed) return LargestNodeMissing(view, request);
  if (view.alive_count() == 0) return "the cluster has no live node";
  std::string labels;
  for (const auto& [key, selector] : request.strategy.labels) {
    if (!labels.empty()) labels += ", ";
    labels += key + "=" + selector.ToString();
  }
  return "no node has the labels that the strategy asks for: " + labels;
}

std::string WhyWaiting(const ClusterView& view, const PlacementRequest& request) {
  if (std::string why = WhyInfeasible(view, request); !why.empty()) return why;
  const NodeView* closest = nullptr;
  size_t fewest = 0;
  size_t candidates = 0;
  const bool keeps = KeepsToItsNode(view, request);
  for (const auto& [number, node] : view.nodes()) {
    if (!Feasible(node, request)) continue;
    if (keeps && number != request.strategy.node) continue;
    size_t lacking = 0;
    for (const auto& [name, units] : request.demand.units()) {
      lacking += node.available.Get(name) < units ? 1 : 0;
    }
    if (lacking == 0) return "";
    ++candidates;
    if (closest != nullptr && lacking >= fewest) continue;
    closest = &node;
    fewest = lacking;
  }
  if (closest == nullptr) return "";
  return "waits for room on " + ToString(closest->number) + " " + closest->host_name +
         (candidates == 1 ? "" : ", the closest of " + std::to_string(candidates) + " nodes") +
         ": " + closest->available.Missing(request.demand);
}

Placement PickNode(const ClusterView& view, const PlacementRequest& request,
                   NodeNumber& spread_cursor) {
  if (std::string why = WhyInfeasible(view, request); !why.empty()) {
    return Placement{Placement::Kind::kInfeasible, NodeNumber{}, std::move(why)};
  }
  const Strategy& strategy = request.strategy;
  if (strategy.kind == StrategyKind::kSpread) return Spread(view, request, spread_cursor);
  if (KeepsToItsNode(view, request)) {
    if (view.Find(strategy.node)->available.Covers(request.demand)) {
      return Placement{Placement::Kind::kNode, strategy.node, ""};
    }
    return Wait("node " + ToString(strategy.node) + " is in use");
  }
  return Hybrid(view, request);
}

}  // namespace rayx::scheduling
