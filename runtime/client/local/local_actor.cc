#include "client/local/local_actor.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "rayx/actor.h"
#include "rayx/errors.h"

namespace rayx::client {
namespace {

thread_local const LocalFrame* current_frame = nullptr;

// What its factory threw is the actor's end; an error of RayX's own stays what it is.
detail::ErrorRecord DeathOfFactory(const std::string& label, detail::ErrorRecord cause) {
  if (cause.code == ErrorCode::kTaskError) cause.code = ErrorCode::kActorDied;
  cause.message = label + " is dead: " + cause.message;
  return cause;
}

detail::ErrorRecord Death(const std::string& label, const std::string& reason) {
  detail::ErrorRecord record;
  record.code = ErrorCode::kActorDied;
  record.message = label + " is dead: " + reason;
  return record;
}

std::string Label(const detail::RawActor& id, const detail::CallOptions& options) {
  const std::string name = options.name.empty() ? "" : " \"" + options.name + "\"";
  return "actor " + options.actor_class + name + " (" + detail::ActorName(id) + ")";
}

}  // namespace

const LocalFrame* CurrentFrame() {
  return current_frame;
}

LocalFrameScope::LocalFrameScope(const LocalCall* call, LocalActor* actor, std::uint64_t actor_life)
    : frame_{call, actor, actor_life, current_frame} {
  current_frame = &frame_;
}
LocalFrameScope::~LocalFrameScope() {
  current_frame = frame_.below;
}

void LocalThreads::Start(std::shared_ptr<LocalActor> actor) {
  {
    std::lock_guard lock(mutex_);
    ++running_;
  }
  const auto end = [this] {
    std::lock_guard lock(mutex_);
    --running_;
    ended_.notify_all();
  };
  try {
    std::thread([actor = std::move(actor), end]() mutable {
      pthread_setname_np(pthread_self(), "rayx-actor");
      actor->Serve();
      actor.reset();
      end();
    }).detach();
  } catch (...) {
    end();
    throw;
  }
}

bool LocalThreads::AwaitEnd(std::chrono::steady_clock::time_point deadline) {
  const std::size_t own = CurrentFrame() != nullptr && CurrentFrame()->actor != nullptr ? 1 : 0;
  std::unique_lock lock(mutex_);
  return ended_.wait_until(lock, deadline, [&] { return running_ <= own; });
}

LocalActor::LocalActor(detail::RawActor id, std::uint64_t factory,
                       const detail::CallOptions& options,
                       std::unique_ptr<LocalArguments> arguments)
    : id_(id),
      factory_(factory),
      options_(options),
      label_(Label(id, options)),
      arguments_(std::move(arguments)),
      restarts_left_(options.max_restarts) {}

void LocalActor::Start(LocalThreads& threads) {
  try {
    for (int i = 0; i < options_.max_concurrency; ++i) threads.Start(shared_from_this());
  } catch (const std::system_error& error) {
    Die(Death(label_, std::string("no thread could be started for it: ") + error.what()));
  }
}

void LocalActor::Push(std::unique_ptr<LocalCall> call) {
  std::unique_lock lock(mutex_);
  if (is_dead_) {
    const detail::ErrorRecord death = death_;
    lock.unlock();
    call->Fail(death);
    return;
  }
  calls_.push_back(std::move(call));
  lock.unlock();
  work_.notify_one();
}

LocalActor::Remains LocalActor::FailAll(const detail::ErrorRecord& cause) {
  Remains remains{std::move(instance_), std::move(calls_)};
  instance_ = nullptr;
  calls_.clear();
  for (const auto& call : remains.calls) call->Fail(cause);
  for (const auto& call : running_) call->Fail(cause);
  return remains;
}

LocalActor::Remains LocalActor::DieLocked(const detail::ErrorRecord& cause) {
  if (is_dead_) return {};
  is_dead_ = true;
  death_ = cause;
  Remains remains = FailAll(cause);
  work_.notify_all();
  return remains;
}

void LocalActor::Die(const detail::ErrorRecord& cause) {
  Remains remains;
  std::lock_guard lock(mutex_);
  remains = DieLocked(cause);
}

void LocalActor::Kill(bool no_restart, const std::string& reason) {
  Remains remains;
  std::lock_guard lock(mutex_);
  if (is_dead_) return;
  const detail::ErrorRecord cause = Death(label_, reason);
  if (no_restart || restarts_left_ == 0) {
    remains = DieLocked(cause);
    return;
  }
  if (restarts_left_ > 0) --restarts_left_;
  remains = FailAll(cause);
  ++life_;
  must_create_ = true;
  work_.notify_all();
}

void LocalActor::RequestExit() {
  std::lock_guard lock(mutex_);
  exit_of_life_ = CurrentFrame() != nullptr ? CurrentFrame()->actor_life : 0;
}

bool LocalActor::IsDead() {
  std::lock_guard lock(mutex_);
  return is_dead_;
}

bool LocalActor::WasRestarted() {
  std::lock_guard lock(mutex_);
  return life_ > 1;
}

detail::ActorDescription LocalActor::Describe() {
  detail::ActorDescription description;
  description.id = detail::ActorName(id_);
  description.name = options_.name;
  description.class_name = options_.actor_class;
  description.detached = options_.detached;
  std::lock_guard lock(mutex_);
  description.incarnation = static_cast<std::uint32_t>(life_);
  if (is_dead_) {
    description.state = detail::ActorState::kDead;
    description.cause = death_.message;
  } else if (instance_ != nullptr) {
    description.state = detail::ActorState::kAlive;
  } else if (life_ > 1) {
    description.state = detail::ActorState::kRestarting;
  }
  return description;
}

void LocalActor::Serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [&] {
      return is_dead_ || (must_create_ && !is_creating_) ||
             (!must_create_ && !is_creating_ && !calls_.empty());
    });
    if (is_dead_) return;
    if (must_create_) {
      CreateInstance(lock);
    } else {
      RunNext(lock);
    }
  }
}

