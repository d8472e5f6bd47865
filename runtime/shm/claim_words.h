// runtime/shm/claim_words.h
//
// Claim words: who may still take a queued call (MECHANISMS 2). queued -> running -> done, or
// queued -> revoked; the consumer swaps to running just before user code, the producer swaps to
// revoked to get a call back.
// Owner:    the table of a direction belongs to its producer; the words lie in shared memory.
// Threads:  Reserve, Occupy: the producer's. The free functions: any, in either process.
// Inputs:   words may hold anything a hostile peer wrote: an unknown value counts as "not mine".
// Promises: a call runs or is revoked, never both, and never twice. A word is used again only when
//           its call is done or revoked *and* the consumer has passed its frame: until then a stale
//           frame could claim the next call with the same tag.
// Limits:   the tag is the call's cookie_sequence, so ask only about calls that are still pending.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace rayx::shm {

enum class ClaimState : uint32_t {
  kUnknown = 0,  // never used, another call's, or nonsense
  kQueued = 1,
  kRunning = 2,
  kDone = 3,
  kRevoked = 4,
};

// The steps, apart from std::atomic, so that the interleaving test runs this very code.
struct ClaimProtocol {
  static constexpr uint64_t Word(uint32_t cookie_sequence, ClaimState state) {
    return uint64_t{cookie_sequence} << 32 | static_cast<uint32_t>(state);
  }
  // Before the frame is published.
  template <typename AtomicWord>
  static void Queue(AtomicWord& word, uint32_t cookie_sequence) {
    word.store(Word(cookie_sequence, ClaimState::kQueued), std::memory_order_relaxed);
  }
  template <typename AtomicWord>
  static bool Move(AtomicWord& word, uint32_t cookie_sequence, ClaimState from, ClaimState to) {
    uint64_t expected = Word(cookie_sequence, from);
    return word.compare_exchange_strong(expected, Word(cookie_sequence, to),
                                        std::memory_order_acq_rel);
  }
  template <typename AtomicWord>
  static ClaimState Look(const AtomicWord& word, uint32_t cookie_sequence) {
    const uint64_t value = word.load(std::memory_order_acquire);
    if (value >> 32 != cookie_sequence) return ClaimState::kUnknown;
    const auto state = static_cast<uint32_t>(value);
    return state <= 4 ? static_cast<ClaimState>(state) : ClaimState::kUnknown;
  }
  // `passed`: the consumer's tail is beyond the frame.
  template <typename AtomicWord>
  static bool Reusable(const AtomicWord& word, bool passed) {
    const auto state =
        static_cast<ClaimState>(static_cast<uint32_t>(word.load(std::memory_order_acquire)));
    return passed && (state == ClaimState::kDone || state == ClaimState::kRevoked);
  }
};

// The producer's bookkeeping of its direction's words: which slot holds a call up to which frame
// end.
class ClaimTable {
 public:
  explicit ClaimTable(std::span<std::atomic<uint64_t>> words)
      : words_(words), frame_end_(words.size(), kFree) {}

  // A slot for the next call, or nothing when all that were looked at are taken (at most
  // kProbesMax; the next call goes on where this one stopped). Changes nothing shared.
  std::optional<uint32_t> Reserve(uint64_t consumer_tail);
  // Takes the reserved slot for the frame that ends at ring position `frame_end`.
  void Occupy(uint32_t slot, uint32_t cookie_sequence, uint64_t frame_end);

 private:
  static constexpr uint64_t kFree = 0;  // no frame ends at position 0
  static constexpr uint32_t kProbesMax = 64;

  std::span<std::atomic<uint64_t>> words_;
  std::vector<uint64_t> frame_end_;
  uint32_t next_ = 0;
};

}  // namespace rayx::shm
