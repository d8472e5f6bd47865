// Goal: tasks of local mode behave as remote ones: values are copies, errors surface at Get,
// arguments may be references. Method: small programs against the public API.
#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/local/local_mode.h"

using rayx::testing::LocalMode;

namespace {

int Square(int x) {
  return x * x;
}
int Add(int a, int b) {
  return a + b;
}
int Fail(int code) {
  throw std::out_of_range("code " + std::to_string(code));
}
int Never(int x) {
  return x;
}
void Nothing() {}
std::vector<int> Sorted(std::vector<int> values) {
  values[0] = 99;
  return values;
}
std::unique_ptr<std::string> Own(std::unique_ptr<std::string> text) {
  *text += "!";
  return text;
}
int Factorial(int n) {
  return n < 2 ? 1 : n * *rayx::Task<&Factorial>().Remote(n - 1).Get();
}
std::string Name() {
  return rayx::GetRuntimeContext().TaskName();
}
double Cpus() {
  return rayx::GetRuntimeContext().LeasedCpus();
}
int SumOfRefs(const std::map<std::string, rayx::ObjectRef<int>>& refs) {
  int sum = 0;
  for (const auto& [name, ref] : refs) sum += *ref.Get();
  return sum;
}
rayx::ObjectRef<int> Later(int x) {
  return rayx::Task<&Square>().Remote(x);
}
int GetFailure() {
  return *rayx::Task<&Fail>().Remote(5).Get();
}
// Large enough to travel as a block of its own; what is left of it after its end is rubbish.
class Ending {
 public:
  Ending() : numbers_(10'000, 0.5) {}
  Ending(const Ending&) = default;
  Ending(Ending&&) = default;
  Ending& operator=(const Ending&) = default;
  Ending& operator=(Ending&&) = default;
  ~Ending() { std::fill(numbers_.begin(), numbers_.end(), -1); }
  const std::vector<double>& numbers() const { return numbers_; }
  RAYX_SERIALIZE(numbers_)

 private:
  std::vector<double> numbers_;
};
Ending MakeEnding() {
  return {};
}
const std::string& Reference(const std::string& text) {
  return text;
}
int NotRegistered(int x) {
  return x;
}

}  // namespace

RAYX_REMOTE(Square, Add);

TEST_CASE("Local tasks: by template and by RAYX_REMOTE, twice with one caller") {
  const LocalMode local;
  CHECK(*rayx::Task<&Square>().Remote(7).Get() == 49);
  const auto caller = rayx::Task(Add);
  CHECK(*caller.Remote(1, 2).Get() == 3);
  CHECK(*caller.Remote(10, 20).Get() == 30);
  rayx::Task<&Nothing>().Remote().Get();
  CHECK_THROWS_AS(rayx::Task(NotRegistered), rayx::UnknownFunction);
}

TEST_CASE("Local tasks: values are copies") {
  const LocalMode local;
  std::vector<int> mine{1, 2, 3};
  const auto theirs = rayx::Task<&Sorted>().Remote(mine).Get();
  CHECK(mine[0] == 1);
  CHECK((*theirs)[0] == 99);
  CHECK(**rayx::Task<&Own>().Remote(std::make_unique<std::string>("hey")).Get() == "hey!");
  CHECK(*rayx::Task<&Reference>().Remote("text").Get() == "text");
}

TEST_CASE("Local tasks: arguments are converted, or are references") {
  const LocalMode local;
  const rayx::ObjectRef<int> two = rayx::Put(2);
  CHECK(*rayx::Task(Add).Remote(two, rayx::Task<&Square>().Remote(3)).Get() == 11);
  CHECK(*rayx::Task(Add).Remote('a', 1.0).Get() == 98);
}

TEST_CASE("Local tasks: references travel inside values and results") {
  const LocalMode local;
  std::map<std::string, rayx::ObjectRef<int>> refs{{"a", rayx::Put(1)},
                                                   {"b", rayx::Task<&Square>().Remote(4)}};
  auto sum = rayx::Task<&SumOfRefs>().Remote(refs);
  refs.clear();
  CHECK(*sum.Get() == 17);
  const rayx::ObjectRef<rayx::ObjectRef<int>> later = rayx::Task<&Later>().Remote(5);
  CHECK(*later.Get()->Get() == 25);
}

TEST_CASE("Local tasks: nested ones") {
  const LocalMode local;
  CHECK(*rayx::Task<&Factorial>().Remote(10).Get() == 3628800);
}

TEST_CASE("Local tasks: an exception surfaces at Get, as its type and as TaskError, every time") {
  const LocalMode local;
  const auto failed = rayx::Task<&Fail>().Remote(7);
  for (int i = 0; i < 2; ++i) CHECK_THROWS_AS(failed.Get(), std::out_of_range);
  try {
    failed.Get();
  } catch (const rayx::TaskError& error) {
    CHECK(std::string(error.what()) == "code 7");
    CHECK(error.type_name() == "std::out_of_range");
    CHECK(error.message().find("Fail(int)") != std::string::npos);
    CHECK(error.pid() == getpid());
    CHECK(error.attempt() == 1);
  }
}

TEST_CASE("Local tasks: a failed argument's error reaches the dependent task, which does not run") {
  const LocalMode local;
  const auto failed = rayx::Task<&Fail>().Remote(1);
  const auto dependent = rayx::Task<&Never>().Remote(failed);
  CHECK_THROWS_AS(rayx::Task<&Never>().Remote(dependent).Get(), std::out_of_range);
  // The same through a Get inside a task.
  CHECK_THROWS_AS(rayx::Task<&GetFailure>().Remote().Get(), std::out_of_range);
}

TEST_CASE("Local tasks: a Get of a vector throws the error of the member that failed") {
  const LocalMode local;
  std::vector<rayx::ObjectRef<int>> refs{rayx::Put(1), rayx::Task<&Fail>().Remote(2), rayx::Put(3)};
  CHECK_THROWS_AS(rayx::Get(refs), std::out_of_range);
  refs.erase(refs.begin() + 1);
  CHECK(*rayx::Get(refs)[1] == 3);
}

TEST_CASE("Local tasks: the context names the task and its CPUs") {
  const LocalMode local;
  CHECK(*rayx::Task<&Name>().SetName("my task").Remote().Get() == "my task");
  CHECK(*rayx::Task<&Cpus>().Remote().Get() == 1);
  CHECK(*rayx::Task<&Cpus>().SetResource("CPU", 0.5).Remote().Get() == 0.5);
  const rayx::RuntimeContext context = rayx::GetRuntimeContext();
  CHECK(context.TaskName().empty());
  CHECK(context.LeasedCpus() == 0);
  CHECK(context.LocalMode());
  CHECK_FALSE(context.InActor());
  REQUIRE(rayx::Nodes().size() == 1);
  CHECK(rayx::Nodes()[0].total.at("CPU") == 4);
}

TEST_CASE("Local tasks: wrong options are refused at the setter") {
  const LocalMode local;
  auto task = rayx::Task<&Square>();
  CHECK_THROWS_AS(task.SetResource("CPU", -1), rayx::InvalidOption);
  CHECK_THROWS_AS(task.SetResource("", 1), rayx::InvalidOption);
  CHECK_THROWS_AS(task.SetResource("gold", std::numeric_limits<double>::quiet_NaN()),
                  rayx::InvalidOption);
  CHECK_THROWS_AS(task.SetMaxRetries(-2), rayx::InvalidOption);
  CHECK_THROWS_AS(task.SetSchedulingStrategy("ANYWHERE"), rayx::InvalidOption);
  CHECK_THROWS_AS(task.SetSchedulingStrategy(rayx::SchedulingStrategy::NodeAffinity(0)),
                  rayx::InvalidOption);
  CHECK(*task.SetSchedulingStrategy("SPREAD")
             .SetResources({{"CPU", 2}, {"gold", 0.25}})
             .Remote(3)
             .Get() == 9);
}

TEST_CASE("Local tasks: selectors of labels are checked at the setter") {
  const LocalMode local;
  const auto with = [](const char* text) {
    return rayx::Task<&Square>().SetLabels({{"zone", text}});
  };
  for (const char* text : {"a", "!a", "in(a,b)", "!in(a,b)"}) {
    CHECK(*with(text).Remote(3).Get() == 9);  // there is one node here, whatever its labels
  }
  for (const char* text : {"", "!", "in(a", "a b", "in(a,,b)"}) {
    CHECK_THROWS_WITH(with(text), Catch::Contains("SetLabels") && Catch::Contains("\"zone\""));
  }
  CHECK_THROWS_AS(rayx::Task<&Square>().SetLabels({{"", "a"}}), rayx::InvalidOption);
  std::map<std::string, std::string> many;
  for (int i = 0; i < 65; ++i) many["k" + std::to_string(i)] = "v";
  CHECK_THROWS_WITH(rayx::Task<&Square>().SetLabels(many), Catch::Contains("65"));
}

// Regression: a result was packed, ended, and only then copied out of where it had been.
TEST_CASE("Local tasks: a large result arrives as it was when the task returned it") {
  const LocalMode local;
  const auto result = rayx::Task<&MakeEnding>().Remote().Get();
  CHECK(result->numbers() == std::vector<double>(10'000, 0.5));
}

TEST_CASE("Local tasks: many threads at once") {
  const LocalMode local;
  const rayx::ObjectRef<int> shared = rayx::Put(5);
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        const rayx::ObjectRef<int> copy = shared;
        if (*rayx::Task<&Add>().Remote(copy, i).Get() == 5 + i) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 800);
}
