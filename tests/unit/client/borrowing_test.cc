// Goal: an object lives as long as anybody holds it, and no longer: no free before the last hold,
// nothing left when all are gone, whatever order messages of different pairs come in. Method:
// several ClientCores joined by queues, one a pair and direction, drained in a seeded order;
// executors are played by the test, which does what client/executor does.
#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "base/prng.h"
#include "client/core/client_core.h"

namespace rayx::client {
namespace {

using model::FrameHeader;
using model::FrameKind;
using model::ObjectId;
using model::ProcessId;

ProcessId Process(uint32_t number) {
  return ProcessId::Make(model::NodeNumber{1}, number);
}

struct Frame {
  FrameHeader header;
  std::vector<std::byte> body;
};

struct Network;

struct Sink {
  Network* network = nullptr;
  bool SendCall(FrameHeader& header, std::span<const std::byte> body, bool);
  void SendMessage(const FrameHeader& header, std::span<const std::byte> body, bool urgent);
  Revocation TryRevoke(const FrameHeader&) { return Revocation::kTooLate; }
  bool MayHaveStarted(const FrameHeader&) { return true; }
  void RequestLease(uint64_t request, const proto::SchedulingClass&, std::span<const uint32_t>) {
    leases.push_back(request);
  }
  void CancelLease(uint64_t) {}
  void ReturnLease(model::LeaseId, bool) {}
  void CreateActor(const proto::ActorSpec&) {}
  void WatchActor(model::ActorId, uint64_t) {}
  void ConnectPeer(ProcessId) {}
  void FreeStored(const model::StoredLocation&) {}
  void Resolved(uint32_t) {}
  void Warn(const std::string&) {}
  std::vector<uint64_t> leases;
};

using Core = ClientCore<Sink>;

struct Member {
  Member(Network* network, uint32_t number)
      : id(Process(number)), sink{network, {}}, core({.self = id, .job = model::JobId{1}}, sink) {}
  ProcessId id;
  Sink sink;
  Core core;
  std::deque<Frame> calls;
  bool dead = false;
};

struct Network {
  explicit Network(uint64_t seed, uint32_t members) : random(seed, 0, 0) {
    for (uint32_t i = 1; i <= members; ++i) all.push_back(std::make_unique<Member>(this, i));
  }
  Member& At(ProcessId id) {
    for (auto& member : all) {
      if (member->id == id) return *member;
    }
    FAIL("no such process");
    return *all[0];
  }
  void Deliver(Frame frame) {
    queues[{frame.header.source, frame.header.destination}].push_back(std::move(frame));
  }
  // One message of a pair that the seed picks; false: none is under way.
  bool Step() {
    std::vector<std::pair<ProcessId, ProcessId>> busy;
    for (const auto& [pair, queue] : queues) {
      if (!queue.empty()) busy.push_back(pair);
    }
    if (busy.empty()) return false;
    auto& queue = queues[busy[random.NextBelow(busy.size())]];
    const Frame frame = std::move(queue.front());
    queue.pop_front();
    Member& to = At(frame.header.destination);
    if (to.dead) return true;
    if (model::IsCall(frame.header.kind)) {
      to.calls.push_back(frame);
    } else {
      to.core.OnMessage(frame.header, frame.body, now);
      // Every message of borrowing is delivered twice.
      if (frame.header.kind >= FrameKind::kAddBorrower &&
          frame.header.kind <= FrameKind::kRemoveBorrower) {
        to.core.OnMessage(frame.header, frame.body, now);
      }
      to.core.OnRoom(now);
    }
    to.core.CheckInvariants();
    return true;
  }
  void Settle() {
    for (int round = 0; round < 4; ++round) {
      for (auto& member : all) {
        if (!member->dead) member->core.OnTick(now);
      }
      while (Step()) {
      }
    }
  }
  void Kill(Member& member) {
    member.dead = true;
    for (auto& [pair, queue] : queues) {
      if (pair.first == member.id || pair.second == member.id) queue.clear();
    }
    proto::DeathCause cause;
    cause.set_signal(9);
    for (auto& other : all) {
      if (!other->dead) other->core.OnProcessDied(member.id, cause, now);
    }
  }

