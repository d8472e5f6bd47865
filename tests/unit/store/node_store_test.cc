// Goal:   the node's store does with real memory what its cores decide: memory before grants, no
//         reuse under a pin, copies of other nodes' objects, typed errors for whatever is stale or
//         forged.
// Method: the store on a loop of the test, processes of one's own in the same process.
#include "store/node_store.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <fstream>
#include <thread>

#include "store_fixture.h"

namespace rayx::store {
namespace {

using namespace std::chrono_literals;

const ProcessId kAlice = ProcessId::Make(NodeNumber{1}, 1);
const ProcessId kBob = ProcessId::Make(NodeNumber{1}, 2);

uint64_t PagesOf(int fd) {
  struct stat status = {};
  REQUIRE(::fstat(fd, &status) == 0);
  return static_cast<uint64_t>(status.st_blocks) * 512 / kPageBytes;
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// Regression: who had read what others wrote had no room for a second mapping of the whole store,
// and its Put failed.
TEST_CASE("NodeStore: a process without address space for the whole store writes what it has") {
  constexpr uint64_t kStore = uint64_t{1} << 30;
  StoreRig rig(kStore);
  REQUIRE(rig.store.OpenJob(kJob).ok());
  shm::ClientSegments alice(kAlice);
  REQUIRE(rig.Attach(alice).ok());
  const Result granted = rig.Allocate(kAlice, {kAlice, 1}, kMiB + 17);
  REQUIRE(granted.ok());
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit before = {};
  REQUIRE(::getrlimit(RLIMIT_AS, &before) == 0);
  rlimit tight = before;
  tight.rlim_cur = pages * kPageBytes + kStore / 2;
  REQUIRE(::setrlimit(RLIMIT_AS, &tight) == 0);
  auto extent = alice.MapWritable(*granted);
  REQUIRE(::setrlimit(RLIMIT_AS, &before) == 0);
  REQUIRE(extent.ok());
  FillPattern(extent->bytes(), 1);
  REQUIRE(extent->Seal().ok());
  const auto pinned = alice.Pin(*granted);
  REQUIRE(pinned.ok());
  CHECK(HasPattern(pinned->bytes(), 1));
}
#endif

TEST_CASE("NodeStore: one process puts, another reads, the owner frees") {
  StoreRig rig(8 * kMiB);
  REQUIRE(rig.store.OpenJob(kJob).ok());
  REQUIRE(rig.store.OpenJob(kJob).ok());
  shm::ClientSegments alice(kAlice);
  shm::ClientSegments bob(kBob);
  REQUIRE(rig.Attach(alice).ok());
  REQUIRE(rig.Attach(bob).ok());
  const StoredLocation at = Put(rig, alice, {kAlice, 1}, kMiB + 17);
  CHECK(at.node == NodeNumber{1});
  CHECK(rig.store.used_bytes() == kMiB + kPageBytes);
  {
    const auto pinned = bob.Pin(at);
    REQUIRE(pinned.ok());
    CHECK(HasPattern(pinned->bytes(), 1));
    const auto objects = rig.store.Objects();
    REQUIRE(objects.size() == 1);
    CHECK(std::string(objects[0].state) == "sealed");
    CHECK(objects[0].is_pinned);
    rig.store.Free(at, kAlice);
    CHECK(rig.store.used_bytes() > 0);
    CHECK(HasPattern(pinned->bytes(), 1));
    CHECK(bob.Pin(at).status().code() == StatusCode::kNotFound);
  }
  rig.store.Tick();
  CHECK(rig.store.used_bytes() == 0);
  rig.store.CheckInvariants();
}

TEST_CASE("NodeStore: memory is there before it is granted, and kept for the next grant") {
  StoreRig rig(16 * kMiB);
  REQUIRE(rig.store.OpenJob(kJob).ok());
  shm::ClientSegments alice(kAlice);
  REQUIRE(rig.Attach(alice).ok());
  const int segment = rig.store.Attach(kJob, kAlice)->segment;
  CHECK(PagesOf(segment) == 0);
  const StoredLocation first = Put(rig, alice, {kAlice, 1}, 9 * kMiB);
  CHECK(PagesOf(segment) == 9 * 256);
  rig.store.Free(first, kAlice);
  CHECK(rig.store.kept_bytes() == 9 * kMiB);
  // Nobody has to wait for pages that are there: the answer comes within the call.
  bool is_answered = false;
  rig.store.Allocate(kAlice, 1000, {kAlice, 2}, kJob, 9 * kMiB, [&](const Result& result) {
    is_answered =
        result.ok() && result->offset == first.offset && result->generation == first.generation + 1;
  });
  CHECK(is_answered);
  CHECK(PagesOf(segment) == 9 * 256);
}

TEST_CASE(
    "NodeStore: a full store answers with the sizes after the wait, or serves what is freed") {
  StoreRig rig(4 * kMiB);
  REQUIRE(rig.store.OpenJob(kJob).ok());
  shm::ClientSegments alice(kAlice);
  REQUIRE(rig.Attach(alice).ok());
  const StoredLocation large = Put(rig, alice, {kAlice, 1}, 3 * kMiB);
  std::optional<Result> late;
  rig.store.Allocate(kBob, 1, {kBob, 1}, kJob, 2 * kMiB, [&](Result result) { late = result; });
  std::optional<Result> later;
  rig.store.Allocate(kBob, 2, {kBob, 2}, kJob, 4 * kMiB, [&](Result result) { later = result; });
  rig.clock.Advance(9s);
  rig.store.Tick();
  CHECK_FALSE(late.has_value());
  rig.store.Free(large, kAlice);
  REQUIRE(rig.loop.RunUntil([&] { return late.has_value(); }));
  CHECK(late->ok());
  rig.clock.Advance(1s);
  rig.store.Tick();
  REQUIRE(later.has_value());
  CHECK(ErrorCodeOf(later->status()) == ErrorCode::kObjectStoreFull);
  CHECK_THAT(std::string(base::Message(later->status())),
             Catch::Contains("needs 4.0 MiB, 2.0 MiB of 4.0 MiB are in use"));
  CHECK(ErrorCodeOf(rig.Allocate(kAlice, {kAlice, 3}, 5 * kMiB).status()) ==
        ErrorCode::kObjectStoreFull);
}

TEST_CASE("NodeStore: stale and forged locations are answered, whatever they say") {
  StoreRig rig(8 * kMiB);
  REQUIRE(rig.store.OpenJob(kJob).ok());
  shm::ClientSegments alice(kAlice);
  REQUIRE(rig.Attach(alice).ok());
  const StoredLocation good = Put(rig, alice, {kAlice, 1}, kMiB);
  std::vector<StoredLocation> bad(8, good);
  bad[0].generation += 1;
  bad[1].entry = UINT32_MAX;
  bad[2].entry += 1;
  bad[3].job = JobId{9};
  bad[4].offset += kPageBytes;
  bad[5].size = UINT64_MAX;
  bad[6].object.sequence += 1;
  bad[7].offset = UINT64_MAX - 100;
  for (const StoredLocation& location : bad) {
    CHECK(alice.Pin(location).status().code() == StatusCode::kNotFound);
    CHECK_FALSE(alice.MapWritable(location).ok());
    const auto served = rig.store.Serve(location, {0, kMiB}, NodeNumber{2});
    CHECK(ErrorCodeOf(served.status()) == ErrorCode::kObjectLost);
  }
  for (const StoredLocation& location : {bad[0], bad[1], bad[2], bad[3], bad[6]}) {
    rig.store.Free(location, kAlice);
    CHECK(rig.Pull(kAlice, location).status().code() == StatusCode::kNotFound);
  }
  CHECK(alice.Pin(good).ok());
  CHECK_FALSE(alice.MapWritable(good).ok());  // sealed
  const auto served = rig.store.Serve(good, {0, kMiB}, NodeNumber{2});
  REQUIRE(served.ok());
  for (const ByteRange& beyond : {ByteRange{1, kMiB}, ByteRange{UINT64_MAX, 2}}) {
    CHECK(rig.store.Serve(good, beyond, NodeNumber{2}).status().code() ==
          StatusCode::kInvalidArgument);
  }
  CHECK(served->Read(0, kMiB).ok());
  CHECK(served->Read(kMiB, 0).ok());
  CHECK(served->Read(1, kMiB).status().code() == StatusCode::kOutOfRange);
  CHECK(served->Read(UINT64_MAX, 2).status().code() == StatusCode::kOutOfRange);
  CHECK(rig.store.Attach(JobId{9}, kAlice).status().code() == StatusCode::kNotFound);
}

TEST_CASE("NodeStore: a table that a process has scribbled over does no harm to others") {
  StoreRig rig(8 * kMiB);
  REQUIRE(rig.store.OpenJob(kJob).ok());
  shm::ClientSegments alice(kAlice);
  REQUIRE(rig.Attach(alice).ok());
  const StoredLocation at = Put(rig, alice, {kAlice, 1}, kMiB);
  const auto memory = rig.store.Attach(kJob, kAlice);
  auto control = shm::Mapping::MapWhole(memory->control, shm::Protection::kReadWrite, 64 * kMiB);
  REQUIRE(control.ok());
  std::memset(control->data() + kPageBytes, 0xa5, 1024 * 64);  // the table of 1024 entries
  CHECK(alice.Pin(at).status().code() == StatusCode::kNotFound);
  rig.store.Free(at, kAlice);
  rig.store.ProcessGone(kAlice);
  rig.store.CheckInvariants();
  CHECK(rig.store.used_bytes() == 0);
}

TEST_CASE("NodeStore: the end of a job gives its pages back, pinned ones at the end of the pin") {
  StoreRig rig(8 * kMiB);
  REQUIRE(rig.store.OpenJob(kJob).ok());
  shm::ClientSegments alice(kAlice);
  REQUIRE(rig.Attach(alice).ok());
  const base::UniqueFd segment(::dup(rig.store.Attach(kJob, kAlice)->segment));
  const StoredLocation pinned_at = Put(rig, alice, {kAlice, 1}, kMiB);
  rig.store.Free(Put(rig, alice, {kAlice, 2}, 2 * kMiB), kAlice);
  Put(rig, alice, {kAlice, 3}, 3 * kMiB);
  auto pinned = alice.Pin(pinned_at);
  REQUIRE(pinned.ok());
  rig.store.CloseJob(kJob);
  CHECK(rig.store.OpenJob(kJob).code() == StatusCode::kFailedPrecondition);
  CHECK(ErrorCodeOf(rig.Allocate(kAlice, {kAlice, 4}, kMiB).status()) == ErrorCode::kCancelled);
  CHECK(rig.store.Attach(kJob, kBob).status().code() == StatusCode::kNotFound);
  CHECK(rig.store.used_bytes() == kMiB);
  CHECK(rig.store.kept_bytes() == 0);
  CHECK(HasPattern(pinned->bytes(), 1));
  *pinned = shm::PinnedObject();
  rig.store.Tick();
  CHECK(rig.store.used_bytes() == 0);
  // The thread that punches answers nobody; a grant of another job comes after it.
  REQUIRE(rig.store.OpenJob(JobId{2}).ok());
  REQUIRE(rig.Allocate(kAlice, {kAlice, 5}, kMiB, JobId{2}).ok());
  CHECK(PagesOf(segment.get()) == 0);
}

TEST_CASE("NodeStore: Stop answers everything that waits, and refuses everything after") {
  StoreRig rig(4 * kMiB);
  REQUIRE(rig.store.OpenJob(kJob).ok());
  REQUIRE(rig.Allocate(kAlice, {kAlice, 1}, 4 * kMiB).ok());
  std::optional<Result> waiting;
  rig.store.Allocate(kBob, 1, {kBob, 1}, kJob, kMiB, [&](Result result) { waiting = result; });
  rig.store.Stop();
  REQUIRE(waiting.has_value());
  CHECK(waiting->status().code() == StatusCode::kCancelled);
  CHECK(rig.Allocate(kAlice, {kAlice, 2}, kMiB).status().code() == StatusCode::kCancelled);
  CHECK_FALSE(rig.store.OpenJob(JobId{2}).ok());
  rig.store.Tick();
}

TEST_CASE("NodeStore: a callback may call the store") {
  StoreRig rig(4 * kMiB);
  REQUIRE(rig.store.OpenJob(kJob).ok());
  int answers = 0;
  NodeStore::LocationCallback next = [&](Result result) {
    REQUIRE(result.ok());
    if (++answers == 5) return;
    rig.store.Free(*result, kAlice);
    rig.store.Allocate(kAlice, 100 + answers, {kAlice, 1}, kJob, kMiB, next);
  };
  rig.store.Allocate(kAlice, 1, {kAlice, 1}, kJob, kMiB, next);
  REQUIRE(rig.loop.RunUntil([&] { return answers == 5; }));
  rig.store.CheckInvariants();
}

TEST_CASE("NodeStore: readers on other threads see whole objects or none") {
  StoreRig rig(4 * kMiB);
  REQUIRE(rig.store.OpenJob(kJob).ok());
  shm::ClientSegments alice(kAlice);
  shm::ClientSegments bob(kBob);
  REQUIRE(rig.Attach(alice).ok());
  REQUIRE(rig.Attach(bob).ok());
  std::mutex mutex;
  StoredLocation latest{};
  std::atomic<bool> is_over{false};
  std::atomic<uint64_t> reads{0};
  std::atomic<uint64_t> torn{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!is_over) {
        StoredLocation location;
        {
          const std::lock_guard lock(mutex);
          location = latest;
        }
        const auto pinned = bob.Pin(location);
        if (!pinned.ok()) continue;
        if (!HasPattern(pinned->bytes(), location.object.sequence)) ++torn;
        ++reads;
      }
    });
  }
  for (uint64_t i = 1; i <= 500 || reads < 100; ++i) {
    const StoredLocation at = Put(rig, alice, {kAlice, i}, 20'000 + i % 7 * 9000);
    StoredLocation previous;
    {
      const std::lock_guard lock(mutex);
      previous = std::exchange(latest, at);
    }
    rig.store.Free(previous, kAlice);
    if (i % 10 == 0) rig.store.Tick();
  }
  is_over = true;
  for (std::thread& reader : readers) reader.join();
  CHECK(torn == 0);
  rig.store.Free(latest, kAlice);
  rig.store.Tick();
  CHECK(rig.store.used_bytes() == 0);
}

}  // namespace
}  // namespace rayx::store
