// ClusterClient: the attendant thread, which drains the rings when no user thread waits for them.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "client/cluster_client.h"
#include "client/executor/executor.h"

namespace rayx::client {
namespace {

constexpr std::chrono::milliseconds kTick(1);
constexpr std::chrono::milliseconds kDeepSleep(250);  // bounded, like every wait
constexpr auto kUserPolls = std::chrono::milliseconds(1);
constexpr auto kStayAwake = std::chrono::milliseconds(50);

}  // namespace

bool ClusterClient::AttendantStep(bool urgent) {
  std::lock_guard lock(baton_);
  HandleDaemonPackets();
  const model::TimePoint now = Now();
  const model::TimePoint last_poll{model::Duration(last_poll_ns_.load(std::memory_order_relaxed))};
  const bool user_polls = polling_ && now - last_poll < kUserPolls;
  if (urgent || !user_polls) Drain();
  if (!polling_) links_.Reap();
  const bool pending = core_.HasPending() || links_.HasQueued() || daemon_.HasQueued();
  if (pending) core_.OnTick(now);
  if (executor_) executor_->OnTick(now);
  if (links_.RingAll()) rang_somebody_ = true;
  if (resolved_any_) {
    if (polling_) {
      shm::DoorbellProducer(*page_, eventfd_.get()).Ring();
    } else {
      resolved_any_ = false;
    }
    others_.NotifyAll();
  }
  return pending || now - last_poll < kStayAwake || (executor_ && executor_->WantsTicks());
}

void ClusterClient::AttendantLoop() {
  ::prctl(PR_SET_NAME, "rayx-attendant");
  ::prctl(PR_SET_TIMERSLACK, 50'000UL);
  baton_.ComeRarely();
  base::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = daemon_.fd();
  ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, daemon_.fd(), &event);
  event.data.fd = eventfd_.get();
  ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, eventfd_.get(), &event);
  bool urgent = false;
  while (!ending_) {
    const bool tick = AttendantStep(urgent);
    bool parked = false;
    if (!tick) {
      parked = doorbell_->ArmAttendant([this] {
        std::lock_guard lock(baton_);
        return links_.HasWork(false) || core_.HasPending() || links_.HasQueued() ||
               links_.HasCorked();
      });
      if (!parked) continue;
    }
    epoll_event events[4];
    const int timeout_ms = static_cast<int>((tick ? kTick : kDeepSleep).count());
    const int count = ::epoll_wait(epoll.get(), events, 4, timeout_ms);
    if (parked) doorbell_->DisarmAttendant();
    urgent = parked;
    for (int i = 0; i < count; ++i) {
      if (events[i].data.fd != eventfd_.get()) continue;
      urgent = true;
      eventfd_t ignored;
      (void)::eventfd_read(eventfd_.get(), &ignored);
    }
  }
  // Waiting user threads see `ending_`.
  std::lock_guard lock(baton_);
  shm::DoorbellProducer(*page_, eventfd_.get()).Ring();
  others_.NotifyAll();
  turn_.NotifyAll();
}

}  // namespace rayx::client