  base::RandomStream random;
  model::TimePoint now{std::chrono::seconds(1)};
  std::vector<std::unique_ptr<Member>> all;
  std::map<std::pair<ProcessId, ProcessId>, std::deque<Frame>> queues;
};

bool Sink::SendCall(FrameHeader& header, std::span<const std::byte> body, bool) {
  network->Deliver({header, {body.begin(), body.end()}});
  return true;
}
void Sink::SendMessage(const FrameHeader& header, std::span<const std::byte> body, bool) {
  network->Deliver({header, {body.begin(), body.end()}});
}

// What a program does with the handles that it has.
ObjectId Put(Member& at, const std::string& text, std::vector<ObjectId> refers = {}) {
  const uint32_t slot = at.core.NewObject();
  at.core.Contain(slot, refers);
  at.core.ResolveValue(slot, std::as_bytes(std::span(text)));
  return at.core.At(slot).id;
}
void Drop(Member& at, const ObjectId& id) {
  const uint32_t slot = at.core.Find(id);
  REQUIRE(slot != kNoSlot);
  at.core.ReleaseHold(slot);
}
bool Lives(Network& network, const ObjectId& id) {
  return network.At(id.owner).core.Find(id) != kNoSlot;
}

// A task of `from` on `to`, with references inside its one argument; the test's executor takes it.
ObjectId Submit(Network& network, Member& from, Member& to, const std::vector<ObjectId>& refers) {
  auto record = from.core.NewTask();
  record->Extras().name = "t";
  proto::SchedulingClass description;
  description.set_job(to.id.value);  // a class for each worker
  record->class_index = from.core.ClassIndex(description);
  for (const ObjectId& id : refers) {
    const uint32_t slot = from.core.Find(id);
    REQUIRE(slot != kNoSlot);
    ++from.core.At(slot).holds;
    record->Extras().referred.push_back(slot);
  }
  const uint32_t slot = from.core.SubmitTask(std::move(record), network.now);
  const ObjectId id = from.core.At(slot).id;
  for (uint64_t request : std::exchange(from.sink.leases, {})) {
    from.core.OnLeaseGranted(request, model::LeaseId{request}, to.id, network.now);
  }
  return id;
}
Frame TakeCall(Network& network, Member& at) {
  while (at.calls.empty()) REQUIRE(network.Step());
  Frame frame = at.calls.front();
  at.calls.pop_front();
  return frame;
}
void Reply(Network& network, Member& at, const Frame& call,
           const std::vector<ObjectId>& refers = {}) {
  std::vector<Core::Returned> returned;
  if (!refers.empty()) returned.push_back({0, refers});
  const uint64_t request = at.core.RegisterBeforeReply(call.header, returned);
  while (!at.core.IsRegistered(request)) REQUIRE(network.Step());
  std::vector<std::byte> body;
  model::BodyWriter writer(body);
  if (!refers.empty()) writer.AddReferences(refers);
  writer.AddInline({});
  FrameHeader reply = call.header;
  reply.kind = FrameKind::kReply;
  reply.source = at.id;
  reply.destination = call.header.source;
  reply.item_count = writer.item_count();
  network.Deliver({reply, body});
}

}  // namespace

TEST_CASE("Borrowing: an argument's reference that is not kept costs no message (R1)") {
  Network network(1, 2);
  Member& driver = *network.all[0];
  Member& worker = *network.all[1];
  const ObjectId object = Put(driver, "x");
  const ObjectId task = Submit(network, driver, worker, {object});
  Drop(driver, object);  // the call holds it
  const Frame call = TakeCall(network, worker);
  worker.core.Adopt(object);
  CHECK(Lives(network, object));
  Drop(worker, object);
  Reply(network, worker, call);
  network.Settle();
  CHECK_FALSE(Lives(network, object));
  Drop(driver, task);
  CHECK_FALSE(Lives(network, task));
}

TEST_CASE(
    "Borrowing: a reference that an actor keeps outlives the call and the owner's handle (R2)") {
  Network network(2, 2);
  Member& driver = *network.all[0];
  Member& worker = *network.all[1];
  const ObjectId object = Put(driver, "x");
  Submit(network, driver, worker, {object});
  Drop(driver, object);
  const Frame call = TakeCall(network, worker);
  worker.core.Adopt(object);
  Reply(network, worker, call);
  network.Settle();
  CHECK(Lives(network, object));
  CHECK(driver.core.has_borrowers());
  SECTION("until it drops it") {
    Drop(worker, object);
    network.Settle();
  }
  SECTION("until it dies") {
    network.Kill(worker);
  }
  CHECK_FALSE(Lives(network, object));
  CHECK_FALSE(driver.core.has_borrowers());
}

TEST_CASE("Borrowing: what a result refers to lives with the result (R3)") {
  Network network(3, 3);
  Member& driver = *network.all[0];
  Member& worker = *network.all[1];
  Member& third = *network.all[2];
  SECTION("the worker's own object") {
    const ObjectId task = Submit(network, driver, worker, {});
    const Frame call = TakeCall(network, worker);
    const ObjectId inner = Put(worker, "inner");
    // The handle in the returned value goes with the function's end.
    const std::vector<Core::Returned> returned{{0, {inner}}};
    Reply(network, worker, call, {inner});
    Drop(worker, inner);
    network.Settle();
    CHECK(Lives(network, inner));
    driver.core.Adopt(inner, driver.core.Find(task));  // its Get
    Drop(driver, task);
    network.Settle();
    CHECK(Lives(network, inner));
    Drop(driver, inner);
    network.Settle();
    CHECK_FALSE(Lives(network, inner));
    CHECK_FALSE(worker.core.has_borrowers());
  }
  SECTION("a third process's object") {
    const ObjectId inner = Put(third, "inner");
    Submit(network, third, worker, {inner});
    const Frame kept = TakeCall(network, worker);
    worker.core.Adopt(inner);
    Reply(network, worker, kept);
    network.Settle();
    Drop(third, inner);
    const ObjectId task = Submit(network, driver, worker, {});
    Reply(network, worker, TakeCall(network, worker), {inner});
    Drop(worker, inner);
    network.Settle();
    CHECK(Lives(network, inner));
    Drop(driver, task);
    network.Settle();
    CHECK_FALSE(Lives(network, inner));
  }
  SECTION("an argument of the same call, back at its owner") {
    const ObjectId object = Put(driver, "x");
    const ObjectId task = Submit(network, driver, worker, {object});
    Drop(driver, object);
    const Frame call = TakeCall(network, worker);
    worker.core.Adopt(object);
    Reply(network, worker, call, {object});
    Drop(worker, object);
    network.Settle();
    CHECK(Lives(network, object));
    Drop(driver, task);
    network.Settle();
    CHECK_FALSE(Lives(network, object));
  }
}

TEST_CASE("Borrowing: a value that is fetched keeps its outer object until it is registered (R4)") {
  Network network(4, 3);
  Member& driver = *network.all[0];
  Member& actor = *network.all[1];
  const ObjectId inner = Put(driver, "inner");
  const ObjectId outer = Put(driver, "outer", {inner});
  Drop(driver, inner);
  Submit(network, driver, actor, {outer});
  const Frame call = TakeCall(network, actor);
  actor.core.Adopt(outer);
  Reply(network, actor, call);
  network.Settle();
  Drop(driver, outer);
  network.Settle();
  CHECK(Lives(network, inner));
  actor.core.Adopt(inner, actor.core.Find(outer));  // its Get of outer
  Drop(actor, outer);
  while (network.Step()) {
  }
  network.Settle();
  CHECK_FALSE(Lives(network, outer));
  CHECK(Lives(network, inner));
  Drop(actor, inner);
  network.Settle();
  CHECK_FALSE(Lives(network, inner));
}

TEST_CASE("Borrowing: a long chain of objects goes without recursion") {
  Network network(5, 1);
  Member& driver = *network.all[0];
  ObjectId last = Put(driver, "0");
  for (int i = 0; i < 200'000; ++i) {
    const ObjectId next = Put(driver, "n", {last});
    Drop(driver, last);
    last = next;
  }
  Drop(driver, last);
  CHECK_FALSE(Lives(network, last));
  driver.core.CheckInvariants();
}

TEST_CASE("Borrowing: the death of an owner ends the wait for its word") {
  Network network(6, 3);
  Member& owner = *network.all[0];
  Member& driver = *network.all[1];
  Member& worker = *network.all[2];
  const ObjectId object = Put(owner, "x");
  Submit(network, owner, worker, {object});
  const Frame call = TakeCall(network, worker);
  worker.core.Adopt(object);
  const uint64_t request = worker.core.RegisterBeforeReply(call.header, {});
  CHECK_FALSE(worker.core.IsRegistered(request));
  network.Kill(owner);
  CHECK(worker.core.IsRegistered(request));
  Drop(worker, object);
  CHECK(worker.core.Find(object) == kNoSlot);
  network.Settle();
  CHECK_FALSE(driver.core.has_borrowers());
}

// Random programs of four processes: each handle that somebody has must find its object alive, and
// when all are dropped nothing is left.
TEST_CASE("Borrowing: random programs lose nothing and leave nothing") {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Network network(seed, 4);
    std::map<ProcessId, std::vector<ObjectId>> handles;
    std::map<ObjectId, std::vector<ObjectId>> refers;  // of objects: what their values name
    for (int step = 0; step < 120; ++step) {
      Member& at = *network.all[network.random.NextBelow(4)];
      auto& mine = handles[at.id];
      const auto pick = [&] { return mine[network.random.NextBelow(mine.size())]; };
      switch (network.random.NextBelow(5)) {
        case 0: {
          std::vector<ObjectId> inside;
          if (!mine.empty() && network.random.NextBelow(2) == 0) inside.push_back(pick());
          mine.push_back(Put(at, "v", inside));
          refers[mine.back()] = inside;
          break;
        }
        case 1: {
          if (mine.empty()) break;
          const size_t index = network.random.NextBelow(mine.size());
          Drop(at, mine[index]);
          mine.erase(mine.begin() + static_cast<ptrdiff_t>(index));
          break;
        }
        case 2: {  // a call that keeps its argument and returns something of its own
          if (mine.empty()) break;
          Member& to = *network.all[network.random.NextBelow(4)];
          if (&to == &at) break;
          const ObjectId argument = pick();
          const ObjectId task = Submit(network, at, to, {argument});
          const Frame call = TakeCall(network, to);
          REQUIRE(call.header.task == task);
          to.core.Adopt(argument);
          std::vector<ObjectId> result;
          auto& theirs = handles[to.id];
          if (!theirs.empty() && network.random.NextBelow(2) == 0) {
            result.push_back(theirs[network.random.NextBelow(theirs.size())]);
          }
          if (network.random.NextBelow(2) == 0) {
            theirs.push_back(argument);
          } else {
            Drop(to, argument);
          }
          Reply(network, to, call, result);
          while (!at.core.IsReady(at.core.Find(task))) REQUIRE(network.Step());
          mine.push_back(task);
          refers[task] = result;
          break;
        }
        case 3: {  // Get of something that refers to another
          if (mine.empty()) break;
          const ObjectId outer = pick();
          if (refers[outer].empty()) break;
          at.core.Adopt(refers[outer][0], at.core.Find(outer));
          mine.push_back(refers[outer][0]);
          break;
        }
        default:
          network.Step();
      }
      for (const auto& [process, held] : handles) {
        for (const ObjectId& id : held) REQUIRE(Lives(network, id));
      }
    }
    for (auto& [process, held] : handles) {
      for (const ObjectId& id : held) Drop(network.At(process), id);
    }
    network.Settle();
    for (auto& member : network.all) {
      INFO("seed " << seed);
      REQUIRE_FALSE(member->core.has_borrowers());
      REQUIRE(member->core.live_objects() == 0);
    }
  }
}

}  // namespace rayx::client
