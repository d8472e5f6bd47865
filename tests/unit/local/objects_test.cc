// Goal: objects of local mode live as long as they are referred to; Get, Wait and views keep their
// times. Method: the runtime's own count of objects beside the public API.
#include <catch2/catch.hpp>

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "client/local/local_objects.h"
#include "tests/unit/local/local_mode.h"

using rayx::testing::Gate;
using rayx::testing::LocalMode;

namespace {

Gate* the_gate = nullptr;

class Slow {
 public:
  static std::unique_ptr<Slow> Create() { return std::make_unique<Slow>(); }
  int Answer() {
    the_gate->Pass();
    return 42;
  }
};

struct Pixel {
  float red, green, blue;
};
std::size_t Count(const std::vector<rayx::ObjectRef<std::string>>& refs) {
  return refs.size();
}

}  // namespace

TEST_CASE(
    "Local objects: a Get that is late throws Timeout and names the object; a later one succeeds") {
  const LocalMode local;
  Gate gate;
  the_gate = &gate;
  const auto slow = rayx::Actor<&Slow::Create>().Remote();
  const auto answer = slow.Task<&Slow::Answer>().Remote();
  try {
    answer.Get(5);
    FAIL("nothing was thrown");
  } catch (const rayx::Timeout& error) {
    CHECK(error.message().find(answer.ID()) != std::string::npos);
    CHECK(error.message().find("Answer") != std::string::npos);
  }
  CHECK_THROWS_AS(rayx::Get(answer, 0), rayx::Timeout);
  CHECK_THROWS_AS(rayx::Get(std::vector<rayx::ObjectRef<int>>{rayx::Put(1), answer}, 1),
                  rayx::Timeout);
  gate.Open();
  CHECK(*answer.Get(60'000) == 42);
  CHECK(*answer.Get(0) == 42);
}

TEST_CASE("Local objects: Wait tells ready from unready, in order, and failed ones are ready") {
  const LocalMode local;
  Gate gate;
  the_gate = &gate;
  const auto slow = rayx::Actor<&Slow::Create>().Remote();
  const std::vector<rayx::ObjectRef<int>> refs{slow.Task<&Slow::Answer>().Remote(), rayx::Put(1),
                                               slow.Task<&Slow::Answer>().Remote(), rayx::Put(2)};
  const auto some = rayx::Wait(refs, 2, -1);
  CHECK(some.ready == std::list{refs[1], refs[3]});
  CHECK(some.unready == std::list{refs[0], refs[2]});
  CHECK(rayx::Wait(refs, 4, 1).ready.size() == 2);
  CHECK(rayx::Wait(refs, 0, -1).ready.empty());
  const auto one = rayx::Wait(refs, 1, -1);  // two are there
  CHECK(one.ready == std::list{refs[1]});
  CHECK(one.unready == std::list{refs[0], refs[2], refs[3]});
  CHECK(rayx::Wait(some.unready, 1, 0).ready.empty());
  gate.Open();
  CHECK(rayx::Wait(refs, 100, 60'000).unready.empty());
  CHECK(rayx::Wait(std::vector<rayx::ObjectRef<int>>(), 0, 0).ready.empty());
  slow.Kill();
  const std::vector<rayx::ObjectRef<int>> failed{slow.Task<&Slow::Answer>().Remote()};
  CHECK(rayx::Wait(failed, 1, 60'000).ready.size() == 1);
}

TEST_CASE("Local objects: Wait takes one after another out of many, wherever they are") {
  const LocalMode local;
  Gate gate;
  the_gate = &gate;
  const auto slow = rayx::Actor<&Slow::Create>().Remote();
  std::list<rayx::ObjectRef<int>> refs;
  for (int i = 0; i < 20; ++i) refs.push_back(slow.Task<&Slow::Answer>().Remote());  // in front
  for (int i = 0; i < 30; ++i) refs.push_back(rayx::Put(i));
  const std::list<rayx::ObjectRef<int>> before = refs;
  rayx::WaitResult<int> waited = rayx::Wait(std::move(refs), 1, -1);
  for (int i = 0; i < 30; ++i) {
    REQUIRE(waited.ready.size() == 1);
    CHECK(*waited.ready.front().Get() == i);
    CHECK(waited.unready.size() == static_cast<std::size_t>(49 - i));
    waited = rayx::Wait(std::move(waited.unready), 1, 0);
  }
  CHECK(waited.ready.empty());
  CHECK(waited.unready == std::list(before.begin(), std::next(before.begin(), 20)));
  gate.Open();
  while (!waited.unready.empty()) {
    waited = rayx::Wait(std::move(waited.unready), 1, 60'000);
    REQUIRE(waited.ready.size() == 1);
  }
  std::list<rayx::ObjectRef<int>> with_empty(before);
  with_empty.push_back({});
  CHECK_THROWS_AS(rayx::Wait(with_empty, 1, -1), rayx::InvalidOption);
  CHECK(with_empty.size() == 51);
  slow.Kill();
}

TEST_CASE("Local objects: references are values") {
  const LocalMode local;
  rayx::ObjectRef<int> empty;
  CHECK_FALSE(empty);
  CHECK(empty.ID().empty());
  CHECK_THROWS_AS(empty.Get(), rayx::InvalidOption);
  rayx::ObjectRef<int> first = rayx::Put(1);
  const rayx::ObjectRef<int> copy = first;
  CHECK(copy == first);
  rayx::ObjectRef<int> moved = std::move(first);
  CHECK(*moved.Get() == 1);
  first = rayx::Put(2);
  CHECK(first != moved);
  const std::unordered_set<rayx::ObjectRef<int>> set{first, moved, copy};
  CHECK(set.size() == 2);
  rayx::ObjectRef<int>& alias = moved;
  moved = alias;
  CHECK(*moved.Get() == 1);
}

TEST_CASE("Local objects: views read in place and keep the object") {
  const LocalMode local;
  rayx::ObjectRef<std::vector<double>> numbers = rayx::Put(std::vector<double>(10'000, 0.5));
  const rayx::View<std::vector<double>> view = rayx::GetView(numbers);
  const double* address = view.data();
  CHECK(rayx::GetView(numbers).data() == address);
  numbers = {};
  CHECK(view.size() == 10'000);
  CHECK(view[9'999] == 0.5);
  const std::span<const double> span = view;
  CHECK(span.data() == address);
  const auto small = rayx::GetView(rayx::Put(std::vector<double>{1, 2, 3}));
  CHECK(small[2] == 3);
  const auto text = rayx::GetView(rayx::Put(std::string(100'000, 't')));
  const std::string_view as_text = text;
  CHECK(as_text.size() == 100'000);
  const auto pixels = rayx::GetView(rayx::Put(std::vector<Pixel>(2000, Pixel{1, 2, 3})));
  CHECK(pixels[1999].blue == 3);
  CHECK(rayx::GetView(rayx::Put(std::string())).empty());
}

TEST_CASE("LocalObjects: an object goes with its last hold, and with it what its value refers to") {
  using rayx::client::EncodeForLocal;
  rayx::client::LocalObjects objects(1);
  const rayx::detail::Packed packed = rayx::detail::PackValue(5);
  const auto inner = objects.Create("inner", 0);
  objects.SetValue(inner, EncodeForLocal(packed), {});
  const auto outer = objects.Create("outer", 0);
  objects.SetValue(outer, EncodeForLocal(packed), {inner});
  objects.Release(inner);
  CHECK(objects.Count() == 2);
  objects.Retain(outer);
  objects.Release(outer);
  CHECK(objects.Count() == 2);
  objects.Release(outer);
  CHECK(objects.Count() == 0);
  rayx::detail::Fetched value;
  CHECK_THROWS_AS(objects.Get(&inner, 1, rayx::detail::kForever, &value, 0), rayx::ObjectLost);
  // Results of calls that nobody waits for any more are dropped.
  const auto dropped = objects.Create("dropped", 0);
  objects.Release(dropped);
  objects.SetValue(dropped, EncodeForLocal(packed), {});
  CHECK(objects.Count() == 0);
}

TEST_CASE("LocalObjects: an object resolves once") {
  rayx::client::LocalObjects objects(1);
  const auto ref = objects.Create("it", 0);
  rayx::detail::ErrorRecord error;
  error.code = rayx::ErrorCode::kActorDied;
  objects.SetError(ref, error);
  objects.SetValue(ref, rayx::client::EncodeForLocal(rayx::detail::PackValue(1)), {});
  rayx::detail::Fetched value;
  CHECK_THROWS_AS(objects.Get(&ref, 1, rayx::detail::kForever, &value, 0), rayx::ActorDied);
}

TEST_CASE("Local objects: thousands of references inside values are all given back") {
  const LocalMode local;
  std::vector<rayx::ObjectRef<std::string>> refs;
  for (int i = 0; i < 5'000; ++i) refs.push_back(rayx::Put(std::to_string(i)));
  const auto count = rayx::Task<&Count>().Remote(refs);
  const auto stored = rayx::Put(refs);
  refs.clear();
  CHECK(*count.Get() == 5'000);
  CHECK(*stored.Get()->at(4'999).Get() == "4999");
}
