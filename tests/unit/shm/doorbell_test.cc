// Goal: the doorbell does on the real kernel what its protocol promises. Method: threads, a real
// futex and eventfd; waits end by a ring, never by a sleep.
#include "shm/doorbell.h"

#include <poll.h>
#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

#include "shm/waiting.h"

namespace rayx::shm {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Bell {
  base::UniqueFd page_fd = *ProcessPage::CreateMemory({}, 0);
  base::UniqueFd event = *CreateDoorbellEvent();
  ProcessPage page = *ProcessPage::Open(page_fd.get());
  DoorbellConsumer consumer{page, event.get()};
  DoorbellProducer producer{page, event.get()};

  bool EventWritten() const {
    pollfd poll{event.get(), POLLIN, 0};
    return ::poll(&poll, 1, 0) == 1;
  }
};

const auto kNothing = [] { return false; };
const auto kWork = [] { return true; };

}  // namespace

TEST_CASE("Doorbell: ringing an awake process wakes nobody") {
  Bell bell;
  CHECK_FALSE(bell.producer.Ring());
  CHECK_FALSE(bell.EventWritten());
}

TEST_CASE("Doorbell: work found in the recheck ends the wait at once") {
  Bell bell;
  CHECK(bell.consumer.WaitUser(kWork, seconds(10)) == WaitResult::kWork);
  CHECK(bell.page.awake());
}

TEST_CASE("Doorbell: a wait ends at its limit, which 250 ms bound") {
  Bell bell;
  CHECK(bell.consumer.WaitUser(kNothing, milliseconds(1)) == WaitResult::kTimedOut);
  CHECK(bell.consumer.WaitUser(kNothing, milliseconds(-5)) == WaitResult::kTimedOut);
  const int64_t start = MonotonicNs();
  CHECK(bell.consumer.WaitUser(kNothing, std::chrono::hours(1)) == WaitResult::kTimedOut);
  CHECK(MonotonicNs() - start >= 240'000'000);
  CHECK(bell.page.awake());
}

TEST_CASE("Doorbell: a sleeping user thread is woken, once by one of two producers") {
  Bell bell;
  DoorbellProducer other{bell.page, bell.event.get()};
  std::atomic<int> woken{0};
  std::thread first([&] {
    while (bell.page.awake()) CpuPause();
    woken += bell.producer.Ring();
    woken += other.Ring();
  });
  WaitResult result = WaitResult::kTimedOut;
  while (result == WaitResult::kTimedOut) result = bell.consumer.WaitUser(kNothing, seconds(1));
  first.join();
  CHECK(result == WaitResult::kRung);
  CHECK(woken == 1);
  CHECK_FALSE(bell.EventWritten());
}

TEST_CASE("Doorbell: an armed attendant is woken by its eventfd, disarming empties it") {
  Bell bell;
  REQUIRE(bell.consumer.ArmAttendant(kNothing));
  CHECK(bell.producer.Ring());
  CHECK(bell.EventWritten());
  CHECK_FALSE(bell.producer.Ring());
  bell.consumer.DisarmAttendant();
  CHECK_FALSE(bell.EventWritten());
  CHECK(bell.page.awake());
}

TEST_CASE("Doorbell: the attendant does not arm when there is work") {
  Bell bell;
  CHECK_FALSE(bell.consumer.ArmAttendant(kWork));
  CHECK(bell.page.awake());
  bell.consumer.WakeAttendant();
  CHECK_FALSE(bell.EventWritten());
}

TEST_CASE("Doorbell: a user thread wakes a deeply sleeping attendant, once") {
  Bell bell;
  REQUIRE(bell.consumer.ArmAttendant(kNothing));
  bell.consumer.WakeAttendant();
  CHECK(bell.EventWritten());
  bell.consumer.DisarmAttendant();
  bell.consumer.WakeAttendant();
  CHECK_FALSE(bell.EventWritten());
}

TEST_CASE("Doorbell: a user thread that ends its wait hands over to a sleeping attendant") {
  Bell bell;
  REQUIRE(bell.consumer.ArmAttendant(kNothing));
  CHECK(bell.consumer.WaitUser(kNothing, milliseconds(1)) == WaitResult::kTimedOut);
  CHECK(bell.EventWritten());
}

TEST_CASE("Doorbell: urgent frames write the eventfd whatever the state") {
  Bell bell;
  bell.producer.RingUrgent();
  CHECK(bell.EventWritten());
}

TEST_CASE("Doorbell: nonsense in the word costs a wait its limit at most") {
  Bell bell;
  bell.page.doorbell() = 0xdeadbeef;
  CHECK_FALSE(bell.producer.Ring());
  bell.page.doorbell() = 0xdeadbeef;
  CHECK(bell.consumer.WaitUser(kNothing, milliseconds(1)) == WaitResult::kTimedOut);
  // A hostile peer that says "you still sleep" and wakes us all the time.
  std::atomic<bool> stop{false};
  std::thread hostile([&] {
    while (!stop) FutexWake(bell.page.doorbell(), 1);
  });
  CHECK(bell.consumer.WaitUser(kNothing, milliseconds(20)) == WaitResult::kTimedOut);
  stop = true;
  hostile.join();
}

TEST_CASE("Waiting: gives up after its budget and at once while yields are banned") {
  Bell bell;
  WaitingOptions options;
  options.spin = std::chrono::microseconds(200);
  options.slow_yield = std::chrono::hours(1);  // whatever the machine's load, none is slow
  Waiting waiting(bell.page, options);
  for (const bool woke : {false, true}) {
    waiting.Begin(woke, 0);
    const int64_t start = MonotonicNs();
    int steps = 0;
    while (waiting.Step({})) ++steps;
    CHECK(steps >= 1);
    CHECK(MonotonicNs() - start >= 200'000);
  }
  options.slow_yield = model::Duration(-1);  // every yield is slow
  options.no_yields = std::chrono::hours(1);
  Waiting banned(bell.page, options);
  banned.Begin(true, 0);
  CHECK(banned.Step({}));
  CHECK_FALSE(banned.Step({}));
}

TEST_CASE("Waiting: a slow yield after which much had come bans none, after little does") {
  Bell bell;
  WaitingOptions options;
  options.slow_yield = model::Duration(-1);
  options.no_yields = std::chrono::hours(1);
  options.spin_after_wake = std::chrono::hours(1);
  Waiting waiting(bell.page, options);
  waiting.Begin(true, 100);
  CHECK(waiting.Step({}));
  waiting.Begin(true, 100 + options.bulk);
  CHECK(waiting.Step({}));
  waiting.Begin(true, 100 + 2 * options.bulk - 1);
  CHECK_FALSE(waiting.Step({}));
}

TEST_CASE("Waiting: an awake peer on the same CPU is yielded to, a sleeping one is not") {
  Bell self;
  Bell peer;
  const ProcessPage* const peers[] = {&peer.page};
  WaitingOptions options;
  options.slow_yield = model::Duration(-1);
  options.no_yields = std::chrono::hours(1);
  options.spin = seconds(100);
  const auto steps_until_sleep = [&] {
    Waiting waiting(self.page, options);
    // Wherever this thread is moved meanwhile, the peer was last seen there.
    waiting.Begin(false, 0);
    for (int step = 0; step < 1000; ++step) {
      peer.page.PublishCpu();
      if (!waiting.Step(peers)) return step;
    }
    return -1;
  };
  CHECK(steps_until_sleep() > 0);
  peer.page.doorbell() = kUser;
  CHECK(steps_until_sleep() == -1);
}

}  // namespace rayx::shm
