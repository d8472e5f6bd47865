#include "shm/lane.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "shm/prefetch.h"

namespace rayx::shm {
namespace {

using model::kFrameHeaderBytes;

constexpr uint64_t kAlign = kCacheLineBytes;
constexpr uint32_t kSkipMagic = 0x50494b53;  // "SKIP": the rest of the ring is unused

// What stands behind the header of a frame whose body lies in the payload ring.
struct PayloadReference {
  uint64_t position;
};

constexpr uint64_t Aligned(uint64_t bytes) {
  return (bytes + kAlign - 1) & ~(kAlign - 1);
}

// Of a frame in the ring, whose body may lie in the payload ring.
constexpr uint64_t FrameBytes(uint64_t body_bytes, bool payload) {
  return Aligned(kFrameHeaderBytes + (payload ? sizeof(PayloadReference) : body_bytes));
}
// A call or an answer of one small value.
constexpr uint64_t kUsualFrameBytes = FrameBytes(model::ItemBytes(sizeof(uint64_t)), false);

uint64_t Offset(uint64_t position, std::span<const std::byte> ring) {
  return position & (ring.size() - 1);
}

// A tail that the other side published must lie between the last one seen and our head.
bool SoundTail(uint64_t tail, uint64_t seen, uint64_t head) {
  return tail >= seen && tail <= head && tail % kAlign == 0;
}

}  // namespace

// --- Writer ---

bool LaneWriter::Poison(const char* why) {
  corruption_.store(why, std::memory_order_relaxed);
  return false;
}

uint64_t LaneWriter::ReaderTail() {
  const uint64_t tail = memory_.control->tail.load(std::memory_order_acquire);
  if (SoundTail(tail, tail_seen_, published_)) {
    tail_seen_ = tail;
  } else {
    Poison("the reader's tail is out of range");
  }
  return tail_seen_;
}

bool LaneWriter::IsDrained() {
  return published_ == head_ && ReaderTail() == head_ &&
         memory_.control->payload_tail.load(std::memory_order_acquire) == payload_head_;
}

bool LaneWriter::RingHasRoom(uint64_t bytes) {
  if (head_ + bytes - tail_seen_ <= memory_.ring.size()) return true;
  return head_ + bytes - ReaderTail() <= memory_.ring.size();
}

bool LaneWriter::Find(size_t body_bytes, Place& place) {
  if (corruption() != nullptr) return false;
  place.payload = body_bytes > model::kRingBodyBytesMax;
  place.frame_bytes = FrameBytes(body_bytes, place.payload);
  const uint64_t to_end = memory_.ring.size() - Offset(head_, memory_.ring);
  place.skip = to_end < place.frame_bytes ? to_end : 0;
  if (!RingHasRoom(place.skip + place.frame_bytes)) return false;
  return corruption() == nullptr && (!place.payload || FindPayload(Aligned(body_bytes), place));
}

bool LaneWriter::FindPayload(uint64_t bytes, Place& place) {
  const uint64_t tail = memory_.control->payload_tail.load(std::memory_order_acquire);
  if (!SoundTail(tail, payload_tail_seen_, payload_head_)) {
    return Poison("the reader's payload tail is out of range");
  }
  payload_tail_seen_ = tail;
  const uint64_t capacity = memory_.payload.size();
  const uint64_t offset = Offset(payload_head_, memory_.payload);
  // A block never wraps. An empty ring starts over at its first, warm pages where that fits.
  const bool start_over = tail == payload_head_ && bytes <= offset;
  const uint64_t skip = start_over || capacity - offset < bytes ? capacity - offset : 0;
  place.payload_position = payload_head_ + skip;
  return place.payload_position + bytes - tail <= capacity;
}

void LaneWriter::Write(const Place& place, const model::FrameHeader& header,
                       std::span<const std::byte> body) {
  if (place.skip != 0) {
    std::memcpy(memory_.ring.data() + Offset(head_, memory_.ring), &kSkipMagic, sizeof kSkipMagic);
    head_ += place.skip;
  }
  std::byte* frame = memory_.ring.data() + Offset(head_, memory_.ring);
  model::StoreHeader(header, frame);
  std::byte* target = frame + kFrameHeaderBytes;
  if (place.payload) {
    const PayloadReference reference{place.payload_position};
    std::memcpy(target, &reference, sizeof reference);
    target = memory_.payload.data() + Offset(place.payload_position, memory_.payload);
    payload_head_ = place.payload_position + Aligned(body.size());
  }
  if (!body.empty()) std::memcpy(target, body.data(), body.size());
  head_ += place.frame_bytes;
  if (memory_.lane == Lane::kReplies) {
    memory_.control->written.store(head_, std::memory_order_release);
  }
  // The next frame's lines, which the reader has.
  PrefetchToWrite(memory_.ring.data() + Offset(head_, memory_.ring), place.frame_bytes);
}

void LaneWriter::Publish() {
  if (published_ == head_) return;
  published_ = head_;
  memory_.control->head.store(head_, std::memory_order_release);
}

// --- Reader ---

// As if it had published them; the head is looked at as any other.
void LaneReader::ShowWritten() {
  const uint64_t written = memory_.control->written.load(std::memory_order_acquire);
  memory_.control->head.store(written, std::memory_order_release);
}

ReadResult LaneReader::Poison(const char* why) {
  corruption_.store(why, std::memory_order_relaxed);
  return ReadResult::kCorrupt;
}

ReadResult LaneReader::LookFurther() {
  if (corruption() != nullptr) return ReadResult::kCorrupt;
  if (Tail() == head_seen_) {
    head_seen_ = memory_.control->head.load(std::memory_order_acquire);
    if (Tail() == head_seen_) return ReadResult::kEmpty;
    // Unsigned: a head behind the tail is a distance beyond any capacity.
    if (head_seen_ - Tail() > memory_.ring.size() || head_seen_ % kAlign != 0) {
      return Poison("the writer's head is out of range");
    }
    is_head_new_ = true;
    // Its body too, which is known only when its header has come.
    PrefetchToRead(memory_.ring.data() + Offset(Tail(), memory_.ring), kUsualFrameBytes);
  }
  return ReadFrame(head_seen_ - Tail());
}

ReadResult LaneReader::ReadFrame(uint64_t available) {
  const uint64_t offset = Offset(Tail(), memory_.ring);
  const uint64_t to_end = memory_.ring.size() - offset;
  const std::byte* frame = memory_.ring.data() + offset;
  model::FrameError error = model::FrameError::kTruncated;
  // Where no header fits before the end there is a skip marker, which need not be read.
  if (to_end >= kFrameHeaderBytes && available >= kFrameHeaderBytes) {
    error = model::DecodeHeader({frame, kFrameHeaderBytes}, current_.header);
  }
  const bool skip = to_end < kFrameHeaderBytes ||
                    (error == model::FrameError::kBadMagic && current_.header.magic == kSkipMagic);
  if (skip && offset != 0 && available > to_end) {
    // The writer learns of it with the frame that follows.
    tail_.store(Tail() + to_end, std::memory_order_relaxed);
    return ReadFrame(available - to_end);  // at offset 0, where no marker is accepted
  }
  if (skip) return Poison("a skip marker without a frame behind it");
  if (error != model::FrameError::kNone) return Poison(ToString(error));
  if (IsCall(current_.header.kind) != (memory_.lane == Lane::kCalls)) {
    return Poison("a frame in the wrong lane");
  }
  return ReadBody(std::min(available, to_end));
}

ReadResult LaneReader::ReadBody(uint64_t contiguous) {
  model::FrameHeader& header = current_.header;
  const std::byte* behind = memory_.ring.data() + Offset(Tail(), memory_.ring) + kFrameHeaderBytes;
  const bool payload = (header.flags & model::kFlagPayloadBlock) != 0;
  const uint64_t bytes = FrameBytes(header.body_bytes, payload);
  if (!payload && header.body_bytes > model::kRingBodyBytesMax) {
    return Poison("a body too large for the ring");
  }
  if (bytes > contiguous) return Poison("a frame reaches beyond the published bytes");
  current_payload_end_ = payload_tail_;
  if (payload) {
    if (ReadPayload(behind) == ReadResult::kCorrupt) return ReadResult::kCorrupt;
    header.flags &= static_cast<uint8_t>(~model::kFlagPayloadBlock);
  } else {
    current_.body = {behind, header.body_bytes};
  }
  current_end_ = Tail() + bytes;
  // Frames of one kind have one size mostly: the one after the next, and the next too where
  // nothing was known of it before.
  const std::span<const std::byte> ring = memory_.ring;
  const uint64_t behind_next = current_end_ + bytes;
  if (std::exchange(is_head_new_, false) && current_end_ < head_seen_) {
    PrefetchToRead(ring.data() + Offset(current_end_, ring), bytes);
  }
  if (behind_next < head_seen_) PrefetchToRead(ring.data() + Offset(behind_next, ring), bytes);
  return ReadResult::kFrame;
}

ReadResult LaneReader::ReadPayload(const std::byte* reference) {
  uint64_t position;
  std::memcpy(&position, reference, sizeof position);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  const uint64_t capacity = memory_.payload.size();
  const uint64_t bytes = current_.header.body_bytes;
  const uint64_t offset = Offset(position, memory_.payload);
  // In this order nothing overflows: each sum is of numbers already bounded.
  if (position % kAlign != 0 || position - payload_tail_ > capacity ||
      position - payload_tail_ + Aligned(bytes) > capacity || offset + bytes > capacity) {
    return Poison("a payload block out of range");
  }
  current_.body = {memory_.payload.data() + offset, bytes};
  current_payload_end_ = position + Aligned(bytes);
  return ReadResult::kFrame;
}

void LaneReader::Pop() {
  if (current_end_ == 0) return;
  const uint64_t tail = current_end_;
  popped_bytes_ = tail - Tail();
  tail_.store(tail, std::memory_order_relaxed);
  current_end_ = 0;
  current_.body = {};
  if (current_payload_end_ != payload_tail_) {
    payload_tail_ = current_payload_end_;
    memory_.control->payload_tail.store(payload_tail_, std::memory_order_release);
  }
  memory_.control->tail.store(tail, std::memory_order_release);
}

}  // namespace rayx::shm
