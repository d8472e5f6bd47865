// runtime/client/core/client_core_objects.inl.h
//
// ClientCore: objects, holds and values. The contract is client_core.h's, of which this is a part:
// include that.
#pragma once

#include <algorithm>

#include "client/core/client_core.h"
#include "scheduling/wire.h"

namespace rayx::client {

template <class Sink>
uint32_t ClientCore<Sink>::NewObjects(uint32_t count) {
  const uint32_t first = slab_.Allocate(count);
  if (first == kNoSlot) return kNoSlot;
  for (uint32_t slot = first; slot < first + count; ++slot) {
    Entry& entry = slab_.At(slot);
    entry.state = EntryState::kWaiting;
    entry.holds = 1;
  }
  unresolved_ += count;
  return first;
}

template <class Sink>
uint32_t ClientCore<Sink>::Find(const model::ObjectId& id) const {
  if (id.owner == options_.self) return slab_.FindOwn(id);
  auto it = foreign_.find(id);
  return it == foreign_.end() ? kNoSlot : it->second;
}

template <class Sink>
bool ClientCore<Sink>::HoldsStored(const model::StoredLocation& location) {
  const uint32_t slot = Find(location.object);
  if (slot == kNoSlot) return false;
  const Entry& entry = slab_.At(slot);
  return entry.stored && entry.stored->node == location.node && entry.stored->job == location.job &&
         entry.stored->entry == location.entry && entry.stored->generation == location.generation;
}

template <class Sink>
void ClientCore<Sink>::OnObjectLeft(const model::StoredLocation& location) {
  if (!HoldsStored(location)) sink_.FreeStored(location);
}

template <class Sink>
uint32_t ClientCore<Sink>::Adopt(const model::ObjectId& id, uint32_t through) {
  const uint32_t slot = Hold(id);
  if (slot != kNoSlot && id.owner != options_.self) Register(slot, through);
  return slot;
}

template <class Sink>
uint32_t ClientCore<Sink>::Hold(const model::ObjectId& id) {
  uint32_t slot = Find(id);
  if (slot == kNoSlot) {
    if (id.owner == options_.self || !id) return kNoSlot;
    slot = slab_.Allocate(1);
    if (slot == kNoSlot) return kNoSlot;
    Entry& entry = slab_.At(slot);
    entry.id = id;
    entry.state = EntryState::kForeign;
    entry.holds = 0;
    foreign_.emplace(id, slot);
  }
  ++slab_.At(slot).holds;
  return slot;
}

template <class Sink>
void ClientCore<Sink>::ReleaseHold(uint32_t slot) {
  Entry& entry = slab_.At(slot);
  if (--entry.holds == 0) TryFree(slot);
}

// From a worklist, not by recursion: a chain of objects, each of which refers to the next, may be
// long.
template <class Sink>
void ClientCore<Sink>::TryFree(uint32_t slot) {
  const Entry& entry = slab_.At(slot);
  if (freeing_.empty() && !entry.bonds) return FreeOne(slot);  // it refers to nothing
  freeing_.push_back(slot);
  if (freeing_.size() > 1) return;
  for (size_t i = 0; i < freeing_.size(); ++i) FreeOne(freeing_[i]);
  freeing_.clear();
}

template <class Sink>
void ClientCore<Sink>::FreeOne(uint32_t slot) {
  Entry& entry = slab_.At(slot);
  if (entry.holds != 0 || !entry.waiters.empty()) return;
  const bool idle = entry.state == EntryState::kReady || entry.state == EntryState::kForeign;
  if (!idle || entry.task) return;
  if (entry.bonds && (!entry.bonds->borrowers.empty() || entry.bonds->asked != 0)) return;
  if (entry.id.owner == options_.self) {
    if (entry.kind == ValueKind::kStored) sink_.FreeStored(*entry.stored);
  } else {
    foreign_.erase(entry.id);
  }
  const std::unique_ptr<Bonds> bonds = std::move(entry.bonds);
  const model::ObjectId id = entry.id;
  DropValue(entry);
  slab_.Free(slot);
  if (!bonds) return;
  const bool tells = lost_.empty() && !gone_.contains(id.owner);
  for (uint64_t token : bonds->tokens) {
    if (tells) removals_[id.owner].push_back({id, options_.self, token});
  }
  for (uint32_t inner : bonds->contains) ReleaseHold(inner);
}

template <class Sink>
void ClientCore<Sink>::DropValue(Entry& entry) {
  entry.kind = ValueKind::kNone;
  entry.value_bytes = 0;
  entry.heap.reset();
  entry.stored.reset();
}

template <class Sink>
void ClientCore<Sink>::ResolveValue(uint32_t slot, std::span<const std::byte> value) {
  Entry& entry = slab_.At(slot);
  if (entry.state == EntryState::kReady) return;
  entry.value_bytes = static_cast<uint32_t>(value.size());
  if (value.size() <= kEntryInlineBytes) {
    entry.kind = ValueKind::kInline;
    if (!value.empty()) std::memcpy(entry.inline_value.data(), value.data(), value.size());
  } else {
    entry.kind = ValueKind::kHeap;
    // 64-byte alignment of out-of-band buffers is relative to the value's start; the reader copies
    // small tensors, so that operator new's alignment is enough here.
    entry.heap = std::make_unique_for_overwrite<std::byte[]>(value.size());
    std::memcpy(entry.heap.get(), value.data(), value.size());
  }
  Finish(slot);
}

template <class Sink>
void ClientCore<Sink>::ResolveStored(uint32_t slot, const model::StoredLocation& location) {
  Entry& entry = slab_.At(slot);
  if (entry.state == EntryState::kReady) return;
  entry.kind = ValueKind::kStored;
  entry.stored = std::make_unique<model::StoredLocation>(location);
  Finish(slot);
}

template <class Sink>
void ClientCore<Sink>::ResolveError(uint32_t slot, const std::string& error) {
  Entry& entry = slab_.At(slot);
  if (entry.state == EntryState::kReady) return;
  entry.kind = ValueKind::kError;
  entry.value_bytes = static_cast<uint32_t>(error.size());
  entry.heap = std::make_unique_for_overwrite<std::byte[]>(error.size() + 1);
  std::memcpy(entry.heap.get(), error.data(), error.size());
  Finish(slot);
}

template <class Sink>
void ClientCore<Sink>::ResolveItem(uint32_t slot, const model::Item& item) {
  switch (item.kind) {
    case model::ItemKind::kInline:
      ResolveValue(slot, item.bytes);
      break;
    case model::ItemKind::kStored: {
      model::StoredLocation location = item.stored;
      location.object = slab_.At(slot).id;
      ResolveStored(slot, location);
      break;
    }
    case model::ItemKind::kError:
      ResolveError(
          slot, std::string(reinterpret_cast<const char*>(item.bytes.data()), item.bytes.size()));
      break;
    case model::ItemKind::kReferences:
      ResolveError(
          slot, EncodeError(ErrorCode::kSerializationError,
                            "malformed answer for object " + model::ToString(slab_.At(slot).id)));
      break;
  }
}

// Waiters are served from a worklist, not by recursion: a chain of dependants may be long.
template <class Sink>
void ClientCore<Sink>::Finish(uint32_t slot) {
  Entry& resolved = slab_.At(slot);
  resolved.state = EntryState::kReady;
  --unresolved_;
  ++resolved_;
  sink_.Resolved(slot);
  if (resolved.waiters.empty()) {
    if (resolved.holds == 0) TryFree(slot);
    return;
  }
  finished_.push_back(slot);
  if (finishing_) return;
  finishing_ = true;
  while (!finished_.empty()) {
    const uint32_t at = finished_.back();
    finished_.pop_back();
    // a failing dependant drops its own
    ++slab_.At(at).holds;
    std::vector<Waiter> waiters = std::move(slab_.At(at).waiters);
    slab_.At(at).waiters.clear();
    for (const Waiter& waiter : waiters) {
      if (waiter.task_slot == kNoSlot) {
        AnswerFetch(waiter, at);
        continue;
      }
      Entry& dependant = slab_.At(waiter.task_slot);
      if (!dependant.task) continue;
      if (slab_.At(at).kind == ValueKind::kError) {
        const auto bytes = slab_.At(at).bytes();
        FailTask(waiter.task_slot,
                 std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
      } else if (--dependant.task->unresolved == 0) {
        Ready(waiter.task_slot, now_);
      }
    }
    ReleaseHold(at);
  }
  finishing_ = false;
}

template <class Sink>
void ClientCore<Sink>::AddValueItem(model::BodyWriter& writer, const Entry& entry) {
  switch (entry.kind) {
    case ValueKind::kStored:
      writer.AddStored(*entry.stored);
      break;
    case ValueKind::kError:
      writer.AddError(entry.bytes());
      break;
    default:
      writer.AddInline(entry.bytes(), entry.id.sequence);
  }
}

template <class Sink>
void ClientCore<Sink>::AnswerFetch(const Waiter& waiter, uint32_t slot) {
  std::vector<std::byte> body;
  model::BodyWriter writer(body);
  AddValueItem(writer, slab_.At(slot));
  model::FrameHeader header;
  header.kind = model::FrameKind::kValue;
  header.destination = waiter.peer;
  header.task = slab_.At(slot).id;
  header.cookie_slot = waiter.cookie_slot;
  header.cookie_sequence = waiter.cookie_sequence;
  header.job = options_.job;
  header.item_count = writer.item_count();
  sink_.SendMessage(header, body, /*urgent=*/true);
}

template <class Sink>
void ClientCore<Sink>::OnFetchValue(const model::FrameHeader& header) {
  Waiter waiter;
  waiter.peer = header.source;
  waiter.cookie_slot = header.cookie_slot;
  waiter.cookie_sequence = header.cookie_sequence;
  const uint32_t slot = slab_.FindOwn(header.task);
  if (slot != kNoSlot) {
    if (IsReady(slot)) {
      AnswerFetch(waiter, slot);
    } else {
      slab_.At(slot).waiters.push_back(waiter);
    }
    return;
  }
  std::vector<std::byte> body;
  model::BodyWriter writer(body);
  const std::string error =
      EncodeError(ErrorCode::kObjectLost,
                  "object " + model::ToString(header.task) + " was released by its owner");
  writer.AddError(std::as_bytes(std::span(error)));
  model::FrameHeader answer;
  answer.kind = model::FrameKind::kValue;
  answer.destination = header.source;
  answer.task = header.task;
  answer.cookie_slot = header.cookie_slot;
  answer.cookie_sequence = header.cookie_sequence;
  answer.item_count = 1;
  sink_.SendMessage(answer, body, /*urgent=*/true);
}

template <class Sink>
void ClientCore<Sink>::Want(uint32_t slot) {
  Entry& entry = slab_.At(slot);
  if (entry.state != EntryState::kForeign) return;
  entry.state = EntryState::kFetching;
  ++unresolved_;
  if (!lost_.empty()) {
    ResolveError(slot, lost_);
    return;
  }
  model::FrameHeader header;
  header.kind = model::FrameKind::kFetchValue;
  header.destination = entry.id.owner;
  header.task = entry.id;
  header.job = options_.job;
  header.cookie_slot = slot;
  header.cookie_sequence = PendingSlab::CookieSequence(entry.id);
  sink_.SendMessage(header, {}, /*urgent=*/true);
}

template <class Sink>
void ClientCore<Sink>::OnValue(const model::FrameHeader& header, std::span<const std::byte> body) {
  const uint32_t slot = Find(header.task);
  if (slot == kNoSlot || slot != header.cookie_slot ||
      slab_.At(slot).state != EntryState::kFetching)
    return;
  if (header.source != slab_.At(slot).id.owner && !header.source.is_daemon()) return;
  model::BodyReader reader(body, header.item_count);
  model::Item item;
  if (reader.Next(item)) {
    ResolveItem(slot, item);
  } else {
    ResolveError(slot,
                 EncodeError(ErrorCode::kObjectLost, "malformed answer from the owner of object " +
                                                         model::ToString(header.task)));
  }
}

template <class Sink>
std::string ClientCore<Sink>::DescribeDemand(const TaskRecord& task) const {
  const auto demand = scheduling::FromWire(classes_[task.class_index].description.resources());
  return demand.ok() ? " (it demands {" + demand->ToString() + "})" : "";
}

template <class Sink>
std::string ClientCore<Sink>::Describe(uint32_t slot) const {
  const Entry& entry = slab_.At(TaskSlot(slot));
  std::string text = "object " + model::ToString(slab_.At(slot).id);
  if (entry.task) {
    const char* kind = entry.task->actor_index == kNoSlot ? "task " : "call ";
    text = kind + entry.task->name() + " (" + model::ToString(entry.id) + ")";
  }
  switch (entry.state) {
    case EntryState::kWaiting:
      return text + ": waits for " + std::to_string(entry.task ? entry.task->unresolved : 0) +
             " arguments";
    case EntryState::kQueued:
      if (entry.task && entry.task->actor_index != kNoSlot) {
        return text + ": waits for " + DescribeActor(*actors_[entry.task->actor_index]);
      }
      return text + ": queued, waits for a worker" +
             (entry.task ? DescribeDemand(*entry.task) : "");
    case EntryState::kSent:
      return text + ": sent to " + model::ToString(entry.task->destination) + ", attempt " +
             std::to_string(entry.task->attempt);
    case EntryState::kForeign:
    case EntryState::kFetching:
      return text + ": asked for at its owner " + model::ToString(entry.id.owner);
    default:
      return text + ": ready";
  }
}

template <class Sink>
void ClientCore<Sink>::CheckInvariants() const {
  uint64_t unresolved = 0;
  for (uint32_t slot = 0; slot < slab_.used(); ++slot) {
    const Entry& entry = slab_.At(slot);
    if (entry.state == EntryState::kFree) continue;
    if (entry.state != EntryState::kReady && entry.state != EntryState::kForeign) ++unresolved;
    RAYX_CHECK(entry.state == EntryState::kReady || entry.kind == ValueKind::kNone);
    RAYX_CHECK(entry.state != EntryState::kSent || entry.task != nullptr);
    if (entry.id.owner != options_.self) RAYX_CHECK(foreign_.contains(entry.id));
  }
  RAYX_CHECK(unresolved == unresolved_);
  for (const auto& actor : actors_) {
    const auto waits = std::count(waiting_for_room_.begin(), waiting_for_room_.end(), actor.get());
    RAYX_CHECK(waits == (actor->waits_for_room ? 1 : 0));
  }
  for (const HeldLease& lease : leases_) {
    if (!lease.live) continue;
    for (uint32_t slot : lease.in_flight.slots())
      RAYX_CHECK(slab_.At(slot).state == EntryState::kSent);
  }
}

}  // namespace rayx::client
