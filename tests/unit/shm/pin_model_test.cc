// Goal: nobody reads an extent that was given to another object meanwhile. Method: the protocol's
// own steps (PinProtocol) in every interleaving of readers, an owner that frees, and a daemon that
// reuses the extent, with store buffers; and the same without the fence, which must go wrong.
#include <catch2/catch.hpp>

#include "shm/pin_protocol.h"
#include "tests/unit/shm/interleaving.h"

namespace rayx::shm {
namespace {

using sim::Explorer;
using sim::SimAtomic;
using Word = SimAtomic<uint64_t>;

// `data` holds the generation whose bytes lie in the extent; 0 when it was punched.
enum Cell : uint32_t { kEntry, kSlot0, kSlot1, kData, kReused, kEvent, kCells };

template <bool kFenced>
struct Scene {
  static inline sim::SimOs<kFenced> os{SimAtomic<uint32_t>{kEvent}};

  // Holds a location of generation 1.
  template <uint32_t kSlot>
  static void Reader() {
    Word slot{kSlot};
    Word entry{kEntry};
    Word data{kData};
    if (PinProtocol::Pin(slot, entry, 0, 1, os) != PinResult::kPinned) return;
    if (data.load(std::memory_order_relaxed) != 1) Explorer::Fail("read through a pin, but reused");
    if (data.load(std::memory_order_relaxed) != 1) Explorer::Fail("reused while it was pinned");
    PinProtocol::Unpin(slot);
  }
  static void Owner() {
    Word entry{kEntry};
    PinProtocol::Move(entry, 1, ExtentState::kSealed, ExtentState::kFreed);
  }
  // Once around: reuses the extent for generation 2 when it may.
  static void Daemon() {
    Word entry{kEntry};
    Word data{kData};
    if (entry.load(std::memory_order_acquire) != PinProtocol::Word(1, ExtentState::kFreed)) return;
    PinProtocol::BeginScan(os);
    for (const uint32_t cell : {kSlot0, kSlot1}) {
      if (PinProtocol::SlotNames(Word{cell}, 0, 1)) return;
    }
    data.exchange(0, std::memory_order_acq_rel);  // fallocate: a system call
    entry.store(PinProtocol::Word(2, ExtentState::kWriting), std::memory_order_release);
    data.store(2, std::memory_order_relaxed);
    PinProtocol::Move(entry, 2, ExtentState::kWriting, ExtentState::kSealed);
    Word reused{kReused};
    reused.store(1, std::memory_order_relaxed);
  }

  static Explorer::Result Explore() {
    std::vector<uint64_t> memory(kCells, 0);
    memory[kEntry] = PinProtocol::Word(1, ExtentState::kSealed);
    memory[kData] = 1;
    Explorer explorer({{Reader<kSlot0>}, {Reader<kSlot1>}, {Owner}, {Daemon, true}},
                      std::move(memory), {});
    Explorer::Goals goals;
    // No reader can keep the extent from being reused for ever.
    goals.reachable = [](const std::vector<uint64_t>& cells) { return cells[kReused] == 1; };
    return explorer.Explore(goals);
  }
};

}  // namespace

TEST_CASE("Pin: an extent is reused only after the last pin, and a stale location pins nothing") {
  const auto result = Scene<true>::Explore();
  INFO(result.states << " states");
  for (const std::string& failure : result.failures) UNSCOPED_INFO(failure);
  CHECK(result.failures.empty());
  CHECK(result.complete);
  CHECK(result.states > 1000);
}

TEST_CASE("Pin: without the fence the walk finds a reader of a reused extent") {
  const auto result = Scene<false>::Explore();
  REQUIRE_FALSE(result.failures.empty());
  CHECK(result.failures[0].find("reused") != std::string::npos);
}

}  // namespace rayx::shm
