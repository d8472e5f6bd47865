// ClusterClient: tasks, actors, key-value and queries, as the public API asks for them.
#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <utility>

#include "client/cluster_client.h"
#include "client/error_bridge.h"
#include "client/executor/task_thread.h"
#include "model/resources.h"
#include "scheduling/wire.h"

namespace rayx::client {
namespace {

constexpr auto kHeadAway = std::chrono::seconds(30);
constexpr auto kKvWaitStep = std::chrono::milliseconds(5000);
constexpr size_t kNameBytesMax = 256;
// What an argument takes in a frame beside its value, or as a reference to it.
constexpr size_t kItemBytes = sizeof(model::ItemHeader) + sizeof(model::StoredLocation);
// Of a list: an answer comes in one packet, with an entry of up to some KiB beyond this.
constexpr uint32_t kListPartBytes = 64 * 1024;

model::ActorId IdOf(const detail::RawActor& actor) {
  return model::ActorId{model::ProcessId{actor.creator}, actor.sequence};
}

// Appends a value's encoded form to an argument list.
void AppendInline(std::vector<std::byte>& out, const detail::Packed& value, size_t bytes) {
  const size_t at = out.size();
  out.resize(at + bytes);
  value.EncodeTo(out.data() + at);
}

void SetResources(const std::map<std::string, double>& amounts, proto::Resources& out) {
  model::ResourceSet set;
  for (const auto& [name, amount] : amounts) {
    if (base::Status status = set.SetDouble(name, amount); !status.ok()) {
      Throw(ErrorCode::kInvalidOption, "SetResource", status);
    }
  }
  for (const auto& [name, units] : set.units()) {
    auto* entry = out.add_amounts();
    entry->set_name(name);
    entry->set_units(units);
  }
}

std::map<std::string, double> AmountsOf(const proto::Resources& resources) {
  std::map<std::string, double> amounts;
  for (const auto& each : resources.amounts()) {
    amounts[each.name()] = static_cast<double>(each.units()) / model::kResourceUnit;
  }
  return amounts;
}

detail::ActorState StateOf(proto::ActorState state) {
  switch (state) {
    case proto::ACTOR_ALIVE:
      return detail::ActorState::kAlive;
    case proto::ACTOR_RESTARTING:
      return detail::ActorState::kRestarting;
    case proto::ACTOR_DEAD:
      return detail::ActorState::kDead;
    default:
      return detail::ActorState::kPending;
  }
}

std::chrono::system_clock::time_point UnixTime(int64_t milliseconds) {
  return std::chrono::system_clock::time_point(std::chrono::milliseconds(milliseconds));
}

}  // namespace

proto::SchedulingClass ClusterClient::ClassOf(const detail::CallOptions& options,
                                              double default_cpus) const {
  proto::SchedulingClass description;
  description.set_job(job_.value);
  std::map<std::string, double> amounts = options.resources;
  amounts.emplace(model::kCpu, default_cpus);  // only when it is not named
  SetResources(amounts, *description.mutable_resources());
  auto* strategy = description.mutable_strategy();
  if (options.affinity_node != 0) {
    strategy->set_kind(proto::Strategy::NODE_AFFINITY);
    strategy->set_node(options.affinity_node);
    strategy->set_soft(options.affinity_soft);
  } else if (options.spread) {
    strategy->set_kind(proto::Strategy::SPREAD);
  }
  for (const auto& [key, value] : options.labels) {
    auto* label = strategy->add_labels();
    label->set_key(key);
    label->set_value(value);
  }
  description.set_wait_if_infeasible(options.wait_if_infeasible);
  return description;
}

uint32_t ClusterClient::DefaultClass() {
  if (default_class_ == kNoSlot) default_class_ = core_.ClassIndex(ClassOf({}, 1));
  return default_class_;
}

void ClusterClient::CheckCall(const detail::CallOptions& options, detail::ArgumentList arguments,
                              size_t result_count, const CallKind& kind) const {
  if (arguments.size() > model::kItemsMax) {
    Throw(ErrorCode::kInvalidOption, std::string(kind.name) + " with " +
                                         std::to_string(arguments.size()) +
                                         " arguments: at most 4096 are possible");
  }
  if (result_count == 0 || result_count > model::kItemsMax) {
    Throw(ErrorCode::kInvalidOption, std::string(kind.name) + " with " +
                                         std::to_string(result_count) +
                                         " results: 1 to 4096 are possible");
  }
  if (options.name.size() > kNameBytesMax) {
    Throw(ErrorCode::kInvalidOption, "SetName: the name is longer than 256 bytes");
  }
}

// What decides how the arguments of a call travel.
struct ClusterClient::Measured {
  size_t body_bytes = 0;  // if all of them are values in the frame
  bool fits = true;       // they can be
  bool refers = false;    // one is a reference, or has some inside
};

ClusterClient::Measured ClusterClient::Measure(detail::ArgumentList arguments,
                                               size_t body_bytes_max) {
  Measured measured;
  for (const detail::Argument& argument : arguments) {
    if (argument.is_reference) {
      measured.fits = false;
      measured.refers = true;
      continue;
    }
    const size_t bytes = argument.value->EncodedBytes();
    if (bytes > model::kInlineValueBytesMax) measured.fits = false;
    if (!argument.value->references.empty()) measured.refers = true;
    measured.body_bytes += model::ItemBytes(bytes);
  }
  if (measured.body_bytes > body_bytes_max) measured.fits = false;
  return measured;
}

TaskPtr ClusterClient::MakeRecord(uint64_t function, const detail::CallOptions& options,
                                  detail::ArgumentList arguments, size_t result_count,
                                  std::unique_lock<Baton>& lock, const CallKind& kind) {
  CheckCall(options, arguments, result_count, kind);
  const Measured measured = Measure(arguments, kind.body_bytes_max);
  TaskPtr record = measured.fits ? RecordByValue(arguments, measured.body_bytes, lock)
                                 : RecordByReference(arguments, lock, kind);
  record->function = model::FunctionId{function};
  record->result_count = static_cast<uint16_t>(result_count);
  if (options.each_result) record->flags |= model::kFlagEachResult;
  const detail::FunctionEntry* entry = detail::FindFunction(function);
  if (entry != nullptr) record->function_name = &entry->name;
  if (!options.name.empty()) {
    record->Extras().name = options.name;
  } else if (entry == nullptr) {
    record->Extras().name = kind.name;
  }
  record->retries_left = options.max_retries;
  if (measured.refers || !measured.fits) HoldReferred(arguments, *record);
  return record;
}

// The common case: all arguments are values, and travel in the frame.
TaskPtr ClusterClient::RecordByValue(detail::ArgumentList arguments, size_t body_bytes,
                                     std::unique_lock<Baton>& lock) {
  const auto encode = [&](std::byte* at) {
    for (const detail::Argument& argument : arguments) {
      const size_t bytes = argument.value->EncodedBytes();
      argument.value->EncodeTo(model::BeginInlineItem(at, bytes));
      at += model::ItemBytes(bytes);
    }
  };
  CallBody body;
  const bool is_long = body_bytes > CallBody::kInPlaceBytes;
  if (is_long) encode(body.Resize(body_bytes));  // nobody waits while much is copied
  lock.lock();
  TaskPtr record = core_.NewTask();
  record->item_count = static_cast<uint16_t>(arguments.size());
  if (is_long) {
    record->body = std::move(body);
  } else {
    encode(record->body.Resize(body_bytes));
  }
  return record;
}

TaskPtr ClusterClient::RecordByReference(detail::ArgumentList arguments,
                                         std::unique_lock<Baton>& lock, const CallKind& kind) {
  // Large values become objects first, held here until the record takes the hold over.
  std::vector<detail::RawRef> owned(arguments.size());
  const auto release = [&](std::vector<detail::RawRef>* refs) {
    for (const detail::RawRef& ref : *refs) {
      if (ref.owner == 0) continue;
      if (!lock.owns_lock()) lock.lock();
      core_.ReleaseHold(core_.Find({model::ProcessId{ref.owner}, ref.sequence}));
    }
  };
  const std::unique_ptr<std::vector<detail::RawRef>, decltype(release)> guard(&owned, release);
  PutArguments(arguments, kind.body_bytes_max, owned);
  auto extras = std::make_unique<TaskExtras>();
  for (size_t i = 0; i < arguments.size(); ++i) {
    TaskArgument& slot = extras->arguments.emplace_back();
    if (arguments[i].is_reference || owned[i].owner != 0) continue;
    slot.offset = static_cast<uint32_t>(extras->inline_values.size());
    slot.bytes = static_cast<uint32_t>(arguments[i].value->EncodedBytes());
    AppendInline(extras->inline_values, *arguments[i].value, slot.bytes);
  }
  lock.lock();
  std::vector<uint32_t> slots(arguments.size(), kNoSlot);
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].is_reference)
      slots[i] = Need(arguments[i].reference);  // throws before a hold is taken
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].is_reference) {
      ++core_.At(slots[i]).holds;
    } else if (owned[i].owner != 0) {
      slots[i] = Need(std::exchange(owned[i], {}));
    }
    extras->arguments[i].slot = slots[i];
  }
  TaskPtr record = core_.NewTask();
  record->extras = std::move(extras);
  return record;
}

