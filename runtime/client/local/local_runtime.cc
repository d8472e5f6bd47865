#include "client/local/local_runtime.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/log.h"
#include "io/process_title.h"
#include "model/ids.h"
#include "rayx/errors.h"

namespace rayx::client {
namespace {

// Each local runtime of a process numbers itself: a reference of an earlier one names no object of
// this.
std::uint64_t NextOwner() {
  static std::atomic<std::uint32_t> next{1};
  return model::ProcessId::Make(model::NodeNumber{1}, next.fetch_add(1)).value;
}

std::map<std::string, double> ResourcesOf(const Options& options) {
  std::map<std::string, double> resources = options.resources;
  resources["CPU"] = options.num_cpus >= 0 ? options.num_cpus : std::thread::hardware_concurrency();
  resources["GPU"] = std::max(options.num_gpus, 0.0);
  return resources;
}

// Of the actor on whose only thread this runs.
std::uint64_t BlockedActor() {
  const LocalFrame* frame = CurrentFrame();
  return frame == nullptr || frame->actor == nullptr ? 0 : frame->actor->blocking_id();
}

}  // namespace

std::unique_ptr<detail::RuntimeInterface> MakeLocalRuntime(const Options& options) {
  return std::make_unique<LocalRuntime>(options);
}

LocalRuntime::LocalRuntime(const Options& options)
    : job_namespace_(options.job_namespace.empty() ? "local" : options.job_namespace),
      resources_(ResourcesOf(options)),
      owner_(NextOwner()),
      objects_(owner_) {}

void LocalRuntime::Stop() {
  std::unordered_map<std::uint64_t, std::shared_ptr<LocalActor>> actors;
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    actors.swap(actors_);
    names_.clear();
  }
  key_values_.Stop();
  for (const auto& [id, actor] : actors) actor->Kill(/*no_restart=*/true, "RayX was shut down");
  if (!threads_.AwaitEnd(std::chrono::steady_clock::now() + kStopTimeout)) {
    RAYX_LOG(kWarning) << "an actor's call still runs " << kStopTimeout.count()
                       << " s after Shutdown: its thread is left behind";
  }
}

void LocalRuntime::Retain(const detail::RawRef& ref) noexcept {
  objects_.Retain(ref);
}
void LocalRuntime::Release(const detail::RawRef& ref) noexcept {
  objects_.Release(ref);
}
void LocalRuntime::Adopt(const detail::RawRef& ref, const detail::RawRef&) noexcept {
  objects_.Retain(ref);
}

detail::RawRef LocalRuntime::Put(const detail::Packed& value) {
  detail::Fetched encoded = EncodeForLocal(value);
  const detail::RawRef ref = objects_.Create("a Put", 0);
  objects_.SetValue(ref, std::move(encoded), value.references);
  return ref;
}

void LocalRuntime::SubmitTask(std::uint64_t function, const detail::CallOptions& options,
                              detail::ArgumentList arguments, detail::RawRef* results,
                              std::size_t result_count) {
  LocalCall call(objects_, function, options, arguments, DescribeCall("task", function, options), 0,
                 results, result_count);
  // A task that an actor's method calls runs on the actor's thread.
  const LocalFrame* outer = CurrentFrame();
  LocalFrameScope frame(&call, outer == nullptr ? nullptr : outer->actor,
                        outer == nullptr ? 0 : outer->actor_life);
  call.Run(nullptr, BlockedActor());
}

detail::RawActor LocalRuntime::CreateActor(std::uint64_t factory,
                                           const detail::CallOptions& options,
                                           detail::ArgumentList arguments) {
  auto held = std::make_unique<LocalArguments>(objects_, arguments);
  std::shared_ptr<LocalActor> actor;
  bool is_taken = false;
  {
    std::lock_guard lock(mutex_);
    if (stopped_) throw NotInitialized("RayX was shut down.");
    const detail::RawActor id{owner_, next_actor_++};
    actor = std::make_shared<LocalActor>(id, factory, options, std::move(held));
    actors_.emplace(id.sequence, actor);
    if (!options.name.empty()) {
      std::shared_ptr<LocalActor>& named = names_[FullName(options.name, options.actor_namespace)];
      is_taken = named != nullptr && !named->IsDead();
      if (!is_taken) named = actor;
    }
  }
  if (is_taken) {
    detail::ErrorRecord cause;
    cause.code = ErrorCode::kNameTaken;
    cause.message = "There is a living actor of the name '" + options.name +
                    "' already in the namespace '" +
                    FullName(options.name, options.actor_namespace).first + "'.";
    actor->Die(cause);
  } else {
    actor->Start(threads_);
  }
  return actor->id();
}

std::shared_ptr<LocalActor> LocalRuntime::ActorOf(const detail::RawActor& actor) {
  std::lock_guard lock(mutex_);
  const auto found = actor.creator == owner_ ? actors_.find(actor.sequence) : actors_.end();
  return found == actors_.end() ? nullptr : found->second;
}

