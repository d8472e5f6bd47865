// runtime/client/core/pending_slab.h
//
// The one pending table: entries in stable chunks with a LIFO free list, and one of runs for calls
// with several results.
//
// Purpose:  find an own object's entry from its id without a hash: the low 24 bits of a sequence
//           are the slot, the upper 40 count up, so that a slot's reuse is another id.
//           Their tasks' records come from chunks of their own, LIFO too.
// Owner:    ClientCore.
// Threads:  the baton's holder; At(slot) of a live slot also by whoever keeps a hold on it (chunks
//           never move).
// Promises: Find of an id that is not live gives kNoSlot, whoever made it up. The entries of a run
//           come back together, when the last of them is free, for a run as long; single entries
//           are taken out of free runs only when there is no other room.
// Limits:   2^24 live entries; Allocate gives kNoSlot beyond.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/page_block.h"
#include "client/core/entry.h"

namespace rayx::client {

// Gives a record back to the slab that it came from.
class PendingSlab;
struct ReturnTask {
  PendingSlab* slab = nullptr;
  inline void operator()(TaskRecord* record) const;
};
using TaskPtr = std::unique_ptr<TaskRecord, ReturnTask>;

class PendingSlab {
 public:
  static constexpr uint32_t kSlotBits = 24;
  static constexpr uint32_t kSlotsMax = 1u << kSlotBits;
  static constexpr uint32_t kChunkEntries = 4096;

  explicit PendingSlab(model::ProcessId self, uint32_t slots_max = kSlotsMax)
      : self_(self),
        slots_max_(slots_max),
        chunks_(new std::atomic<Entry*>[kSlotsMax / kChunkEntries]()) {}
  ~PendingSlab() {
    for (uint32_t slot = 0; slot < used_; ++slot) TakeTask(slot);
    for (uint32_t slot = 0; slot < used_; ++slot) At(slot).~Entry();
  }
  PendingSlab(const PendingSlab&) = delete;
  PendingSlab& operator=(const PendingSlab&) = delete;

  // `count` entries (1 or more) with consecutive slots and ids; the first slot.
  uint32_t Allocate(uint32_t count) {
    const uint32_t first = count == 1 ? TakeOne() : TakeRun(count);
    if (first == kNoSlot) return kNoSlot;
    const uint64_t number = ++count_;
    for (uint32_t i = 0; i < count; ++i) {
      Entry& entry = At(first + i);
      entry.id = model::ObjectId{self_, (number << kSlotBits) | (first + i)};
      entry.run = count == 1 ? kNoSlot : first;
    }
    live_ += count;
    return first;
  }

  // The entry's fields are reset by the caller.
  void Free(uint32_t slot) {
    Entry& entry = At(slot);
    entry.state = EntryState::kFree;
    entry.id = {};
    --live_;
    if (entry.run == kNoSlot) {
      PushFree(slot);
      return;
    }
    const auto run = runs_.find(std::exchange(entry.run, kNoSlot));
    if (--run->second.live > 0) return;
    free_runs_[run->second.count].push_back(run->first);
    runs_.erase(run);
  }

  // A record for SetTask. It must not outlive the slab.
  TaskPtr NewTask() {
    TaskSpace* space = free_task_;
    if (space != nullptr) {
      free_task_ = space->next;
      // The next one's lines come while this one is filled in.
      if (free_task_ != nullptr) Fetch(free_task_);
    } else {
      if (fresh_tasks_.empty()) AddTasks();
      space = &fresh_tasks_.front();
      fresh_tasks_ = fresh_tasks_.subspan(1);
    }
    return TaskPtr(new (space) TaskRecord, ReturnTask{this});
  }
  void SetTask(uint32_t slot, TaskPtr record) { At(slot).task = record.release(); }
  TaskPtr TakeTask(uint32_t slot) {
    return TaskPtr(std::exchange(At(slot).task, nullptr), ReturnTask{this});
  }

  // Of an object that this process owns.
  uint32_t FindOwn(const model::ObjectId& id) const {
    const auto slot = static_cast<uint32_t>(id.sequence & (kSlotsMax - 1));
    if (id.owner != self_ || slot >= used_ || At(slot).id != id) return kNoSlot;
    return slot;
  }

  [[gnu::always_inline]] Entry& At(uint32_t slot) const {
    return chunks_[slot / kChunkEntries].load(std::memory_order_acquire)[slot % kChunkEntries];
  }

  // It will soon be looked at, if there is one.
  void Expect(uint32_t slot) const {
    if (slot < used_) Fetch(&At(slot));
  }
  // Likewise its task, whose entry was expected before.
  void ExpectTask(uint32_t slot) const {
    if (slot < used_ && At(slot).task != nullptr) Fetch(At(slot).task);
  }

  // What a call carries beside the slot.
  static uint32_t CookieSequence(const model::ObjectId& id) {
    return static_cast<uint32_t>(id.sequence >> kSlotBits);
  }

  uint32_t used() const { return used_; }
  uint32_t live() const { return live_; }

 private:
  friend struct ReturnTask;
  union alignas(TaskRecord) TaskSpace {
    TaskSpace* next;
    std::byte bytes[sizeof(TaskRecord)];
  };
  static constexpr size_t kFirstTasks = 1024;  // a process with few tasks takes little

