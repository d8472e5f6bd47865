// Goal:   an extent is granted again only when nobody can reach it, requests are answered once, and
//         the budget holds, whatever the order of events.
// Method: named cases against a small model of what the shell does, then every sequence of events
//         on a store of three pages.
#include "store/core/store_core.h"

#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "base/mark.h"

namespace rayx::store {
namespace {

using namespace std::chrono_literals;
using model::JobId;
using model::NodeNumber;
using model::ObjectId;
using model::ProcessId;
using model::TimePoint;

constexpr uint64_t kPage = kPageBytes;
constexpr JobId kJob{1};
const ProcessId kAlice = ProcessId::Make(NodeNumber{1}, 1);
const ProcessId kBob = ProcessId::Make(NodeNumber{1}, 2);
const ProcessId kDaemon = ProcessId::Make(NodeNumber{1}, 0);
const ProcessId kFar = ProcessId::Make(NodeNumber{2}, 1);

StoreOptions Options(uint64_t pages, uint32_t entries = 16) {
  StoreOptions options;
  options.budget_bytes = pages * kPage;
  options.segment_bytes = pages * kPage;
  options.entries_max = entries;
  options.allocate_wait = 10s;
  return options;
}

// The shell, the processes and the shared table, as plain values: a copy is another world.
struct World {
  enum class State { kWriting, kSealed, kFreed };
  struct Held {
    PlacedObject placed;
    RequestKey key;
    State state = State::kWriting;
    int pins = 0;
  };

  explicit World(StoreOptions options) : core(options) { core.OnOpenJob(kJob); }

  StoreCore core;
  TimePoint now{};
  std::map<EntryName, Held> table;    // granted and not granted again
  std::map<RequestKey, int> answers;  // how often
  std::map<RequestKey, base::Status> refusals;
  std::map<RequestKey, EntryName> grants;
  std::vector<EntryName> preparing;
  std::vector<ForwardFreeEffect> forwards;
  std::vector<ObjectId> orphans;
  std::vector<JobId> closed;
  uint64_t next_request = 1;

  RequestKey Allocate(ProcessId process, uint64_t pages, ObjectId object = {},
                      bool is_copy = false) {
    const RequestKey key{process, next_request++};
    if (!object) object = {process, key.request};
    StoreEffects effects;
    core.OnAllocate({key, object, kJob, pages * kPage, is_copy}, now, effects);
    Run(effects);
    return key;
  }
  // Grants at once, cold pages included.
  EntryName Grant(ProcessId process, uint64_t pages, ObjectId object = {}) {
    const RequestKey key = Allocate(process, pages, object);
    while (!preparing.empty()) Prepare(0, base::OkStatus());
    REQUIRE(grants.count(key) == 1);
    return grants.at(key);
  }
  void Prepare(size_t index, const base::Status& status) {
    const EntryName name = preparing[index];
    preparing.erase(preparing.begin() + static_cast<std::ptrdiff_t>(index));
    StoreEffects effects;
    core.OnPrepared(name, status, now, effects);
    Run(effects);
  }
  void Seal(EntryName name) { table.at(name).state = State::kSealed; }
  void Free(EntryName name, ProcessId from) {
    StoreEffects effects;
    const auto at = table.find(name);
    core.OnFree(name, at == table.end() ? ObjectId{kAlice, 1} : at->second.placed.object, from, now,
                effects);
    Run(effects);
  }
  void ProcessGone(ProcessId process) {
    StoreEffects effects;
    core.OnProcessGone(process, now, effects);
    Run(effects);
  }
  void CloseJob() {
    StoreEffects effects;
    core.OnCloseJob(kJob, now, effects);
    Run(effects);
  }
  void Tick(model::Duration later) {
    now += later;
    StoreEffects effects;
    core.OnTick(now, effects);
    Run(effects);
  }

  RetireOutcome Retire(const RetireEffect& retire) {
    Held& held = table.at(retire.name);
    if (held.state == State::kWriting && retire.condition == RetireIf::kSealed) {
      return RetireOutcome::kLeft;
    }
    if (held.state == State::kSealed && retire.condition == RetireIf::kWriting) {
      return RetireOutcome::kLeft;
    }
    held.state = State::kFreed;
    return held.pins > 0 ? RetireOutcome::kPinned : RetireOutcome::kUnpinned;
  }

