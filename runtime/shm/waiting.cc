#include "shm/waiting.h"

#include <sched.h>

#include <algorithm>
#include <utility>

#include "shm/futex.h"

namespace rayx::shm {
namespace {

bool AwakePeerOn(uint32_t cpu, std::span<const ProcessPage* const> peers) {
  for (const ProcessPage* peer : peers) {
    if (peer->cpu() == cpu && peer->awake()) return true;
  }
  return false;
}

}  // namespace

Waiting::Waiting(ProcessPage& self, WaitingOptions options)
    : self_(&self), options_(options), ban_(options.first_ban) {}

void Waiting::Judge(bool by_peers) {
  const int64_t ended = std::exchange(slow_yield_ns_, 0);
  if (ended == 0) return;
  if (by_peers) {
    ban_ = options_.first_ban;
    return;
  }
  no_yields_until_ns_ = ended + ban_.count();
  ban_ = std::min(2 * ban_, options_.no_yields);
}

void Waiting::Begin(bool woke_somebody, uint64_t frames_taken) {
  Judge(frames_taken - frames_taken_ >= options_.bulk);
  frames_taken_ = frames_taken;
  cpu_ = self_->PublishCpu();
  steps_ = 0;
  woke_somebody_ = woke_somebody;
  yielding_ = woke_somebody;
  give_up_ns_ = 0;
}

bool Waiting::LookAround(std::span<const ProcessPage* const> peers) {
  Judge(/*by_peers=*/false);  // nothing has come
  const int64_t now = MonotonicNs();
  if (give_up_ns_ == 0) {
    give_up_ns_ = now + (woke_somebody_ ? options_.spin_after_wake : options_.spin).count();
  } else if (now >= give_up_ns_) {
    return false;
  }
  cpu_ = self_->PublishCpu();
  yielding_ = woke_somebody_ || AwakePeerOn(cpu_, peers);
  if (yielding_) return Yield(now);
  CpuPause();
  return true;
}

bool Waiting::Yield(int64_t now_ns) {
  if (now_ns < no_yields_until_ns_) return false;
  ::sched_yield();
  const int64_t after = MonotonicNs();
  // Whoever had the slice that long may well have done our work: one more look before sleeping.
  if (after - now_ns > options_.slow_yield.count()) slow_yield_ns_ = after;
  return true;
}

}  // namespace rayx::shm