// Each value that is large becomes an object; then the largest of the others, until a frame holds
// what is left.
void ClusterClient::PutArguments(detail::ArgumentList arguments, size_t body_bytes_max,
                                 std::vector<detail::RawRef>& owned) {
  size_t total = 0;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const size_t bytes = arguments[i].is_reference ? 0 : arguments[i].value->EncodedBytes();
    if (bytes > model::kInlineValueBytesMax) owned[i] = PutValue(*arguments[i].value, 0);
    const bool is_object = arguments[i].is_reference || owned[i].owner != 0;
    total += kItemBytes + (is_object ? 0 : bytes);
  }
  if (total <= body_bytes_max) return;
  std::vector<std::pair<size_t, size_t>> rest;  // bytes, place
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].is_reference || owned[i].owner != 0) continue;
    rest.emplace_back(arguments[i].value->EncodedBytes(), i);
  }
  std::sort(rest.begin(), rest.end(), std::greater<>());
  for (const auto& [bytes, i] : rest) {
    if (total <= body_bytes_max || bytes <= kItemBytes) break;
    owned[i] = PutValue(*arguments[i].value, 0);
    total -= bytes;
  }
}

// Under the baton. Large values are objects by now, which hold for themselves.
void ClusterClient::HoldReferred(detail::ArgumentList arguments, TaskRecord& record) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const bool is_object = i < record.arguments().size() && record.arguments()[i].slot != kNoSlot;
    if (arguments[i].is_reference || is_object) continue;
    for (const detail::RawRef& ref : arguments[i].value->references) {
      const uint32_t slot = core_.Find({model::ProcessId{ref.owner}, ref.sequence});
      if (slot == kNoSlot) continue;
      ++core_.At(slot).holds;
      record.Extras().referred.push_back(slot);
    }
  }
}