void LocalActor::CreateInstance(std::unique_lock<std::mutex>& lock) {
  must_create_ = false;
  is_creating_ = true;
  const std::uint64_t life = life_;
  lock.unlock();
  std::shared_ptr<void> instance;
  detail::ErrorRecord cause;
  const detail::FunctionEntry* entry = detail::FindFunction(factory_);
  try {
    if (entry == nullptr || entry->factory == nullptr) {
      throw UnknownFunction(label_ + ": this program has no such factory.");
    }
    LocalFrameScope frame(nullptr, this, life);
    instance = entry->factory(arguments_->Fetch(blocking_id()));
    if (instance == nullptr) {
      cause.code = ErrorCode::kTaskError;
      cause.message = "its factory " + entry->name + " returned no object";
    }
  } catch (...) {
    cause = CaptureLocal(entry == nullptr ? "its creation" : entry->name);
  }
  lock.lock();
  is_creating_ = false;
  Remains remains;
  if (life == life_ && !is_dead_) {
    if (instance != nullptr) {
      instance_ = std::move(instance);
    } else {
      remains = DieLocked(DeathOfFactory(label_, cause));
    }
  }
  work_.notify_all();
  lock.unlock();
  remains = {};
  instance.reset();
  lock.lock();
}

void LocalActor::RunNext(std::unique_lock<std::mutex>& lock) {
  const auto running = running_.insert(running_.end(), std::move(calls_.front()));
  calls_.pop_front();
  const std::shared_ptr<LocalCall> call = *running;
  std::shared_ptr<void> instance = instance_;
  const std::uint64_t life = life_;
  lock.unlock();
  {
    LocalFrameScope frame(call.get(), this, life);
    call->Run(instance.get(), blocking_id());
  }
  lock.lock();
  running_.erase(running);
  Remains remains;
  if (exit_of_life_ == life && life == life_) {
    remains = DieLocked(Death(label_, "it called ExitActor"));
  }
  lock.unlock();
  remains = {};
  instance.reset();
  lock.lock();
}

}  // namespace rayx::client
