// runtime/node/peer_nodes.h
//
// The other daemons of the cluster: calls to them, and the streams that carry frames.
// Owner:    NodeShell.
// Threads:  the node loop only.
// Inputs:   the cluster view; frames to send; batches from incoming streams.
// Outputs:  the functions of PeerNodesEvents.
// Promises: those of FrameSenderCore and FrameReceiverCore, in two streams a node: urgent frames
//           have one of their own, so that they overtake bulk. A broken connection is made again
//           with back-off until the head declares the node dead; then what it may not have handled
//           comes back through on_undelivered.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/loop.h"
#include "node/core/frame_stream_core.h"
#include "node/frame_stream.h"
#include "rpc/channel.h"
#include "scheduling/cluster_view.h"

namespace rayx::node {

struct PeerNodesEvents {
  std::function<void(const model::FrameHeader&, std::span<const std::byte>, model::NodeNumber from)>
      on_frame;
  std::function<void(const model::FrameHeader&, const proto::ErrorInfo& why)> on_undelivered;
  std::function<void()> on_room;  // acknowledgements have come
};

class PeerNodes {
 public:
  PeerNodes(io::Loop& loop, std::string incarnation, const rpc::ClusterCredentials& credentials,
            PeerNodesEvents events);
  ~PeerNodes();

  void SetSelf(model::NodeNumber self) { self_ = self; }
  void OnNode(const scheduling::NodeView& node);
  void OnNodeDead(model::NodeNumber node, const std::string& reason);
  // A process of another node is gone; so it is, too, when a frame comes back from there as
  // undeliverable. The calls that wait for its credit come back through on_undelivered.
  void OnDestinationGone(model::ProcessId destination, const proto::ErrorInfo& cause);
  // A process of this node is gone: its credit is not counted any more.
  void OnLocalProcessGone(model::ProcessId process);

  // False: dead, `why` says so. Frames to a node that is not known yet (news of it may come by
  // another way sooner than the next heartbeat) wait kEarlyTime for it, then are undelivered.
  bool Send(const model::FrameHeader& header, std::span<const std::byte> body, std::string& why);
  // See FrameSenderCore::Full.
  bool IsFull(const model::FrameHeader& header) const;
  // See FrameReceiverCore::OnDelivered.
  void OnDelivered(model::NodeNumber from, const model::FrameHeader& header);
  // Null: unknown or dead.
  rpc::RpcChannel* Channel(model::NodeNumber node);
  // Of its data server; nothing as above.
  std::optional<io::Address> DataAddress(model::NodeNumber node);

  // After each round of the loop: writes what there is to write.
  void Flush();

  // For the server: makes the handlers of incoming streams.
  std::shared_ptr<const IncomingStreamEvents> incoming_events() const { return incoming_events_; }
  void Stop();

 private:
  struct Sender {
    explicit Sender(const std::string& incarnation) : core(incarnation) {}
    FrameSenderCore core;
    OutgoingStream* stream = nullptr;
    uint64_t connection = 0;
    bool writing = false;
    uint32_t failures = 0;
    io::Loop::TimerId retry = 0;
  };
  struct Receiver {
    FrameReceiverCore core;
    std::shared_ptr<IncomingHandle> handle;
  };
  struct Peer {
    scheduling::NodeView view;
    std::unique_ptr<rpc::RpcChannel> channel;
    std::unique_ptr<proto::Node::Stub> stub;
    Sender bulk;
    Sender urgent;
    explicit Peer(const std::string& incarnation)
        : bulk(incarnation), urgent(incarnation + "-urgent") {}
  };
  struct EarlyFrame {
    model::FrameHeader header;
    std::vector<std::byte> body;
  };
  struct Connection {
    model::NodeNumber node;
    bool urgent = false;
  };

  bool KeepEarly(const model::FrameHeader& header, std::span<const std::byte> body);
  void GiveUpEarly(model::NodeNumber node);
  Peer* FindAlive(model::NodeNumber node, std::string* why);
  Sender* SenderOf(uint64_t connection);
  void Connect(model::NodeNumber node, Peer& peer, bool urgent);
  void FlushSender(model::NodeNumber node, Peer& peer, bool urgent);
  void CloseSender(Sender& sender);
  void OnOutgoingMessage(uint64_t connection, const proto::FrameBatch& batch);
  void OnOutgoingEnd(uint64_t connection);
  void OnIncoming(const std::shared_ptr<IncomingHandle>& handle, const proto::FrameBatch& batch);

  io::Loop& loop_;
  const std::string incarnation_;
  const rpc::ClusterCredentials credentials_;
  const PeerNodesEvents events_;
  model::NodeNumber self_;
  std::shared_ptr<ReactorCount> reactors_ = std::make_shared<ReactorCount>();
  std::shared_ptr<const OutgoingStreamEvents> outgoing_events_;
  std::shared_ptr<const IncomingStreamEvents> incoming_events_;
  std::map<model::NodeNumber, std::unique_ptr<Peer>> peers_;
  std::map<model::NodeNumber, std::string> dead_;
  std::map<model::NodeNumber, std::vector<EarlyFrame>> early_;
  std::map<std::pair<model::NodeNumber, bool>, Receiver> receivers_;
  std::map<uint64_t, Connection> connections_;
  uint64_t next_connection_ = 1;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace rayx::node