void ClusterClient::SubmitTask(uint64_t function, const detail::CallOptions& options,
                               detail::ArgumentList arguments, detail::RawRef* results,
                               size_t result_count) {
  const bool is_default = options.resources.empty() && options.labels.empty() && !options.spread &&
                          options.affinity_node == 0 && !options.wait_if_infeasible;
  std::optional<proto::SchedulingClass> description;
  if (!is_default) description = ClassOf(options, 1);
  std::unique_lock lock(baton_, std::defer_lock);
  TaskPtr record =
      MakeRecord(function, options, arguments, result_count, lock, {"task", model::kBodyBytesMax});
  record->class_index = description ? core_.ClassIndex(*description) : DefaultClass();
  AfterSubmit(core_.SubmitTask(std::move(record), Now()), results, result_count);
}

detail::RawActor ClusterClient::CreateActor(uint64_t factory, const detail::CallOptions& options,
                                            detail::ArgumentList arguments) {
  proto::ActorSpec spec;
  spec.set_job(job_.value);
  spec.set_name(options.name);
  spec.set_name_space(options.actor_namespace);
  spec.set_class_name(options.actor_class);
  // An actor takes 1 CPU to be placed and 0 while it lives, unless told otherwise.
  *spec.mutable_placement() = ClassOf(options, 1);
  SetResources(options.resources, *spec.mutable_lifetime_resources());
  spec.set_max_restarts(options.max_restarts);
  spec.set_max_concurrency(static_cast<uint32_t>(std::max(options.max_concurrency, 1)));
  spec.set_detached(options.detached);
  if (options.max_concurrency > static_cast<int>(kConcurrencyMax)) {
    Throw(ErrorCode::kInvalidOption,
          "SetMaxConcurrency(" + std::to_string(options.max_concurrency) +
              "): an actor has a thread for each call at once, at most " +
              std::to_string(kConcurrencyMax));
  }
  std::unique_lock lock(baton_, std::defer_lock);
  TaskPtr record = MakeRecord(factory, options, arguments, 1, lock,
                              {"actor", kCreationBytesMax - sizeof(model::FrameHeader)});
  record->Extras().serves_at_once = spec.max_concurrency();
  if (spec.class_name().empty()) spec.set_class_name(record->name());
  const uint32_t index = core_.CreateActor(std::move(record), std::move(spec), Now());
  const model::ActorId id = core_.Actor(index).id;
  AfterCall();
  return {id.creator.value, id.sequence};
}

