// runtime/client/peer_links.h
//
// The channels of this process to its peers and to its daemon.
//
// Purpose:  carries frames out of and into shared memory; finds the way to a destination (a direct
//           channel, else the daemon's).
// Owner:    ClusterClient.
// Threads:  the baton's holder only.
// Inputs:   frames from peers, checked by shm::Channel; a corrupt channel is cut and told once.
// Promises: messages of the replies lane are kept in order until their ring has room; a call that
//           finds no room stays with the caller. What was written is shown to its peer at once, or,
//           where the caller allows it, with up to kCorkedMax others at the next RingAll().
//           Destructors unmap.
// Limits:   kQueuedBytesMax of messages a peer; beyond it the peer counts as hung and is cut.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/fd.h"
#include "base/status.h"
#include "model/frame.h"
#include "model/ids.h"
#include "shm/channel.h"
#include "shm/doorbell.h"
#include "shm/process_page.h"

namespace rayx::client {

inline constexpr size_t kQueuedBytesMax = 256u << 20;
inline constexpr uint32_t kCorkedMax = 64;

struct QueuedMessage {
  model::FrameHeader header;
  std::vector<std::byte> body;
  bool urgent = false;
};

struct Peer {
  Peer(model::ProcessId process_id, std::unique_ptr<shm::Channel> its_channel,
       shm::ProcessPage its_page, base::UniqueFd its_eventfd, base::UniqueFd its_pidfd)
      : process(process_id),
        channel(std::move(its_channel)),
        page(std::move(its_page)),
        eventfd(std::move(its_eventfd)),
        pidfd(std::move(its_pidfd)),
        doorbell(page, eventfd.get()) {}

  model::ProcessId process;
  std::unique_ptr<shm::Channel> channel;
  shm::ProcessPage page;
  base::UniqueFd eventfd;
  base::UniqueFd pidfd;
  shm::DoorbellProducer doorbell;
  std::deque<QueuedMessage> queued;  // of the replies lane
  size_t queued_bytes = 0;
  bool dead = false;
  bool to_ring = false;  // written to since the last Ring
  uint32_t corked = 0;   // frames written that the peer does not see yet
  // Calls of the peer whose corked replies say that they are done: slot, cookie sequence.
  std::vector<std::pair<uint32_t, uint32_t>> done;
};

class PeerLinks {
 public:
  explicit PeerLinks(model::ProcessId self) : self_(self) {}

  // Descriptors as PeerConnected brings them; the pidfd may be invalid for the daemon.
  base::Status AddPeer(model::ProcessId process, bool first_side, base::UniqueFd channel,
                       base::UniqueFd page, base::UniqueFd eventfd, base::UniqueFd pidfd);
  // Drops the channel. Claim words of frames sent to it stay readable until then.
  void RemovePeer(model::ProcessId process);
  // The process is dead: what it had answered and not published yet can be drained then.
  void ShowLastReplies(model::ProcessId process);
  void MarkDead(model::ProcessId process);
  bool HasCut() const { return !cut_.empty(); }
  // Channels cut since the last call, with the reason.
  std::vector<std::pair<model::ProcessId, std::string>> TakeCut() {
    return std::exchange(cut_, {});
  }

  // A call. False: no room now. header.claim_slot is set. Not `at_once`: it may be corked.
  bool SendCall(model::FrameHeader& header, std::span<const std::byte> body, bool at_once);
  // The reply to a call that came through `caller`'s channel with that header. Not `at_once`: it
  // may be corked. `reply` is changed only in what the ring needs.
  void SendReply(model::ProcessId caller, const model::FrameHeader& call, model::FrameHeader& reply,
                 std::span<const std::byte> body, bool at_once);
  void SendMessage(const model::FrameHeader& header, std::span<const std::byte> body, bool urgent);
  // Sends what waited; true if anything moved.
  bool FlushQueued();
  // Shows every peer what was written to it, and rings it; true if one slept.
  bool RingAll() { return Ring(/*corked_too=*/true); }
  // The same of those that have seen all that was written, or are to.
  bool RingDue() { return is_ring_due_ ? Ring(/*corked_too=*/false) : false; }

