// runtime/scheduling/policy.h
//
// Where work should run. Pure.
// Owner:    none: a function over a ClusterView.
// Threads:  the caller's.
// Inputs:   a PlacementRequest and the view.
// Outputs:  a Placement.
// Promises: deterministic; the node of kNode is alive and has all of `demand` available; kWait
//           means that some live node could run it when others end; kInfeasible that no live node
//           ever could, and `reason` is a sentence that names what is missing.
// Limits:   strategies: hybrid, spread, node affinity (hard, soft), each with selectors of labels.
//
// Hybrid: nodes whose fullest resource is used less than half count as equal; above that the
// emptier wins. Ties go to the node that holds most argument bytes, then to the asking node, then
// to the lowest number. So a cluster fills one node to 50 %, then the next, then spreads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scheduling/cluster_view.h"
#include "scheduling/label_selector.h"

namespace rayx::scheduling {

enum class StrategyKind : uint8_t { kHybrid, kSpread, kNodeAffinity };

struct Strategy {
  StrategyKind kind = StrategyKind::kHybrid;
  model::NodeNumber node;  // kNodeAffinity
  bool soft = false;       // kNodeAffinity: hybrid when that node is gone or too small
  LabelSelectors labels;   // a node must match all of them
};

struct PlacementRequest {
  model::ResourceSet demand;  // must be available
  // Must exist on the node, in use or not: an actor's placement, which it does not hold while it
  // lives.
  model::ResourceSet total_at_least;
  Strategy strategy;
  model::NodeNumber local;                        // where the asking process lives; 0 = nowhere
  std::vector<model::NodeNumber> argument_nodes;  // best first
};

struct Placement {
  enum class Kind : uint8_t { kNode, kWait, kInfeasible };
  Kind kind = Kind::kInfeasible;
  model::NodeNumber node;
  std::string reason;  // kWait, kInfeasible
};

// `spread_cursor` is the caller's, from 0: kSpread takes the next node after it and moves it.
Placement PickNode(const ClusterView& view, const PlacementRequest& request,
                   model::NodeNumber& spread_cursor);

// The sentence of an infeasible demand; empty when some live node could run it.
std::string WhyInfeasible(const ClusterView& view, const PlacementRequest& request);

// What a request without a place waits for, as a sentence that names the closest node; empty when
// some node has room.
std::string WhyWaiting(const ClusterView& view, const PlacementRequest& request);

}  // namespace rayx::scheduling
