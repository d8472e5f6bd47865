// Goal: RAYX_LAMBDA makes a lambda a remote function under a name of the program. Method: the
// public API in local mode; a second source file with a lambda of the same name.
#include <catch2/catch.hpp>

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>

#include "tests/unit/local/lambdas.h"
#include "tests/unit/local/local_mode.h"

using rayx::testing::LocalMode;

namespace app {

RAYX_LAMBDA(square, [](int x) { return x * x; });
RAYX_LAMBDA(count, [](const std::map<std::string, int>& words, std::unique_ptr<int> more) noexcept {
  return static_cast<int>(words.size()) + *more;
});
RAYX_LAMBDA(fails, [](int code) -> int { throw std::out_of_range(std::to_string(code)); });
RAYX_LAMBDA(nothing, [] {});
RAYX_LAMBDA(split, [](int x) mutable -> std::tuple<int, double> {
  x += 1;
  return {x, x / 2.0};
});

}  // namespace app

// The same name and signature in another namespace, and in another file.
RAYX_LAMBDA(square, [](int x) { return -x; });
namespace {
RAYX_LAMBDA(step, [](int x) { return x + 1; });
}  // namespace

TEST_CASE("Lambdas: called by their name, here and remotely") {
  const LocalMode local;
  CHECK(*rayx::Task(app::square).Remote(7).Get() == 49);
  CHECK(app::square(7) == 49);
  CHECK(*rayx::Task(app::square).SetName("s").SetMaxRetries(0).Remote(rayx::Put(5)).Get() == 25);
  CHECK(*rayx::Task(app::count)
             .Remote(std::map<std::string, int>{{"a", 1}}, std::make_unique<int>(4))
             .Get() == 5);
  rayx::Task(app::nothing).Remote().Get();
  CHECK_THROWS_AS(rayx::Task(app::fails).Remote(3).Get(), std::out_of_range);
  const auto [more, half] = rayx::Task(app::split).RemoteEach(4);
  CHECK(*more.Get() == 5);
  CHECK(*half.Get() == 2.5);
}

TEST_CASE("Lambdas: namespaces and files tell equal names apart, a header does not") {
  const LocalMode local;  // Init has found no collision
  CHECK(*rayx::Task(square).Remote(7).Get() == -7);
  CHECK(*rayx::Task(app::square).Remote(7).Get() == 49);
  CHECK(*rayx::Task(step).Remote(1).Get() == 2);
  CHECK(StepOfOtherFile(1) == 101);
  CHECK(*rayx::Task(lambdas::shout).Remote("a").Get() == "a!");
  CHECK(ShoutOfOtherFile("b") == "b!");
}

TEST_CASE("Lambdas: errors and lists name them as people do") {
  const LocalMode local;
  try {
    rayx::Task(app::fails).Remote(3).Get();
    FAIL("nothing was thrown");
  } catch (const rayx::TaskError& error) {
    CHECK_THAT(error.message(), Catch::Contains("int app::fails(int)"));
  }
}
