// runtime/client/core/pending_slab.h
//
// The one pending table: entries in stable chunks with a LIFO free list.
//
// Purpose:  find an own object's entry from its id without a hash: the low 24 bits of a sequence
//           are the slot, the upper 40 count up, so that a slot's reuse is another id.
// Owner:    ClientCore.
// Threads:  the baton's holder; At(slot) of a live slot also by whoever keeps a hold on it (chunks
//           never move).
// Promises: Find of an id that is not live gives kNoSlot, whoever made it up.
// Limits:   2^24 live entries; Allocate gives kNoSlot beyond.
#pragma once

#include <atomic>
#include <memory>

#include "client/core/entry.h"

namespace rayx::client {

class PendingSlab {
 public:
  static constexpr uint32_t kSlotBits = 24;
  static constexpr uint32_t kSlotsMax = 1u << kSlotBits;
  static constexpr uint32_t kChunkEntries = 4096;

  explicit PendingSlab(model::ProcessId self)
      : self_(self), chunks_(new std::atomic<Entry*>[kSlotsMax / kChunkEntries]()) {}
  ~PendingSlab() {
    for (uint32_t i = 0; i * kChunkEntries < used_; ++i) delete[] chunks_[i].load();
  }
  PendingSlab(const PendingSlab&) = delete;
  PendingSlab& operator=(const PendingSlab&) = delete;

  // `count` entries with consecutive slots and ids; the first slot.
  uint32_t Allocate(uint32_t count) {
    uint32_t first;
    if (count == 1 && free_ != kNoSlot) {
      first = free_;
      free_ = At(first).next;
    } else {
      if (kSlotsMax - used_ < count) return kNoSlot;
      first = used_;
      for (uint32_t slot = first; slot < first + count; ++slot) {
        auto& chunk = chunks_[slot / kChunkEntries];
        if (chunk.load(std::memory_order_relaxed) == nullptr) {
          chunk.store(new Entry[kChunkEntries], std::memory_order_release);
        }
      }
      used_ += count;
    }
    const uint64_t number = ++count_;
    for (uint32_t i = 0; i < count; ++i) {
      At(first + i).id = model::ObjectId{self_, (number << kSlotBits) | (first + i)};
    }
    live_ += count;
    return first;
  }

  // The entry's fields are reset by the caller.
  void Free(uint32_t slot) {
    Entry& entry = At(slot);
    entry.state = EntryState::kFree;
    entry.id = {};
    entry.next = free_;
    free_ = slot;
    --live_;
  }

  // Of an object that this process owns.
  uint32_t FindOwn(const model::ObjectId& id) const {
    const auto slot = static_cast<uint32_t>(id.sequence & (kSlotsMax - 1));
    if (id.owner != self_ || slot >= used_ || At(slot).id != id) return kNoSlot;
    return slot;
  }

  Entry& At(uint32_t slot) const {
    return chunks_[slot / kChunkEntries].load(std::memory_order_acquire)[slot % kChunkEntries];
  }

  // What a call carries beside the slot.
  static uint32_t CookieSequence(const model::ObjectId& id) {
    return static_cast<uint32_t>(id.sequence >> kSlotBits);
  }

  uint32_t used() const { return used_; }
  uint32_t live() const { return live_; }

 private:
  const model::ProcessId self_;
  std::unique_ptr<std::atomic<Entry*>[]> chunks_;
  uint32_t used_ = 0;
  uint32_t live_ = 0;
  uint32_t free_ = kNoSlot;
  uint64_t count_ = 0;
};

}  // namespace rayx::client
