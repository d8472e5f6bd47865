// runtime/node/core/frame_stream_core.h
//
// The two ends of a stream of frames between two daemons: order, acknowledgement, repetition after
// a break, credit. The sender holds frames back by credit per destination process, so that the
// stream never waits for a ring and a busy actor cannot block the frame that would free it. Pure.
// Owner:    PeerNodes, a pair a node and urgency.
// Threads:  the node loop only.
// Inputs:   frames to send; batches of the peer, which are checked.
// Promises: every frame is handled by the peer once and in order (the calls to a destination among
//           themselves, all that is no call among itself), however often the connection breaks,
//           while both daemons live. Every new connection is greeted, with frames or without, so
//           that the peer can tell its acknowledgements and credit.
//           Calls take credit: never more than credit_frames of a destination are under way that
//           the peer has not put into that destination's ring. What is no call (answers, questions,
//           news) takes none and never waits for a process nor behind a call, because a process
//           that takes no calls may wait for just that frame.
// Limits:   calls: Full for a destination that itself holds destination_bytes_min, once all calls
//           together hold calls_bytes_max; so a busy destination never stops the calls to another.
//           Answers: Full at answers_bytes_max without an acknowledgement. Those wait for the two
//           daemons and the network alone, so this ends by itself. What the peer has acknowledged
//           is bounded by what its processes asked for: an answer each to calls and questions.
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
  size_t calls_bytes_max = 64 << 20;
  size_t destination_bytes_min = 1 << 20;
  size_t answers_bytes_max = 64 << 20;
  size_t batch_bytes_max = 256 << 10;
  uint64_t credit_frames = 256;
};

inline bool TakesCredit(const model::FrameHeader& header) {
  return IsCall(header.kind);
}

// A frame as it lies in FrameBatch.data: header and body.
struct StreamFrame {
  model::FrameHeader header;
  std::string bytes;
};

class FrameSenderCore {
 public:
  explicit FrameSenderCore(std::string incarnation, StreamLimits limits = {})
      : incarnation_(std::move(incarnation)), limits_(limits) {}

  void Push(const model::FrameHeader& header, std::span<const std::byte> body);
  // A frame like this one is better left where it is.
  bool Full(const model::FrameHeader& header) const;
  // The next frames that were not sent yet, or the greeting of a new connection. False: neither.
  bool NextBatch(proto::FrameBatch& batch);
  void OnAcknowledged(uint64_t sequence);
  // `frames_total` calls may be sent in all. A total beyond a window counts as a whole window, so
  // that no miscount stops a destination.
  void OnCredit(model::ProcessId destination, uint64_t frames_total);
  // A new connection: what was not acknowledged is sent again.
  void OnReconnected() {
    sent_ = acknowledged_;
    greet_ = true;
  }
  // Returns what waits for the credit of a destination that is no more, and counts its credit
  // anew: the peer no longer does, each later call comes back as undeliverable.
  std::vector<StreamFrame> OnDestinationGone(model::ProcessId destination);
  // The peer is dead: all that it may not have handled, in order.
  std::vector<StreamFrame> TakeAll();

  // Nothing is left for which a connection would be needed.
  bool idle() const { return kept_.empty() && held_.empty(); }
  void CheckInvariants() const;

 private:
  struct Credit {
    uint64_t allowed = 0;
    uint64_t used = 0;
    std::deque<StreamFrame> waiting;
    size_t bytes = 0;   // of its calls, waiting or not acknowledged
    bool gone = false;  // to be erased with its last byte
  };
  void Sequence(StreamFrame frame);
  void Release(const StreamFrame& frame);

  const std::string incarnation_;
  const StreamLimits limits_;
  bool greet_ = false;
  uint64_t acknowledged_ = 0;
  uint64_t sent_ = 0;
  uint64_t sequenced_ = 0;        // frames count from 1
  std::deque<StreamFrame> kept_;  // acknowledged_ + 1 .. sequenced_
  std::map<model::ProcessId, Credit> credits_;
  std::set<model::ProcessId> held_;  // destinations whose frames wait for credit
  size_t calls_bytes_ = 0;           // waiting or not acknowledged
  size_t answers_bytes_ = 0;         // not acknowledged
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
  // The frame has reached its destination's ring, or was revoked before: a call gives its credit
  // back. Not for frames whose destination is gone; they come back as undeliverable, which tells
  // the peer.
  void OnDelivered(const model::FrameHeader& header);
  void OnDestinationGone(model::ProcessId destination);
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
