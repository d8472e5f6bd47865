// Goal: a want gets a worker of its job and program or a reason, and nothing is started for nobody.
// Method: zygotes and workers played by the test; every message is delivered twice.
#include "node/core/worker_pool_core.h"

#include <catch2/catch.hpp>

namespace rayx::node {
namespace {

using model::JobId;
using model::LeaseId;
using model::NodeNumber;
using model::ProcessId;
using model::TimePoint;

struct Fixture {
  WorkerPoolCore core{PoolOptions{}};
  PoolEffects effects;
  TimePoint now{std::chrono::seconds(100)};
  uint32_t next_worker = 1;

  PoolEffects Take() {
    core.CheckInvariants();
    PoolEffects taken;
    std::swap(taken, effects);
    return taken;
  }
  PoolEffects Want(uint64_t lease, uint32_t job = 1, bool for_actor = false) {
    core.OnWant(LeaseId{lease}, JobId{job}, "p", for_actor, now, effects);
    core.OnWant(LeaseId{lease}, JobId{job}, "p", for_actor, now, effects);
    return Take();
  }
  PoolEffects Ready(bool can_fork = true) {
    core.OnZygoteReady("p", can_fork, now, effects);
    core.OnZygoteReady("p", can_fork, now, effects);
    return Take();
  }
  ProcessId Hello(StartId start) {
    const ProcessId id = ProcessId::Make(NodeNumber{1}, next_worker++);
    core.OnHello(start, id, now, effects);
    core.OnHello(start, id, now, effects);
    return id;
  }
  // A worker of the job that serves the lease.
  ProcessId Serve(uint64_t lease, uint32_t job = 1, bool for_actor = false) {
    PoolEffects step = Want(lease, job, for_actor);
    if (!step.zygotes.empty()) step = Ready();
    if (!step.assigns.empty()) return step.assigns[0].worker;
    REQUIRE(step.forks.size() == 1);
    const ProcessId id = Hello(step.forks[0].start);
    const PoolEffects after = Take();
    REQUIRE(after.assigns.size() == 1);
    REQUIRE(after.assigns[0].worker == id);
    return id;
  }
};

}  // namespace

TEST_CASE(
    "WorkerPoolCore: the first want starts a zygote, then a fork; the next take idle workers") {
  Fixture f;
  REQUIRE(f.Want(1).zygotes.size() == 1);
  CHECK(f.Want(2).zygotes.empty());
  const auto forks = f.Ready();
  REQUIRE(forks.forks.size() == 2);
  const ProcessId a = f.Hello(forks.forks[0].start);
  CHECK(f.Take().assigns.size() == 1);
  f.core.OnReleased(a, false, "", f.now, f.effects);
  const auto second = f.Take();
  REQUIRE(second.assigns.size() == 1);  // the want does not wait for its own start
  CHECK(second.assigns[0].worker == a);
  f.Hello(forks.forks[1].start);
  CHECK(f.Take().assigns.empty());
  CHECK(f.Want(3).assigns.size() == 1);
  CHECK(f.Want(4, 2).forks.size() == 1);  // another job's worker is a new one
}

TEST_CASE("WorkerPoolCore: a program that cannot be forked is executed for each worker") {
  Fixture f;
  f.Want(1);
  const auto step = f.Ready(false);
  CHECK(step.ended_zygotes.size() == 1);
  CHECK(step.execs.size() == 1);
  CHECK(f.Want(2).execs.size() == 1);
  f.core.OnZygoteGone("p", "killed by us", f.now, f.effects);
  CHECK(f.Take().failures.empty());
}

TEST_CASE(
    "WorkerPoolCore: a start is tried three times, then the want fails with the last reason") {
  Fixture f;
  f.Want(1);
  auto step = f.Ready();
  for (int i = 1; i <= 3; ++i) {
    REQUIRE(step.forks.size() == 1);
    const StartId start = step.forks[0].start;
    f.core.OnStartFailed(start, "reason " + std::to_string(i), f.now, f.effects);
    f.core.OnStartFailed(start, "again", f.now, f.effects);
    step = f.Take();
  }
  CHECK(step.forks.empty());
  REQUIRE(step.failures.size() == 1);
  CHECK(step.failures[0].message == "no worker could be started: reason 3");
  CHECK(step.failures[0].code == ErrorCode::kWorkerDied);
}

TEST_CASE("WorkerPoolCore: a zygote that never comes up fails the want in bounded tries") {
  Fixture f;
  auto step = f.Want(1);
  int zygotes = 0;
  while (!step.zygotes.empty() && zygotes < 10) {
    ++zygotes;
    f.core.OnZygoteGone("p", "exited with code 3", f.now, f.effects, ErrorCode::kLibraryMismatch);
    step = f.Take();
  }
  CHECK(zygotes == 3);
  REQUIRE(step.failures.size() == 1);
  CHECK(step.failures[0].code == ErrorCode::kLibraryMismatch);
  CHECK(step.failures[0].message.find("exited with code 3") != std::string::npos);
}

TEST_CASE("WorkerPoolCore: a silent start or zygote is given up") {
  Fixture f;
  f.Want(1);
  f.now += std::chrono::seconds(61);
  f.core.OnTick(f.now, f.effects);
  auto step = f.Take();
  CHECK(step.ended_zygotes.size() == 1);
  CHECK(step.zygotes.size() == 1);
  step = f.Ready();
  REQUIRE(step.forks.size() == 1);
  const StartId silent = step.forks[0].start;
  f.now += std::chrono::seconds(61);
  f.core.OnTick(f.now, f.effects);
  step = f.Take();
  REQUIRE(step.abandons.size() == 1);
  CHECK(step.abandons[0].start == silent);
  CHECK(step.forks.size() == 1);
  f.Hello(silent);  // it comes too late
  CHECK(f.Take().ends.size() == 1);
}

TEST_CASE("WorkerPoolCore: an actor's worker is not used again, nor one that is to end") {
  Fixture f;
  const ProcessId actor = f.Serve(1, 1, true);
  f.core.OnReleased(actor, false, "done", f.now, f.effects);
  CHECK(f.Take().ends.size() == 1);
  CHECK(f.Want(2).assigns.empty());
  f.core.OnWorkerGone(actor, f.now, f.effects);
  f.core.OnWorkerGone(actor, f.now, f.effects);
  CHECK(f.core.workers() == 0);
}

TEST_CASE("WorkerPoolCore: idle workers and unused zygotes go after a minute") {
  Fixture f;
  const ProcessId id = f.Serve(1);
  f.core.OnReleased(id, false, "", f.now, f.effects);
  f.Take();
  f.now += std::chrono::seconds(30);
  f.core.OnTick(f.now, f.effects);
  CHECK(f.Take().ends.empty());
  f.now += std::chrono::seconds(31);
  f.core.OnTick(f.now, f.effects);
  auto step = f.Take();
  REQUIRE(step.ends.size() == 1);
  CHECK(step.ends[0].reason == kIdle);
  CHECK(step.ended_zygotes.empty());
  f.core.OnWorkerGone(id, f.now, f.effects);
  f.now += std::chrono::seconds(61);
  f.core.OnTick(f.now, f.effects);
  CHECK(f.Take().ended_zygotes.size() == 1);
}

TEST_CASE("WorkerPoolCore: the end of a job ends its workers, starts and wants, and no others") {
  Fixture f;
  const ProcessId mine = f.Serve(1, 1);
  const ProcessId other = f.Serve(2, 2);
  const auto starting = f.Want(3, 1);
  REQUIRE(starting.forks.size() == 1);
  f.core.OnJobEnded(JobId{1}, f.now, f.effects);
  const auto step = f.Take();
  REQUIRE(step.ends.size() == 1);
  CHECK(step.ends[0].worker == mine);
  CHECK(step.abandons.size() == 1);
  REQUIRE(step.failures.size() == 1);
  CHECK(step.failures[0].code == ErrorCode::kCancelled);
  CHECK(std::string(f.core.StateOf(other)) == "leased");
  CHECK(f.Want(4, 1).failures.size() == 2);  // each repeat is told
  f.core.OnWorkerGone(mine, f.now, f.effects);
  CHECK(std::string(f.core.StateOf(mine)).empty());
  CHECK(f.core.workers() == 1);
}

}  // namespace rayx::node
