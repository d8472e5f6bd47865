// Goal: RemoteEach gives a reference to each part of a result, which is an object like any other.
// Method: small programs against the public API, in local mode.
#include <catch2/catch.hpp>

#include <array>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/unit/local/local_mode.h"

using rayx::ObjectRef;
using rayx::testing::LocalMode;

namespace parts {

std::tuple<int, std::string, std::vector<double>> Three(int x) {
  return {x, std::string(200'000, 'x'), {1.5, 2.5}};
}
std::pair<int, ObjectRef<int>> WithRef(int x) {
  return {x, rayx::Put(x + 1)};
}
std::array<float, 2> Halves(float x) {
  return {x / 2, x / 2};
}
std::tuple<int> Only(int x) {
  return {x};
}
std::vector<std::string> Words(int count) {
  std::vector<std::string> words;
  for (int i = 0; i < count; ++i) words.push_back("word" + std::to_string(i));
  return words;
}
std::vector<bool> Bits(const std::vector<bool>& bits) {
  return bits;
}
std::pair<int, int> Fails(int x) {
  throw std::out_of_range("index " + std::to_string(x));
}
int Plain(int x) {
  return x;
}
int Add(int a, int b) {
  return a + b;
}

// Its second field cannot be packed when it says so.
struct Picky {
  bool refuses = false;
};

class Counter {
 public:
  static Counter* Create(int start) { return new Counter{start}; }
  std::pair<int, int> Split(int at) const { return {value_ - at, at}; }
  std::vector<int> UpTo(int count) {
    std::vector<int> numbers;
    for (int i = 0; i < count; ++i) numbers.push_back(value_++);
    return numbers;
  }
  explicit Counter(int start) : value_(start) {}

 private:
  int value_;
};

}  // namespace parts

using namespace parts;  // NOLINT: as a program has its names

template <>
struct rayx::Serializer<Picky> {
  static void Pack(Packer& packer, const Picky& value) {
    if (value.refuses) throw std::domain_error("not this one");
    packer.Bool(value.refuses);
  }
  static Picky Unpack(Unpacker& unpacker) { return Picky{unpacker.Bool()}; }
};

namespace parts {
std::vector<Picky> Pickies() {
  return {Picky{false}, Picky{true}};
}
}  // namespace parts

RAYX_REMOTE(Three, Words, &Counter::Split);

TEST_CASE("RemoteEach: tuples, pairs and arrays give a reference to each element") {
  const LocalMode local;
  const auto [number, text, values] = rayx::Task<&Three>().RemoteEach(7);
  static_assert(std::is_same_v<decltype(text), const ObjectRef<std::string>>);
  CHECK(*number.Get() == 7);
  CHECK(text.Get()->size() == 200'000);
  CHECK(*values.Get() == std::vector<double>{1.5, 2.5});
  CHECK(*rayx::Task<&Add>().Remote(number, 1).Get() == 8);  // an argument like any other
  const std::pair<ObjectRef<int>, ObjectRef<ObjectRef<int>>> pair =
      rayx::Task<&WithRef>().RemoteEach(3);
  CHECK(*pair.first.Get() == 3);
  CHECK(*pair.second.Get()->Get() == 4);
  const std::array<ObjectRef<float>, 2> halves = rayx::Task<&Halves>().RemoteEach(3.0F);
  CHECK(*halves[1].Get() == 1.5F);
  const std::tuple<ObjectRef<int>> one = rayx::Task<&Only>().RemoteEach(5);
  CHECK(*std::get<0>(one).Get() == 5);
  CHECK(std::get<0>(*rayx::Task<&Only>().Remote(5).Get()) == 5);
}

TEST_CASE("RemoteEach: a vector has as many parts as SetNumReturns says") {
  const LocalMode local;
  for (const int count : {1, 2, 5, 300}) {
    const std::vector<ObjectRef<std::string>> words =
        rayx::Task(Words).SetNumReturns(count).RemoteEach(count);
    REQUIRE(words.size() == static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      CHECK(*words[static_cast<std::size_t>(i)].Get() == "word" + std::to_string(i));
    }
  }
  const auto bits = rayx::Task<&Bits>().SetNumReturns(2).RemoteEach(std::vector<bool>{true, false});
  CHECK(*bits[0].Get());
  CHECK_FALSE(*bits[1].Get());
  CHECK(rayx::Task(Words).Remote(3).Get()->size() == 3);  // the whole, as ever
}

TEST_CASE(
    "RemoteEach: another number than SetNumReturns said is InvalidOption at every reference") {
  const LocalMode local;
  for (const int given : {0, 1, 3}) {
    for (const auto& ref : rayx::Task(Words).SetNumReturns(2).RemoteEach(given)) {
      try {
        ref.Get();
        FAIL("nothing was thrown");
      } catch (const rayx::InvalidOption& error) {
        CHECK_THAT(error.message(), Catch::Contains("asked for 2 parts") &&
                                        Catch::Contains("has " + std::to_string(given)));
      }
    }
  }
}

TEST_CASE("RemoteEach: what the function throws is thrown at each reference") {
  const LocalMode local;
  const auto [first, second] = rayx::Task<&Fails>().RemoteEach(9);
  CHECK_THROWS_AS(first.Get(), std::out_of_range);
  CHECK_THROWS_AS(second.Get(), rayx::TaskError);
  CHECK_THROWS_WITH(rayx::Task<&Add>().Remote(first, 1).Get(), Catch::Contains("index 9"));
  for (const auto& ref : rayx::Task<&Pickies>().SetNumReturns(2).RemoteEach()) {
    CHECK_THROWS_AS(ref.Get(), std::domain_error);  // the first, too: all or nothing
  }
}

TEST_CASE("RemoteEach: of an actor's methods") {
  const LocalMode local;
  const auto counter = rayx::Actor<&Counter::Create>().Remote(10);
  const auto [rest, taken] = counter.Task(&Counter::Split).RemoteEach(3);
  CHECK(*rest.Get() == 7);
  CHECK(*taken.Get() == 3);
  const auto numbers = counter.Task<&Counter::UpTo>().SetNumReturns(3).RemoteEach(3);
  CHECK(*numbers[2].Get() == 12);
  counter.Kill();
  const auto dead = counter.Task<&Counter::UpTo>().SetNumReturns(2).RemoteEach(2);
  CHECK_THROWS_AS(dead[0].Get(), rayx::ActorDied);
  CHECK_THROWS_AS(dead[1].Get(), rayx::ActorDied);
}

TEST_CASE("RemoteEach: wrong numbers of parts are refused where they are said") {
  const LocalMode local;
  CHECK_THROWS_AS(rayx::Task(Words).SetNumReturns(0), rayx::InvalidOption);
  CHECK_THROWS_AS(rayx::Task(Words).SetNumReturns(-1), rayx::InvalidOption);
  CHECK_THROWS_AS(rayx::Task(Words).SetNumReturns(4097), rayx::InvalidOption);
  CHECK_NOTHROW(rayx::Task(Words).SetNumReturns(4096));
  CHECK_THROWS_WITH(rayx::Task(Words).RemoteEach(2), Catch::Contains("SetNumReturns(n)"));
  CHECK_THROWS_WITH(rayx::Task(Three).SetNumReturns(2).RemoteEach(2),
                    Catch::Contains("SetNumReturns(2)") && Catch::Contains("3"));
  CHECK_NOTHROW(rayx::Task(Three).SetNumReturns(3).RemoteEach(2));
  CHECK_THROWS_WITH(rayx::Task(Words).SetNumReturns(2).Remote(2), Catch::Contains("RemoteEach"));
  CHECK_THROWS_AS(rayx::Task<&Plain>().SetNumReturns(1).Remote(2), rayx::InvalidOption);
}
