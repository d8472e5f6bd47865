// runtime/node/core/lease_core.h
//
// Decides which request gets a worker of this node, waits, or is passed to another node. Pure.
// Owner:    NodeCore, one a node.
// Threads:  the node loop only.
// Inputs:   On*() calls, each with `now`.
// Outputs:  appended to LeaseEffects.
// Promises: a request is granted at most once here, in whatever phase its repeat arrives, and
//           repeats are answered alike; resources are never handed out twice; what no node could
//           ever run is answered kInfeasible after `infeasible_after`, unless it asked to wait; a
//           unit (owner and class) that holds fewer leases goes first, among equals the one that
//           was served longest ago, and units that hold more are asked at once for what they do not
//           use, and for what they do after `recall_after`. An actor that finds no room within
//           `remote_wait` fails with kNone: the head looks for another node. What waits when its
//           job ends is answered kCancelled.
// Limits:   queued_max requests wait; task_workers_max leases of tasks exist: beyond either a
//           request is answered at once. A request is passed on at most kSpillsMax times.
//
// Life of a request: queued (perhaps asked of another node meanwhile) -> starting (resources held,
// no worker yet) -> granted -> returned; or failed; or granted elsewhere.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "node/core/lease_effects.h"
#include "scheduling/cluster_view.h"
#include "scheduling/resource_ledger.h"

namespace rayx::node {

struct LeaseOptions {
  model::NodeNumber self;
  model::ResourceSet total;
  uint32_t task_workers_max = 68;
  size_t queued_max = 100'000;
  size_t answered_max = 4096;  // finished requests whose repeats are still answered
  model::Duration infeasible_after = std::chrono::seconds(1);
  model::Duration recall_after = std::chrono::milliseconds(100);
  model::Duration starving_after = std::chrono::seconds(2);
  // of another node's request, or an actor, in our queue
  model::Duration remote_wait = std::chrono::seconds(1);
  model::Duration ask_again = std::chrono::milliseconds(300);
};

class LeaseCore {
 public:
  static constexpr uint32_t kSpillsMax = 3;

  explicit LeaseCore(LeaseOptions options);

  void OnRequest(const LeaseRequest& request, model::TimePoint now, LeaseEffects& effects);
  void OnCancel(const RequestKey& key, model::TimePoint now, LeaseEffects& effects);
  void OnReturn(model::LeaseId lease, bool worker_failed, model::TimePoint now,
                LeaseEffects& effects);
  void OnWorkerAssigned(model::LeaseId lease, model::ProcessId worker, model::TimePoint now,
                        LeaseEffects& effects);
  void OnWorkerFailed(model::LeaseId lease, ErrorCode code, const std::string& message,
                      model::TimePoint now, LeaseEffects& effects);
  // The worker's user code waits, or goes on.
  void OnBlocked(model::ProcessId worker, bool blocked, model::TimePoint now,
                 LeaseEffects& effects);

  // What the daemon of `node` answered to AskNode. `next` 0: it has no room.
  void OnRemoteGranted(const RequestKey& key, model::NodeNumber node, model::LeaseId lease,
                       model::ProcessId worker, const model::ResourceSet& resources,
                       model::TimePoint now, LeaseEffects& effects);
  void OnRemoteFailed(const RequestKey& key, model::NodeNumber node, ErrorCode code,
                      const std::string& message, model::TimePoint now, LeaseEffects& effects);
  void OnRemoteBusy(const RequestKey& key, model::NodeNumber node, model::NodeNumber next,
                    model::TimePoint now, LeaseEffects& effects);

  // A process of this node, or an owner on another one, is gone.
  void OnProcessGone(model::ProcessId process, model::TimePoint now, LeaseEffects& effects);
  void OnJobEnded(model::JobId job, model::TimePoint now, LeaseEffects& effects);
  void OnClusterView(const std::vector<scheduling::NodeView>& nodes, model::TimePoint now,
                     LeaseEffects& effects);
  void OnNodeDead(model::NodeNumber node, const std::string& reason, model::TimePoint now,
                  LeaseEffects& effects);
  void OnTick(model::TimePoint now, LeaseEffects& effects);

