// Goal:   nodes that pull one object serve each other: its own node sends little more than a copy,
//         nobody is sent a chunk that its sender has not, and whatever breaks, every waiter is
//         answered.
// Method: a PullCore a node, and between them a network of chunks: in rounds of equal bandwidth to
//         count what each sends; in random order with breaks, deaths and cancellations.
#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <set>

#include "base/mark.h"
#include "base/prng.h"
#include "store/core/pull_core.h"

namespace rayx::store {
namespace {

using namespace std::chrono_literals;
using model::NodeNumber;
using model::ProcessId;
using model::TimePoint;

constexpr uint32_t kOrigin = 1;  // the number of the node that has the object

class Swarm {
 public:
  struct Fetch {
    uint32_t to = 0;
    uint32_t from = 0;
    uint32_t attempt = 0;
    ByteRange left;
    bool is_begun = false;  // the sender has been asked
    bool is_cancelled = false;
  };
  struct Node {
    explicit Node(PullOptions options) : core(options) {}
    PullCore core;
    std::set<uint64_t> chunks;  // that came, by offset
    std::optional<base::StatusOr<model::StoredLocation>> answer;
    bool is_waiting = false;
    bool is_allocating = false;
    bool is_copy_there = false;  // its extent
    bool is_sealed = false;
  };

  Swarm(uint32_t nodes, uint64_t bytes) {
    object_ = {{ProcessId::Make(NodeNumber{kOrigin}, 1), 1},
               NodeNumber{kOrigin},
               model::JobId{1},
               1,
               1,
               0,
               bytes};
    for (uint32_t number = kOrigin + 1; number <= kOrigin + nodes; ++number) {
      PullOptions options;
      options.self = NodeNumber{number};
      this->nodes.try_emplace(number, options);
    }
  }

  std::map<uint32_t, Node> nodes;
  std::vector<Fetch> fetches;
  std::map<uint32_t, uint64_t> sent;  // bytes, by sender
  TimePoint now{};

  template <typename Event>
  void Step(uint32_t number, Event event) {
    Node& node = nodes.at(number);
    PullEffects effects;
    event(node.core, effects);
    node.core.CheckInvariants();
    Run(number, node, effects);
  }
  void Pull(uint32_t number) {
    nodes.at(number).is_waiting = true;
    nodes.at(number).answer.reset();
    Step(number, [&](PullCore& core, PullEffects& effects) {
      core.OnPull(Waiter(number), object_, now, effects);
    });
  }
  void Cancel(uint32_t number) {
    nodes.at(number).is_waiting = false;
    Step(number, [&](PullCore& core, PullEffects& effects) {
      core.OnPullCancelled(Waiter(number), now, effects);
    });
  }
  void Allocated(uint32_t number) {
    Node& node = nodes.at(number);
    node.is_allocating = false;
    node.is_copy_there = true;
    node.chunks.clear();
    Step(number, [&](PullCore& core, PullEffects& effects) {
      model::StoredLocation copy = object_;
      copy.node = NodeNumber{number};
      core.OnAllocated(last_transfer_[number], copy, now, effects);
    });
  }
  void Tick(model::Duration later) {
    now += later;
    for (const auto& [number, node] : nodes) {
      Step(number, [&](PullCore& core, PullEffects& effects) { core.OnTick(now, effects); });
    }
  }
  // The next thing that happens to a fetch: it is begun, brings a chunk, or ends.
  void Advance(size_t index) {
    Fetch& fetch = fetches[index];
    if (fetch.is_cancelled) return End(index, FetchOutcome::kBroken);
    if (!fetch.is_begun) return Begin(index);
    if (fetch.left.bytes == 0) return End(index, FetchOutcome::kDone);
    Node& node = nodes.at(fetch.to);
    REQUIRE(node.is_copy_there);
    REQUIRE_FALSE(node.is_sealed);
    const uint64_t bytes = std::min(kChunkBytes, fetch.left.bytes);
    const uint64_t offset = fetch.left.offset;
    REQUIRE(node.chunks.insert(offset).second);  // nothing comes twice
    sent[fetch.from] += bytes;
    fetch.left = {offset + bytes, fetch.left.bytes - bytes};
    const Fetch copy = fetch;
    Step(copy.to, [&](PullCore& core, PullEffects&) {
      core.OnChunk(last_transfer_[copy.to], copy.attempt, offset, now);
    });
  }
  void End(size_t index, FetchOutcome outcome) {
    const Fetch fetch = fetches[index];
    fetches.erase(fetches.begin() + static_cast<std::ptrdiff_t>(index));
    Step(fetch.to, [&](PullCore& core, PullEffects& effects) {
      core.OnFetchDone(last_transfer_[fetch.to], fetch.attempt, outcome, "broken", now, effects);
    });
  }
  // A node whose copy is gone, and which is told to be.
  void Die(uint32_t number) {
    for (size_t i = fetches.size(); i-- > 0;) {
      if (fetches[i].to == number) fetches.erase(fetches.begin() + static_cast<std::ptrdiff_t>(i));
    }
    nodes.erase(number);
    registered_.erase(NodeNumber{number});
    for (const auto& [other, node] : nodes) {
      Step(other, [&](PullCore& core, PullEffects& effects) {
        core.OnNodeGone(NodeNumber{number}, now, effects);
      });
    }
  }
  bool AllAnswered() const {
    for (const auto& [number, node] : nodes) {
      if (node.is_waiting && !node.answer) return false;
    }
    return true;
  }
  const model::StoredLocation& object() const { return object_; }