void ClusterClient::CallActor(const detail::RawActor& actor, uint64_t method,
                              const detail::CallOptions& options, detail::ArgumentList arguments,
                              detail::RawRef* results, size_t result_count) {
  std::unique_lock lock(baton_, std::defer_lock);
  TaskPtr record = MakeRecord(method, options, arguments, result_count, lock,
                              {"actor call", model::kBodyBytesMax});
  const uint32_t index = core_.ActorIndex(IdOf(actor), "");
  uint32_t slot;
  if (!core_.SubmitActorCallAtOnce(index, record, slot)) {
    slot = core_.SubmitActorCall(index, std::move(record), Now());
  }
  AfterSubmit(slot, results, result_count);
}

// Frames behind others of the same worker are shown to it several at a time.
void ClusterClient::AfterSubmit(uint32_t slot, detail::RawRef* results, size_t result_count) {
  if (slot == kNoSlot)
    Throw(ErrorCode::kObjectStoreFull, "more than 2^24 live objects in this process");
  const model::ObjectId id = core_.At(slot).id;
  for (size_t i = 0; i < result_count; ++i) results[i] = {id.owner.value, id.sequence + i};
  // Replies are taken in every so often, else the workers' reply rings fill up and stall them.
  if (((id.sequence >> PendingSlab::kSlotBits) & 63) == 0) {
    NoteUserDrains(Now());
    if (Drain()) TellResolved();
  }
  if (links_.RingDue()) rang_somebody_ = true;
  doorbell_->WakeAttendant();
}

// --- the head ------------------------------------------------------------------------------------

