// runtime/client/local/local_runtime.h
//
// Local mode: the whole of RayX inside the calling process.
//
// Purpose:  the same program without a cluster: to debug it, to test it.
// Owner:    Init makes it, Shutdown stops it.
// Threads:  any.
// Promises: tasks run inside Remote(), on the calling thread; actors on threads of their own.
//           Values pass through the serializer both ways; errors surface at Get. Stop waits up to
//           kStopTimeout for calls that run, then leaves their threads behind and says so.
// Limits:   resources, labels and strategies are accepted and ignored; a task is never retried,
//           because there is no worker that could die; a detached actor ends at Shutdown, because
//           this process is all of the cluster.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "client/local/local_actor.h"
#include "client/local/local_key_value.h"
#include "client/local/local_objects.h"
#include "rayx/detail/runtime_interface.h"
#include "rayx/options.h"

namespace rayx::client {

std::unique_ptr<detail::RuntimeInterface> MakeLocalRuntime(const Options& options);

class LocalRuntime : public detail::RuntimeInterface {
 public:
  static constexpr std::chrono::seconds kStopTimeout{5};

  explicit LocalRuntime(const Options& options);

  void Stop() override;
  void Retain(const detail::RawRef& ref) noexcept override;
  void Release(const detail::RawRef& ref) noexcept override;
  void Adopt(const detail::RawRef& ref, const detail::RawRef& through) noexcept override;
  detail::RawRef Put(const detail::Packed& value) override;
  void SubmitTask(std::uint64_t function, const detail::CallOptions& options,
                  detail::ArgumentList arguments, detail::RawRef* results,
                  std::size_t result_count) override;
  detail::RawActor CreateActor(std::uint64_t factory, const detail::CallOptions& options,
                               detail::ArgumentList arguments) override;
  void CallActor(const detail::RawActor& actor, std::uint64_t method,
                 const detail::CallOptions& options, detail::ArgumentList arguments,
                 detail::RawRef* results, std::size_t result_count) override;
  void KillActor(const detail::RawActor& actor, bool no_restart) override;
  bool FindActor(const std::string& name, const std::string& actor_namespace,
                 detail::RawActor& actor, std::string& actor_class) override;
  void Get(const detail::RawRef* refs, std::size_t count, detail::Milliseconds timeout,
           detail::Fetched* values) override;
  void Wait(const detail::RawRef* refs, std::size_t count, std::size_t num_ready,
            detail::Milliseconds timeout, std::vector<bool>& ready) override;
  bool KvPut(const std::string& key, const std::string& value, bool only_if_absent) override;
  bool KvGet(const std::string& key, std::string& value) override;
  bool KvWait(const std::vector<std::string>& keys, detail::Milliseconds timeout) override;
  bool KvDelete(const std::string& key) override;
  std::int64_t KvAdd(const std::string& key, std::int64_t amount) override;
  std::size_t KvCount() override;
  detail::ContextDescription Context() override;
  std::vector<detail::NodeDescription> Nodes() override;
  std::vector<detail::ActorDescription> Actors() override;
  std::vector<detail::JobDescription> Jobs() override;
  void ExitActor() override;

 private:
  using ActorName = std::pair<std::string, std::string>;  // namespace, name

  ActorName FullName(const std::string& name, const std::string& actor_namespace) const;
  std::shared_ptr<LocalActor> ActorOf(const detail::RawActor& actor);

  // Constant after construction.
  const std::string job_namespace_;
  const std::map<std::string, double> resources_;
  const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
  const std::uint64_t owner_;
  // Lock themselves.
  LocalObjects objects_;
  LocalKeyValue key_values_;
  LocalThreads threads_;
  std::mutex mutex_;
  // Guarded by mutex_.
  bool stopped_ = false;
  std::uint64_t next_actor_ = 1;
  std::unordered_map<std::uint64_t, std::shared_ptr<LocalActor>> actors_;
  std::map<ActorName, std::shared_ptr<LocalActor>> names_;
};

}  // namespace rayx::client
