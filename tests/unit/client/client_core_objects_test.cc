// Goal: what an owner keeps lives as long as it is held, and what nobody needs is freed.
#include "tests/unit/client/client_core_fixture.h"

namespace rayx::client {

TEST_CASE("ClientCore: stored results of a superseded attempt are freed, those in use are not") {
  Fixture f;
  const uint32_t slot = f.SubmitFor(2);
  f.Grant(kWorkerA);
  const FrameHeader call = f.sink.calls[0].header;
  const auto stored = [&](uint32_t attempt_entry) {
    std::vector<model::StoredLocation> results(2);
    for (uint32_t i = 0; i < 2; ++i) {
      results[i].object = {kSelf, call.task.sequence + i};
      results[i].node = model::NodeNumber{1};
      results[i].entry = attempt_entry + i;
    }
    f.ReplyStored(call, results);
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
    f.ReplyStored(call, {location});
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

}  // namespace rayx::client
