// Goal: short calls of one caller are served in a row, but not for ever, and no reply waits behind
// another caller's calls: two callers with a worker in common waited milliseconds for their last
// replies.
#include "client/executor/call_turn.h"

#include <catch2/catch.hpp>

namespace rayx::client {
namespace {

using model::ProcessId;

const ProcessId kA = ProcessId::Make(model::NodeNumber{1}, 1);
const ProcessId kB = ProcessId::Make(model::NodeNumber{1}, 2);
const model::Duration kLong = CallTurn::kShort + model::Duration(1);

TEST_CASE("CallTurn: a caller with short calls has the turn for so many of them") {
  CallTurn turn;
  CHECK_FALSE(turn.goes_on());
  turn.Begin();
  uint32_t calls = 1;
  while (turn.goes_on()) {
    turn.Ended(CallTurn::kShort);
    turn.GoOn();
    ++calls;
  }
  CHECK(calls == CallTurn::kCalls);
}

TEST_CASE("CallTurn: a long call ends its caller's turn") {
  CallTurn turn;
  turn.Begin();
  REQUIRE(turn.goes_on());
  turn.Ended(kLong);
  CHECK_FALSE(turn.goes_on());
}

TEST_CASE("CallTurn: a reply is kept back only for the next one of the same caller") {
  CHECK_FALSE(CallTurn::ShowsAtOnce(kA, CallTurn::kShort, &kA));
  CHECK(CallTurn::ShowsAtOnce(kA, CallTurn::kShort, &kB));
  CHECK(CallTurn::ShowsAtOnce(kA, CallTurn::kShort, nullptr));
  CHECK(CallTurn::ShowsAtOnce(kA, kLong, &kA));
}

}  // namespace
}  // namespace rayx::client
