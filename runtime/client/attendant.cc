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
constexpr auto kUserDrains = std::chrono::milliseconds(1);
// While user threads are busy with the baton, every so many ticks are enough: each takes it from
// them, and the CPU from somebody.
constexpr int kTicksLetGo = 3;
constexpr std::chrono::seconds kIdleLook(1);
constexpr auto kStayAwake = std::chrono::milliseconds(50);

}  // namespace

bool ClusterClient::HasUserDrained(model::Duration within) const {
  const model::TimePoint last{model::Duration(last_drain_ns_.load(std::memory_order_relaxed))};
  return Now() - last < within;
}

void ClusterClient::TellResolved() {
  if (!resolved_any_) return;
  if (polling_) {
    shm::DoorbellProducer(*page_, eventfd_.get()).Ring();
  } else {
    resolved_any_ = false;
  }
  others_.NotifyAll();
}

ClusterClient::Step ClusterClient::AttendantStep(bool urgent, bool may_be_let_go) {
  if (may_be_let_go && HasUserDrained(kUserDrains)) return Step::kLetGo;
  std::unique_lock lock(baton_, std::defer_lock);
  if (!may_be_let_go) {
    lock.lock();
  } else if (!lock.try_lock()) {
    return Step::kLetGo;
  }
  HandleDaemonPackets();
  const model::TimePoint now = Now();
  if (urgent || !HasUserDrained(kUserDrains)) Drain();
  if (!polling_) links_.Reap();
  const bool pending = HasWorkForAttendant();
  if (pending) core_.OnTick(now);
  if (executor_) executor_->OnTick(now);
  if (links_.RingAll()) rang_somebody_ = true;
  TellResolved();
  const bool tick = pending || HasUserDrained(kStayAwake) || (executor_ && executor_->WantsTicks());
  if (now - idle_looked_ >= kIdleLook) {
    links_.GiveBackIdle(now);
    idle_looked_ = now;
  }
  return tick ? Step::kTick : Step::kSleep;
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
  bool is_daemon_heard = false;
  int ticks_let_go = 0;
  while (!ending_) {
    const bool may_be_let_go = !urgent && !is_daemon_heard && ticks_let_go < kTicksLetGo;
    const Step step = AttendantStep(urgent, may_be_let_go);
    ticks_let_go = step == Step::kLetGo ? ticks_let_go + 1 : 0;
    const bool tick = step != Step::kSleep;
    bool parked = false;
    if (!tick) {
      parked = doorbell_->ArmAttendant([this] {
        std::lock_guard lock(baton_);
        return links_.HasWork(false) || links_.HasCorked() || HasWorkForAttendant();
      });
      if (!parked) continue;
    }
    epoll_event events[4];
    const int timeout_ms = static_cast<int>((tick ? kTick : kDeepSleep).count());
    const int count = ::epoll_wait(epoll.get(), events, 4, timeout_ms);
    if (parked) doorbell_->DisarmAttendant();
    urgent = parked;
    is_daemon_heard = false;
    for (int i = 0; i < count; ++i) {
      if (events[i].data.fd != eventfd_.get()) {
        is_daemon_heard = true;
        continue;
      }
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
