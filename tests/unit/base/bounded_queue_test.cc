// Goal: order, bound and gate hold, also between threads.
// Method: single-threaded for each promise; then producers against a consumer, counted.
#include "base/bounded_queue.h"

#include <memory>
#include <thread>

#include <catch2/catch.hpp>

using rayx::base::BoundedQueue;
using rayx::base::PushResult;

TEST_CASE("BoundedQueue: keeps the order and says when the consumer wants a wake-up") {
  BoundedQueue<int> queue(3);
  CHECK(queue.TryPush(1) == PushResult::kFirst);
  CHECK(queue.TryPush(2) == PushResult::kMore);
  CHECK(queue.Pop() == 1);
  CHECK(queue.Pop() == 2);
  CHECK(queue.TryPush(3) == PushResult::kFirst);
}

TEST_CASE("BoundedQueue: a full queue refuses and leaves the value alone") {
  BoundedQueue<std::unique_ptr<int>> queue(1);
  queue.TryPush(std::make_unique<int>(1));
  auto second = std::make_unique<int>(2);
  CHECK(queue.TryPush(std::move(second)) == PushResult::kFull);
  REQUIRE(second);
  queue.Pop();
  CHECK(queue.TryPush(std::move(second)) == PushResult::kFirst);
}

TEST_CASE("BoundedQueue: after Close nothing enters, what is inside comes out, then nothing") {
  BoundedQueue<int> queue(3);
  queue.TryPush(1);
  queue.Close();
  queue.Close();
  CHECK(queue.closed());
  CHECK(queue.TryPush(2) == PushResult::kClosed);
  CHECK(queue.Pop() == 1);
  CHECK(queue.Pop() == std::nullopt);
}

TEST_CASE("BoundedQueue: Drain appends everything without waiting") {
  BoundedQueue<int> queue(3);
  std::vector<int> out = {0};
  CHECK(queue.Drain(out) == 0);
  queue.TryPush(1);
  queue.TryPush(2);
  CHECK(queue.Drain(out) == 2);
  CHECK(out == std::vector<int>{0, 1, 2});
  CHECK(queue.size() == 0);
}

TEST_CASE("BoundedQueue: Close wakes a waiting thread") {
  BoundedQueue<int> empty(1);
  std::optional<int> popped = 5;
  std::thread consumer([&] { popped = empty.Pop(); });
  empty.Close();
  consumer.join();
  CHECK(popped == std::nullopt);
}

TEST_CASE("BoundedQueue: many producers lose nothing and each keeps its order") {
  constexpr int kProducers = 4;
  constexpr int kEach = 5000;
  BoundedQueue<std::pair<int, int>> queue(8);
  std::vector<std::thread> producers;
  for (int p = 0; p < kProducers; ++p) {
    producers.emplace_back([&queue, p] {
      for (int i = 0; i < kEach; ++i) {
        while (queue.TryPush({p, i}) == PushResult::kFull) std::this_thread::yield();
      }
    });
  }
  std::vector<int> next(kProducers, 0);
  for (int n = 0; n < kProducers * kEach; ++n) {
    const auto item = queue.Pop();
    REQUIRE(item);
    const auto [producer, i] = *item;
    REQUIRE(next[static_cast<std::size_t>(producer)]++ == i);
  }
  for (auto& producer : producers) producer.join();
  CHECK(queue.size() == 0);
}
