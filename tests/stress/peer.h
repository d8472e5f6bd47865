// tests/stress/peer.h
//
// Two processes (or threads) joined by a real channel, process pages and doorbells: what a client
// and a worker hold, without what they do with it.
#pragma once

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <memory>

#include "base/check.h"
#include "shm/channel.h"
#include "shm/doorbell.h"
#include "shm/waiting.h"
#include "tests/unit/shm/channel_pair.h"

namespace rayx::shm {

// The descriptors that both sides receive.
struct PeerFds {
  explicit PeerFds(const ChannelOptions& options = {})
      : channel(*Channel::CreateMemory(options)),
        page{*ProcessPage::CreateMemory({}, 0), *ProcessPage::CreateMemory({}, 0)},
        event{*CreateDoorbellEvent(), *CreateDoorbellEvent()} {}

  base::UniqueFd channel;
  base::UniqueFd page[kSides];
  base::UniqueFd event[kSides];
};

class Peer {
 public:
  Peer(const PeerFds& fds, Side side) : Peer(fds, side, *Channel::Open(fds.channel.get(), side)) {}
  // Over a channel of the caller's: threads share one mapping, so that ThreadSanitizer sees both.
  Peer(const PeerFds& fds, Side side, std::unique_ptr<Channel> over)
      : channel(std::move(over)),
        self_(*ProcessPage::Open(fds.page[Own(side)].get())),
        other_(*ProcessPage::Open(fds.page[1 - Own(side)].get())),
        bell(self_, fds.event[Own(side)].get()),
        other_bell_(other_, fds.event[1 - Own(side)].get()),
        waiting_(self_) {}

  // Publishes, rings.
  void Flush() {
    channel->Publish();
    rang_ = other_bell_.Ring();
    wakes += rang_;
  }
  // Until the lane has work: pauses, yields, then sleeps. False after `limit`.
  bool WaitFor(Lane lane, model::Duration limit = std::chrono::seconds(60)) {
    const ProcessPage* const peers[] = {&other_};
    int64_t until = 0;
    waiting_.Begin(std::exchange(rang_, false), 0);
    while (!channel->HasWork(lane)) {
      if (!channel->corruption().empty()) return false;
      if (waiting_.Step(peers)) continue;
      if (until == 0) until = MonotonicNs() + limit.count();
      const model::Duration left(until - MonotonicNs());
      if (left.count() <= 0) return false;
      Sleep(lane, left);
      waiting_.Begin(false, 0);
    }
    return true;
  }
  // The same without any spinning: every wait is a cold one.
  bool SleepFor(Lane lane) {
    for (int tries = 0; !channel->HasWork(lane); ++tries) {
      if (tries == 100) return false;
      if (Sleep(lane, kWaitBound) == WaitResult::kTimedOut && channel->HasWork(lane)) ++late;
    }
    return true;
  }

  std::unique_ptr<Channel> channel;
  uint64_t wakes = 0;   // of the other side, by us
  uint64_t sleeps = 0;  // that ended by a ring
  uint64_t late = 0;    // work was found only because a wait has a limit: a lost wake-up

 private:
  static size_t Own(Side side) { return static_cast<size_t>(side); }
  WaitResult Sleep(Lane lane, model::Duration longest) {
    const auto result = bell.WaitUser([&] { return channel->HasWork(lane); }, longest);
    sleeps += result == WaitResult::kRung;
    return result;
  }

  ProcessPage self_;
  ProcessPage other_;

 public:
  DoorbellConsumer bell;

 private:
  DoorbellProducer other_bell_;
  Waiting waiting_;
  bool rang_ = false;
};

// Runs `body` in a forked child, which exits with its answer, and never outlives the test.
inline pid_t Fork(const std::function<int()>& body) {
  const pid_t pid = ::fork();
  RAYX_CHECK(pid >= 0);
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Not Catch's handlers.
  for (const int signal : {SIGTERM, SIGINT, SIGSEGV, SIGABRT}) std::signal(signal, SIG_DFL);
  ::_exit(body());
}

// A phase of a stress test ends after so many rounds or so much time: the machine may be busy.
class Budget {
 public:
  // The clock is read every `stride` rounds.
  Budget(uint64_t rounds, std::chrono::seconds time, uint64_t stride = 16)
      : rounds_(rounds),
        stride_(stride),
        until_ns_(MonotonicNs() + std::chrono::nanoseconds(time).count()) {}
  bool Next() {
    if (done_ == rounds_ || (done_ % stride_ == 0 && MonotonicNs() > until_ns_)) return false;
    ++done_;
    return true;
  }
  uint64_t done() const { return done_; }

 private:
  const uint64_t rounds_;
  const uint64_t stride_;
  const int64_t until_ns_;
  uint64_t done_ = 0;
};

// The child's exit code, or minus its signal.
inline int Reap(pid_t pid) {
  int status = 0;
  RAYX_CHECK(::waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace rayx::shm
