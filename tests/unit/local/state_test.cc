// Goal: a program can ask what its cluster has and runs. Method: the public API in local mode.
#include <catch2/catch.hpp>

#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/unit/local/local_mode.h"

using rayx::ActorState;
using rayx::testing::Gate;
using rayx::testing::LocalMode;

namespace {

Gate* the_gate = nullptr;

class Quiet {
 public:
  static Quiet* Create() { return new Quiet; }
  static Quiet* CreateLate() {
    the_gate->Pass();
    return new Quiet;
  }
  int One() const { return 1; }
};

}  // namespace

TEST_CASE("Local state: resources are what Init was told") {
  rayx::Options options;
  options.local_mode = true;
  options.num_cpus = 3;
  options.num_gpus = 1;
  options.resources = {{"gold", 2.5}};
  rayx::Init(options);
  CHECK(rayx::ClusterResources() ==
        std::map<std::string, double>{{"CPU", 3}, {"GPU", 1}, {"gold", 2.5}});
  CHECK(rayx::AvailableResources() == rayx::ClusterResources());
  rayx::Shutdown();
}

TEST_CASE("Local state: actors with their names, states and causes") {
  const LocalMode local;
  CHECK(rayx::Actors().empty());
  Gate gate;
  the_gate = &gate;
  const auto log = rayx::Actor<&Quiet::Create>().SetName("log", "here").SetDetached().Remote();
  log.Task<&Quiet::One>().Remote().Get();
  const auto late = rayx::Actor<&Quiet::CreateLate>().Remote();
  gate.AwaitSomebody();
  auto actors = rayx::Actors();
  REQUIRE(actors.size() == 2);
  CHECK(actors[0].id == log.ID());
  CHECK(actors[0].name == "log");
  CHECK(actors[0].actor_namespace == "here");
  CHECK_THAT(actors[0].class_name, Catch::Contains("Quiet"));
  CHECK(actors[0].state == ActorState::kAlive);
  CHECK(actors[0].detached);
  CHECK(actors[0].pid == ::getpid());
  CHECK(actors[0].incarnation == 1);
  CHECK(actors[1].id == late.ID());
  CHECK(actors[1].state == ActorState::kPending);
  CHECK(actors[1].actor_namespace == rayx::GetNamespace());
  gate.Open();
  late.Task<&Quiet::One>().Remote().Get();
  CHECK(rayx::Actors()[1].state == ActorState::kAlive);
  log.Kill();
  actors = rayx::Actors();
  CHECK(actors[0].state == ActorState::kDead);
  CHECK_THAT(actors[0].cause, Catch::Contains("Kill"));
}

TEST_CASE("Local state: the one job is this program") {
  const auto before = std::chrono::system_clock::now();
  const LocalMode local;
  const auto jobs = rayx::Jobs();
  REQUIRE(jobs.size() == 1);
  CHECK(jobs[0].number == rayx::GetRuntimeContext().JobNumber());
  CHECK(jobs[0].running);
  CHECK(jobs[0].pid == ::getpid());
  CHECK(jobs[0].job_namespace == rayx::GetNamespace());
  CHECK_THAT(jobs[0].program, Catch::Contains("local_test"));
  CHECK(jobs[0].started >= before);
  CHECK(jobs[0].started <= std::chrono::system_clock::now());
}

TEST_CASE("Local state: nothing is told before Init") {
  CHECK_THROWS_AS(rayx::Actors(), rayx::NotInitialized);
  CHECK_THROWS_AS(rayx::Jobs(), rayx::NotInitialized);
  CHECK_THROWS_AS(rayx::ClusterResources(), rayx::NotInitialized);
}
