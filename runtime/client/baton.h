// runtime/client/baton.h
//
// The one lock of a client: made for a thread that takes and gives it millions of times a second
// while others ask for it now and then.
//
// A mutex costs each call four locked instructions, and each of those waits until every store
// before it has reached the cache: stores to ring lines that a peer holds. Here one thread is
// favoured. It says "inside" with a plain store and looks whether anybody asks. Whoever else wants
// the lock takes a mutex, says that it asks, has the kernel put a full fence into every thread of
// the process (membarrier), and waits until the favoured one is outside: one of the two has then
// seen the other. It is Dekker's algorithm with all of the cost on the side that comes rarely.
//
// Owner:    ClusterClient.
// Threads:  any; the C++ requirements of Lockable, not recursive.
// Promises: mutual exclusion. Where membarrier is missing, and once the others have come more often
//           than once in kAskCost turns of the favoured one for a while, it is a plain mutex.
// Limits:   fairness is a mutex's: none is promised. When the favoured thread ends, the favour
//           stays until the others' asks have used it up. A process that forbids membarrier (by
//           seccomp, say) after its first lock ends with a sentence that says so.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "base/check.h"

namespace rayx::client {

// `Kernel::FenceAllThreads()`: a full fence in every running thread of this process before it
// returns; `Kernel::CanFence()`: whether it does. Tests have others.
template <typename Kernel>
class BasicBaton {
 public:
  BasicBaton() = default;
  BasicBaton(const BasicBaton&) = delete;
  BasicBaton& operator=(const BasicBaton&) = delete;

  // Before the process has other threads, if it can be: the kernel makes itself ready for the
  // fences at once then, and takes 5 ms (a grace period of its RCU) when Favour asks first.
  static void Prepare() { (void)Kernel::CanFence(); }
  // The calling thread is the favoured one from now on, if there is none yet. Without the lock.
  void Favour();
  // The calling thread comes now and then, however rarely the favoured one does.
  void ComeRarely() { rare_.store(ThisThread(), std::memory_order_relaxed); }

  void lock() {
    if (!TryAsFavoured()) LockSlowly();
  }
  bool try_lock() { return TryAsFavoured() || TryLockSlowly(); }
  // With the lock: this turn was none of those that the favour is for.
  void ForgetTurn() {
    if (IsFavoured() && !is_favoured_slow_) --turns_;
  }
  void unlock() {
    if (IsFavoured() && !is_favoured_slow_) {
      inside_.store(false, std::memory_order_release);
    } else {
      UnlockSlowly();
    }
  }

 private:
  using ThreadId = const char*;
  // What an ask costs in turns: microseconds against tens of nanoseconds.
  static constexpr uint64_t kAskCost = 64;
  static constexpr uint64_t kDebtMax = 64 * kAskCost;

  static ThreadId ThisThread() {
    static thread_local char here;
    return &here;
  }
  bool IsFavoured() const { return favoured_.load(std::memory_order_relaxed) == ThisThread(); }
  bool TryAsFavoured() {
    if (!IsFavoured()) return false;
    RAYX_CHECK(!inside_.load(std::memory_order_relaxed), "the baton is taken twice by one thread");
    inside_.store(true, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // the processor's half: FenceAllThreads
    if (!is_asked_.load(std::memory_order_acquire)) {
      ++turns_;
      return true;
    }
    inside_.store(false, std::memory_order_release);
    return false;
  }
  void LockSlowly();
  bool TryLockSlowly();
  void UnlockSlowly();
  void Ask();        // with mutex_
  void CountAsks();  // with the lock

  // Of the favoured thread. The others look at the first two, and with the lock at turns_.
  std::atomic<ThreadId> favoured_{nullptr};
  std::atomic<bool> inside_{false};
  bool is_favoured_slow_ = false;  // it holds mutex_
  uint64_t turns_ = 0;             // written inside
  // Of the others.
  alignas(64) std::atomic<bool> is_asked_{false};
  std::mutex mutex_;
  bool has_asked_ = false;  // whoever holds mutex_; under it
  std::atomic<ThreadId> rare_{nullptr};
  uint64_t turns_seen_ = 0;
  uint64_t debt_ = 0;  // turns that the asks have cost, less those that were saved since
};

struct Membarrier {
  static bool CanFence();
  static void FenceAllThreads();
};
using Baton = BasicBaton<Membarrier>;

// What threads wait for that give the baton away meanwhile. All with the baton; telling costs
// nothing while nobody waits.
class BatonCondition {
 public:
  void Wait(std::unique_lock<Baton>& lock) {
    ++waiting_;
    condition_.wait(lock);
    --waiting_;
  }
  void WaitFor(std::unique_lock<Baton>& lock, std::chrono::nanoseconds longest) {
    ++waiting_;
    condition_.wait_for(lock, longest);
    --waiting_;
  }
  void NotifyOne() {
    if (waiting_ > 0) condition_.notify_one();
  }
  void NotifyAll() {
    if (waiting_ > 0) condition_.notify_all();
  }

 private:
  std::condition_variable_any condition_;
  uint32_t waiting_ = 0;
};

}  // namespace rayx::client

#include "client/baton.inl.h"
