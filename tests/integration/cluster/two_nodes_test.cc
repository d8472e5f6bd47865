// Goal: detached actors and namespaces across jobs and nodes, labels and affinity, and what a
// program can ask of its cluster. Method: this program is driver and worker of a real cluster of
// two nodes on this machine, one job after another.
#include "tests/integration/cluster/two_nodes.h"
#include "tests/eventually.h"
#include "tests/run_tests.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace user {

using Bytes = std::vector<std::uint8_t>;

int Square(int x) {
  return x * x;
}
std::uint32_t Where() {
  return rayx::GetRuntimeContext().NodeNumber();
}
std::string Namespace() {
  return rayx::GetNamespace();
}
int Late(int x) {
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  return x;
}

class Keeper {
 public:
  static Keeper* Create(int start, const Bytes& ballast) {
    return new Keeper(start + static_cast<int>(ballast.size()));
  }
  explicit Keeper(int start) : value_(start) {}

  int Add(int n) { return value_ += n; }
  int Pid() { return ::getpid(); }
  int Die() { return ::kill(::getpid(), SIGKILL); }
  std::uint32_t Node() { return Where(); }
  std::string Namespace() { return rayx::GetNamespace(); }
  Bytes Make(std::size_t bytes) { return Bytes(bytes, 7); }
  std::uint64_t Sum(const Bytes& bytes) {
    std::uint64_t sum = 0;
    for (const std::uint8_t byte : bytes) sum += byte;
    return sum;
  }
  // What this process owns.
  rayx::ObjectRef<Bytes> Own(std::size_t bytes) { return rayx::Put(Bytes(bytes, 3)); }
  int RunTask(int x) { return *rayx::Task<&Square>().Remote(x).Get(30'000); }
  int AskChild(int x) {
    if (!child_) child_ = rayx::Actor<&Keeper::Create>().Remote(x, Bytes());
    return *child_->Task<&Keeper::Add>().Remote(1).Get(30'000);
  }
  std::optional<std::string> Read(const std::string& key) { return rayx::KeyValue::Get(key); }
  bool AwaitKey(const std::string& key) { return rayx::KeyValue::Wait({key}, 120'000); }
  int Print(int lines) {
    for (int i = 0; i < lines; ++i) std::printf("kept line %d\n", i);
    return lines;
  }

 private:
  int value_;
  std::optional<rayx::ActorHandle<Keeper>> child_;
};

}  // namespace user

namespace {

using rayx::testing::Eventually;
using rayx::testing::TwoNodes;
using user::Bytes;
using user::Keeper;

constexpr std::size_t kLarge = 1 << 20;

auto On(std::uint32_t node, bool soft = false) {
  return rayx::SchedulingStrategy::NodeAffinity(node, soft);
}

rayx::ActorHandle<Keeper> MakeKeeper(const char* name, std::uint32_t node, int restarts = 0) {
  return rayx::Actor<&Keeper::Create>()
      .SetName(name)
      .SetDetached()
      .SetMaxRestarts(restarts)
      .SetSchedulingStrategy(On(node))
      .Remote(10, Bytes());
}

std::size_t OwnThreads() {
  const std::filesystem::directory_iterator threads("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(threads), end(threads)));
}

// Values of every size and way, between this job and an actor of another.
void CheckExchange(const rayx::ActorHandle<Keeper>& keeper) {
  CHECK(keeper.Task<&Keeper::Make>().Remote(kLarge).Get(30'000)->size() == kLarge);
  CHECK(keeper.Task<&Keeper::Make>().Remote(std::size_t{50}).Get(30'000)->size() == 50);
  CHECK(*keeper.Task<&Keeper::Sum>().Remote(Bytes(kLarge, 2)).Get(30'000) == 2 * kLarge);
  CHECK(*keeper.Task<&Keeper::Sum>().Remote(rayx::Put(Bytes(kLarge, 2))).Get(30'000) == 2 * kLarge);
  for (const std::size_t bytes : {std::size_t{50}, kLarge}) {
    const auto owned = *keeper.Task<&Keeper::Own>().Remote(bytes).Get(30'000);
    CHECK(*owned.Get(30'000) == Bytes(bytes, 3));
  }
}

}  // namespace

TEST_CASE("two nodes: a detached actor outlives its job and serves later jobs of every node") {
  TwoNodes cluster;
  cluster.Connect(1, "shared");
  {
    const auto keeper = MakeKeeper("keeper", 1);
    CHECK(*keeper.Task<&Keeper::Add>().Remote(5).Get(30'000) == 15);
    const auto mortal =
        rayx::Actor<&Keeper::Create>().SetName("mortal").Remote(0, Bytes(kLarge, 1));
    CHECK(*mortal.Task<&Keeper::Add>().Remote(0).Get(30'000) == static_cast<int>(kLarge));
    rayx::KeyValue::Put("k", "v");
  }
  std::optional<int> pid;
  int expected = 15;
  for (const int node : {2, 1}) {
    INFO("a driver on node " << node);
    cluster.Connect(node, "shared");
    const auto keeper = rayx::GetActor<Keeper>("keeper");
    REQUIRE(keeper);
    CHECK(*keeper->Task<&Keeper::Add>().Remote(1).Get(30'000) == ++expected);
    CHECK(*keeper->Task<&Keeper::Node>().Remote().Get(30'000) == 1);
    const int now = *keeper->Task<&Keeper::Pid>().Remote().Get(30'000);
    CHECK(pid.value_or(now) == now);
    pid = now;
    CheckExchange(*keeper);
    CHECK(Eventually([] { return !rayx::GetActor<Keeper>("mortal"); }));
    CHECK_FALSE(rayx::GetActor<Keeper>("keeper", "elsewhere"));
    // What belongs to its job goes on: tasks, actors that it makes, key-values, namespace.
    CHECK(*keeper->Task<&Keeper::RunTask>().Remote(6).Get(40'000) == 36);
    CHECK(*keeper->Task<&Keeper::AskChild>().Remote(100).Get(40'000) == (node == 2 ? 101 : 102));
    CHECK(*keeper->Task<&Keeper::Read>().Remote("k").Get(30'000) == "v");
    CHECK(*keeper->Task<&Keeper::Namespace>().Remote().Get(30'000) == "shared");
    CHECK_FALSE(rayx::KeyValue::Get("k"));  // another job's
  }
  rayx::GetActor<Keeper>("keeper")->Kill();
  CHECK_FALSE(rayx::GetActor<Keeper>("keeper"));
  // With it goes the job that it lived in, and its child.
  CHECK(Eventually([] {
    const auto jobs = rayx::Jobs();
    return std::count_if(jobs.begin(), jobs.end(), [](const auto& j) { return j.running; }) == 1;
  }));
  CHECK(Eventually([] {
    const auto actors = rayx::Actors();
    return std::all_of(actors.begin(), actors.end(), [](const rayx::ActorDescription& actor) {
      return actor.state == rayx::ActorState::kDead;
    });
  }));
}

TEST_CASE("two nodes: a detached actor is restarted although its job has ended") {
  TwoNodes cluster;
  cluster.Connect(1, "shared");
  CHECK(*MakeKeeper("keeper", 2, 1).Task<&Keeper::Add>().Remote(5).Get(30'000) == 15);
  cluster.Connect(2, "shared");
  const auto keeper = rayx::GetActor<Keeper>("keeper");
  REQUIRE(keeper);
  const int pid = *keeper->Task<&Keeper::Pid>().Remote().Get(30'000);
  ::kill(pid, SIGKILL);
  CHECK(Eventually([&] {
    try {
      return *keeper->Task<&Keeper::Pid>().Remote().Get(20'000) != pid;
    } catch (const rayx::ActorDied&) {
      return false;  // the call was on its way to the one that died
    }
  }));
  CHECK(*keeper->Task<&Keeper::Add>().Remote(0).Get(30'000) == 10);  // a fresh one
  CheckExchange(*keeper);
}

TEST_CASE("two nodes: a detached actor is made although its driver ends at once") {
  TwoNodes cluster;
  for (int i = 0; i < 8; ++i) {
    cluster.Connect(1, "hasty");
    MakeKeeper(("keeper-" + std::to_string(i)).c_str(), 2);
  }
  cluster.Connect(1, "hasty");
  // One whose constructor's argument is not there yet.
  rayx::Actor<&Keeper::Create>().SetName("late").SetDetached().Remote(
      rayx::Task<&user::Late>().Remote(7), Bytes());
  cluster.Connect(2, "hasty");
  for (int i = 0; i < 8; ++i) {
    const auto keeper = rayx::GetActor<Keeper>("keeper-" + std::to_string(i));
    REQUIRE(keeper);
    CHECK(*keeper->Task<&Keeper::Add>().Remote(1).Get(30'000) == 11);
  }
  const auto late = rayx::GetActor<Keeper>("late");
  REQUIRE(late);
  CHECK(*late->Task<&Keeper::Add>().Remote(1).Get(30'000) == 8);
}

TEST_CASE("two nodes: names live in namespaces") {
  TwoNodes cluster;
  cluster.Connect(1);  // a namespace of this job's own
  const std::string own = rayx::GetNamespace();
  CHECK_FALSE(own.empty());
  const auto mine = rayx::Actor<&Keeper::Create>().SetName("k").Remote(1, Bytes());
  const auto theirs = rayx::Actor<&Keeper::Create>().SetName("k", "theirs").Remote(2, Bytes());
  CHECK(*mine.Task<&Keeper::Add>().Remote(0).Get(30'000) == 1);
  CHECK(*theirs.Task<&Keeper::Add>().Remote(0).Get(30'000) == 2);
  // Actors are made in the background: of two that are under way, either may be the head's first.
  const auto again = rayx::Actor<&Keeper::Create>().SetName("k", "theirs").Remote(3, Bytes());
  CHECK_THROWS_AS(again.Task<&Keeper::Add>().Remote(0).Get(30'000), rayx::NameTaken);
  CHECK(*rayx::GetActor<Keeper>("k") == mine);
  CHECK(*rayx::GetActor<Keeper>("k", own) == mine);
  CHECK(*rayx::GetActor<Keeper>("k", "theirs") == theirs);
  CHECK_FALSE(rayx::GetActor<Keeper>("k", "nobody's"));
  // A worker of the other node is in the same namespace.
  CHECK(*rayx::Task<&user::Namespace>().SetSchedulingStrategy(On(2)).Remote().Get(40'000) == own);
  const auto there = rayx::Actor<&Keeper::Create>().SetSchedulingStrategy(On(2)).Remote(0, Bytes());
  CHECK(*there.Task<&Keeper::Namespace>().Remote().Get(40'000) == own);
  cluster.Connect(1);
  CHECK(rayx::GetNamespace() != own);
  CHECK_FALSE(rayx::GetActor<Keeper>("k"));
}

TEST_CASE("two nodes: labels, selectors and affinity decide where tasks and actors run") {
  TwoNodes cluster;
  cluster.Connect(1);
  const auto with = [](const std::string& key, const std::string& selector) {
    return *rayx::Task<&user::Where>().SetLabels({{key, selector}}).Remote().Get(40'000);
  };
  CHECK(with("zone", "a") == 1);
  CHECK(with("zone", "b") == 2);
  CHECK(with("zone", "!a") == 2);
  CHECK(with("zone", "in(b,c)") == 2);
  CHECK(with("zone", "!in(b,c)") == 1);
  CHECK(with("disk", "!ssd") == 2);  // has no such label
  CHECK_THROWS_WITH(with("zone", "in(c,d)"), Catch::Contains("zone=in(c,d)"));
  CHECK_THROWS_AS(with("zone", "in(c"), rayx::InvalidOption);
  const auto labelled =
      rayx::Actor<&Keeper::Create>().SetLabels({{"zone", "!a"}}).Remote(0, Bytes());
  CHECK(*labelled.Task<&Keeper::Node>().Remote().Get(40'000) == 2);

  const auto at = [](const rayx::SchedulingStrategy& strategy) {
    return *rayx::Task<&user::Where>().SetSchedulingStrategy(strategy).Remote().Get(40'000);
  };
  for (const std::uint32_t node : {1u, 2u}) {
    CHECK(at(On(node)) == node);
    CHECK(at(On(node, /*soft=*/true)) == node);
    const auto actor =
        rayx::Actor<&Keeper::Create>().SetSchedulingStrategy(On(node)).Remote(0, Bytes());
    CHECK(*actor.Task<&Keeper::Node>().Remote().Get(40'000) == node);
  }
  CHECK_THROWS_WITH(at(On(9)), Catch::Contains("n9") && Catch::Contains("not in this cluster"));
  CHECK(at(On(9, /*soft=*/true)) != 9);
  const auto nowhere =
      rayx::Actor<&Keeper::Create>().SetSchedulingStrategy(On(9)).Remote(0, Bytes());
  CHECK_THROWS_AS(nowhere.Task<&Keeper::Node>().Remote().Get(40'000), rayx::Infeasible);
  CHECK_THROWS_WITH(rayx::Task<&user::Where>()
                        .SetSchedulingStrategy(On(1))
                        .SetLabels({{"zone", "b"}})
                        .Remote()
                        .Get(40'000),
                    Catch::Contains("does not have the labels"));
}

TEST_CASE(
    "two nodes: ten thousand calls and tasks are under way to the other node without threads of "
    "theirs") {
  constexpr int kCalls = 10'000;
  TwoNodes cluster;
  cluster.Connect(1);
  const auto keeper = MakeKeeper("far", 2);
  REQUIRE(*keeper.Task<&Keeper::Node>().Remote().Get(40'000) == 2);
  const std::size_t threads = OwnThreads();
  const auto released = keeper.Task<&Keeper::AwaitKey>().Remote(std::string("go"));
  std::vector<rayx::ObjectRef<int>> calls, tasks;
  for (int i = 0; i < kCalls; ++i) {
    calls.push_back(keeper.Task<&Keeper::Add>().Remote(1));
    tasks.push_back(rayx::Task<&user::Square>().SetSchedulingStrategy(On(2)).Remote(i % 1000));
  }
  CHECK(OwnThreads() == threads);
  CHECK(rayx::Wait(calls, 1, 0).ready.empty());
  for (int i = 0; i < kCalls; ++i) {
    REQUIRE(*tasks[static_cast<std::size_t>(i)].Get(60'000) == (i % 1000) * (i % 1000));
  }
  CHECK(rayx::Wait(calls, 1, 0).ready.empty());
  rayx::KeyValue::Put("go", "");
  CHECK(*released.Get(60'000));
  for (int i = 0; i < kCalls; ++i) {
    REQUIRE(*calls[static_cast<std::size_t>(i)].Get(60'000) == 10 + i + 1);
  }
  CHECK(OwnThreads() == threads);
  rayx::KeyValue::Delete("go");
  keeper.Kill();
}

TEST_CASE("two nodes: what an actor elsewhere had answered before it died counts") {
  constexpr int kRounds = 10, kCalls = 30;
  TwoNodes cluster;
  cluster.Connect(1);
  for (int round = 0; round < kRounds; ++round) {
    const auto keeper =
        rayx::Actor<&Keeper::Create>().SetSchedulingStrategy(On(2)).Remote(0, Bytes());
    REQUIRE(*keeper.Task<&Keeper::Node>().Remote().Get(40'000) == 2);
    std::vector<rayx::ObjectRef<int>> calls;
    for (int i = 0; i < kCalls; ++i) calls.push_back(keeper.Task<&Keeper::Add>().Remote(1));
    const auto last = keeper.Task<&Keeper::Die>().Remote();
    for (int i = 0; i < kCalls; ++i) {
      CHECK(*calls[static_cast<std::size_t>(i)].Get(40'000) == i + 1);
    }
    CHECK_THROWS_AS(last.Get(40'000), rayx::ActorDied);
  }
}

TEST_CASE("two nodes: a program can ask what its cluster has and runs") {
  TwoNodes cluster;
  cluster.Connect(2, "asking");
  CHECK(rayx::ClusterResources().at("CPU") == 4);
  const auto holder = rayx::Actor<&Keeper::Create>()
                          .SetName("holder", "held")
                          .SetResource("CPU", 1.5)
                          .SetSchedulingStrategy(On(1))
                          .Remote(0, Bytes());
  holder.Task<&Keeper::Pid>().Remote().Get(30'000);
  const int pid = *holder.Task<&Keeper::Pid>().Remote().Get(30'000);
  CHECK(Eventually([] { return rayx::AvailableResources().at("CPU") == 2.5; }));
  const auto keeper = MakeKeeper("keeper", 2);
  keeper.Task<&Keeper::Pid>().Remote().Get(30'000);
  const auto actors = rayx::Actors();
  REQUIRE(actors.size() == 2);
  CHECK(actors[0].id == holder.ID());
  CHECK(actors[0].name == "holder");
  CHECK(actors[0].actor_namespace == "held");
  CHECK_THAT(actors[0].class_name, Catch::Contains("Keeper"));
  CHECK(actors[0].state == rayx::ActorState::kAlive);
  CHECK(actors[0].node == 1);
  CHECK(actors[0].pid == pid);
  CHECK(actors[0].job == rayx::GetRuntimeContext().JobNumber());
  CHECK_FALSE(actors[0].detached);
  CHECK(actors[1].detached);
  CHECK(actors[1].actor_namespace == "asking");
  const auto jobs = rayx::Jobs();
  REQUIRE(jobs.size() == 2);
  CHECK(jobs[0].number == rayx::GetRuntimeContext().JobNumber());
  CHECK(jobs[0].pid == ::getpid());
  CHECK(jobs[0].job_namespace == "asking");
  CHECK_THAT(jobs[0].program, Catch::Contains("two_nodes_test"));
  CHECK(jobs[0].running);
  CHECK(std::chrono::system_clock::now() - jobs[0].started < std::chrono::minutes(5));
  CHECK(jobs[1].detached_from == jobs[0].number);
  CHECK(jobs[1].number == actors[1].job);
  holder.Kill();
  CHECK(rayx::Actors()[0].state == rayx::ActorState::kDead);
  CHECK_THAT(rayx::Actors()[0].cause, Catch::Contains("killed"));
  CHECK(Eventually([] { return rayx::AvailableResources().at("CPU") == 4; }));
  cluster.Connect(1, "asking");
  CHECK(Eventually([&] { return !rayx::Jobs()[0].running; }));
  CHECK(rayx::Jobs()[0].ended >= rayx::Jobs()[0].started);
}

TEST_CASE("two nodes: a list of hundreds of actors comes whole") {
  TwoNodes cluster;
  cluster.Connect(1);
  // None is ever placed: what counts is that one answer could not hold them.
  std::vector<rayx::ActorHandle<Keeper>> waiting;
  for (int i = 0; i < 600; ++i) {
    waiting.push_back(rayx::Actor<&Keeper::Create>()
                          .SetName("waiting-" + std::string(200, 'x') + std::to_string(i))
                          .SetResource("gold", 1)
                          .SetWaitIfInfeasible(true)
                          .Remote(0, Bytes()));
  }
  CHECK(Eventually([] { return rayx::Actors().size() == 600; }));
  const auto actors = rayx::Actors();
  for (std::size_t i = 0; i < 600; ++i) {
    REQUIRE(actors[i].id == waiting[i].ID());
    REQUIRE(actors[i].state == rayx::ActorState::kPending);
  }
  CHECK_THAT(actors[0].cause, Catch::Contains("gold"));
}

TEST_CASE("two nodes: a detached actor prints on its driver's terminal while that is there") {
  TwoNodes cluster;
  ::setenv("RAYX_SESSION_DIR", cluster.Folder(2).c_str(), 1);
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  for (const char* node : {"2", "1"}) {
    FILE* output = ::popen((self + " print-and-leave " + node).c_str(), "r");
    REQUIRE(output != nullptr);
    int lines = 0;
    for (char line[512]; std::fgets(line, sizeof line, output) != nullptr;) {
      lines += std::strstr(line, "kept line") != nullptr ? 1 : 0;
    }
    CHECK(::pclose(output) == 0);
    // On its own node before the end of Shutdown; lines of the other node may come too late.
    if (std::strcmp(node, "2") == 0) CHECK(lines == 10);
  }
  cluster.Connect(2, "printing");  // the first driver is gone: the next job hears nothing
  CHECK(*rayx::GetActor<Keeper>("keeper-2")->Task<&Keeper::Print>().Remote(5).Get(30'000) == 5);
  CHECK(*rayx::GetActor<Keeper>("keeper-1")->Task<&Keeper::Print>().Remote(5).Get(30'000) == 5);
}

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "print-and-leave") == 0) {
    rayx::Options options;
    options.address = "auto";
    options.job_namespace = "printing";
    rayx::Init(options);
    const std::string name = std::string("keeper-") + argv[2];
    const auto keeper = MakeKeeper(name.c_str(), argv[2][0] == '1' ? 1 : 2);
    const int printed = *keeper.Task<&Keeper::Print>().Remote(10).Get(30'000);
    rayx::Shutdown();
    return printed == 10 ? 0 : 1;
  }
  return rayx::testing::RunTests(argc, argv);
}
