// Goal:   every waiter of a copy is answered once, in bounded time; one transfer an object; no
//         memory is given back while a fetch may write to it.
// Method: named cases against a model of the store and of the fetches, then every sequence of
//         events on two objects and two waiters.
#include "store/core/pull_core.h"

#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <set>

#include "base/mark.h"

namespace rayx::store {
namespace {

using namespace std::chrono_literals;
using model::NodeNumber;
using model::ProcessId;
using model::StoredLocation;
using model::TimePoint;

const ProcessId kAlice = ProcessId::Make(NodeNumber{1}, 1);
const ProcessId kBob = ProcessId::Make(NodeNumber{1}, 2);
const ProcessId kOwner = ProcessId::Make(NodeNumber{2}, 1);

StoredLocation Source(uint32_t entry, uint64_t bytes = 3 * kChunkBytes) {
  return {{kOwner, entry},
          NodeNumber{2},
          model::JobId{1},
          entry,
          1,
          entry * (uint64_t{1} << 30),
          bytes};
}

PullOptions Options(uint64_t chunks_in_flight = 100) {
  PullOptions options;
  options.bytes_in_flight_max = chunks_in_flight * kChunkBytes;
  return options;
}

// The shell, the store and the source, as plain values: a copy is another world.
struct World {
  struct Fetch {
    uint32_t attempt = 0;
    ByteRange range;
    uint64_t next = 0;  // offset of the next chunk
    bool is_cancelled = false;
  };

  explicit World(PullOptions options = Options()) : core(options) {}

  PullCore core;
  TimePoint now{};
  std::map<RequestKey, std::vector<base::StatusOr<StoredLocation>>> answers;
  std::map<uint64_t, StoredLocation> allocating;  // by transfer
  std::map<uint64_t, Fetch> fetching;
  std::map<uint32_t, bool> extents;  // granted copies by entry; true = sealed
  std::map<uint64_t, uint32_t> extent_of;
  uint32_t next_entry = 100;
  uint64_t next_request = 1;

  template <typename Event>
  void Step(Event event) {
    PullEffects effects;
    event(effects);
    core.CheckInvariants();
    Run(effects);
  }
  RequestKey Pull(ProcessId process, const StoredLocation& source) {
    const RequestKey waiter{process, next_request++};
    Step([&](PullEffects& effects) { core.OnPull(waiter, source, now, effects); });
    return waiter;
  }
  void Cancel(RequestKey waiter) {
    Step([&](PullEffects& effects) { core.OnPullCancelled(waiter, now, effects); });
  }
  void Allocated(uint64_t transfer, base::Status status = {}) {
    base::StatusOr<StoredLocation> copy = absl::UnknownError("");
    if (!status.ok()) {
      copy = status;
    } else {
      StoredLocation place = allocating.at(transfer);
      place.node = NodeNumber{1};
      place.entry = next_entry++;
      extents[place.entry] = false;
      extent_of[transfer] = place.entry;
      copy = place;
    }
    allocating.erase(transfer);
    Step([&](PullEffects& effects) { core.OnAllocated(transfer, copy, now, effects); });
  }
  void Chunk(uint64_t transfer) {
    Fetch& fetch = fetching.at(transfer);
    REQUIRE(extents.count(extent_of.at(transfer)) == 1);  // the memory is still ours
    const uint64_t offset = fetch.next;
    fetch.next = std::min(offset + kChunkBytes, fetch.range.end());
    core.OnChunk(transfer, fetch.attempt, offset, now);
    core.CheckInvariants();
  }
  void Done(uint64_t transfer, FetchOutcome outcome, std::string_view why = "broken") {
    const uint32_t attempt = fetching.at(transfer).attempt;
    fetching.erase(transfer);
    Step([&](PullEffects& effects) {
      core.OnFetchDone(transfer, attempt, outcome, why, now, effects);
    });
  }
  void FinishFetch(uint64_t transfer) {
    while (fetching.at(transfer).next < fetching.at(transfer).range.end()) Chunk(transfer);
    Done(transfer, FetchOutcome::kDone);
  }
  void Tick(model::Duration later) {
    now += later;
    Step([&](PullEffects& effects) { core.OnTick(now, effects); });
  }
  void SourceFreed(const StoredLocation& source) {
    Step([&](PullEffects& effects) { core.OnSourceFreed(SourceKey::Of(source), now, effects); });
  }

