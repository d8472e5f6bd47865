// runtime/client/executor/executor.h
//
// Runs the calls that reach a worker.
//
// Purpose:  claims call frames, fetches their arguments, runs the user's function, sends the reply.
// Owner:    ClusterClient of a worker.
// Threads:  FindCall, RunOne and RunHere: task threads, baton held on entry and on return.
//           OnTick: the attendant, baton held. User code runs without the baton.
// Promises: a frame is claimed just before it runs, so that its owner can take it back until then;
//           each claimed call is answered exactly once, whatever the user's function throws. Calls
//           are begun in the order in which they came; an actor of SetMaxConcurrency(n) serves n
//           at once, each on a task thread of its own.
//           The reply of a short call may wait until the next one is answered, or a few
//           milliseconds (attendant.cc).
// Limits:   the first task thread reserves kTaskStackBytes, the others kConcurrentStackBytes.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "client/cluster_client.h"
#include "client/executor/call_clock.h"
#include "client/executor/call_turn.h"
#include "client/executor/task_thread.h"
#include "model/frame.h"
#include "model/time.h"
#include "rayx/detail/runtime_interface.h"

namespace rayx::client {

class Executor {
 public:
  explicit Executor(ClusterClient& client) : client_(client) {}

  // Nothing runs, and no call is there: the process shows that it is idle.
  void ShowIdle();
  // Claims the next call, if there is one. It is then run by RunOne.
  bool FindCall();
  void RunOne(std::unique_lock<Baton>& lock);
  // Runs a call of this process's own on the calling thread's stack; `deliver` gets the reply.
  using Deliver = absl::FunctionRef<void(model::FrameHeader& reply,
                                         std::span<const std::byte> results, model::Duration ran)>;
  void RunHere(std::unique_lock<Baton>& lock, const model::FrameHeader& header,
               std::vector<std::byte> body, Deliver deliver);
  // Shows the newest running call in the process title once it runs for longer than 1 ms.
  void OnTick(model::TimePoint now);
  bool WantsTicks() const { return !running_.empty() && !running_.back()->shown; }
  // No more calls are begun.
  void AskToExit() { exit_asked_ = true; }
  bool exit_asked() const { return exit_asked_; }
  // Calls at once: 1 but in an actor that asked for more.
  uint32_t concurrency() const { return concurrency_; }
  size_t busy_threads() const { return busy_threads_; }

 private:
  struct Call {
    model::FrameHeader header;
    std::vector<std::byte> body;
    model::ProcessId peer;  // whose channel it came from
  };
  struct Outcome {
    std::vector<std::byte> results;  // the reply's items
    uint16_t items = 0;
    bool succeeded = false;
    std::vector<ClusterClient::Core::Returned> returned;  // what the results refer to
  };
  // What one call needs while it runs; kept for later ones.
  struct Workspace {
    Call call;
    Outcome outcome;
    detail::Arguments arguments;
  };
  struct Running {
    const std::string* title = nullptr;
    model::TimePoint since{};
    bool shown = false;  // in the process title
  };

  bool ClaimCallOf(Peer& peer);  // the next one in its ring, if any
  std::unique_ptr<Workspace> TakeWorkspace();
  void KeepWorkspace(std::unique_ptr<Workspace> workspace);
  // `deliver` gets the reply, and how long the call ran. `since`: when it began; kNever: now.
  // When it ended; kNever: something was waited for since then.
  model::TimePoint Run(std::unique_lock<Baton>& lock, Workspace& workspace, model::TimePoint since,
                       Deliver deliver);
  // The call's header becomes the reply's.
  void Reply(Workspace& workspace, model::Duration ran, Deliver deliver);
  void Execute(Workspace& workspace, const detail::FunctionEntry* entry);  // without the baton
  void FetchArguments(Call& call, detail::Arguments& arguments);
  void RunFunction(const Call& call, const detail::FunctionEntry* entry,
                   const detail::Arguments& arguments, detail::ResultSink& sink);
  void MakeActor(const Call& call, const detail::FunctionEntry& factory,
                 const detail::Arguments& arguments);
  void Begin(Running& running, const detail::FunctionEntry* entry);
  void End(Running& running);
  void Show(const std::string* title);  // to other processes; null: idle

  ClusterClient& client_;
  std::unique_ptr<Workspace> next_;  // a call that FindCall has found
  std::vector<std::unique_ptr<Workspace>> spare_;
  CallTurn turn_;
  size_t peer_ = 0;              // whose turn it is
  std::shared_ptr<void> actor_;  // the actor that this worker hosts
  model::ActorId actor_id_;
  uint32_t incarnation_ = 0;
  uint32_t concurrency_ = 1;
  // When the last call ended, if the next one was there already, else kNever; of a worker with one
  // thread.
  model::TimePoint free_since_ = model::kNever;
  CallClock clock_;
  std::vector<Running*> running_;  // each on its thread's stack; the newest last
  size_t busy_threads_ = 0;
  bool exit_asked_ = false;
  // Short names of functions, for titles.
  std::map<const detail::FunctionEntry*, std::string> titles_;
  const detail::FunctionEntry* titled_ = nullptr;  // whose title_ is
  const std::string* title_ = nullptr;
  const std::string* shown_ = nullptr;
};

}  // namespace rayx::client
