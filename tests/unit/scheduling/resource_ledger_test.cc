// Goal: what is available plus what is held is the total, after any history. Method: all sequences
// of 6 operations by two holders on a small node, checked after each step against a model that
// is recomputed from scratch.
#include "scheduling/resource_ledger.h"

#include <catch2/catch.hpp>
#include <vector>

namespace rayx::scheduling {
namespace {

using model::ResourceSet;

ResourceSet Make(int64_t cpu, int64_t gpu = 0) {
  ResourceSet set;
  set.Set(model::kCpu, cpu * model::kResourceUnit);
  set.Set(model::kGpu, gpu * model::kResourceUnit);
  return set;
}

// The same promises, written the slow way.
struct Model {
  bool held[2] = {};
  bool blocked[2] = {};
  const ResourceSet demand[2] = {Make(2, 1), Make(1)};

  ResourceSet Available() const {
    ResourceSet set = Make(2, 1);
    for (int i = 0; i < 2; ++i) {
      if (!held[i]) continue;
      set.Subtract(demand[i]);
      if (blocked[i]) set.Add(Make(demand[i].Get(model::kCpu) / model::kResourceUnit));
    }
    return set;
  }
};

void Step(ResourceLedger& ledger, Model& model, int operation) {
  const int who = operation % 2;
  const auto holder = static_cast<uint64_t>(who + 1);
  switch (operation / 2) {
    case 0: {
      const bool fits = model.held[who] || model.Available().Covers(model.demand[who]);
      REQUIRE(ledger.Acquire(holder, model.demand[who]) == fits);
      if (fits) model.held[who] = true;
      break;
    }
    case 1:
      ledger.Release(holder);
      model.held[who] = model.blocked[who] = false;
      break;
    case 2:
      REQUIRE(ledger.Block(holder) == (model.held[who] && !model.blocked[who]));
      model.blocked[who] = model.held[who];
      break;
    case 3:
      REQUIRE(ledger.Unblock(holder) == model.blocked[who]);
      model.blocked[who] = false;
      break;
  }
  ledger.CheckInvariants();
  REQUIRE(ledger.available() == model.Available());
}

}  // namespace

TEST_CASE("ResourceLedger: sums hold in every sequence of six operations") {
  constexpr int kLength = 6;
  int total = 1;
  for (int i = 0; i < kLength; ++i) total *= 8;
  for (int code = 0; code < total; ++code) {
    ResourceLedger ledger(Make(2, 1));
    Model model;
    for (int rest = code, i = 0; i < kLength; ++i, rest /= 8) Step(ledger, model, rest % 8);
    ledger.Release(1);
    ledger.Release(2);
    REQUIRE(ledger.available() == ledger.total());
    REQUIRE(ledger.holders() == 0);
  }
}

TEST_CASE("ResourceLedger: an unblocked holder oversubscribes CPU alone, until another ends") {
  ResourceLedger ledger(Make(1, 1));
  REQUIRE(ledger.Acquire(1, Make(1, 1)));
  REQUIRE(ledger.Block(1));
  CHECK_FALSE(ledger.Acquire(2, Make(1, 1)));  // the GPU stays with the blocked holder
  REQUIRE(ledger.Acquire(2, Make(1)));
  REQUIRE(ledger.Unblock(1));
  CHECK(ledger.available().Get(model::kCpu) == -model::kResourceUnit);
  CHECK_FALSE(ledger.Acquire(3, Make(1)));
  ledger.Release(2);
  CHECK(ledger.available().Get(model::kCpu) == 0);
  ledger.CheckInvariants();
}

}  // namespace rayx::scheduling
