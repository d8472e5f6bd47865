// Goal: each case that breaks in Ray's C++ implementation works here, one test case each. Method:
// the same small program in local mode and on an embedded cluster.
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "rayx/rayx.h"
#include "tests/run_tests.h"

namespace user {

int Square(int x) {
  return x * x;
}
int Fail(const std::string& what) {
  throw std::out_of_range(what);
}
// Must not run: its argument has failed.
int Dependent(int x) {
  rayx::KeyValue::Put("dependent ran", std::to_string(x));
  return x;
}
int Sum(const std::vector<int>& numbers) {
  int sum = 0;
  for (const int number : numbers) sum += number;
  return sum;
}

using Refs = std::vector<rayx::ObjectRef<int>>;
int SumOfRefs(const Refs& refs) {
  int sum = 0;
  for (const auto& ref : refs) sum += *ref.Get();
  return sum;
}
int GetInside(const rayx::ObjectRef<rayx::ObjectRef<int>>& outer) {
  return *outer.Get()->Get();
}
Refs MakeRefs(int count) {
  Refs refs;
  for (int i = 0; i < count; ++i) {
    refs.push_back(i % 2 == 0 ? rayx::Put(i) : rayx::Task<&Square>().Remote(i));
  }
  return refs;
}
std::map<std::string, Refs> PassOn(std::map<std::string, Refs> named) {
  named["passed on"] = named.begin()->second;
  return named;
}
rayx::ObjectRef<int> Same(rayx::ObjectRef<int> ref) {
  return ref;
}

template <class Integer>
Integer Echo(Integer value) {
  return value;
}
struct Numbers {
  std::uint64_t largest;
  std::int64_t smallest;
  std::int8_t byte;
  std::uint16_t word;
  bool flag;
};
Numbers EchoAll(const Numbers& numbers) {
  return numbers;
}

class Account {
 public:
  static Account* Create(std::uint64_t start) { return new Account(start); }
  explicit Account(std::uint64_t start) : value_(start) {}
  std::uint64_t Add(std::uint64_t amount) { return value_ += amount; }
  rayx::ObjectRef<int> Keep(rayx::ObjectRef<int> ref) {
    kept_ = std::move(ref);
    return kept_;
  }
  int Kept() const { return *kept_.Get(); }
  std::uint64_t Overdraw() { throw std::domain_error("overdrawn"); }

 private:
  std::uint64_t value_;
  rayx::ObjectRef<int> kept_;
};

}  // namespace user

RAYX_REMOTE(user::Square, user::Account::Create, &user::Account::Add);

