// Goal: the parts of the node core agree in every order of events. Method: random walks with fixed
// seeds over owners, workers, zygotes, remote nodes and actors; every event is delivered twice;
// invariants after each; at the end everything dies and the node must be as it began.
#include "node/core/node_core.h"

#include <catch2/catch.hpp>
#include <random>

#include "core_fixture.h"

namespace rayx::node {
namespace {

using model::JobId;
using model::LeaseId;
using model::NodeNumber;
using model::ProcessId;
using model::ResourceSet;
using model::TimePoint;

class Walk {
 public:
  explicit Walk(uint32_t seed) : random_(seed), core_(Options()) {
    scheduling::NodeView other;
    other.number = kOther;
    other.total = other.available = Cpus(2);
    core_.OnClusterView({other}, now_, out_);
  }

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      Step();
      Settle();
    }
    EndAll();
  }

 private:
  static NodeCoreOptions Options() {
    NodeCoreOptions options;
    options.leases.self = kSelf;
    options.leases.total = Cpus(3);
    options.leases.task_workers_max = 6;
    return options;
  }
  uint32_t Pick(size_t count) { return static_cast<uint32_t>(random_() % count); }

  ProcessId SomeOwner() {
    if (!workers_.empty() && Pick(3) == 0) return Any(workers_);
    const uint32_t which = Pick(3);
    return which == 2 ? ProcessId::Make(kOther, 1) : ProcessId::Make(kSelf, 1 + which);
  }
  template <typename Set>
  typename Set::value_type Any(const Set& set) {
    return *std::next(set.begin(), Pick(set.size()));
  }

  void Request() {
    LeaseRequest request;
    const ProcessId owner = SomeOwner();
    request.key = {owner, 1 + Pick(40), 0};
    request.job = JobId{1};
    request.resources = Cpus(1 + Pick(4));
    request.class_key = request.resources.ToString();
    request.program_key = "p";
    request.asking = owner.node();
    core_.OnLeaseRequest(request, now_, out_);
    core_.OnLeaseRequest(request, now_, out_);
  }

  void StartActor() {
    proto::ActorSpec spec;
    spec.mutable_id()->set_creator(ProcessId::Make(kSelf, 1).value);
    spec.mutable_id()->set_sequence(1 + Pick(5));
    spec.set_job(1);
    LeaseRequest placement;
    placement.job = JobId{1};
    placement.resources = Cpus(Pick(2));
    placement.program_key = "p";
    const uint32_t incarnation = 1 + Pick(3);
    core_.OnStartActor(spec, incarnation, placement, now_, out_);
    core_.OnStartActor(spec, incarnation, placement, now_, out_);
  }

  void Step() {
    now_ += std::chrono::milliseconds(Pick(80));
    switch (Pick(12)) {
      case 0:
      case 1:
      case 2:
        return Request();
      case 3:
        return StartActor();
      case 4: {
        const RequestKey key{SomeOwner(), 1 + Pick(40), 0};
        core_.OnLeaseCancel(key, now_, out_);
        return core_.OnLeaseCancel(key, now_, out_);
      }
      case 5:
      case 6:
        if (leases_.empty()) return;
        lease_ = Any(leases_);
        leases_.erase(lease_);
        core_.OnLeaseReturn(lease_, Pick(5) == 0, now_, out_);
        return core_.OnLeaseReturn(lease_, false, now_, out_);
      case 7: {
        if (workers_.empty()) return;
        const ProcessId worker = Any(workers_);
        const bool blocked = Pick(2) == 0;
        core_.OnBlocked(worker, blocked, now_, out_);
        return core_.OnBlocked(worker, blocked, now_, out_);
      }
      case 8:
        if (!workers_.empty()) Kill(Any(workers_));
        return;
      case 9:
        return core_.OnTick(now_, out_);
      case 10: {
        const ActorLife life{{ProcessId::Make(kSelf, 1), 1 + Pick(5)}, 1 + Pick(3)};
        core_.OnStopActor(life, "killed", now_, out_);
        return core_.OnStopActor(life, "killed", now_, out_);
      }
      case 11:
        if (Pick(4) == 0) core_.OnProcessGone(ProcessId::Make(kSelf, 2), {}, now_, out_);
        return;
    }
  }

