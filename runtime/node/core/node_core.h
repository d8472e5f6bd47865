// runtime/node/core/node_core.h
//
// The decisions of a node daemon in one place: leases, workers, actors, composed. Pure.
// Owner:    NodeShell, one a node.
// Threads:  the node loop only.
// Inputs:   On*() calls, each with `now`.
// Outputs:  appended to NodeEffects, which the shell runs in the order of its members.
// Promises: those of LeaseCore, WorkerPoolCore and ActorHostCore; what one of them asks of another
//           is done before the call returns, so that the shell sees only what leaves the node core.
#pragma once

#include <string>
#include <vector>

#include "node/core/actor_host_core.h"
#include "node/core/lease_core.h"
#include "node/core/worker_pool_core.h"

namespace rayx::node {

struct NodeEffects {
  std::vector<PoolEffects::EndWorker> ends;
  std::vector<PoolEffects::AbandonStart> abandons;
  std::vector<PoolEffects::EndZygote> ended_zygotes;
  std::vector<PoolEffects::StartZygote> zygotes;
  std::vector<PoolEffects::ForkWorker> forks;
  std::vector<PoolEffects::ExecWorker> execs;
  std::vector<ActorEffects::Create> creations;
  std::vector<ActorEffects::Report> reports;
  std::vector<LeaseEffects::Granted> grants;  // of tasks; so are failures
  std::vector<LeaseEffects::Failed> failures;
  std::vector<LeaseEffects::TryNode> try_nodes;
  std::vector<LeaseEffects::AskNode> asks;
  std::vector<LeaseEffects::CancelAt> cancels;
  std::vector<LeaseEffects::ReturnAt> returns;
  std::vector<LeaseEffects::Recall> recalls;
};

struct NodeCoreOptions {
  LeaseOptions leases;
  PoolOptions pool;
};

class NodeCore {
 public:
  explicit NodeCore(const NodeCoreOptions& options)
      : leases_(options.leases), pool_(options.pool), actors_(options.leases.self) {}

  void OnLeaseRequest(const LeaseRequest& request, model::TimePoint now, NodeEffects& out);
  void OnLeaseCancel(const RequestKey& key, model::TimePoint now, NodeEffects& out);
  void OnLeaseReturn(model::LeaseId lease, bool worker_failed, model::TimePoint now,
                     NodeEffects& out);
  void OnBlocked(model::ProcessId worker, bool blocked, model::TimePoint now, NodeEffects& out);
  void OnRemoteGranted(const RequestKey& key, model::NodeNumber node, model::LeaseId lease,
                       model::ProcessId worker, const model::ResourceSet& resources,
                       model::TimePoint now, NodeEffects& out);
  void OnRemoteFailed(const RequestKey& key, model::NodeNumber node, ErrorCode code,
                      const std::string& message, model::TimePoint now, NodeEffects& out);
  void OnRemoteBusy(const RequestKey& key, model::NodeNumber node, model::NodeNumber next,
                    model::TimePoint now, NodeEffects& out);

  void OnZygoteReady(const std::string& program_key, bool can_fork, model::TimePoint now,
                     NodeEffects& out);
  void OnZygoteGone(const std::string& program_key, const std::string& reason, model::TimePoint now,
                    NodeEffects& out, ErrorCode code = ErrorCode::kWorkerDied);
  void OnHello(StartId start, model::ProcessId worker, model::TimePoint now, NodeEffects& out);
  void OnStartFailed(StartId start, const std::string& reason, model::TimePoint now,
                     NodeEffects& out, ErrorCode code = ErrorCode::kWorkerDied);

  void OnStartActor(const proto::ActorSpec& spec, uint32_t incarnation,
                    const LeaseRequest& placement, model::TimePoint now, NodeEffects& out);
  void OnStopActor(const ActorLife& life, const std::string& reason, model::TimePoint now,
                   NodeEffects& out);
  void OnCreated(uint32_t cookie, model::ProcessId worker, const proto::ErrorInfo& failure,
                 model::TimePoint now, NodeEffects& out);

  // `cause`: what its actor died of, if it hosted one.
  void OnProcessGone(model::ProcessId process, const proto::ErrorInfo& cause, model::TimePoint now,
                     NodeEffects& out);
  void OnJobEnded(model::JobId job, model::TimePoint now, NodeEffects& out);
  void OnClusterView(const std::vector<scheduling::NodeView>& nodes, model::TimePoint now,
                     NodeEffects& out);
  void OnNodeDead(model::NodeNumber node, const std::string& reason, model::TimePoint now,
                  NodeEffects& out);
  void OnTick(model::TimePoint now, NodeEffects& out);

  const LeaseCore& leases() const { return leases_; }
  const WorkerPoolCore& pool() const { return pool_; }
  const ActorHostCore& actors() const { return actors_; }
  void CheckInvariants() const;

 private:
  void Settle(model::TimePoint now, NodeEffects& out);
  bool SettleLeases(model::TimePoint now, NodeEffects& out);
  bool SettlePool(model::TimePoint now, NodeEffects& out);
  bool SettleActors(model::TimePoint now, NodeEffects& out);
  void SettleGrants(LeaseEffects& step, NodeEffects& out);

  LeaseCore leases_;
  WorkerPoolCore pool_;
  ActorHostCore actors_;
  // What the parts ask of one another; empty between calls.
  LeaseEffects lease_effects_;
  PoolEffects pool_effects_;
  ActorEffects actor_effects_;
};

}  // namespace rayx::node