  void Run(const PullEffects& effects) {
    for (const auto& [transfer, source] : effects.allocates) allocating[transfer] = source;
    for (const auto& fetch : effects.fetches) {
      REQUIRE(fetching.count(fetch.transfer) == 0);
      REQUIRE(fetch.range.offset % kChunkBytes == 0);
      REQUIRE(fetch.range.bytes > 0);
      REQUIRE(fetch.range.end() <= fetch.source.size);
      fetching[fetch.transfer] = {fetch.attempt, fetch.range, fetch.range.offset, false};
    }
    for (const auto& [transfer, attempt] : effects.cancels) {
      REQUIRE(fetching.at(transfer).attempt == attempt);
      fetching.at(transfer).is_cancelled = true;
    }
    for (const auto& [transfer, copy] : effects.seals) {
      REQUIRE(fetching.count(transfer) == 0);
      extents.at(copy.entry) = true;
    }
    for (const auto& [transfer, copy] : effects.discards) {
      REQUIRE(fetching.count(transfer) == 0);
      REQUIRE(extents.erase(copy.entry) == 1);
    }
    for (const auto& [waiter, copy] : effects.answers) {
      answers[waiter].push_back(copy);
      REQUIRE(answers[waiter].size() == 1);
      if (copy.ok()) REQUIRE(extents.at(copy->entry));
    }
  }
  base::StatusOr<StoredLocation> AnswerOf(RequestKey waiter) const {
    const auto at = answers.find(waiter);
    if (at == answers.end()) return absl::UnknownError("not answered");
    return at->second.front();
  }
};

TEST_CASE("PullCore: one transfer for many waiters, and none for those who come after it") {
  World world;
  const RequestKey first = world.Pull(kAlice, Source(1));
  const RequestKey second = world.Pull(kBob, Source(1));
  REQUIRE(world.allocating.size() == 1);
  world.Allocated(1);
  const RequestKey third = world.Pull(kBob, Source(1));
  world.FinishFetch(1);
  for (const RequestKey waiter : {first, second, third}) CHECK(world.AnswerOf(waiter).ok());
  CHECK(world.AnswerOf(world.Pull(kBob, Source(1)))->entry == 100);
  CHECK(world.core.transfers() == 1);
  CHECK(world.core.bytes_in_flight() == 0);
}

TEST_CASE("PullCore: a broken fetch goes on where it stopped") {
  World world;
  const RequestKey waiter = world.Pull(kAlice, Source(1, 3 * kChunkBytes + 5));
  world.Allocated(1);
  CHECK(world.fetching.at(1).range == ByteRange{0, 3 * kChunkBytes + 5});
  world.Chunk(1);
  world.Chunk(1);
  world.Done(1, FetchOutcome::kBroken);
  CHECK(world.fetching.empty());
  world.Tick(50ms);
  CHECK(world.fetching.at(1).range == ByteRange{2 * kChunkBytes, kChunkBytes + 5});
  world.FinishFetch(1);
  CHECK(world.AnswerOf(waiter).ok());
}

TEST_CASE("PullCore: an object that its source does not have is lost at once") {
  World world;
  const RequestKey waiter = world.Pull(kAlice, Source(1));
  world.Allocated(1);
  world.Done(1, FetchOutcome::kLost, "stale");
  CHECK(world.AnswerOf(waiter).status().code() == base::StatusCode::kNotFound);
  CHECK(std::string(base::Message(world.AnswerOf(waiter).status())) ==
        "object n2.p1.o1 on node n2 is lost: stale");
  CHECK(world.extents.empty());
  CHECK(world.core.transfers() == 0);
}

TEST_CASE("PullCore: a source that stays silent is given up after progress_lost_max") {
  World world;
  const RequestKey waiter = world.Pull(kAlice, Source(1));
  world.Allocated(1);
  const auto marks = base::MarkCount("store: stalled fetch begun again");
  for (int i = 0; i < 200 && world.answers.empty(); ++i) {
    world.Tick(50ms);
    if (world.fetching.count(1) != 0 && world.fetching.at(1).is_cancelled) {
      world.Done(1, FetchOutcome::kBroken, "cancelled");
    }
  }
  CHECK(base::MarkCount("store: stalled fetch begun again") >= marks + 2);
  CHECK(world.AnswerOf(waiter).status().code() == base::StatusCode::kNotFound);
  CHECK(world.now.time_since_epoch() <= 10s);
  if (world.fetching.count(1) != 0) world.Done(1, FetchOutcome::kBroken);
  CHECK(world.extents.empty());
}

TEST_CASE("PullCore: why a source failed is told, also when the last fetch was given up here") {
  World world;
  const RequestKey waiter = world.Pull(kAlice, Source(1));
  world.Allocated(1);
  world.Done(1, FetchOutcome::kBroken, "refused");
  for (int i = 0; i < 200 && world.answers.empty(); ++i) {
    world.Tick(50ms);
    if (world.fetching.count(1) != 0 && world.fetching.at(1).is_cancelled) {
      world.Done(1, FetchOutcome::kBroken, "cancelled");
    }
  }
  CHECK_THAT(std::string(base::Message(world.AnswerOf(waiter).status())),
             Catch::EndsWith("is lost: refused"));
  if (world.fetching.count(1) != 0) world.Done(1, FetchOutcome::kBroken);
}

TEST_CASE("PullCore: a waiter is answered in time even if the fetch never ends") {
  World world;
  const RequestKey waiter = world.Pull(kAlice, Source(1));
  world.Allocated(1);
  world.Tick(5s);
  REQUIRE(world.fetching.at(1).is_cancelled);
  world.Tick(5s);
  CHECK(world.AnswerOf(waiter).status().code() == base::StatusCode::kNotFound);
  CHECK(world.extents.size() == 1);  // the fetch may still write to it
  const auto marks = base::MarkCount("store: pull joins a transfer that has failed");
  CHECK_FALSE(world.AnswerOf(world.Pull(kBob, Source(1))).ok());
  CHECK(base::MarkCount("store: pull joins a transfer that has failed") == marks + 1);
  world.Done(1, FetchOutcome::kBroken);
  CHECK(world.extents.empty());
  CHECK(world.core.transfers() == 0);
}

TEST_CASE("PullCore: a source that says done but sends nothing is not asked for ever") {
  World world;
  const RequestKey waiter = world.Pull(kAlice, Source(1));
  world.Allocated(1);
  int fetches = 0;
  while (world.answers.empty() && fetches < 100) {
    if (world.fetching.count(1) != 0) {
      world.Done(1, FetchOutcome::kDone);
      ++fetches;
    }
    world.Tick(50ms);
  }
  CHECK(world.AnswerOf(waiter).status().code() == base::StatusCode::kNotFound);
  CHECK(fetches > 3);
  CHECK(fetches < 30);
}

TEST_CASE("PullCore: bytes in flight are bounded, but one transfer is always admitted") {
  World world(Options(4));
  const RequestKey first = world.Pull(kAlice, Source(1, 10 * kChunkBytes));
  const RequestKey second = world.Pull(kAlice, Source(2, 3 * kChunkBytes));
  const RequestKey third = world.Pull(kAlice, Source(3, 2 * kChunkBytes));
  CHECK(world.allocating.size() == 1);
  world.Allocated(1);
  while (world.fetching.count(1) != 0) world.FinishFetch(1);
  CHECK(world.AnswerOf(first).ok());
  CHECK(world.allocating.size() == 1);
  world.Allocated(2);
  world.Cancel(second);
  CHECK(world.allocating.empty());
  world.Done(2, FetchOutcome::kBroken);
  REQUIRE(world.allocating.count(3) == 1);
  world.Allocated(3);
  world.FinishFetch(3);
  CHECK(world.AnswerOf(third).ok());
}

TEST_CASE(
    "PullCore: a transfer that nobody waits for is cancelled, and taken up again by a new waiter") {
  World world;
  world.Cancel(world.Pull(kAlice, Source(1)));
  CHECK(world.allocating.size() == 1);
  world.Allocated(1);
  CHECK(world.extents.empty());
  CHECK(world.core.transfers() == 0);

  const RequestKey waiter = world.Pull(kAlice, Source(2));
  world.Allocated(2);
  world.Chunk(2);
  world.Cancel(waiter);
  CHECK(world.fetching.at(2).is_cancelled);
  const RequestKey late = world.Pull(kBob, Source(2));
  world.Done(2, FetchOutcome::kBroken, "cancelled");
  world.Tick(1s);
  CHECK(world.fetching.at(2).range.offset == kChunkBytes);
  world.FinishFetch(2);
  CHECK(world.AnswerOf(late).ok());
  CHECK_FALSE(world.AnswerOf(waiter).ok());
}

TEST_CASE("PullCore: a freed source takes its copy along, in whatever phase") {
  World world;
  const RequestKey waiter = world.Pull(kAlice, Source(1));
  SECTION("allocating") {
    world.SourceFreed(Source(1));
    world.Allocated(1);
  }
  SECTION("no room") {
    world.SourceFreed(Source(1));
    world.Allocated(1, absl::ResourceExhaustedError("full"));
  }
  SECTION("fetching") {
    world.Allocated(1);
    world.SourceFreed(Source(1));
    world.SourceFreed(Source(1));
    world.Chunk(1);
    world.Done(1, FetchOutcome::kDone);
  }
  SECTION("between two fetches") {
    world.Allocated(1);
    world.Done(1, FetchOutcome::kBroken);
    world.SourceFreed(Source(1));
  }
  SECTION("complete") {
    world.Allocated(1);
    world.FinishFetch(1);
    CHECK(world.extents.at(100));
    world.SourceFreed(Source(1));
  }
  CHECK(world.answers.at(waiter).size() == 1);
  CHECK(world.extents.empty());
  CHECK(world.core.transfers() == 0);
}

TEST_CASE("PullCore: the end of owners, nodes, jobs and waiters") {
  World world;
  const RequestKey running = world.Pull(kAlice, Source(1));
  world.Allocated(1);
  world.Pull(kBob, Source(2));
  world.Allocated(2);
  world.FinishFetch(2);
  StoredLocation elsewhere = Source(3);
  elsewhere.object.owner = ProcessId::Make(NodeNumber{3}, 1);
  world.Pull(kBob, elsewhere);
  world.Allocated(3);
  world.FinishFetch(3);
  SECTION("the source's node is lost: complete copies of other nodes' owners stay") {
    world.Step(
        [&](PullEffects& effects) { world.core.OnNodeGone(NodeNumber{2}, world.now, effects); });
    CHECK(world.AnswerOf(running).status().code() == base::StatusCode::kNotFound);
    world.Done(1, FetchOutcome::kBroken);
    CHECK(world.extents.size() == 1);
  }
  SECTION("an owner dies") {
    world.Step([&](PullEffects& effects) { world.core.OnProcessGone(kOwner, world.now, effects); });
    CHECK(world.AnswerOf(running).status().code() == base::StatusCode::kNotFound);
    world.Done(1, FetchOutcome::kBroken);
    CHECK(world.extents.size() == 1);
  }
  SECTION("a waiter dies") {
    world.Step([&](PullEffects& effects) { world.core.OnProcessGone(kAlice, world.now, effects); });
    CHECK(world.fetching.at(1).is_cancelled);
    CHECK(world.answers.count(running) == 0);
  }
  SECTION("the job ends") {
    world.Step(
        [&](PullEffects& effects) { world.core.OnJobClosed(model::JobId{1}, world.now, effects); });
    CHECK(world.AnswerOf(running).status().code() == base::StatusCode::kCancelled);
    world.Done(1, FetchOutcome::kBroken);
    CHECK(world.extents.empty());
    CHECK(world.core.transfers() == 0);
  }
}

TEST_CASE("PullCore: what a peer may send wrongly") {
  World world;
  CHECK(world.AnswerOf(world.Pull(kAlice, Source(1, 0))).status().code() ==
        base::StatusCode::kInvalidArgument);
  const RequestKey waiter = world.Pull(kAlice, Source(2));
  StoredLocation other = Source(2);
  other.size += 1;
  CHECK(world.AnswerOf(world.Pull(kBob, other)).status().code() ==
        base::StatusCode::kInvalidArgument);
  // The same request again; answers to fetches that are not running; chunks out of range.
  world.Step(
      [&](PullEffects& effects) { world.core.OnPull(waiter, Source(2), world.now, effects); });
  world.Allocated(1);
  world.core.OnChunk(1, 1, 1, world.now);
  world.core.OnChunk(1, 1, UINT64_MAX / kChunkBytes * kChunkBytes, world.now);
  world.core.OnChunk(1, 9, 0, world.now);
  world.core.OnChunk(99, 1, 0, world.now);
  for (int i = 0; i < 2; ++i) {  // one chunk twice
    world.core.OnChunk(1, 1, kChunkBytes, world.now);
    world.core.CheckInvariants();
  }
  world.Step([&](PullEffects& effects) {
    world.core.OnFetchDone(1, 9, FetchOutcome::kLost, "", world.now, effects);
    world.core.OnFetchDone(99, 1, FetchOutcome::kLost, "", world.now, effects);
  });
  world.FinishFetch(1);
  CHECK(world.AnswerOf(waiter).ok());
}

struct Explorer {
  uint64_t steps = 0;

