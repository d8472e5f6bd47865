// runtime/shm/channel.h
//
// The memory through which two processes exchange frames: in each direction a lane of calls, a lane
// of everything else, and the claim words of the calls.
// Owner:    the daemon makes the memory file; each of the two processes holds one Channel on it.
// Threads:  writing (TryWrite, Publish), reading (Peek, Pop) and the two lanes of reading each one
//           thread at a time, independent of one another. Claim functions and HasWork: any thread.
// Inputs:   everything in the memory may be a hostile peer's: see kCorrupt.
// Promises: per lane frames arrive in order, whole, at most once. A writer killed in mid-write
//           leaves only whole frames. Nothing here blocks, allocates (after Open) or makes a system
//           call, but GiveBackWhenIdle.
//           Rings cost what was ever used of them, until they are idle.
// Limits:   no doorbell: ring it after Publish(). Nothing tells that a full lane has room again:
//           try at the next reply or tick. Replies can fill up: drain both lanes. One frame's body
//           is at most kBodyBytesMax; a longer one is the caller's mistake (CHECK).
//
//   Producer:  if (!channel.TryWrite(header, body)) KeepForLater();
//              channel.Publish();
//              doorbell.Ring();
//   Consumer:  while (channel.Look(Lane::kCalls) == ReadResult::kFrame) {
//                if (channel.TryClaim(channel.Front(Lane::kCalls))) Run(...);
//                channel.Pop(Lane::kCalls);
//              }
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/fd.h"
#include "base/status.h"
#include "model/frame.h"
#include "model/time.h"
#include "shm/channel_layout.h"
#include "shm/claim_words.h"
#include "shm/lane.h"
#include "shm/memory_file.h"

namespace rayx::shm {

class Channel {
 public:
  static constexpr model::Duration kIdleAfter = std::chrono::seconds(30);

  static base::StatusOr<base::UniqueFd> CreateMemory(const ChannelOptions& options = {});
  // Maps and checks a channel's memory. InvalidArgument names what is wrong with it.
  static base::StatusOr<std::unique_ptr<Channel>> Open(int fd, Side side);
  // Both ends over one mapping, for tests: `memory` is borrowed and begins with a channel's header.
  static base::StatusOr<std::unique_ptr<Channel>> OnMemory(std::span<std::byte> memory, Side side);
  static base::Status InitializeMemory(std::span<std::byte> memory, const ChannelOptions& options);

  // --- Producer ---
  // Writes a frame, invisible until Publish(). The lane follows from header.kind. Sets
  // header.body_bytes and, for calls, header.claim_slot (keep it for TryRevoke and ClaimOf); a body
  // above kRingBodyBytesMax goes into the payload ring. False: full (or poisoned), nothing changed.
  bool TryWrite(model::FrameHeader& header, std::span<const std::byte> body);
  void Publish();
  // Now and then, by the writing thread: once nothing was written for kIdleAfter and the peer has
  // read all there was, the memory of this side's rings goes back to the system, all but the first
  // 32 KiB of each. The next frames pay for it again, page by page.
  void GiveBackWhenIdle(model::TimePoint now);
  // A call will probably be written soon.
  void ExpectCall() const { sent_claims_.Prefetch(); }
  // Gets a queued call back. False: it runs, ran, or was revoked before.
  bool TryRevoke(uint32_t claim_slot, uint32_t cookie_sequence) {
    return sent_claims_.Move(claim_slot, cookie_sequence, ClaimState::kQueued,
                             ClaimState::kRevoked);
  }
  // Judge a dead peer's calls only after its replies are drained.
  ClaimState ClaimOf(uint32_t claim_slot, uint32_t cookie_sequence) const {
    return sent_claims_.Look(claim_slot, cookie_sequence);
  }

  // --- Consumer ---
  // kFrame: the next frame is in Front(lane), the same one until Pop(lane); its header stays until
  // the next Look.
  ReadResult Look(Lane lane) { return readers_[Index(lane)].Look(); }
  const ReceivedFrame& Front(Lane lane) const { return readers_[Index(lane)].front(); }
  // A copy of it.
  ReadResult Peek(Lane lane, ReceivedFrame& out) {
    const ReadResult result = Look(lane);
    if (result == ReadResult::kFrame) out = Front(lane);
    return result;
  }
  void Pop(Lane lane) { readers_[Index(lane)].Pop(); }
  // A guess at the pending slot that a frame names, which comes after `frames` more: any number.
  std::optional<uint32_t> GuessCookieSlot(Lane lane, uint64_t frames) const {
    const std::byte* const header = readers_[Index(lane)].Ahead(frames);
    if (header == nullptr) return std::nullopt;
    uint32_t slot;
    std::memcpy(&slot, header + offsetof(model::FrameHeader, cookie_slot), sizeof slot);
    return slot;
  }
  // Takes a call just before running it, before or after Pop. False: revoked; go on. Every call is
  // to be claimed and marked done, else its claim word is lost.
  bool TryClaim(uint32_t claim_slot, uint32_t cookie_sequence) {
    return received_claims_.Move(claim_slot, cookie_sequence, ClaimState::kQueued,
                                 ClaimState::kRunning);
  }
  bool TryClaim(const ReceivedFrame& frame) {
    return TryClaim(frame.header.claim_slot, frame.header.cookie_sequence);
  }
  // After the reply was published, so that "done" implies "the reply can be read".
  void MarkDone(uint32_t claim_slot, uint32_t cookie_sequence) {
    received_claims_.Finish(claim_slot, cookie_sequence);
  }
  // The peer is dead or has left: what it has answered is read, published or not. Then drain once
  // more.
  void ShowLastReplies() { readers_[Index(Lane::kReplies)].ShowWritten(); }
  bool HasWork() const { return readers_[0].HasWork() || readers_[1].HasWork(); }
  bool HasWork(Lane lane) const { return readers_[Index(lane)].HasWork(); }

  // Empty while sound; else what the peer did wrong. A poisoned channel is of no more use.
  std::string_view corruption() const;

 private:
  Channel(Mapping mapping, std::span<std::byte> memory, const ChannelShape& shape, Side side);
  static constexpr size_t Index(Lane lane) { return static_cast<size_t>(lane); }

  const Mapping mapping_;  // empty when the memory is borrowed
  LaneWriter writers_[kLanes];
  LaneReader readers_[kLanes];
  ClaimTable sent_claims_;
  ClaimWords received_claims_;
  // Of GiveBackWhenIdle.
  const ChannelShape shape_;
  const Side side_;
  uint64_t written_when_idle_ = 0;
  model::TimePoint idle_since_{};
  bool is_given_back_ = true;  // nothing is there to give back
};

}  // namespace rayx::shm