 private:
  static RequestKey Waiter(uint32_t number) { return {ProcessId::Make(NodeNumber{number}, 1), 1}; }

  void Begin(size_t index) {
    Fetch& fetch = fetches[index];
    fetch.is_begun = true;
    const Fetch begun = fetch;
    if (begun.from == kOrigin) {
      std::vector<NodeNumber> copies(registered_.begin(), registered_.end());
      std::erase(copies, NodeNumber{begun.to});
      registered_.insert(NodeNumber{begun.to});
      return Step(begun.to, [&](PullCore& core, PullEffects& effects) {
        core.OnCopies(last_transfer_[begun.to], begun.attempt, copies, now, effects);
      });
    }
    const auto sender = nodes.find(begun.from);
    if (sender == nodes.end()) return End(index, FetchOutcome::kBroken);
    const auto held = sender->second.core.Find(SourceKey::Of(object_), begun.left);
    if (!held) return End(index, FetchOutcome::kLost);
    REQUIRE(held->range.offset >= begun.left.offset);
    REQUIRE(held->range.end() <= begun.left.end());
    fetch.left = held->range;
    // What is sent is there; the sender's pin keeps it until it has been.
    for (uint64_t at = fetch.left.offset; at < fetch.left.end(); at += kChunkBytes) {
      REQUIRE(sender->second.chunks.count(at) == 1);
    }
  }

  void Run(uint32_t number, Node& node, const PullEffects& effects) {
    for (const auto& allocate : effects.allocates) {
      last_transfer_[number] = allocate.transfer;
      node.is_allocating = true;
    }
    for (const auto& fetch : effects.fetches) {
      REQUIRE(fetch.from != NodeNumber{number});
      fetches.push_back({number, fetch.from.value, fetch.attempt, fetch.range});
    }
    for (const auto& cancel : effects.cancels) {
      for (Fetch& fetch : fetches) {
        if (fetch.to == number && fetch.attempt == cancel.attempt) fetch.is_cancelled = true;
      }
    }
    const auto runs = [&] {
      return std::count_if(fetches.begin(), fetches.end(),
                           [&](const Fetch& fetch) { return fetch.to == number; });
    };
    for (size_t i = 0; i < effects.seals.size(); ++i) {
      REQUIRE(runs() == 0);
      REQUIRE(node.chunks.size() == (object_.size + kChunkBytes - 1) / kChunkBytes);
      node.is_sealed = true;
    }
    for (size_t i = 0; i < effects.discards.size(); ++i) {
      REQUIRE(runs() == 0);
      node.is_copy_there = node.is_sealed = false;
    }
    for (const auto& answer : effects.answers) {
      REQUIRE_FALSE(node.answer.has_value());
      node.answer = answer.copy;
    }
  }