  // Nothing in new memory is touched before it is used.
  void AddTasks() {
    if (first_tasks_ == nullptr) {
      first_tasks_.reset(new TaskSpace[kFirstTasks]);
      fresh_tasks_ = {first_tasks_.get(), kFirstTasks};
      return;
    }
    auto& block = blocks_.emplace_back(base::NewPageBlock(base::kHugePageBytes));
    auto* const spaces = reinterpret_cast<TaskSpace*>(block.get());
    fresh_tasks_ = {spaces, base::kHugePageBytes / sizeof(TaskSpace)};
  }
  // Memory for the entries of one chunk: the first has its own, later ones share a huge page.
  std::byte* NewChunk() {
    constexpr size_t kBytes = kChunkEntries * sizeof(Entry);
    static_assert(base::kHugePageBytes % kBytes == 0);
    if (first_chunk_ == nullptr) {
      first_chunk_.reset(new (std::align_val_t{alignof(Entry)}) std::byte[kBytes]);
      return first_chunk_.get();
    }
    if (fresh_chunks_.empty()) {
      auto& block = blocks_.emplace_back(base::NewPageBlock(base::kHugePageBytes));
      fresh_chunks_ = {block.get(), base::kHugePageBytes};
    }
    std::byte* const chunk = fresh_chunks_.data();
    fresh_chunks_ = fresh_chunks_.subspan(kBytes);
    return chunk;
  }
  void FreeTask(TaskRecord* record) {
    record->~TaskRecord();
    auto* const space = new (record) TaskSpace;
    space->next = free_task_;
    free_task_ = space;
  }

  // Both entries and records are two cache lines. Any address will do.
  static void Fetch(const void* two_lines) {
    const auto* const at = static_cast<const std::byte*>(two_lines);
    __builtin_prefetch(at, 1);
    __builtin_prefetch(at + 64, 1);
  }

  struct Run {
    uint32_t count = 0;
    uint32_t live = 0;
  };

  void PushFree(uint32_t slot) {
    At(slot).next = free_;
    free_ = slot;
  }

  uint32_t TakeFresh(uint32_t count) {
    if (slots_max_ - used_ < count) return kNoSlot;
    const uint32_t first = used_;
    for (uint32_t slot = first; slot < first + count; ++slot) {
      auto& chunk = chunks_[slot / kChunkEntries];
      if (chunk.load(std::memory_order_relaxed) == nullptr) {
        chunk.store(reinterpret_cast<Entry*>(NewChunk()), std::memory_order_release);
      }
      new (&At(slot)) Entry;
    }
    used_ += count;
    return first;
  }

  uint32_t TakeOne() {
    if (free_ == kNoSlot) {
      const uint32_t fresh = TakeFresh(1);
      if (fresh != kNoSlot || !TakeFreeRun(1)) return fresh;
    }
    const uint32_t slot = free_;
    free_ = At(slot).next;
    if (free_ != kNoSlot) Fetch(&At(free_));
    return slot;
  }

  uint32_t TakeRun(uint32_t count) {
    uint32_t first = kNoSlot;
    if (const auto same = free_runs_.find(count); same != free_runs_.end()) {
      first = TakeFrom(same);
    } else {
      first = TakeFresh(count);
      if (first == kNoSlot) {
        const auto longer = TakeFreeRun(count);
        if (!longer) return kNoSlot;
        first = *longer;
      }
    }
    runs_.emplace(first, Run{count, count});
    return first;
  }

  // The shortest free run of `count` or more: its first slot, what is beyond `count` goes to the
  // single ones; all of it does for a count of 1.
  std::optional<uint32_t> TakeFreeRun(uint32_t count) {
    const auto found = free_runs_.lower_bound(count);
    if (found == free_runs_.end()) return std::nullopt;
    const uint32_t length = found->first;
    const uint32_t first = TakeFrom(found);
    for (uint32_t i = count == 1 ? 0 : count; i < length; ++i) PushFree(first + i);
    return first;
  }

  uint32_t TakeFrom(std::map<uint32_t, std::vector<uint32_t>>::iterator runs) {
    const uint32_t first = runs->second.back();
    runs->second.pop_back();
    if (runs->second.empty()) free_runs_.erase(runs);
    return first;
  }

  const model::ProcessId self_;
  const uint32_t slots_max_;
  std::unique_ptr<std::atomic<Entry*>[]> chunks_;
  uint32_t used_ = 0;
  uint32_t live_ = 0;
  uint32_t free_ = kNoSlot;
  uint64_t count_ = 0;
  struct FreeChunk {
    void operator()(std::byte* chunk) const {
      ::operator delete[](chunk, std::align_val_t{alignof(Entry)});
    }
  };
  std::unique_ptr<std::byte[], FreeChunk> first_chunk_;
  std::span<std::byte> fresh_chunks_;  // of the newest block: not yet used
  std::unique_ptr<TaskSpace[]> first_tasks_;
  std::span<TaskSpace> fresh_tasks_;  // of the newest block: not yet used
  std::vector<base::PageBlock> blocks_;
  TaskSpace* free_task_ = nullptr;
  absl::flat_hash_map<uint32_t, Run> runs_;              // live, by their first slot
  std::map<uint32_t, std::vector<uint32_t>> free_runs_;  // by length: their first slots
};

inline void ReturnTask::operator()(TaskRecord* record) const {
  slab->FreeTask(record);
}

}  // namespace rayx::client
