// runtime/client/core/client_core_results.inl.h
//
// ClientCore: how tasks and calls end, by their reply or without one. The contract is
// client_core.h's, of which this is a part: include that.
#pragma once

#include "client/core/client_core.h"

namespace rayx::client {

template <class Sink>
void ClientCore<Sink>::OnReply(const model::FrameHeader& header, std::span<const std::byte> body,
                               model::TimePoint now) {
  const uint32_t slot = CookieSlot(header);
  if (slot == kNoSlot || slab_.At(slot).task->destination != header.source) {
    DropUnclaimed(header, body);
    return;
  }
  TaskRecord& record = *slab_.At(slot).task;
  const uint32_t lease_index = record.lease_index;
  const uint32_t actor_index = record.actor_index;
  if (lease_index != kNoSlot) {
    TaskClass& task_class = classes_[record.class_index];
    const auto run = static_cast<double>(header.number);
    task_class.mean_run_us =
        task_class.mean_run_us < 0 ? run : task_class.mean_run_us * 0.9 + run * 0.1;
    RemoveFromLease(lease_index, slot, now);
  } else if (actor_index != kNoSlot) {
    actors_[actor_index]->in_flight.Remove(slot, FrameBytes(slot));
  }
  CompleteTask(slot, header, body);
}

// A reply that nobody waits for any more (of a superseded attempt): its stored results would stay
// for ever. One that comes twice names what the object still is.
template <class Sink>
void ClientCore<Sink>::DropUnclaimed(const model::FrameHeader& header,
                                     std::span<const std::byte> body) {
  if (header.task.owner != options_.self) return;
  model::BodyReader reader(body, header.item_count);
  model::Item item;
  model::ObjectId result = header.task;
  while (reader.Next(item)) {
    if (item.kind == model::ItemKind::kReferences) {
      DropReturned(header, static_cast<uint32_t>(result.sequence - header.task.sequence), item);
      continue;
    }
    const uint32_t slot = slab_.FindOwn(result);
    const bool is_its = item.kind == model::ItemKind::kStored && item.stored.object == result;
    const bool in_use = is_its && slot != kNoSlot && slab_.At(slot).kind == ValueKind::kStored &&
                        slab_.At(slot).stored->node == item.stored.node &&
                        slab_.At(slot).stored->entry == item.stored.entry &&
                        slab_.At(slot).stored->generation == item.stored.generation;
    if (is_its && !in_use) sink_.FreeStored(item.stored);
    ++result.sequence;
  }
}

template <class Sink>
void ClientCore<Sink>::CompleteTask(uint32_t slot, const model::FrameHeader& header,
                                    std::span<const std::byte> body) {
  TaskPtr record = slab_.TakeTask(slot);
  const uint32_t wanted = record->result_count;
  model::BodyReader reader(body, header.item_count);
  model::Item item;
  uint32_t count = 0;
  if (header.item_count == 0 && wanted == 1) {  // a function without result
    ResolveValue(slot, {});
    count = 1;
  }
  while (count < wanted && reader.Next(item)) {
    if (count == 0 && item.kind == model::ItemKind::kError) {  // of the whole call
      ResolveErrors(
          slot, wanted,
          std::string(reinterpret_cast<const char*>(item.bytes.data()), item.bytes.size()));
      count = wanted;
    } else if (item.kind == model::ItemKind::kReferences) {
      ContainReturned(slot + count, header, count, item);
    } else {
      ResolveItem(slot + count++, item);
    }
  }
  if (count < wanted) {
    const bool malformed = reader.error() != model::FrameError::kNone;
    ResolveErrors(
        slot + count, wanted - count,
        EncodeError(ErrorCode::kSerializationError,
                    (malformed ? "malformed reply to task " : "too short reply to task ") +
                        record->name() + ": " +
                        (malformed ? std::string(model::ToString(reader.error()))
                                   : std::to_string(header.item_count) + " of " +
                                         std::to_string(wanted) + " results")));
  }
  ReleaseArguments(*record);
}

template <class Sink>
void ClientCore<Sink>::ResolveErrors(uint32_t first, uint32_t count, const std::string& error) {
  for (uint32_t slot = first; slot < first + count; ++slot) ResolveError(slot, error);
}

template <class Sink>
void ClientCore<Sink>::FailTask(uint32_t slot, const std::string& error) {
  TaskPtr record = slab_.TakeTask(slot);
  if (!record) return;
  if (record->kind == model::FrameKind::kActorCall) {
    std::erase(actors_[record->actor_index]->queued, slot);
  } else if (record->kind == model::FrameKind::kActorCreate && record->actor_index != kNoSlot) {
    // an argument failed: there will be no actor
    ActorRecord& actor = *actors_[record->actor_index];
    slab_.SetTask(slot, std::move(record));
    proto::ErrorInfo cause;
    EndCreation(actor, cause.ParseFromString(error) ? EncodeActorEnd(actor.name, cause) : error);
    return;
  }
  // Registered with an argument that is still unresolved: it must not find the slot's next tenant.
  for (const TaskArgument& argument : record->arguments()) {
    if (argument.slot == kNoSlot || record->unresolved == 0) continue;
    std::erase_if(slab_.At(argument.slot).waiters,
                  [slot](const Waiter& waiter) { return waiter.task_slot == slot; });
  }
  ResolveErrors(slot, record->result_count, error);
  ReleaseArguments(*record);
}

template <class Sink>
void ClientCore<Sink>::ReleaseArguments(TaskRecord& record) {
  if (!record.extras) return;
  for (const TaskArgument& argument : std::exchange(record.extras->arguments, {})) {
    if (argument.slot != kNoSlot) ReleaseHold(argument.slot);
  }
  for (uint32_t slot : std::exchange(record.extras->referred, {})) ReleaseHold(slot);
}

}  // namespace rayx::client
