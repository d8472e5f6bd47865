// runtime/client/baton.inl.h
//
// BasicBaton: the ways that are taken rarely. The contract is baton.h's, of which this is a part:
// include that.
#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

#include "client/baton.h"
#include "shm/waiting.h"

namespace rayx::client {

template <typename Kernel>
void BasicBaton<Kernel>::Favour() {
  if (!Kernel::CanFence()) return;
  const std::lock_guard lock(mutex_);
  if (favoured_.load(std::memory_order_relaxed) != nullptr || is_asked_.load()) return;
  favoured_.store(ThisThread(), std::memory_order_relaxed);
}

template <typename Kernel>
void BasicBaton<Kernel>::Ask() {
  has_asked_ = true;
  is_asked_.store(true, std::memory_order_relaxed);
  Kernel::FenceAllThreads();
}

template <typename Kernel>
void BasicBaton<Kernel>::LockSlowly() {
  mutex_.lock();
  if (IsFavoured()) {
    is_favoured_slow_ = true;
    return;
  }
  if (favoured_.load(std::memory_order_relaxed) == nullptr) return;
  Ask();
  // It leaves soon, unless its CPU was taken from it, by this thread perhaps.
  constexpr int kPauses = 32;  // a microsecond or two
  constexpr int kYields = 8;
  for (int i = 0; inside_.load(std::memory_order_acquire); ++i) {
    if (i < kPauses) {
      shm::CpuPause();
    } else if (i < kPauses + kYields) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }
  CountAsks();
}

template <typename Kernel>
bool BasicBaton<Kernel>::TryLockSlowly() {
  if (!mutex_.try_lock()) return false;
  if (IsFavoured()) {
    is_favoured_slow_ = true;
    return true;
  }
  if (favoured_.load(std::memory_order_relaxed) == nullptr) return true;
  Ask();
  if (!inside_.load(std::memory_order_acquire)) {
    CountAsks();
    return true;
  }
  if (rare_.load(std::memory_order_relaxed) != ThisThread()) debt_ += kAskCost;
  UnlockSlowly();
  return false;
}

// Others come too often: the favour is over for good. That somebody asks stays said, so that the
// favoured thread, whatever it has read, takes the mutex from now on.
template <typename Kernel>
void BasicBaton<Kernel>::CountAsks() {
  if (rare_.load(std::memory_order_relaxed) == ThisThread()) return;
  debt_ += kAskCost;
  debt_ -= std::min(debt_, turns_ - turns_seen_);
  turns_seen_ = turns_;
  if (debt_ <= kDebtMax) return;
  favoured_.store(nullptr, std::memory_order_relaxed);
  has_asked_ = false;
}

template <typename Kernel>
void BasicBaton<Kernel>::UnlockSlowly() {
  if (IsFavoured()) is_favoured_slow_ = false;
  if (has_asked_) {
    has_asked_ = false;
    is_asked_.store(false, std::memory_order_release);
  }
  mutex_.unlock();
}

}  // namespace rayx::client
