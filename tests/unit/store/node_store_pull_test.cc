// Goal:   objects of other nodes arrive whole or with a typed error, once for all who wait; what
//         the source frees goes everywhere.
// Method: two stores in one process and a source that streams from one to the other on a thread, or
//         does what a test tells it to.
#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <deque>
#include <thread>

#include "store/node_store.h"
#include "store_fixture.h"

namespace rayx::store {
namespace {

using namespace std::chrono_literals;

const ProcessId kOwner = ProcessId::Make(NodeNumber{1}, 1);
const ProcessId kReader = ProcessId::Make(NodeNumber{2}, 1);

enum class Act { kStream, kBreakAfterTwo, kHang, kShortChunk, kBeyond, kNothing };

class LoopbackSource final : public ChunkSource {
 public:
  ~LoopbackSource() override {
    for (std::thread& thread : threads_) thread.join();
  }

  CancelFetch Fetch(NodeNumber, const StoredLocation& source, ByteRange range,
                    std::shared_ptr<ChunkSink> sink) override {
    ++fetches;
    const Act act = acts.empty() ? Act::kStream : acts.front();
    if (!acts.empty()) acts.pop_front();
    auto served = from->Serve(source, range, NodeNumber{2});
    auto cancelled = std::make_shared<std::atomic<bool>>(false);
    if (!served.ok()) {
      sink->OnDone(FetchOutcome::kLost, base::Message(served.status()));
    } else {
      threads_.emplace_back([act, range, sink, cancelled, ended = &ended_,
                             object = std::make_shared<ServedObject>(*std::move(served))] {
        Stream(act, range, *sink, *cancelled, *object);
        ++*ended;
      });
    }
    return [cancelled] { *cancelled = true; };
  }

  // So many fetches have said that they are done.
  bool WaitUntilEnded(int fetches_ended) const {
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (ended_ < fetches_ended && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    return ended_ >= fetches_ended;
  }

  NodeStore* from = nullptr;
  std::deque<Act> acts;
  int fetches = 0;

 private:
  static void Stream(Act act, ByteRange range, ChunkSink& sink, const std::atomic<bool>& cancelled,
                     const ServedObject& object) {
    if (act == Act::kHang) {
      while (!cancelled) std::this_thread::yield();
      return sink.OnDone(FetchOutcome::kBroken, "cancelled");
    }
    if (act == Act::kNothing) return sink.OnDone(FetchOutcome::kDone, "");
    int chunks = 0;
    for (uint64_t at = range.offset; at < range.end(); at += kChunkBytes) {
      if (cancelled) return sink.OnDone(FetchOutcome::kBroken, "cancelled");
      if (act == Act::kBreakAfterTwo && chunks == 2) {
        return sink.OnDone(FetchOutcome::kBroken, "connection reset");
      }
      auto bytes = *object.Read(at, std::min(kChunkBytes, object.size() - at));
      if (act == Act::kShortChunk) bytes = bytes.first(bytes.size() - 1);
      const auto place = sink.Place(act == Act::kBeyond ? object.size() : at, bytes.size());
      if (place.empty()) return sink.OnDone(FetchOutcome::kBroken, "refused");
      if (place.size() != bytes.size()) {  // not Catch's assertion: they are for one thread
        return sink.OnDone(FetchOutcome::kLost, "a place of another size than the chunk");
      }
      std::memcpy(place.data(), bytes.data(), bytes.size());
      sink.OnPlaced();
      ++chunks;
    }
    sink.OnDone(FetchOutcome::kDone, "");
  }

  std::atomic<int> ended_{0};
  std::vector<std::thread> threads_;
};

struct TwoNodes {
  LoopbackSource source;
  StoreRig first{32 * kMiB, 1};
  StoreRig second{32 * kMiB, 2, &source};
  shm::ClientSegments owner{kOwner};
  shm::ClientSegments reader{kReader};

