// Goal: entries go through their states under the right generation only, pins keep extents, a
// ledger ends as a whole, nonsense indices answer instead of crash. Method: two openings of one
// area.
#include "shm/extent_table.h"

#include <catch2/catch.hpp>
#include <thread>

namespace rayx::shm {
namespace {

model::ProcessId Process(uint32_t number) {
  return model::ProcessId::Make(model::NodeNumber{1}, number);
}

struct Store {
  explicit Store(ControlOptions options = {16, 3})
      : fd(*ControlArea::CreateMemory(options)),
        daemon_area(*ControlArea::Open(fd.get())),
        area(*ControlArea::Open(fd.get())),
        granter(daemon_area) {}

  std::unique_ptr<PinLedger> Ledger(uint32_t process) {
    return *PinLedger::Open(area, Process(process), *granter.AssignLedger(Process(process)));
  }
  // Entry 3 sealed; its generation.
  uint32_t Sealed() {
    const uint32_t generation = *granter.Grant(3, {Process(1), 42}, 8192, 100);
    CHECK(area->Seal(3, generation).ok());
    return generation;
  }

  base::UniqueFd fd;
  std::shared_ptr<ControlArea> daemon_area;
  std::shared_ptr<ControlArea> area;
  ExtentGranter granter;
};

}  // namespace

TEST_CASE("ControlArea: grant, seal, free, reuse: each only under the current generation") {
  Store store;
  const auto generation = store.granter.Grant(3, {Process(1), 42}, 8192, 100);
  REQUIRE(generation.ok());
  Extent extent = *store.area->Read(3);
  CHECK(extent.state == ExtentState::kWriting);
  CHECK(extent.object == model::ObjectId{Process(1), 42});
  CHECK(extent.offset == 8192);
  CHECK(extent.size == 100);
  CHECK(extent.generation == *generation);
  CHECK_FALSE(store.area->Free(3, *generation));
  CHECK(store.area->Seal(3, *generation + 1).code() == base::StatusCode::kFailedPrecondition);
  REQUIRE(store.area->Seal(3, *generation).ok());
  CHECK_FALSE(store.area->Seal(3, *generation).ok());
  CHECK_FALSE(store.area->Free(3, *generation - 1));
  CHECK(store.area->Free(3, *generation));
  CHECK_FALSE(store.area->Free(3, *generation));
  CHECK(store.area->Read(3)->state == ExtentState::kFreed);
  CHECK(*store.granter.Grant(3, {Process(2), 1}, 0, 1) == *generation + 1);
  CHECK_FALSE(store.area->Seal(3, *generation).ok());
  CHECK(store.granter.GenerationOf(3) == *generation + 1);
}

TEST_CASE(
    "ControlArea: a writer that died leaves an entry that is discarded, a sealed one is not") {
  Store store;
  const uint32_t generation = *store.granter.Grant(3, {Process(1), 42}, 0, 1);
  CHECK(store.granter.Discard(3, generation));
  CHECK(store.area->Read(3)->state == ExtentState::kFreed);
  const uint32_t sealed = store.Sealed();
  CHECK_FALSE(store.granter.Discard(3, sealed));
  store.granter.ForceFreed(3);
  CHECK(store.area->Read(3)->state == ExtentState::kFreed);
}

TEST_CASE("PinLedger: a pin keeps the extent until it ends; freed or reused extents pin nothing") {
  Store store;
  auto ledger = store.Ledger(5);
  const uint32_t generation = store.Sealed();
  const auto pin = ledger->TryPin(3, generation);
  REQUIRE(pin.result == PinResult::kPinned);
  const auto again = ledger->TryPin(3, generation);
  REQUIRE(again.result == PinResult::kPinned);
  CHECK(ledger->pins() == 2);
  CHECK(store.granter.IsPinned(3, generation));
  CHECK_FALSE(store.granter.IsPinned(3, generation + 1));
  CHECK_FALSE(store.granter.IsPinned(2, generation));
  REQUIRE(store.area->Free(3, generation));
  CHECK(ledger->TryPin(3, generation).result == PinResult::kGone);
  ledger->Unpin(pin.slot);
  CHECK(store.granter.IsPinned(3, generation));
  ledger->Unpin(again.slot);
  CHECK_FALSE(store.granter.IsPinned(3, generation));
  CHECK(ledger->pins() == 0);
  CHECK(ledger->TryPin(99, 1).result == PinResult::kGone);
}

TEST_CASE("PinLedger: an extent that is being moved away is told apart") {
  Store store;
  auto ledger = store.Ledger(5);
  const uint32_t generation = store.Sealed();
  REQUIRE(store.granter.BeginEvict(3, generation));
  CHECK(ledger->TryPin(3, generation).result == PinResult::kEvicting);
  CHECK_FALSE(store.granter.IsPinned(3, generation));
  REQUIRE(store.granter.CancelEvict(3, generation));
  CHECK(ledger->TryPin(3, generation).result == PinResult::kPinned);
}

TEST_CASE("PinLedger: more pins than a block holds take further blocks, then the ledger is full") {
  Store store;
  auto ledger = store.Ledger(5);
  const uint32_t generation = store.Sealed();
  std::vector<uint32_t> slots;
  for (uint32_t i = 0; i < 3 * kPinSlotsPerBlock; ++i) {
    const auto pin = ledger->TryPin(3, generation);
    REQUIRE(pin.result == PinResult::kPinned);
    slots.push_back(pin.slot);
  }
  CHECK(ledger->TryPin(3, generation).result == PinResult::kNoSlot);
  CHECK(store.granter.AssignLedger(Process(6)).status().code() ==
        base::StatusCode::kResourceExhausted);
  ledger->Unpin(slots.back());
  CHECK(ledger->TryPin(3, generation).result == PinResult::kPinned);
}

TEST_CASE("PinLedger: the ledger of a dead process goes as a whole, others stay") {
  Store store;
  auto dead = store.Ledger(5);
  auto alive = store.Ledger(6);
  const uint32_t generation = store.Sealed();
  REQUIRE(dead->TryPin(3, generation).result == PinResult::kPinned);
  REQUIRE(store.area->Free(3, generation));
  CHECK(store.granter.IsPinned(3, generation));
  store.granter.ReleaseLedger(Process(5));
  CHECK_FALSE(store.granter.IsPinned(3, generation));
  const uint32_t next = store.Sealed();
  REQUIRE(alive->TryPin(3, next).result == PinResult::kPinned);
  store.granter.ReleaseLedger(Process(5));
  CHECK(store.granter.IsPinned(3, next));
}

TEST_CASE("ControlArea: nonsense indices and memory are answered, not followed") {
  Store store;
  CHECK_FALSE(store.area->Read(16).ok());
  CHECK_FALSE(store.area->Read(UINT32_MAX).ok());
  CHECK_FALSE(store.area->Seal(16, 1).ok());
  CHECK_FALSE(store.area->Free(16, 1));
  CHECK_FALSE(store.granter.Grant(16, {}, 0, 0).ok());
  CHECK_FALSE(store.granter.Discard(16, 1));
  store.granter.ForceFreed(16);
  CHECK(store.granter.GenerationOf(16) == 0);
  CHECK_FALSE(PinLedger::Open(store.area, Process(5), 0).ok());
  CHECK_FALSE(PinLedger::Open(store.area, Process(5), kNoLedger).ok());
  const auto mapping = Mapping::Map(store.fd.get(), 0, kPageBytes, Protection::kReadWrite);
  for (const auto& [offset, value] :
       {std::pair<size_t, uint32_t>{8, 17}, {8, 0}, {12, UINT32_MAX}, {4, 9}, {0, 1}}) {
    uint32_t before;
    std::memcpy(&before, mapping->data() + offset, 4);
    // 17 entries and 3 blocks still fit into the last page; 1000 do not.
    const uint32_t bad = value == 17 ? 100'000 : value;
    std::memcpy(mapping->data() + offset, &bad, 4);
    CHECK_FALSE(ControlArea::Open(store.fd.get()).ok());
    std::memcpy(mapping->data() + offset, &before, 4);
  }
  CHECK(ControlArea::Open(store.fd.get()).ok());
  CHECK_FALSE(ControlArea::CreateMemory({0, 1}).ok());
  CHECK_FALSE(ControlArea::CreateMemory({1, 0}).ok());
}

TEST_CASE("PinLedger: threads pin, read and unpin while the extent is freed and reused") {
  Store store({1, 4});
  std::atomic<uint64_t> data{0};  // stands for the bytes of the extent
  std::atomic<uint32_t> current{0};
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> wrong{0};
  std::atomic<uint64_t> pinned{0};
  const auto reader = [&](uint32_t process) {
    auto ledger = store.Ledger(process);
    while (!stop.load()) {
      const uint32_t generation = current.load(std::memory_order_acquire);
      const auto pin = ledger->TryPin(0, generation);
      if (pin.result != PinResult::kPinned) continue;
      for (int i = 0; i < 10; ++i) wrong += data.load(std::memory_order_relaxed) != generation;
      ++pinned;
      ledger->Unpin(pin.slot);
    }
  };
  std::thread first(reader, 5);
  std::thread second(reader, 6);
  for (int round = 0; round < 2'000 || pinned.load() < 100; ++round) {
    const uint32_t generation = *store.granter.Grant(0, {Process(1), 1}, 0, 1);
    data.store(generation, std::memory_order_relaxed);
    CHECK(store.area->Seal(0, generation).ok());
    current.store(generation, std::memory_order_release);
    if (round % 64 == 0) std::this_thread::yield();
    CHECK(store.area->Free(0, generation));
    while (store.granter.IsPinned(0, generation)) std::this_thread::yield();
    data.store(0, std::memory_order_relaxed);
  }
  stop = true;
  first.join();
  second.join();
  CHECK(wrong == 0);
}

}  // namespace rayx::shm