  bool HasDirect(model::ProcessId process) const { return peers_by_id_.contains(process); }
  // The direct peer, else the daemon; null before the daemon is connected.
  Peer* Route(model::ProcessId destination);
  bool HasWork(bool lane_of_calls) const;  // a frame in a lane of replies, or also in one of calls
  // Now and then: the memory of channels that are long idle goes back to the system.
  void GiveBackIdle(model::TimePoint now) {
    for (const auto& peer : peers_) peer->channel->GiveBackWhenIdle(now);
  }
  // Frees removed peers. Only while no thread uses pages() without the baton.
  void Reap() { retired_.clear(); }
  // Calls and answers, ever.
  uint64_t frames_taken() const { return frames_taken_; }
  void CountCall() { ++frames_taken_; }  // of one that was taken out of its channel
  bool HasQueued() const { return queued_messages_ > 0; }
  bool HasCorked() const { return !to_ring_.empty(); }
  const std::vector<std::unique_ptr<Peer>>& peers() const { return peers_; }
  const std::vector<const shm::ProcessPage*>& pages() const { return pages_; }

  // Calls `handle(header, body)` for each message of the replies lanes; true if there was one. Both
  // are private copies, valid during the call, which must not drain.
  // `expect` gets the pending slot of a message that may come next, and whether it is the very next
  // one: a guess.
  template <typename Handle, typename Expect>
  bool DrainReplies(Handle&& handle, Expect&& expect) {
    bool any = false;
    for (size_t i = 0; i < peers_.size(); ++i) {
      Peer& peer = *peers_[i];
      for (bool is_first = true;; is_first = false) {
        const shm::ReadResult result = peer.channel->Look(shm::Lane::kReplies);
        if (result == shm::ReadResult::kEmpty) break;
        if (is_first) peer.channel->ExpectCall();  // as a rule an answer is followed by one
        if (result == shm::ReadResult::kCorrupt) {
          CutIfDamaged(peer);
          break;
        }
        any = true;
        ++frames_taken_;
        // A peer speaks for itself; only the daemon forwards for others.
        const shm::ReceivedFrame& frame = peer.channel->Front(shm::Lane::kReplies);
        if (peer.process.is_daemon() || frame.header.source == peer.process) {
          // A private copy: the sender could change shared bytes under the reader.
          scratch_.assign(frame.body.begin(), frame.body.end());
          peer.channel->Pop(shm::Lane::kReplies);
          ExpectFrom(*peer.channel, expect);
          handle(frame.header, std::span<const std::byte>(scratch_));
        } else {
          peer.channel->Pop(shm::Lane::kReplies);
        }
      }
    }
    return any;
  }

 private:
  template <typename Expect>
  static void ExpectFrom(const shm::Channel& channel, Expect&& expect) {
    if (const auto next = channel.GuessCookieSlot(shm::Lane::kReplies, 0)) expect(*next, true);
    if (const auto second = channel.GuessCookieSlot(shm::Lane::kReplies, 1)) expect(*second, false);
  }
  bool Ring(bool corked_too);
  void Publish(Peer& peer);
  void Written(Peer& peer, bool at_once);
  void ShowCorked(Peer& peer);
  void CutIfDamaged(Peer& peer);
  void Cut(Peer& peer, const std::string& why);
  bool TryWriteQueued(Peer& peer);

  const model::ProcessId self_;
  std::vector<std::unique_ptr<Peer>> peers_;
  absl::flat_hash_map<model::ProcessId, Peer*> peers_by_id_;
  std::vector<std::unique_ptr<Peer>> retired_;
  std::vector<const shm::ProcessPage*> pages_;
  Peer* daemon_ = nullptr;
  // What Route gave last: most calls go to one of few processes.
  struct Routed {
    model::ProcessId to;
    Peer* peer = nullptr;
  };
  static constexpr size_t kRouted = 8;  // a power of two
  std::array<Routed, kRouted> routed_;
  std::vector<Peer*> to_ring_;
  bool is_ring_due_ = false;  // one of them sees all that was written to it
  std::vector<std::pair<model::ProcessId, std::string>> cut_;
  size_t queued_messages_ = 0;
  uint64_t frames_taken_ = 0;
  std::vector<std::byte> scratch_;
};

}  // namespace rayx::client
