// Goal: the loop calls what it was given, in order, and nothing that was removed. Method: a real
// loop with pipes and eventfds; time is a clock that the test moves.
#include "io/loop.h"

#include <sys/eventfd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

namespace rayx::io {
namespace {

class FakeClock final : public Clock {
 public:
  model::TimePoint Now() const override { return now; }
  model::TimePoint now{std::chrono::seconds(1)};
};

std::unique_ptr<Loop> MakeLoop(const Clock& clock) {
  auto loop = Loop::Create(clock);
  REQUIRE(loop.ok());
  return *std::move(loop);
}

base::UniqueFd RungEvent() {
  return base::UniqueFd(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
}

}  // namespace

TEST_CASE("Loop: timers run by time, then by age, and never early") {
  FakeClock clock;
  auto loop = MakeLoop(clock);
  std::vector<int> ran;
  loop->AddTimerAfter(std::chrono::milliseconds(20), [&] { ran.push_back(3); });
  loop->AddTimerAfter(std::chrono::milliseconds(10), [&] { ran.push_back(1); });
  loop->AddTimerAfter(std::chrono::milliseconds(10), [&] { ran.push_back(2); });
  const auto gone = loop->AddTimerAfter(std::chrono::milliseconds(10), [&] { ran.push_back(9); });
  loop->CancelTimer(gone);
  loop->CancelTimer(gone);
  clock.now += std::chrono::milliseconds(9);
  loop->RunOnce(std::chrono::milliseconds(0));
  CHECK(ran.empty());
  clock.now += std::chrono::milliseconds(1);
  loop->RunOnce(std::chrono::milliseconds(0));
  CHECK(ran == std::vector<int>{1, 2});
  clock.now += std::chrono::seconds(1);
  loop->RunOnce(std::chrono::milliseconds(0));
  CHECK(ran == std::vector<int>{1, 2, 3});
}

TEST_CASE("Loop: a handler that was removed in the same round is not called") {
  FakeClock clock;
  auto loop = MakeLoop(clock);
  const base::UniqueFd a = RungEvent();
  const base::UniqueFd b = RungEvent();
  int calls = 0;
  const auto remove_both = [&](uint32_t) {
    ++calls;
    loop->RemoveFd(a.get());
    loop->RemoveFd(b.get());
  };
  REQUIRE(loop->AddFd(a.get(), EPOLLIN, remove_both).ok());
  REQUIRE(loop->AddFd(b.get(), EPOLLIN, remove_both).ok());
  loop->RunOnce(std::chrono::milliseconds(0));
  loop->RunOnce(std::chrono::milliseconds(0));
  CHECK(calls == 1);
}

TEST_CASE("Loop: a new watch of a reused number does not get the old one's events") {
  FakeClock clock;
  auto loop = MakeLoop(clock);
  base::UniqueFd a = RungEvent();
  base::UniqueFd b = RungEvent();
  std::vector<char> ran;
  const auto first = [&](uint32_t) {
    ran.push_back('a');
    const int number = b.get();
    loop->RemoveFd(number);
    b.Reset();
    b.Reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    REQUIRE(loop->AddFd(b.get(), EPOLLIN, [&](uint32_t) { ran.push_back('c'); }).ok());
    loop->RemoveFd(a.get());
  };
  REQUIRE(loop->AddFd(a.get(), EPOLLIN, first).ok());
  REQUIRE(loop->AddFd(b.get(), EPOLLIN, [&](uint32_t) { ran.push_back('b'); }).ok());
  loop->RunOnce(std::chrono::milliseconds(0));
  CHECK(std::find(ran.begin(), ran.end(), 'c') == ran.end());
}

TEST_CASE("Loop: posts of several threads all run, each thread's in order, and Stop ends Run") {
  PosixClock clock;
  auto loop = MakeLoop(clock);
  std::vector<int> seen[3];
  int total = 0;
  std::atomic<int> refused{0};  // Catch's assertions are for one thread
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        const bool posted = loop->Post([&, t, i] {
          seen[t].push_back(i);
          if (++total == 1500) loop->Stop();
        });
        if (!posted) ++refused;
      }
    });
  }
  loop->Run();
  for (auto& thread : threads) thread.join();
  CHECK(refused == 0);
  for (const auto& order : seen) CHECK(std::is_sorted(order.begin(), order.end()));
  CHECK(total == 1500);
}

TEST_CASE("Loop: Close drops what was posted with all that it holds, and refuses more") {
  FakeClock clock;
  auto loop = MakeLoop(clock);
  auto held = std::make_shared<int>(1);
  REQUIRE(loop->Post([held] { FAIL("it was dropped"); }));
  CHECK(held.use_count() == 2);
  loop->Close();
  CHECK(held.use_count() == 1);
  CHECK_FALSE(loop->Post([held] {}));
}

TEST_CASE("Loop: full, it takes the ends of its own calls and nothing else") {
  FakeClock clock;
  auto loop = MakeLoop(clock);
  size_t ran = 0;
  for (size_t i = 0; i < Loop::kPostedMax; ++i) REQUIRE(loop->Post([&] { ++ran; }));
  CHECK_FALSE(loop->Post([&] { ++ran; }));
  CHECK(loop->PostAlways([&] { ++ran; }));
  loop->RunOnce(std::chrono::milliseconds(0));
  CHECK(ran == Loop::kPostedMax + 1);
  loop->Close();
  CHECK_FALSE(loop->PostAlways([] {}));
}

TEST_CASE("Loop: it does not sleep while the hook before sleep has work") {
  FakeClock clock;
  auto loop = MakeLoop(clock);
  int rounds = 0;
  loop->SetBeforeSleep([&] {
    if (++rounds == 5) loop->Stop();
    return true;
  });
  loop->Run();
  CHECK(rounds == 5);
}

}  // namespace rayx::io
