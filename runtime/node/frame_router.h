// runtime/node/frame_router.h
//
// Carries frames between the daemon channels of this node's processes and the streams to other
// nodes.
// Owner:    NodeShell.
// Threads:  the node loop only.
// Inputs:   frames of processes and peers, checked by shm::Channel and model::DecodeHeader: a
//           process may speak only for itself.
// Outputs:  frames in rings, and the functions of Outside.
// Promises: frames of one source to one destination stay in order. A call that arrives here is
//           taken (claimed and done) in its source's channel and queued in its destination's; until
//           that one claims it, Revoke finds it. What needs an answer and has no destination comes
//           back as kUndeliverable. A destination that is slow holds back only calls to itself: up
//           to kQueuedBytesMax of them wait, then its local senders' rings fill. Frames that are no
//           calls never wait behind calls: the process that takes none may wait for just them.
// Limits:   kPassFrames a process, lane and pass. What is no call waits here without a limit when
//           its destination's ring is full: it was asked for (an answer to each call and question),
//           and every process drains that lane whatever else it does.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "model/frame.h"
#include "node/process_table.h"
#include "proto/types.pb.h"

namespace rayx::node {

class FrameRouter {
 public:
  static constexpr size_t kQueuedBytesMax = 64 << 20;
  static constexpr int kPassFrames = 256;
  static constexpr int kLastPasses = 4;  // of a process that is gone: more than its rings hold
  static constexpr size_t kCausesMax = 4096;

  struct Outside {
    // Towards another node. False: it is dead or unknown, `why` says so.
    std::function<bool(const model::FrameHeader&, std::span<const std::byte>, std::string& why)>
        send;
    // Towards another node: the frame is better left in its source's ring.
    std::function<bool(const model::FrameHeader&)> is_full;
    // A frame for the daemon itself.
    std::function<void(const model::FrameHeader&, std::span<const std::byte>)> receive;
    // A process broke the rules of its channel.
    std::function<void(LocalProcess&, std::string_view why)> on_corrupt;
    // A frame that came over a stream has reached its ring, or was revoked before.
    std::function<void(model::NodeNumber from, const model::FrameHeader&)> on_delivered;
  };

  FrameRouter(model::NodeNumber self, ProcessTable& table, Outside outside)
      : self_(self), table_(table), outside_(std::move(outside)) {}

  // Moves what the processes have written. True: there may be more at once.
  bool Drain();
  bool HasWork() const;
  // Something waits for room: call Drain again in about a millisecond, or when acks have come.
  bool stalled() const { return stalled_; }

  // A frame of a stream from `from`, or of the daemon itself (from = self).
  void Deliver(const model::FrameHeader& header, std::span<const std::byte> body,
               model::NodeNumber from);
  void Undeliverable(const model::FrameHeader& header, const proto::ErrorInfo& error);
  // Sends the message over the process's socket, once all answers that arrived here before are in
  // its ring and published: news of an end must not overtake what was finished before it.
  void TellAfterAnswers(LocalProcess& process, std::shared_ptr<const proto::DaemonMessage> message);
  // Gives back what a process that has exited had not started, so that it costs its owners no
  // attempt. After DrainLast, and before its death is told.
  void ReturnUnstarted(LocalProcess& process, const proto::ErrorInfo& cause);
  // After ReturnUnstarted and the news of its death; it is about to leave the table.
  void OnProcessGone(LocalProcess& process, const proto::ErrorInfo& cause);
  // Moves the last answers of a process that has exited, all of them: full or not.
  void DrainLast(LocalProcess& process);
  void RingAll();

  // Local processes that had to do with a process of another node; forgets it.
  std::set<model::ProcessId> TakeContactsOf(model::ProcessId remote);
  void AddRemoteContact(model::ProcessId remote, model::ProcessId local);
  void OnNodeGone(model::NodeNumber node);

 private:
  struct Waiting {
    model::FrameHeader header;
    std::vector<std::byte> body;
    model::NodeNumber from;
    std::shared_ptr<const proto::DaemonMessage> message;  // instead of a frame
  };
  struct CallName {
    model::TaskId task;
    uint32_t attempt = 0;
    friend bool operator==(const CallName&, const CallName&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const CallName& name) {
      return H::combine(std::move(h), name.task, name.attempt);
    }
  };
  struct Destination {
    std::deque<Waiting> waiting_calls;
    std::deque<Waiting> waiting_answers;  // all that is no call
    size_t waiting_calls_bytes = 0;
    // Written and perhaps not claimed yet; the header names the claim word.
    absl::flat_hash_map<CallName, model::FrameHeader> calls;
    size_t sweep_at = 4096;
    bool published = true;
    model::ProcessId last_source;
  };

  // `forced`: also towards what is full.
  bool DrainLane(LocalProcess& source, shm::Lane lane, bool forced);
  bool MayTake(const model::FrameHeader& header) const;
  void Route(LocalProcess& source, const model::FrameHeader& header,
             std::span<const std::byte> body);
  void DeliverLocal(LocalProcess& process, const model::FrameHeader& header,
                    std::span<const std::byte> body, model::NodeNumber from);
  bool Write(LocalProcess& process, Destination& destination, model::FrameHeader header,
             std::span<const std::byte> body, model::NodeNumber from);
  bool Flush();
  void FlushAnswers(LocalProcess& process, Destination& destination);
  void FlushCalls(LocalProcess& process, Destination& destination);
  static void Publish(LocalProcess& process, Destination& destination);
  void Revoke(LocalProcess& process, const model::FrameHeader& request);
  void SweepCalls(LocalProcess& process, Destination& destination);
  void Send(const model::FrameHeader& header, std::span<const std::byte> body);
  proto::ErrorInfo CauseOf(model::ProcessId process) const;

  const model::NodeNumber self_;
  ProcessTable& table_;
  const Outside outside_;
  std::map<model::ProcessId, Destination> destinations_;
  std::set<std::pair<model::ProcessId, shm::Lane>> paused_;
  bool stalled_ = false;
  std::map<model::ProcessId, std::set<model::ProcessId>> remote_contacts_;
  std::map<model::ProcessId, proto::ErrorInfo> causes_;  // of the dead, for late frames
  std::deque<model::ProcessId> causes_order_;
  std::vector<std::byte> scratch_;
};

}  // namespace rayx::node
