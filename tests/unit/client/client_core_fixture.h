// tests/unit/client/client_core_fixture.h
//
// A ClientCore over a sink that records effects; replies and deaths are delivered by hand, every
// reply twice.
// Owner:    a test case.                        Threads: one.
#pragma once

#include <catch2/catch.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/core/client_core.h"

namespace rayx::client {

using model::FrameHeader;
using model::FrameKind;
using model::ProcessId;
using std::chrono::milliseconds;

inline const ProcessId kSelf = ProcessId::Make(model::NodeNumber{1}, 1);
inline const ProcessId kWorkerA = ProcessId::Make(model::NodeNumber{1}, 2);
inline const ProcessId kWorkerB = ProcessId::Make(model::NodeNumber{2}, 3);
inline const ProcessId kWorkerC = ProcessId::Make(model::NodeNumber{2}, 4);

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
  // A reply whose results lie in a store, delivered once.
  void ReplyStored(const FrameHeader& call, const std::vector<model::StoredLocation>& results) {
    std::vector<std::byte> body;
    model::BodyWriter writer(body);
    for (const model::StoredLocation& result : results) writer.AddStored(result);
    FrameHeader reply = call;
    reply.kind = FrameKind::kReply;
    reply.source = call.destination;
    reply.item_count = writer.item_count();
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
    reply.number = micros;
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

}  // namespace rayx::client
