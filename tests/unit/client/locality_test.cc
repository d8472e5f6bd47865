// Goal:   a task is sent to the node where most bytes of its arguments lie, when there is room, and
//         waits for that no longer than the bytes would take to come.
// Method: the core over a sink that records what it asks for; objects that lie on nodes 1 to 3.
#include <catch2/catch.hpp>
#include <string>

#include "client/core/client_core.h"

namespace rayx::client {
namespace {

using model::FrameHeader;
using model::NodeNumber;
using model::ProcessId;
using std::chrono::milliseconds;

const ProcessId kSelf = ProcessId::Make(NodeNumber{1}, 1);
constexpr uint64_t kMiB = uint64_t{1} << 20;

ProcessId WorkerOn(uint32_t node) {
  return ProcessId::Make(NodeNumber{node}, 7);
}

struct Sink {
  std::vector<FrameHeader> calls;
  std::vector<uint64_t> requests;
  std::vector<std::vector<uint32_t>> nodes;  // of every request

  bool SendCall(FrameHeader& header, std::span<const std::byte>, bool) {
    calls.push_back(header);
    return true;
  }
  void SendMessage(const FrameHeader&, std::span<const std::byte>, bool) {}
  Revocation TryRevoke(const FrameHeader&) { return Revocation::kTooLate; }
  bool MayHaveStarted(const FrameHeader&) { return true; }
  void RequestLease(uint64_t request, const proto::SchedulingClass&,
                    std::span<const uint32_t> argument_nodes) {
    requests.push_back(request);
    nodes.emplace_back(argument_nodes.begin(), argument_nodes.end());
  }
  void CancelLease(uint64_t) {}
  void ReturnLease(model::LeaseId, bool) {}
  void CreateActor(const proto::ActorSpec&) {}
  void WatchActor(model::ActorId, uint64_t) {}
  void ConnectPeer(ProcessId) {}
  void FreeStored(const model::StoredLocation&) {}
  void Resolved(uint32_t) {}
  void Warn(const std::string&) {}
};

struct Fixture {
  Sink sink;
  ClientCore<Sink> core{{.self = kSelf, .job = model::JobId{1}}, sink};
  model::TimePoint now{milliseconds(1000)};
  uint64_t leases = 0;
  proto::SchedulingClass description;

