// runtime/shm/lane.h
//
// One lane of a channel: a ring of frames and a ring of payload blocks, one writer, one reader.
// Owner:    shm/channel.h.
// Threads:  the writer's and the reader's, each one at a time; they share only LaneControl and
//           bytes.
// Inputs:   reader and writer each trust nothing the other wrote: positions are checked against the
//           capacity, lengths against contiguous bytes, before anything is used.
// Promises: frames come out in order, whole or not at all: what was written but not published is
//           not seen, but for what a dead writer has left, when that is asked for. After
//           corruption the end is poisoned for good: every later call answers at once. No
//           allocation after construction, no unbounded loop.
// Limits:   frames are 64-byte aligned and never wrap; where one does not fit before the end of the
//           ring a skip marker stands and the frame begins at offset 0.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "model/frame.h"
#include "shm/channel_layout.h"

namespace rayx::shm {

enum class ReadResult : uint8_t { kEmpty, kFrame, kCorrupt };

struct ReceivedFrame {
  model::FrameHeader header;        // a private copy, checked; kFlagPayloadBlock removed
  std::span<const std::byte> body;  // in shared memory, until Pop(lane): copy what must live longer
};

class LaneWriter {
 public:
  explicit LaneWriter(const LaneMemory& memory) : memory_(memory) {}

  // Room for a frame with this body, or nothing: looks at the reader's tail only when it must.
  struct Place {
    uint64_t skip = 0;  // bytes to skip before the frame
    uint64_t frame_bytes = 0;
    uint64_t payload_position = 0;  // when payload
    bool payload = false;
  };
  bool Find(size_t body_bytes, Place& place);
  // Writes at a place just found.
  void Write(const Place& place, const model::FrameHeader& header, std::span<const std::byte> body);
  // Shows the reader everything written so far.
  void Publish();

  // Bytes, ever; frames with a payload block count too.
  uint64_t written() const { return head_; }
  // Whether the reader has released all that was written: no byte of the rings means anything then.
  bool IsDrained();

  // nullptr while sound. Any thread.
  const char* corruption() const { return corruption_.load(std::memory_order_relaxed); }

 private:
  bool RingHasRoom(uint64_t bytes);
  uint64_t ReaderTail();  // fresh: a line that the reader writes
  bool FindPayload(uint64_t bytes, Place& place);
  bool Poison(const char* why);

  const LaneMemory memory_;
  uint64_t head_ = 0;       // written
  uint64_t published_ = 0;  // of it, visible to the reader
  uint64_t tail_seen_ = 0;
  uint64_t payload_head_ = 0;
  uint64_t payload_tail_seen_ = 0;
  std::atomic<const char*> corruption_{nullptr};
};

class LaneReader {
 public:
  explicit LaneReader(const LaneMemory& memory) : memory_(memory) {}

  // The next frame is then in front(), the same one until Pop().
  ReadResult Look() {
    if (current_end_ != 0 && corruption() == nullptr) return ReadResult::kFrame;
    return LookFurther();
  }
  const ReceivedFrame& front() const { return current_; }
  // Releases the front frame and its payload block. Without one: does nothing.
  void Pop();
  // Where a header stands that comes after `frames` more, were they all as long as the one popped
  // last: for guesses, nothing of it is checked. Null: nothing has come so far.
  const std::byte* Ahead(uint64_t frames) const {
    const uint64_t position = Tail() + frames * popped_bytes_;
    const uint64_t offset = position & (memory_.ring.size() - 1);
    const bool is_there = position + model::kFrameHeaderBytes <= head_seen_ &&
                          offset + model::kFrameHeaderBytes <= memory_.ring.size();
    return is_there ? memory_.ring.data() + offset : nullptr;
  }
  // The writer is dead or has left: what it wrote whole and did not publish is to be read too.
  void ShowWritten();
  // Any thread. False once poisoned.
  bool HasWork() const {
    return memory_.control->head.load(std::memory_order_acquire) !=
               tail_.load(std::memory_order_relaxed) &&
           corruption() == nullptr;
  }
  const char* corruption() const { return corruption_.load(std::memory_order_relaxed); }

 private:
  ReadResult LookFurther();
  uint64_t Tail() const { return tail_.load(std::memory_order_relaxed); }
  ReadResult ReadFrame(uint64_t available);
  ReadResult ReadBody(uint64_t contiguous);
  ReadResult ReadPayload(const std::byte* reference);
  ReadResult Poison(const char* why);

  const LaneMemory memory_;
  // Our own: what stands in shared memory is for the writer. Atomic because HasWork reads it.
  std::atomic<uint64_t> tail_{0};
  uint64_t head_seen_ = 0;
  bool is_head_new_ = false;  // no frame was read since it was seen
  uint64_t payload_tail_ = 0;
  // The frame seen and not yet popped; current_end_ is 0 when there is none.
  ReceivedFrame current_;
  uint64_t current_end_ = 0;
  uint64_t current_payload_end_ = 0;
  uint64_t popped_bytes_ = 0;  // of the last one, in the ring
  std::atomic<const char*> corruption_{nullptr};
};

}  // namespace rayx::shm