void LocalRuntime::CallActor(const detail::RawActor& raw, std::uint64_t method,
                             const detail::CallOptions& options, detail::ArgumentList arguments,
                             detail::RawRef* results, std::size_t result_count) {
  const std::shared_ptr<LocalActor> actor = ActorOf(raw);
  auto call = std::make_unique<LocalCall>(objects_, method, options, arguments,
                                          DescribeCall("call", method, options), raw.sequence,
                                          results, result_count);
  if (actor != nullptr) {
    actor->Push(std::move(call));
    return;
  }
  detail::ErrorRecord unknown;
  unknown.code = ErrorCode::kActorDied;
  unknown.message = "The actor " +
                    model::ToString(model::ActorId{model::ProcessId{raw.creator}, raw.sequence}) +
                    " is unknown: it belongs to a runtime that was shut down.";
  call->Fail(unknown);
}

void LocalRuntime::KillActor(const detail::RawActor& raw, bool no_restart) {
  if (const auto actor = ActorOf(raw)) actor->Kill(no_restart, "it was killed by Kill");
}

LocalRuntime::ActorName LocalRuntime::FullName(const std::string& name,
                                               const std::string& actor_namespace) const {
  return {actor_namespace.empty() ? job_namespace_ : actor_namespace, name};
}

bool LocalRuntime::FindActor(const std::string& name, const std::string& actor_namespace,
                             detail::RawActor& actor, std::string& actor_class) {
  std::lock_guard lock(mutex_);
  const auto found = names_.find(FullName(name, actor_namespace));
  if (found == names_.end() || found->second->IsDead()) return false;
  actor = found->second->id();
  actor_class = found->second->options().actor_class;
  return true;
}

void LocalRuntime::Get(const detail::RawRef* refs, std::size_t count, detail::Milliseconds timeout,
                       detail::Fetched* values) {
  objects_.Get(refs, count, timeout, values, BlockedActor());
}

void LocalRuntime::Wait(const detail::RawRef* refs, std::size_t count, std::size_t num_ready,
                        detail::Milliseconds timeout, std::vector<bool>& ready) {
  objects_.Wait(refs, count, num_ready, timeout, ready, BlockedActor());
}

bool LocalRuntime::KvPut(const std::string& key, const std::string& value, bool only_if_absent) {
  return key_values_.Put(key, value, only_if_absent);
}
bool LocalRuntime::KvGet(const std::string& key, std::string& value) {
  return key_values_.Get(key, value);
}
bool LocalRuntime::KvWait(const std::vector<std::string>& keys, detail::Milliseconds timeout) {
  return key_values_.Wait(keys, timeout);
}
bool LocalRuntime::KvDelete(const std::string& key) {
  return key_values_.Delete(key);
}
std::int64_t LocalRuntime::KvAdd(const std::string& key, std::int64_t amount) {
  return key_values_.Add(key, amount);
}
std::size_t LocalRuntime::KvCount() {
  return key_values_.Count();
}

detail::ContextDescription LocalRuntime::Context() {
  detail::ContextDescription context;
  context.job = 1;
  context.node = 1;
  context.process = owner_;
  context.host_name = LocalHostName();
  context.node_ip = "127.0.0.1";
  context.job_namespace = job_namespace_;
  context.local_mode = true;
  const LocalFrame* frame = CurrentFrame();
  if (frame == nullptr) return context;
  const bool is_task =
      frame->call != nullptr && (frame->actor == nullptr || frame->below != nullptr);
  if (frame->call != nullptr) {
    const detail::CallOptions& options = frame->call->options();
    context.task_name = options.name.empty() ? frame->call->label() : options.name;
    context.task = frame->call->first_result();
  }
  if (frame->actor != nullptr && !is_task) {
    context.actor = frame->actor->id();
    context.was_actor_restarted = frame->actor->WasRestarted();
  }
  const auto& resources = (is_task ? frame->call->options() : frame->actor->options()).resources;
  const auto cpus = resources.find("CPU");
  context.leased_cpus = cpus != resources.end() ? cpus->second : is_task ? 1 : 0;
  return context;
}

std::vector<detail::NodeDescription> LocalRuntime::Nodes() {
  detail::NodeDescription node;
  node.number = 1;
  node.host_name = LocalHostName();
  node.address = "local";
  node.total = resources_;
  node.available = node.total;
  return {node};
}

std::vector<detail::ActorDescription> LocalRuntime::Actors() {
  std::map<std::uint64_t, std::shared_ptr<LocalActor>> actors;
  {
    std::lock_guard lock(mutex_);
    actors.insert(actors_.begin(), actors_.end());
  }
  std::vector<detail::ActorDescription> descriptions;
  for (const auto& [sequence, actor] : actors) {
    detail::ActorDescription& description = descriptions.emplace_back(actor->Describe());
    const detail::CallOptions& options = actor->options();
    description.actor_namespace = FullName(options.name, options.actor_namespace).first;
    description.node = 1;
    description.pid = static_cast<int>(::getpid());
    description.job = 1;
  }
  return descriptions;
}

std::vector<detail::JobDescription> LocalRuntime::Jobs() {
  detail::JobDescription job;
  job.number = 1;
  job.program = io::ProgramPath();
  job.job_namespace = job_namespace_;
  job.host_name = LocalHostName();
  job.pid = static_cast<int>(::getpid());
  job.started = started_;
  return {job};
}

void LocalRuntime::ExitActor() {
  const LocalFrame* frame = CurrentFrame();
  if (frame == nullptr || frame->actor == nullptr) {
    throw InvalidOption("ExitActor: the calling code does not run in an actor.");
  }
  frame->actor->RequestExit();
}

}  // namespace rayx::client
