// The parts of StoreCore that describe its state: for people (errors) and for tests (invariants).
#include "base/check.h"
#include "store/core/sizes.h"
#include "store/core/store_core.h"

namespace rayx::store {

base::Status StoreCore::FullStatus(const AllocateRequest& request, std::string_view after) const {
  if (request.bytes > options_.budget_bytes) {
    return absl::ResourceExhaustedError(
        base::ToAbsl("object " + ToString(request.object) + " needs " + SizeText(request.bytes) +
                     ", more than the whole object store of this node has (" +
                     SizeText(options_.budget_bytes) + ", rayx start --object-store-memory)"));
  }
  size_t objects = 0;
  for (const auto& [id, job] : jobs_) objects += job.live;
  std::string text = "the object store of this node is full: object " + ToString(request.object) +
                     " needs " + SizeText(request.bytes) + ", " + SizeText(live_bytes_) + " of " +
                     SizeText(options_.budget_bytes) + " are in use by " + std::to_string(objects) +
                     (objects == 1 ? " object" : " objects");
  if (!unfinished_.empty()) {
    text += " (" + std::to_string(unfinished_.size()) + " of them freed but still being read)";
  }
  const char* what_helps =
      "; let go of references and views, or give it more (rayx start --object-store-memory)";
  if (const auto at = jobs_.find(request.job);
      at != jobs_.end() && at->second.live >= options_.entries_max) {
    text += ", the job's limit";
    what_helps = "; let go of references and views";
  } else if (memory_refused_) {
    text += ", and the system has no memory for more";
    what_helps = "";
  } else if (request.bytes <= options_.budget_bytes - live_bytes_) {
    text += ", and no free stretch of the job's segment is that long";
  }
  text += after;
  text += what_helps;
  return absl::ResourceExhaustedError(base::ToAbsl(text));
}

void StoreCore::CheckInvariants() const {
  uint64_t live_bytes = 0;
  size_t filling = 0;
  size_t unfinished = 0;
  for (const auto& [job_id, job] : jobs_) {
    job.extents.CheckInvariants();
    live_bytes += job.extents.granted_bytes();
    uint32_t live = 0;
    uint64_t job_bytes = 0;
    for (uint32_t i = 0; i < job.slots.size(); ++i) {
      const Slot& slot = job.slots[i];
      RAYX_CHECK(slot.generation != 0);
      if (!slot.record) continue;
      ++live;
      job_bytes += slot.record->extent.bytes;
      const EntryPhase phase = slot.record->phase;
      filling += phase == EntryPhase::kFilling && !slot.record->abandoned;
      const bool is_unfinished = phase == EntryPhase::kFreeing || phase == EntryPhase::kFreed;
      unfinished += is_unfinished;
      RAYX_CHECK(unfinished_.count({job_id, i, slot.generation}) == is_unfinished);
      RAYX_CHECK(!is_unfinished || slot.record->pulled_by.empty(), "a copy nobody was told about");
      RAYX_CHECK(!job.closing || phase != EntryPhase::kHeld, "held in a job that closes");
    }
    RAYX_CHECK(live == job.live && job_bytes == job.extents.granted_bytes());
    RAYX_CHECK(!job.closing || (live > 0 && job.extents.warm_bytes() == 0));
  }
  RAYX_CHECK(live_bytes == live_bytes_ && unfinished == unfinished_.size());
  RAYX_CHECK(live_bytes_ + warm_bytes() <= options_.budget_bytes, "over the budget");
  RAYX_CHECK(pending_.size() >= waiting_.size() + filling);
  for (const Waiting& waiting : waiting_) RAYX_CHECK(pending_.count(waiting.request.key) == 1);
  for (const auto& [object, name] : orphans_) {
    const ObjectRecord* record = Find(name);
    RAYX_CHECK(record != nullptr && record->object == object && record->phase == EntryPhase::kHeld);
  }
}

}  // namespace rayx::store
