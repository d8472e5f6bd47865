// runtime/client/core/client_core_tasks.inl.h
//
// ClientCore: tasks and leases. The contract is client_core.h's, of which this is a part: include
// that.
#pragma once

#include <algorithm>

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
    header.credit = record.extras ? record.extras->serves_at_once : 0;
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

// Short tasks are pipelined so that a worker finds the next one in its ring; long ones are not, so
// that none waits behind another while a worker elsewhere is free.
template <class Sink>
size_t ClientCore<Sink>::Depth(const TaskClass& task_class) const {
  if (task_class.mean_run_us < 0) return 1;
  if (task_class.mean_run_us * kPipelineMax <= 1000.0) return kPipelineMax;
  const double depth = 1000.0 / std::max(task_class.mean_run_us, 1.0);
  return std::clamp<size_t>(static_cast<size_t>(depth), 1, kPipelineMax);
}

// Each worker that is woken for tasks of a microsecond takes CPU from those that are awake, the
// driver among them: one more of the leases at hand is used once those before it have enough to do.
template <class Sink>
bool ClientCore<Sink>::IsWorthAnother(const TaskClass& task_class, size_t used,
                                      size_t tasks) const {
  if (used == 0 || task_class.mean_run_us < 0) return true;
  if (task_class.description.strategy().kind() == proto::Strategy::SPREAD) return true;
  return static_cast<double>(tasks) * task_class.mean_run_us >=
         static_cast<double>(used) * kSpreadWorthUs;
}

// Of the leases worth using, the least loaded one with room, of equals one where the task's
// arguments lie; one whose worker has been at a frame for long gets no more. `full`: leases that
// refused a frame just now, or that no task is to go to.
template <class Sink>
uint32_t ClientCore<Sink>::PickLease(const TaskClass& task_class, uint32_t first,
                                     std::span<const uint32_t> full, model::TimePoint now) const {
  const size_t depth = Depth(task_class);
  const auto& extras = slab_.At(first).task->extras;
  const model::NodeNumber data_node = extras ? extras->data_node : model::NodeNumber();
  size_t used = 0;
  size_t tasks = task_class.queued.size();
  uint32_t best = kNoSlot;
  for (uint32_t index : task_class.leases) {
    const HeldLease& lease = leases_[index];
    const size_t load = lease.in_flight.size();
    if (lease.recalled || lease.unreachable) continue;
    if (std::find(full.begin(), full.end(), index) != full.end()) continue;
    if (load > 0 && now - lease.progress > options_.stuck_after) continue;
    if (!HasRoom(lease.worker, lease.in_flight, first)) continue;
    if (!IsWorthAnother(task_class, used++, tasks)) break;
    tasks += load;
    if (load >= depth) continue;
    if (best == kNoSlot || load < leases_[best].in_flight.size() ||
        (load == leases_[best].in_flight.size() && lease.worker.node() == data_node &&
         leases_[best].worker.node() != data_node)) {
      best = index;
    }
  }
  return best;
}

template <class Sink>
bool ClientCore<Sink>::SendOn(uint32_t lease_index, uint32_t slot, model::TimePoint now) {
  HeldLease& lease = leases_[lease_index];
  Entry& entry = slab_.At(slot);
  entry.task->destination = lease.worker;
  model::FrameHeader header = HeaderOf(slot);
  if (!sink_.SendCall(header, entry.task->body.bytes(), lease.in_flight.empty())) return false;
  entry.task->claim_slot = header.claim_slot;
  entry.state = EntryState::kSent;
  entry.task->lease_index = lease_index;
  if (lease.in_flight.empty()) lease.progress = now;
  lease.in_flight.Add(slot, FrameBytes(slot));
  return true;
}

template <class Sink>
void ClientCore<Sink>::Pump(TaskClass& task_class, model::TimePoint now) {
  absl::InlinedVector<uint32_t, 16> full;
  task_class.waits_for_data = false;
  while (!task_class.queued.empty()) {
    const uint32_t first = task_class.queued.front();
    if (!slab_.At(first).task->MayBeSentAt(now)) {
      task_class.queued.pop_front();
      delayed_.push_back(first);
      continue;
    }
    const uint32_t lease = PickLease(task_class, first, full, now);
    if (lease == kNoSlot) break;
    const size_t index = PickTask(task_class, leases_[lease], now);
    if (index == kNoTask) {
      task_class.waits_for_data = true;
      full.push_back(lease);
    } else if (SendOn(lease, task_class.queued[index], now)) {
      if (index == 0) {
        task_class.queued.pop_front();
      } else {
        task_class.queued.erase(task_class.queued.begin() + static_cast<std::ptrdiff_t>(index));
      }
    } else {
      full.push_back(lease);
    }
  }
  task_class.waits_for_room = !task_class.queued.empty() && !task_class.waits_for_data;
  if (task_class.queued.empty()) {
    for (uint64_t request : task_class.requests) {
      class_by_request_.erase(request);
      sink_.CancelLease(request);
    }
    task_class.requests.clear();
  } else if (now >= task_class.ask_again) {
    AskForLeases(task_class);
  }
}