  void Kill(ProcessId worker) {
    workers_.erase(worker);
    core_.OnProcessGone(worker, {}, now_, out_);
    core_.OnProcessGone(worker, {}, now_, out_);
  }

  // The world's answers to what the core asks for.
  void Settle() {
    for (int round = 0; round < 1000; ++round) {
      core_.CheckInvariants();
      NodeEffects step;
      std::swap(step, out_);
      bool any = false;
      for (const auto& zygote : step.zygotes) {
        any = true;
        if (Pick(10) == 0) {
          core_.OnZygoteGone(zygote.program_key, "crashed", now_, out_);
        } else {
          core_.OnZygoteReady(zygote.program_key, Pick(4) != 0, now_, out_);
        }
      }
      for (const auto& fork : step.forks) Started(fork.start, any);
      for (const auto& exec : step.execs) Started(exec.start, any);
      for (const auto& end : step.ends) {
        any = true;
        Kill(end.worker);
      }
      for (const auto& grant : step.grants) {
        const bool is_new = granted_.insert(grant.key).second;
        if (is_new) leases_.insert(grant.lease);
      }
      for (const auto& ask : step.asks) {
        any = true;
        const RequestKey key = ask.request.key;
        switch (Pick(3)) {
          case 0:
            core_.OnRemoteGranted(key, ask.node, LeaseId{uint64_t{2} << 32 | ++remote_},
                                  ProcessId::Make(kOther, 100), Cpus(1), now_, out_);
            break;
          case 1:
            core_.OnRemoteBusy(key, ask.node, NodeNumber{}, now_, out_);
            break;
          case 2:
            core_.OnRemoteFailed(key, ask.node, ErrorCode::kWorkerDied, "x", now_, out_);
        }
      }
      for (const auto& creation : step.creations) {
        any = true;
        proto::ErrorInfo error;
        if (Pick(4) == 0) error.set_code(1);
        core_.OnCreated(creation.cookie, creation.worker, error, now_, out_);
        core_.OnCreated(creation.cookie, creation.worker, error, now_, out_);
      }
      if (!any) return;
    }
    FAIL("the node core does not come to rest");
  }

  void Started(StartId start, bool& any) {
    any = true;
    if (Pick(8) == 0) return core_.OnStartFailed(start, "failed", now_, out_);
    const ProcessId worker = ProcessId::Make(kSelf, next_worker_++);
    workers_.insert(worker);
    core_.OnHello(start, worker, now_, out_);
    core_.OnHello(start, worker, now_, out_);
  }

  void EndAll() {
    core_.OnJobEnded(JobId{1}, now_, out_);
    core_.OnJobEnded(JobId{1}, now_, out_);
    Settle();
    while (!workers_.empty()) {
      Kill(*workers_.begin());
      Settle();
    }
    CHECK(core_.leases().ledger().available() == Cpus(3));
    CHECK(core_.leases().queued() == 0);
    CHECK(core_.leases().task_leases() == 0);
    CHECK(core_.pool().workers() == 0);
    CHECK(core_.actors().living() == 0);
  }

  std::mt19937 random_;
  NodeCore core_;
  NodeEffects out_;
  TimePoint now_{std::chrono::seconds(10)};
  std::set<ProcessId> workers_;
  std::set<LeaseId> leases_;
  std::set<RequestKey> granted_;
  LeaseId lease_;
  uint32_t next_worker_ = 100;
  uint32_t remote_ = 0;
};

}  // namespace

TEST_CASE("NodeCore: random histories keep every invariant and end with nothing held") {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    Walk(seed).Run(400);
  }
}

}  // namespace rayx::node
