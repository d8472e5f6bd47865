// runtime/client/executor/executor.h
//
// Runs the calls that reach a worker.
//
// Purpose:  claims call frames, fetches their arguments, runs the user's function, sends the reply.
// Owner:    ClusterClient of a worker.
// Threads:  FindCall, RunOne and RunHere: the task thread, baton held on entry and on return.
//           OnTick: the attendant, baton held. User code runs without the baton.
// Promises: a frame is claimed just before it runs, so that its owner can take it back until then;
//           each claimed call is answered exactly once, whatever the user's function throws.
// Limits:   the task thread reserves kTaskStackBytes; an actor serves one call at a time.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "model/frame.h"
#include "model/time.h"
#include "rayx/detail/runtime_interface.h"

namespace rayx::client {

class ClusterClient;

inline constexpr size_t kTaskStackBytes = 64u << 20;
// What a call finds at least when it begins: the stack of an ordinary Linux thread.
inline constexpr size_t kStackReserveBytes = 8u << 20;

class Executor {
 public:
  explicit Executor(ClusterClient& client) : client_(client) {}

  // Claims the next call, if there is one. It is then run by RunOne.
  bool FindCall();
  void RunOne(std::unique_lock<std::mutex>& lock);
  // Runs a call of this process's own on the calling thread's stack; `deliver` gets the reply.
  using Deliver =
      std::function<void(model::FrameHeader& reply, std::span<const std::byte> results)>;
  void RunHere(std::unique_lock<std::mutex>& lock, const model::FrameHeader& header,
               std::vector<std::byte> body, const Deliver& deliver);
  bool HasStackLeft() const;
  uint32_t depth() const { return depth_; }
  void SetStackBase(const void* lowest) { stack_lowest_ = lowest; }
  // Shows a task in the process title once it runs for longer than 1 ms.
  void OnTick(model::TimePoint now);
  bool WantsTicks() const { return running_ && !title_shown_; }
  void AskToExit() { exit_after_call_ = true; }
  bool exit_asked() const { return exit_after_call_; }

 private:
  struct Call {
    model::FrameHeader header;
    std::vector<std::byte> body;
    model::ProcessId peer;  // whose channel it came from
  };

  void Run(std::unique_lock<std::mutex>& lock, Call& call, const Deliver& deliver);
  void Reply(const Call& call, model::TimePoint start, std::span<const std::byte> results,
             uint16_t items, bool succeeded, const Deliver& deliver);
  // Without the baton. The reply's items go to `results`; true when the call succeeded.
  bool Execute(const Call& call, std::vector<std::byte>& results, uint16_t& items);
  detail::Arguments FetchArguments(const Call& call);
  void RunFunction(const Call& call, const detail::Arguments& arguments, detail::ResultSink& sink);

  ClusterClient& client_;
  Call next_;
  bool has_next_ = false;
  size_t next_peer_ = 0;         // where FindCall goes on: each peer in turn
  std::shared_ptr<void> actor_;  // the actor that this worker hosts
  model::ActorId actor_id_;
  uint32_t incarnation_ = 0;
  const void* stack_lowest_ = nullptr;
  uint32_t depth_ = 0;  // calls on the task thread's stack
  // Of the running call.
  bool running_ = false;
  bool title_shown_ = false;
  std::string running_name_;
  const detail::FunctionEntry* titled_ = nullptr;  // whose short name title_ is
  std::string title_;
  model::TimePoint running_since_{};
  bool exit_after_call_ = false;
};

}  // namespace rayx::client
