// NodeShell: what the processes of this node say.
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "node/node_shell.h"
#include "node/wire.h"
#include "rpc/errors.h"

namespace rayx::node {

using model::ProcessId;
using std::chrono::milliseconds;

namespace {

constexpr uint32_t kHeadRequestsMax = 4096;  // a process, under way, long polls not counted
constexpr uint32_t kLongPollsMax = 65536;    // a process, as many as the head takes in all
// Of this node at the head; the others wait here. The head's connection carries 8192 calls, the
// heartbeats among them.
constexpr uint32_t kPollsAtHeadMax = 4096;
constexpr uint32_t kBusyPollMs = 500;  // how long each lasts when they are many: others wait
constexpr int kPacketsPerRound = 256;
constexpr milliseconds kHeadAway{30000};
constexpr milliseconds kLongPollExtra{5000};

bool IsLongPoll(const proto::HeadRequest& request) {
  return request.has_watch_actor() || request.has_kv_wait();
}

}  // namespace

void NodeShell::UpdateWatch(LocalProcess& process) {
  if (process.socket_lost) return;
  Connection& connection = *process.connection;
  if (connection.queue.broken()) {
    // The socket's end is what OnSocket sees next; a reader that is too slow is cut off.
    ::shutdown(connection.socket.fd(), SHUT_RDWR);
  }
  const uint32_t wanted = EPOLLIN | (connection.queue.empty() ? 0u : uint32_t{EPOLLOUT});
  loop_->ChangeFd(connection.socket.fd(), wanted);
}

void NodeShell::OnSocket(ProcessId id, uint32_t events) {
  LocalProcess* process = table_->Find(id);
  if (process == nullptr || process->socket_lost) return;
  if ((events & EPOLLOUT) != 0) {
    process->connection->queue.Flush();
    UpdateWatch(*process);
  }
  io::Packet packet;
  proto::ClientMessage message;
  for (int i = 0; i < kPacketsPerRound; ++i) {
    const io::SocketResult result = process->connection->socket.Receive(packet);
    if (result == io::SocketResult::kAgain) return;
    const bool parsed =
        result == io::SocketResult::kOk &&
        message.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size()));
    if (!parsed) {
      if (result == io::SocketResult::kOk) process->end_reason = "it sent no valid message";
      process->socket_lost = true;
      loop_->RemoveFd(process->connection->socket.fd());
      return OnSocketLost(*process);
    }
    OnMessage(*process, message);
    process = table_->Find(id);
    if (process == nullptr || process->socket_lost) return;
  }
}

void NodeShell::OnMessage(LocalProcess& process, const proto::ClientMessage& message) {
  switch (message.message_case()) {
    case proto::ClientMessage::kLeaseRequest:
      return OnLeaseRequest(process, message.lease_request());
    case proto::ClientMessage::kLeaseCancel:
      core_->OnLeaseCancel({process.id, message.lease_cancel().request_id(), 0}, Now(), effects_);
      return RunEffects();
    case proto::ClientMessage::kLeaseReturn:
      core_->OnLeaseReturn(model::LeaseId{message.lease_return().lease()},
                           message.lease_return().worker_failed(), Now(), effects_);
      return RunEffects();
    case proto::ClientMessage::kBlocked:
    case proto::ClientMessage::kUnblocked:
      core_->OnBlocked(process.id, message.has_blocked(), Now(), effects_);
      return RunEffects();
    case proto::ClientMessage::kConnectPeer:
      return OnConnectPeer(process, ProcessId{message.connect_peer().process()});
    case proto::ClientMessage::kAllocate:
      return OnAllocate(process, message.allocate());
    case proto::ClientMessage::kFree:
      return OnFree(process.id, message.free().location());
    case proto::ClientMessage::kPull:
      return OnPull(process, message.pull());
    case proto::ClientMessage::kPullCancel:
      return store_->CancelPull(process.id, message.pull_cancel().request_id());
    case proto::ClientMessage::kAttachSegment:
      return OnAttachSegment(process, model::JobId{message.attach_segment().job()});
    case proto::ClientMessage::kHeadRequest:
      return OnHeadRequest(process, message.head_request());
    case proto::ClientMessage::kGoodbye:
      return OnGoodbye(process, message.goodbye());
    default:
      return;  // a Hello again, or a message of a later version
  }
}

// What its tasks printed before their results is for the driver's terminal, which is about to go.
// Lines of other nodes that are still on their way are in the files there.
void NodeShell::OnGoodbye(LocalProcess& process, const proto::Goodbye& goodbye) {
  process.said_goodbye = true;
  process.actor_exits = goodbye.actor_exits();
  if (process.role != proto::DRIVER) return;
  for (const auto& [id, other] : table_->all()) {
    const auto job = jobs_.find(other->job);  // its own, or that of its detached actors
    const bool is_mine = job != jobs_.end() && job->second.driver == process.id;
    if (other->role == proto::WORKER && is_mine) starter_->CatchUpOutput(other->start);
  }
  proto::DaemonMessage heard;
  heard.mutable_goodbye_heard();
  table_->Send(process, heard);
}

