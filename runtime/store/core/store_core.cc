#include "store/core/store_core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mark.h"

namespace rayx::store {

using model::TimePoint;

namespace {

StoreOptions InWholePages(StoreOptions options) {
  options.budget_bytes -= options.budget_bytes % kPageBytes;
  return options;
}

PlacedObject Placed(EntryName name, const ObjectRecord& record) {
  return {name, record.object, record.extent.offset, record.bytes};
}

}  // namespace

StoreCore::StoreCore(StoreOptions options) : options_(InWholePages(options)) {
  RAYX_CHECK(options_.budget_bytes > 0 && options.entries_max > 0);
  RAYX_CHECK(options.segment_bytes > 0 && options.segment_bytes % kPageBytes == 0);
}

bool StoreCore::OnOpenJob(model::JobId job) {
  return jobs_.try_emplace(job, options_.segment_bytes).second;
}

bool StoreCore::IsOpen(model::JobId job) const {
  const auto at = jobs_.find(job);
  return at != jobs_.end() && !at->second.closing;
}

base::Status StoreCore::Validate(const AllocateRequest& request) const {
  if (request.bytes == 0) return absl::InvalidArgumentError("an object of 0 bytes has no extent");
  if (!IsOpen(request.job)) {
    return absl::CancelledError(
        base::ToAbsl("job " + ToString(request.job) + " is not open on this node"));
  }
  if (request.bytes > options_.segment_bytes || request.bytes > options_.budget_bytes) {
    return FullStatus(request, "");
  }
  if (waiting_.size() >= options_.waiting_max) {
    return FullStatus(request, ", and too many requests wait already");
  }
  return base::OkStatus();
}

void StoreCore::OnAllocate(const AllocateRequest& request, TimePoint now, StoreEffects& effects) {
  if (pending_.count(request.key) != 0) {
    RAYX_MARK("store: allocation repeated while it waits");
    return;
  }
  if (base::Status status = Validate(request); !status.ok()) {
    effects.refusals.push_back({request.key, std::move(status)});
    return;
  }
  FreeSuperseded(request, effects);
  pending_.insert(request.key);
  waiting_.push_back({request, now + options_.allocate_wait});
  StartWaiting(effects);
}

void StoreCore::FreeSuperseded(const AllocateRequest& request, StoreEffects& effects) {
  const auto orphan = orphans_.find(request.object);
  if (request.is_copy || orphan == orphans_.end()) return;
  // Somebody makes the object anew, so its owner has given up the dead writer's attempt.
  RAYX_MARK("store: orphan superseded by a new attempt");
  const EntryName name = orphan->second;
  Free(name, *FindRecord(name), {}, effects);
}

void StoreCore::StartWaiting(StoreEffects& effects) {
  while (!waiting_.empty() && !memory_refused_) {
    if (!TryStart(waiting_.front(), effects)) return;
    waiting_.pop_front();
  }
}

std::optional<uint32_t> StoreCore::TakeSlot(Job& job) {
  if (!job.free_slots.empty()) {
    const uint32_t entry = job.free_slots.back();
    job.free_slots.pop_back();
    return entry;
  }
  if (job.slots.size() >= options_.entries_max) return std::nullopt;
  job.slots.emplace_back();
  return static_cast<uint32_t>(job.slots.size() - 1);
}

bool StoreCore::TryStart(const Waiting& waiting, StoreEffects& effects) {
  const AllocateRequest& request = waiting.request;
  Job& job = jobs_.at(request.job);
  const uint64_t bytes = RoundToPages(request.bytes);
  if (bytes > options_.budget_bytes - std::min(options_.budget_bytes, live_bytes_)) return false;
  if (job.free_slots.empty() && job.slots.size() >= options_.entries_max) return false;
  auto grant = job.extents.Allocate(bytes);
  if (!grant) return false;
  live_bytes_ += bytes;
  const uint32_t entry = *TakeSlot(job);
  Slot& slot = job.slots[entry];
  slot.record.emplace();
  slot.record->object = request.object;
  slot.record->writer = request.key.process;
  slot.record->request = request.key.request;
  slot.record->bytes = request.bytes;
  slot.record->extent = grant->extent;
  slot.record->is_copy = request.is_copy;
  slot.record->deadline = waiting.deadline;
  ++job.live;
  const EntryName name{request.job, entry, slot.generation};
  MakeRoom(effects);
  if (grant->cold.empty()) {
    Grant(name, effects);
  } else {
    effects.prepares.push_back({name, std::move(grant->cold)});
  }
  return true;
}

void StoreCore::MakeRoom(StoreEffects& effects) {
  uint64_t warm = warm_bytes();
  while (live_bytes_ + warm > options_.budget_bytes && warm > 0) {
    const auto fullest =
        std::max_element(jobs_.begin(), jobs_.end(), [](const auto& a, const auto& b) {
          return a.second.extents.warm_bytes() < b.second.extents.warm_bytes();
        });
    const uint64_t excess = RoundToPages(live_bytes_ + warm - options_.budget_bytes);
    const auto cold = fullest->second.extents.Chill(excess);
    effects.punches.push_back({fullest->first, *cold});
    warm -= cold->bytes;
  }
}

void StoreCore::Grant(EntryName name, StoreEffects& effects) {
  ObjectRecord& record = *FindRecord(name);
  record.phase = EntryPhase::kHeld;
  const RequestKey key{record.writer, record.request};
  pending_.erase(key);
  effects.grants.push_back({key, Placed(name, record)});
}

void StoreCore::OnPrepared(EntryName name, const base::Status& status, TimePoint,
                           StoreEffects& effects) {
  ObjectRecord* record = FindRecord(name);
  RAYX_CHECK(record != nullptr && record->phase == EntryPhase::kFilling, "an answer unasked for");
  if (status.ok() && !record->abandoned) {
    Grant(name, effects);
    return;
  }
  if (!status.ok() && !record->abandoned) {
    // The system has less memory than the budget: the request waits, first in the queue.
    RAYX_MARK("store: the system refused memory");
    memory_refused_ = true;
    waiting_.push_front({{{record->writer, record->request},
                          record->object,
                          name.job,
                          record->bytes,
                          record->is_copy},
                         record->deadline});
  } else {
    pending_.erase({record->writer, record->request});
  }
  Release(name, status.ok(), effects);
  StartWaiting(effects);
}

void StoreCore::OnFree(EntryName name, model::ObjectId object, model::ProcessId from, TimePoint,
                       StoreEffects& effects) {
  ObjectRecord* record = FindRecord(name);
  if (record == nullptr || record->object != object) {
    RAYX_MARK("store: free of a name that is not current");
    return;
  }
  // A copy goes with its source, by PullCore's word.
  if (record->is_copy && from != record->writer) return;
  Free(name, *record, from, effects);
}

void StoreCore::Free(EntryName name, ObjectRecord& record, model::ProcessId from,
                     StoreEffects& effects) {
  if (record.phase == EntryPhase::kFilling) {
    if (!record.abandoned) {
      record.abandoned = true;
      effects.refusals.push_back(
          {{record.writer, record.request}, absl::CancelledError("freed before it was granted")});
    }
    return;
  }
  const bool by_writer = from && from == record.writer;
  if (record.phase == EntryPhase::kFreed) return;
  if (record.phase == EntryPhase::kFreeing && !by_writer) return;
  record.phase = EntryPhase::kFreeing;
  unfinished_.insert(name);
  if (const auto orphan = orphans_.find(record.object);
      orphan != orphans_.end() && orphan->second == name) {
    orphans_.erase(orphan);
  }
  for (const model::NodeNumber node : record.pulled_by) {
    effects.forwards.push_back({node, Placed(name, record)});
  }
  record.pulled_by.clear();
  effects.retires.push_back({name, by_writer ? RetireIf::kAny : RetireIf::kSealed});
}

void StoreCore::OnRetired(EntryName name, RetireOutcome outcome, TimePoint, StoreEffects& effects) {
  ObjectRecord* record = FindRecord(name);
  // Two retirements of one entry may be under way (a free, and its writer's death).
  if (record == nullptr) return;
  switch (outcome) {
    case RetireOutcome::kLeft:
      if (record->phase == EntryPhase::kHeld) {
        RAYX_MARK("store: finished object of a dead writer");
        orphans_[record->object] = name;
        effects.orphans.push_back({Placed(name, *record)});
      }
      return;
    case RetireOutcome::kPinned:
      record->phase = EntryPhase::kFreed;
      unfinished_.insert(name);
      return;
    case RetireOutcome::kUnpinned:
      Release(name, true, effects);
      StartWaiting(effects);
      return;
  }
}

void StoreCore::Release(EntryName name, bool has_pages, StoreEffects& effects) {
  const auto at = jobs_.find(name.job);
  Job& job = at->second;
  Slot& slot = job.slots[name.entry];
  const ByteRange extent = slot.record->extent;
  const bool was_filling = slot.record->phase == EntryPhase::kFilling;
  const bool keep_warm = has_pages && !job.closing;
  job.extents.Free(extent, keep_warm);
  if (!keep_warm) effects.punches.push_back({name.job, extent});
  live_bytes_ -= extent.bytes;
  slot.record.reset();
  unfinished_.erase(name);
  --job.live;
  // A generation counts once it was granted. A slot that has used up its own is never taken again.
  if (!was_filling) ++slot.generation;
  if (slot.generation != UINT32_MAX) job.free_slots.push_back(name.entry);
  if (job.closing && job.live == 0) {
    effects.closes.push_back(name.job);
    jobs_.erase(at);
  }
}

bool StoreCore::OnServe(EntryName name, model::ObjectId object, model::NodeNumber node) {
  ObjectRecord* record = FindRecord(name);
  if (record == nullptr || record->object != object || record->phase != EntryPhase::kHeld) {
    return false;
  }
  record->pulled_by.insert(node);
  return true;
}

void StoreCore::RefuseWaiting(size_t index, base::Status why, StoreEffects& effects) {
  const RequestKey key = waiting_[index].request.key;
  pending_.erase(key);
  effects.refusals.push_back({key, std::move(why)});
  waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(index));
}

ObjectRecord* StoreCore::FindRecord(EntryName name) {
  return const_cast<ObjectRecord*>(std::as_const(*this).Find(name));
}

const ObjectRecord* StoreCore::Find(EntryName name) const {
  const auto at = jobs_.find(name.job);
  if (at == jobs_.end() || name.entry >= at->second.slots.size()) return nullptr;
  const Slot& slot = at->second.slots[name.entry];
  return slot.generation == name.generation && slot.record ? &*slot.record : nullptr;
}

uint64_t StoreCore::warm_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [id, job] : jobs_) bytes += job.extents.warm_bytes();
  return bytes;
}

}  // namespace rayx::store
