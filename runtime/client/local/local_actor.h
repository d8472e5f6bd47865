// runtime/client/local/local_actor.h
//
// An actor of local mode: an object on a thread of its own.
//
// Purpose:  runs calls in the order in which they came; with concurrency n on n threads.
// Owner:    LocalRuntime and its own threads share it.
// Threads:  any may call; user code runs on the actor's threads without a lock.
// Promises: every call resolves: by its result, or with the actor's death. A call that runs when
//           the actor is killed cannot be interrupted: it resolves to ActorDied at once, and its
//           thread ends when it returns.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "client/local/local_call.h"
#include "rayx/detail/runtime_interface.h"

namespace rayx::client {

class LocalActor;

// Counts the threads of all actors, so that Shutdown can wait for them.
class LocalThreads {
 public:
  // Runs actor->Serve() on a new thread. Throws std::system_error.
  void Start(std::shared_ptr<LocalActor> actor);
  // Until all have ended, but for the calling one; false at the deadline.
  bool AwaitEnd(std::chrono::steady_clock::time_point deadline);

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t running_ = 0;  // guarded by mutex_
};

class LocalActor : public std::enable_shared_from_this<LocalActor> {
 public:
  LocalActor(detail::RawActor id, std::uint64_t factory, const detail::CallOptions& options,
             std::unique_ptr<LocalArguments> arguments);

  void Start(LocalThreads& threads);
  void Push(std::unique_ptr<LocalCall> call);
  void Kill(bool no_restart, const std::string& reason);
  // Ends with this error; used for one that never came to life, too.
  void Die(const detail::ErrorRecord& cause);
  // After the running call.
  void RequestExit();
  bool IsDead();
  // Name, class, id: for messages.
  const std::string& label() const { return label_; }
  const detail::CallOptions& options() const { return options_; }
  detail::RawActor id() const { return id_; }
  // Whose thread runs one call at a time: its sequence; else 0.
  std::uint64_t blocking_id() const { return options_.max_concurrency == 1 ? id_.sequence : 0; }
  bool WasRestarted();
  // Of what the actor itself knows.
  detail::ActorDescription Describe();

  void Serve();  // the life of one of its threads

 private:
  void CreateInstance(std::unique_lock<std::mutex>& lock);
  void RunNext(std::unique_lock<std::mutex>& lock);
  // Takes instance and calls out and fails the calls; the caller destroys what is returned
  // unlocked.
  struct Remains {
    std::shared_ptr<void> instance;
    std::deque<std::shared_ptr<LocalCall>> calls;
  };
  Remains FailAll(const detail::ErrorRecord& cause);
  Remains DieLocked(const detail::ErrorRecord& cause);

  const detail::RawActor id_;
  const std::uint64_t factory_;
  const detail::CallOptions options_;
  const std::string label_;
  const std::unique_ptr<LocalArguments> arguments_;
  std::mutex mutex_;
  std::condition_variable work_;
  // Guarded by mutex_.
  std::shared_ptr<void> instance_;
  std::deque<std::shared_ptr<LocalCall>> calls_;
  std::list<std::shared_ptr<LocalCall>> running_;
  bool must_create_ = true;
  bool is_creating_ = false;
  std::uint64_t life_ = 1;          // counts restarts
  std::uint64_t exit_of_life_ = 0;  // the life that ends after its running call
  int restarts_left_ = 0;           // negative: no limit
  bool is_dead_ = false;
  detail::ErrorRecord death_;
};

// What the calling thread runs: set while user code runs on it.
struct LocalFrame {
  const LocalCall* call = nullptr;  // null in an actor's constructor
  LocalActor* actor = nullptr;      // whose thread this is
  std::uint64_t actor_life = 0;
  const LocalFrame* below = nullptr;
};
const LocalFrame* CurrentFrame();

// Puts a frame on the thread's stack of them for as long as it lives.
class LocalFrameScope {
 public:
  LocalFrameScope(const LocalCall* call, LocalActor* actor, std::uint64_t actor_life);
  ~LocalFrameScope();
  LocalFrameScope(const LocalFrameScope&) = delete;
  LocalFrameScope& operator=(const LocalFrameScope&) = delete;

 private:
  LocalFrame frame_;
};

}  // namespace rayx::client