void NodeShell::OnLeaseRequest(LocalProcess& process, const proto::LeaseRequest& wire) {
  auto request = LeaseFromWire(wire, process.id, process.job);
  if (!request.ok()) {
    proto::DaemonMessage message;
    message.mutable_lease_failed()->set_request_id(wire.request_id());
    *message.mutable_lease_failed()->mutable_error() =
        rpc::MakeErrorInfo(ErrorCode::kInvalidOption, std::string(base::Message(request.status())));
    return table_->Send(process, message);
  }
  request->program_key = process.program_key;
  request->asking = self_;
  core_->OnLeaseRequest(*request, Now(), effects_);
  RunEffects();
}

void NodeShell::OnConnectPeer(LocalProcess& process, ProcessId other) {
  LocalProcess* peer = table_->Find(other);
  if (peer != nullptr && peer->welcomed) {
    const auto status = table_->Connect(process, *peer);
    if (status.ok()) return;
    RAYX_LOG(kWarning) << "no channel between " << ToString(process.id) << " and "
                       << ToString(other) << ": " << base::Message(status);
    proto::DaemonMessage message;
    message.mutable_peer_refused()->set_process(other.value);
    message.mutable_peer_refused()->set_through_daemon(true);
    *message.mutable_peer_refused()->mutable_error() =
        rpc::MakeErrorInfo(ErrorCode::kOutOfMemory, std::string(base::Message(status)));
    return table_->Send(process, message);
  }
  if (other.node() != self_) return;  // frames to it go through the daemon
  proto::DaemonMessage message;
  message.mutable_peer_refused()->set_process(other.value);
  *message.mutable_peer_refused()->mutable_error() =
      rpc::MakeErrorInfo(ErrorCode::kWorkerDied, "process " + ToString(other) + " is gone");
  table_->Send(process, message);
}

void NodeShell::OnHeadRequest(LocalProcess& process, const proto::HeadRequest& request) {
  const uint64_t id = request.request_id();
  const bool polls = IsLongPoll(request);
  uint32_t& under_way = polls ? process.long_polls : process.head_requests;
  if (under_way >= (polls ? kLongPollsMax : kHeadRequestsMax)) {
    proto::DaemonMessage message;
    message.mutable_head_response()->set_request_id(id);
    *message.mutable_head_response()->mutable_error() =
        rpc::MakeErrorInfo(ErrorCode::kHeadUnavailable, "too many requests are under way");
    return table_->Send(process, message);
  }
  ++under_way;
  proto::HeadRequest own = request;
  own.set_process(process.id.value);
  own.set_job(process.job.value);
  if (own.has_create_actor()) {
    auto* spec = own.mutable_create_actor()->mutable_spec();
    spec->set_job(process.job.value);
    // With its key, which the client does not know.
    FillProgram(process.job, process.program_key, *spec->mutable_program());
  }
  if (!polls) return CallHead(std::move(own), kHeadAway);
  waiting_polls_.push_back(std::move(own));
  StartPolls();
}

// In the order of their coming.
void NodeShell::StartPolls() {
  while (polls_at_head_ < kPollsAtHeadMax && !waiting_polls_.empty()) {
    proto::HeadRequest request = std::move(waiting_polls_.front());
    waiting_polls_.pop_front();
    if (table_->Find(ProcessId{request.process()}) == nullptr) continue;
    const uint32_t longest = polls_at_head_ < kPollsAtHeadMax / 2 ? 10'000u : kBusyPollMs;
    const uint32_t timeout =
        std::min(longest, request.has_watch_actor() ? request.watch_actor().timeout_ms()
                                                    : request.kv_wait().timeout_ms());
    if (request.has_watch_actor()) {
      request.mutable_watch_actor()->set_timeout_ms(timeout);
    } else {
      request.mutable_kv_wait()->set_timeout_ms(timeout);
    }
    ++polls_at_head_;
    CallHead(std::move(request), milliseconds(timeout) + kLongPollExtra);
  }
}

void NodeShell::CallHead(const proto::HeadRequest& request, milliseconds deadline) {
  rpc::CallOptions options;
  options.deadline = deadline;
  options.idempotent = true;
  head_->Call<proto::HeadRequest, proto::HeadResponse>(
      rpc::kHeadCall, request, options,
      [this, id = request.request_id(), from = ProcessId{request.process()},
       polls = IsLongPoll(request)](base::StatusOr<proto::HeadResponse> reply) {
        if (polls) {
          --polls_at_head_;
          StartPolls();
        }
        LocalProcess* asker = table_->Find(from);
        if (asker == nullptr) return;
        --(polls ? asker->long_polls : asker->head_requests);
        proto::DaemonMessage message;
        auto* response = message.mutable_head_response();
        if (reply.ok()) {
          *response = *std::move(reply);
        } else {
          *response->mutable_error() = rpc::ToErrorInfo(reply.status());
          if (rpc::CodeOf(reply.status()) == ErrorCode::kTimeout) {
            response->mutable_error()->set_code(static_cast<int32_t>(ErrorCode::kHeadUnavailable));
          }
        }
        response->set_request_id(id);
        table_->Send(*asker, message);
      });
}

}  // namespace rayx::node
