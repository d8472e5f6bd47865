// ClusterClient: objects: put and stored, found on this VM or pulled to it, pinned.
#include <algorithm>
#include <deque>
#include <utility>

#include "client/cluster_client.h"
#include "client/error_bridge.h"
#include "scheduling/wire.h"

namespace rayx::client {
namespace {

constexpr size_t kPulledMax = 65536;
constexpr size_t kPullsAtOnce = 64;  // of one wait: a daemon answers so many side by side
constexpr int kPinAttempts = 20;     // of an object that is being dropped or moved
constexpr auto kPinRetry = std::chrono::milliseconds(2);

std::vector<model::ObjectId> IdsOf(const std::vector<detail::RawRef>& refs) {
  std::vector<model::ObjectId> ids;
  ids.reserve(refs.size());
  for (const detail::RawRef& ref : refs) {
    ids.push_back(model::ObjectId{model::ProcessId{ref.owner}, ref.sequence});
  }
  return ids;
}
detail::RawRef RawOf(const model::ObjectId& id) {
  return {id.owner.value, id.sequence};
}

std::string Encode(const detail::Packed& value) {
  std::string bytes(value.EncodedBytes(), '\0');
  value.EncodeTo(reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

}  // namespace

detail::RawRef ClusterClient::Put(const detail::Packed& value) {
  return PutValue(value, model::kInlineValueBytesMax);
}

detail::RawRef ClusterClient::PutValue(const detail::Packed& value, size_t inline_max) {
  const size_t bytes = value.EncodedBytes();
  std::string encoded;
  if (bytes <= inline_max) encoded = Encode(value);
  model::ObjectId id;
  uint32_t slot;
  {
    std::lock_guard lock(baton_);
    slot = core_.NewObject();
    if (slot == kNoSlot)
      Throw(ErrorCode::kObjectStoreFull, "more than 2^24 live objects in this process");
    id = core_.At(slot).id;
    core_.Contain(slot, IdsOf(value.references));
    if (bytes <= inline_max) {
      core_.ResolveValue(slot, std::as_bytes(std::span(encoded)));
      return RawOf(id);
    }
  }
  try {
    const model::StoredLocation location = StoreValue(id, job_, value);
    std::lock_guard lock(baton_);
    core_.ResolveStored(slot, location);
  } catch (...) {
    std::lock_guard lock(baton_);
    core_.ResolveError(slot, EncodeError(ErrorCode::kObjectLost, "its Put failed"));
    core_.ReleaseHold(slot);
    throw;
  }
  return RawOf(id);
}

model::StoredLocation ClusterClient::StoreValue(const model::ObjectId& object, model::JobId job,
                                                const detail::Packed& value) {
  const size_t bytes = value.EncodedBytes();
  Answer answer;
  {
    std::unique_lock lock(baton_);
    ThrowIfLost();
    EnsureSegment(job, lock);
    const uint64_t request = NewRequest();
    proto::ClientMessage message;
    auto* allocate = message.mutable_allocate();
    allocate->set_request_id(request);
    *allocate->mutable_object() = scheduling::ToWire(object);
    allocate->set_job(job.value);
    allocate->set_bytes(bytes);
    Ask(message, request, answer, model::kNever, lock);
  }
  if (!answer.done)
    Throw(ErrorCode::kHeadUnavailable, "the cluster was lost while a value was stored");
  if (answer.error.code() != 0) detail::ThrowError(ToRecord(answer.error));
  const proto::Allocated& extent = answer.allocated;
  model::StoredLocation location;
  location.object = object;
  location.node = self_.node();
  location.job = job;
  location.entry = extent.entry();
  location.generation = extent.generation();
  location.offset = extent.offset();
  location.size = bytes;
  auto writable = segments_.MapWritable(location);
  base::Status status = writable.status();
  if (status.ok()) {
    value.EncodeTo(writable->bytes().data());
    status = writable->Seal();
  }
  if (!status.ok()) {
    std::lock_guard lock(baton_);
    FreeStored(location);
    const bool no_memory = absl::IsResourceExhausted(status);  // address space: ulimit -v
    Throw(no_memory ? ErrorCode::kOutOfMemory : ErrorCode::kObjectLost,
          "object " + model::ToString(object) + " of " + std::to_string(bytes) +
              " bytes could not be written",
          status);
  }
  return location;
}

// Where they lie on this VM, in their order: themselves, copies that are known, or copies that the
// daemon now pulls, all at once.
std::vector<model::StoredLocation> ClusterClient::CopiesHere(
    std::span<const model::StoredLocation> locations, model::TimePoint deadline) {
  struct Pull {
    size_t index = 0;
    uint64_t request = 0;
    Answer answer;
  };
  std::vector<model::StoredLocation> here(locations.begin(), locations.end());
  const auto is_here = [&](const auto& location) { return location.node == self_.node(); };
  if (std::all_of(here.begin(), here.end(), is_here)) return here;
  std::deque<Pull> pulls;  // answers_ points into it
  std::unique_lock lock(baton_);
  ThrowIfLost();
  for (size_t i = 0; i < here.size(); ++i) {
    if (is_here(here[i])) continue;
    if (auto it = pulled_.find(here[i].object); it != pulled_.end()) {
      here[i] = it->second;
      continue;
    }
    Pull& pull = pulls.emplace_back();
    pull.index = i;
    pull.request = NewRequest();
    proto::ClientMessage message;
    message.mutable_pull()->set_request_id(pull.request);
    *message.mutable_pull()->mutable_source() = scheduling::ToWire(here[i]);
    BeginAsk(message, pull.request, pull.answer);
  }
  size_t arrived = 0;
  const auto is_over = [&] {  // in order: the first error ends it, whatever comes behind
    while (arrived < pulls.size() && pulls[arrived].answer.done &&
           pulls[arrived].answer.error.code() == 0)
      ++arrived;
    return arrived == pulls.size() || pulls[arrived].answer.done;
  };
  WaitUntil(lock, is_over, deadline);
  for (const Pull& pull : pulls) {
    answers_.erase(pull.request);
    if (pull.answer.done) continue;
    proto::ClientMessage cancel;
    cancel.mutable_pull_cancel()->set_request_id(pull.request);
    daemon_.Send(cancel);
  }
  if (pulled_.size() >= kPulledMax) pulled_.clear();  // only hints: the daemon knows its copies
  for (size_t i = 0; i < arrived; ++i) {
    model::StoredLocation& copy = here[pulls[i].index];
    const model::ObjectId object = copy.object;
    copy = pulled_[object] = scheduling::FromWire(pulls[i].answer.location);
  }
  if (arrived == pulls.size()) return here;
  const Pull& missing = pulls[arrived];
  if (missing.answer.done) detail::ThrowError(ToRecord(missing.answer.error));
  if (ending_) Throw(ErrorCode::kHeadUnavailable, "the cluster was lost during a transfer");
  const model::StoredLocation& source = locations[missing.index];
  Throw(ErrorCode::kTimeout, "object " + model::ToString(source.object) +
                                 " is still on its way from node " +
                                 std::to_string(source.node.value));
}

detail::Fetched ClusterClient::PinStored(const model::StoredLocation& location,
                                         model::StoredLocation here, model::TimePoint deadline) {
  const bool elsewhere = location.node != self_.node();
  base::StatusOr<shm::PinnedObject> pinned = absl::UnavailableError("not asked for");
  for (int attempt = 1;; ++attempt) {
    std::unique_lock lock(baton_);
    EnsureSegment(here.job, lock);
    lock.unlock();
    pinned = segments_.Pin(here);
    if (pinned.ok()) break;
    lock.lock();
    if (elsewhere) pulled_.erase(location.object);  // dropped meanwhile: fetched again
    const bool may_pass = elsewhere || absl::IsUnavailable(pinned.status());
    if (absl::IsResourceExhausted(pinned.status()) || !may_pass || attempt == kPinAttempts ||
        Now() >= deadline)
      break;
    WaitUntil(
        lock, [] { return false; }, std::min(deadline, Now() + kPinRetry * attempt));
    if (ending_) break;
    lock.unlock();
    here = CopiesHere({&location, 1}, deadline).front();
  }
  if (!pinned.ok()) {
    const bool no_room = absl::IsResourceExhausted(pinned.status());
    Throw(no_room ? ErrorCode::kObjectStoreFull : ErrorCode::kObjectLost,
          "object " + model::ToString(location.object), pinned.status());
  }
  detail::Fetched fetched;
  auto pin = std::make_shared<const shm::PinnedObject>(*std::move(pinned));
  fetched.data = pin->bytes().data();
  fetched.bytes = pin->bytes().size();
  fetched.pin = std::move(pin);
  fetched.read_only_pages = true;
  return fetched;
}

std::vector<detail::Fetched> ClusterClient::FetchStored(
    std::span<const model::StoredLocation> locations, model::TimePoint deadline) {
  std::vector<detail::Fetched> values;
  while (!locations.empty()) {
    const auto batch = locations.first(std::min(locations.size(), kPullsAtOnce));
    locations = locations.subspan(batch.size());
    const std::vector<model::StoredLocation> here = CopiesHere(batch, deadline);
    for (size_t i = 0; i < batch.size(); ++i) {
      values.push_back(PinStored(batch[i], here[i], deadline));
    }
  }
  return values;
}

}  // namespace rayx::client