  void Explore(const World& world, int depth) {
    ++steps;
    if (depth == 0) return Drain(world);
    const auto go = [&](auto event) {
      World next = world;
      event(next);
      Explore(next, depth - 1);
    };
    for (const uint32_t entry : {1, 2}) {
      const StoredLocation source = Source(entry, 2 * kChunkBytes);
      go([&](World& next) { next.Pull(entry == 1 ? kAlice : kBob, source); });
      go([&](World& next) { next.SourceFreed(source); });
    }
    if (world.next_request > 1) {
      for (const ProcessId process : {kAlice, kBob}) {
        go([&](World& next) { next.Cancel({process, next.next_request - 1}); });
      }
    }
    for (const auto& [transfer, source] : world.allocating) {
      go([&](World& next) { next.Allocated(transfer); });
      go([&](World& next) { next.Allocated(transfer, absl::ResourceExhaustedError("full")); });
    }
    for (const auto& [transfer, fetch] : world.fetching) {
      if (fetch.next < fetch.range.end()) go([&](World& next) { next.Chunk(transfer); });
      for (const auto outcome : {FetchOutcome::kDone, FetchOutcome::kBroken, FetchOutcome::kLost}) {
        go([&](World& next) { next.Done(transfer, outcome); });
      }
    }
    go([](World& next) { next.Tick(4s); });
  }

