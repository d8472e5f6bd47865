// NodeShell: what NodeCore asks for.
#include <signal.h>

#include <utility>

#include "base/log.h"
#include "node/node_shell.h"
#include "node/wire.h"
#include "rpc/errors.h"
#include "scheduling/wire.h"

namespace rayx::node {

using model::LeaseId;
using model::NodeNumber;
using model::ProcessId;
using std::chrono::milliseconds;

namespace {

// A worker may have to be started over there, from a zygote that has to load large libraries first.
constexpr milliseconds kAskDeadline{75000};
constexpr milliseconds kTellDeadline{30000};
constexpr auto kGentleEnd = std::chrono::seconds(1);

NodeNumber NodeOf(LeaseId lease) {
  return NodeNumber{static_cast<uint32_t>(lease.value >> 32)};
}

std::string RemoteId(const RequestKey& key) {
  return ToString(key.owner) + "/" + std::to_string(key.request);
}

rpc::CallOptions Telling() {
  rpc::CallOptions options;
  options.deadline = kTellDeadline;
  options.idempotent = true;
  return options;
}

}  // namespace

void NodeShell::RunEffects() {
  if (running_effects_) return;  // what an effect adds is run by the outer call
  running_effects_ = true;
  for (;;) {
    NodeEffects step;
    std::swap(step, effects_);
    RunStarts(step);
    for (const auto& creation : step.creations) CreateActor(creation);
    for (const auto& report : step.reports) Report(report);
    RunLeases(step);
    const NodeEffects& more = effects_;
    if (more.ends.empty() && more.abandons.empty() && more.ended_zygotes.empty() &&
        more.zygotes.empty() && more.forks.empty() && more.execs.empty() &&
        more.creations.empty() && more.reports.empty() && more.grants.empty() &&
        more.failures.empty() && more.try_nodes.empty() && more.asks.empty() &&
        more.cancels.empty() && more.returns.empty() && more.recalls.empty()) {
      break;
    }
  }
  running_effects_ = false;
}

void NodeShell::RunStarts(NodeEffects& step) {
  for (const auto& end : step.ends) EndWorker(end);
  for (const auto& abandon : step.abandons) starter_->Abandon(abandon.start);
  for (const auto& end : step.ended_zygotes) starter_->EndZygote(end.program_key);
  for (const auto& start : step.zygotes) starter_->StartZygote(start.program_key);
  for (const auto& fork : step.forks) starter_->Fork(fork.start, fork.program_key, fork.job);
  for (const auto& exec : step.execs) starter_->Exec(exec.start, exec.program_key, exec.job);
}

void NodeShell::RunLeases(NodeEffects& step) {
  for (const auto& grant : step.grants) RunGrant(grant);
  for (const auto& failure : step.failures) RunFailure(failure);
  for (const auto& other : step.try_nodes) {
    proto::RemoteLeaseReply reply;
    reply.set_try_node(other.node.value);
    AnswerRemote(other.key, reply);
  }
  for (const auto& ask : step.asks) AskNode(ask);
  for (const auto& cancel : step.cancels) {
    rpc::RpcChannel* channel = peers_->Channel(cancel.node);
    if (channel == nullptr) continue;
    proto::RemoteLeaseCancel request;
    request.set_id(RemoteId(cancel.key));
    channel->Call<proto::RemoteLeaseCancel, proto::RemoteLeaseCancelReply>(
        rpc::kNodeCancelLease, request, Telling(), [](auto) {});
  }
  for (const auto& back : step.returns) {
    rpc::RpcChannel* channel = peers_->Channel(NodeOf(back.lease));
    if (channel == nullptr) continue;
    proto::RemoteLeaseReturn request;
    request.set_lease(back.lease.value);
    request.set_worker_failed(back.worker_failed);
    channel->Call<proto::RemoteLeaseReturn, proto::RemoteLeaseReturnReply>(
        rpc::kNodeReturnLease, request, Telling(), [](auto) {});
  }
  for (const auto& recall : step.recalls) Recall(recall);
}

void NodeShell::RunGrant(const LeaseEffects::Granted& grant) {
  LocalProcess* worker = table_->Find(grant.worker);
  proto::LeaseGranted granted;
  granted.set_request_id(grant.key.request);
  granted.set_lease(grant.lease.value);
  granted.set_worker(grant.worker.value);
  *granted.mutable_resources() = scheduling::ToWire(grant.resources);
  if (grant.asking != self_) {
    if (worker != nullptr) table_->AddContact(*worker, grant.key.owner);
    proto::RemoteLeaseReply reply;
    *reply.mutable_granted() = std::move(granted);
    return AnswerRemote(grant.key, reply);
  }
  LocalProcess* owner = table_->Find(grant.key.owner);
  if (owner == nullptr) return;  // OnProcessGone has ended its leases
  if (worker != nullptr) {
    if (const auto status = table_->Connect(*owner, *worker); !status.ok()) {
      RAYX_LOG(kWarning) << "no channel for lease " << grant.lease.value << ": "
                         << base::Message(status);
      table_->AddContact(*worker, owner->id);  // frames go through the daemon
    }
  } else {
    table_->AddContact(*owner, grant.worker);
    router_->AddRemoteContact(grant.worker, owner->id);
  }
  proto::DaemonMessage message;
  *message.mutable_lease_granted() = std::move(granted);
  table_->Send(*owner, message);
}

void NodeShell::RunFailure(const LeaseEffects::Failed& failure) {
  proto::LeaseFailed failed;
  failed.set_request_id(failure.key.request);
  failed.set_worker_limit(failure.worker_limit);
  if (!failure.message.empty()) {
    *failed.mutable_error() = rpc::MakeErrorInfo(failure.code, failure.message);
    failed.mutable_error()->set_node(self_.value);
    failed.mutable_error()->set_host(options_.host_name);
  }
  if (failure.asking != self_) {
    proto::RemoteLeaseReply reply;
    *reply.mutable_failed() = std::move(failed);
    return AnswerRemote(failure.key, reply);
  }
  LocalProcess* owner = table_->Find(failure.key.owner);
  if (owner == nullptr) return;
  proto::DaemonMessage message;
  *message.mutable_lease_failed() = std::move(failed);
  table_->Send(*owner, message);
}

void NodeShell::AnswerRemote(const RequestKey& key, const proto::RemoteLeaseReply& reply) {
  auto it = remote_asks_.find(key);
  if (it == remote_asks_.end()) return;
  for (const LeaseResponder& responder : it->second) responder->Reply(reply);
  remote_asks_.erase(it);
}

void NodeShell::AskNode(const LeaseEffects::AskNode& ask) {
  const RequestKey key = ask.request.key;
  const NodeNumber node = ask.node;
  const auto busy = [this, key, node] {
    core_->OnRemoteBusy(key, node, NodeNumber{}, Now(), effects_);
    RunEffects();
  };
  rpc::RpcChannel* channel = peers_->Channel(node);
  if (channel == nullptr) {
    loop_->PostAlways([alive = alive_, busy] {
      if (*alive) busy();
    });
    return;
  }
  proto::RemoteLeaseRequest request;
  request.set_id(RemoteId(key));
  request.set_owner(key.owner.value);
  auto* lease = request.mutable_request();
  lease->set_request_id(key.request);
  lease->mutable_scheduling_class()->set_job(ask.request.job.value);
  *lease->mutable_scheduling_class()->mutable_resources() =
      scheduling::ToWire(ask.request.resources);
  *lease->mutable_scheduling_class()->mutable_strategy() = scheduling::ToWire(ask.request.strategy);
  lease->mutable_scheduling_class()->set_wait_if_infeasible(ask.request.wait_if_infeasible);
  for (NodeNumber argument : ask.request.argument_nodes) lease->add_argument_nodes(argument.value);
  FillProgram(ask.request.job, ask.request.program_key, *request.mutable_program());
  request.set_spill_count(ask.request.spill_count);
  if (const auto job = jobs_.find(ask.request.job); job != jobs_.end()) {
    request.set_job_namespace(job->second.job_namespace);
  }
  rpc::CallOptions options;
  options.deadline = kAskDeadline;
  options.idempotent = true;
  channel->Call<proto::RemoteLeaseRequest, proto::RemoteLeaseReply>(
      rpc::kNodeLease, request, options,
      [this, loop = loop_, alive = alive_, key, node,
       busy](base::StatusOr<proto::RemoteLeaseReply> reply) {
        loop->PostAlways([this, alive, key, node, busy, reply = std::move(reply)] {
          if (!*alive) return;
          if (!reply.ok()) {
            // It may have granted without our knowing.
            if (rpc::RpcChannel* again = peers_->Channel(node)) {
              proto::RemoteLeaseCancel cancel;
              cancel.set_id(RemoteId(key));
              again->Call<proto::RemoteLeaseCancel, proto::RemoteLeaseCancelReply>(
                  rpc::kNodeCancelLease, cancel, Telling(), [](auto) {});
            }
            return busy();
          }
          OnRemoteReply(key, node, *reply);
        });
      });
}

void NodeShell::OnRemoteReply(const RequestKey& key, NodeNumber node,
                              const proto::RemoteLeaseReply& reply) {
  if (reply.has_granted()) {
    const auto resources = scheduling::FromWire(reply.granted().resources());
    core_->OnRemoteGranted(key, node, LeaseId{reply.granted().lease()},
                           ProcessId{reply.granted().worker()},
                           resources.ok() ? *resources : model::ResourceSet{}, Now(), effects_);
  } else if (reply.has_failed() && !reply.failed().worker_limit()) {
    core_->OnRemoteFailed(key, node, static_cast<ErrorCode>(reply.failed().error().code()),
                          reply.failed().error().message(), Now(), effects_);
  } else {
    core_->OnRemoteBusy(key, node, NodeNumber{reply.try_node()}, Now(), effects_);
  }
  RunEffects();
}

void NodeShell::Recall(const LeaseEffects::Recall& recall) {
  if (recall.owner.node() != self_) {
    proto::NotifyRequest request;
    request.set_recalled_lease(recall.lease.value);
    request.set_recalled_if_idle(recall.if_idle);
    return Notify(recall.owner.node(), request);
  }
  LocalProcess* owner = table_->Find(recall.owner);
  if (owner == nullptr) return;
  proto::DaemonMessage message;
  message.mutable_lease_recall()->set_lease(recall.lease.value);
  message.mutable_lease_recall()->set_if_idle(recall.if_idle);
  table_->Send(*owner, message);
}

void NodeShell::EndWorker(const PoolEffects::EndWorker& end) {
  LocalProcess* process = table_->Find(end.worker);
  if (process == nullptr) return;
  if (end.reason != kIdle && process->end_reason.empty()) process->end_reason = end.reason;
  if (!end.gently) {
    io::Signal(process->pidfd.get(), SIGKILL);
    return;
  }
  proto::DaemonMessage message;
  message.mutable_exit()->set_reason(end.reason);
  table_->Send(*process, message);
  if (end.reason == kIdle) return;
  loop_->AddTimerAfter(kGentleEnd, [this, id = process->id] {
    LocalProcess* late = table_->Find(id);
    if (late != nullptr) io::Signal(late->pidfd.get(), SIGKILL);
  });
}

// --- actors --------------------------------------------------------------------------------------

void NodeShell::CreateActor(const ActorEffects::Create& creation) {
  const auto bytes = std::as_bytes(std::span(creation.frame));
  model::FrameHeader header;
  const model::FrameError error = DecodeHeader(bytes, header);
  if (error != model::FrameError::kNone ||
      bytes.size() - model::kFrameHeaderBytes != header.body_bytes ||
      header.kind != model::FrameKind::kActorCreate) {
    core_->OnCreated(creation.cookie, creation.worker,
                     rpc::MakeErrorInfo(ErrorCode::kActorDied, "its creation frame is malformed"),
                     Now(), effects_);
    return;
  }
  header.destination = creation.worker;
  header.source = table_->daemon_id();
  header.cookie_slot = creation.cookie;
  header.cookie_sequence = creation.cookie;
  header.incarnation = creation.incarnation;
  header.flags = 0;
  router_->Deliver(header, bytes.subspan(model::kFrameHeaderBytes), self_);
  router_->RingAll();
}

void NodeShell::OnFrameForDaemon(const model::FrameHeader& header,
                                 std::span<const std::byte> body) {
  if (header.kind == model::FrameKind::kProcessDied && header.source.node() != self_) {
    const auto died = DeathFromFrame(header, body);
    if (died.ok()) OnRemoteDeath(*died);
    return;
  }
  if (header.kind != model::FrameKind::kReply) return;
  proto::ErrorInfo failure;
  if ((header.flags & model::kFlagFailed) != 0) {
    model::BodyReader reader(body, header.item_count);
    model::Item item;
    const bool read =
        reader.Next(item) && item.kind == model::ItemKind::kError &&
        failure.ParseFromArray(item.bytes.data(), static_cast<int>(item.bytes.size()));
    if (!read || failure.code() == 0) {
      failure = rpc::MakeErrorInfo(ErrorCode::kActorDied, "its constructor failed");
    }
  }
  core_->OnCreated(header.cookie_slot, header.source, failure, Now(), effects_);
  RunEffects();
}

void NodeShell::Report(const ActorEffects::Report& report) {
  if (stopping_) return;  // the head hears of the node's end, which is its actors' too
  proto::ActorReport message;
  *message.mutable_id() = scheduling::ToWire(report.life.id);
  message.set_incarnation(report.life.incarnation);
  message.set_state(report.state);
  message.set_process(report.worker.value);
  if (LocalProcess* process = table_->Find(report.worker)) message.set_pid(process->pid);
  if (report.state == proto::ACTOR_DEAD) {
    *message.mutable_cause() = report.cause;
    if (message.cause().node() == 0) message.mutable_cause()->set_node(self_.value);
    if (message.cause().host().empty()) message.mutable_cause()->set_host(options_.host_name);
    Bound(*message.mutable_cause());  // every watcher's daemon passes it on in one packet
  }
  head_->ReportActor(message);
}

}  // namespace rayx::node
