// What NodeStore does when its cores have decided.
#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "store/node_store.h"

namespace rayx::store {
namespace {

constexpr auto kTellEvery = std::chrono::milliseconds(4);

// Writes the chunks of one fetch into the extent, on whatever thread they come.
class ExtentSink final : public ChunkSink {
 public:
  ExtentSink(std::shared_ptr<Inbox> inbox, std::shared_ptr<shm::WritableObject> object,
             uint64_t transfer, uint32_t attempt, ByteRange range)
      : inbox_(std::move(inbox)),
        object_(std::move(object)),
        bytes_(object_->bytes()),
        transfer_(transfer),
        attempt_(attempt),
        range_(range) {}

  std::span<std::byte> Place(uint64_t offset, uint64_t bytes) override {
    const bool is_asked_for = offset >= range_.offset && offset < range_.end() &&
                              offset % kChunkBytes == 0 &&
                              bytes == std::min(kChunkBytes, bytes_.size() - offset);
    if (!is_asked_for) return {};
    placing_ = offset;
    return bytes_.subspan(offset, bytes);
  }

  void OnCopies(const std::vector<model::NodeNumber>& nodes) override {
    inbox_->Push(CopiesTold{transfer_, attempt_, nodes});
  }
  // To wake the loop for each chunk of a fast transfer costs more than the loop's work: others that
  // wait for the chunk, and whoever watches for a stall, can wait so long.
  void OnPlaced() override {
    const auto now = std::chrono::steady_clock::now();
    const ChunkArrived chunk{transfer_, attempt_, placing_};
    if (now - told_at_ < kTellEvery) return inbox_->PushLater(chunk);
    told_at_ = now;
    inbox_->Push(chunk);
  }

  void OnDone(FetchOutcome outcome, std::string_view why) override {
    object_.reset();
    inbox_->Push(FetchEnded{transfer_, attempt_, outcome, std::string(why)});
  }

