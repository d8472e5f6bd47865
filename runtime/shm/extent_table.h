// runtime/shm/extent_table.h
//
// The control area of a job's store segment on a VM: what lies where, in which state, and who holds
// it. The data itself is shm/segment.h.
// Owner:    the node daemon makes it; it and the job's processes map it read-write.
// Threads:  ControlArea: any. ExtentGranter: the daemon's store loop. PinLedger: any (a mutex
//           inside).
// Inputs:   every index that comes from a peer or lies in the area is checked against the table.
//           The daemon allocates by its own private books, never by offsets or generations found
//           here.
// Promises: a pinned extent is not reused; a generation is never used twice for an entry, so a
//           stale location pins nothing; pins of a dead process go with ReleaseLedger, all at once.
// Limits:   `entries` objects and `ledger_blocks` blocks of 256 pins a job and VM; beyond it
//           ResourceExhausted, which users see as ObjectStoreFull.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "model/ids.h"
#include "shm/memory_file.h"
#include "shm/pin_protocol.h"

namespace rayx::shm {

inline constexpr uint32_t kControlMagic = 0x41435852;  // "RXCA"
inline constexpr uint32_t kPinSlotsPerBlock = 256;
inline constexpr uint32_t kExtentEntriesMax = 1 << 22;
inline constexpr uint32_t kLedgerBlocksMax = 1 << 16;
inline constexpr uint32_t kNoLedger = UINT32_MAX;

struct ControlOptions {
  uint32_t entries = 65536;      // 64 bytes each, sparse
  uint32_t ledger_blocks = 512;  // 2112 bytes each, sparse
};

struct ExtentEntry {
  alignas(kCacheLineBytes) std::atomic<uint64_t> word;  // generation and state
  std::atomic<uint64_t> owner;
  std::atomic<uint64_t> sequence;
  std::atomic<uint64_t> offset;
  std::atomic<uint64_t> size;
};
static_assert(sizeof(ExtentEntry) == kCacheLineBytes);

struct LedgerBlock {
  alignas(kCacheLineBytes) std::atomic<uint64_t> process;  // 0: nobody's
  alignas(kCacheLineBytes) std::atomic<uint64_t> slots[kPinSlotsPerBlock];
};
static_assert(sizeof(LedgerBlock) == kCacheLineBytes + kPinSlotsPerBlock * 8);

struct Extent {
  model::ObjectId object;
  uint64_t offset = 0;
  uint64_t size = 0;
  uint32_t generation = 0;
  ExtentState state = ExtentState::kFree;
};

class ControlArea {
 public:
  static base::StatusOr<base::UniqueFd> CreateMemory(const ControlOptions& options = {});
  static base::StatusOr<std::shared_ptr<ControlArea>> Open(int fd);

  uint32_t entries() const { return options_.entries; }
  uint32_t ledger_blocks() const { return options_.ledger_blocks; }

  // How often the daemon has taken memory of the segment back: what a process remembers of the
  // pages that it has mapped holds until this changes. A hint, for speed only.
  uint64_t punches() const { return PunchWord().load(std::memory_order_acquire); }
  void CountPunch() { PunchWord().fetch_add(1, std::memory_order_release); }

  // A look at an entry, as hostile as its writers: check offset and size against the segment.
  // InvalidArgument: no such entry.
  base::StatusOr<Extent> Read(uint32_t entry) const;

  // The writer, when every byte is written. FailedPrecondition: not granted under this generation.
  base::Status Seal(uint32_t entry, uint32_t generation);
  // An owner on this VM or its daemon. False: not sealed under this generation (freed before).
  bool Free(uint32_t entry, uint32_t generation);

 private:
  friend class ExtentGranter;
  friend class PinLedger;
  ControlArea(Mapping mapping, const ControlOptions& options);
  std::atomic<uint64_t>& PunchWord() const;
  ExtentEntry* EntryAt(uint32_t entry) const;  // nullptr: out of range
  LedgerBlock* BlockAt(uint32_t block) const;  // nullptr: out of range
  bool TakeBlock(uint32_t block, model::ProcessId process);

  const Mapping mapping_;
  const ControlOptions options_;  // copied once at Open
  ExtentEntry* table_;
  LedgerBlock* blocks_;
};

// The daemon's side. Generations are counted here, privately.
class ExtentGranter {
 public:
  explicit ExtentGranter(std::shared_ptr<ControlArea> area);

  // Entry `entry`, which the caller knows to be unused, becomes WRITING under a new generation,
  // which is returned. InvalidArgument: no such entry.
  base::StatusOr<uint32_t> Grant(uint32_t entry, model::ObjectId object, uint64_t offset,
                                 uint64_t size);
  uint32_t GenerationOf(uint32_t entry) const;  // of the last grant; 0 for none

  // A writer died before it sealed: WRITING -> FREED. False: it was sealed, or is another's.
  bool Discard(uint32_t entry, uint32_t generation);
  // The end of a job: whatever the state says, FREED.
  void ForceFreed(uint32_t entry);
  // SEALED -> EVICTING, and back.
  bool BeginEvict(uint32_t entry, uint32_t generation);
  bool CancelEvict(uint32_t entry, uint32_t generation);

  // Does any ledger hold {entry, generation}? Ask after the entry is FREED (or EVICTING): a false
  // is then final and the bytes may be reused.
  bool IsPinned(uint32_t entry, uint32_t generation) const;

  // The first block of a process's ledger. ResourceExhausted: no block left.
  base::StatusOr<uint32_t> AssignLedger(model::ProcessId process);
  // Only when the process's pidfd is readable: all its threads are gone.
  void ReleaseLedger(model::ProcessId process);

 private:
  const std::shared_ptr<ControlArea> area_;
  std::vector<uint32_t> generations_;
};

// A process's pins. Takes further blocks by itself when one is full.
class PinLedger {
 public:
  // `first_block` as the daemon assigned it. InvalidArgument: out of range or not this process's.
  static base::StatusOr<std::unique_ptr<PinLedger>> Open(std::shared_ptr<ControlArea> area,
                                                         model::ProcessId process,
                                                         uint32_t first_block);

  struct Pin {
    PinResult result = PinResult::kGone;
    uint32_t slot = 0;  // for Unpin, when kPinned
  };
  // An object may be pinned several times; each pin takes a slot. The daemon's ledger also pins
  // what is being written.
  Pin TryPin(uint32_t entry, uint32_t generation);
  void Unpin(uint32_t slot);
  size_t pins() const;

 private:
  PinLedger(std::shared_ptr<ControlArea> area, model::ProcessId process);
  void AddBlock(uint32_t block);
  bool TakeAnotherBlock();
  std::atomic<uint64_t>& SlotAt(uint32_t slot) const;

  const std::shared_ptr<ControlArea> area_;
  const model::ProcessId process_;
  // Guarded by mutex_.
  mutable std::mutex mutex_;
  std::vector<uint32_t> blocks_;
  std::vector<uint32_t> free_slots_;  // slot = index in blocks_ * 256 + slot in block
  size_t pins_ = 0;
};

}  // namespace rayx::shm