  const LeaseOptions& options() const { return options_; }
  const scheduling::ResourceLedger& ledger() const { return ledger_; }
  const scheduling::ClusterView& view() const { return view_; }
  size_t queued() const { return queue_.size(); }
  size_t task_leases() const { return task_leases_; }
  // Leases, then queued requests, in a fixed order. void(lease, request, worker, state)
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (const auto& [lease, granted] : leases_) {
      visit(lease, granted.request, granted.worker,
            granted.worker ? (ledger_.IsBlocked(lease.value) ? "blocked" : "granted") : "starting");
    }
    for (const auto& [order, queued] : queue_) {
      visit(model::LeaseId{}, queued.request, model::ProcessId{},
            queued.infeasible_since == model::kNever ? "queued" : "infeasible");
    }
  }
  model::LeaseId LeaseOf(model::ProcessId worker) const;
  // Of a lease that a process of this node holds on another; none: unknown.
  model::ProcessId OwnerOfRemote(model::LeaseId lease) const;

  void CheckInvariants() const;

 private:
  using Unit = std::pair<model::ProcessId, std::string>;
  struct Queued {
    LeaseRequest request;
    model::TimePoint since;
    model::TimePoint infeasible_since = model::kNever;
    model::NodeNumber asked;  // whose answer is awaited
    model::TimePoint ask_not_before{};
  };
  struct Lease {
    LeaseRequest request;
    model::ProcessId worker;  // none: starting
    bool recalled = false;
    model::TimePoint wanted_at{};  // its owner was asked for it then, should it be idle
  };
  // A finished request: what its repeat is told.
  struct Answer {
    bool granted = false;
    LeaseEffects::Granted grant;
    LeaseEffects::Failed failure;
  };
  struct DispatchPass;

  static Unit UnitOf(const LeaseRequest& request) { return {request.key.owner, request.class_key}; }
  scheduling::PlacementRequest PlacementOf(const LeaseRequest& request) const;
  void RefreshOwnView();
  uint32_t ActiveLeases(const Unit& unit) const;
  uint64_t LastServed(const Unit& unit) const;
  void ForgetUnits(model::ProcessId owner);
  bool AnswerRepeat(const LeaseRequest& request, LeaseEffects& effects);
  void Dispatch(model::TimePoint now, LeaseEffects& effects);
  // True when the request left the queue.
  bool Place(uint64_t order, model::TimePoint now, DispatchPass& pass, LeaseEffects& effects);
  bool PlaceActor(uint64_t order, LeaseEffects& effects);
  bool StartHere(uint64_t order, LeaseEffects& effects);
  bool SendElsewhere(Queued& queued, model::NodeNumber node, model::TimePoint now,
                     LeaseEffects& effects);
  void AskWhereFeasible(Queued& queued, model::TimePoint now, LeaseEffects& effects);
  void FailOfEndedJob(const LeaseRequest& request, LeaseEffects& effects);
  void Fail(const LeaseRequest& request, ErrorCode code, const std::string& message,
            bool worker_limit, LeaseEffects& effects);
  void Remember(const RequestKey& key, Answer answer);
  void EraseQueued(uint64_t order);
  void EndLease(model::LeaseId lease, bool end_worker, const std::string& reason,
                LeaseEffects& effects);
  void RecallFor(const Queued& queued, LeaseEffects& effects);
  void AskForIdle(const Queued& queued, model::TimePoint now, LeaseEffects& effects);
  static bool Helps(const Lease& lease, const model::ResourceSet& demand,
                    const model::ResourceSet& there);
  Queued* FindQueued(const RequestKey& key);

  const LeaseOptions options_;
  scheduling::ResourceLedger ledger_;
  scheduling::ClusterView view_;
  model::NodeNumber spread_cursor_;
  uint32_t next_lease_ = 1;
  uint64_t next_order_ = 1;
  std::map<uint64_t, Queued> queue_;  // by arrival
  std::map<RequestKey, uint64_t> queued_keys_;
  std::map<model::LeaseId, Lease> leases_;  // of this node's workers
  std::map<RequestKey, model::LeaseId> lease_keys_;
  std::map<model::ProcessId, model::LeaseId> workers_;
  std::map<model::LeaseId, RequestKey> remote_leases_;  // that owners of this node hold elsewhere
  std::map<Unit, uint32_t> active_;                     // leases that are not blocked
  std::map<Unit, uint64_t> last_served_;                // count of all leases at its last one
  size_t task_leases_ = 0;
  std::map<RequestKey, Answer> answered_;
  std::deque<RequestKey> answered_order_;
};

}  // namespace rayx::node
