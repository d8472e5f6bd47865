// runtime/shm/pin_protocol.h
//
// The steps by which a reader pins an extent and a daemon makes sure that nobody does, apart from
// what they act on, so that the test which walks through every interleaving runs this very code.
// Users:    shm/extent_table.h.           Threads: any.
// Promises: an extent is reused only if no reader that was told "pinned" still holds its pin. Rests
//           on: the reader writes its slot, fences, reads the state; the daemon sees the state
//           FREED, fences, reads the slots.
#pragma once

#include <atomic>
#include <cstdint>

namespace rayx::shm {

enum class ExtentState : uint32_t {
  kFree = 0,      // of the daemon, to be granted
  kWriting = 1,   // granted: one writer
  kSealed = 2,    // immutable
  kEvicting = 3,  // the daemon moves it away: ask for the location again
  kFreed = 4,     // no new pins; reusable when the last pin is gone
};

enum class PinResult {
  kPinned,
  kGone,      // freed or reused: the location is stale
  kEvicting,  // wait a bounded time, then ask for the location again
  kNoSlot,    // the ledger is full: ObjectStoreFull
};

struct PinProtocol {
  static constexpr uint64_t Word(uint32_t generation, ExtentState state) {
    return uint64_t{generation} << 32 | static_cast<uint32_t>(state);
  }
  static constexpr uint32_t GenerationOf(uint64_t word) {
    return static_cast<uint32_t>(word >> 32);
  }
  static constexpr ExtentState StateOf(uint64_t word) {
    return static_cast<ExtentState>(static_cast<uint32_t>(word));
  }
  // What a ledger slot holds; 0 is an empty slot.
  static constexpr uint64_t Name(uint32_t entry, uint32_t generation) {
    return uint64_t{generation} << 32 | (entry + 1);
  }

  // Reader, into its own empty slot, which is empty again unless the answer is kPinned.
  template <typename Slot, typename WordOf, typename Os>
  static PinResult Pin(Slot& slot, const WordOf& word, uint32_t entry, uint32_t generation,
                       Os& os) {
    slot.store(Name(entry, generation), std::memory_order_relaxed);
    os.Fence();
    const uint64_t now = word.load(std::memory_order_acquire);
    if (now == Word(generation, ExtentState::kSealed)) return PinResult::kPinned;
    Unpin(slot);
    return now == Word(generation, ExtentState::kEvicting) ? PinResult::kEvicting
                                                           : PinResult::kGone;
  }
  // Release: the reads of the extent come before.
  template <typename Slot>
  static void Unpin(Slot& slot) {
    slot.store(0, std::memory_order_release);
  }

  template <typename WordOf>
  static bool Move(WordOf& word, uint32_t generation, ExtentState from, ExtentState to) {
    uint64_t expected = Word(generation, from);
    return word.compare_exchange_strong(expected, Word(generation, to), std::memory_order_acq_rel);
  }

  // Daemon, once per scan, after it saw the state FREED and before it reads the first slot.
  template <typename Os>
  static void BeginScan(Os& os) {
    os.Fence();
  }
  template <typename Slot>
  static bool SlotNames(const Slot& slot, uint32_t entry, uint32_t generation) {
    return slot.load(std::memory_order_acquire) == Name(entry, generation);
  }
};

}  // namespace rayx::shm
