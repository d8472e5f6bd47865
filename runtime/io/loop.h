// runtime/io/loop.h
//
// One thread's event loop: descriptors (epoll), timers, and calls from other threads.
// Owner:    a shell.            Threads: Post and Stop from any; all else on the loop's thread.
// Inputs:   AddFd, AddTimer, Post.        Outputs: the handlers, called one at a time.
// Promises: a handler may add and remove anything, itself included, and is never called after its
//           removal. Timers run in the order of their times, never early. After Stop nothing that
//           was posted later runs.
// Limits:   timers are as fine as a millisecond. kPostedMax calls wait; Post refuses beyond that.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/bounded_queue.h"
#include "base/fd.h"
#include "base/status.h"
#include "io/clock.h"

namespace rayx::io {

class Loop {
 public:
  using FdHandler = std::function<void(uint32_t epoll_events)>;
  using Call = std::function<void()>;
  using TimerId = uint64_t;  // 0 is none
  static constexpr size_t kPostedMax = 65536;

  static base::StatusOr<std::unique_ptr<Loop>> Create(const Clock& clock);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // The descriptor stays the caller's and must be removed before it is closed. Level-triggered.
  base::Status AddFd(int fd, uint32_t events, FdHandler handler);
  void ChangeFd(int fd, uint32_t events);
  void RemoveFd(int fd);

  TimerId AddTimer(model::TimePoint when, Call call);
  TimerId AddTimerAfter(model::Duration delay, Call call);
  void CancelTimer(TimerId timer);

  // Runs the call on the loop's thread, soon. False: the loop is full or stopped.
  bool Post(Call call);
  // The same without the bound, for the end of what this loop itself started (an answer to its own
  // call): were it refused, the loop would wait for ever. False: the loop is closed.
  bool PostAlways(Call call);

  // Called before each sleep; true means that there is work left and the loop must not sleep.
  void SetBeforeSleep(std::function<bool()> before_sleep) {
    before_sleep_ = std::move(before_sleep);
  }

  void Run();  // until Stop
  void RunOnce(model::Duration wait_max);
  void Stop();
  // After Run: drops what was posted and refuses more, so that nothing it holds waits for ever.
  void Close();
  bool stopped() const { return stopped_.load(std::memory_order_acquire); }
  model::TimePoint Now() const { return clock_.Now(); }

 private:
  struct Watched {
    uint32_t generation = 0;
    FdHandler handler;
  };
  Loop(const Clock& clock, base::UniqueFd epoll, base::UniqueFd wakeup);
  bool WakeFor(base::PushResult pushed);
  void RunTimers();
  void RunPosted();
  void Dispatch(uint64_t tag, uint32_t events);
  int WaitMilliseconds(model::Duration wait_max) const;

  const Clock& clock_;
  const base::UniqueFd epoll_;
  const base::UniqueFd wakeup_;
  std::function<bool()> before_sleep_;
  std::unordered_map<int, std::shared_ptr<Watched>> watched_;
  uint32_t next_generation_ = 1;
  // Ordered by time, then by id: equal times run in the order of their making.
  std::map<std::pair<model::TimePoint, TimerId>, Call> timers_;
  std::unordered_map<TimerId, model::TimePoint> timer_times_;
  TimerId next_timer_ = 1;
  base::BoundedQueue<Call> posted_{kPostedMax};
  std::vector<Call> running_posted_;
  std::atomic<bool> stopped_{false};
};

}  // namespace rayx::io
