// Goal: the owner's decisions: dispatch, pipelining, retries, revocation, failure propagation,
// actor order. Method: ClientCore over a fake sink that records effects; replies and deaths are
// delivered by hand, every reply twice.
#include "client/core/client_core.h"

#include <catch2/catch.hpp>
#include <optional>

namespace rayx::client {
namespace {

using model::FrameHeader;
using model::FrameKind;
using model::ProcessId;
using std::chrono::milliseconds;

const ProcessId kSelf = ProcessId::Make(model::NodeNumber{1}, 1);
const ProcessId kWorkerA = ProcessId::Make(model::NodeNumber{1}, 2);
const ProcessId kWorkerB = ProcessId::Make(model::NodeNumber{2}, 3);

struct FakeSink {
  struct Sent {
    FrameHeader header;
    std::vector<std::byte> body;
  };
  std::vector<Sent> calls;
  std::vector<Sent> messages;
  std::vector<FrameHeader> revokes;
  std::vector<uint64_t> lease_requests;
  std::vector<uint64_t> cancelled;
  std::vector<model::LeaseId> returned;
  std::vector<proto::ActorSpec> created;
  std::vector<model::ActorId> watched;
  std::vector<model::StoredLocation> freed;
  std::vector<std::string> warnings;
  std::set<model::TaskId> started;  // cannot be revoked
  size_t room = 1000;
  std::set<ProcessId> no_room;     // there
  bool workers_elsewhere = false;  // what is sent can only be asked back

  bool SendCall(FrameHeader& header, std::span<const std::byte> body, bool) {
    if (room == 0 || no_room.contains(header.destination)) return false;
    --room;
    calls.push_back({header, {body.begin(), body.end()}});
    return true;
  }
  void SendMessage(const FrameHeader& header, std::span<const std::byte> body, bool) {
    messages.push_back({header, {body.begin(), body.end()}});
  }
  Revocation TryRevoke(const FrameHeader& header) {
    if (workers_elsewhere) {
      revokes.push_back(header);
      return Revocation::kAsked;
    }
    return started.contains(header.task) ? Revocation::kTooLate : Revocation::kRevoked;
  }
  bool MayHaveStarted(const FrameHeader& header) { return started.contains(header.task); }
  void RequestLease(uint64_t request, const proto::SchedulingClass&, std::span<const uint32_t>) {
    lease_requests.push_back(request);
  }
  void CancelLease(uint64_t request) { cancelled.push_back(request); }
  void ReturnLease(model::LeaseId lease, bool) { returned.push_back(lease); }
  void CreateActor(const proto::ActorSpec& spec) { created.push_back(spec); }
  void WatchActor(model::ActorId actor, uint64_t) { watched.push_back(actor); }
  void ConnectPeer(ProcessId) {}
  void FreeStored(const model::StoredLocation& location) { freed.push_back(location); }
  void Resolved(uint32_t) {}
  void Warn(const std::string& text) { warnings.push_back(text); }
};

struct Fixture {
  FakeSink sink;
  ClientCore<FakeSink> core{{.self = kSelf, .job = model::JobId{1}}, sink};
  model::TimePoint now{milliseconds(1000)};
  uint64_t leases = 0;

