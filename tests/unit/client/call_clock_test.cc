// Goal: short calls in a row cost few readings of a clock, and a long one among them is seen: a
// worker whose calls came one by one was not timed any more after eight short ones.
#include "client/executor/call_clock.h"

#include <catch2/catch.hpp>

namespace rayx::client {
namespace {

constexpr bool kFollows = true;
constexpr bool kComesLater = false;
constexpr model::Duration kShort = CallTurn::kShort;
constexpr model::Duration kLong = 100 * CallTurn::kShort;
const int kF = 0, kG = 0;  // functions, by their addresses

// Calls of `kF` in a row until no clock is read for the next one.
CallClock AfterShortCalls() {
  CallClock clock;
  for (uint32_t i = 0; i < CallClock::kTimedFirst; ++i) {
    REQUIRE(clock.Begins(&kF, kFollows));
    REQUIRE(clock.Timed(&kF, kShort) == kShort);
  }
  return clock;
}

TEST_CASE("CallClock: of short calls in a row one in four is timed, with those before it") {
  CallClock clock = AfterShortCalls();
  for (int round = 0; round < 3; ++round) {
    for (uint32_t i = 0; i < CallClock::kUntimed; ++i) {
      REQUIRE_FALSE(clock.Begins(&kF, kFollows));
      CHECK(clock.Untimed() == kShort);
    }
    REQUIRE(clock.Begins(&kF, kFollows));
    CHECK(clock.Timed(&kF, (CallClock::kUntimed + 1) * kShort) == kShort);
  }
}

TEST_CASE("CallClock: a call that comes later is timed, however many short ones there were") {
  CallClock clock = AfterShortCalls();
  REQUIRE_FALSE(clock.Begins(&kF, kFollows));
  clock.Untimed();
  REQUIRE(clock.Begins(&kF, kComesLater));
  CHECK(clock.Timed(&kF, kLong) == kLong);  // and not divided among those before it
}

TEST_CASE("CallClock: after a long call each one is timed again") {
  CallClock clock = AfterShortCalls();
  for (uint32_t i = 0; i < CallClock::kUntimed; ++i) {
    REQUIRE_FALSE(clock.Begins(&kF, kFollows));
    clock.Untimed();
  }
  REQUIRE(clock.Begins(&kF, kFollows));
  CHECK(clock.Timed(&kF, kLong) == kLong / (CallClock::kUntimed + 1));
  for (uint32_t i = 0; i < CallClock::kTimedFirst; ++i) {
    REQUIRE(clock.Begins(&kF, kFollows));
    clock.Timed(&kF, kShort);
  }
  CHECK_FALSE(clock.Begins(&kF, kFollows));
}

TEST_CASE("CallClock: another function's calls are timed") {
  CallClock clock = AfterShortCalls();
  REQUIRE(clock.Begins(&kG, kFollows));
  CHECK(clock.Timed(&kG, kLong) == kLong);
  CHECK(clock.Begins(&kF, kFollows));
}

}  // namespace
}  // namespace rayx::client
