// runtime/client/core/client_core_actors.inl.h
//
// ClientCore: actors and calls of them. The contract is client_core.h's, of which this is a part:
// include that.
#pragma once

#include <algorithm>

#include "client/core/client_core.h"
#include "scheduling/wire.h"

namespace rayx::client {

// A creation frame travels in one packet to the daemon.
inline constexpr size_t kCreationBytesMax = 112 * 1024;

template <class Sink>
uint32_t ClientCore<Sink>::ActorIndex(const model::ActorId& id, std::string_view name) {
  // Most calls go to one of few actors.
  uint32_t& last = last_actors_[id.sequence % last_actors_.size()];
  if (last < actors_.size() && actors_[last]->id == id) return last;
  auto [it, is_new] = actor_by_id_.emplace(id, static_cast<uint32_t>(actors_.size()));
  if (is_new) {
    auto& actor = actors_.emplace_back(std::make_unique<ActorRecord>());
    actor->id = id;
    actor->name = name.empty() ? model::ToString(id) : std::string(name);
    actor->announced = true;
    if (lost_.empty()) {
      Watch(*actor);
    } else {
      actor->state = proto::ACTOR_DEAD;
      actor->death = lost_;
    }
  }
  return last = it->second;
}

template <class Sink>
void ClientCore<Sink>::Watch(ActorRecord& actor) {
  actor.watching = true;
  sink_.WatchActor(actor.id, actor.version);
}

template <class Sink>
uint32_t ClientCore<Sink>::CreateActor(TaskPtr record, proto::ActorSpec spec,
                                       model::TimePoint now) {
  now_ = now;
  const model::ActorId id = NewActorId();
  const auto index = static_cast<uint32_t>(actors_.size());
  actor_by_id_.emplace(id, index);
  auto& actor = actors_.emplace_back(std::make_unique<ActorRecord>());
  actor->id = id;
  actor->name = ActorLabel(spec.class_name(), spec.name());
  actor->spec = std::move(spec);
  *actor->spec.mutable_id() = scheduling::ToWire(id);
  const uint32_t slot = NewObject();
  if (slot == kNoSlot) {
    actor->state = proto::ACTOR_DEAD;
    actor->death =
        EncodeError(ErrorCode::kObjectStoreFull, "more than 2^24 live objects in this process");
    return index;
  }
  actor->creation_slot = slot;
  record->kind = model::FrameKind::kActorCreate;
  record->actor_index = index;
  slab_.SetTask(slot, std::move(record));
  CountArguments(slot);
  return index;
}

template <class Sink>
void ClientCore<Sink>::SendCreation(uint32_t slot) {
  TaskRecord& record = *slab_.At(slot).task;
  ActorRecord& actor = *actors_[record.actor_index];
  slab_.At(slot).state = EntryState::kSent;
  const model::FrameHeader header = HeaderOf(slot);
  const std::span<const std::byte> body = record.body.bytes();
  std::string frame(reinterpret_cast<const char*>(&header), sizeof header);
  frame.append(reinterpret_cast<const char*>(body.data()), body.size());
  if (frame.size() > kCreationBytesMax) {
    EndCreation(actor, EncodeError(ErrorCode::kInvalidOption,
                                   "actor " + actor.name +
                                       ": its constructor's arguments exceed 112 KiB in " +
                                       "all; Put the large ones and pass references"));
    return;
  }
  actor.spec.set_creation_frame(std::move(frame));
  sink_.CreateActor(actor.spec);
  actor.spec.clear_creation_frame();
}

// Watching begins only now, because a watch may overtake a creation on its way to the head.
template <class Sink>
void ClientCore<Sink>::OnActorAccepted(const model::ActorId& id, model::TimePoint now) {
  now_ = now;
  ActorRecord* const actor = FindActor(id);
  if (actor == nullptr || actor->announced) return;
  actor->announced = true;
  Watch(*actor);
}

// Fails everything that waits for an actor that will not come or come back.
template <class Sink>
void ClientCore<Sink>::EndCreation(ActorRecord& actor, const std::string& error) {
  actor.state = proto::ACTOR_DEAD;
  actor.connected = false;
  actor.held_view.reset();
  actor.death = error;
  FailCalls(actor.in_flight.Take(), error);
  FailCalls(std::exchange(actor.queued, {}), error);
  if (actor.creation) ReleaseArguments(*actor.creation);
  actor.creation.reset();
  if (actor.creation_slot == kNoSlot) return;
  const uint32_t slot = actor.creation_slot;
  actor.creation_slot = kNoSlot;
  if (slab_.At(slot).task) slab_.At(slot).task->actor_index = kNoSlot;
  FailTask(slot, error);
  ReleaseHold(slot);
}

// Its creation is done with, but for the arguments, which a restart needs again.
template <class Sink>
void ClientCore<Sink>::Created(ActorRecord& actor) {
  if (actor.creation_slot == kNoSlot) return;
  const uint32_t slot = actor.creation_slot;
  actor.creation_slot = kNoSlot;
  actor.creation = slab_.TakeTask(slot);
  ResolveValue(slot, {});
  ReleaseHold(slot);
  if (actor.spec.max_restarts() != 0 || !actor.creation) return;
  ReleaseArguments(*actor.creation);
  actor.creation.reset();
}

// Who made the actor hears of each death that it is started again after; not of a Kill.
template <class Sink>
void ClientCore<Sink>::WarnOfRestart(ActorRecord& actor, const proto::ErrorInfo& cause) {
  if (!actor.spec.has_id() || cause.message().empty() || cause.message() == actor.told) return;
  actor.told = cause.message();
  if (cause.code() == static_cast<int>(ErrorCode::kActorDied)) return;
  sink_.Warn(OfActor(actor.name, cause.message()));
}

// The daemon tells of a death before the head has decided; who made the actor knows the limit.
template <class Sink>
std::string ClientCore<Sink>::EncodeActorDeath(const ActorRecord& actor,
                                               const proto::DeathCause& cause) const {
  proto::DeathCause told = cause;
  if (actor.spec.has_id() && !cause.meant()) {
    const int32_t limit = actor.spec.max_restarts();
    told.set_reason(cause.reason() +
                    (limit == 0 ? "; no restart is left" : "; it may be started again") +
                    " (SetMaxRestarts(" + std::to_string(limit) + "))");
  }
  return EncodeDeath(ErrorCode::kActorDied, "actor " + actor.name, told);
}

// Its process has ended, whoever tells it first: the daemon or the head.
template <class Sink>
void ClientCore<Sink>::LoseIncarnation(ActorRecord& actor, const std::string& error) {
  actor.connected = false;
  actor.process = {};
  actor.lost_at = now_;
  FailCalls(actor.in_flight.Take(), error);
}

template <class Sink>
void ClientCore<Sink>::FailCalls(const std::deque<uint32_t>& slots, const std::string& error) {
  for (uint32_t slot : slots) FailTask(slot, error);
}

template <class Sink>
uint32_t ClientCore<Sink>::NewActorCall(uint32_t actor_index, TaskPtr record) {
  const uint32_t slot = NewObjects(record->result_count);
  if (slot == kNoSlot) return kNoSlot;
  record->kind = model::FrameKind::kActorCall;
  record->actor_index = actor_index;
  slab_.SetTask(slot, std::move(record));
  return slot;
}

template <class Sink>
bool ClientCore<Sink>::SubmitActorCallAtOnce(uint32_t actor_index, TaskPtr& record,
                                             uint32_t& slot) {
  ActorRecord& actor = *actors_[actor_index];
  const bool is_whole = !record->extras && record->body.size() <= model::kBodyBytesMax;
  if (!is_whole || !lost_.empty() || !actor.connected || actor.waits_for_room ||
      !actor.queued.empty() || actor.state == proto::ACTOR_DEAD) {
    return false;
  }
  slot = NewActorCall(actor_index, std::move(record));
  if (slot == kNoSlot) return true;
  slab_.At(slot).state = EntryState::kQueued;
  if (!SendOnActor(actor, slot)) {
    actor.queued.push_back(slot);
    AwaitRoom(actor);
  }
  return true;
}

template <class Sink>
uint32_t ClientCore<Sink>::SubmitActorCall(uint32_t actor_index, TaskPtr record,
                                           model::TimePoint now) {
  now_ = now;
  uint32_t slot;
  if (SubmitActorCallAtOnce(actor_index, record, slot)) return slot;
  ActorRecord& actor = *actors_[actor_index];
  slot = NewActorCall(actor_index, std::move(record));
  if (slot == kNoSlot) return kNoSlot;
  if (actor.state == proto::ACTOR_DEAD) {
    FailTask(slot, actor.death);
    return slot;
  }
  actor.queued.push_back(slot);  // in the order of the calls, whichever argument comes first
  CountArguments(slot);
  return slot;
}

template <class Sink>
void ClientCore<Sink>::PumpActor(ActorRecord& actor, model::TimePoint) {
  if (!actor.connected || actor.waits_for_room) return;
  while (!actor.queued.empty()) {
    const uint32_t slot = actor.queued.front();
    if (slab_.At(slot).state != EntryState::kQueued) return;  // its arguments are not there yet
    // They have long been there: what comes next is fetched meanwhile.
    if (actor.queued.size() > 2) slab_.Expect(actor.queued[2]);
    if (actor.queued.size() > 1) slab_.ExpectTask(actor.queued[1]);
    if (!SendOnActor(actor, slot)) return AwaitRoom(actor);
    actor.queued.pop_front();
  }
}

template <class Sink>
bool ClientCore<Sink>::SendOnActor(ActorRecord& actor, uint32_t slot) {
  Entry& entry = slab_.At(slot);
  TaskRecord& record = *entry.task;
  if (!HasRoom(actor.process, actor.in_flight, slot)) return false;
  record.destination = actor.process;
  model::FrameHeader header = HeaderOf(slot);
  header.number = actor.calls + 1;
  if (!sink_.SendCall(header, record.body.bytes(), actor.in_flight.empty())) return false;
  record.claim_slot = header.claim_slot;
  ++actor.calls;
  entry.state = EntryState::kSent;
  actor.in_flight.Add(slot, FrameBytes(slot));
  return true;
}

template <class Sink>
void ClientCore<Sink>::AwaitRoom(ActorRecord& actor) {
  actor.waits_for_room = true;
  waiting_for_room_.push_back(&actor);
}

template <class Sink>
void ClientCore<Sink>::OnPeerConnected(model::ProcessId process, model::TimePoint now) {
  now_ = now;
  for (auto& actor : actors_) {
    const bool is_there = actor->process && actor->process == process;
    if (!is_there || actor->held_view || actor->IsKilled() || actor->state != proto::ACTOR_ALIVE)
      continue;
    actor->connected = true;
    PumpActor(*actor, now);
  }
}

// What the process had answered, and then that it has died, comes by way of its daemon, which the
// head may overtake. Whether the view has to wait for that.
template <class Sink>
bool ClientCore<Sink>::HoldView(ActorRecord& actor, const proto::ActorView& view) {
  const bool ends = view.state() == proto::ACTOR_DEAD || view.incarnation() != actor.incarnation;
  if (!actor.held_view) actor.held_since = now_;
  if (!ends || !actor.process || actor.in_flight.empty() ||
      now_ - actor.held_since >= kLastAnswersWait) {
    actor.held_view.reset();
    return false;
  }
  actor.connected = false;
  actor.held_view = view;
  return true;
}

template <class Sink>
void ClientCore<Sink>::ReleaseView(ActorRecord& actor) {
  if (!actor.held_view) return;
  const proto::ActorView view = *actor.held_view;  // is changed by what it brings about
  OnActorView(view, now_);
}

template <class Sink>
void ClientCore<Sink>::OnActorView(const proto::ActorView& view, model::TimePoint now) {
  now_ = now;
  ActorRecord* const found = FindActor(scheduling::FromWire(view.id()));
  if (found == nullptr) return;
  ActorRecord& actor = *found;
  actor.watching = false;
  actor.unknown_since = {};
  if (actor.state == proto::ACTOR_DEAD) return;
  if (view.version() >= actor.version) {
    if (HoldView(actor, view)) return;
    actor.version = view.version();
    if (!view.class_name().empty()) actor.name = ActorLabel(view.class_name(), view.name());
    if (view.state() == proto::ACTOR_DEAD) {
      EndCreation(actor, EncodeActorEnd(actor.name, view.cause()));
      return;
    }
    WarnOfRestart(actor, view.cause());
    if (actor.process && view.incarnation() != actor.incarnation) {
      proto::ErrorInfo cause = view.cause();
      cause.set_code(static_cast<int>(ErrorCode::kActorDied));
      if (cause.message().empty()) cause.set_message("it was restarted");
      LoseIncarnation(actor, EncodeActorEnd(actor.name, std::move(cause)));
    }
    // The same process again: what made it unreachable has passed, or it is refused once more.
    const bool again = view.incarnation() == actor.incarnation && !actor.connected &&
                       now - actor.lost_at >= kBelieveViewAfter;
    if (view.state() == proto::ACTOR_ALIVE && (view.incarnation() > actor.incarnation || again)) {
      actor.state = proto::ACTOR_ALIVE;
      if (!again) actor.calls = 0;
      actor.incarnation = view.incarnation();
      actor.process = model::ProcessId{view.process()};
      actor.connected = !actor.IsKilled() && actor.process.node() != options_.self.node();
      if (!actor.connected) sink_.ConnectPeer(actor.process);
      Created(actor);
      PumpActor(actor, now);
    } else if (view.state() == proto::ACTOR_RESTARTING) {
      actor.state = proto::ACTOR_RESTARTING;
      actor.connected = false;
    }
  }
  Watch(actor);
}

template <class Sink>
void ClientCore<Sink>::OnActorKilled(const model::ActorId& id, uint32_t incarnation, bool for_good,
                                     model::TimePoint now) {
  now_ = now;
  ActorRecord* const actor = FindActor(id);
  if (actor == nullptr) return;
  actor->killed_below = std::max(actor->killed_below, for_good ? UINT32_MAX : incarnation + 1);
  if (actor->IsKilled()) actor->connected = false;
}

template <class Sink>
uint32_t ClientCore<Sink>::IncarnationOf(const model::ActorId& id) const {
  const ActorRecord* const actor = FindActor(id);
  return actor == nullptr ? 0 : actor->incarnation;
}

template <class Sink>
void ClientCore<Sink>::OnActorRefused(const model::ActorId& id, const proto::ErrorInfo& error,
                                      model::TimePoint now) {
  now_ = now;
  ActorRecord* const actor = FindActor(id);
  if (actor == nullptr || actor->state == proto::ACTOR_DEAD) return;
  EndCreation(*actor, error.SerializeAsString());
}

// The head could not be asked, or does not know the actor (yet: a handle may overtake its
// creation).
template <class Sink>
void ClientCore<Sink>::OnWatchFailed(const model::ActorId& id, const proto::ErrorInfo& error,
                                     model::TimePoint now) {
  now_ = now;
  ActorRecord* const found = FindActor(id);
  if (found == nullptr) return;
  ActorRecord& actor = *found;
  actor.watching = false;
  if (actor.state == proto::ACTOR_DEAD) return;
  actor.watch_again = now + std::chrono::milliseconds(100);
  if (actor.unknown_since == model::TimePoint{}) actor.unknown_since = now;
  if (now - actor.unknown_since > std::chrono::seconds(10))
    EndCreation(actor, error.SerializeAsString());
}

template <class Sink>
std::string ClientCore<Sink>::DescribeUnacceptedDetached() const {
  for (const auto& actor : actors_) {
    const bool is_own = !actor->announced && actor->spec.detached();
    if (is_own && actor->state != proto::ACTOR_DEAD) return DescribeActor(*actor);
  }
  return "";
}

// What a call that was not sent waits for.
template <class Sink>
std::string ClientCore<Sink>::DescribeActor(const ActorRecord& actor) const {
  const std::string text = "actor " + actor.name;
  if (actor.state == proto::ACTOR_RESTARTING) return text + ", which is being restarted";
  if (actor.state == proto::ACTOR_ALIVE) {
    return text + " at " + model::ToString(actor.process) +
           (actor.connected ? ", which has others to do first" : ", to be connected");
  }
  if (actor.creation_slot == kNoSlot) return text + ", which does not run yet";
  const Entry& creation = slab_.At(actor.creation_slot);
  if (creation.state == EntryState::kWaiting && creation.task) {
    const size_t count = creation.task->unresolved;
    return text + ", whose constructor waits for " + std::to_string(count) +
           (count == 1 ? " argument" : " arguments");
  }
  const auto demand = scheduling::FromWire(actor.spec.placement().resources());
  // The head tells of an actor when its constructor has returned.
  return text + ", which is not placed yet" +
         (demand.ok() ? " (it demands {" + demand->ToString() + "})" : "") +
         ", or whose constructor still runs; see `rayx list actors`";
}

}  // namespace rayx::client
