// runtime/client/core/client_core_losses.inl.h
//
// ClientCore: what a death, a lost node or a lost cluster takes. The contract is
// client_core.h's, of which this is a part: include that.
#pragma once

#include <algorithm>

#include "client/core/client_core.h"

namespace rayx::client {

// `started`: the attempt may have had effects, so it is used up.
template <class Sink>
void ClientCore<Sink>::OnAttemptLost(uint32_t slot, const proto::DeathCause& cause, bool started,
                                     model::TimePoint now) {
  TaskRecord& record = *slab_.At(slot).task;
  if (!started) {
    Requeue(slot, now);
    return;
  }
  const auto code =
      cause.code() != 0 ? static_cast<ErrorCode>(cause.code()) : ErrorCode::kWorkerDied;
  if (code == ErrorCode::kWorkerDied) ++record.Extras().deaths;
  if (record.retries_left != 0) {  // negative: for ever
    if (record.retries_left > 0) --record.retries_left;
    // 0 for the first retry, then 100 ms doubling to 2 s: a crash loop does not burn the machine.
    const uint32_t retry = record.attempt;
    ++record.attempt;
    const std::string attempts =
        record.retries_left < 0
            ? ""
            : " of " + std::to_string(record.attempt + static_cast<uint32_t>(record.retries_left));
    sink_.Warn("task " + record.name() + ": " + cause.reason() + "; attempt " +
               std::to_string(record.attempt) + attempts + " follows");
    if (retry > 1)
      record.Extras().not_before =
          now + std::chrono::milliseconds(std::min(100u << std::min(retry - 2, 5u), 2000u));
    Requeue(slot, now);
    return;
  }
  const uint32_t attempt = record.attempt;
  const std::string number = std::to_string(attempt);
  if (attempt > 1 && record.extras && record.extras->deaths == attempt) {
    FailTask(slot, EncodeDeath(ErrorCode::kTaskPoisoned,
                               "each of the " + number + " attempts of task " + record.name() +
                                   " killed its worker; the last",
                               cause, attempt));
  } else {
    FailTask(slot,
             EncodeDeath(code, "task " + record.name() + ", attempt " + number, cause, attempt));
  }
}

// Foreign objects that were asked for, in the order of their slots: the table of them has none.
template <class Sink>
std::vector<uint32_t> ClientCore<Sink>::Fetching() const {
  std::vector<uint32_t> slots;
  if (foreign_.empty()) return slots;
  for (uint32_t slot = 0; slot < slab_.used(); ++slot) {
    if (slab_.At(slot).state == EntryState::kFetching) slots.push_back(slot);
  }
  return slots;
}

template <class Sink>
void ClientCore<Sink>::OnProcessDied(model::ProcessId process, const proto::DeathCause& cause,
                                     model::TimePoint now) {
  now_ = now;
  std::vector<uint32_t> lost;
  for (uint32_t index = 0; index < leases_.size(); ++index) {
    HeldLease& lease = leases_[index];
    if (!lease.live || lease.worker != process) continue;
    // Newest first, because Requeue puts each at the front.
    const std::deque<uint32_t> in_flight = lease.in_flight.Take();
    lost.insert(lost.end(), in_flight.rbegin(), in_flight.rend());
    ReturnLease(index, true);
  }
  for (uint32_t slot : lost) {
    OnAttemptLost(slot, cause, sink_.MayHaveStarted(HeaderOf(slot)), now);
  }
  TakeBackAll(process);
  ForgetRegistrations(process);
  for (auto& actor : actors_) {
    if (!actor->process || actor->process != process) continue;
    LoseIncarnation(*actor, EncodeActorDeath(*actor, cause));
    ReleaseView(*actor);
  }
  for (uint32_t slot : Fetching()) {
    if (slab_.At(slot).id.owner != process) continue;
    ResolveError(slot, EncodeDeath(ErrorCode::kOwnerDied,
                                   "owner of object " + model::ToString(slab_.At(slot).id), cause));
  }
  for (TaskClass& task_class : classes_) {
    if (!task_class.queued.empty()) Pump(task_class, now);
  }
}

template <class Sink>
void ClientCore<Sink>::OnNodeDied(model::NodeNumber node, const std::string& reason,
                                  model::TimePoint now) {
  std::set<model::ProcessId> gone;
  for (const HeldLease& lease : leases_) {
    if (lease.live && lease.worker.node() == node) gone.insert(lease.worker);
  }
  for (const auto& actor : actors_) {
    if (actor->process.node() == node) gone.insert(actor->process);
  }
  for (uint32_t slot : Fetching()) {
    const model::ProcessId owner = slab_.At(slot).id.owner;
    if (owner.node() == node) gone.insert(owner);
  }
  for (const auto& [borrower, slots] : borrowed_) {
    if (borrower.node() == node) gone.insert(borrower);
  }
  for (const auto& [request, registration] : registrations_) {
    if (registration.owner.node() == node) gone.insert(registration.owner);
  }
  proto::DeathCause cause;
  cause.set_code(static_cast<int>(ErrorCode::kNodeDied));
  cause.set_reason(reason);
  for (model::ProcessId process : gone) OnProcessDied(process, cause, now);
  // Its objects are lost. (They are rebuilt by lineage where the owner kept the task.)
  for (uint32_t slot = 0; slot < slab_.used(); ++slot) {
    Entry& entry = slab_.At(slot);
    if (entry.kind != ValueKind::kStored || entry.stored->node != node) continue;
    const std::string error = EncodeError(
        ErrorCode::kObjectLost, "object " + model::ToString(entry.id) + " lay on node " +
                                    std::to_string(node.value) + ", which died: " + reason);
    entry.stored.reset();
    entry.kind = ValueKind::kError;
    entry.value_bytes = static_cast<uint32_t>(error.size());
    entry.heap = std::make_unique_for_overwrite<std::byte[]>(error.size() + 1);
    std::memcpy(entry.heap.get(), error.data(), error.size());
    ++resolved_;
    sink_.Resolved(slot);
  }
}

// A daemon could not deliver a frame of ours: its destination is gone.
template <class Sink>
void ClientCore<Sink>::OnUndeliverable(const model::FrameHeader& header,
                                       std::span<const std::byte> body, model::TimePoint now) {
  proto::DeathCause cause;
  cause.set_reason("its process is gone");
  model::BodyReader reader(body, header.item_count);
  model::Item item;
  proto::ErrorInfo info;
  if (reader.Next(item) && item.kind == model::ItemKind::kError &&
      info.ParseFromArray(item.bytes.data(), static_cast<int>(item.bytes.size()))) {
    cause.set_code(info.code());
    cause.set_reason(info.message());
    cause.set_signal(info.signal());
    cause.set_exit_code(info.exit_code());
  }
  if (header.cookie_slot == kNoSlot) {  // what borrowing sends: its registration, if it was one
    const auto request = registrations_.find(header.number);
    if (request != registrations_.end()) OnBorrowerAck(request->first, request->second.owner);
    return;
  }
  const uint32_t foreign = Find(header.task);
  if (foreign != kNoSlot && slab_.At(foreign).state == EntryState::kFetching) {
    ResolveError(foreign, EncodeDeath(ErrorCode::kOwnerDied,
                                      "owner of object " + model::ToString(header.task), cause));
    return;
  }
  const uint32_t slot = CookieSlot(header);
  if (slot == kNoSlot) return;
  now_ = now;
  // This frame never started. Those that may have are judged when the death itself is told.
  TaskRecord& record = *slab_.At(slot).task;
  if (record.actor_index != kNoSlot) {
    ActorRecord& actor = *actors_[record.actor_index];
    actor.in_flight.Remove(slot, FrameBytes(slot));
    actor.connected = false;
    actor.lost_at = now;
    FailTask(slot, EncodeDeath(ErrorCode::kActorDied, "actor " + actor.name, cause));
    return;
  }
  TaskClass& task_class = classes_[record.class_index];
  if (record.lease_index != kNoSlot) {
    HeldLease& lease = leases_[record.lease_index];
    lease.unreachable = true;
    lease.in_flight.Remove(slot, FrameBytes(slot));
    if (lease.in_flight.empty()) ReturnLease(record.lease_index, /*worker_failed=*/true);
  }
  slab_.At(slot).task->Extras().not_before = now + kUndeliverableWait;
  OnAttemptLost(slot, cause, /*started=*/false, now);
  Pump(task_class, now);
}

template <class Sink>
void ClientCore<Sink>::OnClusterLost(const std::string& error) {
  lost_ = error;
  for (uint32_t slot = 0; slot < slab_.used(); ++slot) {
    const Entry& entry = slab_.At(slot);
    if (entry.state == EntryState::kFree || entry.state == EntryState::kReady ||
        entry.state == EntryState::kForeign) {
      continue;
    }
    if (entry.task) {
      FailTask(slot, error);
    } else {
      ResolveError(slot, error);
    }
  }
  for (TaskClass& task_class : classes_) {
    task_class.queued.clear();
    task_class.requests.clear();
  }
  class_by_request_.clear();
  delayed_.clear();
  while (!registrations_.empty()) {
    const auto first = registrations_.begin();
    OnBorrowerAck(first->first, first->second.owner);
  }
  removals_.clear();
  for (HeldLease& lease : leases_) lease.in_flight.Take();
  for (auto& actor : actors_) {
    actor->queued.clear();
    actor->in_flight.Take();
    actor->held_view.reset();
  }
}

}  // namespace rayx::client
