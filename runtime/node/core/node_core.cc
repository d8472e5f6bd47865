#include "node/core/node_core.h"

#include <utility>

namespace rayx::node {

using model::NodeNumber;
using model::ProcessId;
using model::TimePoint;

namespace {

template <typename T>
void MoveInto(std::vector<T>& from, std::vector<T>& to) {
  for (T& item : from) to.push_back(std::move(item));
  from.clear();
}

}  // namespace

void NodeCore::OnLeaseRequest(const LeaseRequest& request, TimePoint now, NodeEffects& out) {
  leases_.OnRequest(request, now, lease_effects_);
  Settle(now, out);
}
void NodeCore::OnLeaseCancel(const RequestKey& key, TimePoint now, NodeEffects& out) {
  leases_.OnCancel(key, now, lease_effects_);
  Settle(now, out);
}
void NodeCore::OnLeaseReturn(model::LeaseId lease, bool worker_failed, TimePoint now,
                             NodeEffects& out) {
  leases_.OnReturn(lease, worker_failed, now, lease_effects_);
  Settle(now, out);
}
void NodeCore::OnBlocked(ProcessId worker, bool blocked, TimePoint now, NodeEffects& out) {
  leases_.OnBlocked(worker, blocked, now, lease_effects_);
  Settle(now, out);
}
void NodeCore::OnRemoteGranted(const RequestKey& key, NodeNumber node, model::LeaseId lease,
                               ProcessId worker, const model::ResourceSet& resources, TimePoint now,
                               NodeEffects& out) {
  leases_.OnRemoteGranted(key, node, lease, worker, resources, now, lease_effects_);
  Settle(now, out);
}
void NodeCore::OnRemoteFailed(const RequestKey& key, NodeNumber node, ErrorCode code,
                              const std::string& message, TimePoint now, NodeEffects& out) {
  leases_.OnRemoteFailed(key, node, code, message, now, lease_effects_);
  Settle(now, out);
}
void NodeCore::OnRemoteBusy(const RequestKey& key, NodeNumber node, NodeNumber next, TimePoint now,
                            NodeEffects& out) {
  leases_.OnRemoteBusy(key, node, next, now, lease_effects_);
  Settle(now, out);
}

void NodeCore::OnZygoteReady(const std::string& program_key, bool can_fork, TimePoint now,
                             NodeEffects& out) {
  pool_.OnZygoteReady(program_key, can_fork, now, pool_effects_);
  Settle(now, out);
}
void NodeCore::OnZygoteGone(const std::string& program_key, const std::string& reason,
                            TimePoint now, NodeEffects& out, ErrorCode code) {
  pool_.OnZygoteGone(program_key, reason, now, pool_effects_, code);
  Settle(now, out);
}
void NodeCore::OnHello(StartId start, ProcessId worker, TimePoint now, NodeEffects& out) {
  pool_.OnHello(start, worker, now, pool_effects_);
  Settle(now, out);
}
void NodeCore::OnStartFailed(StartId start, const std::string& reason, TimePoint now,
                             NodeEffects& out, ErrorCode code) {
  pool_.OnStartFailed(start, reason, now, pool_effects_, code);
  Settle(now, out);
}

void NodeCore::OnStartActor(const proto::ActorSpec& spec, uint32_t incarnation,
                            const LeaseRequest& placement, TimePoint now, NodeEffects& out) {
  actors_.OnStart(spec, incarnation, placement, actor_effects_);
  Settle(now, out);
}
void NodeCore::OnStopActor(const ActorLife& life, const std::string& reason, TimePoint now,
                           NodeEffects& out) {
  actors_.OnStop(life, reason, actor_effects_);
  Settle(now, out);
}
void NodeCore::OnCreated(uint32_t cookie, ProcessId worker, const proto::ErrorInfo& failure,
                         TimePoint now, NodeEffects& out) {
  actors_.OnCreated(cookie, worker, failure, actor_effects_);
  Settle(now, out);
}

void NodeCore::OnProcessGone(ProcessId process, const proto::ErrorInfo& cause, TimePoint now,
                             NodeEffects& out) {
  // The pool first: what the others release must not be given to the dead.
  pool_.OnWorkerGone(process, now, pool_effects_);
  actors_.OnWorkerGone(process, cause, actor_effects_);
  leases_.OnProcessGone(process, now, lease_effects_);
  Settle(now, out);
}
void NodeCore::OnJobEnded(model::JobId job, TimePoint now, NodeEffects& out) {
  actors_.OnJobEnded(job, actor_effects_);
  leases_.OnJobEnded(job, now, lease_effects_);
  pool_.OnJobEnded(job, now, pool_effects_);
  Settle(now, out);
}
void NodeCore::OnClusterView(const std::vector<scheduling::NodeView>& nodes, TimePoint now,
                             NodeEffects& out) {
  leases_.OnClusterView(nodes, now, lease_effects_);
  Settle(now, out);
}
void NodeCore::OnNodeDead(NodeNumber node, const std::string& reason, TimePoint now,
                          NodeEffects& out) {
  leases_.OnNodeDead(node, reason, now, lease_effects_);
  Settle(now, out);
}
void NodeCore::OnTick(TimePoint now, NodeEffects& out) {
  pool_.OnTick(now, pool_effects_);
  leases_.OnTick(now, lease_effects_);
  Settle(now, out);
}

void NodeCore::Settle(TimePoint now, NodeEffects& out) {
  bool more = true;
  while (more) {
    more = SettleLeases(now, out);
    more = SettlePool(now, out) || more;
    more = SettleActors(now, out) || more;
  }
}

void NodeCore::SettleGrants(LeaseEffects& step, NodeEffects& out) {
  for (auto& grant : step.grants) {
    if (grant.key.is_actor()) {
      actors_.OnGranted(grant.key, grant.worker, actor_effects_);
    } else {
      out.grants.push_back(std::move(grant));
    }
  }
  for (auto& failure : step.failures) {
    if (failure.key.is_actor()) {
      proto::ErrorInfo cause;
      cause.set_code(static_cast<int32_t>(failure.code));
      cause.set_message(failure.message);
      actors_.OnFailed(failure.key, cause, actor_effects_);
    } else {
      out.failures.push_back(std::move(failure));
    }
  }
}

bool NodeCore::SettleLeases(TimePoint now, NodeEffects& out) {
  LeaseEffects step;
  std::swap(step, lease_effects_);
  const bool any = !step.releases.empty() || !step.cancelled_wants.empty() || !step.wants.empty() ||
                   !step.grants.empty() || !step.failures.empty();
  for (const auto& release : step.releases) {
    pool_.OnReleased(release.worker, release.end_worker, release.reason, now, pool_effects_);
  }
  for (const auto& want : step.cancelled_wants) pool_.OnWantCancelled(want.lease, pool_effects_);
  for (const auto& want : step.wants) {
    pool_.OnWant(want.lease, want.job, want.program_key, want.for_actor, now, pool_effects_);
  }
  SettleGrants(step, out);
  MoveInto(step.try_nodes, out.try_nodes);
  MoveInto(step.asks, out.asks);
  MoveInto(step.cancels, out.cancels);
  MoveInto(step.returns, out.returns);
  MoveInto(step.recalls, out.recalls);
  return any;
}

bool NodeCore::SettlePool(TimePoint now, NodeEffects& out) {
  PoolEffects step;
  std::swap(step, pool_effects_);
  const bool any = !step.assigns.empty() || !step.failures.empty();
  for (const auto& assign : step.assigns) {
    leases_.OnWorkerAssigned(assign.lease, assign.worker, now, lease_effects_);
  }
  for (const auto& failure : step.failures) {
    leases_.OnWorkerFailed(failure.lease, failure.code, failure.message, now, lease_effects_);
  }
  MoveInto(step.ends, out.ends);
  MoveInto(step.abandons, out.abandons);
  MoveInto(step.ended_zygotes, out.ended_zygotes);
  MoveInto(step.zygotes, out.zygotes);
  MoveInto(step.forks, out.forks);
  MoveInto(step.execs, out.execs);
  return any;
}

bool NodeCore::SettleActors(TimePoint now, NodeEffects& out) {
  ActorEffects step;
  std::swap(step, actor_effects_);
  const bool any = !step.requests.empty() || !step.cancels.empty() || !step.ends.empty();
  for (const auto& request : step.requests) leases_.OnRequest(request, now, lease_effects_);
  for (const auto& cancel : step.cancels) leases_.OnCancel(cancel.key, now, lease_effects_);
  // The lease stays until the process is gone: it uses its resources until then.
  for (const auto& end : step.ends) {
    pool_.OnReleased(end.worker, true, end.reason, now, pool_effects_);
  }
  MoveInto(step.creations, out.creations);
  MoveInto(step.reports, out.reports);
  return any;
}

void NodeCore::CheckInvariants() const {
  leases_.CheckInvariants();
  pool_.CheckInvariants();
  actors_.CheckInvariants();
}

}  // namespace rayx::node
