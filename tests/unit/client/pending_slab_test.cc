// Goal: slots of single entries and of runs serve again, and an id finds its own entry only.
// Method: a model that remembers what is live, driven by a seeded sequence; and the table's end.
#include "client/core/pending_slab.h"

#include <catch2/catch.hpp>
#include <set>
#include <vector>

#include "base/prng.h"

namespace rayx::client {
namespace {

const model::ProcessId kSelf = model::ProcessId::Make(model::NodeNumber{1}, 1);

}  // namespace

TEST_CASE("PendingSlab: the entries of a run come back together") {
  PendingSlab slab(kSelf);
  const uint32_t run = slab.Allocate(3);
  const model::ObjectId first = slab.At(run).id;
  CHECK(slab.At(run + 2).id.sequence == first.sequence + 2);
  CHECK(slab.At(run + 1).run == run);
  slab.Free(run + 1);
  CHECK(slab.FindOwn({kSelf, first.sequence + 1}) == kNoSlot);
  CHECK(slab.FindOwn(first) == run);
  CHECK(slab.Allocate(3) == run + 3);
  slab.Free(run);
  slab.Free(run + 2);
  CHECK(slab.Allocate(1) == run + 6);  // not out of the free run
  CHECK(slab.Allocate(3) == run);
  CHECK(slab.FindOwn(first) == kNoSlot);
  CHECK(slab.live() == 7);
}

TEST_CASE("PendingSlab: thousands of calls with several results take no more than what lives") {
  PendingSlab slab(kSelf);
  base::RandomStream random(7, 0, 0);
  std::set<uint32_t> live;
  std::vector<uint32_t> slots;
  for (int step = 0; step < 200'000; ++step) {
    if (slots.size() < 64 || random.NextBelow(2) == 0) {
      const auto count = static_cast<uint32_t>(random.NextBelow(8) + 1);
      if (slots.size() + count > 256) continue;
      const uint32_t first = slab.Allocate(count);
      REQUIRE(first != kNoSlot);
      for (uint32_t i = 0; i < count; ++i) {
        REQUIRE(live.insert(first + i).second);
        slots.push_back(first + i);
      }
    } else {
      const size_t at = random.NextBelow(slots.size());
      const uint32_t slot = slots[at];
      REQUIRE(slab.FindOwn(slab.At(slot).id) == slot);
      slab.Free(slot);
      live.erase(slot);
      slots[at] = slots.back();
      slots.pop_back();
    }
  }
  CHECK(slab.live() == slots.size());
  CHECK(slab.used() < 64 * 1024);
}

TEST_CASE("PendingSlab: a full table gives free runs to whoever asks for less, else nothing") {
  PendingSlab slab(kSelf, /*slots_max=*/100);
  const uint32_t run = slab.Allocate(8);
  const uint32_t rest = slab.Allocate(92);
  REQUIRE(rest == run + 8);
  CHECK(slab.Allocate(1) == kNoSlot);
  CHECK(slab.Allocate(2) == kNoSlot);
  for (uint32_t i = 0; i < 8; ++i) slab.Free(run + i);
  CHECK(slab.Allocate(3) == run);
  for (int i = 0; i < 5; ++i) {
    const uint32_t slot = slab.Allocate(1);
    CHECK((slot >= run + 3 && slot < run + 8));
  }
  CHECK(slab.Allocate(1) == kNoSlot);
  CHECK(slab.live() == 100);
}

TEST_CASE("PendingSlab: a record that was given back serves again, as new") {
  PendingSlab slab(kSelf);
  const uint32_t slot = slab.Allocate(1);
  TaskPtr record = slab.NewTask();
  const TaskRecord* const place = record.get();
  record->attempt = 7;
  record->Extras().name = "once";
  const std::vector<std::byte> body(1000, std::byte{3});
  record->body.Assign(body);
  slab.SetTask(slot, std::move(record));
  CHECK(slab.At(slot).task == place);
  CHECK(slab.TakeTask(slot)->body.bytes().back() == std::byte{3});
  CHECK(slab.At(slot).task == nullptr);
  record = slab.NewTask();
  CHECK(record.get() == place);
  CHECK(record->attempt == 1);
  CHECK(record->name().empty());
  CHECK(record->body.size() == 0);
  std::vector<TaskPtr> many;
  for (int i = 0; i < 3000; ++i) many.push_back(slab.NewTask());
  many.front()->attempt = 9;
  CHECK(many.back()->attempt == 1);
}

TEST_CASE("CallBody: holds what it was given last, short or long") {
  CallBody body;
  for (const size_t bytes : {0, 36, 37, 36, 5000, 0, 1}) {
    const std::vector<std::byte> given(bytes, static_cast<std::byte>(bytes));
    body.Assign(given);
    CHECK(std::vector<std::byte>(body.bytes().begin(), body.bytes().end()) == given);
  }
  for (const size_t bytes : {36, 37, 1}) {  // and what it took over
    CallBody other;
    std::fill_n(other.Resize(bytes), bytes, std::byte{3});
    body = std::move(other);
    CHECK(body.size() == bytes);
    CHECK(body.bytes().back() == std::byte{3});
  }
}

}  // namespace rayx::client
