// runtime/node/core/worker_pool_core.h
//
// Decides which worker serves which lease, and which zygotes and workers are started and ended.
// Pure.
// Owner:    NodeCore, one a node.
// Threads:  the node loop only.
// Inputs:   On*() calls, each with `now`.
// Outputs:  appended to PoolEffects.
// Promises: a worker serves one job and program for its whole life and one lease at a time; an
//           actor's worker is never used again; a want is answered once, by a worker or by a
//           failure after kStartsMax starts have failed; nothing is started for a job that has
//           ended.
// Limits:   starts_max workers start at the same time, the others wait in order. A start that has
//           not said Hello after start_timeout has failed.
//
// A zygote (one a program) is absent -> starting -> ready, or -> cannot fork, and then every worker
// of the program is a process of its own (exec).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/ids.h"
#include "model/time.h"
#include "rayx/detail/error_record.h"

namespace rayx::node {

// Names one start of a worker, also towards the zygote and in the worker's Hello.
struct StartId {
  uint64_t value = 0;
  friend auto operator<=>(const StartId&, const StartId&) = default;
  explicit operator bool() const { return value != 0; }
};

// The reason of an end that a worker may refuse: it owns values that others still need.
inline constexpr char kIdle[] = "idle";

struct PoolEffects {
  struct StartZygote {
    std::string program_key;
  };
  struct EndZygote {
    std::string program_key;
  };
  struct ForkWorker {
    StartId start;
    std::string program_key;
    model::JobId job;
  };
  struct ExecWorker {
    StartId start;
    std::string program_key;
    model::JobId job;
  };
  // Give up a worker that has not said Hello.
  struct AbandonStart {
    StartId start;
  };
  struct Assign {
    model::LeaseId lease;
    model::ProcessId worker;
  };
  struct Fail {
    model::LeaseId lease;
    ErrorCode code = ErrorCode::kNone;
    std::string message;
  };
  // `gently`: it is told and has a second; else SIGKILL.
  struct EndWorker {
    model::ProcessId worker;
    bool gently = false;
    std::string reason;
  };
  std::vector<Assign> assigns;
  std::vector<Fail> failures;
  std::vector<EndWorker> ends;
  std::vector<AbandonStart> abandons;
  std::vector<EndZygote> ended_zygotes;
  std::vector<StartZygote> zygotes;
  std::vector<ForkWorker> forks;
  std::vector<ExecWorker> execs;
};

struct PoolOptions {
  size_t starts_max = 8;
  model::Duration idle_for = std::chrono::seconds(60);
  model::Duration start_timeout = std::chrono::seconds(60);
  // A zygote that has not answered may be loading large libraries.
  model::Duration zygote_timeout = std::chrono::seconds(60);
};

class WorkerPoolCore {
 public:
  static constexpr uint32_t kStartsMax = 3;

  explicit WorkerPoolCore(PoolOptions options) : options_(options) {}

  void OnWant(model::LeaseId lease, model::JobId job, const std::string& program_key,
              bool for_actor, model::TimePoint now, PoolEffects& effects);
  void OnWantCancelled(model::LeaseId lease, PoolEffects& effects);

  void OnZygoteReady(const std::string& program_key, bool can_fork, model::TimePoint now,
                     PoolEffects& effects);
  // It ended, or could not be started. `code`: of the failures that come of it.
  void OnZygoteGone(const std::string& program_key, const std::string& reason, model::TimePoint now,
                    PoolEffects& effects, ErrorCode code = ErrorCode::kWorkerDied);
  void OnHello(StartId start, model::ProcessId worker, model::TimePoint now, PoolEffects& effects);
  // Before its Hello.
  void OnStartFailed(StartId start, const std::string& reason, model::TimePoint now,
                     PoolEffects& effects, ErrorCode code = ErrorCode::kWorkerDied);
  void OnWorkerGone(model::ProcessId worker, model::TimePoint now, PoolEffects& effects);
  // Its lease is over.
  void OnReleased(model::ProcessId worker, bool end, const std::string& reason,
                  model::TimePoint now, PoolEffects& effects);
  void OnJobEnded(model::JobId job, model::TimePoint now, PoolEffects& effects);
  void OnTick(model::TimePoint now, PoolEffects& effects);

  size_t workers() const { return workers_.size(); }
  // "idle", "leased", "actor", "ending"; "" when it is no worker.
  const char* StateOf(model::ProcessId worker) const;

  void CheckInvariants() const;

 private:
  enum class ZygoteState : uint8_t { kStarting, kReady, kCannotFork };
  struct Zygote {
    ZygoteState state = ZygoteState::kStarting;
    model::TimePoint since;
    model::TimePoint last_used;
  };
  struct Kind {  // what a worker can serve
    model::JobId job;
    std::string program_key;
    friend auto operator<=>(const Kind&, const Kind&) = default;
  };
  struct Want {
    model::LeaseId lease;
    Kind kind;
    bool for_actor = false;
    uint32_t failed_starts = 0;
    StartId start;  // under way for it
    ErrorCode last_code = ErrorCode::kWorkerDied;
    std::string last_failure;
  };
  struct Start {
    Kind kind;
    model::TimePoint since;
    bool sent = false;  // the zygote or exec was told
  };
  struct Worker {
    Kind kind;
    model::LeaseId lease;  // none: idle or ending
    bool for_actor = false;
    bool ending = false;
    model::TimePoint idle_since;
  };

  void Pump(model::TimePoint now, PoolEffects& effects);
  bool AssignIdle(Want& want, PoolEffects& effects);
  static void Serve(Worker& worker, const Want& want);
  void SendStart(StartId id, Start& start, model::TimePoint now, PoolEffects& effects);
  void FailWant(std::deque<Want>::iterator want, PoolEffects& effects);
  void End(model::ProcessId id, Worker& worker, bool gently, const std::string& reason,
           PoolEffects& effects);

  const PoolOptions options_;
  std::map<std::string, Zygote> zygotes_;
  std::deque<Want> wants_;  // in order of arrival
  std::map<StartId, Start> starts_;
  std::map<model::ProcessId, Worker> workers_;
  std::map<Kind, std::set<model::ProcessId>> idle_;
  std::set<model::JobId> ended_jobs_;
  uint64_t next_start_ = 1;
};

}  // namespace rayx::node