 private:
  const std::shared_ptr<Inbox> inbox_;
  std::shared_ptr<shm::WritableObject> object_;  // keeps the memory mapped
  const std::span<std::byte> bytes_;
  const uint64_t transfer_;
  const uint32_t attempt_;
  const ByteRange range_;
  uint64_t placing_ = 0;
  std::chrono::steady_clock::time_point told_at_{};
};

}  // namespace

// A callback that calls the store again only adds to the effects: this loop runs them.
void NodeStore::RunEffects() {
  if (is_running_effects_) return;
  is_running_effects_ = true;
  while (!is_stopped_ && !(store_effects_.empty() && pull_effects_.empty())) {
    RunStoreEffects();
    RunPullEffects();
  }
  is_running_effects_ = false;
}

void NodeStore::RunStoreEffects() {
  std::swap(store_effects_, store_step_);
  const StoreEffects& step = store_step_;
  for (const auto& [job, range] : step.punches) {
    jobs_.at(job).area->CountPunch();
    memory_.Punch(jobs_.at(job).segment, range);
  }
  for (const PrepareEffect& prepare : step.prepares) {
    memory_.Give(jobs_.at(prepare.name.job).segment, prepare.cold,
                 [inbox = inbox_, name = prepare.name](const base::Status& status) {
                   inbox->Push(PagesGiven{name, status});
                 });
  }
  for (const GrantEffect& grant : step.grants) {
    WriteEntry(grant);
    if (grant.key.process == self_) {
      pulls_.OnAllocated(grant.key.request, LocationOf(grant.placed), clock_.Now(), pull_effects_);
    } else {
      Answer(grants_waited_for_, grant.key, LocationOf(grant.placed));
    }
  }
  for (const auto& [key, why] : step.refusals) {
    if (key.process == self_) {
      pulls_.OnAllocated(key.request, why, clock_.Now(), pull_effects_);
    } else {
      Answer(grants_waited_for_, key, why);
    }
  }
  for (const RetireEffect& retire : step.retires) {
    core_.OnRetired(retire.name, Retire(retire), clock_.Now(), store_effects_);
  }
  for (const auto& [node, placed] : step.forwards) {
    if (options_.forward_free) options_.forward_free(node, LocationOf(placed));
  }
  for (const auto& [placed] : step.orphans) {
    if (options_.on_orphan) options_.on_orphan(LocationOf(placed));
  }
  for (const model::JobId job : step.closes) {
    own_.RemoveSegment(job);
    jobs_.erase(job);
  }
  store_step_.Clear();
}

void NodeStore::WriteEntry(const GrantEffect& grant) {
  const PlacedObject& placed = grant.placed;
  const auto generation =
      jobs_.at(placed.name.job)
          .granter->Grant(placed.name.entry, placed.object, placed.offset, placed.bytes);
  RAYX_CHECK(generation.ok() && *generation == placed.name.generation,
             "the core and the table count generations alike");
}

RetireOutcome NodeStore::Retire(const RetireEffect& retire) {
  const EntryName& name = retire.name;
  // An earlier retirement of this step may have been the last.
  if (core_.Find(name) == nullptr) return RetireOutcome::kUnpinned;
  Job& job = jobs_.at(name.job);
  for (bool is_freed = false; !is_freed;) {
    const auto extent = job.area->Read(name.entry);
    const auto state = extent.ok() && extent->generation == name.generation
                           ? extent->state
                           : shm::ExtentState::kFree;  // a process has scribbled on the table
    switch (state) {
      case shm::ExtentState::kWriting:
        if (retire.condition == RetireIf::kSealed) return RetireOutcome::kLeft;
        is_freed = job.granter->Discard(name.entry, name.generation);
        break;
      case shm::ExtentState::kSealed:
        if (retire.condition == RetireIf::kWriting) return RetireOutcome::kLeft;
        is_freed = job.area->Free(name.entry, name.generation);
        break;
      case shm::ExtentState::kFreed:
        is_freed = true;
        break;
      default:
        job.granter->ForceFreed(name.entry);
        is_freed = true;
    }
  }
  return job.granter->IsPinned(name.entry, name.generation) ? RetireOutcome::kPinned
                                                            : RetireOutcome::kUnpinned;
}

void NodeStore::RunPullEffects() {
  std::swap(pull_effects_, pull_step_);
  for (const auto& [transfer, source] : pull_step_.allocates) {
    core_.OnAllocate({{self_, transfer}, source.object, source.job, source.size, true},
                     clock_.Now(), store_effects_);
  }
  for (const auto& fetch : pull_step_.fetches) StartFetch(fetch);
  for (const auto& [transfer, attempt] : pull_step_.cancels) {
    const auto at = copying_.find(transfer);
    if (at == copying_.end()) continue;
    const auto cancel = at->second.cancels.find(attempt);
    if (cancel != at->second.cancels.end() && cancel->second) cancel->second();
  }
  for (const auto& [transfer, copy] : pull_step_.seals) {
    const auto at = copying_.find(transfer);
    if (const auto status = at->second.object->Seal(); !status.ok()) {
      RAYX_LOG(kWarning) << "a copy could not be sealed: " << base::Message(status);
    }
    copying_.erase(at);
  }
  for (const auto& [transfer, copy] : pull_step_.discards) {
    copying_.erase(transfer);
    core_.OnFree({copy.job, copy.entry, copy.generation}, copy.object, self_, clock_.Now(),
                 store_effects_);
  }
  for (auto& [waiter, copy] : pull_step_.answers) {
    Answer(copies_waited_for_, waiter, std::move(copy));
  }
  pull_step_.Clear();
}

void NodeStore::StartFetch(const PullEffects::Fetch& fetch) {
  Copying& copying = copying_[fetch.transfer];
  base::Status status;
  if (source_ == nullptr) {
    status = absl::UnavailableError("this node has no way to reach others");
  } else if (copying.object == nullptr) {
    auto object = own_.MapWritable(fetch.copy);
    status = object.status();
    if (object.ok()) copying.object = std::make_shared<shm::WritableObject>(*std::move(object));
  }
  if (!status.ok()) {
    inbox_->Push(FetchEnded{fetch.transfer, fetch.attempt, FetchOutcome::kBroken,
                            std::string(base::Message(status))});
    return;
  }
  copying.cancels[fetch.attempt] =
      source_->Fetch(fetch.from, fetch.source, fetch.range,
                     std::make_shared<ExtentSink>(inbox_, copying.object, fetch.transfer,
                                                  fetch.attempt, fetch.range));
}

void NodeStore::Answer(std::map<RequestKey, LocationCallback>& callbacks, RequestKey key,
                       base::StatusOr<model::StoredLocation> result) {
  const auto at = callbacks.find(key);
  if (at == callbacks.end()) return;  // its process is gone
  const LocationCallback callback = std::move(at->second);
  callbacks.erase(at);
  callback(std::move(result));
}

void NodeStore::DrainInbox() {
  inbox_->Drain(drained_);
  const auto now = clock_.Now();
  for (const StoreEvent& event : drained_) {
    if (const auto* given = std::get_if<PagesGiven>(&event)) {
      core_.OnPrepared(given->name, given->status, now, store_effects_);
    } else if (const auto* chunk = std::get_if<ChunkArrived>(&event)) {
      pulls_.OnChunk(chunk->transfer, chunk->attempt, chunk->offset, now);
    } else if (const auto* told = std::get_if<CopiesTold>(&event)) {
      pulls_.OnCopies(told->transfer, told->attempt, told->nodes, now, pull_effects_);
    } else if (const auto* ended = std::get_if<FetchEnded>(&event)) {
      const auto copying = copying_.find(ended->transfer);
      if (copying != copying_.end()) copying->second.cancels.erase(ended->attempt);
      pulls_.OnFetchDone(ended->transfer, ended->attempt, ended->outcome, ended->why, now,
                         pull_effects_);
    }
  }
  RunEffects();
}

}  // namespace rayx::store
