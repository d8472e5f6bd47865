// runtime/shm/claim_words.h
//
// Claim words: who may still take a queued call. queued -> running -> done, or
// queued -> revoked; the consumer swaps to running just before user code, the producer swaps to
// revoked to get a call back.
// Owner:    the words of a direction lie in shared memory; which are free is its producer's book.
// Threads:  Reserve, Queue: the producer's. Move, Look: any, in either process.
// Inputs:   words and slots may hold anything a hostile peer wrote: what does not match a call
//           counts as "not mine"; an index is always inside the table.
// Promises: a call runs or is revoked, never both, and never twice, however long its frame lies in
//           a queue: a slot names a word *and* its use, so a stale frame cannot claim the next
//           call.
// Limits:   a slot repeats after 2^32 / words uses of one word, and then its cookie_sequence must
//           repeat too. A call that is neither run nor revoked keeps its word for good.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "shm/prefetch.h"

namespace rayx::shm {

enum class ClaimState : uint32_t {
  kUnknown = 0,  // another call's by now (so this one was done or revoked), or nonsense
  kQueued = 1,
  kRunning = 2,
  kDone = 3,
  kRevoked = 4,
};

// The steps, apart from std::atomic, so that the interleaving test runs this very code. A tag is
// unique to a call among those that may still touch its word; its low 4 bits are 0.
struct ClaimProtocol {
  static constexpr uint64_t kStateMask = 15;
  static constexpr uint64_t Tag(uint32_t use, uint32_t cookie_sequence) {
    return uint64_t{cookie_sequence} << 32 | uint64_t{use & 0x0fffffff} << 4;
  }
  static constexpr uint64_t Word(uint64_t tag, ClaimState state) {
    return tag | static_cast<uint64_t>(state);
  }
  // Before the frame is published.
  template <typename AtomicWord>
  static void Queue(AtomicWord& word, uint64_t tag) {
    word.store(Word(tag, ClaimState::kQueued), std::memory_order_relaxed);
  }
  template <typename AtomicWord>
  static bool Move(AtomicWord& word, uint64_t tag, ClaimState from, ClaimState to) {
    uint64_t expected = Word(tag, from);
    return word.compare_exchange_strong(expected, Word(tag, to), std::memory_order_acq_rel);
  }
  // By whoever has moved it to running: nobody else changes it then. Not running: does nothing.
  template <typename AtomicWord>
  static void Finish(AtomicWord& word, uint64_t tag) {
    if (word.load(std::memory_order_relaxed) != Word(tag, ClaimState::kRunning)) return;
    word.store(Word(tag, ClaimState::kDone), std::memory_order_release);
  }
  template <typename AtomicWord>
  static ClaimState Look(const AtomicWord& word, uint64_t tag) {
    const uint64_t value = word.load(std::memory_order_acquire);
    const uint64_t state = value & kStateMask;
    const bool known = (value & ~kStateMask) == tag && state <= 4;
    return known ? static_cast<ClaimState>(state) : ClaimState::kUnknown;
  }
  template <typename AtomicWord>
  static bool Reusable(const AtomicWord& word) {
    const uint64_t state = word.load(std::memory_order_acquire) & kStateMask;
    return state == static_cast<uint64_t>(ClaimState::kDone) ||
           state == static_cast<uint64_t>(ClaimState::kRevoked);
  }
};

// The words of one direction, as both processes see them.
class ClaimWords {
 public:
  // A power of two of words.
  explicit ClaimWords(std::span<std::atomic<uint64_t>> words)
      : words_(words), index_bits_(std::countr_zero(words.size())) {}

  bool Move(uint32_t slot, uint32_t cookie_sequence, ClaimState from, ClaimState to) const {
    return ClaimProtocol::Move(WordOf(slot), TagOf(slot, cookie_sequence), from, to);
  }
  void Finish(uint32_t slot, uint32_t cookie_sequence) const {
    ClaimProtocol::Finish(WordOf(slot), TagOf(slot, cookie_sequence));
  }
  ClaimState Look(uint32_t slot, uint32_t cookie_sequence) const {
    return ClaimProtocol::Look(WordOf(slot), TagOf(slot, cookie_sequence));
  }

 protected:
  std::atomic<uint64_t>& WordOf(uint32_t slot) const { return words_[slot & (words_.size() - 1)]; }
  uint64_t TagOf(uint32_t slot, uint32_t cookie_sequence) const {
    return ClaimProtocol::Tag(slot >> index_bits_, cookie_sequence);
  }

  std::span<std::atomic<uint64_t>> words_;
  int index_bits_;
};

// The producer's end: also knows which words are free.
class ClaimTable : public ClaimWords {
 public:
  explicit ClaimTable(std::span<std::atomic<uint64_t>> words)
      : ClaimWords(words), uses_(words.size(), 0) {}

  // A slot for the next call; false when all words that were looked at are taken (at most
  // kProbesMax; the next call goes on where this one stopped). Changes nothing shared.
  bool Reserve(uint32_t& slot);
  // A call is likely to come next: its word, last touched by the consumer, is fetched meanwhile.
  void Prefetch() const {
    PrefetchToWrite(reinterpret_cast<const std::byte*>(&words_[next_]), kCacheLineBytes);
  }
  // Takes the slot that Reserve just gave, for a frame not yet published.
  void Queue(uint32_t slot, uint32_t cookie_sequence);

 private:
  static constexpr uint32_t kProbesMax = 64;

  std::vector<uint32_t> uses_;  // of each word, so far
  uint32_t next_ = 0;
};

}  // namespace rayx::shm
