// runtime/shm/waiting.h
//
// How long and in which way to wait before sleeping. Each simple policy has a catastrophic case:
// spinning when two processes share a CPU (it burns the slice that the other one needs), yielding
// beside busy foreign processes (each yield costs a whole slice), sleeping at once (every call pays
// for a wake-up). This one has none that we know.
// Owner:    whoever waits for a ring; one a waiting thread.       Threads: its own.
// Inputs:   the pages of the peers that may run on this CPU; not our own.
// Promises: pauses up to `spin` while no awake peer was last seen on this thread's CPU; yields
//           instead if one was, or if this thread just woke somebody. After a yield longer than
//           `slow_yield` no yields for a while, straight to sleep: a foreign process had the slice.
//           The while is `first_ban` first and doubles each time, up to `no_yields`. But if `bulk`
//           frames or more were taken until the next wait, peers had the slice: no ban, and the
//           next one is short again. Where there are more peers than CPUs, yielding to each other
//           is cheaper than sleeping and waking.
//           A whole wait costs at most `spin` (`spin_after_wake`) plus one yield.
// Limits:   the peers' CPUs are hints; a wrong one costs time, never correctness.
//
//   waiting.Begin(/*woke_somebody=*/rang, frames_taken);
//   while (!channel.HasWork()) {
//     if (waiting.Step(peers)) continue;
//     doorbell.WaitUser([&] { return channel.HasWork(); }, time_left);
//     waiting.Begin(false, frames_taken);
//   }
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "model/time.h"
#include "shm/process_page.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rayx::shm {

inline void CpuPause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

struct WaitingOptions {
  model::Duration spin = std::chrono::microseconds(50);
  // Instead, of a wait that began with waking a peer: a CPU that idles deeply takes 30 us and more
  // to come, and a sleep meanwhile would cost the same once more.
  model::Duration spin_after_wake = std::chrono::microseconds(200);
  model::Duration slow_yield = std::chrono::microseconds(200);
  model::Duration no_yields = std::chrono::milliseconds(100);
  model::Duration first_ban = std::chrono::milliseconds(1);
  uint64_t bulk = 16;
};

class Waiting {
 public:
  explicit Waiting(ProcessPage& self, WaitingOptions options = {});

  // Starts a wait and publishes this thread's CPU. `frames_taken`: from all peers, ever.
  void Begin(bool woke_somebody, uint64_t frames_taken);

  // Waits a little. False: sleep on the doorbell now, then Begin() again.
  bool Step(std::span<const ProcessPage* const> peers) {
    if (!yielding_ && (++steps_ % kStepsBetweenLooks) != 0) {
      CpuPause();
      return true;
    }
    return LookAround(peers);
  }

 private:
  // About 1 us of pauses, so that a fast answer costs no clock read.
  static constexpr uint32_t kStepsBetweenLooks = 16;

  bool LookAround(std::span<const ProcessPage* const> peers);
  bool Yield(int64_t now_ns);
  // What to make of a slow yield, if there was one.
  void Judge(bool by_peers);

  // Constant after construction.
  ProcessPage* self_;
  const WaitingOptions options_;
  // Of the current wait.
  uint32_t steps_ = 0;
  uint32_t cpu_ = kNoCpu;
  bool woke_somebody_ = false;
  bool yielding_ = false;
  int64_t give_up_ns_ = 0;  // 0: the clock was not read yet
  // Across waits.
  int64_t no_yields_until_ns_ = 0;
  int64_t slow_yield_ns_ = 0;  // when it ended; 0: there was none since the last verdict
  uint64_t frames_taken_ = 0;
  model::Duration ban_;
};

}  // namespace rayx::shm
