#include "node/peer_nodes.h"

#include <algorithm>
#include <utility>

#include "base/backoff.h"
#include "base/log.h"
#include "rpc/errors.h"

namespace rayx::node {

using model::FrameHeader;
using model::FrameKind;
using model::NodeNumber;
using model::ProcessId;

namespace {

constexpr base::BackoffOptions kReconnect{std::chrono::milliseconds(20),
                                          std::chrono::milliseconds(500)};

constexpr auto kEarlyTime = std::chrono::seconds(5);
constexpr size_t kEarlyFramesMax = 1024;  // a node
constexpr size_t kEarlyNodesMax = 64;

// Small questions that must not wait behind bulk. Those between two processes stay in their order,
// because all of them go this way.
bool IsUrgent(const FrameHeader& header) {
  switch (header.kind) {
    case FrameKind::kFetchValue:
    case FrameKind::kRevoke:
    case FrameKind::kRevokeReply:
    case FrameKind::kAddBorrower:
    case FrameKind::kBorrowerAck:
    case FrameKind::kRemoveBorrower:
    case FrameKind::kCancel:
      return true;
    default:
      return false;
  }
}

// Of a kUndeliverable.
proto::ErrorInfo CauseIn(const FrameHeader& header, std::span<const std::byte> body) {
  proto::ErrorInfo cause;
  model::BodyReader reader(body, header.item_count);
  model::Item item;
  if (reader.Next(item) && item.kind == model::ItemKind::kError &&
      cause.ParseFromArray(item.bytes.data(), static_cast<int>(item.bytes.size())) &&
      cause.code() != 0) {
    return cause;
  }
  return rpc::MakeErrorInfo(ErrorCode::kWorkerDied,
                            "process " + ToString(header.source) + " is gone");
}

}  // namespace

PeerNodes::PeerNodes(io::Loop& loop, std::string incarnation,
                     const rpc::ClusterCredentials& credentials, PeerNodesEvents events)
    : loop_(loop),
      incarnation_(std::move(incarnation)),
      credentials_(credentials),
      events_(std::move(events)) {
  auto outgoing = std::make_shared<OutgoingStreamEvents>();
  outgoing->on_message = [this, alive = alive_](uint64_t connection, proto::FrameBatch batch) {
    if (*alive) OnOutgoingMessage(connection, batch);
  };
  outgoing->on_written = [this, alive = alive_](uint64_t connection) {
    if (!*alive) return;
    if (Sender* sender = SenderOf(connection)) sender->writing = false;
  };
  outgoing->on_end = [this, alive = alive_](uint64_t connection, const base::Status&) {
    if (*alive) OnOutgoingEnd(connection);
  };
  outgoing_events_ = std::move(outgoing);
  auto incoming = std::make_shared<IncomingStreamEvents>();
  incoming->on_message = [this, alive = alive_](const std::shared_ptr<IncomingHandle>& handle,
                                                const std::shared_ptr<proto::FrameBatch>& batch) {
    if (*alive) OnIncoming(handle, *batch);
  };
  incoming->on_end = [this, alive = alive_](const std::shared_ptr<IncomingHandle>& handle) {
    if (!*alive) return;
    for (auto& [key, receiver] : receivers_) {
      if (receiver.handle == handle) receiver.handle.reset();
    }
  };
  incoming_events_ = std::move(incoming);
}

PeerNodes::~PeerNodes() {
  Stop();
}

void PeerNodes::Stop() {
  if (!*alive_) return;
  *alive_ = false;
  for (auto& [number, peer] : peers_) {
    CloseSender(peer->bulk);
    CloseSender(peer->urgent);
  }
  for (auto& [key, receiver] : receivers_) {
    if (receiver.handle) receiver.handle->Close(absl::UnavailableError("the node daemon ends"));
  }
  receivers_.clear();
  reactors_->WaitForAll();
  peers_.clear();
}

void PeerNodes::OnNode(const scheduling::NodeView& node) {
  if (node.number == self_ || dead_.count(node.number) != 0) return;
  auto it = peers_.find(node.number);
  if (it != peers_.end()) {
    it->second->view = node;
    return;
  }
  const auto address = io::ParseAddress(node.address);
  if (!address.ok()) {
    RAYX_LOG(kWarning) << "node " << ToString(node.number) << ": "
                       << base::Message(address.status());
    return;
  }
  auto peer = std::make_unique<Peer>(incarnation_);
  peer->view = node;
  peer->channel = std::make_unique<rpc::RpcChannel>(*address, rpc::Role::kNode, credentials_);
  peer->stub = MakeNodeStub(*peer->channel);
  peers_.emplace(node.number, std::move(peer));
  if (auto early = early_.extract(node.number)) {
    std::string why;
    for (const EarlyFrame& frame : early.mapped()) Send(frame.header, frame.body, why);
  }
}

bool PeerNodes::KeepEarly(const FrameHeader& header, std::span<const std::byte> body) {
  const NodeNumber node = header.destination.node();
  auto it = early_.find(node);
  if (it == early_.end()) {
    if (early_.size() >= kEarlyNodesMax) return false;
    it = early_.emplace(node, std::vector<EarlyFrame>()).first;
    loop_.AddTimerAfter(kEarlyTime, [this, alive = alive_, node] {
      if (*alive) GiveUpEarly(node);
    });
  }
  if (it->second.size() >= kEarlyFramesMax) return false;
  it->second.push_back({header, {body.begin(), body.end()}});
  return true;
}

void PeerNodes::GiveUpEarly(NodeNumber node) {
  auto early = early_.extract(node);
  if (!early) return;
  for (const EarlyFrame& frame : early.mapped()) {
    events_.on_undelivered(
        frame.header,
        rpc::MakeErrorInfo(ErrorCode::kNodeDied, "node " + ToString(node) + " is not known here"));
  }
}

void PeerNodes::OnNodeDead(NodeNumber node, const std::string& reason) {
  if (!dead_.emplace(node, reason).second) return;
  for (const bool urgent : {false, true}) {
    auto receiver = receivers_.find({node, urgent});
    if (receiver == receivers_.end()) continue;
    if (receiver->second.handle) {
      receiver->second.handle->Close(absl::UnavailableError("this node was declared dead"));
    }
    receivers_.erase(receiver);
  }
  GiveUpEarly(node);
  auto it = peers_.find(node);
  if (it == peers_.end()) return;
  const std::unique_ptr<Peer> peer = std::move(it->second);
  peers_.erase(it);
  for (Sender* sender : {&peer->bulk, &peer->urgent}) {
    CloseSender(*sender);
    for (const StreamFrame& frame : sender->core.TakeAll()) {
      events_.on_undelivered(frame.header, rpc::MakeErrorInfo(ErrorCode::kNodeDied, reason));
    }
  }
}

void PeerNodes::OnDestinationGone(ProcessId destination, const proto::ErrorInfo& cause) {
  auto it = peers_.find(destination.node());
  if (it == peers_.end()) return;
  for (const StreamFrame& frame : it->second->bulk.core.OnDestinationGone(destination)) {
    events_.on_undelivered(frame.header, cause);
  }
}

void PeerNodes::OnLocalProcessGone(ProcessId process) {
  for (auto& [key, receiver] : receivers_) receiver.core.OnDestinationGone(process);
}

PeerNodes::Peer* PeerNodes::FindAlive(NodeNumber node, std::string* why) {
  auto it = peers_.find(node);
  if (it != peers_.end()) return it->second.get();
  if (why != nullptr) {
    auto dead = dead_.find(node);
    *why = "node " + ToString(node) +
           (dead != dead_.end() ? " is dead: " + dead->second : " is not known here");
  }
  return nullptr;
}

bool PeerNodes::Send(const FrameHeader& header, std::span<const std::byte> body, std::string& why) {
  Peer* peer = FindAlive(header.destination.node(), &why);
  if (peer == nullptr) {
    return dead_.count(header.destination.node()) == 0 && KeepEarly(header, body);
  }
  (IsUrgent(header) ? peer->urgent : peer->bulk).core.Push(header, body);
  return true;
}

bool PeerNodes::IsFull(const FrameHeader& header) const {
  auto it = peers_.find(header.destination.node());
  if (it == peers_.end()) return false;
  return (IsUrgent(header) ? it->second->urgent : it->second->bulk).core.Full(header);
}

rpc::RpcChannel* PeerNodes::Channel(NodeNumber node) {
  Peer* peer = FindAlive(node, nullptr);
  return peer == nullptr ? nullptr : peer->channel.get();
}

std::optional<io::Address> PeerNodes::DataAddress(NodeNumber node) {
  const Peer* peer = FindAlive(node, nullptr);
  if (peer == nullptr || peer->view.data_port == 0) return std::nullopt;
  return io::Address{peer->channel->peer().ip, peer->view.data_port};
}

PeerNodes::Sender* PeerNodes::SenderOf(uint64_t connection) {
  auto it = connections_.find(connection);
  if (it == connections_.end()) return nullptr;
  auto peer = peers_.find(it->second.node);
  if (peer == peers_.end()) return nullptr;
  Sender& sender = it->second.urgent ? peer->second->urgent : peer->second->bulk;
  return sender.connection == connection ? &sender : nullptr;
}

void PeerNodes::Connect(NodeNumber node, Peer& peer, bool urgent) {
  Sender& sender = urgent ? peer.urgent : peer.bulk;
  sender.connection = next_connection_++;
  sender.writing = false;
  sender.core.OnReconnected();
  connections_[sender.connection] = {node, urgent};
  sender.stream = new OutgoingStream(loop_, reactors_, sender.connection, outgoing_events_);
  sender.stream->Open(*peer.stub);
}

void PeerNodes::CloseSender(Sender& sender) {
  loop_.CancelTimer(std::exchange(sender.retry, 0));
  connections_.erase(sender.connection);
  sender.connection = 0;
  if (sender.stream != nullptr) std::exchange(sender.stream, nullptr)->Cancel();
}

void PeerNodes::OnOutgoingEnd(uint64_t connection) {
  Sender* sender = SenderOf(connection);
  if (sender == nullptr) return;
  const Connection where = connections_.at(connection);
  CloseSender(*sender);
  if (sender->core.idle()) return;  // the next frame connects again
  const auto delay = base::BackoffDelay(kReconnect, sender->failures++, connection * 0x9E3779B9);
  sender->retry = loop_.AddTimerAfter(delay, [this, where] {
    auto peer = peers_.find(where.node);
    if (peer == peers_.end()) return;
    Sender& late = where.urgent ? peer->second->urgent : peer->second->bulk;
    late.retry = 0;
    if (late.stream == nullptr) Connect(where.node, *peer->second, where.urgent);
  });
}

void PeerNodes::OnOutgoingMessage(uint64_t connection, const proto::FrameBatch& batch) {
  Sender* sender = SenderOf(connection);
  if (sender == nullptr) return;
  sender->failures = 0;
  sender->core.OnAcknowledged(batch.acknowledged());
  for (const auto& credit : batch.credits()) {
    sender->core.OnCredit(ProcessId{credit.process()}, credit.frames_total());
  }
  events_.on_room();
}

void PeerNodes::OnIncoming(const std::shared_ptr<IncomingHandle>& handle,
                           const proto::FrameBatch& batch) {
  const NodeNumber from{batch.node()};
  if (from == self_ || !from || dead_.count(from) != 0) {
    return handle->Close(absl::FailedPreconditionError("frames of a node that is not alive"));
  }
  Receiver& receiver = receivers_[{from, batch.urgent()}];
  if (receiver.handle != handle) {
    if (receiver.handle) receiver.handle->Close(absl::AbortedError("a newer stream has come"));
    receiver.handle = handle;
    receiver.core.OnReconnected();
  }
  std::vector<FrameReceiverCore::Received> frames;
  const base::Status status = receiver.core.OnBatch(batch, frames);
  for (const auto& frame : frames) {
    if (frame.header.destination.node() == self_ && frame.header.source.node() == from) {
      events_.on_frame(frame.header, frame.body, from);
      if (frame.header.kind == FrameKind::kUndeliverable) {
        OnDestinationGone(frame.header.source, CauseIn(frame.header, frame.body));
      }
    } else {
      RAYX_LOG(kWarning) << "node " << ToString(from) << " sent a frame that is not its or ours";
    }
  }
  if (!status.ok()) {
    RAYX_LOG(kWarning) << "frames of node " << ToString(from) << ": " << base::Message(status);
    handle->Close(status);
  }
}

void PeerNodes::OnDelivered(NodeNumber from, const FrameHeader& header) {
  auto it = receivers_.find({from, IsUrgent(header)});
  if (it != receivers_.end()) it->second.core.OnDelivered(header);
}

void PeerNodes::FlushSender(NodeNumber node, Peer& peer, bool urgent) {
  Sender& sender = urgent ? peer.urgent : peer.bulk;
  if (sender.retry != 0) return;
  if (sender.stream == nullptr) {
    if (sender.core.idle()) return;  // else even when all that is left waits for credit
    Connect(node, peer, urgent);
  }
  if (sender.writing) return;
  proto::FrameBatch batch;
  if (!sender.core.NextBatch(batch)) return;
  batch.set_node(self_.value);
  batch.set_urgent(urgent);
  sender.writing = true;
  sender.stream->Write(std::move(batch));
}

void PeerNodes::Flush() {
  for (auto& [number, peer] : peers_) {
    FlushSender(number, *peer, true);
    FlushSender(number, *peer, false);
  }
  for (auto& [key, receiver] : receivers_) {
    if (!receiver.handle) continue;
    proto::FrameBatch batch;
    if (receiver.core.NextAcknowledgement(batch)) receiver.handle->Acknowledge(batch);
  }
}

}  // namespace rayx::node
