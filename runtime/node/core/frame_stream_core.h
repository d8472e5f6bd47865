// runtime/node/core/frame_stream_core.h
//
// The two ends of a stream of frames between two daemons: order, acknowledgement, repetition after a
// break, credit (MECHANISMS 5). Pure.
// Owner:    PeerNodes, a pair a node and urgency.      Threads: the node loop only.
// Inputs:   frames to send; batches of the peer, which are checked.
// Promises: every frame is handled by the peer once and in order (per destination: frames without
//           credit let others pass), however often the connection breaks, while both daemons live;
//           the sender never has more than `credit` frames of a destination under way that the
//           peer has not put into that destination's ring.
// Limits:   unacknowledged_bytes_max wait for an acknowledgement, then Full(); credit_frames a
//           destination.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/frame.h"
#include "proto/node.pb.h"

namespace rayx::node {

struct StreamLimits {
  size_t unacknowledged_bytes_max = 64 << 20;
  size_t batch_bytes_max = 256 << 10;
  uint64_t credit_frames = 256;
};

// A frame as it lies in FrameBatch.data: header and body.
struct StreamFrame {
  model::FrameHeader header;
  std::string bytes;
};

class FrameSenderCore {
 public:
  // Without credit: for urgent frames, which are few and small.
  FrameSenderCore(std::string incarnation, bool has_credit, StreamLimits limits = {})
      : incarnation_(std::move(incarnation)), has_credit_(has_credit), limits_(limits) {}

  void Push(const model::FrameHeader& header, std::span<const std::byte> body);
  bool Full() const { return held_bytes_ >= limits_.unacknowledged_bytes_max; }
  // The next frames that were not sent yet. False: none.
  bool NextBatch(proto::FrameBatch& batch);
  void OnAcknowledged(uint64_t sequence);
  void OnCredit(model::ProcessId destination, uint64_t frames_total);
  // A new connection: what was not acknowledged is sent again.
  void OnReconnected() { sent_ = acknowledged_; }
  // What waits for the credit of a destination that is no more.
  std::vector<StreamFrame> OnDestinationGone(model::ProcessId destination);
  // The peer is dead: all that it may not have handled, in order.
  std::vector<StreamFrame> TakeAll();

  bool HasUnsent() const { return sent_ < sequenced_; }
  bool idle() const { return kept_.empty() && held_.empty(); }
  size_t held_bytes() const { return held_bytes_; }
  void CheckInvariants() const;

 private:
  struct Credit {
    uint64_t allowed = 0;
    uint64_t used = 0;
    std::deque<StreamFrame> waiting;
  };
  void Sequence(StreamFrame frame);

  const std::string incarnation_;
  const bool has_credit_;
  const StreamLimits limits_;
  uint64_t acknowledged_ = 0;
  uint64_t sent_ = 0;
  uint64_t sequenced_ = 0;             // frames count from 1
  std::deque<StreamFrame> kept_;       // acknowledged_ + 1 .. sequenced_
  std::map<model::ProcessId, Credit> credits_;
  std::set<model::ProcessId> held_;    // destinations whose frames wait for credit
  size_t held_bytes_ = 0;              // of kept_ and of what waits for credit
};

class FrameReceiverCore {
 public:
  explicit FrameReceiverCore(StreamLimits limits = {}) : limits_(limits) {}

  // Appends the frames of a batch that are new, in order; their bytes lie in batch.data().
  // InvalidArgument: nonsense or a gap; the connection is of no more use, what was appended counts.
  struct Received {
    model::FrameHeader header;
    std::span<const std::byte> body;
  };
  base::Status OnBatch(const proto::FrameBatch& batch, std::vector<Received>& frames);
  // The frame has reached its destination's ring, or was answered.
  void OnDelivered(model::ProcessId destination);
  void OnDestinationGone(model::ProcessId destination) { delivered_.erase(destination); }
  // What the peer is to be told; false: nothing new. A repeat after a reconnection tells all.
  bool NextAcknowledgement(proto::FrameBatch& batch);
  void OnReconnected();

 private:
  struct Delivered {
    uint64_t total = 0;
    uint64_t told = 0;
  };
  const StreamLimits limits_;
  std::string incarnation_;
  uint64_t handled_ = 0;
  uint64_t told_ = 0;
  bool tell_ = false;
  std::map<model::ProcessId, Delivered> delivered_;
  std::set<model::ProcessId> to_tell_;
};

}  // namespace rayx::node
