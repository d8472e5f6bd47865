// Goal: which leases an owner asks for, uses and gives back, and what it takes back from them.
#include "tests/unit/client/client_core_fixture.h"

namespace rayx::client {

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

}  // namespace rayx::client
