#include "client/peer_links.h"

#include <algorithm>

#include "base/log.h"

namespace rayx::client {

base::Status PeerLinks::AddPeer(model::ProcessId process, bool first_side, base::UniqueFd channel,
                                base::UniqueFd page, base::UniqueFd eventfd, base::UniqueFd pidfd) {
  if (peers_by_id_.contains(process)) return absl::OkStatus();  // told twice
  RAYX_ASSIGN_OR_RETURN(
      std::unique_ptr<shm::Channel> opened,
      shm::Channel::Open(channel.get(), first_side ? shm::Side::kFirst : shm::Side::kSecond));
  RAYX_ASSIGN_OR_RETURN(shm::ProcessPage peer_page, shm::ProcessPage::Open(page.get()));
  auto peer = std::make_unique<Peer>(process, std::move(opened), std::move(peer_page),
                                     std::move(eventfd), std::move(pidfd));
  if (process.is_daemon() && process.node() == self_.node()) daemon_ = peer.get();
  peers_by_id_.emplace(process, peer.get());
  routed_ = {};
  // The daemon never spins, so that its page does not matter to the waiting policy.
  if (!process.is_daemon()) pages_.push_back(&peer->page);
  peers_.push_back(std::move(peer));
  return absl::OkStatus();
}

void PeerLinks::RemovePeer(model::ProcessId process) {
  auto it = peers_by_id_.find(process);
  if (it == peers_by_id_.end()) return;
  Peer* peer = it->second;
  peers_by_id_.erase(it);
  routed_ = {};
  queued_messages_ -= peer->queued.size();
  std::erase(to_ring_, peer);
  std::erase(pages_, &peer->page);
  auto at = std::find_if(peers_.begin(), peers_.end(),
                         [peer](const auto& each) { return each.get() == peer; });
  retired_.push_back(std::move(*at));
  peers_.erase(at);
}

void PeerLinks::ShowLastReplies(model::ProcessId process) {
  const auto it = peers_by_id_.find(process);
  if (it != peers_by_id_.end()) it->second->channel->ShowLastReplies();
}

void PeerLinks::MarkDead(model::ProcessId process) {
  auto it = peers_by_id_.find(process);
  if (it != peers_by_id_.end()) it->second->dead = true;
}

Peer* PeerLinks::Route(model::ProcessId destination) {
  Routed& routed = routed_[destination.value % kRouted];
  if (routed.peer != nullptr && routed.to == destination) return routed.peer;
  const auto it = peers_by_id_.find(destination);
  routed = {destination, it == peers_by_id_.end() ? daemon_ : it->second};
  return routed.peer;
}

void PeerLinks::Publish(Peer& peer) {
  peer.channel->Publish();
  peer.corked = 0;
  // Only now, so that "done" implies that the reply can be read.
  for (const auto& [slot, sequence] : peer.done) peer.channel->MarkDone(slot, sequence);
  peer.done.clear();
}

void PeerLinks::Written(Peer& peer, bool at_once) {
  if (++peer.corked >= kCorkedMax || at_once) {
    Publish(peer);
    is_ring_due_ = true;
  }
  if (std::exchange(peer.to_ring, true)) return;
  to_ring_.push_back(&peer);
}

// The lane is full: whoever is to make room must see what is in it.
void PeerLinks::ShowCorked(Peer& peer) {
  if (peer.corked == 0) return;
  Publish(peer);
  is_ring_due_ = true;
}

bool PeerLinks::SendCall(model::FrameHeader& header, std::span<const std::byte> body,
                         bool at_once) {
  Peer* peer = Route(header.destination);
  if (peer == nullptr || peer->dead) return false;
  header.body_bytes = static_cast<uint32_t>(body.size());
  if (!peer->channel->TryWrite(header, body)) {
    ShowCorked(*peer);
    CutIfDamaged(*peer);
    return false;
  }
  Written(*peer, at_once);
  return true;
}

void PeerLinks::SendReply(model::ProcessId caller, const model::FrameHeader& call,
                          model::FrameHeader& reply, std::span<const std::byte> body,
                          bool at_once) {
  Peer* const through = Route(caller);
  const bool is_there = through != nullptr && through->process == caller;
  if (is_there && !through->dead && through->queued.empty() &&
      Route(reply.destination) == through) {
    if (through->channel->TryWrite(reply, body)) {
      through->done.emplace_back(call.claim_slot, call.cookie_sequence);
      Written(*through, at_once);
      return;
    }
  }
  SendMessage(reply, body, /*urgent=*/false);
  if (is_there) through->channel->MarkDone(call.claim_slot, call.cookie_sequence);
}

void PeerLinks::SendMessage(const model::FrameHeader& header, std::span<const std::byte> body,
                            bool urgent) {
  Peer* peer = Route(header.destination);
  if (peer == nullptr || peer->dead) return;  // its death is told separately
  QueuedMessage message{header, {}, urgent};
  message.header.source = self_;
  message.header.body_bytes = static_cast<uint32_t>(body.size());
  if (urgent) message.header.flags |= model::kFlagUrgent;
  if (peer->queued.empty() && peer->channel->TryWrite(message.header, body)) {
    if (urgent) {
      Publish(*peer);
      peer->doorbell.RingUrgent();
    } else {
      Written(*peer, /*at_once=*/true);
    }
    return;
  }
  ShowCorked(*peer);
  message.body.assign(body.begin(), body.end());
  peer->queued_bytes += sizeof message + message.body.size();
  peer->queued.push_back(std::move(message));
  ++queued_messages_;
  if (peer->queued_bytes > kQueuedBytesMax)
    Cut(*peer, "it does not read its ring: 256 MiB of messages wait");
}

bool PeerLinks::TryWriteQueued(Peer& peer) {
  bool any = false;
  bool urgent = false;
  while (!peer.queued.empty()) {
    QueuedMessage& message = peer.queued.front();
    if (!peer.dead && !peer.channel->TryWrite(message.header, message.body)) {
      CutIfDamaged(peer);
      break;
    }
    urgent = urgent || message.urgent;
    peer.queued_bytes -= sizeof message + message.body.size();
    peer.queued.pop_front();
    --queued_messages_;
    any = true;
  }
  if (any && !peer.dead) {
    Publish(peer);
    if (urgent) {
      peer.doorbell.RingUrgent();
    } else {
      peer.doorbell.Ring();
    }
  }
  return any;
}

bool PeerLinks::FlushQueued() {
  if (queued_messages_ == 0) return false;
  bool any = false;
  for (auto& peer : peers_) {
    if (!peer->queued.empty() && TryWriteQueued(*peer)) any = true;
  }
  return any;
}

bool PeerLinks::Ring(bool corked_too) {
  bool slept = false;
  size_t kept = 0;
  is_ring_due_ = false;
  for (Peer* peer : to_ring_) {
    if (peer->corked > 0 && !corked_too) {
      to_ring_[kept++] = peer;
      continue;
    }
    if (peer->corked > 0) Publish(*peer);
    peer->to_ring = false;
    if (peer->doorbell.Ring()) slept = true;
  }
  to_ring_.resize(kept);
  return slept;
}

bool PeerLinks::HasWork(bool lane_of_calls) const {
  for (const auto& peer : peers_) {
    if (peer->dead) continue;
    if (peer->channel->HasWork(shm::Lane::kReplies)) return true;
    if (lane_of_calls && peer->channel->HasWork(shm::Lane::kCalls)) return true;
  }
  return false;
}

void PeerLinks::CutIfDamaged(Peer& peer) {
  const std::string_view corruption = peer.channel->corruption();
  if (!corruption.empty()) Cut(peer, std::string(corruption));
}

void PeerLinks::Cut(Peer& peer, const std::string& why) {
  if (peer.dead) return;
  RAYX_LOG(kWarning) << "channel to process " << model::ToString(peer.process)
                     << " is cut: " << why;
  peer.dead = true;
  cut_.emplace_back(peer.process, why);
}

}  // namespace rayx::client
