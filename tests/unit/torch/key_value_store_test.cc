// Goal: KeyValueStore behaves as c10d's own stores do.      Method: local mode.
#include "tests/unit/torch/torch_catch.h"

#include <thread>

#include "rayx/rayx.h"
#include "torch/key_value_store.h"

namespace rayx::torch {
namespace {

using std::chrono::milliseconds;
using Bytes = std::vector<std::uint8_t>;

class Fixture {
 public:
  Fixture() {
    Options options;
    options.local_mode = true;
    Init(options);
    store = c10::make_intrusive<KeyValueStore>("t/", milliseconds(100));
  }
  ~Fixture() { Shutdown(); }
  c10::intrusive_ptr<KeyValueStore> store;
};

TEST_CASE("KeyValueStore: set, get, check, delete") {
  const Fixture f;
  const Bytes binary{0, 255, 10, 0};
  f.store->set("a", binary);
  CHECK(f.store->get("a") == binary);
  CHECK(f.store->check({"a"}));
  CHECK_FALSE(f.store->check({"a", "b"}));
  CHECK(f.store->getNumKeys() == 1);
  CHECK(KeyValue::Get("t/a").has_value());
  CHECK(f.store->deleteKey("a"));
  CHECK_FALSE(f.store->deleteKey("a"));
}

TEST_CASE("KeyValueStore: add counts, and get reads the number as text") {
  const Fixture f;
  CHECK(f.store->add("n", 5) == 5);
  CHECK(f.store->add("n", -7) == -2);
  CHECK(f.store->get_to_str("n") == "-2");
}

TEST_CASE("KeyValueStore: compareSet as TCPStore does it") {
  const Fixture f;
  c10d::Store& store = *f.store;
  CHECK(store.compareSet("k", "wrong", "new") == "wrong");
  CHECK_FALSE(store.check({"k"}));
  CHECK(store.compareSet("k", "", "first") == "first");
  CHECK(store.compareSet("k", "wrong", "new") == "first");
  CHECK(store.compareSet("k", "first", "second") == "second");
  CHECK(store.get_to_str("k") == "second");
}

TEST_CASE("KeyValueStore: of many compareSets at once exactly one wins each round") {
  const Fixture f;
  c10d::Store& store = *f.store;
  f.store->setTimeout(std::chrono::seconds(30));
  constexpr int kRounds = 200;
  std::atomic<int> wins{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < kRounds; ++round) {
        const std::string mine = std::to_string(t) + "," + std::to_string(round);
        const std::string key = "round/" + std::to_string(round);
        if (store.compareSet(key, "", mine) == mine) ++wins;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wins == kRounds);
}

TEST_CASE("KeyValueStore: a wait ends with the key, or with an error that names the missing ones") {
  const Fixture f;
  CHECK_THROWS_WITH(f.store->get("absent"), Catch::Contains("not set within 100 ms: t/absent"));
  f.store->set("there", Bytes{1});
  CHECK_THROWS_WITH(f.store->wait({"there", "gone"}, milliseconds(10)),
                    Catch::Contains(": t/gone"));
  std::thread setter([&] { f.store->set("late", Bytes{2}); });
  f.store->wait({"there", "late"}, milliseconds(30000));
  setter.join();
  f.store->wait({"late"}, c10d::Store::kNoTimeout);
}

TEST_CASE("KeyValueStore: Forget removes its own keys and no others") {
  const Fixture f;
  const auto other = f.store->clone();
  f.store->set("mine", Bytes{1});
  f.store->add("counter", 1);
  other->set("theirs", Bytes{1});
  f.store->Forget();
  CHECK_FALSE(f.store->check({"mine"}));
  CHECK_FALSE(f.store->check({"counter"}));
  CHECK(f.store->check({"theirs"}));
}

}  // namespace
}  // namespace rayx::torch