  model::StoredLocation object_;
  std::map<uint32_t, uint64_t> last_transfer_;
  std::set<NodeNumber> registered_;  // at the object's node
};

// Rounds in which each node sends at most so many chunks.
uint64_t Broadcast(Swarm& swarm, uint64_t chunks_a_round) {
  for (auto& [number, node] : swarm.nodes) swarm.Pull(number);
  for (auto& [number, node] : swarm.nodes) swarm.Allocated(number);
  uint64_t rounds = 0;
  while (!swarm.AllAnswered()) {
    REQUIRE(++rounds < 10'000);
    std::map<uint32_t, uint64_t> room;
    // One chunk a fetch at a time, so that a sender's bandwidth is shared.
    for (uint64_t turn = 0; turn < chunks_a_round; ++turn) {
      for (size_t i = 0; i < swarm.fetches.size(); ++i) {
        const bool sends = swarm.fetches[i].is_begun && swarm.fetches[i].left.bytes > 0;
        if (sends && ++room[swarm.fetches[i].from] > chunks_a_round) continue;
        const size_t before = swarm.fetches.size();
        swarm.Advance(i);
        if (swarm.fetches.size() < before) --i;
      }
    }
    swarm.Tick(10ms);
  }
  return rounds;
}

TEST_CASE("PullCore: of nodes that pull an object together, each takes parts from the others") {
  constexpr uint64_t kBytes = 256 * kChunkBytes;
  Swarm one(1, kBytes);
  const uint64_t alone = Broadcast(one, 4);
  Swarm many(8, kBytes);
  const uint64_t together = Broadcast(many, 4);
  WARN("1 node: " << alone << " rounds; 8 nodes: " << together
                  << " rounds, of 8 copies the object's"
                  << " node sent " << static_cast<double>(many.sent[kOrigin]) / kBytes);
  for (const auto& [number, node] : many.nodes) CHECK(node.answer->ok());
  CHECK(one.sent[kOrigin] == kBytes);
  CHECK(many.sent[kOrigin] < 3 * kBytes);  // 8 when each takes all from it
  CHECK(together < 3 * alone);             // 8 times as long then
}

TEST_CASE("PullCore: a node that comes later takes most from those that have copies") {
  constexpr uint64_t kBytes = 256 * kChunkBytes;
  Swarm swarm(4, kBytes);
  for (uint32_t number = kOrigin + 1; number <= kOrigin + 3; ++number) {
    swarm.Pull(number);
    swarm.Allocated(number);
    while (!swarm.AllAnswered()) {
      while (!swarm.fetches.empty()) swarm.Advance(0);
      swarm.Tick(50ms);
    }
  }
  swarm.sent.clear();
  swarm.Pull(kOrigin + 4);
  swarm.Allocated(kOrigin + 4);
  while (!swarm.AllAnswered()) {
    REQUIRE_FALSE(swarm.fetches.empty());
    for (size_t i = swarm.fetches.size(); i-- > 0;) swarm.Advance(i);
  }
  CHECK(swarm.nodes.at(kOrigin + 4).answer->ok());
  CHECK(swarm.sent.size() == 4);
  for (const auto& [sender, bytes] : swarm.sent) CHECK(bytes > kBytes / 8);
}

// One random program.
void RunRandom(uint64_t seed) {
  base::RandomStream random(seed, 0, 0);
  Swarm swarm(2 + static_cast<uint32_t>(random.NextBelow(5)),
              1 + random.NextBelow(60) * kChunkBytes + random.NextBelow(kChunkBytes));
  const auto any = [&] {
    auto at = swarm.nodes.begin();
    std::advance(at, random.NextBelow(swarm.nodes.size()));
    return at->first;
  };
  const bool is_harsh = random.NextBelow(2) == 0;
  for (int step = 0; step < 600; ++step) {
    const uint64_t dice = random.NextBelow(100);
    const uint32_t number = any();
    const Swarm::Node& node = swarm.nodes.at(number);
    if (dice < 8) {
      if (!node.is_waiting || node.answer) swarm.Pull(number);
    } else if (dice < 9) {
      if (node.is_waiting && !node.answer) swarm.Cancel(number);
    } else if (dice < 15) {
      if (node.is_allocating) swarm.Allocated(number);
    } else if (dice < 18) {
      swarm.Tick(std::chrono::milliseconds(random.NextBelow(200)));
    } else if (dice == 18 && is_harsh && swarm.nodes.size() > 1 && random.NextBelow(4) == 0) {
      swarm.Die(number);
    } else if (dice < 22 && is_harsh && !swarm.fetches.empty()) {
      swarm.End(random.NextBelow(swarm.fetches.size()), FetchOutcome::kBroken);
    } else if (!swarm.fetches.empty()) {
      swarm.Advance(random.NextBelow(swarm.fetches.size()));
    }
  }
  // Nothing breaks any more: all that wait get their copy.
  for (int i = 0; i < 5'000 && !swarm.AllAnswered(); ++i) {
    for (const auto& [number, node] : swarm.nodes) {
      if (node.is_allocating) swarm.Allocated(number);
    }
    for (int turn = 0; turn < 20 && !swarm.fetches.empty(); ++turn) {
      swarm.Advance(random.NextBelow(swarm.fetches.size()));
    }
    swarm.Tick(20ms);
  }
  REQUIRE(swarm.AllAnswered());
  for (const auto& [number, node] : swarm.nodes) {
    // Those that were answered while the network broke may have been told that it is lost.
    if (node.is_waiting && node.answer->ok()) REQUIRE(node.is_sealed);
    if (!is_harsh && node.is_waiting) REQUIRE(node.answer->ok());
  }
  // The object is freed: nothing is left anywhere.
  std::set<uint32_t> numbers;
  for (const auto& [number, node] : swarm.nodes) numbers.insert(number);
  for (const uint32_t number : numbers) {
    swarm.Step(number, [&](PullCore& core, PullEffects& effects) {
      core.OnSourceFreed(SourceKey::Of(swarm.object()), swarm.now, effects);
    });
  }
  while (!swarm.fetches.empty()) swarm.Advance(0);
  for (const uint32_t number : numbers) {
    Swarm::Node& node = swarm.nodes.at(number);
    if (node.is_allocating) swarm.Allocated(number);
    REQUIRE_FALSE(node.is_copy_there);
    REQUIRE(node.core.transfers() == 0);
    REQUIRE(node.core.bytes_in_flight() == 0);
  }
}

TEST_CASE("PullCore: random programs of nodes that serve each other") {
  const auto marks = base::MarkCount("store: a copy serves as a source");
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    INFO("seed " << seed);
    RunRandom(seed);
  }
  CHECK(base::MarkCount("store: a copy serves as a source") > marks + 100);
}

TEST_CASE("ChunkPlan: stretches wrap around, come back, and what is here is found") {
  ChunkPlan plan(10 * kChunkBytes + 1);
  CHECK(plan.chunks() == 11);
  CHECK(plan.Take(8, 8) == ByteRange{8 * kChunkBytes, 2 * kChunkBytes + 1});
  CHECK(plan.Take(8, 2) == ByteRange{0, 2 * kChunkBytes});
  CHECK(plan.OnTheirWay({0, 10 * kChunkBytes + 1}) == 5);
  CHECK_FALSE(plan.Arrive(3 * kChunkBytes));  // not on its way
  CHECK_FALSE(plan.Arrive(1));
  CHECK_FALSE(plan.Arrive(UINT64_MAX / kChunkBytes * kChunkBytes));
  CHECK(plan.Arrive(10 * kChunkBytes));
  CHECK_FALSE(plan.Arrive(10 * kChunkBytes));
  CHECK(plan.Arrive(9 * kChunkBytes));
  CHECK(plan.FirstHere({0, 10 * kChunkBytes + 1}) == ByteRange{9 * kChunkBytes, kChunkBytes + 1});
  CHECK(plan.FirstHere({9 * kChunkBytes, kChunkBytes}) == ByteRange{9 * kChunkBytes, kChunkBytes});
  CHECK(plan.FirstHere({9 * kChunkBytes + 1, kChunkBytes - 1}).bytes ==
        0);  // none lies whole in it
  CHECK(plan.FirstHere({UINT64_MAX - 1, 5}).bytes == 0);
  plan.GiveBack({8 * kChunkBytes, 2 * kChunkBytes + 1});
  CHECK(plan.to_come() == 9);
  CHECK(plan.Take(7, 8) == ByteRange{7 * kChunkBytes, 2 * kChunkBytes});
  CHECK(plan.Take(0, 100) == ByteRange{2 * kChunkBytes, 5 * kChunkBytes});
  CHECK_FALSE(plan.Take(0, 1).has_value());
  CHECK_FALSE(ChunkPlan().Take(0, 1).has_value());
}

}  // namespace
}  // namespace rayx::store