proto::HeadResponse ClusterClient::CallHead(proto::HeadRequest request,
                                            detail::Milliseconds timeout) {
  Answer answer;
  std::unique_lock lock(baton_);
  const uint64_t id = NewRequest();
  request.set_request_id(id);
  proto::ClientMessage message;
  *message.mutable_head_request() = std::move(request);
  if (message.ByteSizeLong() > io::kPacketBytesMax) {
    Throw(ErrorCode::kInvalidOption, "a request of " + std::to_string(message.ByteSizeLong()) +
                                         " bytes to the head: at most 128 KiB are possible");
  }
  answers_.emplace(id, &answer);
  const bool sent = !ending_ && daemon_.Send(message);
  if (sent)
    WaitUntil(
        lock, [&] { return answer.done; }, Now() + timeout);
  answers_.erase(id);
  if (!answer.done) {
    Throw(ErrorCode::kHeadUnavailable,
          ending_ ? "the connection to the cluster is lost" : "the head did not answer in time");
  }
  if (answer.error.code() != 0) detail::ThrowError(ToRecord(answer.error));
  return std::move(answer.head);
}

void ClusterClient::KillActor(const detail::RawActor& actor, bool no_restart) {
  proto::HeadRequest request;
  auto* kill = request.mutable_kill_actor();
  *kill->mutable_id() = scheduling::ToWire(IdOf(actor));
  kill->set_no_restart(no_restart);
  kill->set_reason("by Kill()");  // the head says what was done
  uint32_t incarnation = 0;
  {
    std::lock_guard lock(baton_);
    incarnation = core_.IncarnationOf(IdOf(actor));
  }
  CallHead(std::move(request), kHeadAway);
  std::lock_guard lock(baton_);
  core_.OnActorKilled(IdOf(actor), incarnation, no_restart, Now());
}

bool ClusterClient::FindActor(const std::string& name, const std::string& actor_namespace,
                              detail::RawActor& actor, std::string& actor_class) {
  proto::HeadRequest request;
  request.mutable_find_actor()->set_name(name);
  request.mutable_find_actor()->set_name_space(actor_namespace);
  const proto::HeadResponse response = CallHead(std::move(request), kHeadAway);
  if (!response.find_actor().found()) return false;
  actor.creator = response.find_actor().actor().id().creator();
  actor.sequence = response.find_actor().actor().id().sequence();
  actor_class = response.find_actor().actor().class_name();
  std::lock_guard lock(baton_);
  core_.ActorIndex(IdOf(actor), name);
  return true;
}

bool ClusterClient::KvPut(const std::string& key, const std::string& value, bool only_if_absent) {
  proto::HeadRequest request;
  request.mutable_kv_put()->set_key(key);
  request.mutable_kv_put()->set_value(value);
  request.mutable_kv_put()->set_only_if_absent(only_if_absent);
  return CallHead(std::move(request), kHeadAway).kv_put().stored();
}

bool ClusterClient::KvGet(const std::string& key, std::string& value) {
  proto::HeadRequest request;
  request.mutable_kv_get()->set_key(key);
  const proto::HeadResponse response = CallHead(std::move(request), kHeadAway);
  if (!response.kv_get().found()) return false;
  value = response.kv_get().value();
  return true;
}

bool ClusterClient::KvWait(const std::vector<std::string>& keys, detail::Milliseconds timeout) {
  const model::TimePoint deadline =
      timeout < detail::Milliseconds(0) ? model::kNever : Now() + timeout;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Now());
    const auto step =
        std::clamp<std::chrono::milliseconds>(left, std::chrono::milliseconds(0), kKvWaitStep);
    proto::HeadRequest request;
    for (const std::string& key : keys) request.mutable_kv_wait()->add_keys(key);
    request.mutable_kv_wait()->set_timeout_ms(static_cast<uint32_t>(step.count()));
    if (CallHead(std::move(request), kHeadAway + kKvWaitStep).kv_wait().all_present()) return true;
    if (Now() >= deadline) return false;
  }
}

bool ClusterClient::KvDelete(const std::string& key) {
  proto::HeadRequest request;
  request.mutable_kv_delete()->set_key(key);
  return CallHead(std::move(request), kHeadAway).kv_delete().deleted();
}

int64_t ClusterClient::KvAdd(const std::string& key, int64_t amount) {
  proto::HeadRequest request;
  request.mutable_kv_add()->set_key(key);
  request.mutable_kv_add()->set_amount(amount);
  return CallHead(std::move(request), kHeadAway).kv_add().value();
}

