// runtime/node/worker_starter.h
//
// Makes workers: a zygote a program that forks them, or exec where it cannot.
// Owner:    NodeShell.
// Threads:  the node loop, which is the main thread (PDEATHSIG).
// Inputs:   effects of WorkerPoolCore; zygotes and new workers, which run user code: their messages
//           are checked, a pid is believed only when it is our child and nobody's yet.
// Outputs:  the callbacks of WorkerStarterEvents.
// Promises: every Fork and Exec ends in one on_hello or one on_start_failed, unless it is
//           abandoned; an abandoned start's process is killed. Children die with this process.
// Limits:   a program is known as long as a job has it, or a zygote or a start of it is there.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "io/loop.h"
#include "io/processes.h"
#include "node/core/parts_effects.h"
#include "node/core/worker_pool_core.h"
#include "node/local_process.h"
#include "node/log_folder.h"
#include "node/worker_log.h"
#include "proto/local.pb.h"

namespace rayx::node {

// A worker that has said Hello.
struct StartedWorker {
  StartId start;
  std::string program_key;
  model::JobId job;
  proto::Hello hello;
  int32_t pid = 0;
  base::UniqueFd pidfd;
  std::unique_ptr<Connection> connection;  // no longer watched by the starter
};

struct WorkerStarterEvents {
  std::function<void(const std::string& program_key, bool can_fork)> on_zygote_ready;
  std::function<void(const std::string& program_key, ErrorCode code, const std::string& reason)>
      on_zygote_gone;
  std::function<void(StartedWorker)> on_hello;
  std::function<void(StartId, ErrorCode code, const std::string& reason)> on_start_failed;
  std::function<void(StartId, bool is_stderr, std::vector<std::string> lines)> on_lines;
  // Asked before a program without a plan is started: what to start in place of the file at its
  // path, "" for that one; or why not.
  std::function<base::StatusOr<std::string>(const std::string& program_key)> image_of;
};

class WorkerStarter {
 public:
  WorkerStarter(io::Loop& loop, std::string session_folder, const LogLimits& log_limits,
                WorkerStarterEvents events);
  ~WorkerStarter();

  // What workers of this key run, for the job. A key that is known stays the same program.
  void AddProgram(const proto::Program& program, model::JobId job);
  // Forgets the programs that no other job has, once nothing of them is under way.
  void OnJobEnded(model::JobId job);
  const proto::Program* Program(const std::string& key) const;  // null: unknown
  // Where its files lie on this VM; without it, where the program says.
  void SetPlan(const std::string& program_key, RunPlan plan);
  // Where workers of the job run whose program's working folder is not on this VM; it is made when
  // the first one is started.
  std::string JobFolder(model::JobId job) const;

  void StartZygote(const std::string& program_key);
  void EndZygote(std::string program_key);
  void Fork(StartId start, const std::string& program_key, model::JobId job);
  void Exec(StartId start, const std::string& program_key, model::JobId job);
  void Abandon(StartId start);

  // The output of a started worker is read until its process is gone.
  std::vector<std::string> LastLines(StartId start) const;
  void CatchUpOutput(StartId start);  // passes on what it has written by now
  void FinishOutput(StartId start);   // the process has exited: passes on what it wrote last
  void FinishLog(StartId start);
  // Of the logs: several times a second.
  void Tick();
  size_t zygotes() const { return zygotes_.size(); }
  // Kills what is under way. No callback comes afterwards.
  void Stop();

 private:
  struct Known {
    proto::Program program;
    std::optional<RunPlan> plan;
    std::set<model::JobId> jobs;
  };
  struct Zygote {
    io::Process process;
    io::PacketSocket socket;
    std::unique_ptr<WorkerLog> log;
    bool ready = false;
  };
  struct Pipes {
    base::UniqueFd out_read, out_write, err_read, err_write;
    static base::StatusOr<Pipes> Make();
  };
  struct Start {
    std::string program_key;
    model::JobId job;
    std::unique_ptr<Connection> connection;
    Pipes pipes;  // read ends, until the pid is known
    int32_t pid = 0;
    base::UniqueFd pidfd;
    bool said_hello = false;
    proto::Hello hello;
  };

  base::StatusOr<io::Process> SpawnProgram(const proto::Program& program, const char* mode,
                                           const std::string& folder, int socket, StartId token,
                                           const Pipes& pipes);
  // "" when the job's own folder cannot be made, with a warning.
  std::string FolderOf(const proto::Program& program, model::JobId job) const;
  std::unique_ptr<WorkerLog> MakeLog(const char* kind, int pid, Pipes& pipes,
                                     WorkerLog::LinesCallback on_lines) const;
  void ForgetIfUnused(const std::string& key);
  void Sweep();
  void OnZygotePacket(const std::string& program_key);
  bool IsKnown(int32_t pid) const;
  std::string ExecutableOf(const std::string& program_key) const;  // for people
  void OnForked(const std::string& program_key, const proto::Forked& forked);
  void LoseZygote(const std::string& program_key, const std::string& reason);
  base::Status Prepare(StartId id, const std::string& program_key, model::JobId job,
                       io::PacketSocket& worker_end);
  void SetPid(StartId id, Start& start, int32_t pid, base::UniqueFd pidfd);
  void OnWorkerPacket(StartId id);
  // A socket's end comes a moment before the exit status does.
  void WhenExited(int pidfd, std::function<void()> call);
  void FailLater(StartId id, std::string reason, ErrorCode code = ErrorCode::kWorkerDied);
  void FinishIfComplete(StartId id);
  void Watch(WorkerLog& log);
  void Unwatch(WorkerLog& log);
  void Drop(StartId id);

  io::Loop& loop_;
  const std::string session_folder_;
  const LogLimits log_limits_;
  const WorkerStarterEvents events_;
  model::TimePoint next_sweep_{};
  std::map<std::string, Known> programs_;
  std::map<std::string, Zygote> zygotes_;
  std::map<StartId, Start> starts_;
  std::map<StartId, std::unique_ptr<WorkerLog>> logs_;
  std::map<StartId, int32_t> pids_;  // of the same processes
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace rayx::node
