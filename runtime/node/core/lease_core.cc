#include "node/core/lease_core.h"

#include <utility>

#include "base/check.h"

namespace rayx::node {

using model::LeaseId;
using model::NodeNumber;
using model::ProcessId;
using model::TimePoint;

LeaseCore::LeaseCore(LeaseOptions options) : options_(std::move(options)), ledger_(options_.total) {
  scheduling::NodeView self;
  self.number = options_.self;
  self.total = self.available = options_.total;
  view_.Upsert(self);
}

bool LeaseCore::AnswerRepeat(const LeaseRequest& request, LeaseEffects& effects) {
  if (queued_keys_.count(request.key) != 0) return true;
  if (auto it = lease_keys_.find(request.key); it != lease_keys_.end()) {
    const Lease& lease = leases_.at(it->second);
    if (lease.worker) {
      effects.grants.push_back(
          {request.key, request.asking, it->second, lease.worker, lease.request.resources});
    }
    return true;
  }
  auto answered = answered_.find(request.key);
  if (answered == answered_.end()) return false;
  const Answer& answer = answered->second;
  if (answer.granted) {
    effects.grants.push_back(answer.grant);
    effects.grants.back().asking = request.asking;
  } else {
    effects.failures.push_back(answer.failure);
    effects.failures.back().asking = request.asking;
  }
  return true;
}

void LeaseCore::OnRequest(const LeaseRequest& request, TimePoint now, LeaseEffects& effects) {
  if (AnswerRepeat(request, effects)) return;
  if (request.asking != options_.self) {
    const scheduling::NodeView* asking = view_.Find(request.asking);
    if (asking != nullptr && !asking->alive) {  // what it held was ended at its death, once
      return Fail(request, ErrorCode::kNodeDied, "the asking node was declared dead", false,
                  effects);
    }
  }
  if (queue_.size() >= options_.queued_max) {
    if (request.asking != options_.self) {
      effects.try_nodes.push_back({request.key, request.asking, NodeNumber{}});
    } else {
      Fail(request, ErrorCode::kNone, "too many lease requests wait on this node", true, effects);
    }
    return;
  }
  const uint64_t order = next_order_++;
  Queued queued;
  queued.request = request;
  queued.since = now;
  queue_.emplace(order, std::move(queued));
  queued_keys_.emplace(request.key, order);
  Dispatch(now, effects);
  if (const Queued* waiting = FindQueued(request.key)) AskForIdle(*waiting, now, effects);
}

LeaseCore::Queued* LeaseCore::FindQueued(const RequestKey& key) {
  auto it = queued_keys_.find(key);
  return it == queued_keys_.end() ? nullptr : &queue_.at(it->second);
}

void LeaseCore::EraseQueued(uint64_t order) {
  auto it = queue_.find(order);
  RAYX_CHECK(it != queue_.end(), "a queued request is erased twice");
  queued_keys_.erase(it->second.request.key);
  queue_.erase(it);
}

void LeaseCore::OnCancel(const RequestKey& key, TimePoint now, LeaseEffects& effects) {
  if (Queued* queued = FindQueued(key)) {
    if (queued->asked) effects.cancels.push_back({key, queued->asked});
    EraseQueued(queued_keys_.at(key));
    return;
  }
  auto it = lease_keys_.find(key);
  if (it == lease_keys_.end()) return;
  const Lease& lease = leases_.at(it->second);
  // Granted already: the answer is on its way, and an owner of this node returns the lease. An
  // answer to another node may have been lost.
  if (lease.worker && lease.request.asking == options_.self) return;
  EndLease(it->second, false, "cancelled", effects);
  Dispatch(now, effects);
}

void LeaseCore::EndLease(LeaseId id, bool end_worker, const std::string& reason,
                         LeaseEffects& effects) {
  auto it = leases_.find(id);
  if (it == leases_.end()) return;
  Lease& lease = it->second;
  if (lease.worker) {
    effects.releases.push_back({id, lease.worker, end_worker, reason});
    workers_.erase(lease.worker);
  } else {
    effects.cancelled_wants.push_back({id});
  }
  if (!ledger_.IsBlocked(id.value)) {
    auto active = active_.find(UnitOf(lease.request));
    if (--active->second == 0) active_.erase(active);
  }
  if (!lease.request.key.is_actor()) --task_leases_;
  ledger_.Release(id.value);
  lease_keys_.erase(lease.request.key);
  leases_.erase(it);
}

void LeaseCore::OnReturn(LeaseId lease, bool worker_failed, TimePoint now, LeaseEffects& effects) {
  if (remote_leases_.erase(lease) != 0) {
    effects.returns.push_back({lease, worker_failed});
    return;
  }
  EndLease(lease, worker_failed, "its owner says that it does not answer", effects);
  Dispatch(now, effects);
}

void LeaseCore::OnWorkerAssigned(LeaseId id, ProcessId worker, TimePoint now,
                                 LeaseEffects& effects) {
  auto it = leases_.find(id);
  if (it == leases_.end()) {
    effects.releases.push_back({id, worker, false, "its lease was cancelled"});
    return;
  }
  Lease& lease = it->second;
  if (lease.worker) return;
  lease.worker = worker;
  workers_[worker] = id;
  LeaseEffects::Granted grant{lease.request.key, lease.request.asking, id, worker,
                              lease.request.resources};
  effects.grants.push_back(grant);
  Answer answer;
  answer.granted = true;
  answer.grant = std::move(grant);
  Remember(lease.request.key, std::move(answer));
  (void)now;
}

void LeaseCore::OnWorkerFailed(LeaseId id, ErrorCode code, const std::string& message,
                               TimePoint now, LeaseEffects& effects) {
  auto it = leases_.find(id);
  if (it == leases_.end() || it->second.worker) return;
  Fail(it->second.request, code, message, false, effects);
  EndLease(id, false, message, effects);
  Dispatch(now, effects);
}

void LeaseCore::OnBlocked(ProcessId worker, bool blocked, TimePoint now, LeaseEffects& effects) {
  auto it = workers_.find(worker);
  if (it == workers_.end()) return;
  const Unit unit = UnitOf(leases_.at(it->second).request);
  if (blocked) {
    if (!ledger_.Block(it->second.value)) return;
    auto active = active_.find(unit);
    if (--active->second == 0) active_.erase(active);
    Dispatch(now, effects);
  } else if (ledger_.Unblock(it->second.value)) {
    ++active_[unit];
  }
}

void LeaseCore::OnRemoteGranted(const RequestKey& key, NodeNumber node, LeaseId lease,
                                ProcessId worker, const model::ResourceSet& resources,
                                TimePoint now, LeaseEffects& effects) {
  (void)now;
  Queued* queued = FindQueued(key);
  if (queued == nullptr || queued->asked != node) {
    if (remote_leases_.count(lease) == 0) effects.returns.push_back({lease, false});
    return;
  }
  remote_leases_.emplace(lease, key);
  LeaseEffects::Granted grant{key, options_.self, lease, worker, resources};
  effects.grants.push_back(grant);
  Answer answer;
  answer.granted = true;
  answer.grant = std::move(grant);
  Remember(key, std::move(answer));
  EraseQueued(queued_keys_.at(key));
}

void LeaseCore::OnRemoteFailed(const RequestKey& key, NodeNumber node, ErrorCode code,
                               const std::string& message, TimePoint now, LeaseEffects& effects) {
  (void)now;
  Queued* queued = FindQueued(key);
  if (queued == nullptr || queued->asked != node) return;
  const LeaseRequest request = queued->request;
  EraseQueued(queued_keys_.at(key));
  Fail(request, code, message, false, effects);
}

void LeaseCore::OnRemoteBusy(const RequestKey& key, NodeNumber node, NodeNumber next, TimePoint now,
                             LeaseEffects& effects) {
  Queued* queued = FindQueued(key);
  if (queued == nullptr || queued->asked != node) return;
  queued->asked = NodeNumber{};
  if (next && next != options_.self && queued->request.spill_count < kSpillsMax &&
      view_.IsAlive(next)) {
    SendElsewhere(*queued, next, now, effects);
    return;
  }
  queued->request.spill_count = 0;
  queued->ask_not_before = now + options_.ask_again;
  // Its view was older than that node's word: no room there until a heartbeat says so.
  if (const scheduling::NodeView* view = view_.Find(node)) {
    const model::ResourceSet all = view->available;
    view_.Reserve(node, all);
  }
  Dispatch(now, effects);
}

void LeaseCore::OnProcessGone(ProcessId process, TimePoint now, LeaseEffects& effects) {
  if (auto it = workers_.find(process); it != workers_.end()) {
    EndLease(it->second, true, "it is gone", effects);
  }
  std::vector<RequestKey> queued;
  for (const auto& [order, waiting] : queue_) {
    if (waiting.request.key.owner == process && !waiting.request.key.is_actor()) {
      queued.push_back(waiting.request.key);
    }
  }
  for (const RequestKey& key : queued) OnCancel(key, now, effects);
  std::vector<LeaseId> leases;
  for (const auto& [id, lease] : leases_) {
    if (lease.request.key.owner == process && !lease.request.key.is_actor()) leases.push_back(id);
  }
  for (LeaseId id : leases) EndLease(id, true, "the owner of its task is gone", effects);
  ForgetUnits(process);
  for (auto it = remote_leases_.begin(); it != remote_leases_.end();) {
    if (it->second.owner == process) {
      effects.returns.push_back({it->first, true});
      it = remote_leases_.erase(it);
    } else {
      ++it;
    }
  }
  Dispatch(now, effects);
}

void LeaseCore::OnJobEnded(model::JobId job, TimePoint now, LeaseEffects& effects) {
  std::vector<RequestKey> queued;
  for (const auto& [order, waiting] : queue_) {
    if (waiting.request.job == job) queued.push_back(waiting.request.key);
  }
  for (const RequestKey& key : queued) {
    const LeaseRequest request = FindQueued(key)->request;
    OnCancel(key, now, effects);
    FailOfEndedJob(request, effects);
  }
  std::vector<LeaseId> leases;
  for (const auto& [id, lease] : leases_) {
    if (lease.request.job == job) leases.push_back(id);
  }
  for (LeaseId id : leases) {
    const Lease& lease = leases_.at(id);
    if (!lease.worker) FailOfEndedJob(lease.request, effects);
    EndLease(id, true, "its job has ended", effects);
  }
  Dispatch(now, effects);
}

// Its owner, perhaps on another node, may not have heard of the end yet.
void LeaseCore::FailOfEndedJob(const LeaseRequest& request, LeaseEffects& effects) {
  if (request.key.is_actor()) return;  // ActorHostCore ends those
  Fail(request, ErrorCode::kCancelled, "the job has ended", false, effects);
}

void LeaseCore::OnClusterView(const std::vector<scheduling::NodeView>& nodes, TimePoint now,
                              LeaseEffects& effects) {
  for (const auto& node : nodes) {
    view_.Upsert(node);
    if (!node.alive) OnNodeDead(node.number, node.death_reason, now, effects);
  }
  if (!queue_.empty()) Dispatch(now, effects);
}

void LeaseCore::OnNodeDead(NodeNumber node, const std::string& reason, TimePoint now,
                           LeaseEffects& effects) {
  view_.MarkDead(node, reason);
  std::vector<RequestKey> queued;
  for (auto& [order, waiting] : queue_) {
    if (waiting.asked == node) waiting.asked = NodeNumber{};
    if (waiting.request.key.owner.node() == node && !waiting.request.key.is_actor()) {
      queued.push_back(waiting.request.key);
    }
  }
  for (const RequestKey& key : queued) OnCancel(key, now, effects);
  std::vector<LeaseId> leases;
  for (const auto& [id, lease] : leases_) {
    if (lease.request.key.owner.node() == node && !lease.request.key.is_actor()) {
      leases.push_back(id);
    }
  }
  for (LeaseId id : leases) EndLease(id, true, "the node of its task's owner is gone", effects);
  for (auto it = remote_leases_.begin(); it != remote_leases_.end();) {
    it = static_cast<uint32_t>(it->first.value >> 32) == node.value ? remote_leases_.erase(it)
                                                                    : std::next(it);
  }
  Dispatch(now, effects);
}

void LeaseCore::ForgetUnits(ProcessId owner) {
  auto it = last_served_.lower_bound(Unit{owner, ""});
  while (it != last_served_.end() && it->first.first == owner) it = last_served_.erase(it);
}

void LeaseCore::Fail(const LeaseRequest& request, ErrorCode code, const std::string& message,
                     bool worker_limit, LeaseEffects& effects) {
  LeaseEffects::Failed failure{request.key, request.asking, code, message, worker_limit};
  effects.failures.push_back(failure);
  if (worker_limit) return;  // it may ask again with the same key
  Answer answer;
  answer.failure = std::move(failure);
  Remember(request.key, std::move(answer));
}

void LeaseCore::Remember(const RequestKey& key, Answer answer) {
  if (!answered_.insert_or_assign(key, std::move(answer)).second) return;
  answered_order_.push_back(key);
  if (answered_order_.size() <= options_.answered_max) return;
  answered_.erase(answered_order_.front());
  answered_order_.pop_front();
}

LeaseId LeaseCore::LeaseOf(ProcessId worker) const {
  auto it = workers_.find(worker);
  return it == workers_.end() ? LeaseId{} : it->second;
}

ProcessId LeaseCore::OwnerOfRemote(LeaseId lease) const {
  auto it = remote_leases_.find(lease);
  return it == remote_leases_.end() ? ProcessId{} : it->second.owner;
}

void LeaseCore::CheckInvariants() const {
  ledger_.CheckInvariants();
  RAYX_CHECK(ledger_.holders() == leases_.size(), "a lease without resources, or the reverse");
  RAYX_CHECK(lease_keys_.size() == leases_.size(), "two leases of one request");
  RAYX_CHECK(queued_keys_.size() == queue_.size(), "a request is queued twice");
  RAYX_CHECK(answered_order_.size() == answered_.size(), "an answer is remembered twice");
  size_t tasks = 0;
  size_t with_worker = 0;
  std::map<Unit, uint32_t> active;
  for (const auto& [id, lease] : leases_) {
    RAYX_CHECK(lease_keys_.at(lease.request.key) == id, "a lease under a wrong key");
    RAYX_CHECK(queued_keys_.count(lease.request.key) == 0, "a request is queued and granted");
    tasks += lease.request.key.is_actor() ? 0 : 1;
    if (lease.worker) {
      ++with_worker;
      RAYX_CHECK(workers_.at(lease.worker) == id, "two leases of one worker");
    }
    if (!ledger_.IsBlocked(id.value)) ++active[UnitOf(lease.request)];
  }
  RAYX_CHECK(tasks == task_leases_ && tasks <= options_.task_workers_max, "leases miscounted");
  RAYX_CHECK(with_worker == workers_.size(), "a worker without a lease");
  RAYX_CHECK(active == active_, "units miscounted");
}

}  // namespace rayx::node
