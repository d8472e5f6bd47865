// Goal: an actor's incarnation is started once and its end reported once, whatever repeats or
// crosses. Method: head, workers and leases played by the test; every message is delivered twice.
#include "node/core/actor_host_core.h"

#include <catch2/catch.hpp>

namespace rayx::node {
namespace {

using model::ActorId;
using model::NodeNumber;
using model::ProcessId;

const ActorId kActor{ProcessId::Make(NodeNumber{1}, 1), 7};
const ProcessId kWorker = ProcessId::Make(NodeNumber{1}, 50);

struct Fixture {
  ActorHostCore core{NodeNumber{1}};
  ActorEffects effects;

  ActorEffects Take() {
    core.CheckInvariants();
    ActorEffects taken;
    std::swap(taken, effects);
    return taken;
  }
  ActorEffects Start(uint32_t incarnation = 1) {
    proto::ActorSpec spec;
    spec.mutable_id()->set_creator(kActor.creator.value);
    spec.mutable_id()->set_sequence(kActor.sequence);
    spec.set_job(3);
    spec.set_creation_frame("frame");
    core.OnStart(spec, incarnation, LeaseRequest{}, effects);
    core.OnStart(spec, incarnation, LeaseRequest{}, effects);
    return Take();
  }
  static RequestKey Key(uint32_t incarnation = 1) {
    return {kActor.creator, kActor.sequence, incarnation};
  }
  uint32_t Create() {
    REQUIRE(Start().requests.size() == 1);
    core.OnGranted(Key(), kWorker, effects);
    core.OnGranted(Key(), kWorker, effects);
    const auto step = Take();
    REQUIRE(step.creations.size() == 1);
    CHECK(step.creations[0].frame == "frame");
    return step.creations[0].cookie;
  }
  void MakeAlive() {
    const uint32_t cookie = Create();
    core.OnCreated(cookie, kWorker, {}, effects);
    core.OnCreated(cookie, kWorker, {}, effects);
    const auto step = Take();
    REQUIRE(step.reports.size() == 1);
    REQUIRE(step.reports[0].state == proto::ACTOR_ALIVE);
  }
};

proto::ErrorInfo Error(ErrorCode code, const std::string& message) {
  proto::ErrorInfo error;
  error.set_code(static_cast<int32_t>(code));
  error.set_message(message);
  return error;
}

}  // namespace

TEST_CASE("ActorHostCore: created once, reported alive once, and again to a head that asks again") {
  Fixture f;
  f.MakeAlive();
  const auto again = f.Start();
  CHECK(again.requests.empty());
  REQUIRE(again.reports.size() == 2);  // one for each of the two repeats
  CHECK(again.reports[0].state == proto::ACTOR_ALIVE);
  CHECK(f.core.LifeOf(kWorker).id == kActor);
}

TEST_CASE("ActorHostCore: a constructor that throws is the cause, and the worker is ended") {
  Fixture f;
  const uint32_t cookie = f.Create();
  f.core.OnCreated(cookie, ProcessId::Make(NodeNumber{1}, 51), {}, f.effects);  // not its process
  CHECK(f.Take().reports.empty());
  f.core.OnCreated(cookie, kWorker, Error(ErrorCode::kTaskError, "no"), f.effects);
  auto step = f.Take();
  REQUIRE(step.reports.size() == 1);
  CHECK(step.reports[0].cause.message() == "no");
  REQUIRE(step.ends.size() == 1);
  // The death that follows is not a second report.
  f.core.OnWorkerGone(kWorker, Error(ErrorCode::kWorkerDied, "killed"), f.effects);
  CHECK(f.Take().reports.empty());
}

TEST_CASE("ActorHostCore: a dead worker is reported with its cause, as the actor's death") {
  Fixture f;
  f.MakeAlive();
  proto::ErrorInfo cause = Error(ErrorCode::kWorkerDied, "killed by signal 9");
  cause.set_signal(9);
  f.core.OnWorkerGone(kWorker, cause, f.effects);
  f.core.OnWorkerGone(kWorker, cause, f.effects);
  const auto step = f.Take();
  REQUIRE(step.reports.size() == 1);
  CHECK(step.reports[0].state == proto::ACTOR_DEAD);
  CHECK(step.reports[0].cause.code() == static_cast<int>(ErrorCode::kActorDied));
  CHECK(step.reports[0].cause.signal() == 9);
  // A late repeat of its start is answered with its end; the next incarnation is a new start.
  CHECK(f.Start().reports.at(0).state == proto::ACTOR_DEAD);
  CHECK(f.Start(2).requests.size() == 1);
}

TEST_CASE("ActorHostCore: a worker that dies in a constructor is told as that") {
  Fixture f;
  f.Create();
  f.core.OnWorkerGone(kWorker, Error(ErrorCode::kWorkerDied, "killed by signal 11"), f.effects);
  const auto step = f.Take();
  REQUIRE(step.reports.size() == 1);
  CHECK(step.reports[0].cause.message() == "its constructor did not return: killed by signal 11");
}

TEST_CASE("ActorHostCore: stopped in each phase") {
  Fixture f;
  const ActorLife life{kActor, 1};
  SECTION("while it waits for its worker, which then comes") {
    f.Start();
    f.core.OnStop(life, "killed", f.effects);
    f.core.OnStop(life, "killed", f.effects);
    const auto step = f.Take();
    CHECK(step.cancels.size() == 1);
    REQUIRE(step.reports.size() == 1);
    f.core.OnGranted(Fixture::Key(), kWorker, f.effects);
    CHECK(f.Take().ends.size() == 1);
  }
  SECTION("while its constructor runs, which then returns") {
    const uint32_t cookie = f.Create();
    f.core.OnStop(life, "killed", f.effects);
    CHECK(f.Take().ends.size() == 1);
    f.core.OnCreated(cookie, kWorker, {}, f.effects);
    CHECK(f.Take().reports.empty());
  }
  SECTION("alive, by the end of its job") {
    f.MakeAlive();
    f.core.OnJobEnded(model::JobId{4}, f.effects);
    CHECK(f.Take().ends.empty());
    f.core.OnJobEnded(model::JobId{3}, f.effects);
    const auto step = f.Take();
    CHECK(step.ends.size() == 1);
    CHECK(step.reports.size() == 1);
  }
  CHECK(f.core.living() == 0);
}

TEST_CASE("ActorHostCore: no worker to be had is the cause") {
  Fixture f;
  f.Start();
  f.core.OnFailed(Fixture::Key(), Error(ErrorCode::kInfeasible, "too small"), f.effects);
  f.core.OnFailed(Fixture::Key(), Error(ErrorCode::kInfeasible, "too small"), f.effects);
  const auto step = f.Take();
  REQUIRE(step.reports.size() == 1);
  CHECK(step.reports[0].cause.code() == static_cast<int>(ErrorCode::kInfeasible));
}

TEST_CASE("ActorHostCore: no room in time is told once as PENDING, and the life is over here") {
  Fixture f;
  f.Start();
  f.core.OnFailed(Fixture::Key(), Error(ErrorCode::kNone, ""), f.effects);
  f.core.OnFailed(Fixture::Key(), Error(ErrorCode::kNone, ""), f.effects);
  const auto step = f.Take();
  REQUIRE(step.reports.size() == 1);
  CHECK(step.reports[0].state == proto::ACTOR_PENDING);
  CHECK(f.core.living() == 0);
  const auto again = f.Start();
  CHECK(again.requests.empty());
  REQUIRE(again.reports.size() == 2);
  CHECK(again.reports[0].state == proto::ACTOR_PENDING);
}

TEST_CASE("ActorHostCore: an order to stop that overtakes the one to start wins") {
  Fixture f;
  f.core.OnStop({kActor, 1}, "killed", f.effects);
  f.core.OnStop({kActor, 1}, "killed", f.effects);
  CHECK(f.Take().reports.empty());
  const auto late = f.Start();
  CHECK(late.requests.empty());
  REQUIRE(late.reports.size() == 2);
  CHECK(late.reports[0].state == proto::ACTOR_DEAD);
  CHECK(f.Start(2).requests.size() == 1);
}

}  // namespace rayx::node
