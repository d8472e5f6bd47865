// Goal: what a user's program sees of a cluster of one VM: values, errors with their causes, order,
// retries, limits. Method: this program is the driver and its own workers, on embedded clusters; a
// fault is a real signal to a real process that the cluster started for us.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "rayx/rayx.h"
#include "tests/run_tests.h"

namespace user {

using Clock = std::chrono::steady_clock;

int Square(int x) {
  return x * x;
}
int Add(int a, int b) {
  return a + b;
}
void Nothing() {}
std::pair<int, int> Halves(int x) {
  return {x / 2, x - x / 2};
}
int Throw(const std::string& what) {
  throw std::out_of_range(what);
}
int Pid() {
  return ::getpid();
}

// Spins, so that the worker is busy in user code, not waiting.
int Busy(int milliseconds) {
  const auto end = Clock::now() + std::chrono::milliseconds(milliseconds);
  while (Clock::now() < end) {
  }
  return milliseconds;
}

// Dies on every attempt before `good`.
uint32_t DieUntil(uint32_t good) {
  const uint32_t attempt = rayx::GetRuntimeContext().Attempt();
  if (attempt < good) {
    std::fprintf(stderr, "about to die in attempt %u\n", attempt);
    ::raise(SIGKILL);
  }
  return attempt;
}
int Exit(int code) {
  std::fprintf(stderr, "leaving with %d\n", code);
  std::fflush(stderr);
  ::_exit(code);
}

// Without a flush, as most programs print.
int Print(int lines) {
  for (int i = 0; i < lines; ++i) std::printf("printed line %d\n", i);
  return lines;
}

int Recurse(int depth) {
  if (depth == 0) return 0;
  return 1 + *rayx::Task<&Recurse>().Remote(depth - 1).Get();
}

int NineWhenTold(const std::string& key) {
  return rayx::KeyValue::Wait({key}, 60'000) ? 9 : 0;
}
// As Recurse, with 6 MiB of stack a level: as much as a thread's ordinary stack lets it have.
int RecurseWide(int depth) {
  volatile char frame[6u << 20];
  frame[0] = 1;
  frame[sizeof frame - 1] = 1;
  if (depth == 0) return frame[0] - 1;
  return 1 + *rayx::Task<&RecurseWide>().Remote(depth - 1).Get();
}
int SumOfRefs(const std::vector<rayx::ObjectRef<int>>& refs) {
  int sum = 0;
  for (const auto& ref : refs) sum += *ref.Get();
  return sum;
}
rayx::ObjectRef<int> MakeRef(int x) {
  return rayx::Put(x);
}
std::vector<uint8_t> Bytes(size_t n, uint8_t value) {
  return std::vector<uint8_t>(n, value);
}
// Block i is filled with i + 1.
std::vector<std::vector<uint8_t>> Blocks(const std::vector<size_t>& sizes) {
  std::vector<std::vector<uint8_t>> blocks;
  for (size_t bytes : sizes)
    blocks.push_back(Bytes(bytes, static_cast<uint8_t>(blocks.size() + 1)));
  return blocks;
}
// Eight at once: of gigabytes, not optimised and under sanitizers, it is most of this test's time.
uint64_t Sum(const std::vector<uint8_t>& bytes) {
  constexpr uint64_t kEven = 0x00ff00ff00ff00ff, kFour = 0x0001000100010001;
  const uint8_t* const begin = bytes.data();
  const size_t whole = bytes.size() / 8 * 8;
  uint64_t sum = 0;
  for (size_t i = 0; i < whole; i += 8) {
    uint64_t word;
    std::memcpy(&word, begin + i, sizeof word);
    sum += ((word & kEven) + ((word >> 8) & kEven)) * kFour >> 48;
  }
  for (size_t i = whole; i < bytes.size(); ++i) sum += begin[i];
  return sum;
}
using BytesRef = rayx::ObjectRef<std::vector<uint8_t>>;
uint64_t SumInside(const std::vector<BytesRef>& refs) {
  uint64_t sum = 0;
  for (const BytesRef& ref : refs) sum += Sum(*ref.Get());
  return sum;
}
// An object of the worker's own, of which nobody has a handle once the call has ended but through
// its result.
BytesRef MakeBig(size_t bytes) {
  return rayx::Put(Bytes(bytes, 2));
}
class Keeper {
 public:
  static Keeper* Create() { return new Keeper; }
  void Keep(const std::vector<BytesRef>& refs) { refs_ = refs; }
  uint64_t SumKept() { return SumInside(refs_); }
  std::vector<BytesRef> Give() { return std::move(refs_); }

 private:
  std::vector<BytesRef> refs_;
};
std::string Working() {
  rayx::KeyValue::Put("from-worker", "hello");
  return rayx::GetRuntimeContext().TaskName();
}

class Log {
 public:
  static Log* Create(std::string first) { return new Log(std::move(first)); }
  explicit Log(std::string first) { entries_.push_back(std::move(first)); }
  size_t Append(const std::string& entry) {
    entries_.push_back(entry);
    return entries_.size();
  }
  std::vector<std::string> All() const { return entries_; }
  int Pid() { return ::getpid(); }
  int Fail() { throw std::runtime_error("the log is full"); }
  int Exit() {
    rayx::ExitActor();
    return ::getpid();
  }
  int Wait(int milliseconds) { return Busy(milliseconds); }
  // Spins without ever entering the runtime, once it has said that it does.
  int SayAndSpin(int milliseconds) {
    rayx::KeyValue::Put("spins", "");
    return Busy(milliseconds);
  }
  // What this process owns, and must serve while it spins.
  std::vector<rayx::ObjectRef<int>> Own(int values) {
    std::vector<rayx::ObjectRef<int>> owned;
    for (int i = 0; i < values; ++i) owned.push_back(rayx::Put(i));
    return owned;
  }
  // Two dependent tasks of which the first ends when this process spins already.
  rayx::ObjectRef<int> OwnChain(const std::string& key) {
    return rayx::Task<&Square>().Remote(rayx::Task<&NineWhenTold>().Remote(key));
  }

 private:
  std::vector<std::string> entries_;
};
Log* NoLog(int) {
  return nullptr;
}
struct Wordless : std::exception {
  const char* what() const noexcept override { return nullptr; }
};
int ThrowWordless() {
  throw Wordless();
}
Log* BadLog(int) {
  throw std::runtime_error("no disk");
}

// Calls that end only together.
class Barrier {
 public:
  static Barrier* Create() { return new Barrier; }
  int Meet(int parties) {
    std::unique_lock lock(mutex_);
    ++here_;
    met_.notify_all();
    met_.wait(lock, [&] { return here_ >= parties; });
    return here_;
  }
  // Waits for a call of this same actor.
  int MeetMyself(const rayx::ActorHandle<Barrier>& self, int parties) {
    return *self.Task<&Barrier::Meet>().Remote(parties).Get();
  }
  int AskMyself(const rayx::ActorHandle<Barrier>& self, int times) {
    if (times == 0) return 0;
    return 1 + *self.Task<&Barrier::AskMyself>().Remote(self, times - 1).Get();
  }
  int ExitAndMeet(int parties) {
    rayx::ExitActor();
    return Meet(parties);
  }

 private:
  std::mutex mutex_;
  std::condition_variable met_;
  int here_ = 0;
};

class Selfish {
 public:
  static Selfish* Create() { return new Selfish; }
  void Know(const rayx::ActorHandle<Selfish>& self) { self_ = self; }
  int One() { return 1; }
  int AskMyself() { return *self_.Task<&Selfish::One>().Remote().Get(); }

 private:
  rayx::ActorHandle<Selfish> self_;
};

RAYX_LAMBDA(cube, [](int x) { return x * x * x; });
RAYX_LAMBDA(refuses, []() -> int { throw std::domain_error("not me"); });

}  // namespace user

RAYX_REMOTE(user::Square);

namespace {

using user::Clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Cluster {
  explicit Cluster(double cpus) {
    rayx::Options options;
    options.num_cpus = cpus;
    options.object_store_memory = 256u << 20;
    options.resources = {{"gold", 1}};
    rayx::Init(options);
  }
  ~Cluster() { rayx::Shutdown(); }
};

}  // namespace

TEST_CASE("one VM: tasks give their values, by pointer, by name, and without result") {
  Cluster cluster(2);
  CHECK(*rayx::Task<&user::Square>().Remote(7).Get() == 49);
  CHECK(*rayx::Task(user::Square).Remote(8).Get() == 64);
  rayx::Task<&user::Nothing>().Remote().Get();
  const auto a = rayx::Task<&user::Square>().Remote(3);
  const auto b = rayx::Task<&user::Square>().Remote(4);
  CHECK(*rayx::Task<&user::Add>().Remote(a, b).Get() == 25);
  std::vector<rayx::ObjectRef<int>> refs;
  for (int i = 0; i < 2000; ++i) refs.push_back(rayx::Task<&user::Square>().Remote(i));
  const auto values = rayx::Get(refs);
  for (int i = 0; i < 2000; ++i) REQUIRE(*values[static_cast<size_t>(i)] == i * i);
  CHECK(*rayx::Task<&user::Working>().Remote().Get() != "");
  CHECK(rayx::KeyValue::Get("from-worker") == "hello");
}

TEST_CASE(
    "one VM: what a task throws arrives as its type and as TaskError, and fails what depends on "
    "it") {
  Cluster cluster(2);
  const auto bad = rayx::Task<&user::Throw>().Remote(std::string("index 9"));
  CHECK_THROWS_AS(bad.Get(), std::out_of_range);
  CHECK_THROWS_AS(bad.Get(), rayx::TaskError);
  try {
    bad.Get();
  } catch (const rayx::TaskError& error) {  // what failed, where, why
    CHECK_THAT(error.message(), Catch::Contains("user::Throw") && Catch::Contains("attempt 1") &&
                                    Catch::Contains("pid " + std::to_string(error.pid())) &&
                                    Catch::Contains("index 9"));
  }
  CHECK_THROWS_AS(rayx::Task<&user::ThrowWordless>().Remote().Get(), rayx::TaskError);
  const auto dependant = rayx::Task<&user::Add>().Remote(bad, 1);
  CHECK_THROWS_WITH(dependant.Get(), Catch::Contains("index 9"));
  const auto good = rayx::Task<&user::Square>().Remote(2);
  CHECK_THROWS_AS(rayx::Get(std::vector<rayx::ObjectRef<int>>{good, bad}), rayx::TaskError);
}

TEST_CASE("one VM: a killed worker's task is run again; without retries the cause is told") {
  Cluster cluster(2);
  CHECK(*rayx::Task<&user::DieUntil>().Remote(2u).Get() == 2);
  try {
    rayx::Task<&user::DieUntil>().SetMaxRetries(0).Remote(2u).Get();
    FAIL("no error");
  } catch (const rayx::WorkerDied& died) {
    CHECK(died.signal() == SIGKILL);
    CHECK(died.attempt() == 1);
    REQUIRE_FALSE(died.log_lines().empty());
    CHECK(died.log_lines().back() == "about to die in attempt 1");
  }
  try {
    rayx::Task<&user::Exit>().SetMaxRetries(0).Remote(7).Get();
    FAIL("no error");
  } catch (const rayx::WorkerDied& died) {
    CHECK(died.signal() == 0);
    CHECK(died.exit_code() == 7);
  }
  CHECK_THROWS_AS(rayx::Task<&user::DieUntil>().SetMaxRetries(1).Remote(9u).Get(),
                  rayx::TaskPoisoned);
}

TEST_CASE("one VM: recursion 200 deep with one CPU returns") {
  Cluster cluster(1);
  CHECK(*rayx::Task<&user::Recurse>().Remote(200).Get(60'000) == 200);
}

TEST_CASE("one VM: recursion that no stack can hold fails and says how deep it was", "[deep]") {
  Cluster cluster(1);
  CHECK_THROWS_WITH(rayx::Task<&user::RecurseWide>().Remote(300).Get(60'000),
                    Catch::Contains("nested"));
  CHECK(*rayx::Task<&user::Square>().Remote(3).Get(60'000) == 9);
}

TEST_CASE("one VM: references travel in arguments, containers and results") {
  Cluster cluster(2);
  std::vector<rayx::ObjectRef<int>> refs;
  for (int i = 1; i <= 10; ++i) refs.push_back(rayx::Put(i));
  refs.push_back(rayx::Task<&user::Square>().Remote(5));
  CHECK(*rayx::Task<&user::SumOfRefs>().Remote(refs).Get() == 80);
  const auto outer = rayx::Task<&user::MakeRef>().Remote(41);
  CHECK(*outer.Get()->Get() == 41);
}

TEST_CASE("one VM: large objects go through the store, both ways, and give their memory back") {
  Cluster cluster(2);
  for (int round = 0; round < 20; ++round) {  // 20 x 64 MiB through a store of 256 MiB
    const auto big =
        rayx::Task<&user::Bytes>().Remote(size_t{32} << 20, static_cast<uint8_t>(round));
    CHECK(*rayx::Task<&user::Sum>().Remote(big).Get() ==
          (uint64_t{32} << 20) * static_cast<uint64_t>(round));
    const auto mine = rayx::Put(std::vector<uint8_t>(32u << 20, 3));
    CHECK(*rayx::Task<&user::Sum>().Remote(mine).Get() == (uint64_t{32} << 20) * 3);
  }
  const auto middle = rayx::Task<&user::Bytes>().Remote(size_t{60'000}, uint8_t{7});
  CHECK(middle.Get()->size() == 60'000);
  CHECK_THROWS_AS(rayx::Put(std::vector<uint8_t>(512u << 20, 1)), rayx::ObjectStoreFull);
}

TEST_CASE("one VM: objects live as long as somebody refers to them, anywhere, and no longer") {
  Cluster cluster(2);  // a store of 256 MiB
  constexpr size_t kBytes = 24u << 20;
  const auto keeper = rayx::Actor<&user::Keeper::Create>().Remote();
  for (uint64_t round = 1; round <= 15; ++round) {
    INFO("round " << round);
    const auto value = static_cast<uint8_t>(round);
    std::vector<user::BytesRef> refs{rayx::Put(user::Bytes(kBytes, value))};
    CHECK(*rayx::Task<&user::SumInside>().Remote(refs).Get() == kBytes * round);
    // Theirs now: this program drops its handles before the actor is done with them.
    keeper.Task<&user::Keeper::Keep>().Remote(refs).Get();
    refs.clear();
    CHECK(*keeper.Task<&user::Keeper::SumKept>().Remote().Get() == kBytes * round);
    // And back, as a result, which alone holds it then.
    const auto given = keeper.Task<&user::Keeper::Give>().Remote();
    CHECK(user::Sum(*given.Get()->at(0).Get()) == kBytes * round);
    const auto made = rayx::Task<&user::MakeBig>().Remote(kBytes);
    CHECK(user::Sum(*made.Get()->Get()) == kBytes * 2);
    CHECK(*rayx::Task<&user::SumInside>().Remote(std::vector<user::BytesRef>{*made.Get()}).Get() ==
          kBytes * 2);
  }
}

TEST_CASE("one VM: an actor keeps its state, serves calls in order, and dies with a cause") {
  Cluster cluster(2);
  auto log = rayx::Actor<&user::Log::Create>().SetName("log").Remote(std::string("first"));
  std::vector<rayx::ObjectRef<size_t>> sizes;
  for (int i = 0; i < 200; ++i)
    sizes.push_back(log.Task<&user::Log::Append>().Remote(std::to_string(i)));
  for (int i = 0; i < 200; ++i)
    REQUIRE(*sizes[static_cast<size_t>(i)].Get() == static_cast<size_t>(i) + 2);
  CHECK(log.Task<&user::Log::All>().Remote().Get()->size() == 201);
  const auto found = rayx::GetActor<user::Log>("log");
  REQUIRE(found);
  CHECK(*found->Task<&user::Log::Pid>().Remote().Get() ==
        *log.Task<&user::Log::Pid>().Remote().Get());
  CHECK_THROWS_AS(log.Task<&user::Log::Fail>().Remote().Get(), std::runtime_error);
  CHECK(*log.Task<&user::Log::Append>().Remote(std::string("still here")).Get() == 202);
  const auto waiting = log.Task<&user::Log::Wait>().Remote(20'000);
  log.Kill();
  CHECK(rayx::Actors().front().cause == "actor user::Log \"log\" was killed: by Kill()");
  CHECK_THROWS_AS(waiting.Get(15'000), rayx::ActorDied);
  CHECK_THROWS_AS(log.Task<&user::Log::Pid>().Remote().Get(15'000), rayx::ActorDied);
  auto bad = rayx::Actor<&user::BadLog>().Remote(1);
  CHECK_THROWS_WITH(bad.Task<&user::Log::Pid>().Remote().Get(15'000), Catch::Contains("no disk"));
  auto none = rayx::Actor<&user::NoLog>().Remote(1);
  CHECK_THROWS_WITH(none.Task<&user::Log::Pid>().Remote().Get(15'000),
                    Catch::Contains("returned no object"));
}

TEST_CASE("one VM: a killed actor process is ActorDied with its signal") {
  Cluster cluster(2);
  auto log = rayx::Actor<&user::Log::Create>().Remote(std::string("x"));
  const int pid = *log.Task<&user::Log::Pid>().Remote().Get();
  const auto waiting = log.Task<&user::Log::Wait>().Remote(20'000);
  ::kill(pid, SIGKILL);
  try {
    waiting.Get(15'000);
    FAIL("no error");
  } catch (const rayx::ActorDied& died) {
    CHECK(died.signal() == SIGKILL);
  }
}

TEST_CASE(
    "one VM: an actor that is killed to be restarted fails the call under way and serves the "
    "next") {
  Cluster cluster(2);
  auto log = rayx::Actor<&user::Log::Create>().SetMaxRestarts(2).Remote(std::string("x"));
  const int before = *log.Task<&user::Log::Pid>().Remote().Get();
  const auto waiting = log.Task<&user::Log::Wait>().Remote(60'000);
  log.Kill(/*no_restart=*/false);
  CHECK_THROWS_AS(waiting.Get(15'000), rayx::ActorDied);
  CHECK(*log.Task<&user::Log::Pid>().Remote().Get(15'000) != before);
}

TEST_CASE("one VM: ExitActor answers its call, then ends the actor for good, restarts or not") {
  Cluster cluster(2);
  auto log = rayx::Actor<&user::Log::Create>().SetMaxRestarts(-1).Remote(std::string("x"));
  const int pid = *log.Task<&user::Log::Exit>().Remote().Get(15'000);
  CHECK(pid > 0);
  CHECK_THROWS_WITH(log.Task<&user::Log::Pid>().Remote().Get(15'000),
                    Catch::Contains("called ExitActor"));
}

TEST_CASE("one VM: an actor with SetMaxConcurrency serves calls at once, one without does not") {
  Cluster cluster(2);
  auto barrier = rayx::Actor<&user::Barrier::Create>().SetMaxConcurrency(8).Remote();
  std::vector<rayx::ObjectRef<int>> meetings;
  for (int i = 0; i < 8; ++i) meetings.push_back(barrier.Task<&user::Barrier::Meet>().Remote(8));
  for (const auto& meeting : meetings) CHECK(*meeting.Get(15'000) >= 8);
  // Two of a third's eight threads wait for the others.
  auto own = rayx::Actor<&user::Barrier::Create>().SetMaxConcurrency(8).Remote();
  const auto first = own.Task<&user::Barrier::MeetMyself>().Remote(own, 2);
  const auto second = own.Task<&user::Barrier::MeetMyself>().Remote(own, 2);
  CHECK(*first.Get(15'000) == 2);
  CHECK(*second.Get(15'000) == 2);
  CHECK(*own.Task<&user::Barrier::AskMyself>().Remote(own, 7).Get(15'000) == 7);
  CHECK_THROWS_AS(own.Task<&user::Barrier::AskMyself>().Remote(own, 8).Get(15'000),
                  rayx::WouldDeadlock);
  // ExitActor lets the calls that run end.
  auto last = rayx::Actor<&user::Barrier::Create>().SetMaxConcurrency(3).Remote();
  const auto waits = last.Task<&user::Barrier::Meet>().Remote(2);
  const auto comes = last.Task<&user::Barrier::ExitAndMeet>().Remote(2);
  CHECK(*waits.Get(15'000) == 2);
  CHECK(*comes.Get(15'000) == 2);
  CHECK_THROWS_AS(last.Task<&user::Barrier::Meet>().Remote(1).Get(15'000), rayx::ActorDied);
}

TEST_CASE("one VM: what this release does not do in a cluster is refused, not ignored") {
  Cluster cluster(2);
  CHECK_THROWS_WITH(
      rayx::Actor<&user::Log::Create>().SetMaxConcurrency(1001).Remote(std::string("x")),
      Catch::Contains("SetMaxConcurrency(1001)"));
}

TEST_CASE("one VM: RemoteEach gives a reference to each part of a result") {
  Cluster cluster(2);
  const auto [low, high] = rayx::Task<&user::Halves>().RemoteEach(7);
  CHECK(*rayx::Task<&user::Add>().Remote(low, high).Get(15'000) == 7);
  CHECK(*high.Get(15'000) == 4);
  // Some of the parts large: each lives for itself.
  for (int round = 0; round < 20; ++round) {
    const auto blocks = rayx::Task<&user::Blocks>().SetNumReturns(3).RemoteEach(
        std::vector<size_t>{8u << 20, 10, 8u << 20});
    REQUIRE(blocks.size() == 3);
    CHECK(user::Sum(*blocks[2].Get(15'000)) == (8u << 20) * 3);
    CHECK(blocks[1].Get(15'000)->size() == 10);
  }
  const auto wrong =
      rayx::Task<&user::Blocks>().SetNumReturns(2).RemoteEach(std::vector<size_t>{1});
  for (const auto& ref : wrong) CHECK_THROWS_AS(ref.Get(15'000), rayx::InvalidOption);
}

TEST_CASE("one VM: a lambda of the program is a task by its name") {
  Cluster cluster(2);
  CHECK(*rayx::Task(user::cube).Remote(3).Get(30'000) == 27);
  CHECK(*rayx::Task(user::cube).SetMaxRetries(0).Remote(rayx::Put(2)).Get(30'000) == 8);
  CHECK_THROWS_AS(rayx::Task(user::refuses).Remote().Get(30'000), std::domain_error);
}

TEST_CASE("one VM: an actor that waits for itself is told so") {
  Cluster cluster(2);
  auto actor = rayx::Actor<&user::Selfish::Create>().Remote();
  actor.Task<&user::Selfish::Know>().Remote(actor).Get();
  CHECK_THROWS_AS(actor.Task<&user::Selfish::AskMyself>().Remote().Get(15'000),
                  rayx::WouldDeadlock);
}

TEST_CASE("one VM: a worker in user code for a minute serves its values and goes on with its tasks",
          "[minute]") {
  Cluster cluster(2);
  constexpr int kSeconds = 60;
  constexpr int kFetches = 10 * kSeconds;
  auto log = rayx::Actor<&user::Log::Create>().Remote(std::string("x"));
  const auto owned = *log.Task<&user::Log::Own>().Remote(kFetches).Get();
  const auto chain = *log.Task<&user::Log::OwnChain>().Remote(std::string("go")).Get();
  const auto busy = log.Task<&user::Log::SayAndSpin>().Remote(kSeconds * 1000);
  REQUIRE(rayx::KeyValue::Wait({"spins"}, 30'000));

  std::vector<double> milliseconds;
  const auto start = Clock::now();
  for (int i = 0; i < kFetches; ++i) {
    const auto asked = Clock::now();
    REQUIRE(*owned[static_cast<size_t>(i)].Get(10'000) == i);
    milliseconds.push_back(SecondsSince(asked) * 1000);
    if (i == kFetches / 2) {
      rayx::KeyValue::Put("go", "");
      CHECK(*chain.Get(10'000) == 81);
    }
    // All but the last seconds, so that the worker surely spins at each of them.
    std::this_thread::sleep_until(start + std::chrono::milliseconds(90) * (i + 1));
  }
  CHECK(rayx::Wait(std::vector<rayx::ObjectRef<int>>{busy}, 1, 0).ready.empty());
  CHECK(*busy.Get(30'000) == kSeconds * 1000);
  std::sort(milliseconds.begin(), milliseconds.end());
  std::printf("%d values of a worker in user code: median %.2f ms, p99 %.2f ms, longest %.2f ms\n",
              kFetches, milliseconds[kFetches / 2], milliseconds[kFetches * 99 / 100],
              milliseconds.back());
}

TEST_CASE("one VM: Wait and timeouts") {
  Cluster cluster(2);
  const auto quick = rayx::Task<&user::Square>().Remote(2);
  const auto slow = rayx::Task<&user::Busy>().Remote(1'500);
  const auto some = rayx::Wait(std::vector<rayx::ObjectRef<int>>{quick, slow}, 1, 10'000);
  CHECK(some.ready.size() == 1);
  CHECK_THROWS_AS(slow.Get(50), rayx::Timeout);
  CHECK(*slow.Get() == 1'500);
}

TEST_CASE("one VM: work that no node could run is refused with what is missing") {
  Cluster cluster(2);
  const auto start = Clock::now();
  try {
    rayx::Task<&user::Square>().SetResource("CPU", 64).Remote(1).Get(15'000);
    FAIL("no error");
  } catch (const rayx::Infeasible& error) {
    CHECK_THAT(error.message(), Catch::Contains("CPU"));
    CHECK_THAT(error.message(), Catch::Contains("64"));
  }
  CHECK(SecondsSince(start) < 10);
  CHECK(*rayx::Task<&user::Square>().SetResource("gold", 0.25).Remote(3).Get() == 9);
  CHECK(*rayx::Task<&user::Square>().SetResource("CPU", 0.5).Remote(3).Get() == 9);
}

TEST_CASE("one VM: several threads of a driver call at once") {
  Cluster cluster(2);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t, &wrong] {
      for (int i = 0; i < 200; ++i) {
        if (*rayx::Task<&user::Add>().Remote(t, i).Get() != t + i) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("one VM: a driver that has no descriptor left for a worker's channel is told so") {
  Cluster cluster(2);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int next = ::dup(STDIN_FILENO);
  REQUIRE(next >= 0);
  ::close(next);
  rlimit full = before;
  full.rlim_cur = static_cast<rlim_t>(next);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &full) == 0);
  std::exception_ptr caught;  // looked at later: a sanitizer's look needs descriptors itself
  try {
    rayx::Task<&user::Square>().Remote(3).Get(20'000);
  } catch (...) {
    caught = std::current_exception();
  }
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  REQUIRE(caught != nullptr);
  try {
    std::rethrow_exception(caught);
  } catch (const rayx::OutOfMemory& error) {
    CHECK_THAT(error.message(), Catch::Contains("channel") && Catch::Contains("ulimit -n"));
  }
}

TEST_CASE("one VM: a call of an actor that has no place names what it demands") {
  Cluster cluster(2);
  const auto first = rayx::Actor<&user::Log::Create>().SetResource("gold", 1).Remote("first");
  CHECK(*first.Task<&user::Log::Append>().Remote("x").Get() == 2);
  const auto second = rayx::Actor<&user::Log::Create>().SetResource("gold", 1).Remote("second");
  try {
    second.Task<&user::Log::All>().Remote().Get(500);
    FAIL("there is one gold");
  } catch (const rayx::Timeout& error) {
    CHECK_THAT(error.message(), Catch::Contains("not placed yet") && Catch::Contains("gold: 1"));
  }
}

TEST_CASE("one VM: what a task printed before its result is on the terminal after Shutdown") {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  for (int round = 0; round < 5; ++round) {
    FILE* output = ::popen((self + " print-and-leave").c_str(), "r");
    REQUIRE(output != nullptr);
    int lines = 0;
    for (char line[512]; std::fgets(line, sizeof line, output) != nullptr;) {
      lines += std::strstr(line, "printed line") != nullptr ? 1 : 0;
    }
    CHECK(::pclose(output) == 0);
    CHECK(lines == 10);
  }
}

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "print-and-leave") == 0) {
    Cluster cluster(1);
    return *rayx::Task<&user::Print>().Remote(10).Get() == 10 ? 0 : 1;
  }
  return rayx::testing::RunTests(argc, argv);
}
