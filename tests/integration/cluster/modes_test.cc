// Goal: what a program may rely on is the same in local mode, on a cluster of its own and on one
// that runs already. Method: each case is a small program that runs in all three.
#include <catch2/catch.hpp>
#include <cstddef>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "rayx/rayx.h"
#include "tests/integration/cluster/two_nodes.h"
#include "tests/run_tests.h"

namespace user {

class Shelf {
 public:
  static Shelf* Create(int size) { return new Shelf(size); }
  static std::unique_ptr<Shelf> Fail(const std::string& why) { throw std::domain_error(why); }
  static Shelf* OfTwo(const std::string& first, const std::string& second) {
    return new Shelf(static_cast<int>(first.size() + second.size()));
  }
  static Shelf* Nothing() { return nullptr; }
  explicit Shelf(int size) : size_(size) {}
  int Size() const { return size_; }

 private:
  int size_;
};
class Text {
 public:
  std::string All() const { return all_; }

 private:
  std::string all_ = "all";
};

using Numbers = std::vector<double>;
double Sum(const rayx::View<Numbers>& numbers, double from) {
  return std::accumulate(numbers.begin(), numbers.end(), from);
}
std::size_t Letters(rayx::View<std::string> text) {
  return text.size();
}
// Gives on what it was given, without a copy of its own.
double SumThere(const rayx::View<Numbers>& numbers) {
  return *rayx::Task<&Sum>().Remote(numbers, 0.0).Get();
}
class Holder {
 public:
  static Holder* Create() { return new Holder; }
  std::size_t Keep(rayx::View<Numbers> numbers) {
    kept_ = std::move(numbers);
    return kept_.size();
  }
  double SumOfKept() const { return Sum(kept_, 0); }

 private:
  rayx::View<Numbers> kept_;
};

int Fail(const std::string& why) {
  throw std::out_of_range(why);
}
std::size_t Total(const std::string& a, const std::string& b, const std::string& c,
                  const std::string& d, const std::string& e, const std::string& f,
                  const std::string& g, const std::string& h) {
  return a.size() + b.size() + c.size() + d.size() + e.size() + f.size() + g.size() + h.size();
}
int ShutdownInside() {
  rayx::Shutdown();
  return 7;
}

}  // namespace user

namespace {

constexpr int kPatience = 30'000;

class Program {
 public:
  Program()
      : mode_(GENERATE(std::string("local"), std::string("embedded"), std::string("running"))) {
    rayx::Options options;
    options.local_mode = mode_ == "local";
    if (mode_ == "running") {
      running_.emplace();
      running_->Connect(1);
    } else {
      options.num_cpus = 2;
      rayx::Init(options);
    }
  }
  ~Program() { rayx::Shutdown(); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  const std::string& mode() const { return mode_; }

 private:
  std::string mode_;
  std::optional<rayx::testing::TwoNodes> running_;
};

// Of the ActorDied of a call of it.
std::string CauseOf(const rayx::ActorHandle<user::Shelf>& shelf) {
  try {
    shelf.Task<&user::Shelf::Size>().Remote().Get(kPatience);
  } catch (const rayx::ActorDied& died) {
    return died.message();
  }
  return "nothing was thrown";
}

}  // namespace

TEST_CASE("modes: GetActor of another class is refused, for its methods would run on its memory") {
  const Program program;
  INFO(program.mode());
  const auto shelf = rayx::Actor<&user::Shelf::Create>().SetName("shelf").Remote(3);
  CHECK(*shelf.Task<&user::Shelf::Size>().Remote().Get(kPatience) == 3);
  CHECK_THROWS_AS(rayx::GetActor<user::Text>("shelf"), rayx::InvalidOption);
  CHECK_THROWS_WITH(rayx::GetActor<user::Text>("shelf"),
                    "GetActor: the actor \"shelf\" is of class user::Shelf, not user::Text");
  CHECK(*rayx::GetActor<user::Shelf>("shelf") == shelf);
  CHECK_FALSE(rayx::GetActor<user::Text>("nobody"));
}

TEST_CASE("modes: a parameter that is a view takes a value, a reference or a view") {
  const Program program;
  INFO(program.mode());
  for (const std::size_t count : {std::size_t{0}, std::size_t{3}, std::size_t{100'000}}) {
    INFO(count);
    user::Numbers numbers(count);
    std::iota(numbers.begin(), numbers.end(), 1.0);
    const double sum = std::accumulate(numbers.begin(), numbers.end(), 0.0);
    const auto stored = rayx::Put(numbers);
    CHECK(*rayx::Task<&user::Sum>().Remote(numbers, 1.0).Get(kPatience) == sum + 1);
    CHECK(*rayx::Task<&user::Sum>().Remote(stored, 2).Get(kPatience) == sum + 2);
    CHECK(*rayx::Task<&user::Sum>().Remote(rayx::GetView(stored), 0.0).Get(kPatience) == sum);
    CHECK(*rayx::Task<&user::SumThere>().Remote(stored).Get(kPatience) == sum);
    auto holder = rayx::Actor<&user::Holder::Create>().Remote();
    CHECK(*holder.Task<&user::Holder::Keep>().Remote(stored).Get(kPatience) == count);
    CHECK(*holder.Task<&user::Holder::SumOfKept>().Remote().Get(kPatience) == sum);
    holder.Kill();
  }
  CHECK(*rayx::Task<&user::Letters>().Remote("abc").Get(kPatience) == 3);
  CHECK(*rayx::Task<&user::Letters>().Remote(std::string(50'000, 'x')).Get(kPatience) == 50'000);
}

TEST_CASE("modes: Shutdown inside a task does nothing") {
  const Program program;
  INFO(program.mode());
  CHECK(*rayx::Task<&user::ShutdownInside>().Remote().Get(kPatience) == 7);
  CHECK(rayx::IsInitialized());
  CHECK(*rayx::Put(1).Get() == 1);
}

TEST_CASE("modes: a factory that throws or returns nothing is the ActorDied of each call") {
  const Program program;
  INFO(program.mode());
  const auto failed = rayx::Actor<&user::Shelf::Fail>().Remote("no disk");
  for (int i = 0; i < 2; ++i) {
    CHECK_THAT(CauseOf(failed),
               Catch::Contains("user::Shelf") && Catch::Contains("std::domain_error: no disk"));
  }
  const auto none = rayx::Actor<&user::Shelf::Nothing>().SetName("none").Remote();
  CHECK_THAT(CauseOf(none), Catch::Contains("\"none\"") && Catch::Contains("user::Shelf") &&
                                Catch::Contains("returned no object"));
  const auto argument = rayx::Task<&user::Fail>().Remote("no argument");
  const auto stillborn = rayx::Actor<&user::Shelf::Create>().Remote(argument);
  CHECK_THAT(CauseOf(stillborn), Catch::Contains("std::out_of_range: no argument"));
}

TEST_CASE("modes: arguments by value may add up to more than a frame holds") {
  const Program program;
  INFO(program.mode());
  const std::string page(90'000, 'x');
  const auto task = rayx::Task<&user::Total>();
  CHECK(*task.Remote(page, page, page, page, page, page, page, page).Get(kPatience) == 720'000);
  CHECK(*task.Remote(page, "a", page, "", page, page, page, page).Get(kPatience) == 540'001);
  const auto shelf = rayx::Actor<&user::Shelf::OfTwo>().Remote(page, page);
  CHECK(*shelf.Task<&user::Shelf::Size>().Remote().Get(kPatience) == 180'000);
}

int main(int argc, char** argv) {
  return rayx::testing::RunTests(argc, argv);
}
