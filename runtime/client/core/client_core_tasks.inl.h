// runtime/client/core/client_core_tasks.inl.h
//
// ClientCore: tasks. The contract is client_core.h's, of which this is a part: include that.
#pragma once

#include "client/core/client_core.h"

namespace rayx::client {

template <class Sink>
uint32_t ClientCore<Sink>::ClassIndex(const proto::SchedulingClass& description) {
  const std::string key = description.SerializeAsString();
  auto [it, is_new] = class_by_key_.emplace(key, static_cast<uint32_t>(classes_.size()));
  if (is_new) {
    TaskClass& task_class = classes_.emplace_back();
    task_class.index = it->second;
    task_class.description = description;
  }
  return it->second;
}

template <class Sink>
uint32_t ClientCore<Sink>::SubmitTask(TaskPtr record, model::TimePoint now) {
  now_ = now;
  const uint32_t slot = NewObjects(record->result_count);
  if (slot == kNoSlot) return kNoSlot;
  record->kind = model::FrameKind::kTask;
  slab_.SetTask(slot, std::move(record));
  CountArguments(slot);
  return slot;
}

template <class Sink>
model::FrameHeader ClientCore<Sink>::HeaderOf(uint32_t slot) const {
  const Entry& entry = slab_.At(slot);
  const TaskRecord& record = *entry.task;
  model::FrameHeader header;
  header.kind = record.kind;
  header.flags = record.flags;
  header.body_bytes = static_cast<uint32_t>(record.body.size());
  header.attempt = record.attempt;
  header.destination = record.destination;
  header.source = options_.self;
  header.task = entry.id;
  header.function = record.function;
  header.job = options_.job;
  header.item_count = record.item_count;
  header.result_count = record.result_count;
  header.claim_slot = record.claim_slot;
  if (record.actor_index != kNoSlot) {
    header.actor = actors_[record.actor_index]->id;
    header.incarnation = actors_[record.actor_index]->incarnation;
  }
  if (record.kind == model::FrameKind::kActorCreate) {
    header.number = record.extras ? record.extras->serves_at_once : 0;
  } else {
    header.cookie_slot = slot;
    header.cookie_sequence = PendingSlab::CookieSequence(entry.id);
  }
  return header;
}

// Registers the task with each unresolved argument; goes on at once when there is none.
template <class Sink>
void ClientCore<Sink>::CountArguments(uint32_t slot) {
  TaskRecord& record = *slab_.At(slot).task;
  if (!lost_.empty()) {
    FailTask(slot, lost_);
    return;
  }
  for (const TaskArgument& argument : record.arguments()) {
    if (argument.slot == kNoSlot) continue;
    Entry& object = slab_.At(argument.slot);
    if (object.state != EntryState::kReady) {
      ++record.unresolved;
      Waiter waiter;
      waiter.task_slot = slot;
      object.waiters.push_back(waiter);
      Want(argument.slot);
      continue;
    }
    if (object.kind == ValueKind::kError) {
      const auto bytes = object.bytes();
      FailTask(slot, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
      return;
    }
  }
  if (record.unresolved == 0) Ready(slot, now_);
}

template <class Sink>
void ClientCore<Sink>::Ready(uint32_t slot, model::TimePoint now) {
  Entry& entry = slab_.At(slot);
  if (!BuildBody(slot)) {
    FailTask(slot, EncodeError(ErrorCode::kInvalidOption,
                               "task " + entry.task->name() +
                                   ": its arguments by value exceed 512 KiB in all; " +
                                   "Put the large ones"));
    return;
  }
  entry.state = EntryState::kQueued;
  switch (entry.task->kind) {
    case model::FrameKind::kActorCreate:
      SendCreation(slot);
      break;
    case model::FrameKind::kActorCall:
      PumpActor(*actors_[entry.task->actor_index], now);
      break;
    default: {
      TaskClass& task_class = classes_[entry.task->class_index];
      if (task_class.queued.empty() && !entry.task->extras) {  // the common case
        const uint32_t lease = PickLease(task_class, slot, {}, now);
        if (lease != kNoSlot && SendOn(lease, slot, now)) break;
      }
      FindData(*entry.task, now);
      task_class.queued.push_back(slot);
      if (!task_class.waits_for_room || task_class.queued.size() == 1) {
        Pump(task_class, now);
      } else if (now >= task_class.ask_again) {
        AskForLeases(task_class);
      }
    }
  }
}

template <class Sink>
bool ClientCore<Sink>::BuildBody(uint32_t slot) {
  TaskRecord& record = *slab_.At(slot).task;
  if (!record.arguments().empty()) {
    scratch_.clear();
    model::BodyWriter writer(scratch_);
    for (const TaskArgument& argument : record.arguments()) {
      if (argument.slot == kNoSlot) {
        writer.AddInline(
            std::span(record.extras->inline_values).subspan(argument.offset, argument.bytes));
      } else {
        AddValueItem(writer, slab_.At(argument.slot));
      }
      if (scratch_.size() > model::kBodyBytesMax) return false;
    }
    record.item_count = writer.item_count();
    record.body.Assign(scratch_);
  }
  return record.body.size() <= model::kBodyBytesMax;
}

template <class Sink>
uint32_t ClientCore<Sink>::CookieSlot(const model::FrameHeader& header) const {
  const uint32_t slot = header.cookie_slot;
  if (slot >= slab_.used()) return kNoSlot;
  const Entry& entry = slab_.At(slot);
  if (entry.state != EntryState::kSent || !entry.task || entry.id != header.task) return kNoSlot;
  if (entry.task->attempt != header.attempt) return kNoSlot;
  if (PendingSlab::CookieSequence(entry.id) != header.cookie_sequence) return kNoSlot;
  return slot;
}

template <class Sink>
void ClientCore<Sink>::OnMessage(const model::FrameHeader& header, std::span<const std::byte> body,
                                 model::TimePoint now) {
  now_ = now;
  switch (header.kind) {
    case model::FrameKind::kReply:
      OnReply(header, body, now);
      break;
    case model::FrameKind::kFetchValue:
      OnFetchValue(header);
      break;
    case model::FrameKind::kValue:
      OnValue(header, body);
      break;
    case model::FrameKind::kRevokeReply:
      OnRevokeReply(header, now);
      break;
    case model::FrameKind::kAddBorrower:
      OnAddBorrower(header, body);
      break;
    case model::FrameKind::kBorrowerAck:
      OnBorrowerAck(header.number, header.source);
      break;
    case model::FrameKind::kRemoveBorrower:
      OnRemoveBorrower(header, body);
      break;
    case model::FrameKind::kUndeliverable:
      OnUndeliverable(header, body, now);
      break;
    default:
      break;  // kinds that later versions send; refused by doing nothing
  }
}

template <class Sink>
void ClientCore<Sink>::Requeue(uint32_t slot, model::TimePoint now) {
  Entry& entry = slab_.At(slot);
  entry.state = EntryState::kQueued;
  entry.task->lease_index = kNoSlot;
  if (!entry.task->MayBeSentAt(now)) {
    delayed_.push_back(slot);
  } else {
    classes_[entry.task->class_index].queued.push_front(slot);
  }
}

template <class Sink>
void ClientCore<Sink>::OnRoom(model::TimePoint now) {
  now_ = now;
  for (TaskClass& task_class : classes_) {
    if (!task_class.queued.empty()) Pump(task_class, now);
  }
  for (ActorRecord* actor : std::exchange(waiting_for_room_, {})) {
    actor->waits_for_room = false;
    PumpActor(*actor, now);
  }
}

template <class Sink>
bool ClientCore<Sink>::HasInlineWork() const {
  for (const TaskClass& task_class : classes_) {
    if (task_class.worker_limit && !task_class.queued.empty()) return true;
  }
  return false;
}

template <class Sink>
uint32_t ClientCore<Sink>::TakeForInline() {
  for (TaskClass& task_class : classes_) {
    if (!task_class.worker_limit || task_class.queued.empty()) continue;
    const uint32_t slot = task_class.queued.back();  // the newest: most likely what is waited for
    task_class.queued.pop_back();
    Entry& entry = slab_.At(slot);
    entry.state = EntryState::kSent;
    entry.task->lease_index = kNoSlot;
    entry.task->destination = options_.self;
    return slot;
  }
  return kNoSlot;
}

template <class Sink>
void ClientCore<Sink>::RefuseInline(const std::string& error) {
  if (const uint32_t slot = TakeForInline(); slot != kNoSlot) FailTask(slot, error);
}

template <class Sink>
void ClientCore<Sink>::OnTick(model::TimePoint now) {
  now_ = now;
  if (!removals_.empty()) {
    SendBorrows(model::FrameKind::kRemoveBorrower, std::exchange(removals_, {}));
  }
  std::vector<uint32_t> waiting = std::move(delayed_);
  delayed_.clear();
  for (uint32_t slot : waiting) Requeue(slot, now);
  for (uint32_t index = 0; index < leases_.size(); ++index) {
    HeldLease& lease = leases_[index];
    if (!lease.live) continue;
    if (lease.in_flight.empty()) {
      const bool is_wanted = now < lease.wanted_until;
      const auto longest = is_wanted ? options_.idle_wanted_lease : options_.idle_lease;
      if (now - lease.idle_since > longest) ReturnLease(index, false);
    } else if (lease.in_flight.size() > 1 && now - lease.progress > options_.stuck_after &&
               now >= lease.revoke_again) {
      RevokeStuck(index, /*oldest=*/false, now);
    }
  }
  OnRoom(now);
  for (auto& actor : actors_) {
    if (!actor->watching && !actor->held_view && actor->announced &&
        actor->state != proto::ACTOR_DEAD && now >= actor->watch_again) {
      Watch(*actor);
    }
    ReleaseView(*actor);  // when it has waited long enough
    if (!actor->queued.empty()) PumpActor(*actor, now);
  }
}

}  // namespace rayx::client
