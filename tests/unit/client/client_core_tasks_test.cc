// Goal: the owner's decisions about tasks: dispatch, retries, failure propagation.
#include "tests/unit/client/client_core_fixture.h"

namespace rayx::client {

TEST_CASE(
    "ClientCore: a task asks for a lease, is sent when it is granted, resolves by its reply") {
  Fixture f;
  const uint32_t slot = f.Submit();
  REQUIRE(f.sink.lease_requests.size() == 1);
  CHECK(f.sink.calls.empty());
  f.Grant(kWorkerA);
  REQUIRE(f.sink.calls.size() == 1);
  CHECK(f.sink.calls[0].header.destination == kWorkerA);
  CHECK(f.sink.calls[0].header.attempt == 1);
  f.Reply(f.sink.calls[0].header, "42");
  CHECK(f.core.IsReady(slot));
  CHECK(f.Value(slot) == "42");
}

TEST_CASE("ClientCore: a reply with another cookie, attempt or source is dropped") {
  Fixture f;
  const uint32_t slot = f.Submit();
  f.Grant(kWorkerA);
  FrameHeader call = f.sink.calls[0].header;
  FrameHeader wrong = call;
  wrong.attempt = 2;
  f.Reply(wrong);
  wrong = call;
  wrong.cookie_sequence += 1;
  f.Reply(wrong);
  wrong = call;
  wrong.cookie_slot = 12345678;
  f.Reply(wrong);
  wrong = call;
  wrong.destination = kWorkerB;
  f.Reply(wrong);
  CHECK_FALSE(f.core.IsReady(slot));
  f.Reply(call);
  CHECK(f.core.IsReady(slot));
}

TEST_CASE("ClientCore: a task with several results resolves each, or fails them all") {
  Fixture f;
  const uint32_t slot = f.SubmitFor(3);
  CHECK(f.core.At(slot + 2).id.sequence == f.core.At(slot).id.sequence + 2);
  f.Grant(kWorkerA);
  REQUIRE(f.sink.calls.size() == 1);
  const FrameHeader call = f.sink.calls[0].header;
  CHECK(call.result_count == 3);
  CHECK(f.core.TaskOf(slot + 1) != nullptr);
  CHECK_THAT(f.core.Describe(slot + 2), Catch::Contains("several") && Catch::Contains("sent to"));
  SECTION("each its own") {
    f.ReplyEach(call, {"a", std::string(100, 'b'), "c"});
    CHECK(f.Value(slot) == "a");
    CHECK(f.Value(slot + 1) == std::string(100, 'b'));
    CHECK(f.Value(slot + 2) == "c");
    CHECK(f.core.TaskOf(slot + 1) == nullptr);
  }
  SECTION("a failed call") {
    proto::ErrorInfo error;
    error.set_code(static_cast<int>(ErrorCode::kTaskError));
    f.Reply(call, error.SerializeAsString(), /*failed=*/true);
    for (uint32_t i = 0; i < 3; ++i) CHECK(f.Error(slot + i) == ErrorCode::kTaskError);
  }
  SECTION("a reply with too few") {
    f.ReplyEach(call, {"a"});
    CHECK(f.Value(slot) == "a");
    CHECK(f.Error(slot + 1) == ErrorCode::kSerializationError);
    CHECK(f.Error(slot + 2) == ErrorCode::kSerializationError);
  }
  SECTION("a reply with none") {
    f.ReplyEach(call, {});
    for (uint32_t i = 0; i < 3; ++i) CHECK(f.Error(slot + i) == ErrorCode::kSerializationError);
  }
  SECTION("no holds left: they are resolved and go, and their slots serve again") {
    for (uint32_t i = 0; i < 3; ++i) f.core.ReleaseHold(slot + i);
    f.ReplyEach(call, {"a", "b", "c"});
    CHECK(f.SubmitFor(3) == slot);
  }
  SECTION("the worker dies: run again, once") {
    f.sink.started.insert(call.task);
    f.Die(kWorkerA);
    f.Grant(kWorkerB);
    REQUIRE(f.sink.calls.size() == 2);
    f.ReplyEach(call, {"x", "y", "z"});  // of the superseded attempt
    CHECK_FALSE(f.core.IsReady(slot + 2));
    f.ReplyEach(f.sink.calls[1].header, {"a", "b", "c"});
    CHECK(f.Value(slot + 2) == "c");
  }
  SECTION("the cluster is lost") {
    f.core.OnClusterLost(EncodeError(ErrorCode::kHeadUnavailable, "gone"));
    f.core.CheckInvariants();
    for (uint32_t i = 0; i < 3; ++i) CHECK(f.Error(slot + i) == ErrorCode::kHeadUnavailable);
  }
}

TEST_CASE("ClientCore: after a worker's death a started task is sent again with a higher attempt") {
  Fixture f;
  const uint32_t slot = f.Submit(/*retries=*/1);
  f.Grant(kWorkerA);
  f.sink.started.insert(f.core.At(slot).id);
  const FrameHeader first = f.sink.calls[0].header;
  f.Die(kWorkerA);
  f.Grant(kWorkerB);
  REQUIRE(f.sink.calls.size() == 2);
  CHECK(f.sink.calls[1].header.attempt == 2);
  f.Reply(first, "stale");
  CHECK_FALSE(f.core.IsReady(slot));
  f.Reply(f.sink.calls[1].header, "second");
  CHECK(f.Value(slot) == "second");
  REQUIRE(f.sink.warnings.size() == 1);
  CHECK_THAT(f.sink.warnings[0], Catch::EndsWith(": pid 7 ended; attempt 2 of 2 follows"));
}

TEST_CASE("ClientCore: a task that had not started costs no attempt, even with no retries") {
  Fixture f;
  const uint32_t slot = f.Submit(/*retries=*/0);
  f.Grant(kWorkerA);
  f.Die(kWorkerA);
  f.Grant(kWorkerB);
  REQUIRE(f.sink.calls.size() == 2);
  CHECK(f.sink.calls[1].header.attempt == 1);
  f.sink.started.insert(f.core.At(slot).id);
  f.Die(kWorkerB);
  CHECK(f.Error(slot) == ErrorCode::kWorkerDied);
}

TEST_CASE(
    "ClientCore: every attempt killing its worker ends as TaskPoisoned, a lost node as NodeDied") {
  Fixture f;
  const uint32_t slot = f.Submit(/*retries=*/1);
  f.sink.started.insert(f.core.At(slot).id);
  f.Grant(kWorkerA);
  f.Die(kWorkerA);
  f.Grant(kWorkerA);
  f.Die(kWorkerA);
  CHECK(f.Error(slot) == ErrorCode::kTaskPoisoned);
  CHECK_THAT(f.Message(slot), Catch::Contains("each of the 2 attempts of task ") &&
                                  Catch::Contains(" killed its worker; the last: pid 7 ended"));
  const uint32_t other = f.Submit(/*retries=*/0);
  f.sink.started.insert(f.core.At(other).id);
  f.Grant(kWorkerB);
  f.core.OnNodeDied(kWorkerB.node(), "silent for 10 s", f.now);
  CHECK(f.Error(other) == ErrorCode::kNodeDied);
}

TEST_CASE("ClientCore: a dependant waits for its argument and gets the value, or its error") {
  Fixture f;
  const uint32_t first = f.Submit();
  const uint32_t second = f.Submit(3, {first});
  const uint32_t third = f.Submit(3, {second});
  f.Grant(kWorkerA);
  REQUIRE(f.sink.calls.size() == 1);
  f.Reply(f.sink.calls[0].header, "abc");
  REQUIRE(f.sink.calls.size() == 2);
  model::BodyReader reader(f.sink.calls[1].body, f.sink.calls[1].header.item_count);
  model::Item item;
  REQUIRE(reader.Next(item));
  CHECK(std::string(reinterpret_cast<const char*>(item.bytes.data()), item.bytes.size()) == "abc");
  f.Reply(f.sink.calls[1].header, EncodeError(ErrorCode::kTaskError, "boom"), /*failed=*/true);
  CHECK(f.Error(second) == ErrorCode::kTaskError);
  CHECK(f.Error(third) == ErrorCode::kTaskError);
  CHECK(f.sink.calls.size() == 2);
}

TEST_CASE("ClientCore: a failed argument of a chain of 100,000 dependants fails them all") {
  Fixture f;
  std::vector<uint32_t> slots = {f.Submit()};
  for (int i = 0; i < 100'000; ++i) slots.push_back(f.Submit(3, {slots.back()}));
  f.Grant(kWorkerA);
  f.Reply(f.sink.calls[0].header, EncodeError(ErrorCode::kTaskError, "boom"), /*failed=*/true);
  CHECK(f.Error(slots.back()) == ErrorCode::kTaskError);
}

TEST_CASE(
    "ClientCore: what a stuck worker elsewhere gives back goes to another, and is asked for once") {
  Fixture f;
  f.sink.workers_elsewhere = true;
  f.Submit();
  f.Grant(kWorkerB);
  f.Reply(f.sink.calls[0].header, "v", false, 2);
  const uint32_t stuck = f.Submit();
  const uint32_t behind = f.Submit();
  REQUIRE(f.sink.calls.size() == 3);
  for (int i = 0; i < 20; ++i) f.TickAfter(milliseconds(i == 0 ? 10 : 1));
  REQUIRE(f.sink.revokes.size() == 1);
  CHECK(f.sink.revokes[0].task == f.core.At(behind).id);
  f.Answer(f.sink.revokes[0], FrameKind::kRevokeReply);
  CHECK(f.sink.calls.size() == 3);
  f.Grant(kWorkerC);
  REQUIRE(f.sink.calls.size() == 4);
  CHECK(f.sink.calls[3].header.destination == kWorkerC);
  f.Reply(f.sink.calls[3].header);
  CHECK(f.core.IsReady(behind));
  CHECK_FALSE(f.core.IsReady(stuck));
}

TEST_CASE(
    "ClientCore: a frame that comes back never started: it costs nothing and goes elsewhere") {
  Fixture f;
  const uint32_t slot = f.Submit(/*retries=*/0);
  f.sink.started.insert(f.core.At(slot).id);
  f.Grant(kWorkerB);
  f.Answer(f.sink.calls[0].header, FrameKind::kUndeliverable);
  CHECK(f.sink.returned.size() == 1);
  f.TickAfter(milliseconds(20));
  f.Grant(kWorkerC);
  REQUIRE(f.sink.calls.size() == 2);
  CHECK(f.sink.calls[1].header.attempt == 1);
  f.Reply(f.sink.calls[1].header);
  CHECK(f.Value(slot) == "v");
}

TEST_CASE("ClientCore: the loss of the cluster fails all that is pending and all that follows") {
  Fixture f;
  const uint32_t pending = f.Submit();
  const uint32_t dependant = f.Submit(3, {pending});
  f.core.OnClusterLost(EncodeError(ErrorCode::kHeadUnavailable, "gone"));
  f.core.CheckInvariants();
  CHECK(f.Error(pending) == ErrorCode::kHeadUnavailable);
  CHECK(f.Error(dependant) == ErrorCode::kHeadUnavailable);
  CHECK(f.Error(f.Submit()) == ErrorCode::kHeadUnavailable);
}

}  // namespace rayx::client
