// ClusterClient: the core's effects going out, and the daemon's messages coming in.
#include <poll.h>
#include <unistd.h>

#include <cstdio>

#include "base/log.h"
#include "client/cluster_client.h"
#include "client/error_bridge.h"
#include "scheduling/wire.h"

namespace rayx::client {
namespace {

constexpr uint32_t kWatchTimeoutMs = 10'000;
constexpr std::chrono::seconds kGoodbyeWait(2);
constexpr std::chrono::seconds kSegmentWait(10);
constexpr uint32_t kWarningsMax = 20;  // of the core, in a span
constexpr std::chrono::seconds kWarningsSpan(10);

}  // namespace

// --- the sink ------------------------------------------------------------------------------------

bool ClusterClient::SendCall(model::FrameHeader& header, std::span<const std::byte> body,
                             bool idle) {
  return links_.SendCall(header, body, /*at_once=*/idle);
}

void ClusterClient::SendMessage(const model::FrameHeader& header, std::span<const std::byte> body,
                                bool urgent) {
  if (header.destination == self_) {  // to ourselves: an actor's caller that owns what it asks for
    model::FrameHeader own = header;
    own.source = self_;
    core_.OnMessage(own, body, Now());
    return;
  }
  links_.SendMessage(header, body, urgent);
}

Revocation ClusterClient::TryRevoke(const model::FrameHeader& header) {
  if (links_.HasDirect(header.destination)) {
    Peer* peer = links_.Route(header.destination);
    return peer->channel->TryRevoke(header.claim_slot, header.cookie_sequence)
               ? Revocation::kRevoked
               : Revocation::kTooLate;
  }
  model::FrameHeader ask = header;
  ask.kind = model::FrameKind::kRevoke;
  ask.item_count = 0;
  ask.flags = 0;
  SendMessage(ask, {}, /*urgent=*/true);
  return Revocation::kAsked;
}

bool ClusterClient::MayHaveStarted(const model::FrameHeader& header) {
  if (!links_.HasDirect(header.destination)) return true;
  Peer* peer = links_.Route(header.destination);
  return !peer->channel->TryRevoke(header.claim_slot, header.cookie_sequence);
}

void ClusterClient::RequestLease(uint64_t request, const proto::SchedulingClass& description,
                                 std::span<const uint32_t> argument_nodes) {
  proto::ClientMessage message;
  auto* lease = message.mutable_lease_request();
  lease->set_request_id(request);
  *lease->mutable_scheduling_class() = description;
  for (uint32_t node : argument_nodes) lease->add_argument_nodes(node);
  daemon_.Send(message);
}

void ClusterClient::CancelLease(uint64_t request) {
  proto::ClientMessage message;
  message.mutable_lease_cancel()->set_request_id(request);
  daemon_.Send(message);
}

void ClusterClient::ReturnLease(model::LeaseId lease, bool worker_failed) {
  proto::ClientMessage message;
  message.mutable_lease_return()->set_lease(lease.value);
  message.mutable_lease_return()->set_worker_failed(worker_failed);
  daemon_.Send(message);
}

void ClusterClient::CreateActor(const proto::ActorSpec& spec) {
  const uint64_t id = NewRequest();
  proto::ClientMessage message;
  message.mutable_head_request()->set_request_id(id);
  *message.mutable_head_request()->mutable_create_actor()->mutable_spec() = spec;
  watches_[id] = {scheduling::FromWire(spec.id()), /*creation=*/true};
  daemon_.Send(message);
}

void ClusterClient::WatchActor(model::ActorId actor, uint64_t known_version) {
  const uint64_t id = NewRequest();
  proto::ClientMessage message;
  message.mutable_head_request()->set_request_id(id);
  auto* watch = message.mutable_head_request()->mutable_watch_actor();
  *watch->mutable_id() = scheduling::ToWire(actor);
  watch->set_known_version(known_version);
  watch->set_timeout_ms(kWatchTimeoutMs);
  watches_[id] = {actor, /*creation=*/false};
  daemon_.Send(message);
}

void ClusterClient::ConnectPeer(model::ProcessId process) {
  if (process == self_ || links_.HasDirect(process)) {
    core_.OnPeerConnected(process, Now());
    return;
  }
  proto::ClientMessage message;
  message.mutable_connect_peer()->set_process(process.value);
  daemon_.Send(message);
}

// A crash loop of many tasks does not flood the terminal.
void ClusterClient::Warn(const std::string& text) {
  if (Now() >= warn_again_) {
    if (warnings_ > kWarningsMax) {
      RAYX_LOG(kWarning) << warnings_ - kWarningsMax << " more lines like the last were left out";
    }
    warnings_ = 0;
    warn_again_ = Now() + kWarningsSpan;
  }
  if (++warnings_ <= kWarningsMax) RAYX_LOG(kWarning) << text;
}

void ClusterClient::FreeStored(const model::StoredLocation& location) {
  proto::ClientMessage message;
  *message.mutable_free()->mutable_location() = scheduling::ToWire(location);
  pulled_.erase(location.object);
  daemon_.Send(message);
}

// --- events --------------------------------------------------------------------------------------

void ClusterClient::HandleDaemonPackets() {
  if (!daemon_.connected()) return;
  daemon_.Flush();
  proto::DaemonMessage message;
  std::vector<base::UniqueFd> fds;
  std::string why;
  bool any = false;
  while (daemon_.connected()) {
    const DaemonLink::Result result = daemon_.Receive(message, fds, why);
    if (result == DaemonLink::Result::kNothing) break;
    if (result == DaemonLink::Result::kGone) {
      OnDaemonLost(why);
      break;
    }
    any = true;
    Handle(message, fds);
    fds.clear();
  }
  if (any && links_.RingAll()) rang_somebody_ = true;
}

void ClusterClient::Handle(proto::DaemonMessage& message, std::vector<base::UniqueFd>& fds) {
  const model::TimePoint now = Now();
  switch (message.message_case()) {
    case proto::DaemonMessage::kLeaseGranted: {
      const auto& granted = message.lease_granted();
      core_.OnLeaseGranted(granted.request_id(), model::LeaseId{granted.lease()},
                           model::ProcessId{granted.worker()}, now);
      break;
    }
    case proto::DaemonMessage::kLeaseFailed: {
      const auto& failed = message.lease_failed();
      core_.OnLeaseFailed(failed.request_id(), failed.error(), failed.worker_limit(), now);
      break;
    }
    case proto::DaemonMessage::kLeaseRecall:
      core_.OnLeaseRecalled(model::LeaseId{message.lease_recall().lease()},
                            message.lease_recall().if_idle(), now);
      break;
    case proto::DaemonMessage::kPeerConnected:
      HandlePeerConnected(message.peer_connected(), fds);
      break;
    case proto::DaemonMessage::kPeerRefused: {
      if (message.peer_refused().through_daemon()) {
        core_.OnPeerConnected(model::ProcessId{message.peer_refused().process()}, now);
        break;
      }
      proto::DeathCause cause;
      cause.set_reason(message.peer_refused().error().message());
      core_.OnProcessDied(model::ProcessId{message.peer_refused().process()}, cause, now);
      break;
    }
    case proto::DaemonMessage::kProcessDied: {
      // Its replies first: what it finished before it died is finished.
      const model::ProcessId process{message.process_died().process()};
      links_.ShowLastReplies(process);
      Drain();
      core_.OnProcessDied(process, message.process_died().cause(), now);
      links_.MarkDead(process);
      links_.RemovePeer(process);
      break;
    }
    case proto::DaemonMessage::kObjectsLeft:
      Drain();  // the answer that names it may be here already
      for (const auto& wire : message.objects_left().locations()) {
        core_.OnObjectLeft(scheduling::FromWire(wire));
      }
      break;
    case proto::DaemonMessage::kGoodbyeHeard:
      goodbye_heard_ = true;
      break;
    case proto::DaemonMessage::kNodeDied:
      core_.OnNodeDied(model::NodeNumber{message.node_died().node()}, message.node_died().reason(),
                       now);
      break;
    case proto::DaemonMessage::kAllocated:
      if (auto it = answers_.find(message.allocated().request_id()); it != answers_.end()) {
        it->second->error = message.allocated().error();
        it->second->allocated = message.allocated();
        it->second->done = true;
      }
      break;
    case proto::DaemonMessage::kPulled:
      if (auto it = answers_.find(message.pulled().request_id()); it != answers_.end()) {
        it->second->error = message.pulled().error();
        it->second->location = message.pulled().copy();
        it->second->done = true;
      }
      break;
    case proto::DaemonMessage::kSegmentAttached:
      HandleSegment(message.segment_attached(), fds);
      break;
    case proto::DaemonMessage::kRefused:
      if (!segments_asked_.empty()) AnswerSegmentAsked(message.refused().error());
      break;
    case proto::DaemonMessage::kHeadResponse:
      HandleHeadResponse(message.head_response());
      break;
    case proto::DaemonMessage::kLogLines:
      PrintLogLines(message.log_lines());
      break;
    case proto::DaemonMessage::kHeadLost:
      LoseCluster(message.head_lost().error().SerializeAsString());
      break;
    case proto::DaemonMessage::kExit:
      // A worker that owns objects which others know of outlives its idle time.
      if (is_worker_ && core_.has_borrowers() && message.exit().reason() == "idle") break;
      ending_ = true;
      resolved_any_ = true;
      break;
    default:
      break;
  }
  resolved_any_ = true;
}

void ClusterClient::HandleHeadResponse(const proto::HeadResponse& response) {
  if (auto it = answers_.find(response.request_id()); it != answers_.end()) {
    it->second->error = response.error();
    it->second->head = response;
    it->second->done = true;
    return;
  }
  auto it = watches_.find(response.request_id());
  if (it == watches_.end()) return;
  const Watched watched = it->second;
  watches_.erase(it);
  const model::TimePoint now = Now();
  if (watched.creation) {
    if (response.error().code() != 0) {
      core_.OnActorRefused(watched.actor, response.error(), now);
    } else {
      core_.OnActorAccepted(watched.actor, now);
    }
  } else if (response.error().code() != 0) {
    core_.OnWatchFailed(watched.actor, response.error(), now);
  } else {
    Drain();  // its replies first: what an incarnation finished before it ended is finished
    core_.OnActorView(response.watch_actor(), now);
  }
}

void ClusterClient::HandlePeerConnected(const proto::PeerConnected& message,
                                        std::vector<base::UniqueFd>& fds) {
  const model::ProcessId process{message.process()};
  if (fds.size() != 4) {
    OnNoChannel(process, "its descriptors did not arrive (ulimit -n)");
    return;
  }
  base::Status status = links_.AddPeer(process, message.first_side(), std::move(fds[0]),
                                       std::move(fds[1]), std::move(fds[2]), std::move(fds[3]));
  if (!status.ok()) {
    OnNoChannel(process, std::string(base::Message(status)));
    return;
  }
  core_.OnPeerConnected(process, Now());
}

void ClusterClient::HandleSegment(const proto::SegmentAttached& message,
                                  std::vector<base::UniqueFd>& fds) {
  const model::JobId job{message.job()};
  base::Status status = absl::ResourceExhaustedError("its descriptors did not arrive (ulimit -n)");
  if (fds.size() == 2) {
    status =
        segments_.AddSegment(job, std::move(fds[0]), std::move(fds[1]), message.segment_bytes(),
                             message.control_bytes(), message.ledger());
  }
  if (!status.ok())
    RAYX_LOG(kWarning) << "store segment of job " << job.value << ": " << base::Message(status);
  // That of the own job comes unasked, too.
  if (segments_asked_.empty() || segments_asked_.front().job != job) return;
  proto::ErrorInfo error;
  if (!status.ok()) {
    error.set_code(static_cast<int>(ErrorCode::kObjectLost));
    error.set_message(std::string(base::Message(status)));
  }
  AnswerSegmentAsked(error);
}

// The first of those that wait. Its asker may have given up.
void ClusterClient::AnswerSegmentAsked(const proto::ErrorInfo& error) {
  const auto it = answers_.find(segments_asked_.front().request);
  segments_asked_.pop_front();
  if (it == answers_.end()) return;
  it->second->error = error;
  it->second->done = true;
}

void ClusterClient::EnsureSegment(model::JobId job, std::unique_lock<Baton>& lock) {
  if (segments_.HasSegment(job)) return;
  proto::ClientMessage message;
  message.mutable_attach_segment()->set_job(job.value);
  Answer answer;
  const uint64_t request = NewRequest();
  segments_asked_.push_back({job, request});
  Ask(message, request, answer, Now() + kSegmentWait, lock);
  if (segments_.HasSegment(job)) return;
  ThrowIfLost();
  const std::string what = "the store of job " + std::to_string(job.value);
  if (!answer.done) {
    Throw(ErrorCode::kObjectLost,
          what + " was not given: the node daemon of this VM does not answer");
  }
  answer.error.set_message(what + " is out of reach: " + answer.error.message());
  detail::ThrowError(ToRecord(answer.error));
}

// Nothing more will come from there, though the process may live: it is judged as dead. A worker of
// ours is ended by its daemon then (the lease is given back as failed).
void ClusterClient::OnChannelCut(model::ProcessId process, const std::string& why) {
  if (process.is_daemon()) {
    OnDaemonLost(why);
    return;
  }
  proto::DeathCause cause;
  cause.set_reason("the channel to it is cut: " + why);
  core_.OnProcessDied(process, cause, Now());
}

// The other side has the channel and answers through it: whatever involves it would wait for ever.
void ClusterClient::OnNoChannel(model::ProcessId process, const std::string& why) {
  const std::string text = "process " + model::ToString(self_) + " can have no channel to " +
                           model::ToString(process) + ", and so no part in the cluster: " + why;
  RAYX_LOG(kError) << text;  // a worker's last line, which its owners are told
  daemon_.Close();
  LoseCluster(EncodeError(ErrorCode::kOutOfMemory, text));
}

// The daemon sends before it what this node's workers had printed. A daemon that does not answer
// holds nobody up for long.
void ClusterClient::AwaitGoodbyeHeard() {
  const auto deadline = std::chrono::steady_clock::now() + kGoodbyeWait;
  while (daemon_.connected() && !goodbye_heard_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd readable{daemon_.fd(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&readable, 1, static_cast<int>(left.count())) == 0) return;
    HandleDaemonPackets();
  }
}

void ClusterClient::OnDaemonLost(const std::string& why) {
  daemon_.Close();
  if (is_worker_) {
    ending_ = true;
    resolved_any_ = true;
    return;
  }
  LoseCluster(EncodeError(ErrorCode::kNodeDied, "the node daemon of this VM is gone: " + why));
}

void ClusterClient::LoseCluster(const std::string& error) {
  core_.OnClusterLost(error);
  proto::ErrorInfo info;
  info.ParseFromString(error);
  for (auto& [request, answer] : answers_) {
    answer->error = info;
    answer->done = true;
  }
  resolved_any_ = true;
  if (is_worker_) ending_ = true;
}

void ClusterClient::PrintLogLines(const proto::LogLines& lines) {
  if (output_.is_hidden()) return;
  const model::ProcessId process{lines.process()};
  const std::string prefix = "(" + lines.title() + " pid=" + std::to_string(lines.pid()) +
                             ", node " + ToString(process.node()) + ") ";
  output_.Push({process.value, prefix}, lines.is_stderr(),
               {lines.lines().begin(), lines.lines().end()});
}

}  // namespace rayx::client