namespace {

constexpr int kPatience = 30'000;

rayx::Options OptionsOf(const std::string& mode) {
  rayx::Options options;
  options.local_mode = mode == "local";
  options.num_cpus = 2;
  options.object_store_memory = 256u << 20;
  return options;
}

// Each case runs once in either mode.
class Program {
 public:
  Program() : mode_(GENERATE(std::string("local"), std::string("embedded"))) {
    rayx::Init(OptionsOf(mode_));
  }
  ~Program() { rayx::Shutdown(); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  const std::string& mode() const { return mode_; }

 private:
  std::string mode_;
};

template <class Integer>
void CheckTravels(std::initializer_list<Integer> values) {
  for (const Integer value : values) {
    CHECK(*rayx::Task<&user::Echo<Integer>>().Remote(value).Get(kPatience) == value);
    CHECK(*rayx::Put(value).Get() == value);
  }
}
template <class Integer>
void CheckLimitsTravel() {
  CheckTravels<Integer>({std::numeric_limits<Integer>::min(), std::numeric_limits<Integer>::max(),
                         Integer{0}, Integer{1}, static_cast<Integer>(-1)});
}

}  // namespace

TEST_CASE("Ray crashes: a Get of a vector with a failed member throws the member's error") {
  const Program program;
  INFO(program.mode());
  const std::vector<rayx::ObjectRef<int>> refs{
      rayx::Task<&user::Square>().Remote(2), rayx::Task<&user::Fail>().Remote("the second"),
      rayx::Task<&user::Square>().Remote(3), rayx::Task<&user::Fail>().Remote("the fourth")};
  CHECK_THROWS_AS(rayx::Get(refs, kPatience), std::out_of_range);
  CHECK_THROWS_AS(rayx::Get(refs, kPatience), rayx::TaskError);
  CHECK_THROWS_WITH(rayx::Get(refs, kPatience), "the second");
  CHECK(rayx::Wait(refs, 4, kPatience).ready.size() == 4);
  CHECK(*refs[2].Get() == 9);  // the others are as they were
  const auto account = rayx::Actor<&user::Account::Create>().Remote(1u);
  const std::vector<rayx::ObjectRef<std::uint64_t>> calls{
      account.Task<&user::Account::Add>().Remote(1u),
      account.Task<&user::Account::Overdraw>().Remote()};
  CHECK_THROWS_AS(rayx::Get(calls, kPatience), std::domain_error);
}

TEST_CASE("Ray passes a wrong value: a failed argument's error reaches the dependent task") {
  const Program program;
  INFO(program.mode());
  const auto failed = rayx::Task<&user::Fail>().Remote("at the root");
  const auto first = rayx::Task<&user::Dependent>().Remote(failed);
  const auto second = rayx::Task<&user::Dependent>().Remote(first);
  CHECK_THROWS_AS(first.Get(kPatience), std::out_of_range);
  CHECK_THROWS_AS(second.Get(kPatience), std::out_of_range);
  CHECK_THROWS_WITH(second.Get(kPatience), "at the root");
  CHECK_FALSE(rayx::KeyValue::Get("dependent ran"));
  const auto account = rayx::Actor<&user::Account::Create>().Remote(5u);
  const auto overdrawn = account.Task<&user::Account::Overdraw>().Remote();
  CHECK_THROWS_AS(account.Task<&user::Account::Add>().Remote(overdrawn).Get(kPatience),
                  std::domain_error);
  CHECK(*account.Task<&user::Account::Add>().Remote(1u).Get(kPatience) == 6);
  // A failed argument of a constructor is the end of the actor, with that cause.
  const auto stillborn = rayx::Actor<&user::Account::Create>().Remote(overdrawn);
  CHECK_THROWS_WITH(stillborn.Task<&user::Account::Add>().Remote(1u).Get(kPatience),
                    Catch::Contains("overdrawn"));
}

TEST_CASE("Ray does not allow it: references are moved, put into containers, passed, returned") {
  const Program program;
  INFO(program.mode());
  rayx::ObjectRef<int> moved_from = rayx::Task<&user::Square>().Remote(3);
  rayx::ObjectRef<int> ref = std::move(moved_from);
  CHECK_FALSE(moved_from);  // NOLINT: that a moved-from one is empty is the promise
  CHECK_THROWS_AS(moved_from.Get(), rayx::InvalidOption);
  CHECK(*ref.Get(kPatience) == 9);

  user::Refs refs{ref, rayx::Put(1)};
  refs.push_back(std::move(ref));
  CHECK(*rayx::Task<&user::SumOfRefs>().Remote(refs).Get(kPatience) == 19);
  CHECK(*rayx::Task<&user::GetInside>().Remote(rayx::Put(refs[1])).Get(kPatience) == 1);

  const auto made = rayx::Task<&user::MakeRefs>().Remote(6);
  CHECK(*rayx::Task<&user::SumOfRefs>().Remote(made).Get(kPatience) == 0 + 1 + 2 + 9 + 4 + 25);
  const auto named = *rayx::Task<&user::PassOn>()
                          .Remote(std::map<std::string, user::Refs>{{"a", *made.Get(kPatience)}})
                          .Get(kPatience);
  REQUIRE(named.size() == 2);
  CHECK(*named.at("passed on")[5].Get(kPatience) == 25);
  CHECK(named.at("passed on")[5] == named.at("a")[5]);
  const auto optional = rayx::Put(std::optional<rayx::ObjectRef<int>>(refs[0])).Get();
  CHECK(*optional->value().Get() == 9);

  const auto account = rayx::Actor<&user::Account::Create>().Remote(0u);
  const auto back = *account.Task<&user::Account::Keep>()
                         .Remote(rayx::Task<&user::Same>().Remote(rayx::Put(refs[0])))
                         .Get(kPatience);
  refs.clear();
  CHECK(*account.Task<&user::Account::Kept>().Remote().Get(kPatience) == 9);
  CHECK(*back.Get(kPatience) == 9);
}

TEST_CASE("Ray loses bits: integers of any size and sign travel") {
  const Program program;
  INFO(program.mode());
  CheckLimitsTravel<std::int8_t>();
  CheckLimitsTravel<std::uint8_t>();
  CheckLimitsTravel<std::int16_t>();
  CheckLimitsTravel<std::uint16_t>();
  CheckLimitsTravel<std::int32_t>();
  CheckLimitsTravel<std::uint32_t>();
  CheckLimitsTravel<std::int64_t>();
  CheckLimitsTravel<std::uint64_t>();
  CheckLimitsTravel<long>();
  CheckLimitsTravel<unsigned long long>();
  CheckTravels<bool>({true, false});
  CheckTravels<char>({'\0', 'x', static_cast<char>(-1)});
  const user::Numbers numbers{std::numeric_limits<std::uint64_t>::max(),
                              std::numeric_limits<std::int64_t>::min(), -128, 65'535, true};
  const auto back = rayx::Task<&user::EchoAll>().Remote(numbers).Get(kPatience);
  CHECK(back->largest == numbers.largest);
  CHECK(back->smallest == numbers.smallest);
  CHECK(back->byte == numbers.byte);
  CHECK(back->word == numbers.word);
  CHECK(back->flag);
  const auto account = rayx::Actor(user::Account::Create).Remote(std::uint64_t{1} << 63);
  CHECK(*account.Task(&user::Account::Add).Remote(5u).Get(kPatience) ==
        (std::uint64_t{1} << 63) + 5);
}

TEST_CASE("Ray sends the arguments of the first call again: a caller object is used many times") {
  const Program program;
  INFO(program.mode());
  const auto square = rayx::Task(user::Square);
  CHECK(*square.Remote(2).Get(kPatience) == 4);
  CHECK(*square.Remote(3).Get(kPatience) == 9);
  const auto account = rayx::Actor(user::Account::Create).Remote(10u);
  const auto add = account.Task(&user::Account::Add);
  CHECK(*add.Remote(1u).Get(kPatience) == 11);
  CHECK(*add.Remote(rayx::Put(std::uint64_t{5})).Get(kPatience) == 16);
  auto named = rayx::Task(user::Square);
  named.SetName("named").SetMaxRetries(0);
  const auto copy = named;
  CHECK(*copy.Remote(4).Get(kPatience) == 16);
  CHECK(*named.SetResource("CPU", 1).Remote(5).Get(kPatience) == 25);
  const auto create = rayx::Actor(user::Account::Create);
  const auto one = create.Remote(1u);
  const auto two = create.Remote(2u);
  CHECK(one != two);
  CHECK(*two.Task(&user::Account::Add).Remote(0u).Get(kPatience) == 2);
  CHECK(*one.Task(&user::Account::Add).Remote(0u).Get(kPatience) == 1);
}

TEST_CASE("Ray hangs or aborts: a program ends without Shutdown, with its own exit code") {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  for (const char* mode : {"local", "embedded"}) {
    for (const char* way : {"return", "exit", "thrown"}) {
      INFO(mode << " " << way);
      const int status = std::system(
          (self + " end-without-shutdown " + mode + " " + way + " 2>/dev/null").c_str());
      if (std::strcmp(way, "thrown") == 0) {  // the shell tells of SIGABRT so
        CHECK(((WIFEXITED(status) && WEXITSTATUS(status) == 128 + 6) || WIFSIGNALED(status)));
      } else {
        REQUIRE(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 7);
      }
    }
  }
}

namespace {

rayx::ObjectRef<int> kept;  // given back after main, when no runtime is left
std::optional<rayx::ActorHandle<user::Account>> kept_actor;

int EndWithoutShutdown(const std::string& mode, const std::string& way) {
  rayx::Init(OptionsOf(mode));
  kept = rayx::Task<&user::Square>().Remote(3);
  kept_actor = rayx::Actor<&user::Account::Create>().Remote(3u);
  kept_actor->Task<&user::Account::Add>().Remote(1u).Get(kPatience);
  const auto unread = rayx::Task<&user::Square>().Remote(4);
  if (*kept.Get(kPatience) != 9) return 1;
  if (way == "exit") std::exit(7);
  if (way == "thrown") throw std::runtime_error("nobody catches it");
  return 7;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "end-without-shutdown") == 0) {
    return EndWithoutShutdown(argv[2], argv[3]);
  }
  return rayx::testing::RunTests(argc, argv);
}
