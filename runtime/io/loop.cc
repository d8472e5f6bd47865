#include "io/loop.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace rayx::io {

using model::Duration;
using model::TimePoint;

base::StatusOr<std::unique_ptr<Loop>> Loop::Create(const Clock& clock) {
  base::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  base::UniqueFd wakeup(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll || !wakeup) {
    return absl::ResourceExhaustedError(std::string("event loop: ") + std::strerror(errno));
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = static_cast<uint32_t>(wakeup.get());  // generation 0: the loop's own
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wakeup.get(), &event) != 0) {
    return absl::InternalError(std::string("epoll_ctl: ") + std::strerror(errno));
  }
  return std::unique_ptr<Loop>(new Loop(clock, std::move(epoll), std::move(wakeup)));
}

Loop::Loop(const Clock& clock, base::UniqueFd epoll, base::UniqueFd wakeup)
    : clock_(clock), epoll_(std::move(epoll)), wakeup_(std::move(wakeup)) {}

Loop::~Loop() {
  posted_.Close();
}

base::Status Loop::AddFd(int fd, uint32_t events, FdHandler handler) {
  auto watched = std::make_shared<Watched>();
  watched->generation = next_generation_++;
  watched->handler = std::move(handler);
  epoll_event event{};
  event.events = events;
  event.data.u64 = uint64_t{watched->generation} << 32 | static_cast<uint32_t>(fd);
  RAYX_CHECK(watched_.count(fd) == 0, "a descriptor is watched twice");
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return absl::ResourceExhaustedError(std::string("cannot watch a descriptor: ") +
                                        std::strerror(errno));
  }
  watched_[fd] = std::move(watched);
  return absl::OkStatus();
}

void Loop::ChangeFd(int fd, uint32_t events) {
  auto it = watched_.find(fd);
  if (it == watched_.end()) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = uint64_t{it->second->generation} << 32 | static_cast<uint32_t>(fd);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Loop::RemoveFd(int fd) {
  if (watched_.erase(fd) != 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

Loop::TimerId Loop::AddTimer(TimePoint when, Call call) {
  const TimerId id = next_timer_++;
  timers_.emplace(std::make_pair(when, id), std::move(call));
  timer_times_.emplace(id, when);
  return id;
}

Loop::TimerId Loop::AddTimerAfter(Duration delay, Call call) {
  return AddTimer(clock_.Now() + delay, std::move(call));
}

void Loop::CancelTimer(TimerId timer) {
  auto it = timer_times_.find(timer);
  if (it == timer_times_.end()) return;
  timers_.erase({it->second, timer});
  timer_times_.erase(it);
}

bool Loop::Post(Call call) {
  return WakeFor(posted_.TryPush(std::move(call)));
}

bool Loop::PostAlways(Call call) {
  return WakeFor(posted_.PushAlways(std::move(call)));
}

bool Loop::WakeFor(base::PushResult pushed) {
  switch (pushed) {
    case base::PushResult::kFirst: {
      const uint64_t one = 1;
      [[maybe_unused]] const ssize_t written = ::write(wakeup_.get(), &one, sizeof one);
      return true;
    }
    case base::PushResult::kMore:
      return true;
    default:
      return false;
  }
}

void Loop::Stop() {
  stopped_.store(true, std::memory_order_release);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wakeup_.get(), &one, sizeof one);
}

void Loop::Close() {
  posted_.Close();
  std::vector<Call> dropped;
  posted_.Drain(dropped);
}

void Loop::Run() {
  while (!stopped()) RunOnce(std::chrono::hours(1));
}

void Loop::RunOnce(Duration wait_max) {
  const bool busy = before_sleep_ && before_sleep_();
  std::array<epoll_event, 64> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(),
                                 busy ? 0 : WaitMilliseconds(wait_max));
  for (int i = 0; i < count && !stopped(); ++i) Dispatch(events[i].data.u64, events[i].events);
  RunPosted();
  RunTimers();
}

void Loop::Dispatch(uint64_t tag, uint32_t events) {
  const auto generation = static_cast<uint32_t>(tag >> 32);
  const int fd = static_cast<int>(static_cast<uint32_t>(tag));
  if (generation == 0) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t bytes = ::read(wakeup_.get(), &count, sizeof count);
    return;
  }
  auto it = watched_.find(fd);
  if (it == watched_.end() || it->second->generation != generation) return;
  const std::shared_ptr<Watched> kept = it->second;  // the handler may remove itself
  kept->handler(events);
}

void Loop::RunPosted() {
  if (stopped()) return;
  running_posted_.clear();
  posted_.Drain(running_posted_);
  for (size_t i = 0; i < running_posted_.size() && !stopped(); ++i) running_posted_[i]();
  running_posted_.clear();
}

void Loop::RunTimers() {
  const TimePoint now = clock_.Now();
  while (!stopped() && !timers_.empty() && timers_.begin()->first.first <= now) {
    auto node = timers_.extract(timers_.begin());
    timer_times_.erase(node.key().second);
    node.mapped()();
  }
}

int Loop::WaitMilliseconds(Duration wait_max) const {
  Duration wait = wait_max;
  if (!timers_.empty()) wait = std::min(wait, timers_.begin()->first.first - clock_.Now());
  if (wait <= Duration::zero()) return 0;
  // Rounded up, so that a timer is never found early and spun for.
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
  return static_cast<int>(std::min<int64_t>(milliseconds, 3'600'000));
}

}  // namespace rayx::io
