// Goal: Init, Shutdown, use before and after them, use in a fork, and the key-value table.
// Method: the public API; one child process for the fork.
#include <catch2/catch.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/local/local_mode.h"

using rayx::testing::Gate;
using rayx::testing::LocalMode;

namespace {

Gate* the_gate = nullptr;
std::atomic<bool> was_wait_ended{false};

class Waiter {
 public:
  static std::unique_ptr<Waiter> Create() { return std::make_unique<Waiter>(); }
  void Wait() { the_gate->Pass(); }
  bool WaitForKey() {
    the_gate->Open();
    try {
      return rayx::KeyValue::Wait({"never"});
    } catch (const rayx::NotInitialized&) {
      was_wait_ended = true;
      throw;
    }
  }
};
int Answer() {
  return 42;
}

}  // namespace

TEST_CASE(
    "Lifecycle: nothing works before Init and after Shutdown, and everything again after Init") {
  CHECK_FALSE(rayx::IsInitialized());
  CHECK_THROWS_AS(rayx::Put(1), rayx::NotInitialized);
  CHECK_THROWS_AS(rayx::Task<&Answer>().Remote(), rayx::NotInitialized);
  rayx::ObjectRef<int> old;
  for (int i = 0; i < 3; ++i) {
    const LocalMode local;
    CHECK(rayx::IsInitialized());
    CHECK(*rayx::Task<&Answer>().Remote().Get() == 42);
    if (i == 0) old = rayx::Put(5);
  }
  CHECK_FALSE(rayx::IsInitialized());
  rayx::Shutdown();  // twice does no harm
  CHECK_THROWS_AS(old.Get(), rayx::NotInitialized);
  const rayx::ObjectRef<int> copy = old;
  const LocalMode local;
  CHECK_THROWS_AS(copy.Get(), rayx::NotInitialized);  // of an earlier runtime
}

TEST_CASE("Lifecycle: a second Init does nothing") {
  const LocalMode local;
  const auto ref = rayx::Put(1);
  rayx::Options options;
  options.local_mode = true;
  rayx::Init(options);
  CHECK(*ref.Get() == 1);
}

TEST_CASE("Lifecycle: Shutdown ends who waits for a call") {
  Gate gate;
  the_gate = &gate;
  std::thread waiting;
  std::atomic<bool> ended{false};
  {
    const LocalMode local;
    const auto waiter = rayx::Actor<&Waiter::Create>().Remote();
    const auto running = waiter.Task<&Waiter::Wait>().Remote();
    gate.AwaitSomebody();
    waiting = std::thread([&ended, &gate, running] {
      try {
        running.Get();
      } catch (const rayx::ActorDied&) {
        ended = true;
      } catch (const rayx::NotInitialized&) {
        ended = true;  // Shutdown was there before the Get
      }
      gate.Open();  // lets the method return, for which Shutdown waits
    });
    const auto second = waiter.Task<&Waiter::Wait>().Remote();
    static_cast<void>(second);
  }
  waiting.join();
  CHECK(ended);
}

TEST_CASE("Lifecycle: Shutdown ends a wait for a key") {
  Gate gate;
  the_gate = &gate;
  was_wait_ended = false;
  {
    const LocalMode local;
    const auto waiter = rayx::Actor<&Waiter::Create>().Remote();
    const auto waiting = waiter.Task<&Waiter::WaitForKey>().Remote();
    gate.Pass();
  }
  CHECK(was_wait_ended);  // Shutdown has waited for the call's end
}

TEST_CASE("Lifecycle: a fork is refused by name") {
  const LocalMode local;
  const auto ref = rayx::Put(1);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int code = 1;
    try {
      rayx::Put(2);
    } catch (const rayx::ForkedProcess&) {
      code = 0;
    }
    ::_exit(code);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(*ref.Get() == 1);
}

TEST_CASE("Lifecycle: flags are removed from argv when asked") {
  std::vector<std::string> words{"program", "--local", "mine", "--num-cpus", "2", "--also=mine"};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int argc = 6;
  rayx::Init(&argc, argv.data());
  CHECK(argc == 3);
  CHECK(std::string(argv[1]) == "mine");
  CHECK(std::string(argv[2]) == "--also=mine");
  CHECK(argv[3] == nullptr);
  CHECK(rayx::Nodes()[0].total.at("CPU") == 2);
  rayx::Shutdown();
}

TEST_CASE("Lifecycle: a library that cannot be loaded is named") {
  rayx::Options options;
  options.local_mode = true;
  options.preload_libraries = {"/nowhere/libuser.so"};
  try {
    rayx::Init(options);
    FAIL("nothing was thrown");
  } catch (const rayx::MissingLibrary& error) {
    CHECK(error.message().find("/nowhere/libuser.so") != std::string::npos);
  }
  CHECK_FALSE(rayx::IsInitialized());
}

TEST_CASE("KeyValue: put, put if absent, get, add, delete, wait") {
  const LocalMode local;
  using rayx::KeyValue;
  CHECK_FALSE(KeyValue::Get("a"));
  KeyValue::Put("a", "1");
  CHECK(KeyValue::PutIfAbsent("b", std::string("\0bytes", 6)));
  CHECK_FALSE(KeyValue::PutIfAbsent("a", "2"));
  CHECK(KeyValue::Get("a") == "1");
  CHECK(KeyValue::Get("b")->size() == 6);
  CHECK(KeyValue::Add("a", 41) == 42);
  CHECK(KeyValue::Add("new", -1) == -1);
  CHECK_THROWS_AS(KeyValue::Add("b", 1), rayx::InvalidOption);
  KeyValue::Put("max", "9223372036854775807");
  CHECK_THROWS_AS(KeyValue::Add("max", 1), rayx::InvalidOption);
  CHECK(KeyValue::Count() == 4);
  CHECK(KeyValue::Delete("a"));
  CHECK_FALSE(KeyValue::Delete("a"));
  CHECK(KeyValue::Wait({"b", "new"}, 0));
  CHECK_FALSE(KeyValue::Wait({"b", "absent"}, 1));
  std::thread other([] { KeyValue::Put("later", ""); });
  CHECK(KeyValue::Wait({"later"}));
  other.join();
  // An empty text that was put is no number.
  CHECK_THROWS_AS(KeyValue::Add("later", 1), rayx::InvalidOption);
}
