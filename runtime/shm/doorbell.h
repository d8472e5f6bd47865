// runtime/shm/doorbell.h
//
// How a process that sleeps learns that a ring has work. The consumer says in its doorbell word
// that it sleeps, fences, and looks at every ring once more; a producer publishes, fences, and
// looks at the word: with both fences one of the two sees the other.
// Owner:    the consumer end: the process itself, one. The producer end: each peer, one a peer.
// Threads:  Ring, RingUrgent, WakeAttendant: any. WaitUser: one user thread at a time (the holder
//           of the baton). ArmAttendant, DisarmAttendant: the attendant, or a daemon's loop.
// Inputs:   the doorbell word lies in shared memory and may be overwritten by a hostile peer: the
//           worst is a wait that lasts its bound, kWaitBound for a user thread and the epoll
//           timeout for an attendant, so give that one.
// Promises: no lost wake-up; a ring costs a fence and a load while the consumer is awake.
// Limits:   descriptors and pages are borrowed and must outlive the doorbell.
#pragma once

#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/fd.h"
#include "base/status.h"
#include "model/time.h"
#include "shm/doorbell_protocol.h"
#include "shm/fence.h"
#include "shm/futex.h"
#include "shm/process_page.h"

namespace rayx::shm {

// A futex cannot watch a peer's pidfd, so no wait is longer.
inline constexpr model::Duration kWaitBound = std::chrono::milliseconds(250);

// The eventfd of a process's doorbell: close-on-exec, non-blocking.
base::StatusOr<base::UniqueFd> CreateDoorbellEvent();

struct FullFence {
  static void Fence() { shm::Fence(); }
};

// What the protocol acts on outside tests. `FencePolicy` differs only in the litmus test, which
// shows that the fence is needed.
template <typename FencePolicy>
struct DoorbellOs {
  int event_fd;
  model::Duration longest = kWaitBound;
  int64_t until_ns = 0;  // set by the first wait

  void Fence() { FencePolicy::Fence(); }
  bool FutexWait(std::atomic<uint32_t>& word, uint32_t expected) {
    if (longest <= model::Duration::zero()) return false;
    if (until_ns == 0) until_ns = MonotonicNs() + longest.count();
    return shm::FutexWait(word, expected, until_ns);
  }
  void FutexWake(std::atomic<uint32_t>& word) { shm::FutexWake(word, 1); }
  void WriteEvent() { (void)::eventfd_write(event_fd, 1); }
};

template <typename FencePolicy = FullFence>
class BasicDoorbellProducer {
 public:
  // The page and eventfd of the consumer.
  BasicDoorbellProducer(const ProcessPage& consumer, int event_fd)
      : word_(&consumer.doorbell()), event_fd_(event_fd) {}

  // After Channel::Publish(). True if the consumer slept: the waiting policy wants to know that.
  bool Ring() {
    DoorbellOs<FencePolicy> os{event_fd_};
    return DoorbellProtocol::Ring(*word_, os);
  }
  // For urgent frames: also wakes the attendant of a process that is busy in user code.
  void RingUrgent() {
    Ring();
    (void)::eventfd_write(event_fd_, 1);
  }

 private:
  std::atomic<uint32_t>* word_;
  int event_fd_;
};
using DoorbellProducer = BasicDoorbellProducer<>;

template <typename FencePolicy = FullFence>
class BasicDoorbellConsumer {
 public:
  // This process's own page and eventfd.
  BasicDoorbellConsumer(const ProcessPage& self, int event_fd)
      : word_(&self.doorbell()), event_fd_(event_fd) {}
  BasicDoorbellConsumer(const BasicDoorbellConsumer&) = delete;
  BasicDoorbellConsumer& operator=(const BasicDoorbellConsumer&) = delete;

  // Sleeps on the futex until rung, at most min(longest, kWaitBound). `recheck()` is called once,
  // after the word says that we sleep, and must look at every ring. Wakes a deeply sleeping
  // attendant on the way out, because from then on the rings are the attendant's again.
  template <typename Recheck>
  WaitResult WaitUser(Recheck&& recheck, model::Duration longest) {
    DoorbellOs<FencePolicy> os{event_fd_, longest < kWaitBound ? longest : kWaitBound};
    return DoorbellProtocol::WaitUser(*word_, parked_, os, recheck);
  }

  // True: sleep in epoll with event_fd() in it; producers will write it. False: `recheck` found
  // work (or a user thread just left its wait); nothing is armed.
  template <typename Recheck>
  bool ArmAttendant(Recheck&& recheck) {
    DoorbellOs<FencePolicy> os{event_fd_};
    return DoorbellProtocol::ArmAttendant(*word_, parked_, os, recheck);
  }
  // After epoll returned, before looking at any ring. Empties the eventfd.
  void DisarmAttendant() {
    DoorbellProtocol::DisarmAttendant(*word_, parked_);
    eventfd_t count;
    (void)::eventfd_read(event_fd_, &count);
  }

  // By a user thread that makes work for the attendant (the first Remote() after a quiet time): one
  // load while it ticks, one eventfd write when it sleeps deeply.
  void WakeAttendant() {
    DoorbellOs<FencePolicy> os{event_fd_};
    DoorbellProtocol::WakeParked(parked_, os);
  }

  int event_fd() const { return event_fd_; }

 private:
  std::atomic<uint32_t>* word_;
  int event_fd_;
  std::atomic<uint32_t> parked_{0};
};
using DoorbellConsumer = BasicDoorbellConsumer<>;

}  // namespace rayx::shm
