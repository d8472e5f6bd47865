// Goal: placement follows the stated rules, and what cannot run says what is missing. Method: small
// clusters written out by hand.
#include "scheduling/policy.h"

#include <catch2/catch.hpp>

namespace rayx::scheduling {
namespace {

using model::NodeNumber;
using model::ResourceSet;
using Kind = Placement::Kind;

ResourceSet Cpus(double cpus) {
  ResourceSet set;
  REQUIRE(set.SetDouble(model::kCpu, cpus).ok());
  return set;
}

NodeView Node(uint32_t number, double total, double available, Labels labels = {}) {
  NodeView node;
  node.number = NodeNumber{number};
  node.host_name = "vm" + std::to_string(number);
  node.total = Cpus(total);
  node.available = Cpus(available);
  node.labels = std::move(labels);
  return node;
}

ClusterView Cluster(std::initializer_list<NodeView> nodes) {
  ClusterView view;
  for (const auto& node : nodes) view.Upsert(node);
  return view;
}

PlacementRequest Request(double cpus, uint32_t local = 1) {
  PlacementRequest request;
  request.demand = Cpus(cpus);
  request.local = NodeNumber{local};
  return request;
}

LabelSelectors Selectors(const Labels& texts) {
  LabelSelectors selectors;
  for (const auto& [key, text] : texts) selectors[key] = LabelSelector::Parse(key, text).value();
  return selectors;
}

Placement Pick(const ClusterView& view, const PlacementRequest& request) {
  NodeNumber cursor;
  return PickNode(view, request, cursor);
}

}  // namespace

TEST_CASE("PickNode: hybrid fills the asking node to half, then the next, then spreads") {
  ClusterView view = Cluster({Node(1, 4, 4), Node(2, 4, 4)});
  std::vector<uint32_t> order;
  for (int i = 0; i < 8; ++i) {
    const Placement placement = Pick(view, Request(1, 2));
    REQUIRE(placement.kind == Kind::kNode);
    order.push_back(placement.node.value);
    view.Reserve(placement.node, Cpus(1));
  }
  CHECK(order == std::vector<uint32_t>{2, 2, 1, 1, 2, 1, 2, 1});
  CHECK(Pick(view, Request(1, 2)).kind == Kind::kWait);
}

TEST_CASE("PickNode: equal nodes are told apart by argument bytes before nearness") {
  const ClusterView view = Cluster({Node(1, 4, 4), Node(2, 4, 4), Node(3, 4, 4)});
  PlacementRequest request = Request(1, 1);
  request.argument_nodes = {NodeNumber{3}, NodeNumber{2}};
  CHECK(Pick(view, request).node == NodeNumber{3});
  // Not before load: a node that is nearly full does not get it.
  const ClusterView loaded = Cluster({Node(1, 4, 4), Node(2, 4, 1), Node(3, 4, 1)});
  CHECK(Pick(loaded, request).node == NodeNumber{1});
}

TEST_CASE("PickNode: spread goes around the nodes that have room") {
  const ClusterView view = Cluster({Node(1, 2, 2), Node(2, 2, 0), Node(3, 2, 2), Node(4, 2, 2)});
  PlacementRequest request = Request(1);
  request.strategy.kind = StrategyKind::kSpread;
  NodeNumber cursor;
  std::vector<uint32_t> order;
  for (int i = 0; i < 5; ++i) order.push_back(PickNode(view, request, cursor).node.value);
  CHECK(order == std::vector<uint32_t>{1, 3, 4, 1, 3});
}

TEST_CASE("PickNode: affinity waits for its node; soft affinity goes elsewhere when that is gone") {
  ClusterView view = Cluster({Node(1, 2, 2), Node(2, 2, 0)});
  PlacementRequest request = Request(1);
  request.strategy.kind = StrategyKind::kNodeAffinity;
  request.strategy.node = NodeNumber{2};
  CHECK(Pick(view, request).kind == Kind::kWait);
  request.strategy.soft = true;
  CHECK(Pick(view, request).kind == Kind::kWait);
  REQUIRE(view.MarkDead(NodeNumber{2}, "its VM is gone"));
  CHECK(Pick(view, request).node == NodeNumber{1});
  request.strategy.soft = false;
  const Placement dead = Pick(view, request);
  CHECK(dead.kind == Kind::kInfeasible);
  CHECK(dead.reason == "node n2, which the strategy names, is dead: its VM is gone");
  request.strategy.node = NodeNumber{9};
  CHECK(Pick(view, request).reason == "node n9, which the strategy names, is not in this cluster");
  request = Request(8);
  request.strategy.kind = StrategyKind::kNodeAffinity;
  request.strategy.node = NodeNumber{1};
  CHECK(Pick(view, request).reason ==
        "node n1, which the strategy names, is too small: CPU: needs 8, has 2");
}

TEST_CASE("PickNode: labels restrict every strategy") {
  const ClusterView view = Cluster({Node(1, 2, 2), Node(2, 2, 2, {{"zone", "b"}})});
  PlacementRequest request = Request(1);
  request.strategy.labels = Selectors({{"zone", "b"}});
  CHECK(Pick(view, request).node == NodeNumber{2});
  request.strategy.kind = StrategyKind::kSpread;
  CHECK(Pick(view, request).node == NodeNumber{2});
  request.strategy.labels = Selectors({{"zone", "in(c,d)"}});
  const Placement none = Pick(view, request);
  CHECK(none.kind == Kind::kInfeasible);
  CHECK(none.reason == "no node has the labels that the strategy asks for: zone=in(c,d)");
  request.strategy.kind = StrategyKind::kNodeAffinity;
  request.strategy.node = NodeNumber{1};
  request.strategy.labels = Selectors({{"zone", "b"}});
  CHECK(Pick(view, request).reason ==
        "node n1, which the strategy names, does not have the labels that it asks for");
  request.strategy.soft = true;
  CHECK(Pick(view, request).node == NodeNumber{2});
}

TEST_CASE("PickNode: all selectors of a request have to match; a node without the label is no a") {
  const ClusterView view =
      Cluster({Node(1, 2, 2, {{"zone", "a"}, {"disk", "ssd"}}),
               Node(2, 2, 2, {{"zone", "b"}, {"disk", "ssd"}}), Node(3, 2, 2, {{"disk", "tape"}})});
  PlacementRequest request = Request(1);
  const auto pick = [&](const Labels& labels) {
    request.strategy.labels = Selectors(labels);
    return Pick(view, request).node.value;
  };
  CHECK(pick({{"zone", "!a"}, {"disk", "ssd"}}) == 2);
  CHECK(pick({{"zone", "!in(a,b)"}}) == 3);
  CHECK(pick({{"zone", "in(b,c)"}}) == 2);
  CHECK(pick({{"disk", "!ssd"}, {"zone", "!a"}}) == 3);
  CHECK(pick({{"zone", "in(a,b)"}, {"disk", "tape"}}) == 0);
}

TEST_CASE("PickNode: an infeasible demand names what the closest node lacks") {
  const ClusterView view = Cluster({Node(1, 2, 2), Node(2, 4, 0)});
  const Placement placement = Pick(view, Request(8));
  CHECK(placement.kind == Kind::kInfeasible);
  CHECK(placement.reason ==
        "no node can ever run this: CPU: needs 8, has 4 (on n2 vm2, the closest of 2 nodes)");
  CHECK(Pick(ClusterView{}, Request(1)).reason == "the cluster has no live node");
}

TEST_CASE("PickNode: total_at_least counts what exists, in use or not") {
  const ClusterView view = Cluster({Node(1, 0.5, 0.5), Node(2, 2, 0)});
  PlacementRequest request;
  request.total_at_least = Cpus(1);
  CHECK(Pick(view, request).node == NodeNumber{2});
  request.total_at_least = Cpus(3);
  CHECK(Pick(view, request).kind == Kind::kInfeasible);
}

TEST_CASE("WhyWaiting: names what is not free on the node that lacks least") {
  PlacementRequest request = Request(1);
  CHECK(WhyWaiting(Cluster({Node(1, 2, 0), Node(2, 2, 1)}), request).empty());
  CHECK(WhyWaiting(Cluster({Node(1, 2, 0.5)}), request) ==
        "waits for room on " + ToString(NodeNumber{1}) + " vm1: CPU: needs 1, has 0.5");
  NodeView gold_free = Node(2, 2, 0);
  gold_free.total.Set("gold", 10000);
  gold_free.available.Set("gold", 10000);
  NodeView gold_used = Node(1, 2, 0);
  gold_used.total.Set("gold", 10000);
  request.demand.Set("gold", 10000);
  CHECK(WhyWaiting(Cluster({gold_used, gold_free, Node(3, 8, 8)}), request) ==
        "waits for room on " + ToString(NodeNumber{2}) +
            " vm2, the closest of 2 nodes: CPU: needs 1, has 0");
  request.strategy.kind = StrategyKind::kNodeAffinity;
  request.strategy.node = NodeNumber{1};
  CHECK(WhyWaiting(Cluster({gold_used, gold_free}), request) ==
        "waits for room on " + ToString(NodeNumber{1}) +
            " vm1: CPU: needs 1, has 0, gold: needs 1, has 0");
  CHECK_THAT(WhyWaiting(Cluster({gold_free}), request), Catch::Contains("is not in this cluster"));
}

TEST_CASE("ClusterView: a dead node stays dead, whatever is heard later") {
  ClusterView view = Cluster({Node(1, 2, 2)});
  CHECK(view.MarkDead(NodeNumber{1}, "no heartbeat"));
  CHECK_FALSE(view.MarkDead(NodeNumber{1}, "again"));
  view.Upsert(Node(1, 2, 2));
  CHECK_FALSE(view.IsAlive(NodeNumber{1}));
  CHECK(view.Find(NodeNumber{1})->death_reason == "no heartbeat");
  CHECK_FALSE(view.IsAlive(NodeNumber{7}));
}

}  // namespace rayx::scheduling
