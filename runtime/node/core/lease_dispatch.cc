// How LeaseCore places what is queued.
#include <algorithm>
#include <tuple>

#include "base/check.h"
#include "node/core/lease_core.h"
#include "scheduling/policy.h"

namespace rayx::node {

using model::LeaseId;
using model::NodeNumber;
using model::ResourceSet;
using model::TimePoint;
using scheduling::Placement;

// What one pass over the queue has found out.
struct LeaseCore::DispatchPass {
  // A starving request that does not fit keeps units which hold more leases from what it lacks.
  struct HeldBack {
    ResourceSet lacking;
    uint32_t leases;
  };
  std::vector<HeldBack> held_back;
  std::set<Unit> stuck;  // units whose first request found no place: the others would not either
};

scheduling::PlacementRequest LeaseCore::PlacementOf(const LeaseRequest& request) const {
  scheduling::PlacementRequest placement;
  placement.demand = request.resources;
  placement.strategy = request.strategy;
  placement.local = options_.self;
  placement.argument_nodes = request.argument_nodes;
  return placement;
}

// The heartbeats' word about ourselves is older than the ledger.
void LeaseCore::RefreshOwnView() {
  const scheduling::NodeView* known = view_.Find(options_.self);
  scheduling::NodeView self = *known;
  self.total = ledger_.total();
  self.available = ledger_.available();
  self.alive = true;
  view_.Upsert(self);
}

uint32_t LeaseCore::ActiveLeases(const Unit& unit) const {
  auto it = active_.find(unit);
  return it == active_.end() ? 0 : it->second;
}

uint64_t LeaseCore::LastServed(const Unit& unit) const {
  auto it = last_served_.find(unit);
  return it == last_served_.end() ? 0 : it->second;
}

void LeaseCore::Dispatch(TimePoint now, LeaseEffects& effects) {
  if (queue_.empty()) return;
  // Starving ones first, then units with few leases, then units not served for long, then by
  // arrival.
  std::vector<std::tuple<bool, uint32_t, uint64_t, uint64_t>> orders;
  orders.reserve(queue_.size());
  for (const auto& [order, queued] : queue_) {
    const Unit unit = UnitOf(queued.request);
    const uint32_t leases = ActiveLeases(unit);
    const bool starves = leases == 0 && now - queued.since >= options_.starving_after;
    orders.emplace_back(!starves, leases, LastServed(unit), order);
  }
  std::sort(orders.begin(), orders.end());
  DispatchPass pass;
  for (const auto& [fresh, leases, served, order] : orders) {
    const Unit unit = UnitOf(queue_.at(order).request);
    if (pass.stuck.count(unit) != 0) continue;
    const size_t asks = effects.asks.size();
    if (Place(order, now, pass, effects)) continue;
    if (effects.asks.size() == asks && !queue_.at(order).asked) pass.stuck.insert(unit);
    if (!fresh) {
      ResourceSet lacking;
      for (const auto& [name, units] : queue_.at(order).request.resources.units()) {
        if (ledger_.available().Get(name) < units) lacking.Set(name, units);
      }
      pass.held_back.push_back({lacking, leases});
    }
  }
}

bool LeaseCore::Place(uint64_t order, TimePoint now, DispatchPass& pass, LeaseEffects& effects) {
  Queued& queued = queue_.at(order);
  const LeaseRequest& request = queued.request;
  if (request.key.is_actor()) return PlaceActor(order, effects);
  // One that was sent elsewhere to be spread is not drawn back by the first room that comes here.
  if (queued.asked && request.strategy.kind == scheduling::StrategyKind::kSpread) return false;
  RefreshOwnView();
  const uint32_t leases = ActiveLeases(UnitOf(request));
  for (const auto& held : pass.held_back) {
    if (leases <= held.leases) continue;
    for (const auto& [name, units] : held.lacking.units()) {
      if (request.resources.Get(name) > 0) return false;
    }
  }
  const Placement placement = PickNode(view_, PlacementOf(request), spread_cursor_);
  if (placement.kind != Placement::Kind::kInfeasible) queued.infeasible_since = model::kNever;
  switch (placement.kind) {
    case Placement::Kind::kNode:
      if (placement.node == options_.self) return StartHere(order, effects);
      if (request.asking != options_.self) {
        effects.try_nodes.push_back({request.key, request.asking, placement.node});
        view_.Reserve(placement.node, request.resources);
        EraseQueued(order);
        return true;
      }
      return SendElsewhere(queued, placement.node, now, effects);
    case Placement::Kind::kWait:
      AskWhereFeasible(queued, now, effects);
      return false;
    case Placement::Kind::kInfeasible:
      if (queued.infeasible_since == model::kNever) queued.infeasible_since = now;
      return false;
  }
  RAYX_UNREACHABLE("a placement of no kind");
}

bool LeaseCore::PlaceActor(uint64_t order, LeaseEffects& effects) {
  const LeaseRequest& request = queue_.at(order).request;
  if (!ledger_.Feasible(request.resources)) {
    const LeaseRequest failed = request;
    EraseQueued(order);
    Fail(failed, ErrorCode::kInfeasible,
         "node " + ToString(options_.self) +
             " can never run this actor: " + ledger_.total().Missing(failed.resources),
         false, effects);
    return true;
  }
  return ledger_.Fits(request.resources) && StartHere(order, effects);
}

bool LeaseCore::StartHere(uint64_t order, LeaseEffects& effects) {
  Queued& queued = queue_.at(order);
  const LeaseRequest request = queued.request;
  const bool is_task = !request.key.is_actor();
  if (is_task && task_leases_ >= options_.task_workers_max) {
    if (queued.asked) effects.cancels.push_back({request.key, queued.asked});
    EraseQueued(order);
    if (request.asking == options_.self) {
      Fail(request, ErrorCode::kNone, "no more task workers on this node", true, effects);
    } else {
      effects.try_nodes.push_back({request.key, request.asking, NodeNumber{}});
    }
    return true;
  }
  const LeaseId id{uint64_t{options_.self.value} << 32 | next_lease_++};
  RAYX_CHECK(ledger_.Acquire(id.value, request.resources), "placed where it does not fit");
  if (queued.asked) effects.cancels.push_back({request.key, queued.asked});
  EraseQueued(order);
  ++active_[UnitOf(request)];
  last_served_[UnitOf(request)] = next_lease_;
  if (is_task) ++task_leases_;
  lease_keys_.emplace(request.key, id);
  effects.wants.push_back({id, request.job, request.program_key, !is_task});
  leases_.emplace(id, Lease{request, model::ProcessId{}, false});
  return true;
}

bool LeaseCore::SendElsewhere(Queued& queued, NodeNumber node, TimePoint now,
                              LeaseEffects& effects) {
  if (queued.asked || now < queued.ask_not_before) return false;
  queued.asked = node;
  LeaseRequest request = queued.request;
  ++queued.request.spill_count;
  request.spill_count = queued.request.spill_count;
  view_.Reserve(node, request.resources);
  effects.asks.push_back({std::move(request), node});
  return false;  // it stays queued until that node has answered
}

// Where this node can never run it, the request waits in the queue of one that could.
void LeaseCore::AskWhereFeasible(Queued& queued, TimePoint now, LeaseEffects& effects) {
  const LeaseRequest& request = queued.request;
  if (request.asking != options_.self || queued.asked) return;
  scheduling::PlacementRequest placement = PlacementOf(request);
  placement.total_at_least = placement.demand;
  placement.demand = ResourceSet{};
  NodeNumber cursor = spread_cursor_;
  const Placement feasible = PickNode(view_, placement, cursor);
  if (feasible.kind != Placement::Kind::kNode || feasible.node == options_.self) return;
  const bool here = ledger_.Feasible(request.resources) &&
                    request.strategy.kind != scheduling::StrategyKind::kNodeAffinity &&
                    request.strategy.labels.empty();
  if (!here) SendElsewhere(queued, feasible.node, now, effects);
}

void LeaseCore::OnTick(TimePoint now, LeaseEffects& effects) {
  std::vector<uint64_t> infeasible;
  std::vector<uint64_t> unanswered;
  for (const auto& [order, queued] : queue_) {
    const bool local = queued.request.asking == options_.self && !queued.request.key.is_actor();
    if (queued.infeasible_since != model::kNever && !queued.request.wait_if_infeasible &&
        now - queued.infeasible_since >= options_.infeasible_after) {
      infeasible.push_back(order);
    } else if (!local && now - queued.since >= options_.remote_wait) {
      unanswered.push_back(order);
    }
  }
  for (uint64_t order : infeasible) {
    const LeaseRequest request = queue_.at(order).request;
    const std::string why = WhyInfeasible(view_, PlacementOf(request));
    if (why.empty()) continue;  // a node has come: Dispatch below places it
    EraseQueued(order);
    Fail(request, ErrorCode::kInfeasible, why, false, effects);
  }
  for (uint64_t order : unanswered) {
    const LeaseRequest request = queue_.at(order).request;
    EraseQueued(order);
    if (request.key.is_actor()) {  // the head placed it by an older view: it looks for another node
      Fail(request, ErrorCode::kNone, "", false, effects);
    } else {
      effects.try_nodes.push_back({request.key, request.asking, NodeNumber{}});
    }
  }
  Dispatch(now, effects);
  for (const auto& [order, queued] : queue_) {
    if (now - queued.since >= options_.recall_after && !queued.asked) RecallFor(queued, effects);
  }
}

// Recalls leases until what is free and recalled would do. One more each tick.
void LeaseCore::RecallFor(const Queued& queued, LeaseEffects& effects) {
  const ResourceSet& demand = queued.request.resources;
  if (!ledger_.Feasible(demand)) return;
  ResourceSet coming = ledger_.available();
  for (const auto& [id, lease] : leases_) {
    if (lease.recalled && !ledger_.IsBlocked(id.value)) coming.Add(lease.request.resources);
  }
  if (coming.Covers(demand)) return;
  const Unit unit = UnitOf(queued.request);
  Lease* victim = nullptr;
  LeaseId victim_id;
  uint32_t most = ActiveLeases(unit);
  for (auto& [id, lease] : leases_) {
    if (lease.recalled || !lease.worker || lease.request.key.is_actor()) continue;
    if (ledger_.IsBlocked(id.value) || UnitOf(lease.request) == unit) continue;
    const uint32_t leases = ActiveLeases(UnitOf(lease.request));
    if (leases > most && Helps(lease, demand, coming)) {
      victim = &lease;
      victim_id = id;
      most = leases;
    }
  }
  if (victim == nullptr) return;
  victim->recalled = true;
  effects.recalls.push_back({victim_id, victim->request.key.owner, false});
}

// Whoever holds more than the one that waits is to give back what it does not use. What it uses is
// recalled only after `recall_after`.
void LeaseCore::AskForIdle(const Queued& queued, TimePoint now, LeaseEffects& effects) {
  if (queued.asked || !ledger_.Feasible(queued.request.resources)) return;
  const Unit unit = UnitOf(queued.request);
  const uint32_t own = ActiveLeases(unit);
  for (auto& [id, lease] : leases_) {
    const bool was_asked =
        lease.wanted_at != TimePoint{} && now - lease.wanted_at < options_.recall_after;
    if (lease.recalled || was_asked || !lease.worker || lease.request.key.is_actor()) continue;
    if (ledger_.IsBlocked(id.value) || ActiveLeases(UnitOf(lease.request)) <= own) continue;
    if (!Helps(lease, queued.request.resources, ledger_.available())) continue;
    lease.wanted_at = now;
    effects.recalls.push_back({id, lease.request.key.owner, true});
  }
}

// It holds something that `demand` lacks where so much is there.
bool LeaseCore::Helps(const Lease& lease, const ResourceSet& demand, const ResourceSet& there) {
  const auto& units = demand.units();
  return std::any_of(units.begin(), units.end(), [&](const auto& each) {
    return there.Get(each.first) < each.second && lease.request.resources.Get(each.first) > 0;
  });
}

}  // namespace rayx::node