  void Run(StoreEffects& first) {
    core.CheckInvariants();
    StoreEffects effects = first;
    while (!effects.empty()) {
      StoreEffects step;
      std::swap(step, effects);
      for (const PrepareEffect& prepare : step.prepares) preparing.push_back(prepare.name);
      for (const GrantEffect& grant : step.grants) Place(grant);
      for (const RefuseEffect& refusal : step.refusals) {
        ++answers[refusal.key];
        refusals[refusal.key] = refusal.why;
      }
      for (const RetireEffect& retire : step.retires) {
        if (core.Find(retire.name) == nullptr) continue;
        core.OnRetired(retire.name, Retire(retire), now, effects);
        core.CheckInvariants();
      }
      forwards.insert(forwards.end(), step.forwards.begin(), step.forwards.end());
      for (const OrphanEffect& orphan : step.orphans) orphans.push_back(orphan.placed.object);
      closed.insert(closed.end(), step.closes.begin(), step.closes.end());
    }
    for (const auto& [key, count] : answers) REQUIRE(count == 1);
  }

  // Nobody who may still touch the bytes is where the new object goes.
  void Place(const GrantEffect& grant) {
    const PlacedObject& placed = grant.placed;
    const uint64_t end = placed.offset + RoundToPages(placed.bytes);
    for (const auto& [name, held] : table) {
      const bool may_be_touched = held.pins > 0 || held.state != State::kFreed;
      const bool overlaps = held.placed.offset < end &&
                            placed.offset < held.placed.offset + RoundToPages(held.placed.bytes);
      REQUIRE_FALSE((may_be_touched && overlaps));
    }
    REQUIRE(table.count(placed.name) == 0);
    ++answers[grant.key];
    grants[grant.key] = placed.name;
    table[placed.name] = {placed, grant.key, State::kWriting, 0};
  }
};

TEST_CASE(
    "StoreCore: a cold extent is prepared before it is granted, a warm one is granted at once") {
  World world(Options(4));
  const RequestKey key = world.Allocate(kAlice, 2);
  CHECK(world.answers.empty());
  REQUIRE(world.preparing.size() == 1);
  world.Prepare(0, base::OkStatus());
  const EntryName name = world.grants.at(key);
  CHECK(name.generation == 1);
  world.Seal(name);
  world.Free(name, kAlice);
  CHECK(world.core.live_bytes() == 0);
  CHECK(world.core.warm_bytes() == 2 * kPage);
  const RequestKey again = world.Allocate(kAlice, 2);
  CHECK(world.preparing.empty());
  CHECK(world.grants.at(again) == EntryName{kJob, name.entry, 2});
}

TEST_CASE("StoreCore: a pinned extent is not granted again until a scan finds no pin") {
  World world(Options(2));
  const EntryName name = world.Grant(kAlice, 2);
  world.Seal(name);
  world.table.at(name).pins = 1;
  world.Free(name, kAlice);
  const RequestKey key = world.Allocate(kBob, 2);
  world.Tick(50ms);
  CHECK(world.grants.count(key) == 0);
  world.table.at(name).pins = 0;
  world.Tick(50ms);
  CHECK(world.grants.count(key) == 1);
}

TEST_CASE("StoreCore: an object freed while it is written is left to its writer") {
  World world(Options(2));
  const EntryName name = world.Grant(kBob, 2, {kAlice, 7});
  world.Free(name, kAlice);
  world.Tick(50ms);
  CHECK(world.core.live_bytes() == 2 * kPage);
  SECTION("who finishes it") {
    world.Seal(name);
    world.Tick(50ms);
  }
  SECTION("who gives it up") {
    world.Free(name, kBob);
  }
  SECTION("who dies") {
    world.ProcessGone(kBob);
  }
  CHECK(world.core.live_bytes() == 0);
}

TEST_CASE("StoreCore: requests wait in order, and the first holds back the rest") {
  World world(Options(4));
  const EntryName name = world.Grant(kAlice, 3);
  world.Seal(name);
  const RequestKey large = world.Allocate(kBob, 4);
  const RequestKey small = world.Allocate(kBob, 1);
  CHECK(world.preparing.empty());
  CHECK(world.core.waiting() == 2);
  world.Free(name, kAlice);
  REQUIRE(world.preparing.size() == 1);
  world.Prepare(0, base::OkStatus());
  CHECK(world.grants.count(large) == 1);
  CHECK(world.grants.count(small) == 0);
  world.Free(world.grants.at(large), kBob);
  CHECK(world.grants.count(small) == 1);
}

TEST_CASE("StoreCore: what waited too long is told how full the store is") {
  World world(Options(4));
  const EntryName name = world.Grant(kAlice, 3);
  world.Seal(name);
  const RequestKey key = world.Allocate(kBob, 2);
  world.Tick(9s);
  CHECK(world.refusals.count(key) == 0);
  world.Tick(1s);
  REQUIRE(world.refusals.count(key) == 1);
  CHECK(world.refusals.at(key).code() == base::StatusCode::kResourceExhausted);
  const std::string message(base::Message(world.refusals.at(key)));
  CHECK(message ==
        "the object store of this node is full: object n1.p2.o2 needs 8.0 KiB, 12.0 KiB of 16.0 "
        "KiB are in use by 1 object; waited 10000 ms for frees; let go of references and views, or "
        "give it more (rayx start --object-store-memory)");
}

TEST_CASE("StoreCore: what can never fit is refused at once") {
  World world(Options(4));
  const RequestKey large = world.Allocate(kAlice, 5);
  CHECK(world.refusals.at(large).code() == base::StatusCode::kResourceExhausted);
  CHECK(base::Message(world.refusals.at(large))
            .find("needs 20.0 KiB, more than the whole object store of this node has (16.0 KiB") !=
        std::string_view::npos);
  StoreEffects effects;
  world.core.OnAllocate({{kAlice, 90}, {kAlice, 90}, kJob, UINT64_MAX, false}, world.now, effects);
  world.core.OnAllocate({{kAlice, 91}, {kAlice, 91}, kJob, 0, false}, world.now, effects);
  world.core.OnAllocate({{kAlice, 92}, {kAlice, 92}, JobId{9}, 1, false}, world.now, effects);
  REQUIRE(effects.refusals.size() == 3);
  CHECK(effects.refusals[0].why.code() == base::StatusCode::kResourceExhausted);
  CHECK(effects.refusals[1].why.code() == base::StatusCode::kInvalidArgument);
  CHECK(effects.refusals[2].why.code() == base::StatusCode::kCancelled);
}

TEST_CASE("StoreCore: a request repeated while it waits is answered once") {
  World world(Options(2));
  const EntryName name = world.Grant(kAlice, 2);
  world.Seal(name);
  const AllocateRequest request{{kBob, 50}, {kBob, 50}, kJob, kPage, false};
  const auto marks = base::MarkCount("store: allocation repeated while it waits");
  for (int i = 0; i < 2; ++i) {
    StoreEffects effects;
    world.core.OnAllocate(request, world.now, effects);
    world.Run(effects);
  }
  CHECK(base::MarkCount("store: allocation repeated while it waits") == marks + 1);
  world.Free(name, kAlice);
  CHECK(world.answers.at(request.key) == 1);
  CHECK(world.core.waiting() == 0);
}

TEST_CASE("StoreCore: stale, forged and repeated frees change nothing") {
  World world(Options(4));
  const EntryName name = world.Grant(kAlice, 1);
  world.Seal(name);
  StoreEffects effects;
  world.core.OnFree({kJob, name.entry, name.generation + 1}, {kAlice, 1}, kAlice, {}, effects);
  world.core.OnFree({kJob, 99, 1}, {kAlice, 1}, kAlice, {}, effects);
  world.core.OnFree({JobId{7}, name.entry, 1}, {kAlice, 1}, kAlice, {}, effects);
  world.core.OnFree(name, {kBob, 1}, kAlice, {}, effects);
  CHECK(effects.empty());
  world.Free(name, kAlice);
  world.Free(name, kAlice);
  CHECK(world.core.live_bytes() == 0);
}

TEST_CASE("StoreCore: a writer's death discards what it wrote and offers what it finished") {
  World world(Options(4));
  const EntryName written = world.Grant(kBob, 1, {kAlice, 1});
  const EntryName finished = world.Grant(kBob, 1, {kAlice, 2});
  const EntryName own = world.Grant(kBob, 1);
  world.Seal(finished);
  world.Seal(own);
  world.ProcessGone(kBob);
  CHECK(world.core.Find(written) == nullptr);
  CHECK(world.core.Find(own) == nullptr);
  CHECK(world.core.Find(finished) != nullptr);
  CHECK(world.orphans == std::vector<ObjectId>{{kAlice, 2}});
  SECTION("its owner frees it") {
    world.Free(finished, kAlice);
  }
  SECTION("a new attempt supersedes it") {
    world.Free(world.Grant(kAlice, 1, {kAlice, 2}), kAlice);
  }
  SECTION("its owner dies") {
    world.ProcessGone(kAlice);
  }
  CHECK(world.core.live_bytes() == 0);
}

TEST_CASE("StoreCore: nodes that pulled a copy are told of the free, those that are gone are not") {
  World world(Options(4));
  const EntryName name = world.Grant(kAlice, 1);
  world.Seal(name);
  const ObjectId object = world.table.at(name).placed.object;
  CHECK(world.core.OnServe(name, object, NodeNumber{2}));
  CHECK(world.core.OnServe(name, object, NodeNumber{3}));
  CHECK(world.core.OnServe(name, object, NodeNumber{2}));
  CHECK_FALSE(world.core.OnServe({kJob, name.entry, 9}, object, NodeNumber{2}));
  StoreEffects effects;
  world.core.OnNodeGone(NodeNumber{3}, world.now, effects);
  world.Run(effects);
  world.Free(name, kAlice);
  REQUIRE(world.forwards.size() == 1);
  CHECK(world.forwards[0].node == NodeNumber{2});
  CHECK(world.forwards[0].placed.object == object);
  CHECK_FALSE(world.core.OnServe(name, object, NodeNumber{2}));
}

TEST_CASE("StoreCore: objects of owners on a lost node go, copies are left to their plan") {
  World world(Options(4));
  const EntryName theirs = world.Grant(kBob, 1, {kFar, 1});
  world.Seal(theirs);
  const RequestKey key = world.Allocate(kDaemon, 1, {kFar, 2}, true);
  world.Prepare(0, base::OkStatus());
  const EntryName copy = world.grants.at(key);
  world.Seal(copy);
  StoreEffects effects;
  world.core.OnNodeGone(NodeNumber{2}, world.now, effects);
  world.Run(effects);
  CHECK(world.core.Find(theirs) == nullptr);
  CHECK(world.core.Find(copy) != nullptr);
  world.Free(copy, kBob);  // not its business
  CHECK(world.core.Find(copy) != nullptr);
  world.Free(copy, kDaemon);
  CHECK(world.core.live_bytes() == 0);
}

TEST_CASE("StoreCore: memory that the system refuses is asked for again until the request's time") {
  World world(Options(4));
  const RequestKey key = world.Allocate(kAlice, 2);
  const auto full = absl::ResourceExhaustedError("no memory");
  world.Prepare(0, full);
  CHECK(world.preparing.empty());
  world.Tick(5s);
  REQUIRE(world.preparing.size() == 1);
  SECTION("it has some later") {
    world.Prepare(0, base::OkStatus());
    CHECK(world.grants.count(key) == 1);
  }
  SECTION("it has none") {
    world.Prepare(0, full);
    world.Tick(5s);
    REQUIRE(world.refusals.count(key) == 1);
    CHECK_THAT(std::string(base::Message(world.refusals.at(key))),
               Catch::Contains("the system has no memory for more"));
  }
}

TEST_CASE("StoreCore: the budget is one for all jobs") {
  World world(Options(4));
  const EntryName name = world.Grant(kAlice, 3);
  world.Seal(name);
  StoreEffects effects;
  const JobId other{2};
  world.core.OnOpenJob(other);
  world.core.OnAllocate({{kBob, 70}, {kBob, 70}, other, 2 * kPage, false}, world.now, effects);
  CHECK(effects.empty());
  CHECK(world.core.waiting() == 1);
  world.core.OnFree(name, world.table.at(name).placed.object, kAlice, world.now, effects);
  world.Run(effects);
  CHECK(world.core.waiting() == 0);
  CHECK(world.preparing.size() == 1);
}

TEST_CASE("StoreCore: pages kept warm by one job make room for another") {
  World world(Options(4));
  StoreEffects effects;
  const JobId other{2};
  world.core.OnOpenJob(other);
  world.Free(world.Grant(kAlice, 3), kAlice);
  CHECK(world.core.warm_bytes() == 3 * kPage);
  world.core.OnAllocate({{kBob, 70}, {kBob, 70}, other, 2 * kPage, false}, world.now, effects);
  REQUIRE(effects.punches.size() == 1);
  CHECK(effects.punches[0].job == kJob);
  CHECK(effects.punches[0].range == ByteRange{2 * kPage, kPage});
  CHECK(effects.prepares.size() == 1);
  world.Run(effects);
}

TEST_CASE("StoreCore: a job ends when its last pin and its last writer do") {
  World world(Options(6));
  const EntryName pinned = world.Grant(kAlice, 1);
  world.Seal(pinned);
  world.table.at(pinned).pins = 1;
  const EntryName plain = world.Grant(kAlice, 1);
  world.Seal(plain);
  const EntryName writing = world.Grant(kBob, 1);
  const RequestKey filling = world.Allocate(kAlice, 1);
  const RequestKey waiting = world.Allocate(kAlice, 6);
  world.CloseJob();
  CHECK(world.core.Find(plain) == nullptr);
  CHECK(world.refusals.at(filling).code() == base::StatusCode::kCancelled);
  CHECK(world.refusals.at(waiting).code() == base::StatusCode::kCancelled);
  CHECK_FALSE(world.core.OnOpenJob(kJob));
  world.Prepare(0, base::OkStatus());
  world.Seal(writing);
  world.Tick(50ms);
  CHECK(world.closed.empty());
  world.table.at(pinned).pins = 0;
  world.Tick(50ms);
  CHECK(world.closed == std::vector<JobId>{kJob});
  CHECK(world.core.live_bytes() + world.core.warm_bytes() == 0);
  CHECK(world.core.OnOpenJob(kJob));
}

TEST_CASE("StoreCore: the table's last entry is waited for, and named when it does not come") {
  World world(Options(8, 2));
  world.Seal(world.Grant(kAlice, 1));
  const EntryName second = world.Grant(kAlice, 1);
  const RequestKey key = world.Allocate(kAlice, 1);
  SECTION("freed in time") {
    world.Free(second, kAlice);
    CHECK(world.answers.count(key) == 1);
  }
  SECTION("not freed") {
    world.Tick(10s);
    CHECK_THAT(std::string(base::Message(world.refusals.at(key))),
               Catch::Contains("the job's limit"));
  }
}

// Every sequence of events from a list, with what the processes do in between.
struct Explorer {
  uint64_t steps = 0;

