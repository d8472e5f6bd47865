// What ends in StoreCore: jobs, processes, nodes, and requests that waited too long.
#include "store/core/store_core.h"

namespace rayx::store {

using model::TimePoint;

void StoreCore::OnCloseJob(model::JobId job_id, TimePoint, StoreEffects& effects) {
  const auto at = jobs_.find(job_id);
  if (at == jobs_.end() || at->second.closing) return;
  Job& job = at->second;
  job.closing = true;
  for (size_t i = waiting_.size(); i-- > 0;) {
    if (waiting_[i].request.job != job_id) continue;
    RefuseWaiting(i, absl::CancelledError("the job has ended"), effects);
  }
  while (const auto cold = job.extents.Chill(options_.segment_bytes)) {
    effects.punches.push_back({job_id, *cold});
  }
  for (uint32_t i = 0; i < job.slots.size(); ++i) {
    Slot& slot = job.slots[i];
    if (slot.record) {
      // From nobody: what is being written stays until its writer has finished or died.
      Free(EntryName{job_id, i, slot.generation}, *slot.record, {}, effects);
    }
  }
  if (job.live == 0) {
    effects.closes.push_back(job_id);
    jobs_.erase(at);
  }
  StartWaiting(effects);
}

void StoreCore::OnProcessGone(model::ProcessId process, TimePoint, StoreEffects& effects) {
  for (size_t i = waiting_.size(); i-- > 0;) {
    if (waiting_[i].request.key.process != process) continue;
    RefuseWaiting(i, absl::CancelledError("the asking process is gone"), effects);
  }
  for (auto& [job_id, job] : jobs_) {
    for (uint32_t i = 0; i < job.slots.size(); ++i) {
      Slot& slot = job.slots[i];
      if (!slot.record) continue;
      ObjectRecord& record = *slot.record;
      const EntryName name{job_id, i, slot.generation};
      const bool wrote = record.writer == process;
      if (record.phase == EntryPhase::kFreeing || record.phase == EntryPhase::kFreed) {
        // Its pins may just have ended, or its writer will never finish it.
        effects.retires.push_back({name, wrote ? RetireIf::kAny : RetireIf::kSealed});
      } else if (record.is_copy) {
        continue;  // PullCore's, which hears of this too
      } else if (record.object.owner == process) {
        Free(name, record, wrote ? process : model::ProcessId{}, effects);
      } else if (wrote && record.phase == EntryPhase::kFilling) {
        Free(name, record, process, effects);
      } else if (wrote) {
        effects.retires.push_back({name, RetireIf::kWriting});
      }
    }
  }
  StartWaiting(effects);
}

void StoreCore::OnNodeGone(model::NodeNumber node, TimePoint, StoreEffects& effects) {
  for (auto& [job_id, job] : jobs_) {
    for (uint32_t i = 0; i < job.slots.size(); ++i) {
      Slot& slot = job.slots[i];
      if (!slot.record) continue;
      slot.record->pulled_by.erase(node);
      if (slot.record->is_copy || slot.record->object.owner.node() != node) continue;
      Free(EntryName{job_id, i, slot.generation}, *slot.record, {}, effects);
    }
  }
}

void StoreCore::OnTick(TimePoint now, StoreEffects& effects) {
  for (const EntryName& name : unfinished_) {
    effects.retires.push_back({name, RetireIf::kSealed});
  }
  for (size_t i = waiting_.size(); i-- > 0;) {
    if (waiting_[i].deadline > now) continue;
    const auto waited =
        std::chrono::duration_cast<std::chrono::milliseconds>(options_.allocate_wait).count();
    RefuseWaiting(
        i, FullStatus(waiting_[i].request, "; waited " + std::to_string(waited) + " ms for frees"),
        effects);
  }
  memory_refused_ = false;
  StartWaiting(effects);
}

}  // namespace rayx::store