  TwoNodes() {
    source.from = &first.store;
    REQUIRE(first.store.OpenJob(kJob).ok());
    REQUIRE(second.store.OpenJob(kJob).ok());
    REQUIRE(first.Attach(owner).ok());
    REQUIRE(second.Attach(reader).ok());
  }
  StoredLocation Put(uint64_t sequence, uint64_t bytes) {
    return store::Put(first, owner, {kOwner, sequence}, bytes);
  }
  bool HasCopy(const Result& copy) {
    if (!copy.ok() || copy->node != NodeNumber{2}) return false;
    const auto pinned = reader.Pin(*copy);
    return pinned.ok() && HasPattern(pinned->bytes(), copy->object.sequence);
  }
};

TEST_CASE("NodeStore pull: a copy arrives whole, is shared, and goes with its source") {
  TwoNodes nodes;
  const StoredLocation at = nodes.Put(1, 5 * kMiB + 123);
  std::vector<Result> results;
  for (uint64_t i = 0; i < 3; ++i) {
    nodes.second.store.Pull(kReader, i, at, [&](Result result) { results.push_back(result); });
  }
  REQUIRE(nodes.second.loop.RunUntil([&] { return results.size() == 3; }));
  for (const Result& result : results) CHECK(nodes.HasCopy(result));
  CHECK(nodes.HasCopy(nodes.second.Pull(kReader, at)));
  CHECK(nodes.source.fetches == 1);
  const auto objects = nodes.second.store.Objects();
  REQUIRE(objects.size() == 1);
  CHECK_FALSE(objects[0].is_primary);

  nodes.first.store.Free(at, kOwner);
  REQUIRE(nodes.first.forwarded.size() == 1);
  CHECK(nodes.first.forwarded[0].first == NodeNumber{2});
  nodes.second.store.FreeCopy(nodes.first.forwarded[0].second);
  CHECK(nodes.second.store.used_bytes() == 0);
  CHECK(nodes.reader.Pin(*results[0]).status().code() == StatusCode::kNotFound);
  CHECK(ErrorCodeOf(nodes.second.Pull(kReader, at).status()) == ErrorCode::kObjectLost);
  nodes.second.store.CheckInvariants();
}

TEST_CASE("NodeStore pull: a broken or odd source is tried again from where it stopped") {
  TwoNodes nodes;
  const StoredLocation at = nodes.Put(1, 4 * kMiB);
  nodes.source.acts = {Act::kBreakAfterTwo, Act::kShortChunk, Act::kBeyond, Act::kNothing};
  std::optional<Result> result;
  nodes.second.store.Pull(kReader, 1, at, [&](Result answer) { result = answer; });
  REQUIRE(nodes.second.loop.RunUntil([&] { return nodes.source.fetches == 1; }));
  for (int fetches = 1; fetches <= 5; ++fetches) {
    REQUIRE(nodes.source.fetches == fetches);
    REQUIRE(nodes.source.WaitUntilEnded(fetches));
    nodes.second.loop.RunPosted();
    nodes.second.clock.Advance(1s);  // as long as any backoff
    nodes.second.store.Tick();
  }
  REQUIRE(result.has_value());
  CHECK(nodes.HasCopy(*result));
  CHECK(nodes.source.fetches == 5);
}

TEST_CASE("NodeStore pull: a source that hangs is cancelled, and the waiter told in time") {
  TwoNodes nodes;
  const StoredLocation at = nodes.Put(1, 4 * kMiB);
  nodes.source.acts = {Act::kHang, Act::kHang, Act::kHang, Act::kHang};
  std::optional<Result> result;
  nodes.second.store.Pull(kReader, 1, at, [&](Result answer) { result = answer; });
  REQUIRE(nodes.second.loop.RunUntil([&] { return nodes.source.fetches == 1; }));
  for (int i = 0; i < 11 && !result; ++i) {
    nodes.second.clock.Advance(1s);
    nodes.second.store.Tick();
  }
  REQUIRE(result.has_value());
  CHECK(ErrorCodeOf(result->status()) == ErrorCode::kObjectLost);
  // The extent is given back when the fetch has let go of it.
  REQUIRE(nodes.second.loop.RunUntil([&] { return nodes.second.store.used_bytes() == 0; }));
  nodes.second.store.CheckInvariants();
}

TEST_CASE("NodeStore pull: cancelled waiters, ended processes and lost nodes") {
  TwoNodes nodes;
  const StoredLocation at = nodes.Put(1, 4 * kMiB);
  nodes.source.acts = {Act::kHang};
  bool is_answered = false;
  std::optional<Result> result;
  nodes.second.store.Pull(kReader, 1, at, [&](Result answer) {
    is_answered = true;
    result = answer;
  });
  REQUIRE(nodes.second.loop.RunUntil([&] { return nodes.source.fetches == 1; }));
  SECTION("the waiter cancels") {
    nodes.second.store.CancelPull(kReader, 1);
    CHECK_FALSE(is_answered);
  }
  SECTION("the waiter's process ends") {
    nodes.second.store.ProcessGone(kReader);
    CHECK_FALSE(is_answered);
  }
  SECTION("the source's node is lost") {
    nodes.second.store.NodeGone(NodeNumber{1});
    REQUIRE(result.has_value());
    CHECK(ErrorCodeOf(result->status()) == ErrorCode::kObjectLost);
  }
  SECTION("the job ends") {
    nodes.second.store.CloseJob(kJob);
    REQUIRE(result.has_value());
    CHECK(ErrorCodeOf(result->status()) == ErrorCode::kCancelled);
  }
  SECTION("the store stops under a running fetch") {
    nodes.second.store.Stop();
    REQUIRE(result.has_value());
    CHECK(result->status().code() == StatusCode::kCancelled);
    return;
  }
  REQUIRE(nodes.second.loop.RunUntil([&] { return nodes.second.store.used_bytes() == 0; }));
  nodes.second.store.CheckInvariants();
}

TEST_CASE("NodeStore pull: a copy too large for this node is a full store, not a lost object") {
  TwoNodes nodes;
  StoreRig small(2 * kMiB, 3, &nodes.source);
  REQUIRE(small.store.OpenJob(kJob).ok());
  const StoredLocation at = nodes.Put(1, 4 * kMiB);
  CHECK(ErrorCodeOf(small.Pull(ProcessId::Make(NodeNumber{3}, 1), at).status()) ==
        ErrorCode::kObjectStoreFull);
  StoreRig alone(2 * kMiB, 4);
  REQUIRE(alone.store.OpenJob(kJob).ok());
  StoredLocation lie = at;
  lie.size = UINT64_MAX;
  CHECK(ErrorCodeOf(alone.Pull(ProcessId::Make(NodeNumber{4}, 1), lie).status()) ==
        ErrorCode::kObjectStoreFull);
  CHECK(ErrorCodeOf(nodes.second.Pull(kReader, {{kOwner, 9}, NodeNumber{1}, JobId{8}, 1, 1, 0, 9})
                        .status()) == ErrorCode::kCancelled);
}

TEST_CASE("NodeStore pull: an object being served stays until the last reader, whoever frees it") {
  TwoNodes nodes;
  const StoredLocation at = nodes.Put(1, 2 * kMiB);
  auto served = nodes.first.store.Serve(at, {0, at.size}, NodeNumber{2});
  REQUIRE(served.ok());
  nodes.first.store.Free(at, kOwner);
  CHECK(nodes.first.store.used_bytes() == 2 * kMiB);
  CHECK(HasPattern(*served->Read(0, 2 * kMiB), 1));
  std::thread([object = *std::move(served)] {}).join();
  served = absl::UnknownError("");
  nodes.first.store.Tick();
  CHECK(nodes.first.store.used_bytes() == 0);
}

TEST_CASE("NodeStore pull: who fetches is told of the copies; a copy serves what has come of it") {
  TwoNodes nodes;
  const StoredLocation at = nodes.Put(1, 4 * kMiB);
  const ByteRange whole{0, at.size};
  CHECK(nodes.first.store.Serve(at, whole, NodeNumber{3})->copies().empty());
  CHECK_FALSE(nodes.second.store.Serve(at, whole, NodeNumber{3}).ok());  // has nothing of it
  nodes.source.acts = {Act::kBreakAfterTwo};
  std::optional<Result> result;
  nodes.second.store.Pull(kReader, 1, at, [&](Result answer) { result = answer; });
  REQUIRE(nodes.second.loop.RunUntil([&] { return nodes.source.fetches == 1; }));
  REQUIRE(nodes.source.WaitUntilEnded(1));
  nodes.second.loop.RunPosted();

  CHECK(nodes.first.store.Serve(at, whole, NodeNumber{3})->copies() ==
        std::vector<NodeNumber>{NodeNumber{2}});
  auto part = nodes.second.store.Serve(at, whole, NodeNumber{3});
  REQUIRE(part.ok());
  CHECK(part->range() == ByteRange{0, 2 * kMiB});
  CHECK(HasPattern(*part->Read(0, 2 * kMiB), 1));
  CHECK_FALSE(nodes.second.store.Serve(at, {2 * kMiB, kMiB}, NodeNumber{3}).ok());
  StoredLocation other = at;
  other.generation += 1;
  CHECK_FALSE(nodes.second.store.Serve(other, whole, NodeNumber{3}).ok());

  SECTION("the copy is completed while its part is sent, then serves all") {
    nodes.second.clock.Advance(1s);
    nodes.second.store.Tick();
    REQUIRE(nodes.second.loop.RunUntil([&] { return result.has_value(); }));
    CHECK(HasPattern(*part->Read(0, 2 * kMiB), 1));
    CHECK(nodes.second.store.Serve(at, whole, NodeNumber{3})->range() == whole);
    nodes.second.store.FreeCopy(at);
  }
  SECTION("the object is freed while the part is sent: its memory stays until then") {
    nodes.second.store.FreeCopy(at);
    REQUIRE(result.has_value());
    CHECK_FALSE(result->ok());
    CHECK_FALSE(nodes.second.store.Serve(at, whole, NodeNumber{3}).ok());
  }
  nodes.second.store.Tick();
  CHECK(nodes.second.store.used_bytes() == 4 * kMiB);
  CHECK(HasPattern(*part->Read(0, 2 * kMiB), 1));
  part = absl::UnknownError("");
  nodes.second.store.Tick();
  CHECK(nodes.second.store.used_bytes() == 0);
  nodes.second.store.CheckInvariants();
}

}  // namespace
}  // namespace rayx::store