  uint32_t Class() {
    proto::SchedulingClass description;
    description.set_job(1);
    return core.ClassIndex(description);
  }
  // A task whose arguments are these objects.
  uint32_t Submit(int retries = 3, std::vector<uint32_t> arguments = {}) {
    auto record = core.NewTask();
    record->Extras().name = "t";
    record->retries_left = retries;
    record->class_index = Class();
    for (uint32_t slot : arguments) {
      record->Extras().arguments.push_back({.slot = slot});
      ++core.At(slot).holds;
    }
    return core.SubmitTask(std::move(record), now);
  }
  uint32_t SubmitFor(uint16_t results, int retries = 3) {
    auto record = core.NewTask();
    record->Extras().name = "several";
    record->retries_left = retries;
    record->class_index = Class();
    record->result_count = results;
    return core.SubmitTask(std::move(record), now);
  }
  // A reply with several results, delivered twice.
  void ReplyEach(const FrameHeader& call, const std::vector<std::string>& values) {
    std::vector<std::byte> body;
    model::BodyWriter writer(body);
    for (const std::string& value : values) writer.AddInline(std::as_bytes(std::span(value)));
    FrameHeader reply = call;
    reply.kind = FrameKind::kReply;
    reply.source = call.destination;
    reply.destination = kSelf;
    reply.item_count = writer.item_count();
    core.OnMessage(reply, body, now);
    core.OnMessage(reply, body, now);
    core.OnRoom(now);
    core.CheckInvariants();
  }
  // The head tells of an actor.
  void View(uint32_t actor, uint64_t version, proto::ActorState state, uint32_t incarnation,
            ProcessId process, std::optional<ErrorCode> cause = std::nullopt,
            const std::string& message = "") {
    proto::ActorView view;
    view.mutable_id()->set_creator(kSelf.value);
    view.mutable_id()->set_sequence(core.Actor(actor).id.sequence);
    view.set_version(version);
    view.set_state(state);
    view.set_incarnation(incarnation);
    view.set_process(process.value);
    if (cause) view.mutable_cause()->set_code(static_cast<int>(*cause));
    if (!message.empty()) view.mutable_cause()->set_message(message);
    core.OnActorView(view, now);
    core.CheckInvariants();
  }
  void Grant(ProcessId worker) {
    REQUIRE_FALSE(sink.lease_requests.empty());
    const uint64_t request = sink.lease_requests.front();
    sink.lease_requests.erase(sink.lease_requests.begin());
    core.OnLeaseGranted(request, model::LeaseId{++leases}, worker, now);
  }
  void Reply(const FrameHeader& call, std::string value = "v", bool failed = false,
             uint32_t micros = 10) {
    std::vector<std::byte> body;
    model::BodyWriter writer(body);
    if (failed) {
      writer.AddError(std::as_bytes(std::span(value)));
    } else {
      writer.AddInline(std::as_bytes(std::span(value)));
    }
    FrameHeader reply = call;
    reply.kind = FrameKind::kReply;
    reply.source = call.destination;
    reply.destination = kSelf;
    reply.item_count = 1;
    reply.run_micros = micros;
    core.OnMessage(reply, body, now);
    core.OnMessage(reply, body, now);  // a repeat changes nothing
    core.OnRoom(now);
    core.CheckInvariants();
  }
  std::string Value(uint32_t slot) {
    const auto bytes = core.At(slot).bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  proto::ErrorInfo ErrorInfo(uint32_t slot) {
    REQUIRE(core.At(slot).kind == ValueKind::kError);
    proto::ErrorInfo info;
    REQUIRE(info.ParseFromString(Value(slot)));
    return info;
  }
  ErrorCode Error(uint32_t slot) { return static_cast<ErrorCode>(ErrorInfo(slot).code()); }
  std::string Message(uint32_t slot) { return ErrorInfo(slot).message(); }
  void Answer(const FrameHeader& call, FrameKind kind) {
    FrameHeader answer = call;
    answer.kind = kind;
    answer.source = call.destination;
    answer.destination = kSelf;
    answer.item_count = 0;
    core.OnMessage(answer, {}, now);
    core.OnMessage(answer, {}, now);
    core.CheckInvariants();
  }
  void Fail(ErrorCode code) {
    REQUIRE_FALSE(sink.lease_requests.empty());
    const uint64_t request = sink.lease_requests.front();
    sink.lease_requests.erase(sink.lease_requests.begin());
    proto::ErrorInfo error;
    error.set_code(static_cast<int>(code));
    core.OnLeaseFailed(request, error, false, now);
    core.CheckInvariants();
  }
  void TickAfter(model::Duration time) {
    now += time;
    core.OnTick(now);
    core.CheckInvariants();
  }
  void Die(ProcessId process, int code = 0) {
    proto::DeathCause cause;
    cause.set_code(code);
    cause.set_signal(9);
    cause.set_reason("pid 7 ended");
    core.OnProcessDied(process, cause, now);
    core.CheckInvariants();
  }
};

}  // namespace

TEST_CASE(
    "ClientCore: a task asks for a lease, is sent when it is granted, resolves by its reply") {
  Fixture f;
  const uint32_t slot = f.Submit();
  REQUIRE(f.sink.lease_requests.size() == 1);
  CHECK(f.sink.calls.empty());
  f.Grant(kWorkerA);
  REQUIRE(f.sink.calls.size() == 1);
  CHECK(f.sink.calls[0].header.destination == kWorkerA);
  CHECK(f.sink.calls[0].header.attempt == 1);
  f.Reply(f.sink.calls[0].header, "42");
  CHECK(f.core.IsReady(slot));
  CHECK(f.Value(slot) == "42");
}

TEST_CASE("ClientCore: a reply with another cookie, attempt or source is dropped") {
  Fixture f;
  const uint32_t slot = f.Submit();
  f.Grant(kWorkerA);
  FrameHeader call = f.sink.calls[0].header;
  FrameHeader wrong = call;
  wrong.attempt = 2;
  f.Reply(wrong);
  wrong = call;
  wrong.cookie_sequence += 1;
  f.Reply(wrong);
  wrong = call;
  wrong.cookie_slot = 12345678;
  f.Reply(wrong);
  wrong = call;
  wrong.destination = kWorkerB;
  f.Reply(wrong);
  CHECK_FALSE(f.core.IsReady(slot));
  f.Reply(call);
  CHECK(f.core.IsReady(slot));
}

TEST_CASE("ClientCore: short tasks are pipelined on one lease, long ones are not") {
  Fixture f;
  f.Submit();
  f.Grant(kWorkerA);
  f.Reply(f.sink.calls[0].header, "v", false, /*micros=*/2);
  for (int i = 0; i < 10; ++i) f.Submit();
  CHECK(f.sink.calls.size() == 11);
  Fixture g;
  g.Submit();
  g.Grant(kWorkerA);
  g.Reply(g.sink.calls[0].header, "v", false, /*micros=*/500'000);
  for (int i = 0; i < 10; ++i) g.Submit();
  CHECK(g.sink.calls.size() == 2);
  CHECK(g.sink.lease_requests.size() == 9);
}

TEST_CASE(
    "ClientCore: requests that are not needed any more are cancelled, a late grant is given back") {
  Fixture f;
  f.Submit();
  f.Submit();
  REQUIRE(f.sink.lease_requests.size() == 2);
  const uint64_t second = f.sink.lease_requests[1];
  f.Grant(kWorkerA);
  f.Reply(f.sink.calls[0].header, "v", false, 2);
  REQUIRE(f.sink.calls.size() == 2);
  CHECK(f.sink.cancelled == std::vector<uint64_t>{second});
  f.core.OnLeaseGranted(second, model::LeaseId{99}, kWorkerB, f.now);
  CHECK(f.sink.returned == std::vector<model::LeaseId>{model::LeaseId{99}});
}

TEST_CASE("ClientCore: a task with several results resolves each, or fails them all") {
  Fixture f;
  const uint32_t slot = f.SubmitFor(3);
  CHECK(f.core.At(slot + 2).id.sequence == f.core.At(slot).id.sequence + 2);
  f.Grant(kWorkerA);
  REQUIRE(f.sink.calls.size() == 1);
  const FrameHeader call = f.sink.calls[0].header;
  CHECK(call.result_count == 3);
  CHECK(f.core.TaskOf(slot + 1) != nullptr);
  CHECK_THAT(f.core.Describe(slot + 2), Catch::Contains("several") && Catch::Contains("sent to"));
  SECTION("each its own") {
    f.ReplyEach(call, {"a", std::string(100, 'b'), "c"});
    CHECK(f.Value(slot) == "a");
    CHECK(f.Value(slot + 1) == std::string(100, 'b'));
    CHECK(f.Value(slot + 2) == "c");
    CHECK(f.core.TaskOf(slot + 1) == nullptr);
  }
  SECTION("a failed call") {
    proto::ErrorInfo error;
    error.set_code(static_cast<int>(ErrorCode::kTaskError));
    f.Reply(call, error.SerializeAsString(), /*failed=*/true);
    for (uint32_t i = 0; i < 3; ++i) CHECK(f.Error(slot + i) == ErrorCode::kTaskError);
  }
  SECTION("a reply with too few") {
    f.ReplyEach(call, {"a"});
    CHECK(f.Value(slot) == "a");
    CHECK(f.Error(slot + 1) == ErrorCode::kSerializationError);
    CHECK(f.Error(slot + 2) == ErrorCode::kSerializationError);
  }
  SECTION("a reply with none") {
    f.ReplyEach(call, {});
    for (uint32_t i = 0; i < 3; ++i) CHECK(f.Error(slot + i) == ErrorCode::kSerializationError);
  }
  SECTION("no holds left: they are resolved and go, and their slots serve again") {
    for (uint32_t i = 0; i < 3; ++i) f.core.ReleaseHold(slot + i);
    f.ReplyEach(call, {"a", "b", "c"});
    CHECK(f.SubmitFor(3) == slot);
  }
  SECTION("the worker dies: run again, once") {
    f.sink.started.insert(call.task);
    f.Die(kWorkerA);
    f.Grant(kWorkerB);
    REQUIRE(f.sink.calls.size() == 2);
    f.ReplyEach(call, {"x", "y", "z"});  // of the superseded attempt
    CHECK_FALSE(f.core.IsReady(slot + 2));
    f.ReplyEach(f.sink.calls[1].header, {"a", "b", "c"});
    CHECK(f.Value(slot + 2) == "c");
  }
  SECTION("the cluster is lost") {
    f.core.OnClusterLost(EncodeError(ErrorCode::kHeadUnavailable, "gone"));
    f.core.CheckInvariants();
    for (uint32_t i = 0; i < 3; ++i) CHECK(f.Error(slot + i) == ErrorCode::kHeadUnavailable);
  }
}

TEST_CASE("ClientCore: stored results of a superseded attempt are freed, those in use are not") {
  Fixture f;
  const uint32_t slot = f.SubmitFor(2);
  f.Grant(kWorkerA);
  const FrameHeader call = f.sink.calls[0].header;
  const auto stored = [&](uint32_t attempt_entry) {
    std::vector<std::byte> body;
    model::BodyWriter writer(body);
    for (uint32_t i = 0; i < 2; ++i) {
      model::StoredLocation location;
      location.object = {kSelf, call.task.sequence + i};
      location.node = model::NodeNumber{1};
      location.entry = attempt_entry + i;
      writer.AddStored(location);
    }
    FrameHeader reply = call;
    reply.kind = FrameKind::kReply;
    reply.source = call.destination;
    reply.item_count = 2;
    f.core.OnMessage(reply, body, f.now);
    f.core.OnRoom(f.now);
    f.core.CheckInvariants();
  };
  stored(10);
  CHECK(f.sink.freed.empty());
  stored(10);  // a repeat names what they still are
  CHECK(f.sink.freed.empty());
  stored(20);
  REQUIRE(f.sink.freed.size() == 2);
  CHECK(f.sink.freed[1].entry == 21);
  CHECK(f.core.At(slot + 1).stored->entry == 11);
}

TEST_CASE("ClientCore: after a worker's death a started task is sent again with a higher attempt") {
  Fixture f;
  const uint32_t slot = f.Submit(/*retries=*/1);
  f.Grant(kWorkerA);
  f.sink.started.insert(f.core.At(slot).id);
  const FrameHeader first = f.sink.calls[0].header;
  f.Die(kWorkerA);
  f.Grant(kWorkerB);
  REQUIRE(f.sink.calls.size() == 2);
  CHECK(f.sink.calls[1].header.attempt == 2);
  f.Reply(first, "stale");
  CHECK_FALSE(f.core.IsReady(slot));
  f.Reply(f.sink.calls[1].header, "second");
  CHECK(f.Value(slot) == "second");
  REQUIRE(f.sink.warnings.size() == 1);
  CHECK_THAT(f.sink.warnings[0], Catch::EndsWith(": pid 7 ended; attempt 2 of 2 follows"));
}

TEST_CASE("ClientCore: a task that had not started costs no attempt, even with no retries") {
  Fixture f;
  const uint32_t slot = f.Submit(/*retries=*/0);
  f.Grant(kWorkerA);
  f.Die(kWorkerA);
  f.Grant(kWorkerB);
  REQUIRE(f.sink.calls.size() == 2);
  CHECK(f.sink.calls[1].header.attempt == 1);
  f.sink.started.insert(f.core.At(slot).id);
  f.Die(kWorkerB);
  CHECK(f.Error(slot) == ErrorCode::kWorkerDied);
}

TEST_CASE(
    "ClientCore: every attempt killing its worker ends as TaskPoisoned, a lost node as NodeDied") {
  Fixture f;
  const uint32_t slot = f.Submit(/*retries=*/1);
  f.sink.started.insert(f.core.At(slot).id);
  f.Grant(kWorkerA);
  f.Die(kWorkerA);
  f.Grant(kWorkerA);
  f.Die(kWorkerA);
  CHECK(f.Error(slot) == ErrorCode::kTaskPoisoned);
  CHECK_THAT(f.Message(slot), Catch::Contains("each of the 2 attempts of task ") &&
                                  Catch::Contains(" killed its worker; the last: pid 7 ended"));
  const uint32_t other = f.Submit(/*retries=*/0);
  f.sink.started.insert(f.core.At(other).id);
  f.Grant(kWorkerB);
  f.core.OnNodeDied(kWorkerB.node(), "silent for 10 s", f.now);
  CHECK(f.Error(other) == ErrorCode::kNodeDied);
}

TEST_CASE("ClientCore: a dependant waits for its argument and gets the value, or its error") {
  Fixture f;
  const uint32_t first = f.Submit();
  const uint32_t second = f.Submit(3, {first});
  const uint32_t third = f.Submit(3, {second});
  f.Grant(kWorkerA);
  REQUIRE(f.sink.calls.size() == 1);
  f.Reply(f.sink.calls[0].header, "abc");
  REQUIRE(f.sink.calls.size() == 2);
  model::BodyReader reader(f.sink.calls[1].body, f.sink.calls[1].header.item_count);
  model::Item item;
  REQUIRE(reader.Next(item));
  CHECK(std::string(reinterpret_cast<const char*>(item.bytes.data()), item.bytes.size()) == "abc");
  f.Reply(f.sink.calls[1].header, EncodeError(ErrorCode::kTaskError, "boom"), /*failed=*/true);
  CHECK(f.Error(second) == ErrorCode::kTaskError);
  CHECK(f.Error(third) == ErrorCode::kTaskError);
  CHECK(f.sink.calls.size() == 2);
}

TEST_CASE("ClientCore: a failed argument of a chain of 100,000 dependants fails them all") {
  Fixture f;
  std::vector<uint32_t> slots = {f.Submit()};
  for (int i = 0; i < 100'000; ++i) slots.push_back(f.Submit(3, {slots.back()}));
  f.Grant(kWorkerA);
  f.Reply(f.sink.calls[0].header, EncodeError(ErrorCode::kTaskError, "boom"), /*failed=*/true);
  CHECK(f.Error(slots.back()) == ErrorCode::kTaskError);
}

TEST_CASE("ClientCore: frames behind a stuck one are taken back and given to another worker") {
  Fixture f;
  f.Submit();
  f.Grant(kWorkerA);
  f.Reply(f.sink.calls[0].header, "v", false, 2);
  const uint32_t stuck = f.Submit();
  const uint32_t behind = f.Submit();
  f.sink.started.insert(f.core.At(stuck).id);
  REQUIRE(f.sink.calls.size() == 3);
  f.now += milliseconds(20);
  f.core.OnTick(f.now);
  REQUIRE_FALSE(f.sink.lease_requests.empty());
  f.Grant(kWorkerB);
  REQUIRE(f.sink.calls.size() == 4);
  CHECK(f.sink.calls[3].header.destination == kWorkerB);
  CHECK(f.sink.calls[3].header.task == f.core.At(behind).id);
  f.Reply(f.sink.calls[3].header);
  CHECK(f.core.IsReady(behind));
  CHECK_FALSE(f.core.IsReady(stuck));
}

TEST_CASE("ClientCore: idle leases are given back; a recalled one when it has run dry") {
  Fixture f;
  f.Submit();
  f.Grant(kWorkerA);
  f.Reply(f.sink.calls[0].header);
  f.now += milliseconds(600);
  f.core.OnTick(f.now);
  CHECK(f.sink.returned.size() == 1);
  CHECK_FALSE(f.core.HasPending());
  const uint32_t slot = f.Submit();
  f.Grant(kWorkerA);
  f.sink.started.insert(f.core.At(slot).id);
  f.core.OnLeaseRecalled(model::LeaseId{2}, /*if_idle=*/false, f.now);
  CHECK(f.sink.returned.size() == 1);
  f.Reply(f.sink.calls[1].header);
  CHECK(f.sink.returned.size() == 2);
}

TEST_CASE("ClientCore: a lease that another waits for is given back once it idles") {
  Fixture f;
  f.Submit();
  f.Grant(kWorkerA);
  f.core.OnLeaseRecalled(model::LeaseId{1}, /*if_idle=*/true, f.now);
  f.now += milliseconds(3);
  f.core.OnTick(f.now);
  CHECK(f.sink.returned.empty());  // in use
  f.Reply(f.sink.calls[0].header);
  f.Submit();  // at once: it is kept
  REQUIRE(f.sink.calls.size() == 2);
  f.Reply(f.sink.calls[1].header);
  CHECK(f.sink.returned.empty());
  f.now += milliseconds(2);
  f.core.OnTick(f.now);
  CHECK(f.sink.returned.size() == 1);
}

TEST_CASE("ClientCore: infeasible work fails with what the daemon said") {
  Fixture f;
  const uint32_t slot = f.Submit();
  proto::ErrorInfo error;
  error.set_code(static_cast<int>(ErrorCode::kInfeasible));
  f.core.OnLeaseFailed(f.sink.lease_requests[0], error, false, f.now);
  CHECK(f.Error(slot) == ErrorCode::kInfeasible);
}

TEST_CASE("ClientCore: values are kept while held, then freed") {
  Fixture f;
  const uint32_t slot = f.Submit();
  f.Grant(kWorkerA);
  std::vector<std::byte> body;
  model::BodyWriter writer(body);
  writer.AddStored(model::StoredLocation{});
  FrameHeader reply = f.sink.calls[0].header;
  reply.kind = FrameKind::kReply;
  reply.source = kWorkerA;
  reply.item_count = 1;
  f.core.OnMessage(reply, body, f.now);
  f.core.OnRoom(f.now);
  REQUIRE(f.core.At(slot).kind == ValueKind::kStored);
  const model::ObjectId id = f.core.At(slot).id;
  ++f.core.At(slot).holds;
  f.core.ReleaseHold(slot);
  CHECK(f.sink.freed.empty());
  f.core.ReleaseHold(slot);
  CHECK(f.sink.freed.size() == 1);
  CHECK(f.core.Find(id) == kNoSlot);
}

TEST_CASE("ClientCore: another process's fetch is answered now, later, or with ObjectLost") {
  Fixture f;
  const uint32_t slot = f.Submit();
  FrameHeader fetch;
  fetch.kind = FrameKind::kFetchValue;
  fetch.source = kWorkerB;
  fetch.task = f.core.At(slot).id;
  fetch.cookie_slot = 7;
  f.core.OnMessage(fetch, {}, f.now);
  CHECK(f.sink.messages.empty());
  f.Grant(kWorkerA);
  f.Reply(f.sink.calls[0].header, "x");
  REQUIRE(f.sink.messages.size() == 1);
  CHECK(f.sink.messages[0].header.kind == FrameKind::kValue);
  CHECK(f.sink.messages[0].header.cookie_slot == 7);
  fetch.task.sequence += 1u << 24;
  f.core.OnMessage(fetch, {}, f.now);
  REQUIRE(f.sink.messages.size() == 2);
}

TEST_CASE("ClientCore: the death of an owner fails what was asked for there") {
  Fixture f;
  const model::ObjectId foreign{kWorkerB, 1u << 24};
  const uint32_t slot = f.core.Adopt(foreign);
  f.core.Want(slot);
  f.core.Want(slot);
  REQUIRE(f.sink.messages.size() == 1);
  f.Die(kWorkerB);
  CHECK(f.Error(slot) == ErrorCode::kOwnerDied);
}

TEST_CASE("ClientCore: actor calls go out in call order, also when an argument is late") {
  Fixture f;
  auto record = f.core.NewTask();
  record->Extras().name = "A";
  const uint32_t actor = f.core.CreateActor(std::move(record), {}, f.now);
  REQUIRE(f.sink.created.size() == 1);
  const uint32_t late = f.Submit();
  auto call = [&](std::vector<uint32_t> arguments) {
    auto each = f.core.NewTask();
    for (uint32_t slot : arguments) {
      each->Extras().arguments.push_back({.slot = slot});
      ++f.core.At(slot).holds;
    }
    return f.core.SubmitActorCall(actor, std::move(each), f.now);
  };
  const uint32_t one = call({late});
  const uint32_t two = call({});
  f.View(actor, 1, proto::ACTOR_ALIVE, 1, kWorkerB);
  CHECK(f.sink.calls.empty());
  f.Grant(kWorkerA);
  f.Reply(f.sink.calls[0].header);
  REQUIRE(f.sink.calls.size() == 3);
  CHECK(f.sink.calls[1].header.task == f.core.At(one).id);
  CHECK(f.sink.calls[1].header.call_number == 1);
  CHECK(f.sink.calls[2].header.task == f.core.At(two).id);
  CHECK(f.sink.calls[2].header.call_number == 2);
  f.Die(kWorkerB);
  CHECK(f.Error(one) == ErrorCode::kActorDied);
  const uint32_t three = call({});
  f.View(actor, 2, proto::ACTOR_DEAD, 1, kWorkerB, ErrorCode::kActorDied);
  CHECK(f.Error(three) == ErrorCode::kActorDied);
  CHECK(f.Error(call({})) == ErrorCode::kActorDied);
}

namespace {

// An actor that was created and serves, of incarnation 1 on kWorkerB.
struct ActorFixture : Fixture {
  explicit ActorFixture(int max_restarts) {
    auto record = core.NewTask();
    record->Extras().name = "A";
    proto::ActorSpec spec;
    spec.set_class_name("Ledger");
    spec.set_max_restarts(max_restarts);
    actor = core.CreateActor(std::move(record), std::move(spec), now);
    View(1, proto::ACTOR_ALIVE, 1, kWorkerB);
  }
  void View(uint64_t version, proto::ActorState state, uint32_t incarnation, ProcessId process,
            std::optional<ErrorCode> cause = std::nullopt, const std::string& message = "") {
    Fixture::View(actor, version, state, incarnation, process, cause, message);
  }
  uint32_t Call() { return core.SubmitActorCall(actor, core.NewTask(), now); }

  uint32_t actor = 0;
};

const ProcessId kWorkerC = ProcessId::Make(model::NodeNumber{2}, 4);

}  // namespace

TEST_CASE("ClientCore: calls in flight when an actor restarts fail, in whatever order it is told") {
  for (const std::string order : {"da", "rda", "rad", "ad", "ra", "uda", "rua", "a"}) {
    INFO(order);
    ActorFixture f(/*max_restarts=*/3);
    const uint32_t running = f.Call();
    const FrameHeader sent = f.sink.calls.at(0).header;
    uint64_t version = 1;
    for (const char what : order) {
      if (what == 'd') f.Die(kWorkerB);
      if (what == 'r') f.View(++version, proto::ACTOR_RESTARTING, 2, {});
      if (what == 'a') f.View(++version, proto::ACTOR_ALIVE, 2, kWorkerC);
      if (what == 'u') f.Answer(sent, FrameKind::kUndeliverable);
    }
    CHECK(f.Error(running) == ErrorCode::kActorDied);
    const uint32_t next = f.Call();
    REQUIRE(f.sink.calls.size() == 2);
    CHECK(f.sink.calls[1].header.destination == kWorkerC);
    CHECK(f.sink.calls[1].header.incarnation == 2);
    CHECK(f.sink.calls[1].header.call_number == 1);
    f.Reply(f.sink.calls[1].header);
    CHECK(f.core.IsReady(next));
  }
}

TEST_CASE("ClientCore: a call by value overtakes none that waits for room or for an argument") {
  ActorFixture f(/*max_restarts=*/0);
  std::vector<uint32_t> slots = {f.Call()};
  f.sink.no_room.insert(kWorkerB);
  slots.push_back(f.Call());  // finds no room
  f.sink.no_room.clear();
  slots.push_back(f.Call());
  CHECK(f.sink.calls.size() == 1);
  f.core.OnRoom(f.now);
  const uint32_t late = f.core.NewObject();
  auto record = f.core.NewTask();
  record->Extras().arguments.push_back({.slot = late});
  ++f.core.At(late).holds;
  slots.push_back(f.core.SubmitActorCall(f.actor, std::move(record), f.now));
  slots.push_back(f.Call());
  CHECK(f.sink.calls.size() == 3);
  f.core.ResolveValue(late, {});
  slots.push_back(f.Call());
  REQUIRE(f.sink.calls.size() == slots.size());
  for (size_t i = 0; i < slots.size(); ++i) {
    CHECK(f.sink.calls[i].header.task == f.core.At(slots[i]).id);
    CHECK(f.sink.calls[i].header.call_number == i + 1);
  }
}

TEST_CASE("ClientCore: the end of an actor names it and says whether it comes back") {
  ActorFixture gone(0);
  const uint32_t last = gone.Call();
  gone.Die(kWorkerB);
  CHECK(gone.Message(last) == "actor Ledger: pid 7 ended; no restart is left (SetMaxRestarts(0))");
  gone.View(2, proto::ACTOR_DEAD, 1, {}, ErrorCode::kWorkerDied);
  CHECK_THAT(gone.Message(gone.Call()), Catch::StartsWith("actor Ledger"));
  ActorFixture mortal(2);
  const uint32_t running = mortal.Call();
  mortal.Die(kWorkerB);
  CHECK(mortal.Message(running) ==
        "actor Ledger: pid 7 ended; it may be started again (SetMaxRestarts(2))");
}

TEST_CASE("ClientCore: who made an actor is told once of each death that it is restarted after") {
  ActorFixture f(-1);
  f.View(2, proto::ACTOR_RESTARTING, 2, {}, ErrorCode::kWorkerDied,
         "pid 7 ended; restart 1 follows");
  f.View(3, proto::ACTOR_ALIVE, 2, kWorkerC, ErrorCode::kWorkerDied,
         "pid 7 ended; restart 1 follows");
  CHECK(f.sink.warnings ==
        std::vector<std::string>{"actor Ledger: pid 7 ended; restart 1 follows"});
  f.View(4, proto::ACTOR_RESTARTING, 3, {}, ErrorCode::kActorDied,
         "actor Ledger was killed: by Kill(); restart 2 follows");
  f.View(5, proto::ACTOR_ALIVE, 3, kWorkerC);  // which has forgotten the cause
  CHECK(f.sink.warnings.size() == 1);
}

TEST_CASE("ClientCore: an actor that was unreachable for a moment is called again") {
  ActorFixture f(0);
  f.Call();
  f.Answer(f.sink.calls.at(0).header, FrameKind::kUndeliverable);
  f.Call();
  CHECK(f.sink.calls.size() == 1);
  f.View(1, proto::ACTOR_ALIVE, 1, kWorkerB);  // too early to believe it
  CHECK(f.sink.calls.size() == 1);
  f.now += std::chrono::seconds(10);
  f.View(1, proto::ACTOR_ALIVE, 1, kWorkerB);
  REQUIRE(f.sink.calls.size() == 2);
  CHECK(f.sink.calls[1].header.call_number == 2);
}

TEST_CASE(
    "ClientCore: an actor that may be restarted leaves nothing pending, and keeps its arguments") {
  Fixture f;
  const uint32_t argument = f.core.NewObject();
  f.core.ResolveValue(argument, {});
  auto record = f.core.NewTask();
  record->Extras().arguments.push_back({.slot = argument});
  proto::ActorSpec spec;
  spec.set_max_restarts(1);
  const uint32_t actor =
      f.core.CreateActor(std::move(record), std::move(spec), f.now);  // takes the hold
  const model::ObjectId id = f.core.At(argument).id;
  f.View(actor, 1, proto::ACTOR_ALIVE, 1, kWorkerB);
  CHECK_FALSE(f.core.HasPending());
  CHECK(f.core.Find(id) == argument);
  f.View(actor, 2, proto::ACTOR_DEAD, 1, kWorkerB);
  CHECK(f.core.Find(id) == kNoSlot);
}

TEST_CASE(
    "ClientCore: what a stuck worker elsewhere gives back goes to another, and is asked for once") {
  Fixture f;
  f.sink.workers_elsewhere = true;
  f.Submit();
  f.Grant(kWorkerB);
  f.Reply(f.sink.calls[0].header, "v", false, 2);
  const uint32_t stuck = f.Submit();
  const uint32_t behind = f.Submit();
  REQUIRE(f.sink.calls.size() == 3);
  for (int i = 0; i < 20; ++i) f.TickAfter(milliseconds(i == 0 ? 10 : 1));
  REQUIRE(f.sink.revokes.size() == 1);
  CHECK(f.sink.revokes[0].task == f.core.At(behind).id);
  f.Answer(f.sink.revokes[0], FrameKind::kRevokeReply);
  CHECK(f.sink.calls.size() == 3);
  f.Grant(kWorkerC);
  REQUIRE(f.sink.calls.size() == 4);
  CHECK(f.sink.calls[3].header.destination == kWorkerC);
  f.Reply(f.sink.calls[3].header);
  CHECK(f.core.IsReady(behind));
  CHECK_FALSE(f.core.IsReady(stuck));
}

TEST_CASE(
    "ClientCore: a frame that comes back never started: it costs nothing and goes elsewhere") {
  Fixture f;
  const uint32_t slot = f.Submit(/*retries=*/0);
  f.sink.started.insert(f.core.At(slot).id);
  f.Grant(kWorkerB);
  f.Answer(f.sink.calls[0].header, FrameKind::kUndeliverable);
  CHECK(f.sink.returned.size() == 1);
  f.TickAfter(milliseconds(20));
  f.Grant(kWorkerC);
  REQUIRE(f.sink.calls.size() == 2);
  CHECK(f.sink.calls[1].header.attempt == 1);
  f.Reply(f.sink.calls[1].header);
  CHECK(f.Value(slot) == "v");
}

TEST_CASE("ClientCore: a lease whose ring is full does not hold up the others") {
  Fixture f;
  f.Submit();
  f.Submit();
  f.Grant(kWorkerA);
  f.Grant(kWorkerB);
  f.Reply(f.sink.calls[0].header, "v", false, 100);
  f.Reply(f.sink.calls[1].header, "v", false, 100);
  f.sink.no_room.insert(kWorkerA);
  for (int i = 0; i < 4; ++i) f.Submit();
  REQUIRE(f.sink.calls.size() == 6);
  for (size_t i = 2; i < 6; ++i) CHECK(f.sink.calls[i].header.destination == kWorkerB);
}

TEST_CASE("ClientCore: tasks of microseconds use one lease, until there is work for another") {
  Fixture f;
  f.Submit();
  f.Submit();
  f.Grant(kWorkerA);
  f.Grant(kWorkerB);
  REQUIRE(f.sink.calls.size() == 2);
  const std::vector<FrameHeader> first = {f.sink.calls[0].header, f.sink.calls[1].header};
  CHECK(first[0].destination != first[1].destination);
  for (const FrameHeader& call : first) f.Reply(call, "v", false, /*micros=*/1);
  f.sink.calls.clear();
  const auto sent_to = [&](ProcessId worker) {
    return std::count_if(f.sink.calls.begin(), f.sink.calls.end(),
                         [&](const auto& call) { return call.header.destination == worker; });
  };
  constexpr int kWorthOne = static_cast<int>(kSpreadWorthUs) - 1;
  for (int i = 0; i < kWorthOne; ++i) f.Submit();
  CHECK(std::max(sent_to(kWorkerA), sent_to(kWorkerB)) == kWorthOne);
  for (int i = 0; i < kWorthOne; ++i) f.Submit();
  CHECK(std::min(sent_to(kWorkerA), sent_to(kWorkerB)) > kWorthOne / 2);
}

TEST_CASE("ClientCore: workers that do not start are tried again before the tasks fail") {
  Fixture f;
  const uint32_t slot = f.Submit();
  for (uint32_t i = 1; i < kFailedStartsMax; ++i) {
    f.Fail(ErrorCode::kWorkerDied);
    REQUIRE_FALSE(f.core.IsReady(slot));
    CHECK(f.sink.lease_requests.empty());
    f.TickAfter(std::chrono::seconds(2));
  }
  f.Fail(ErrorCode::kWorkerDied);
  CHECK(f.Error(slot) == ErrorCode::kWorkerDied);
  const uint32_t wrong = f.Submit();
  f.Fail(ErrorCode::kLibraryMismatch);  // waiting would not help
  CHECK(f.Error(wrong) == ErrorCode::kLibraryMismatch);
}

TEST_CASE("ClientCore: a stored result of a superseded attempt is freed, one told twice is not") {
  Fixture f;
  const uint32_t slot = f.Submit();
  f.sink.started.insert(f.core.At(slot).id);
  f.Grant(kWorkerA);
  f.Die(kWorkerA);
  f.Grant(kWorkerB);
  REQUIRE(f.sink.calls.size() == 2);
  const auto reply_stored = [&](const FrameHeader& call, uint32_t entry) {
    model::StoredLocation location;
    location.object = f.core.At(slot).id;
    location.node = call.destination.node();
    location.entry = entry;
    std::vector<std::byte> body;
    model::BodyWriter writer(body);
    writer.AddStored(location);
    FrameHeader reply = call;
    reply.kind = FrameKind::kReply;
    reply.source = call.destination;
    reply.item_count = 1;
    f.core.OnMessage(reply, body, f.now);
    f.core.OnRoom(f.now);
  };
  reply_stored(f.sink.calls[0].header, 5);
  REQUIRE(f.sink.freed.size() == 1);
  CHECK(f.sink.freed[0].entry == 5);
  reply_stored(f.sink.calls[1].header, 6);
  reply_stored(f.sink.calls[1].header, 6);
  CHECK(f.sink.freed.size() == 1);
  CHECK(f.core.At(slot).kind == ValueKind::kStored);
}

TEST_CASE("ClientCore: what a dead worker left in the store is freed unless a result names it") {
  Fixture f;
  const uint32_t slot = f.core.NewObject();
  model::StoredLocation told;
  told.object = f.core.At(slot).id;
  told.node = kWorkerA.node();
  told.job = model::JobId{1};
  told.entry = 7;
  told.generation = 2;
  // Before its answer has come it is of an attempt that will be run again.
  f.core.OnObjectLeft(told);
  REQUIRE(f.sink.freed.size() == 1);
  f.sink.freed.clear();
  f.core.ResolveStored(slot, told);
  f.core.OnObjectLeft(told);
  CHECK(f.sink.freed.empty());
  // Another copy of the same object is not the one that is held.
  const auto freed = [&f](const model::StoredLocation& location) {
    f.sink.freed.clear();
    f.core.OnObjectLeft(location);
    return f.sink.freed.size() == 1 && f.sink.freed[0] == location;
  };
  model::StoredLocation other = told;
  other.generation = 3;
  CHECK(freed(other));
  other = told;
  other.entry = 8;
  CHECK(freed(other));
  other = told;
  other.node = kWorkerB.node();
  CHECK(freed(other));
  other = told;
  other.object.sequence += 1;  // never heard of
  CHECK(freed(other));
  f.core.ReleaseHold(slot);
  CHECK(freed(told));
  f.core.CheckInvariants();
}

TEST_CASE("ClientCore: a task that waits for a worker says what it demands") {
  Fixture f;
  proto::SchedulingClass description;
  description.set_job(1);
  auto* amount = description.mutable_resources()->add_amounts();
  amount->set_name("GPU");
  amount->set_units(2 * model::kResourceUnit);
  auto record = f.core.NewTask();
  record->Extras().name = "t";
  record->class_index = f.core.ClassIndex(description);
  const uint32_t slot = f.core.SubmitTask(std::move(record), f.now);
  CHECK_THAT(f.core.Describe(slot),
             Catch::StartsWith("task t (") &&
                 Catch::EndsWith("queued, waits for a worker (it demands {GPU: 2})"));
}

TEST_CASE("ClientCore: a call that was not sent says what its actor waits for") {
  Fixture f;
  auto record = f.core.NewTask();
  record->Extras().name = "A";
  const uint32_t argument = f.core.NewObject();
  ++f.core.At(argument).holds;
  record->Extras().arguments.push_back({.slot = argument});
  proto::ActorSpec spec;
  spec.set_class_name("Ledger");
  spec.set_max_restarts(1);
  auto* amount = spec.mutable_placement()->mutable_resources()->add_amounts();
  amount->set_name("GPU");
  amount->set_units(2 * model::kResourceUnit);
  const uint32_t actor = f.core.CreateActor(std::move(record), std::move(spec), f.now);
  const uint32_t call = f.core.SubmitActorCall(actor, f.core.NewTask(), f.now);
  using Catch::Matchers::Contains;
  CHECK_THAT(f.core.Describe(call),
             Catch::StartsWith("call ") && Contains("Ledger") && Contains("waits for 1 argument"));
  f.core.ResolveValue(argument, {});
  CHECK_THAT(f.core.Describe(call), Contains("not placed yet") && Contains("{GPU: 2}"));
  f.View(actor, 1, proto::ACTOR_ALIVE, 1, kWorkerA);
  CHECK_THAT(f.core.Describe(call), Contains("to be connected"));
  f.View(actor, 2, proto::ACTOR_RESTARTING, 2, kWorkerA);
  CHECK_THAT(f.core.Describe(call), Contains("being restarted"));
}

TEST_CASE("ClientCore: at the worker limit a queued child may run on its parent's stack") {
  Fixture f;
  const uint32_t slot = f.Submit();
  CHECK_FALSE(f.core.HasInlineWork());
  f.core.OnLeaseFailed(f.sink.lease_requests[0], {}, /*worker_limit=*/true, f.now);
  REQUIRE(f.core.HasInlineWork());
  REQUIRE(f.core.TakeForInline() == slot);
  FrameHeader header = f.core.HeaderOf(slot);
  f.Reply(header, "inline");
  CHECK(f.Value(slot) == "inline");
}

TEST_CASE("ClientCore: the loss of the cluster fails all that is pending and all that follows") {
  Fixture f;
  const uint32_t pending = f.Submit();
  const uint32_t dependant = f.Submit(3, {pending});
  f.core.OnClusterLost(EncodeError(ErrorCode::kHeadUnavailable, "gone"));
  f.core.CheckInvariants();
  CHECK(f.Error(pending) == ErrorCode::kHeadUnavailable);
  CHECK(f.Error(dependant) == ErrorCode::kHeadUnavailable);
  CHECK(f.Error(f.Submit()) == ErrorCode::kHeadUnavailable);
}

}  // namespace rayx::client