// Long tasks want a worker each. Short ones that the leases at hand get through in a few
// milliseconds are not worth the messages.
template <class Sink>
size_t ClientCore<Sink>::LeasesWanted(const TaskClass& task_class, model::TimePoint now) const {
  const size_t queued = task_class.queued.size();
  if (task_class.mean_run_us >= 0 && task_class.mean_run_us < kLeaseWorthUs) {
    const auto busy =
        static_cast<size_t>(static_cast<double>(queued) * task_class.mean_run_us / kLeaseWorthUs) +
        1;
    // A lease whose worker has been at one frame for long does not get through anything.
    const auto held = static_cast<size_t>(
        std::count_if(task_class.leases.begin(), task_class.leases.end(), [&](uint32_t index) {
          const HeldLease& lease = leases_[index];
          return !lease.recalled && !lease.unreachable &&
                 (lease.in_flight.empty() || now - lease.progress <= options_.stuck_after);
        }));
    return busy > held ? std::min(busy - held, kLeaseRequestsMax) : 0;
  }
  return std::min(queued, kLeaseRequestsMax);
}

template <class Sink>
void ClientCore<Sink>::AskForLeases(TaskClass& task_class) {
  const size_t wanted =
      std::max<size_t>(LeasesWanted(task_class, now_), task_class.waits_for_data ? 1 : 0);
  while (task_class.requests.size() < wanted) {
    // Each request for a task of its own, to the nodes where most of its arguments lie.
    const size_t index = std::min(task_class.requests.size(), task_class.queued.size() - 1);
    std::vector<uint32_t> nodes;
    for (const auto& [bytes, node] : DataOf(*slab_.At(task_class.queued[index]).task)) {
      nodes.push_back(node.value);
    }
    const uint64_t request = ++next_request_;
    task_class.requests.insert(request);
    class_by_request_.emplace(request, task_class.index);
    sink_.RequestLease(request, task_class.description, nodes);
  }
}

template <class Sink>
void ClientCore<Sink>::OnLeaseGranted(uint64_t request, model::LeaseId id, model::ProcessId worker,
                                      model::TimePoint now) {
  now_ = now;
  auto it = class_by_request_.find(request);
  if (it == class_by_request_.end()) {  // cancelled meanwhile
    sink_.ReturnLease(id, false);
    return;
  }
  const uint32_t class_index = it->second;
  class_by_request_.erase(it);
  TaskClass& task_class = classes_[class_index];
  task_class.requests.erase(request);
  task_class.worker_limit = false;
  task_class.failed_starts = 0;
  uint32_t index;
  if (free_leases_.empty()) {
    index = static_cast<uint32_t>(leases_.size());
    leases_.emplace_back();
  } else {
    index = free_leases_.back();
    free_leases_.pop_back();
  }
  HeldLease& lease = leases_[index];
  lease = HeldLease{};
  lease.id = id;
  lease.worker = worker;
  lease.class_index = class_index;
  lease.live = true;
  lease.idle_since = now;
  // Those of this VM first: see IsWorthAnother.
  const bool is_here = worker.node() == options_.self.node();
  task_class.leases.insert(is_here ? task_class.leases.begin() : task_class.leases.end(), index);
  ++leases_live_;
  // The daemon knew where the arguments lie, and that there is no room.
  if (!task_class.queued.empty() && PickTask(task_class, lease, now) == kNoTask) {
    slab_.At(task_class.queued.front()).task->Extras().anywhere_at = now;
  }
  Pump(task_class, now);
}