size_t ClusterClient::KvCount() {
  proto::HeadRequest request;
  request.mutable_kv_count();
  return CallHead(std::move(request), kHeadAway).kv_count().keys();
}

std::vector<detail::NodeDescription> ClusterClient::Nodes() {
  proto::HeadRequest request;
  request.mutable_list_nodes();
  std::vector<detail::NodeDescription> nodes;
  const proto::HeadResponse response = CallHead(std::move(request), kHeadAway);
  for (const proto::NodeInfo& info : response.list_nodes().nodes()) {
    detail::NodeDescription& node = nodes.emplace_back();
    node.number = info.number();
    node.host_name = info.host_name();
    node.address = info.address();
    node.alive = info.alive();
    node.total = AmountsOf(info.total());
    node.available = AmountsOf(info.available());
    for (const proto::Label& label : info.labels()) node.labels[label.key()] = label.value();
  }
  return nodes;
}

std::vector<detail::ActorDescription> ClusterClient::Actors() {
  std::vector<detail::ActorDescription> actors;
  proto::ActorId after;
  for (bool more = true; more;) {
    proto::HeadRequest request;
    *request.mutable_list_actors()->mutable_after() = after;
    request.mutable_list_actors()->set_bytes_max(kListPartBytes);
    const proto::HeadResponse response = CallHead(std::move(request), kHeadAway);
    for (const proto::ActorView& view : response.list_actors().actors()) {
      detail::ActorDescription& actor = actors.emplace_back();
      actor.id = model::ToString(scheduling::FromWire(view.id()));
      actor.name = view.name();
      actor.actor_namespace = view.name_space();
      actor.class_name = view.class_name();
      actor.state = StateOf(view.state());
      actor.cause = view.cause().message();
      actor.node = view.node();
      actor.pid = view.pid();
      actor.job = view.job();
      actor.incarnation = view.incarnation();
      actor.detached = view.detached();
      after = view.id();
    }
    more = response.list_actors().more() && response.list_actors().actors_size() != 0;
  }
  return actors;
}

std::vector<detail::JobDescription> ClusterClient::Jobs() {
  std::vector<detail::JobDescription> jobs;
  for (bool more = true; more;) {
    proto::HeadRequest request;
    request.mutable_list_jobs()->set_after(jobs.empty() ? 0 : jobs.back().number);
    request.mutable_list_jobs()->set_bytes_max(kListPartBytes);
    const proto::HeadResponse response = CallHead(std::move(request), kHeadAway);
    for (const proto::JobInfo& info : response.list_jobs().jobs()) {
      detail::JobDescription& job = jobs.emplace_back();
      job.number = info.id();
      job.program = info.program();
      job.job_namespace = info.job_namespace();
      job.host_name = info.host();
      job.pid = info.pid();
      job.running = info.running();
      job.started = UnixTime(info.started_unix_ms());
      job.ended = UnixTime(info.ended_unix_ms());
      job.detached_from = info.detached_from();
    }
    more = response.list_jobs().more() && response.list_jobs().jobs_size() != 0;
  }
  return jobs;
}

detail::ContextDescription ClusterClient::Context() {
  detail::ContextDescription description;
  description.job = job_.value;
  description.node = self_.node().value;
  description.process = self_.value;
  description.host_name = welcome_.welcome.host_name();
  description.node_ip = welcome_.welcome.node_ip();
  description.job_namespace = welcome_.welcome.job_namespace();
  if (const ExecutionContext* context = CurrentContext()) {
    description.task_name = context->task_name;
    description.task = {context->task.owner.value, context->task.sequence};
    description.attempt = context->attempt;
    description.actor = {context->actor.creator.value, context->actor.sequence};
    description.was_actor_restarted = context->incarnation > 1;
    description.leased_cpus = 1;
  }
  return description;
}

}  // namespace rayx::client
