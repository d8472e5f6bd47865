// runtime/client/core/client_core_leases.inl.h
//
// ClientCore: which lease a task goes to, and how many there are. The contract is
// client_core.h's, of which this is a part: include that.
#pragma once

#include <algorithm>

#include "client/core/client_core.h"

namespace rayx::client {

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

}  // namespace rayx::client