  void Explore(const World& world, int depth) {
    ++steps;
    if (depth == 0) return Drain(world);
    for (const ProcessId process : {kAlice, kBob}) {
      for (const uint64_t pages : {1, 2}) {
        // Bob also writes Alice's objects.
        World next = world;
        next.Allocate(process, pages, {kAlice, world.next_request});
        Explore(next, depth - 1);
      }
      World next = world;
      next.ProcessGone(process);
      for (auto& [name, held] : next.table) {
        if (process == kBob) held.pins = 0;  // the only reader
      }
      Explore(next, depth - 1);
    }
    for (size_t i = 0; i < world.preparing.size(); ++i) {
      for (const bool is_ok : {true, false}) {
        World next = world;
        next.Prepare(i, is_ok ? base::OkStatus() : absl::ResourceExhaustedError("no memory"));
        Explore(next, depth - 1);
      }
    }
    for (const auto& [name, held] : world.table) ExploreEntry(world, name, depth);
    World later = world;
    later.Tick(4s);
    Explore(later, depth - 1);
    World ended = world;
    ended.CloseJob();
    Explore(ended, depth - 1);
  }

  void ExploreEntry(const World& world, EntryName name, int depth) {
    const World::Held& held = world.table.at(name);
    if (held.state == World::State::kWriting) {
      World next = world;
      next.Seal(name);
      Explore(next, depth - 1);
    }
    if (held.state == World::State::kSealed && held.pins == 0) {
      World next = world;
      next.table.at(name).pins = 1;
      Explore(next, depth - 1);
    }
    if (held.pins > 0) {
      World next = world;
      next.table.at(name).pins = 0;
      Explore(next, depth - 1);
    }
    for (const ProcessId from : {kAlice, kBob}) {
      World next = world;
      next.Free(name, from);
      Explore(next, depth - 1);
    }
  }

  // However it got here: when all processes are gone and all pages have come, nothing is left.
  static void Drain(World world) {
    for (auto& [name, held] : world.table) held.pins = 0;
    world.ProcessGone(kAlice);
    world.ProcessGone(kBob);
    while (!world.preparing.empty()) world.Prepare(0, base::OkStatus());
    world.Tick(11s);
    while (!world.preparing.empty()) world.Prepare(0, base::OkStatus());
    REQUIRE(world.core.live_bytes() == 0);
    REQUIRE(world.core.waiting() == 0);
    for (uint64_t request = 1; request < world.next_request; ++request) {
      const auto count = [&](ProcessId process) {
        const auto at = world.answers.find({process, request});
        return at == world.answers.end() ? 0 : at->second;
      };
      REQUIRE(count(kAlice) + count(kBob) == 1);
    }
  }
};

TEST_CASE("StoreCore: every sequence of events on three pages") {
  Explorer explorer;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr int kDepth = 4;
#else
  constexpr int kDepth = 6;
#endif
  explorer.Explore(World(Options(3)), kDepth);
  WARN("states visited: " << explorer.steps);
  CHECK(explorer.steps > 5'000);
}

}  // namespace
}  // namespace rayx::store
