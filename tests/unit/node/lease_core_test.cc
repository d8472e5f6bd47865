// Goal: leases are granted once, fairly, where there is room, and what can never run says so.
// Method: a small node written out by hand; every request is delivered twice; invariants after
// every step.
#include "node/core/lease_core.h"

#include <catch2/catch.hpp>
#include <set>

#include "core_fixture.h"

namespace rayx::node {
namespace {

using model::JobId;
using model::LeaseId;
using model::NodeNumber;
using model::ProcessId;
using model::ResourceSet;
using model::TimePoint;

ProcessId Owner(uint32_t number, NodeNumber node = kSelf) {
  return ProcessId::Make(node, number);
}

LeaseRequest Request(ProcessId owner, uint64_t id, double cpus = 1, std::string class_key = "c") {
  LeaseRequest request;
  request.key = {owner, id, 0};
  request.job = JobId{1};
  request.resources = Cpus(cpus);
  request.class_key = std::move(class_key);
  request.program_key = std::string("p");  // of a literal GCC 12 warns without a cause (PR 105329)
  request.asking = kSelf;
  return request;
}

scheduling::NodeView Node(NodeNumber number, double total, double available) {
  scheduling::NodeView node;
  node.number = number;
  node.total = Cpus(total);
  node.available = Cpus(available);
  return node;
}

// A core whose wants are served at once by workers numbered from 1000.
struct Fixture {
  explicit Fixture(double cpus, uint32_t workers_max = 100) : core(Options(cpus, workers_max)) {}

  static LeaseOptions Options(double cpus, uint32_t workers_max) {
    LeaseOptions options;
    options.self = kSelf;
    options.total = Cpus(cpus);
    options.task_workers_max = workers_max;
    return options;
  }

  // Runs the wants; what is left for the caller is collected in `all`.
  LeaseEffects Settle() {
    core.CheckInvariants();
    LeaseEffects all;
    while (true) {
      LeaseEffects step;
      std::swap(step, effects);
      const auto append = [](auto& to, auto& from) {
        to.insert(to.end(), from.begin(), from.end());
      };
      append(all.releases, step.releases);
      append(all.cancelled_wants, step.cancelled_wants);
      append(all.wants, step.wants);
      append(all.grants, step.grants);
      append(all.failures, step.failures);
      append(all.try_nodes, step.try_nodes);
      append(all.asks, step.asks);
      append(all.cancels, step.cancels);
      append(all.returns, step.returns);
      append(all.recalls, step.recalls);
      if (step.wants.empty() || !serve) break;
      for (const auto& want : step.wants) {
        core.OnWorkerAssigned(want.lease, ProcessId::Make(kSelf, next_worker), now, effects);
        core.OnWorkerAssigned(want.lease, ProcessId::Make(kSelf, next_worker++), now, effects);
      }
      core.CheckInvariants();
    }
    return all;
  }
  // Twice: the repeat is answered like the first and changes nothing.
  LeaseEffects Ask(const LeaseRequest& request) {
    core.OnRequest(request, now, effects);
    LeaseEffects first = Settle();
    core.OnRequest(request, now, effects);
    const LeaseEffects again = Settle();
    CHECK(again.wants.empty());
    CHECK(again.asks.empty());
    CHECK(again.grants.size() == (first.grants.empty() ? 0 : 1));
    if (!first.grants.empty() && !again.grants.empty()) {
      CHECK(again.grants[0].lease == first.grants[0].lease);
    }
    return first;
  }
  LeaseEffects Return(LeaseId lease) {
    core.OnReturn(lease, false, now, effects);
    LeaseEffects first = Settle();
    core.OnReturn(lease, false, now, effects);
    CHECK(Settle().releases.empty());
    return first;
  }
  LeaseEffects TickAfter(model::Duration duration) {
    now += duration;
    core.OnTick(now, effects);
    return Settle();
  }

