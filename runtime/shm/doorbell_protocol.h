// runtime/shm/doorbell_protocol.h
//
// The steps of the doorbell, apart from what they act on, so that the test which walks through
// every interleaving runs this very code (tests/unit/shm/doorbell_model_test.cc).
// Users:    shm/doorbell.h.
// Threads:  per function below.
// Promises: no wake-up is lost: if a producer published work and rang, the consumer either sees the
//           work in its recheck or is woken. Rests on: each side writes its word, fences, reads the
//           other's.
// Limits:   Os supplies Fence(), FutexWait(word, expected) -> bool (false: time is up),
//           FutexWake(word) and WriteEvent(); Word and Flag are std::atomic<uint32_t> outside
//           tests.
#pragma once

#include <atomic>
#include <cstdint>

#include "shm/process_page.h"

namespace rayx::shm {

enum class WaitResult {
  kWork,      // the recheck found work: nothing was waited for
  kRung,      // a producer rang
  kTimedOut,  // look at peers and deadlines, then wait again
};

struct DoorbellProtocol {
  // Producer, after the release store that published its work. True if somebody was woken.
  template <typename Word, typename Os>
  static bool Ring(Word& word, Os& os) {
    os.Fence();
    if (word.load(std::memory_order_relaxed) == kAwake) return false;
    // Of several producers one finds the sleeper, the others kAwake.
    const uint32_t was = word.exchange(kAwake, std::memory_order_acq_rel);
    if (was == kUser) os.FutexWake(word);
    if (was == kAttendant) os.WriteEvent();
    return was == kUser || was == kAttendant;
  }

  // Consumer, its one user thread at a time. `recheck` answers whether any ring has work. `parked`
  // belongs to this process: its attendant sleeps in epoll and relies on the word or on this
  // thread.
  template <typename Word, typename Flag, typename Os, typename Recheck>
  static WaitResult WaitUser(Word& word, Flag& parked, Os& os, Recheck&& recheck) {
    word.exchange(kUser, std::memory_order_acq_rel);
    os.Fence();
    const bool work = recheck();
    bool in_time = true;
    while (!work && in_time && word.load(std::memory_order_acquire) == kUser) {
      in_time = os.FutexWait(word, kUser);
    }
    // Finding kAwake here, a producer is about to call futex_wake: it may reach a later wait, which
    // the loop above absorbs, because it leaves by the word and not by having been woken.
    const bool rung = word.exchange(kAwake, std::memory_order_acq_rel) != kUser;
    os.Fence();
    WakeParked(parked, os);
    return work ? WaitResult::kWork : rung ? WaitResult::kRung : WaitResult::kTimedOut;
  }

  // Consumer, its attendant. True: it may sleep on the eventfd. False: there is work, tick on.
  // While a user thread waits the word stays kUser: that thread is woken by producers and wakes the
  // attendant when it leaves.
  template <typename Word, typename Flag, typename Os, typename Recheck>
  static bool ArmAttendant(Word& word, Flag& parked, Os& os, Recheck&& recheck) {
    parked.store(1, std::memory_order_relaxed);
    uint32_t was = kAwake;
    word.compare_exchange_strong(was, kAttendant, std::memory_order_acq_rel);
    os.Fence();
    // A user thread that left in between may have missed `parked`.
    const bool user_left = was == kUser && word.load(std::memory_order_acquire) != kUser;
    if (!user_left && !recheck()) return true;
    DisarmAttendant(word, parked);
    return false;
  }

  // Consumer, its attendant, awake again: before it looks at any ring.
  template <typename Word, typename Flag>
  static void DisarmAttendant(Word& word, Flag& parked) {
    parked.store(0, std::memory_order_relaxed);
    uint32_t was = kAttendant;
    word.compare_exchange_strong(was, kAwake, std::memory_order_acq_rel);
  }

  // Any thread of the consumer's process: if the attendant sleeps deeply it is woken, once.
  template <typename Flag, typename Os>
  static void WakeParked(Flag& parked, Os& os) {
    if (parked.load(std::memory_order_relaxed) == 0) return;
    if (parked.exchange(0, std::memory_order_acq_rel) != 0) os.WriteEvent();
  }
};

}  // namespace rayx::shm
