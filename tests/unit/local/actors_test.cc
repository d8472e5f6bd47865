// Goal: actors of local mode keep their state, run their calls in order on a thread of their own,
// and die in every documented way. Method: small programs against the public API; a gate shared
// with the actor instead of sleeps.
#include <catch2/catch.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/local/local_mode.h"

using rayx::testing::Gate;
using rayx::testing::LocalMode;

namespace {

std::atomic<int> living{0};
Gate* the_gate = nullptr;

class Log {
 public:
  explicit Log(std::string first) : text_(std::move(first)) { ++living; }
  ~Log() { --living; }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  static Log* Create(const std::string& first) { return new Log(first); }
  static std::shared_ptr<Log> CreateFails() { throw std::domain_error("no log today"); }
  static std::unique_ptr<Log> CreateNull() { return nullptr; }

  std::string Append(const std::string& more) { return text_ += more; }
  std::string Text() const { return text_; }
  void Fail() { throw std::invalid_argument("refused"); }
  int Wait() {
    the_gate->Pass();
    return 7;
  }
  void Exit() { rayx::ExitActor(); }
  bool OnOtherThread(std::uint64_t thread) const { return ThreadNumber() != thread; }
  bool WasRestarted() const { return rayx::WasCurrentActorRestarted(); }
  // Waits for a call to itself, directly and through a task.
  std::string CallSelf(rayx::ActorHandle<Log> self) {
    return *self.Task<&Log::Text>().Remote().Get();
  }
  int WaitSelf(rayx::ActorHandle<Log> self) {
    const std::vector<rayx::ObjectRef<std::string>> refs{self.Task<&Log::Text>().Remote()};
    return static_cast<int>(rayx::Wait(refs, 1, 0).ready.size()) +
           static_cast<int>(rayx::Wait(refs, 1, -1).ready.size());
  }
  std::string CallOther(rayx::ActorHandle<Log> other) {
    return *other.Task<&Log::Append>().Remote(text_).Get();
  }
  bool InActor() const { return rayx::GetRuntimeContext().InActor(); }
  bool TaskInActor() const;

  static std::uint64_t ThreadNumber() {
    return std::hash<std::thread::id>()(std::this_thread::get_id());
  }

 private:
  std::string text_;
};

bool AskInActor() {
  return rayx::GetRuntimeContext().InActor();
}
bool Log::TaskInActor() const {
  return *rayx::Task<&AskInActor>().Remote().Get();
}

std::string AppendFromTask(rayx::ActorHandle<Log> log, const std::string& text) {
  return *log.Task<&Log::Append>().Remote(text).Get();
}

auto NewLog(const std::string& first) {
  return rayx::Actor<&Log::Create>().Remote(first);
}

class Barrier {
 public:
  static std::unique_ptr<Barrier> Create() { return std::make_unique<Barrier>(); }
  int Meet() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return arrived_ >= 2; });
    return arrived_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0;
};

}  // namespace

RAYX_REMOTE(Log::Create, &Log::Append, &Log::Text);

TEST_CASE("Local actors: calls of one caller run in order and keep state") {
  const LocalMode local;
  const auto log = rayx::Actor(Log::Create).Remote("a");
  std::vector<rayx::ObjectRef<std::string>> results;
  for (const char* text : {"b", "c", "d"}) results.push_back(log.Task(&Log::Append).Remote(text));
  CHECK(*results[2].Get() == "abcd");
  CHECK(*results[0].Get() == "ab");
  CHECK(*log.Task(&Log::Text).Remote().Get() == "abcd");
}

TEST_CASE("Local actors: they run on a thread of their own, and know that they are actors") {
  const LocalMode local;
  const auto log = NewLog("");
  CHECK(*log.Task<&Log::OnOtherThread>().Remote(Log::ThreadNumber()).Get());
  CHECK(*log.Task<&Log::InActor>().Remote().Get());
  CHECK_FALSE(*log.Task<&Log::TaskInActor>().Remote().Get());
  CHECK_THROWS_AS(rayx::ExitActor(), rayx::InvalidOption);
}

TEST_CASE("Local actors: references as arguments, handles in tasks") {
  const LocalMode local;
  const auto log = NewLog("x");
  const auto first = log.Task<&Log::Append>().Remote(rayx::Put(std::string("y")));
  CHECK(*log.Task<&Log::Append>().Remote(first).Get() == "xyxy");
  CHECK(*rayx::Task<&AppendFromTask>().Remote(log, "z").Get() == "xyxyz");
  CHECK(*rayx::Put(log).Get() == log);
}

TEST_CASE("Local actors: a method's exception is the call's, the actor lives on") {
  const LocalMode local;
  const auto log = NewLog("x");
  CHECK_THROWS_AS(log.Task<&Log::Fail>().Remote().Get(), std::invalid_argument);
  CHECK(*log.Task<&Log::Text>().Remote().Get() == "x");
}

TEST_CASE("Local actors: a failed creation is the ActorDied of every call, with its reason") {
  const LocalMode local;
  const auto log = rayx::Actor<&Log::CreateFails>().Remote();
  try {
    log.Task<&Log::Text>().Remote().Get();
    FAIL("nothing was thrown");
  } catch (const rayx::ActorDied& error) {
    CHECK(error.message().find("no log today") != std::string::npos);
  }
  CHECK_THROWS_AS(rayx::Actor<&Log::CreateNull>().Remote().Task<&Log::Text>().Remote().Get(),
                  rayx::ActorDied);
}

