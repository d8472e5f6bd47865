// Goal: calls of actors go out in order, and each death fails what it has to and no more.
#include "tests/unit/client/client_core_fixture.h"

namespace rayx::client {

namespace {

// An actor that was created and serves, of incarnation 1 on kWorkerB.
struct ActorFixture : Fixture {
  explicit ActorFixture(int max_restarts) {
    auto record = core.NewTask();
    record->Extras().name = "A";
    proto::ActorSpec spec;
    spec.set_class_name("Ledger");
    spec.set_max_restarts(max_restarts);
    actor = core.CreateActor(std::move(record), std::move(spec), now);
    View(1, proto::ACTOR_ALIVE, 1, kWorkerB);
  }
  void View(uint64_t version, proto::ActorState state, uint32_t incarnation, ProcessId process,
            std::optional<ErrorCode> cause = std::nullopt, const std::string& message = "") {
    Fixture::View(actor, version, state, incarnation, process, cause, message);
  }
  uint32_t Call() { return core.SubmitActorCall(actor, core.NewTask(), now); }

  uint32_t actor = 0;
};

}  // namespace

TEST_CASE("ClientCore: actor calls go out in call order, also when an argument is late") {
  Fixture f;
  auto record = f.core.NewTask();
  record->Extras().name = "A";
  const uint32_t actor = f.core.CreateActor(std::move(record), {}, f.now);
  REQUIRE(f.sink.created.size() == 1);
  const uint32_t late = f.Submit();
  auto call = [&](std::vector<uint32_t> arguments) {
    auto each = f.core.NewTask();
    for (uint32_t slot : arguments) {
      each->Extras().arguments.push_back({.slot = slot});
      ++f.core.At(slot).holds;
    }
    return f.core.SubmitActorCall(actor, std::move(each), f.now);
  };
  const uint32_t one = call({late});
  const uint32_t two = call({});
  f.View(actor, 1, proto::ACTOR_ALIVE, 1, kWorkerB);
  CHECK(f.sink.calls.empty());
  f.Grant(kWorkerA);
  f.Reply(f.sink.calls[0].header);
  REQUIRE(f.sink.calls.size() == 3);
  CHECK(f.sink.calls[1].header.task == f.core.At(one).id);
  CHECK(f.sink.calls[1].header.number == 1);
  CHECK(f.sink.calls[2].header.task == f.core.At(two).id);
  CHECK(f.sink.calls[2].header.number == 2);
  f.Die(kWorkerB);
  CHECK(f.Error(one) == ErrorCode::kActorDied);
  const uint32_t three = call({});
  f.View(actor, 2, proto::ACTOR_DEAD, 1, kWorkerB, ErrorCode::kActorDied);
  CHECK(f.Error(three) == ErrorCode::kActorDied);
  CHECK(f.Error(call({})) == ErrorCode::kActorDied);
}

TEST_CASE("ClientCore: calls in flight when an actor restarts fail, in whatever order it is told") {
  for (const std::string order : {"da", "rda", "rad", "ad", "rat", "uda", "rua", "at"}) {
    INFO(order);
    ActorFixture f(/*max_restarts=*/3);
    const uint32_t running = f.Call();
    const FrameHeader sent = f.sink.calls.at(0).header;
    uint64_t version = 1;
    for (const char what : order) {
      if (what == 'd') f.Die(kWorkerB);
      if (what == 'r') f.View(++version, proto::ACTOR_RESTARTING, 2, {});
      if (what == 'a') f.View(++version, proto::ACTOR_ALIVE, 2, kWorkerC);
      if (what == 't') f.TickAfter(kLastAnswersWait);  // and nothing came of its daemon
      if (what == 'u') f.Answer(sent, FrameKind::kUndeliverable);
    }
    CHECK(f.Error(running) == ErrorCode::kActorDied);
    const uint32_t next = f.Call();
    REQUIRE(f.sink.calls.size() == 2);
    CHECK(f.sink.calls[1].header.destination == kWorkerC);
    CHECK(f.sink.calls[1].header.incarnation == 2);
    CHECK(f.sink.calls[1].header.number == 1);
    f.Reply(f.sink.calls[1].header);
    CHECK(f.core.IsReady(next));
  }
}

TEST_CASE(
    "ClientCore: what an actor answered before its end counts, if the head tells that first") {
  for (const bool comes_back : {true, false}) {
    ActorFixture f(comes_back ? 1 : 0);
    const uint32_t answered = f.Call();
    const uint32_t running = f.Call();
    const FrameHeader first = f.sink.calls.at(0).header;
    if (comes_back) {
      f.View(2, proto::ACTOR_ALIVE, 2, kWorkerC);
    } else {
      f.View(2, proto::ACTOR_DEAD, 1, {}, ErrorCode::kWorkerDied);
    }
    f.TickAfter(kLastAnswersWait / 2);
    CHECK_FALSE(f.core.IsReady(running));
    const uint32_t later = f.Call();
    CHECK(f.sink.calls.size() == 2);
    f.Reply(first, "answer");
    CHECK(f.Value(answered) == "answer");
    CHECK_FALSE(f.core.IsReady(running));
    f.Die(kWorkerB);
    CHECK(f.Error(running) == ErrorCode::kActorDied);
    if (comes_back) {
      REQUIRE(f.sink.calls.size() == 3);
      CHECK(f.sink.calls[2].header.destination == kWorkerC);
      CHECK(f.sink.calls[2].header.task == f.core.At(later).id);
    } else {
      CHECK(f.Error(later) != ErrorCode{});
    }
  }
}

TEST_CASE("ClientCore: the head's word of an actor's end is held once, and for a second at most") {
  ActorFixture f(0);
  const uint32_t running = f.Call();
  f.View(2, proto::ACTOR_DEAD, 1, {}, ErrorCode::kWorkerDied);
  const size_t asked = f.sink.watched.size();
  for (int i = 0; i < 9; ++i) f.TickAfter(kLastAnswersWait / 10);
  CHECK_FALSE(f.core.IsReady(running));
  f.core.OnPeerConnected(kWorkerB, f.now);  // late, or told twice
  const uint32_t later = f.Call();
  CHECK(f.sink.calls.size() == 1);
  CHECK(f.sink.watched.size() == asked);  // the head is not asked again meanwhile
  f.TickAfter(kLastAnswersWait / 10);
  CHECK(f.Error(running) == ErrorCode::kActorDied);
  CHECK(f.Error(later) == ErrorCode::kActorDied);

  ActorFixture answered(1);
  const uint32_t last = answered.Call();
  answered.View(2, proto::ACTOR_ALIVE, 2, kWorkerC);
  const uint32_t next = answered.Call();
  answered.Reply(answered.sink.calls.at(0).header);
  CHECK(answered.core.IsReady(last));
  answered.TickAfter(milliseconds(1));  // nothing is waited for any more
  REQUIRE(answered.sink.calls.size() == 2);
  CHECK(answered.sink.calls[1].header.destination == kWorkerC);
  CHECK(answered.sink.calls[1].header.task == answered.core.At(next).id);
}

TEST_CASE("ClientCore: what is called after Kill does not reach the process that is killed") {
  for (const bool comes_back : {true, false}) {
    ActorFixture f(comes_back ? 1 : 0);
    const uint32_t before = f.Call();
    f.core.OnActorKilled(f.core.Actor(f.actor).id, 1, !comes_back, f.now);
    const uint32_t after = f.Call();
    f.core.OnPeerConnected(kWorkerB, f.now);  // late
    f.TickAfter(milliseconds(1));
    CHECK(f.sink.calls.size() == 1);
    f.Reply(f.sink.calls.at(0).header);
    CHECK(f.core.IsReady(before));
    if (comes_back) {
      f.View(2, proto::ACTOR_ALIVE, 2, kWorkerC);
      REQUIRE(f.sink.calls.size() == 2);
      CHECK(f.sink.calls[1].header.destination == kWorkerC);
      // That the first one was killed is told late.
      f.core.OnActorKilled(f.core.Actor(f.actor).id, 1, false, f.now);
      f.Call();
      CHECK(f.sink.calls.size() == 3);
    } else {
      f.View(2, proto::ACTOR_DEAD, 1, {}, ErrorCode::kActorDied);
      CHECK(f.Error(after) == ErrorCode::kActorDied);
    }
  }
}

TEST_CASE("ClientCore: a call by value overtakes none that waits for room or for an argument") {
  ActorFixture f(/*max_restarts=*/0);
  std::vector<uint32_t> slots = {f.Call()};
  f.sink.no_room.insert(kWorkerB);
  slots.push_back(f.Call());  // finds no room
  f.sink.no_room.clear();
  slots.push_back(f.Call());
  CHECK(f.sink.calls.size() == 1);
  f.core.OnRoom(f.now);
  const uint32_t late = f.core.NewObject();
  auto record = f.core.NewTask();
  record->Extras().arguments.push_back({.slot = late});
  ++f.core.At(late).holds;
  slots.push_back(f.core.SubmitActorCall(f.actor, std::move(record), f.now));
  slots.push_back(f.Call());
  CHECK(f.sink.calls.size() == 3);
  f.core.ResolveValue(late, {});
  slots.push_back(f.Call());
  REQUIRE(f.sink.calls.size() == slots.size());
  for (size_t i = 0; i < slots.size(); ++i) {
    CHECK(f.sink.calls[i].header.task == f.core.At(slots[i]).id);
    CHECK(f.sink.calls[i].header.number == i + 1);
  }
}

TEST_CASE("ClientCore: the end of an actor names it and says whether it comes back") {
  ActorFixture gone(0);
  const uint32_t last = gone.Call();
  gone.Die(kWorkerB);
  CHECK(gone.Message(last) == "actor Ledger: pid 7 ended; no restart is left (SetMaxRestarts(0))");
  gone.View(2, proto::ACTOR_DEAD, 1, {}, ErrorCode::kWorkerDied);
  CHECK_THAT(gone.Message(gone.Call()), Catch::StartsWith("actor Ledger"));
  ActorFixture mortal(2);
  const uint32_t running = mortal.Call();
  mortal.Die(kWorkerB);
  CHECK(mortal.Message(running) ==
        "actor Ledger: pid 7 ended; it may be started again (SetMaxRestarts(2))");
}

TEST_CASE("ClientCore: who made an actor is told once of each death that it is restarted after") {
  ActorFixture f(-1);
  f.View(2, proto::ACTOR_RESTARTING, 2, {}, ErrorCode::kWorkerDied,
         "pid 7 ended; restart 1 follows");
  f.View(3, proto::ACTOR_ALIVE, 2, kWorkerC, ErrorCode::kWorkerDied,
         "pid 7 ended; restart 1 follows");
  CHECK(f.sink.warnings ==
        std::vector<std::string>{"actor Ledger: pid 7 ended; restart 1 follows"});
  f.View(4, proto::ACTOR_RESTARTING, 3, {}, ErrorCode::kActorDied,
         "actor Ledger was killed: by Kill(); restart 2 follows");
  f.View(5, proto::ACTOR_ALIVE, 3, kWorkerC);  // which has forgotten the cause
  CHECK(f.sink.warnings.size() == 1);
}

TEST_CASE("ClientCore: an actor that was unreachable for a moment is called again") {
  ActorFixture f(0);
  f.Call();
  f.Answer(f.sink.calls.at(0).header, FrameKind::kUndeliverable);
  f.Call();
  CHECK(f.sink.calls.size() == 1);
  f.View(1, proto::ACTOR_ALIVE, 1, kWorkerB);  // too early to believe it
  CHECK(f.sink.calls.size() == 1);
  f.now += std::chrono::seconds(10);
  f.View(1, proto::ACTOR_ALIVE, 1, kWorkerB);
  REQUIRE(f.sink.calls.size() == 2);
  CHECK(f.sink.calls[1].header.number == 2);
}

TEST_CASE(
    "ClientCore: an actor that may be restarted leaves nothing pending, and keeps its arguments") {
  Fixture f;
  const uint32_t argument = f.core.NewObject();
  f.core.ResolveValue(argument, {});
  auto record = f.core.NewTask();
  record->Extras().arguments.push_back({.slot = argument});
  proto::ActorSpec spec;
  spec.set_max_restarts(1);
  const uint32_t actor =
      f.core.CreateActor(std::move(record), std::move(spec), f.now);  // takes the hold
  const model::ObjectId id = f.core.At(argument).id;
  f.View(actor, 1, proto::ACTOR_ALIVE, 1, kWorkerB);
  CHECK_FALSE(f.core.HasPending());
  CHECK(f.core.Find(id) == argument);
  f.View(actor, 2, proto::ACTOR_DEAD, 1, kWorkerB);
  CHECK(f.core.Find(id) == kNoSlot);
}

TEST_CASE("ClientCore: a call that was not sent says what its actor waits for") {
  Fixture f;
  auto record = f.core.NewTask();
  record->Extras().name = "A";
  const uint32_t argument = f.core.NewObject();
  ++f.core.At(argument).holds;
  record->Extras().arguments.push_back({.slot = argument});
  proto::ActorSpec spec;
  spec.set_class_name("Ledger");
  spec.set_max_restarts(1);
  auto* amount = spec.mutable_placement()->mutable_resources()->add_amounts();
  amount->set_name("GPU");
  amount->set_units(2 * model::kResourceUnit);
  const uint32_t actor = f.core.CreateActor(std::move(record), std::move(spec), f.now);
  const uint32_t call = f.core.SubmitActorCall(actor, f.core.NewTask(), f.now);
  using Catch::Matchers::Contains;
  CHECK_THAT(f.core.Describe(call),
             Catch::StartsWith("call ") && Contains("Ledger") && Contains("waits for 1 argument"));
  f.core.ResolveValue(argument, {});
  CHECK_THAT(f.core.Describe(call), Contains("not placed yet") && Contains("{GPU: 2}"));
  f.View(actor, 1, proto::ACTOR_ALIVE, 1, kWorkerA);
  CHECK_THAT(f.core.Describe(call), Contains("to be connected"));
  f.View(actor, 2, proto::ACTOR_RESTARTING, 2, kWorkerA);
  CHECK_THAT(f.core.Describe(call), Contains("being restarted"));
}

}  // namespace rayx::client