template <class Sink>
void ClientCore<Sink>::OnLeaseFailed(uint64_t request, const proto::ErrorInfo& error,
                                     bool worker_limit, model::TimePoint now) {
  now_ = now;
  auto it = class_by_request_.find(request);
  if (it == class_by_request_.end()) return;
  TaskClass& task_class = classes_[it->second];
  class_by_request_.erase(it);
  task_class.requests.erase(request);
  if (worker_limit) {
    task_class.worker_limit = true;
    task_class.ask_again = now + std::chrono::milliseconds(50);
    return;
  }
  // A worker that does not start (no pids, no memory for a moment) is tried again before its tasks
  // fail.
  const auto code = static_cast<ErrorCode>(error.code());
  const bool passing = code == ErrorCode::kWorkerDied || code == ErrorCode::kNodeDied;
  if (passing && (!task_class.leases.empty() || ++task_class.failed_starts < kFailedStartsMax)) {
    task_class.ask_again =
        now + std::chrono::milliseconds(100 << std::min(task_class.failed_starts, 4u));
    return;
  }
  task_class.failed_starts = 0;
  std::deque<uint32_t> queued = std::move(task_class.queued);
  task_class.queued.clear();
  const std::string bytes = error.SerializeAsString();
  for (uint32_t slot : queued) FailTask(slot, bytes);
  Pump(task_class, now);
}

template <class Sink>
void ClientCore<Sink>::OnLeaseRecalled(model::LeaseId id, bool if_idle, model::TimePoint now) {
  now_ = now;
  for (uint32_t index = 0; index < leases_.size(); ++index) {
    HeldLease& lease = leases_[index];
    if (!lease.live || lease.id != id) continue;
    if (if_idle) {
      lease.wanted_until = now + kWantedFor;  // OnTick sees how long it has been idle
      return;
    }
    lease.recalled = true;
    RevokeStuck(index, /*oldest=*/true, now);
    if (lease.in_flight.empty()) ReturnLease(index, false);
    return;
  }
}

template <class Sink>
void ClientCore<Sink>::ReturnLease(uint32_t lease_index, bool worker_failed) {
  HeldLease& lease = leases_[lease_index];
  std::erase(classes_[lease.class_index].leases, lease_index);
  sink_.ReturnLease(lease.id, worker_failed);
  lease.live = false;
  free_leases_.push_back(lease_index);
  --leases_live_;
}

template <class Sink>
void ClientCore<Sink>::RemoveFromLease(uint32_t lease_index, uint32_t slot, model::TimePoint now) {
  HeldLease& lease = leases_[lease_index];
  lease.progress = now;
  lease.in_flight.Remove(slot, FrameBytes(slot));
  if (lease.in_flight.empty()) {
    lease.idle_since = now;
    if (lease.recalled) ReturnLease(lease_index, false);
  }
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
      OnBorrowerAck(header.call_number, header.source);
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
    const auto request = registrations_.find(header.call_number);
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

// Takes back what a blocked or long-running worker has not started, newest first.
template <class Sink>
void ClientCore<Sink>::RevokeStuck(uint32_t lease_index, bool oldest, model::TimePoint now) {
  HeldLease& lease = leases_[lease_index];
  std::vector<uint32_t> revoked;
  const std::deque<uint32_t>& sent = lease.in_flight.slots();
  const auto end = oldest || sent.empty() ? sent.rend() : sent.rend() - 1;
  for (auto it = sent.rbegin(); it != end; ++it) {
    const Revocation outcome = sink_.TryRevoke(HeaderOf(*it));
    if (outcome == Revocation::kTooLate) break;  // frames start in order
    if (outcome == Revocation::kRevoked) revoked.push_back(*it);
    if (outcome == Revocation::kAsked) lease.revoke_again = now + kRevokeAgain;
  }
  for (uint32_t slot : revoked) {
    lease.in_flight.Remove(slot, FrameBytes(slot));
    Requeue(slot, now);
  }
}

template <class Sink>
void ClientCore<Sink>::OnRevokeReply(const model::FrameHeader& header, model::TimePoint now) {
  const uint32_t slot = CookieSlot(header);
  if (slot == kNoSlot || (header.flags & model::kFlagTooLate) != 0) return;
  const uint32_t lease_index = slab_.At(slot).task->lease_index;
  if (lease_index == kNoSlot) return;
  now_ = now;
  // That it gave a frame back is no progress of the worker: else the frame would go to it again.
  HeldLease& lease = leases_[lease_index];
  lease.in_flight.Remove(slot, FrameBytes(slot));
  if (lease.in_flight.empty()) {
    lease.idle_since = now;
    if (lease.recalled) ReturnLease(lease_index, false);
  }
  Requeue(slot, now);
  Pump(classes_[slab_.At(slot).task->class_index], now);
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
  }
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
    if (!actor->watching && actor->announced && actor->state != proto::ACTOR_DEAD &&
        now >= actor->watch_again) {
      Watch(*actor);
    }
    if (!actor->queued.empty()) PumpActor(*actor, now);
  }
}

}  // namespace rayx::client
