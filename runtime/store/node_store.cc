#include "store/node_store.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "shm/segment.h"

namespace rayx::store {
namespace {

static_assert(kPageBytes == shm::kPageBytes);

StoreOptions CoreOptions(const NodeStoreOptions& options) {
  StoreOptions core;
  core.budget_bytes = options.store_bytes;
  core.segment_bytes = RoundToPages(options.store_bytes);
  core.entries_max = options.control.entries;
  core.allocate_wait = options.allocate_wait;
  return core;
}

PullOptions CopyOptions(const NodeStoreOptions& options) {
  PullOptions pull = options.pull;
  pull.self = options.node;
  return pull;
}

EntryName NameOf(const model::StoredLocation& location) {
  return {location.job, location.entry, location.generation};
}

base::Status Stopped() {
  return absl::CancelledError("the node's store has stopped");
}

}  // namespace

ErrorCode ErrorCodeOf(const base::Status& status) {
  switch (status.code()) {
    case base::StatusCode::kOk:
      return ErrorCode::kNone;
    case base::StatusCode::kResourceExhausted:
      return ErrorCode::kObjectStoreFull;
    case base::StatusCode::kCancelled:
      return ErrorCode::kCancelled;
    default:
      return ErrorCode::kObjectLost;
  }
}

base::StatusOr<std::span<const std::byte>> ServedObject::Read(uint64_t offset,
                                                              uint64_t bytes) const {
  if (offset > size() || bytes > size() - offset) {
    return absl::OutOfRangeError(base::ToAbsl(std::to_string(bytes) + " bytes at " +
                                              std::to_string(offset) + " of an object of " +
                                              std::to_string(size())));
  }
  return object_.bytes().subspan(offset, bytes);
}

NodeStore::NodeStore(NodeStoreOptions options, const io::Clock& clock, ChunkSource* source)
    : options_(std::move(options)),
      clock_(clock),
      source_(source),
      self_(model::ProcessId::Make(options_.node, 0)),
      core_(CoreOptions(options_)),
      pulls_(CopyOptions(options_)),
      own_(self_),
      alive_(std::make_shared<NodeStore*>(this)),
      inbox_(std::make_shared<Inbox>([post = options_.post, alive = alive_] {
        return post([alive] {
          if (*alive != nullptr) (*alive)->DrainInbox();
        });
      })) {}

NodeStore::~NodeStore() {
  Stop();
}

void NodeStore::Stop() {
  if (is_stopped_) return;
  is_stopped_ = true;
  *alive_ = nullptr;
  inbox_->Close();
  memory_.Stop();
  for (auto& [transfer, copying] : copying_) {
    for (auto& [attempt, cancel] : copying.cancels) {
      if (cancel) cancel();
    }
  }
  copying_.clear();
  for (auto* callbacks : {&grants_waited_for_, &copies_waited_for_}) {
    for (auto& [key, callback] : std::exchange(*callbacks, {})) callback(Stopped());
  }
  for (const auto& [job, memory] : jobs_) own_.RemoveSegment(job);
  jobs_.clear();
}

// --- Jobs and processes ---

base::StatusOr<NodeStore::Job> NodeStore::MakeJob(model::JobId job_id) {
  Job job;
  RAYX_ASSIGN_OR_RETURN(auto segment, shm::CreateSegment(job_id, core_.options().segment_bytes));
  RAYX_ASSIGN_OR_RETURN(job.control, shm::ControlArea::CreateMemory(options_.control));
  RAYX_ASSIGN_OR_RETURN(job.control_bytes, shm::CheckedFileBytes(job.control.get()));
  RAYX_ASSIGN_OR_RETURN(job.area, shm::ControlArea::Open(job.control.get()));
  job.segment = std::make_shared<const base::UniqueFd>(std::move(segment));
  job.granter = std::make_unique<shm::ExtentGranter>(job.area);
  RAYX_ASSIGN_OR_RETURN(const uint32_t ledger, job.granter->AssignLedger(self_));
  RAYX_RETURN_IF_ERROR(own_.AddSegment(job_id, base::UniqueFd(::dup(job.segment->get())),
                                       base::UniqueFd(::dup(job.control.get())),
                                       core_.options().segment_bytes, job.control_bytes, ledger));
  return job;
}

base::Status NodeStore::OpenJob(model::JobId job_id) {
  if (is_stopped_) return Stopped();
  if (core_.IsOpen(job_id)) return base::OkStatus();
  if (jobs_.count(job_id) != 0) {
    return absl::FailedPreconditionError(
        base::ToAbsl("job " + ToString(job_id) + " is ending on this node"));
  }
  RAYX_ASSIGN_OR_RETURN(Job job, MakeJob(job_id));
  jobs_.emplace(job_id, std::move(job));
  core_.OnOpenJob(job_id);
  return base::OkStatus();
}

void NodeStore::CloseJob(model::JobId job) {
  if (is_stopped_) return;
  pulls_.OnJobClosed(job, clock_.Now(), pull_effects_);
  RunEffects();
  core_.OnCloseJob(job, clock_.Now(), store_effects_);
  RunEffects();
}

base::StatusOr<NodeStore::Attachment> NodeStore::Attach(model::JobId job_id,
                                                        model::ProcessId process) {
  const auto at = jobs_.find(job_id);
  if (at == jobs_.end() || !core_.IsOpen(job_id)) {
    return absl::NotFoundError(
        base::ToAbsl("job " + ToString(job_id) + " is not open on this node"));
  }
  Job& job = at->second;
  auto ledger = job.ledgers.find(process);
  if (ledger == job.ledgers.end()) {
    RAYX_ASSIGN_OR_RETURN(const uint32_t block, job.granter->AssignLedger(process));
    ledger = job.ledgers.emplace(process, block).first;
  }
  return Attachment{job.segment->get(), job.control.get(), core_.options().segment_bytes,
                    job.control_bytes, ledger->second};
}

void NodeStore::ProcessGone(model::ProcessId process) {
  if (is_stopped_ || process == self_) return;
  for (auto& [job_id, job] : jobs_) {
    if (job.ledgers.erase(process) != 0) job.granter->ReleaseLedger(process);
  }
  for (auto* callbacks : {&grants_waited_for_, &copies_waited_for_}) {
    callbacks->erase(callbacks->lower_bound({process, 0}),
                     callbacks->upper_bound({process, UINT64_MAX}));
  }
  core_.OnProcessGone(process, clock_.Now(), store_effects_);
  pulls_.OnProcessGone(process, clock_.Now(), pull_effects_);
  RunEffects();
}

void NodeStore::NodeGone(model::NodeNumber node) {
  if (is_stopped_ || node == options_.node) return;
  core_.OnNodeGone(node, clock_.Now(), store_effects_);
  pulls_.OnNodeGone(node, clock_.Now(), pull_effects_);
  RunEffects();
}

// --- Objects ---

void NodeStore::Allocate(model::ProcessId process, uint64_t request, model::ObjectId object,
                         model::JobId job, uint64_t bytes, LocationCallback callback) {
  const RequestKey key{process, request};
  if (is_stopped_) {
    callback(Stopped());
  } else if (process == self_) {
    callback(absl::InvalidArgumentError("a process that calls itself the daemon"));
  } else if (grants_waited_for_.try_emplace(key, std::move(callback)).second) {
    core_.OnAllocate({key, object, job, bytes, false}, clock_.Now(), store_effects_);
    RunEffects();
  }
}

void NodeStore::Free(const model::StoredLocation& location, model::ProcessId from) {
  if (is_stopped_ || location.node != options_.node || from == self_) return;
  core_.OnFree(NameOf(location), location.object, from, clock_.Now(), store_effects_);
  RunEffects();
}

void NodeStore::FreeCopy(const model::StoredLocation& source) {
  if (is_stopped_) return;
  pulls_.OnSourceFreed(SourceKey::Of(source), clock_.Now(), pull_effects_);
  RunEffects();
}

void NodeStore::Pull(model::ProcessId process, uint64_t request,
                     const model::StoredLocation& source, LocationCallback callback) {
  if (is_stopped_) {
    callback(Stopped());
    return;
  }
  if (source.node == options_.node) {
    const ObjectRecord* record = core_.Find(NameOf(source));
    const bool is_here =
        record != nullptr && record->object == source.object && record->phase == EntryPhase::kHeld;
    callback(is_here ? base::StatusOr<model::StoredLocation>(LocationOf(
                           {NameOf(source), record->object, record->extent.offset, record->bytes}))
                     : absl::NotFoundError(base::ToAbsl("object " + ToString(source.object) +
                                                        " is not on this node any more")));
    return;
  }
  const RequestKey key{process, request};
  if (!copies_waited_for_.try_emplace(key, std::move(callback)).second) return;
  pulls_.OnPull(key, source, clock_.Now(), pull_effects_);
  RunEffects();
}

void NodeStore::CancelPull(model::ProcessId process, uint64_t request) {
  const RequestKey key{process, request};
  if (is_stopped_ || copies_waited_for_.erase(key) == 0) return;
  pulls_.OnPullCancelled(key, clock_.Now(), pull_effects_);
  RunEffects();
}

base::StatusOr<ServedObject> NodeStore::Serve(const model::StoredLocation& location,
                                              ByteRange range, model::NodeNumber asker) {
  if (is_stopped_) return Stopped();
  if (location.node != options_.node) return ServeCopy(location, range);
  const EntryName name = NameOf(location);
  // Entered before the pin: a free from here on is told to the asker.
  if (!core_.OnServe(name, location.object, asker)) {
    return absl::NotFoundError(
        base::ToAbsl("object " + ToString(location.object) + " is not on this node any more"));
  }
  // This process alone could pin what is not finished yet.
  const auto extent = jobs_.at(name.job).area->Read(name.entry);
  if (!extent.ok() || extent->state != shm::ExtentState::kSealed) {
    return absl::NotFoundError(
        base::ToAbsl("object " + ToString(location.object) + " is not finished"));
  }
  RAYX_ASSIGN_OR_RETURN(auto pinned, own_.Pin(location));
  const uint64_t size = pinned.bytes().size();
  if (range.offset > size || range.bytes > size - range.offset) {
    return absl::InvalidArgumentError("a range that is not inside the object");
  }
  std::vector<model::NodeNumber> copies;
  for (const model::NodeNumber node : core_.Find(name)->pulled_by) {
    if (node != asker) copies.push_back(node);
  }
  // Some of many: others for each asker.
  if (copies.size() > kCopiesToldMax) {
    const auto next = std::upper_bound(copies.begin(), copies.end(), asker);
    std::rotate(copies.begin(), next, copies.end());
    copies.resize(kCopiesToldMax);
  }
  return ServedObject(std::move(pinned), range, std::move(copies));
}

// The asker hears from the object's own node when it is freed, as this node does.
base::StatusOr<ServedObject> NodeStore::ServeCopy(const model::StoredLocation& source,
                                                  ByteRange range) {
  const auto held = pulls_.Find(SourceKey::Of(source), range);
  if (!held || held->copy.size != source.size) {
    return absl::NotFoundError(base::ToAbsl("no part of object " + ToString(source.object) +
                                            " that was asked for is on this node"));
  }
  // Perhaps not sealed yet: what is pinned stays, and its chunks that have come do not change.
  RAYX_ASSIGN_OR_RETURN(auto pinned, own_.Pin(held->copy));
  return ServedObject(std::move(pinned), held->range, {});
}

void NodeStore::Tick() {
  if (is_stopped_) return;
  DrainInbox();
  core_.OnTick(clock_.Now(), store_effects_);
  pulls_.OnTick(clock_.Now(), pull_effects_);
  RunEffects();
}

std::vector<ObjectView> NodeStore::Objects() const {
  std::vector<ObjectView> views;
  core_.ForEach([&](EntryName name, const ObjectRecord& record) {
    ObjectView view{record.object, name.job,        record.bytes,           "granting",
                    false,         !record.is_copy, record.pulled_by.size()};
    const Job& job = jobs_.at(name.job);
    if (record.phase != EntryPhase::kFilling) {
      view.is_pinned = job.granter->IsPinned(name.entry, name.generation);
      const auto extent = job.area->Read(name.entry);
      const bool is_sealed = extent.ok() && extent->state == shm::ExtentState::kSealed;
      view.state = record.phase == EntryPhase::kHeld ? (is_sealed ? "sealed" : "writing") : "freed";
    }
    views.push_back(view);
  });
  return views;
}

void NodeStore::CheckInvariants() const {
  core_.CheckInvariants();
  pulls_.CheckInvariants();
}

model::StoredLocation NodeStore::LocationOf(const PlacedObject& placed) const {
  return {placed.object,          options_.node, placed.name.job, placed.name.entry,
          placed.name.generation, placed.offset, placed.bytes};
}

}  // namespace rayx::store