  uint32_t ObjectOn(uint32_t node, uint64_t bytes) {
    const uint32_t slot = core.NewObject();
    core.ResolveStored(slot,
                       {core.At(slot).id, NodeNumber{node}, model::JobId{1}, slot, 1, 0, bytes});
    return slot;
  }
  uint32_t Submit(const std::vector<uint32_t>& arguments) {
    auto record = core.NewTask();
    record->Extras().name = "t";
    record->class_index = core.ClassIndex(description);
    for (const uint32_t slot : arguments) {
      record->Extras().arguments.push_back({.slot = slot});
      ++core.At(slot).holds;
    }
    const uint32_t slot = core.SubmitTask(std::move(record), now);
    core.CheckInvariants();
    return slot;
  }
  void Grant(uint32_t node) {
    REQUIRE_FALSE(sink.requests.empty());
    const uint64_t request = sink.requests.front();
    sink.requests.erase(sink.requests.begin());
    core.OnLeaseGranted(request, model::LeaseId{++leases}, WorkerOn(node), now);
    core.CheckInvariants();
  }
  void Reply(const FrameHeader& call) {
    FrameHeader reply = call;
    reply.kind = model::FrameKind::kReply;
    reply.source = call.destination;
    reply.destination = kSelf;
    reply.item_count = 0;
    reply.number = 100'000;
    core.OnMessage(reply, {}, now);
    core.OnRoom(now);
    core.CheckInvariants();
  }
  void Tick(milliseconds later) {
    now += later;
    core.OnTick(now);
    core.CheckInvariants();
  }
  model::ObjectId Id(uint32_t slot) { return core.At(slot).id; }
};

TEST_CASE("ClientCore: a lease is asked for where most bytes of the task's arguments lie") {
  Fixture f;
  f.Submit({f.ObjectOn(2, 3 * kMiB), f.ObjectOn(3, 2 * kMiB), f.ObjectOn(1, kMiB),
            f.ObjectOn(3, 2 * kMiB)});
  CHECK(f.sink.nodes.back() == std::vector<uint32_t>{3, 2, 1});
  f.Submit({f.ObjectOn(2, 300'000)});  // its own request
  CHECK(f.sink.nodes.back() == std::vector<uint32_t>{2});
  const uint32_t small = f.core.NewObject();
  f.core.ResolveValue(small, {});
  f.Submit({small});
  CHECK(f.sink.nodes.back().empty());
}

TEST_CASE("ClientCore: a lease gets the task whose arguments lie on its node, not the first") {
  Fixture f;
  const uint32_t on_two = f.Submit({f.ObjectOn(2, 50 * kMiB)});
  const uint32_t on_three = f.Submit({f.ObjectOn(3, 50 * kMiB)});
  const uint32_t on_one = f.Submit({f.ObjectOn(1, 50 * kMiB)});
  f.Grant(1);
  REQUIRE(f.sink.calls.size() == 1);
  CHECK(f.sink.calls[0].task == f.Id(on_one));
  f.Grant(3);
  REQUIRE(f.sink.calls.size() == 2);
  CHECK(f.sink.calls[1].task == f.Id(on_three));
  CHECK(f.sink.calls[1].destination == WorkerOn(3));
  f.Grant(2);
  REQUIRE(f.sink.calls.size() == 3);
  CHECK(f.sink.calls[2].task == f.Id(on_two));
}

TEST_CASE("ClientCore: an idle worker elsewhere does not draw a task away from its arguments") {
  Fixture f;
  f.Submit({f.ObjectOn(1, 50 * kMiB)});
  f.Grant(1);
  f.Reply(f.sink.calls[0]);
  const uint32_t task = f.Submit({f.ObjectOn(2, 50 * kMiB)});
  CHECK(f.sink.calls.size() == 1);
  REQUIRE(f.sink.requests.size() == 1);
  CHECK(f.sink.nodes.back() == std::vector<uint32_t>{2});
  SECTION("a worker comes there in time") {
    f.Tick(milliseconds(20));
    f.Grant(2);
    REQUIRE(f.sink.calls.size() == 2);
    CHECK(f.sink.calls[1].destination == WorkerOn(2));
  }
  SECTION("none comes while the arguments could have come here") {
    const milliseconds transfer(static_cast<int64_t>(50 * kMiB / kTransferBytesPerUs / 1000));
    f.Tick(transfer - milliseconds(10));
    CHECK(f.sink.calls.size() == 1);
    f.Tick(milliseconds(20));
    REQUIRE(f.sink.calls.size() == 2);
    CHECK(f.sink.calls[1].destination == WorkerOn(1));
  }
  SECTION("the daemon says that there is no room, by a lease elsewhere") {
    f.Grant(1);
    REQUIRE(f.sink.calls.size() == 2);
    CHECK(f.sink.calls[1].destination == WorkerOn(1));
  }
  CHECK(f.sink.calls[1].task == f.Id(task));
}

TEST_CASE(
    "ClientCore: however much lies elsewhere, a task waits for a worker there no longer than "
    "200 ms, and one that is to run on a given node not at all") {
  Fixture f;
  f.Submit({f.ObjectOn(1, 50 * kMiB)});
  f.Grant(1);
  f.Reply(f.sink.calls[0]);
  f.Submit({f.ObjectOn(2, 5'000 * kMiB)});
  f.Tick(milliseconds(190));
  CHECK(f.sink.calls.size() == 1);
  f.Tick(milliseconds(20));
  CHECK(f.sink.calls.size() == 2);

  f.sink.requests.clear();
  f.description.mutable_strategy()->set_kind(proto::Strategy::NODE_AFFINITY);
  f.description.mutable_strategy()->set_node(1);
  f.Submit({f.ObjectOn(1, kMiB)});
  f.Grant(1);
  f.Reply(f.sink.calls[2]);
  f.Submit({f.ObjectOn(2, 5'000 * kMiB)});
  CHECK(f.sink.calls.size() == 4);
}

}  // namespace
}  // namespace rayx::client
