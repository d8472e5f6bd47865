// Goal: a program in Ray's C++ API does here what it does there. Method: it is written as Ray's
// documentation writes one, with <ray/api.h> alone, and runs in local mode and on a cluster of its
// own.
#include <ray/api.h>

#include <catch2/catch.hpp>
#include <condition_variable>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <type_traits>

#include "tests/compat/counter.h"

namespace app {

int Plus(int x, int y) {
  return x + y;
}
int Overloaded() {
  return 1;
}
int Overloaded(int x) {
  return x + 1;
}
int Overloaded(int x, int y) {
  return x + y;
}
int Twice(int x) noexcept {
  return 2 * x;
}
void Nothing() {}
int Fail(std::string what) {
  throw std::invalid_argument(what);
}
int Die(int status) {
  std::_Exit(status);
}
int NotRemote(int x) {
  return x;
}
std::string Text(ray::ObjectRef<std::string> ref) {
  return *ref.Get();
}
std::vector<std::shared_ptr<int>> All(int, std::vector<ray::ObjectRef<int>> refs) {
  return ray::Get(refs);
}

enum class Colour { kRed = 1, kGreen = 2 };
struct Person {
  std::string name;
  int age = 0;
  Colour colour = Colour::kRed;
  std::map<std::string, std::vector<double>> marks;
  MSGPACK_DEFINE(name, age, colour, marks);
};
std::shared_ptr<Person> Older(const Person& person) {
  auto older = std::make_shared<Person>(person);
  ++older->age;
  return older;
}

// Several calls at once.
class Door {
 public:
  static Door* Create() { return new Door; }
  bool Pass() {
    std::unique_lock<std::mutex> lock(mutex_);
    opened_.wait(lock, [this] { return open_; });
    return true;
  }
  void Open() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      open_ = true;
    }
    opened_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
};

struct Shape {
  virtual ~Shape() = default;
  virtual int Corners() { return 0; }
};
struct Square : Shape {
  static Square* Create() { return new Square; }
  int Corners() override { return 4; }
};

RAY_REMOTE(Plus, RAY_FUNC(Overloaded), RAY_FUNC(Overloaded, int), RAY_FUNC(Overloaded, int, int));
RAY_REMOTE(Twice, &Nothing, Fail, Die, Text, All, Older)  // Ray asks for no semicolon
RAY_REMOTE(Door::Create, &Door::Pass, &Door::Open);
RAY_REMOTE(Square::Create, &Shape::Corners);

}  // namespace app

MSGPACK_ADD_ENUM(app::Colour);

using app::Counter;
using app::kPatience;