  LeaseCore core;
  LeaseEffects effects;
  TimePoint now{std::chrono::seconds(100)};
  uint32_t next_worker = 1000;
  bool serve = true;
};

}  // namespace

TEST_CASE("LeaseCore: what fits is granted, what does not waits until a lease comes back") {
  Fixture f(1);
  const auto first = f.Ask(Request(Owner(1), 1));
  REQUIRE(first.grants.size() == 1);
  CHECK(f.Ask(Request(Owner(1), 2)).grants.empty());
  CHECK(f.core.queued() == 1);
  const auto after = f.Return(first.grants[0].lease);
  REQUIRE(after.grants.size() == 1);
  CHECK(after.grants[0].key.request == 2);
  REQUIRE(after.releases.size() == 1);
  CHECK_FALSE(after.releases[0].end_worker);
}

TEST_CASE("LeaseCore: a request cancelled in any phase leaves nothing behind") {
  Fixture f(1);
  f.serve = false;
  REQUIRE(f.Ask(Request(Owner(1), 1)).wants.size() == 1);  // starting
  f.Ask(Request(Owner(1), 2));                             // queued
  f.core.OnCancel({Owner(1), 2, 0}, f.now, f.effects);
  f.core.OnCancel({Owner(1), 2, 0}, f.now, f.effects);
  CHECK(f.core.queued() == 0);
  f.core.OnCancel({Owner(1), 1, 0}, f.now, f.effects);
  CHECK(f.Settle().cancelled_wants.size() == 1);
  CHECK(f.core.ledger().available() == Cpus(1));
  // Its worker comes all the same: it is given back, not to be ended.
  f.core.OnWorkerAssigned(LeaseId{uint64_t{1} << 32 | 1}, Owner(1000), f.now, f.effects);
  const auto late = f.Settle();
  REQUIRE(late.releases.size() == 1);
  CHECK_FALSE(late.releases[0].end_worker);
}

TEST_CASE("LeaseCore: what no node can run fails within two seconds and names what is missing") {
  Fixture f(2);
  CHECK(f.Ask(Request(Owner(1), 1, 8)).failures.empty());
  CHECK(f.TickAfter(std::chrono::milliseconds(900)).failures.empty());
  const auto late = f.TickAfter(std::chrono::milliseconds(200));
  REQUIRE(late.failures.size() == 1);
  CHECK(late.failures[0].code == ErrorCode::kInfeasible);
  CHECK(late.failures[0].message.find("CPU: needs 8, has 2") != std::string::npos);
  LeaseRequest patient = Request(Owner(1), 2, 8);
  patient.wait_if_infeasible = true;
  f.Ask(patient);
  CHECK(f.TickAfter(std::chrono::seconds(60)).failures.empty());
  // A large node joins: it is asked.
  f.core.OnClusterView({Node(kOther, 16, 16)}, f.now, f.effects);
  const auto asked = f.Settle();
  REQUIRE(asked.asks.size() == 1);
  CHECK(asked.asks[0].node == kOther);
}

TEST_CASE("LeaseCore: a full node passes requests on, and takes the first answer that comes") {
  Fixture f(1);
  f.core.OnClusterView({Node(kOther, 1, 1)}, f.now, f.effects);
  const auto own = f.Ask(Request(Owner(1), 1));
  REQUIRE(own.grants.size() == 1);
  REQUIRE(f.Ask(Request(Owner(1), 2)).asks.size() == 1);
  SECTION("the other node grants") {
    const LeaseId lease{uint64_t{2} << 32 | 7};
    for (int i = 0; i < 2; ++i) {
      f.core.OnRemoteGranted({Owner(1), 2, 0}, kOther, lease, Owner(5, kOther), Cpus(1), f.now,
                             f.effects);
    }
    const auto granted = f.Settle();
    REQUIRE(granted.grants.size() == 1);
    CHECK(granted.returns.empty());
    CHECK(f.core.OwnerOfRemote(lease) == Owner(1));
    const auto back = f.Return(lease);
    REQUIRE(back.returns.size() == 1);
    CHECK(back.returns[0].lease == lease);
  }
  SECTION("this node grants first: the other's lease goes back") {
    const auto here = f.Return(own.grants[0].lease);
    REQUIRE(here.grants.size() == 1);
    REQUIRE(here.cancels.size() == 1);
    const LeaseId lease{uint64_t{2} << 32 | 7};
    f.core.OnRemoteGranted({Owner(1), 2, 0}, kOther, lease, Owner(5, kOther), Cpus(1), f.now,
                           f.effects);
    CHECK(f.Settle().returns.size() == 1);
  }
  SECTION("the other node is busy: it stays queued and is not asked again at once") {
    f.core.OnRemoteBusy({Owner(1), 2, 0}, kOther, NodeNumber{}, f.now, f.effects);
    CHECK(f.Settle().asks.empty());
    CHECK(f.core.queued() == 1);
    f.core.OnClusterView({Node(kOther, 1, 1)}, f.now, f.effects);
    CHECK(f.Settle().asks.empty());
    CHECK(f.TickAfter(std::chrono::milliseconds(400)).asks.size() == 1);
  }
  SECTION("the other node dies") {
    f.core.OnNodeDead(kOther, "gone", f.now, f.effects);
    CHECK(f.Settle().asks.empty());
    CHECK(f.Return(own.grants[0].lease).grants.size() == 1);
  }
}

TEST_CASE("LeaseCore: a request of another node is granted, sent on, or given up in time") {
  Fixture f(1);
  LeaseRequest foreign = Request(Owner(9, kOther), 1);
  foreign.asking = kOther;
  const auto granted = f.Ask(foreign);
  REQUIRE(granted.grants.size() == 1);
  CHECK(granted.grants[0].asking == kOther);
  LeaseRequest second = Request(Owner(9, kOther), 2);
  second.asking = kOther;
  CHECK(f.Ask(second).try_nodes.empty());
  const auto given_up = f.TickAfter(std::chrono::milliseconds(1100));
  REQUIRE(given_up.try_nodes.size() == 1);
  CHECK_FALSE(given_up.try_nodes[0].node);
  f.core.OnClusterView({Node(NodeNumber{3}, 1, 1)}, f.now, f.effects);
  LeaseRequest third = Request(Owner(9, kOther), 3);
  third.asking = kOther;
  f.core.OnRequest(third, f.now, f.effects);
  const auto sent_on = f.Settle();
  REQUIRE(sent_on.try_nodes.size() == 1);
  CHECK(sent_on.try_nodes[0].node == NodeNumber{3});
  // The node of the lease's owner dies: the worker may be in the middle of its task.
  f.core.OnNodeDead(kOther, "gone", f.now, f.effects);
  const auto dead = f.Settle();
  REQUIRE(dead.releases.size() == 1);
  CHECK(dead.releases[0].end_worker);
}

TEST_CASE("LeaseCore: nobody gives a lease back for what can never run here") {
  Fixture f(2);
  for (uint64_t id = 1; id <= 2; ++id) f.Ask(Request(Owner(1), id));
  auto large = Request(Owner(2), 1, 3);
  CHECK(f.Ask(large).recalls.empty());
  CHECK(f.TickAfter(std::chrono::milliseconds(50)).recalls.empty());
}

TEST_CASE("LeaseCore: an owner without a lease is served before one with many, by recall") {
  Fixture f(2);
  std::vector<LeaseId> leases;
  for (uint64_t id = 1; id <= 2; ++id) {
    leases.push_back(f.Ask(Request(Owner(1), id)).grants.at(0).lease);
  }
  CHECK(f.Ask(Request(Owner(1), 3)).recalls.empty());
  const auto asked = f.Ask(Request(Owner(2), 1));
  REQUIRE(asked.recalls.size() == 2);  // for what is idle, at once
  for (const auto& recall : asked.recalls) CHECK((recall.owner == Owner(1) && recall.if_idle));
  CHECK(f.Ask(Request(Owner(2), 2)).recalls.empty());  // they were asked a moment ago
  f.core.OnCancel({Owner(2), 2, 0}, f.now, f.effects);
  CHECK(f.TickAfter(std::chrono::milliseconds(50)).recalls.empty());
  const auto recalled = f.TickAfter(std::chrono::milliseconds(60));
  REQUIRE(recalled.recalls.size() == 1);
  CHECK(recalled.recalls[0].owner == Owner(1));
  CHECK_FALSE(recalled.recalls[0].if_idle);
  CHECK(f.TickAfter(std::chrono::milliseconds(60)).recalls.empty());  // one is on its way
  const auto after = f.Return(recalled.recalls[0].lease);
  REQUIRE(after.grants.size() == 1);
  CHECK(after.grants[0].key.owner == Owner(2));                 // although the other asked before
  CHECK(f.TickAfter(std::chrono::seconds(1)).recalls.empty());  // one each: nobody starves
}

TEST_CASE("LeaseCore: two owners share one CPU in turns, however many requests each has") {
  Fixture f(1);
  for (uint64_t id = 1; id <= 10; ++id) f.Ask(Request(Owner(1), id));
  std::map<ProcessId, int> turns;
  ++turns[Owner(1)];
  for (uint64_t id = 1; id <= 10; ++id) f.Ask(Request(Owner(2), id));
  for (int i = 0; i < 8; ++i) {
    f.now += std::chrono::seconds(3);  // all of them are old by now
    const auto recalled = f.TickAfter(std::chrono::milliseconds(150));
    REQUIRE(recalled.recalls.size() == 1);
    const auto after = f.Return(recalled.recalls[0].lease);
    REQUIRE(after.grants.size() == 1);
    CHECK(after.grants[0].key.owner != recalled.recalls[0].owner);
    ++turns[after.grants[0].key.owner];
  }
  CHECK(turns[Owner(1)] == 5);
  CHECK(turns[Owner(2)] == 4);
}

TEST_CASE("LeaseCore: spread uses every node before any twice") {
  Fixture f(4);
  f.core.OnClusterView({Node(kOther, 4, 4), Node(NodeNumber{3}, 4, 4)}, f.now, f.effects);
  std::map<uint32_t, int> placed;
  for (uint64_t id = 1; id <= 6; ++id) {
    LeaseRequest request = Request(Owner(1), id);
    request.strategy.kind = scheduling::StrategyKind::kSpread;
    f.core.OnRequest(request, f.now, f.effects);
    const auto step = f.Settle();
    if (!step.grants.empty()) ++placed[1];
    for (const auto& ask : step.asks) ++placed[ask.node.value];
  }
  CHECK(placed == std::map<uint32_t, int>{{1, 2}, {2, 2}, {3, 2}});
}

TEST_CASE("LeaseCore: a large request is not starved by small ones") {
  Fixture f(2);
  const LeaseId a = f.Ask(Request(Owner(1), 1)).grants.at(0).lease;
  const LeaseId b = f.Ask(Request(Owner(1), 2)).grants.at(0).lease;
  f.Ask(Request(Owner(2), 1, 2, "large"));
  f.Ask(Request(Owner(1), 3));
  f.TickAfter(std::chrono::milliseconds(2100));
  // One CPU comes back: the small one that holds a lease must not take it.
  CHECK(f.Return(a).grants.empty());
  const auto both = f.Return(b);
  REQUIRE(both.grants.size() == 1);
  CHECK(both.grants[0].key.owner == Owner(2));
}

TEST_CASE("LeaseCore: a blocked worker's CPU runs others, up to the worker limit") {
  Fixture f(1, 2);
  const auto parent = f.Ask(Request(Owner(1), 1));
  REQUIRE(parent.grants.size() == 1);
  const ProcessId worker = parent.grants[0].worker;
  CHECK(f.Ask(Request(worker, 1)).grants.empty());
  f.core.OnBlocked(worker, true, f.now, f.effects);
  f.core.OnBlocked(worker, true, f.now, f.effects);
  const auto child = f.Settle();
  REQUIRE(child.grants.size() == 1);
  const ProcessId child_worker = child.grants[0].worker;
  f.core.OnBlocked(child_worker, true, f.now, f.effects);
  f.Settle();
  f.core.OnRequest(Request(child_worker, 1), f.now, f.effects);
  const auto limited = f.Settle();
  REQUIRE(limited.failures.size() == 1);
  CHECK(limited.failures[0].worker_limit);
  f.core.OnBlocked(child_worker, false, f.now, f.effects);
  f.core.OnBlocked(worker, false, f.now, f.effects);
  f.Settle();
  CHECK(f.core.ledger().available().Get(model::kCpu) == -model::kResourceUnit);
  f.Return(child.grants[0].lease);
  f.Return(parent.grants[0].lease);
  CHECK(f.core.ledger().available() == Cpus(1));
}

TEST_CASE("LeaseCore: deaths of worker and owner end leases and requests") {
  Fixture f(2);
  const auto first = f.Ask(Request(Owner(1), 1));
  const auto second = f.Ask(Request(Owner(1), 2));
  f.Ask(Request(Owner(1), 3));
  SECTION("the worker") {
    f.core.OnProcessGone(first.grants[0].worker, f.now, f.effects);
    const auto after = f.Settle();
    REQUIRE(after.grants.size() == 1);
    CHECK(after.grants[0].key.request == 3);
  }
  SECTION("the owner: its workers may be running, so they are ended") {
    f.core.OnProcessGone(Owner(1), f.now, f.effects);
    const auto after = f.Settle();
    REQUIRE(after.releases.size() == 2);
    CHECK(after.releases[0].end_worker);
    CHECK(f.core.queued() == 0);
    CHECK(f.core.ledger().available() == Cpus(2));
  }
  SECTION("the job") {
    f.core.OnJobEnded(JobId{1}, f.now, f.effects);
    CHECK(f.Settle().releases.size() == 2);
    CHECK(f.core.queued() == 0);
  }
}

TEST_CASE(
    "LeaseCore: an actor that can never run here fails at once; one that can waits for room") {
  Fixture f(1);
  LeaseRequest large = Request(Owner(1), 1, 4);
  large.key.incarnation = 1;
  const auto failed = f.Ask(large);
  REQUIRE(failed.failures.size() == 1);
  CHECK(failed.failures[0].message.find("CPU: needs 4, has 1") != std::string::npos);
  const auto task = f.Ask(Request(Owner(1), 1));
  LeaseRequest actor = Request(Owner(1), 2);
  actor.key.incarnation = 1;
  CHECK(f.Ask(actor).grants.empty());
  const auto after = f.Return(task.grants[0].lease);
  REQUIRE(after.grants.size() == 1);
  CHECK(after.grants[0].key.is_actor());
  // The creator's death does not end it: the head decides about actors.
  f.core.OnProcessGone(Owner(1), f.now, f.effects);
  CHECK(f.Settle().releases.empty());
}

TEST_CASE("LeaseCore: a start that fails is told to the owner and gives the CPU back") {
  Fixture f(1);
  f.serve = false;
  const auto starting = f.Ask(Request(Owner(1), 1));
  REQUIRE(starting.wants.size() == 1);
  f.core.OnWorkerFailed(starting.wants[0].lease, ErrorCode::kWorkerDied, "no such program", f.now,
                        f.effects);
  const auto failed = f.Settle();
  REQUIRE(failed.failures.size() == 1);
  CHECK(failed.failures[0].message == "no such program");
  CHECK(f.core.ledger().available() == Cpus(1));
}

TEST_CASE("LeaseCore: the end of a job answers what waits or starts, whose owner may live on") {
  Fixture f(1);
  f.serve = false;
  f.core.OnRequest(Request(Owner(5), 1), f.now, f.effects);  // starting
  f.core.OnRequest(Request(Owner(5), 2), f.now, f.effects);  // queued
  LeaseRequest remote = Request(Owner(7, kOther), 3);
  remote.asking = kOther;
  f.core.OnRequest(remote, f.now, f.effects);
  CHECK(f.Settle().wants.size() == 1);
  f.core.OnJobEnded(JobId{1}, f.now, f.effects);
  const LeaseEffects step = f.Settle();
  CHECK(step.cancelled_wants.size() == 1);
  REQUIRE(step.failures.size() == 3);
  std::set<uint64_t> answered;
  for (const auto& failure : step.failures) {
    CHECK(failure.code == ErrorCode::kCancelled);
    answered.insert(failure.key.request);
  }
  CHECK(answered == std::set<uint64_t>{1, 2, 3});
}

TEST_CASE("LeaseCore: an actor that finds no room in time is given back to the head") {
  Fixture f(1);
  REQUIRE(f.Ask(Request(Owner(5), 1)).grants.size() == 1);
  LeaseRequest actor = Request(Owner(6), 9);
  actor.key.incarnation = 1;
  f.core.OnRequest(actor, f.now, f.effects);
  CHECK(f.Settle().failures.empty());
  const LeaseEffects step = f.TickAfter(LeaseOptions{}.remote_wait);
  REQUIRE(step.failures.size() == 1);
  CHECK(step.failures[0].key == actor.key);
  CHECK(step.failures[0].code == ErrorCode::kNone);
  CHECK(f.core.queued() == 0);
}

TEST_CASE("LeaseCore: a node that was declared dead is granted nothing, and keeps nothing") {
  Fixture f(2);
  LeaseRequest request = Request(Owner(7, kOther), 1);
  request.asking = kOther;
  REQUIRE(f.Ask(request).grants.size() == 1);
  // Its death is the first that this node hears of it.
  scheduling::NodeView dead;
  dead.number = kOther;
  dead.alive = false;
  f.core.OnClusterView({dead}, f.now, f.effects);
  CHECK(f.Settle().releases.size() == 1);
  LeaseRequest late = Request(Owner(7, kOther), 2);
  late.asking = kOther;
  f.core.OnRequest(late, f.now, f.effects);
  const LeaseEffects step = f.Settle();
  CHECK(step.grants.empty());
  REQUIRE(step.failures.size() == 1);
  CHECK(step.failures[0].code == ErrorCode::kNodeDied);
  CHECK(f.core.task_leases() == 0);
}

}  // namespace rayx::node