  // When nothing answers any more, every waiter that did not cancel is answered and nothing is
  // left.
  static void Drain(World world) {
    while (!world.allocating.empty()) {
      world.Allocated(world.allocating.begin()->first, absl::ResourceExhaustedError("full"));
    }
    for (int i = 0; i < 4; ++i) {
      while (!world.fetching.empty())
        world.Done(world.fetching.begin()->first, FetchOutcome::kBroken);
      world.Tick(6s);
    }
    while (!world.fetching.empty())
      world.Done(world.fetching.begin()->first, FetchOutcome::kBroken);
    while (!world.allocating.empty()) {
      world.Allocated(world.allocating.begin()->first, absl::ResourceExhaustedError("full"));
    }
    REQUIRE(world.core.bytes_in_flight() == 0);
    for (const auto& [entry, is_sealed] : world.extents) REQUIRE(is_sealed);
    REQUIRE(world.core.transfers() == world.extents.size());
  }
};

TEST_CASE("PullCore: every sequence of events on two objects") {
  Explorer explorer;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr int kDepth = 5;
#else
  constexpr int kDepth = 7;
#endif
  explorer.Explore(World(Options(2)), kDepth);
  WARN("states visited: " << explorer.steps);
  CHECK(explorer.steps > 5'000);
}

}  // namespace
}  // namespace rayx::store
