// tests/unit/store/store_fixture.h
//
// What the tests of NodeStore share: a loop to run posted calls on, a clock to turn by hand, a
// source of chunks to script, and processes that a test may kill.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "io/clock.h"
#include "store/node_store.h"

namespace rayx::store {

using base::StatusCode;
using model::JobId;
using model::NodeNumber;
using model::ObjectId;
using model::ProcessId;
using model::StoredLocation;

inline constexpr uint64_t kMiB = uint64_t{1} << 20;
inline constexpr JobId kJob{1};

class ManualClock final : public io::Clock {
 public:
  model::TimePoint Now() const override { return now_; }
  void Advance(model::Duration by) { now_ += by; }

 private:
  model::TimePoint now_{};
};

// Stands for the daemon's loop: the test's thread runs what others post.
class TestLoop {
 public:
  std::function<bool(std::function<void()>)> Post() {
    return [this](std::function<void()> call) {
      {
        const std::lock_guard lock(mutex_);
        calls_.push_back(std::move(call));
      }
      changed_.notify_one();
      return true;
    };
  }
  // Runs posted calls until the condition holds; false at the deadline.
  bool RunUntil(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
      std::unique_lock lock(mutex_);
      if (!changed_.wait_until(lock, deadline, [this] { return !calls_.empty(); })) return false;
      const auto call = std::move(calls_.front());
      calls_.pop_front();
      lock.unlock();
      call();
    }
    return true;
  }
  // Runs what has been posted, without waiting.
  void RunPosted() {
    const auto is_idle = [this] {
      const std::lock_guard lock(mutex_);
      return calls_.empty();
    };
    RunUntil(is_idle);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> calls_;
};

using Result = base::StatusOr<model::StoredLocation>;

// A store with its loop and clock, and the calls of the daemon made easy.
struct StoreRig {
  explicit StoreRig(uint64_t store_bytes, uint32_t node = 1, ChunkSource* source = nullptr)
      : store(Options(store_bytes, node), clock, source) {}

  NodeStoreOptions Options(uint64_t store_bytes, uint32_t node) {
    NodeStoreOptions options;
    options.node = model::NodeNumber{node};
    options.store_bytes = store_bytes;
    options.control = {1024, 64};
    options.post = loop.Post();
    options.forward_free = [this](model::NodeNumber to, const model::StoredLocation& freed) {
      forwarded.emplace_back(to, freed);
    };
    options.on_orphan = [this](const model::StoredLocation& orphan) { orphans.push_back(orphan); };
    return options;
  }

  Result Allocate(model::ProcessId process, model::ObjectId object, uint64_t bytes,
                  model::JobId job = model::JobId{1}) {
    std::optional<Result> result;
    store.Allocate(process, ++last_request, object, job, bytes,
                   [&result](Result answer) { result.emplace(std::move(answer)); });
    if (!loop.RunUntil([&] { return result.has_value(); })) return absl::UnknownError("no answer");
    return *result;
  }
  Result Pull(model::ProcessId process, const model::StoredLocation& source) {
    std::optional<Result> result;
    store.Pull(process, ++last_request, source,
               [&result](Result answer) { result.emplace(std::move(answer)); });
    if (!loop.RunUntil([&] { return result.has_value(); })) return absl::UnknownError("no answer");
    return *result;
  }
  // The process's side of SegmentAttached.
  base::Status Attach(shm::ClientSegments& segments, model::JobId job = model::JobId{1}) {
    RAYX_ASSIGN_OR_RETURN(const auto memory, store.Attach(job, segments.process()));
    return segments.AddSegment(job, base::UniqueFd(::dup(memory.segment)),
                               base::UniqueFd(::dup(memory.control)), memory.segment_bytes,
                               memory.control_bytes, memory.ledger);
  }

  TestLoop loop;
  ManualClock clock;
  std::vector<std::pair<model::NodeNumber, model::StoredLocation>> forwarded;
  std::vector<model::StoredLocation> orphans;
  NodeStore store;
  uint64_t last_request = 0;
};

// Bytes that tell objects apart, wherever one looks.
inline std::byte PatternAt(uint64_t seed, uint64_t offset) {
  return static_cast<std::byte>((seed * 131 + offset / 64 * 7 + 1) & 0xff);
}
inline void FillPattern(std::span<std::byte> bytes, uint64_t seed) {
  for (uint64_t i = 0; i < bytes.size(); ++i) bytes[i] = PatternAt(seed, i);
}
inline bool HasPattern(std::span<const std::byte> bytes, uint64_t seed) {
  for (uint64_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != PatternAt(seed, i)) return false;
  }
  return true;
}

// A sealed object of `writer`, filled with the pattern of its sequence.
inline StoredLocation Put(StoreRig& rig, shm::ClientSegments& writer, ObjectId object,
                          uint64_t bytes) {
  const Result granted = rig.Allocate(writer.process(), object, bytes);
  REQUIRE(granted.ok());
  auto extent = writer.MapWritable(*granted);
  REQUIRE(extent.ok());
  FillPattern(extent->bytes(), object.sequence);
  REQUIRE(extent->Seal().ok());
  return *granted;
}

}  // namespace rayx::store