TEST_CASE("Local actors: Kill fails the running and the waiting calls at once") {
  const LocalMode local;
  Gate gate;
  the_gate = &gate;
  const auto log = NewLog("x");
  const auto running = log.Task<&Log::Wait>().Remote();
  const auto waiting = log.Task<&Log::Text>().Remote();
  gate.AwaitSomebody();
  log.Kill();
  CHECK_THROWS_AS(running.Get(), rayx::ActorDied);
  CHECK_THROWS_AS(waiting.Get(), rayx::ActorDied);
  CHECK_THROWS_AS(log.Task<&Log::Text>().Remote().Get(), rayx::ActorDied);
  gate.Open();
}

TEST_CASE(
    "Local actors: Kill that allows a restart starts the actor anew, as often as was allowed") {
  const LocalMode local;
  const auto log = rayx::Actor(Log::Create).SetMaxRestarts(1).Remote("first");
  CHECK(*log.Task<&Log::Append>().Remote(" second").Get() == "first second");
  CHECK_FALSE(*log.Task<&Log::WasRestarted>().Remote().Get());
  log.Kill(/*no_restart=*/false);
  CHECK(*log.Task<&Log::Text>().Remote().Get() == "first");
  CHECK(*log.Task<&Log::WasRestarted>().Remote().Get());
  log.Kill(/*no_restart=*/false);
  CHECK_THROWS_AS(log.Task<&Log::Text>().Remote().Get(), rayx::ActorDied);
}

TEST_CASE("Local actors: ExitActor ends the actor after the running call") {
  const LocalMode local;
  const auto log = NewLog("x");
  log.Task<&Log::Exit>().Remote().Get();
  CHECK_THROWS_AS(log.Task<&Log::Text>().Remote().Get(), rayx::ActorDied);
}

TEST_CASE("Local actors: names are found, taken while their actor lives, and free after") {
  const LocalMode local;
  const auto log = rayx::Actor(Log::Create).SetName("log").Remote("x");
  const auto found = rayx::GetActor<Log>("log");
  REQUIRE(found);
  CHECK(*found == log);
  CHECK_FALSE(rayx::GetActor<Log>("log", "elsewhere"));
  const auto second = rayx::Actor(Log::Create).SetName("log").Remote("y");
  CHECK_THROWS_AS(second.Task(&Log::Text).Remote().Get(), rayx::NameTaken);
  log.Kill();
  CHECK_FALSE(rayx::GetActor<Log>("log"));
  rayx::Actor(Log::Create).SetName("log", "elsewhere").Remote("z");
  CHECK(*rayx::GetActor<Log>("log", "elsewhere")->Task(&Log::Text).Remote().Get() == "z");
  const auto third = rayx::Actor(Log::Create).SetName("log", "elsewhere").Remote("y");
  CHECK_THROWS_WITH(third.Task(&Log::Text).Remote().Get(), Catch::Contains("'elsewhere'"));
}

TEST_CASE("Local actors: a namespace is the program's that Init is told, or one that a name says") {
  rayx::Options options;
  options.local_mode = true;
  options.job_namespace = "shared";
  rayx::Init(options);
  CHECK(rayx::GetNamespace() == "shared");
  const auto log = rayx::Actor(Log::Create).SetName("log").SetDetached().Remote("x");
  CHECK(*rayx::GetActor<Log>("log", "shared") == log);
  CHECK(*rayx::GetActor<Log>("log") == log);
  rayx::Shutdown();
  rayx::Init(options);  // this process was all of the cluster: detached ones went with it
  CHECK_FALSE(rayx::GetActor<Log>("log"));
  rayx::Shutdown();
}

TEST_CASE(
    "Local actors: waiting for a call to itself is WouldDeadlock, for another actor it is not") {
  const LocalMode local;
  const auto log = NewLog("x");
  CHECK_THROWS_AS(log.Task<&Log::CallSelf>().Remote(log).Get(), rayx::WouldDeadlock);
  CHECK_THROWS_AS(log.Task<&Log::WaitSelf>().Remote(log).Get(), rayx::WouldDeadlock);
  const auto other = NewLog("y");
  CHECK(*log.Task<&Log::CallOther>().Remote(other).Get() == "yx");
  const auto wide = rayx::Actor(Log::Create).SetMaxConcurrency(2).Remote("w");
  CHECK(*wide.Task<&Log::CallSelf>().Remote(wide).Get() == "w");
}

TEST_CASE("Local actors: with SetMaxConcurrency calls run at once") {
  const LocalMode local;
  const auto barrier = rayx::Actor<&Barrier::Create>().SetMaxConcurrency(2).Remote();
  const auto first = barrier.Task<&Barrier::Meet>().Remote();
  const auto second = barrier.Task<&Barrier::Meet>().Remote();
  CHECK(*first.Get() == 2);
  CHECK(*second.Get() == 2);
  CHECK_THROWS_AS(rayx::Actor<&Barrier::Create>().SetMaxConcurrency(0), rayx::InvalidOption);
  CHECK_THROWS_AS(rayx::Actor<&Barrier::Create>().SetDetached().Remote(), rayx::InvalidOption);
}

TEST_CASE("Local actors: their objects are destroyed with them") {
  {
    const LocalMode local;
    const auto first = NewLog("x");
    const auto second = NewLog("y");
    first.Task<&Log::Text>().Remote().Get();
    second.Task<&Log::Text>().Remote().Get();
    CHECK(living == 2);
  }
  CHECK(living == 0);
}

TEST_CASE("Local actors: an empty handle is refused") {
  const LocalMode local;
  const rayx::ActorHandle<Log> empty;
  CHECK_FALSE(empty);
  CHECK_THROWS_AS(empty.Task(&Log::Text), rayx::InvalidOption);
  CHECK_THROWS_AS(empty.Kill(), rayx::InvalidOption);
}