namespace {

// Each case runs once in either mode.
class Program {
 public:
  Program() : mode_(GENERATE(std::string("local"), std::string("embedded"))) {
    ray::RayConfig config = app::ConfigOf(mode_);
    ray::Init(config);
  }
  ~Program() { ray::Shutdown(); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  const std::string& mode() const { return mode_; }

 private:
  std::string mode_;
};

}  // namespace

TEST_CASE("Ray's API: Put, Get in its forms, Wait") {
  const Program program;
  INFO(program.mode());
  CHECK(ray::IsInitialized());
  const ray::ObjectRef<int> one = ray::Put(1);
  const ray::ObjectRef<int> two = ray::Put(2);
  CHECK(*one.Get() == 1);
  CHECK(*one.Get(kPatience) == 1);
  CHECK(*ray::Get(one) == 1);
  CHECK(*ray::Get(two, kPatience) == 2);
  CHECK_FALSE(one.ID().empty());
  CHECK_FALSE(one == two);
  const std::vector<ray::ObjectRef<int>> refs{one, two};
  const std::vector<std::shared_ptr<int>> values = ray::Get(refs);
  REQUIRE(values.size() == 2);
  CHECK(*values[0] + *values[1] == 3);
  CHECK(*ray::Get<int>(refs, kPatience)[1] == 2);

  const auto door = ray::Actor(app::Door::Create).SetMaxConcurrency(2).Remote();
  const auto passed = door.Task(&app::Door::Pass).Remote();
  const std::vector<ray::ObjectRef<bool>> waiting{passed, ray::Put(true)};
  const ray::WaitResult<bool> some = ray::Wait(waiting, 1, kPatience);
  REQUIRE(some.ready.size() == 1);
  CHECK(some.ready.front() == waiting[1]);
  REQUIRE(some.unready.size() == 1);
  CHECK(some.unready.front() == passed);
  CHECK(ray::Wait(waiting, 2, 1).unready.size() == 1);
  CHECK_THROWS_AS(passed.Get(1), ray::internal::RayTimeoutException);
  CHECK_THROWS_AS(ray::Get(waiting, 1), ray::internal::RayException);
  door.Task(&app::Door::Open).Remote().Get();
  CHECK(ray::Wait(waiting, 2, kPatience).ready.size() == 2);
  CHECK(*ray::Get(passed));
}

TEST_CASE("Ray's API: tasks, overloads, references as arguments, options") {
  const Program program;
  INFO(program.mode());
  const ray::ObjectRef<int> sum = ray::Task(app::Plus).Remote(1, 2);
  CHECK(*ray::Get(sum) == 3);
  CHECK(*ray::Task(app::Plus).Remote(sum, ray::Put(4)).Get() == 7);
  CHECK(*ray::Task(RAY_FUNC(app::Overloaded)).Remote().Get() == 1);
  CHECK(*ray::Task(RAY_FUNC(app::Overloaded, int)).Remote(sum).Get() == 4);
  CHECK(*ray::Task(RAY_FUNC(app::Overloaded, int, int)).Remote(2, 2).Get() == 4);
  CHECK(*ray::Task(app::Twice).Remote(21).Get() == 42);
  const ray::ObjectRef<void> nothing = ray::Task(app::Nothing).Remote();
  nothing.Get();
  ray::Get(nothing);
  const std::unordered_map<std::string, double> resources{{"CPU", 1.0}};
  auto named = ray::Task(app::Plus).SetName("plus").SetResources(resources);
  CHECK(*named.Remote(1, 1).Get() == 2);
  CHECK(*named.SetResource("CPU", 0.5).Remote(2, 2).Get() == 4);
  CHECK(*ray::Task(app::Text).Remote(ray::Put(std::string("text"))).Get() == "text");
  const std::vector<ray::ObjectRef<int>> refs{sum, ray::Put(5)};
  const auto all = ray::Task(app::All).Remote(0, refs).Get();
  REQUIRE(all->size() == 2);
  CHECK(*all->at(0) + *all->at(1) == 8);
}

TEST_CASE("Ray's API: classes with MSGPACK_DEFINE travel; a task may return an owning pointer") {
  const Program program;
  INFO(program.mode());
  app::Person person;
  person.name = "Tom";
  person.age = 20;
  person.colour = app::Colour::kGreen;
  person.marks["physics"] = {1.5, 2.5};
  const std::shared_ptr<app::Person> older = *ray::Task(app::Older).Remote(person).Get();
  CHECK(older->name == "Tom");
  CHECK(older->age == 21);
  CHECK(older->colour == app::Colour::kGreen);
  CHECK(older->marks == person.marks);
  CHECK(ray::Get(ray::Put(person))->marks.at("physics").size() == 2);
}

TEST_CASE("Ray's API: an unqualified call is not ambiguous with RayX's own") {
  const Program program;
  INFO(program.mode());
  using namespace ray;  // NOLINT
  const ObjectRef<std::string> text = Put(std::string("of a reference"));
  CHECK(*Get(Task(app::Text).Remote(text)) == "of a reference");
  ActorHandle<Counter> counter = Actor(RAY_FUNC(Counter::FactoryCreate, int)).Remote(1);
  CHECK(*Get(counter.Task(&Counter::AddElsewhere)
                 .Remote(counter.Task(&Counter::MakeChild).Remote(std::string("child")), 1)) ==
        101);
  CHECK(Wait(std::vector<ObjectRef<std::string>>{text}, 1, kPatience).ready.size() == 1);
}

TEST_CASE("Ray's API: actors, names, namespaces, handles that travel") {
  const Program program;
  INFO(program.mode());
  ray::ActorHandle<Counter> counter = ray::Actor(RAY_FUNC(Counter::FactoryCreate, int))
                                          .SetName("counter")
                                          .SetResource("CPU", 0.5)
                                          .SetMaxRestarts(1)
                                          .Remote(10);
  CHECK(*counter.Task(&Counter::Add).Remote(1).Get() == 11);
  CHECK(*counter.Task(&Counter::Add).SetName("add").Remote(ray::Put(1)).Get() == 12);
  CHECK_FALSE(counter.ID().empty());

  ray::internal::Optional<ray::ActorHandle<Counter>> found;
  found = ray::GetActor<Counter>("counter");
  REQUIRE(bool(found));
  CHECK(*(*found).Task(&Counter::Get).Remote().Get() == 12);
  CHECK_FALSE(bool(ray::GetActor<Counter>("nobody")));
  CHECK_FALSE(bool(ray::GetActor<Counter>("")));
  CHECK_FALSE(bool(ray::GetActor<Counter>("counter", "elsewhere")));

  const std::unordered_map<std::string, double> none{{"CPU", 0.25}};
  const auto far = ray::Actor(RAY_FUNC(Counter::FactoryCreate))
                       .SetName("counter", "elsewhere")
                       .SetResources(none)
                       .Remote();
  CHECK(*far.Task(&Counter::AddElsewhere).Remote(counter, 8).Get() == 20);
  CHECK(*ray::GetActor<Counter>("counter", "elsewhere")->Task(&Counter::Get).Remote().Get() == 0);

  const auto child = *counter.Task(&Counter::MakeChild).Remote(std::string("child")).Get();
  CHECK(*child.Task(&Counter::Add).Remote(1).Get() == 101);
  CHECK(*ray::GetActor<Counter>("child")->Task(&Counter::Get).Remote().Get() == 101);
  const auto square = ray::Actor(app::Square::Create).Remote();
  CHECK(*square.Task(&app::Shape::Corners).Remote().Get() == 4);
}

TEST_CASE("Ray's API: an actor is killed, restarted, and leaves by itself") {
  const Program program;
  INFO(program.mode());
  auto counter = ray::Actor(RAY_FUNC(Counter::FactoryCreate, int))
                     .SetName("counter")
                     .SetMaxRestarts(1)
                     .Remote(10);
  CHECK(*counter.Task(&Counter::Add).Remote(5).Get() == 15);
  CHECK_FALSE(*counter.Task(&Counter::WasRestarted).Remote().Get());
  counter.Kill(false);
  // The calls that the old one has been sent are lost with it.
  int again = 0;
  while (again == 0) {
    try {
      again = *counter.Task(&Counter::Add).Remote(1).Get(kPatience);
    } catch (const ray::internal::RayActorException&) {
    }
  }
  CHECK(again == 11);
  CHECK(*counter.Task(&Counter::WasRestarted).Remote().Get());
  counter.Kill();
  CHECK_THROWS_AS(counter.Task(&Counter::Get).Remote().Get(kPatience),
                  ray::internal::RayActorException);
  CHECK_FALSE(bool(ray::GetActor<Counter>("counter")));

  auto leaving = ray::Actor(RAY_FUNC(Counter::FactoryCreate)).Remote();
  leaving.Task(&Counter::Exit).Remote().Get(kPatience);
  CHECK_THROWS_AS(leaving.Task(&Counter::Get).Remote().Get(kPatience),
                  ray::internal::RayActorException);
}

TEST_CASE("Ray's API: what is thrown is caught by Ray's names") {
  const Program program;
  INFO(program.mode());
  using namespace ray::internal;  // NOLINT
  const auto failed = ray::Task(app::Fail).Remote(std::string("why not"));
  CHECK_THROWS_AS(failed.Get(), RayTaskException);
  CHECK_THROWS_AS(ray::Get(failed), RayException);
  CHECK_THROWS_AS(ray::Get(std::vector<ray::ObjectRef<int>>{failed}), std::exception);
  CHECK_THROWS_AS(failed.Get(), std::invalid_argument);  // beyond Ray: its own type
  const auto log = [](const std::exception& error) { return std::string(error.what()); };
  try {
    ray::Get(failed);
    FAIL("nothing was thrown");
  } catch (RayTaskException& e) {
    CHECK(std::string(e.what()) == "why not");
    const RayException& base = e;
    CHECK(log(base) == "why not");
  }
  auto counter = ray::Actor(RAY_FUNC(Counter::FactoryCreate)).Remote();
  CHECK_THROWS_AS(counter.Task(&Counter::Throw).Remote().Get(), RayTaskException);
  const auto stillborn = ray::Actor(Counter::FactoryCreateException).Remote();
  CHECK_THROWS_AS(stillborn.Task(&Counter::Get).Remote().Get(kPatience), RayActorException);
  CHECK_THROWS_AS(ray::Task(app::NotRemote), RayFunctionNotFound);
  if (program.mode() == "embedded") {
    CHECK_THROWS_AS(ray::Task(app::Die).Remote(3).Get(kPatience), RayWorkerException);
  }
  static_assert(std::is_base_of_v<UnreconstructableException, rayx::OwnerDied>);
  static_assert(std::is_base_of_v<RayException, UnreconstructableException>);
  ray::Shutdown();
  CHECK_FALSE(ray::IsInitialized());
  CHECK_THROWS_AS(ray::Put(1), RayException);
}

TEST_CASE("Ray's API: RAYLOG writes a line from its level on") {
  std::ostringstream said;
  std::streambuf* const before = std::cerr.rdbuf(said.rdbuf());
  const bool quiet = true;
  if (quiet)
    RAYLOG(INFO) << "seven is " << 7;
  else
    RAYLOG(ERROR) << "never";
  RAYLOG(DEBUG) << "hidden";
  std::cerr.rdbuf(before);
  CHECK_THAT(said.str(), Catch::Contains("api_test.cc") && Catch::EndsWith(": seven is 7\n") &&
                             Catch::StartsWith("INFO "));
  CHECK_THAT(said.str(), !Catch::Contains("hidden"));
}
