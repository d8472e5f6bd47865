// Goal: no interleaving of the doorbell loses a wake-up, and the fence is what prevents it. Method:
// the protocol's own code (shm/doorbell_protocol.h) is walked through every interleaving on a
// machine with store buffers; a lost wake-up is a consumer that sleeps while work lies in its ring.
#include <catch2/catch.hpp>

#include "shm/doorbell_protocol.h"
#include "tests/unit/shm/interleaving.h"

namespace rayx::shm {
namespace {

using sim::Explorer;
using sim::SimAtomic;
using Word = SimAtomic<uint32_t>;

// Cells of the explored memory. A head counts what its producer published; `taken` counts what the
// consumer process took from both rings together.
enum Cell : uint32_t { kWord, kParked, kEvent, kHead0, kHead1, kTaken0, kTaken1, kBaton, kCells };

template <bool kFenced>
struct Scene {
  Word word{kWord};
  Word parked{kParked};
  sim::SimOs<kFenced> os{Word{kEvent}};

  // Publishes one item in ring `ring` and rings.
  void Produce(uint32_t ring, uint32_t count) {
    Word head{kHead0 + ring};
    for (uint32_t i = 1; i <= count; ++i) {
      head.store(i, std::memory_order_release);
      DoorbellProtocol::Ring(word, os);
    }
  }
  bool HasWork(uint32_t rings) {
    for (uint32_t ring = 0; ring < rings; ++ring) {
      Word head{kHead0 + ring};
      Word taken{kTaken0 + ring};
      if (head.load(std::memory_order_acquire) != taken.load(std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  // Takes all that is there; how many that was.
  uint32_t Take(uint32_t rings) {
    uint32_t count = 0;
    for (uint32_t ring = 0; ring < rings; ++ring) {
      Word head{kHead0 + ring};
      Word taken{kTaken0 + ring};
      const uint32_t now = head.load(std::memory_order_acquire);
      count += now - taken.exchange(now, std::memory_order_acq_rel);
    }
    return count;
  }
  // A user thread, once around its loop: takes what is there, else waits.
  void Consume(uint32_t rings) {
    if (Take(rings) != 0) return;
    DoorbellProtocol::WaitUser(word, parked, os, [&] { return HasWork(rings); });
  }
  // A user thread that holds the baton for one item and is busy with other things from then on.
  void ConsumeOnce() {
    Word baton{kBaton};
    uint32_t nobody = 0;
    if (!baton.compare_exchange_strong(nobody, 1, std::memory_order_acq_rel)) return;
    Word taken{kTaken0};
    if (Take(1) == 0 && taken.load(std::memory_order_relaxed) == 0) {
      DoorbellProtocol::WaitUser(word, parked, os, [&] { return HasWork(1); });
    }
    baton.exchange(0, std::memory_order_acq_rel);
  }
  // An attendant, or a daemon's loop, once around: takes what is there (while no user thread holds
  // the baton) and sleeps on the eventfd.
  void Attend() {
    Word baton{kBaton};
    uint32_t nobody = 0;
    if (baton.compare_exchange_strong(nobody, 1, std::memory_order_acq_rel)) {
      Take(1);
      baton.exchange(0, std::memory_order_acq_rel);
    }
    if (DoorbellProtocol::ArmAttendant(word, parked, os, [&] { return HasWork(1); })) {
      os.WaitEvent();
      DoorbellProtocol::DisarmAttendant(word, parked);
    }
  }
};

// Walks the scene to the end. The goal is that all `items` of both rings are taken, and that this
// can still happen from whatever state the walk reaches: a lost wake-up is a state from which it
// cannot.
Explorer::Result Explore(std::vector<Explorer::Thread> threads, uint64_t items,
                         bool store_buffers = true) {
  Explorer::Options options;
  options.store_buffers = store_buffers;
  Explorer explorer(std::move(threads), std::vector<uint64_t>(kCells, 0), options);
  Explorer::Goals goals;
  goals.reachable = [items](const std::vector<uint64_t>& memory) {
    return memory[kTaken0] + memory[kTaken1] == items;
  };
  return explorer.Explore(goals);
}

void RequireSound(const Explorer::Result& result) {
  INFO(result.states << " states, " << result.ends << " ends");
  for (const std::string& failure : result.failures) UNSCOPED_INFO(failure);
  CHECK(result.failures.empty());
  CHECK(result.complete);
  CHECK(result.states > 100);
}

}  // namespace

TEST_CASE("Doorbell: one producer, a user thread that sleeps twice: no wake-up is lost") {
  Scene<true> scene;
  RequireSound(Explore({{[&] { scene.Produce(0, 2); }}, {[&] { scene.Consume(1); }, true}}, 2));
}

TEST_CASE("Doorbell: two producers with a ring each, one user thread: no wake-up is lost") {
  Scene<true> scene;
  RequireSound(Explore({{[&] { scene.Produce(0, 2); }},
                        {[&] { scene.Produce(1, 1); }},
                        {[&] { scene.Consume(2); }, true}},
                       3));
}

TEST_CASE("Doorbell: an attendant that sleeps on its eventfd: no wake-up is lost") {
  Scene<true> scene;
  RequireSound(Explore({{[&] { scene.Produce(0, 3); }}, {[&] { scene.Attend(); }, true}}, 3));
}

TEST_CASE("Doorbell: a user thread takes one item and leaves, the attendant gets the rest") {
  // The attendant may fall asleep while the user thread holds the word and the rings: it must be
  // woken when they are its own again.
  Scene<true> scene;
  RequireSound(Explore({{[&] { scene.Produce(0, 2); }},
                        {[&] { scene.ConsumeOnce(); }},
                        {[&] { scene.Attend(); }, true}},
                       2));
}

TEST_CASE("Doorbell: without the fence the same walk finds a lost wake-up") {
  Scene<false> scene;
  const auto user = Explore({{[&] { scene.Produce(0, 2); }}, {[&] { scene.Consume(1); }, true}}, 2);
  REQUIRE_FALSE(user.failures.empty());
  CHECK(user.failures[0].find("no way to the goal") == 0);
  const auto attendant =
      Explore({{[&] { scene.Produce(0, 2); }}, {[&] { scene.Attend(); }, true}}, 2);
  CHECK_FALSE(attendant.failures.empty());
}

TEST_CASE("Doorbell: without the fence, but also without store buffers, none is lost") {
  // So what the test above finds is the reordering and not a flaw of the walk.
  Scene<false> scene;
  RequireSound(Explore({{[&] { scene.Produce(0, 2); }}, {[&] { scene.Consume(1); }, true}}, 2,
                       /*store_buffers=*/false));
}

}  // namespace rayx::shm
