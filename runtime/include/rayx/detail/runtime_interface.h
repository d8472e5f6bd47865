// The one door from the public templates into the client.
//
// Purpose:  what a driver or worker can ask of the runtime, in types without templates. Two things
//           stand behind it: the cluster client (client/) and local mode (client/local/).
// Owner:    Init makes one, Shutdown stops it; Runtime() gives it or throws NotInitialized.
// Threads:  every method from any user thread at once.
// Promises: every failure is thrown as a type of errors.h. Remote calls never throw for what
//           happens at the other side: that error surfaces at Get.
#ifndef RAYX_DETAIL_RUNTIME_INTERFACE_H_
#define RAYX_DETAIL_RUNTIME_INTERFACE_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rayx/detail/packed.h"
#include "rayx/detail/visibility.h"

namespace rayx::detail {

using Milliseconds = std::chrono::milliseconds;
inline constexpr Milliseconds kForever = Milliseconds(-1);

// --- execution: what a registered function is to the executor
// -------------------------------------

class ResultSink {
 public:
  virtual ~ResultSink() = default;
  // Result `index` of the call; the packed value need not outlive the call of Emit.
  virtual void Emit(std::size_t index, const Packed& value) = 0;
  // 0: the value is one result (Remote). n: it has n parts, each a result of its own (RemoteEach;
  // n may be 1).
  virtual std::size_t count_wanted() const { return 0; }
};

using Arguments = std::vector<Fetched>;
using TaskInvoker = void (*)(const Arguments& arguments, ResultSink& results);
using ActorFactory = std::shared_ptr<void> (*)(const Arguments& arguments);
using MethodInvoker = void (*)(void* self, const Arguments& arguments, ResultSink& results);

struct FunctionEntry {
  std::uint64_t id = 0;
  std::string name;            // for people: "square(int)"
  std::string definition;      // of a lambda: file and line; one in a header comes several times
  TaskInvoker task = nullptr;  // exactly one of the three is set
  ActorFactory factory = nullptr;
  MethodInvoker method = nullptr;
};

// One registry a process. Add: two different names with one id, or one id twice with different
// invokers in one program or library, are remembered and reported when the runtime starts (both are
// named). Find: null if unknown; an entry stays where it is.
RAYX_PUBLIC void RegisterFunction(FunctionEntry entry);
RAYX_PUBLIC const FunctionEntry* FindFunction(std::uint64_t id);
// Throws InvalidOption that names both functions of the first collision, if there was one.
RAYX_PUBLIC void CheckRegistry();

// --- calls
// -----------------------------------------------------------------------------------------

struct Argument {
  bool is_reference = false;
  RawRef reference;               // is_reference
  const Packed* value = nullptr;  // else
};

// The arguments of one call; they stay where they are while it is made.
class ArgumentList {
 public:
  ArgumentList(const Argument* first, std::size_t count) : first_(first), count_(count) {}
  std::size_t size() const { return count_; }
  const Argument& operator[](std::size_t i) const { return first_[i]; }
  const Argument* begin() const { return first_; }
  const Argument* end() const { return first_ + count_; }

 private:
  const Argument* first_;
  std::size_t count_;
};

struct CallOptions {
  std::string name;                           // SetName: shown in titles, lists, errors
  std::map<std::string, double> resources;    // empty: the default of the kind of call
  std::map<std::string, std::string> labels;  // required of the node
  int max_retries = 3;                        // tasks
  int max_restarts = 0;                       // actors
  int max_concurrency = 1;                    // actors
  bool spread = false;                        // SetSchedulingStrategy("SPREAD")
  std::uint32_t affinity_node = 0;            // 0: none
  bool affinity_soft = false;
  bool wait_if_infeasible = false;
  bool detached = false;
  std::string actor_namespace;
  std::string actor_class;
  std::size_t num_returns = 0;  // SetNumReturns; 0: not said
  // The call's result_count results are the parts of one value, and count_wanted() is that number
  // where it runs. False: result_count is 1 and the result the value.
  bool each_result = false;
};

struct RawActor {
  std::uint64_t creator = 0;
  std::uint64_t sequence = 0;
};

// A VM of the cluster, now or once.
struct NodeDescription {
  std::uint32_t number = 0;
  std::string host_name;
  std::string address;
  bool alive = true;
  std::map<std::string, double> total;
  std::map<std::string, double> available;
  std::map<std::string, std::string> labels;
};

// kPending: has not begun yet. kRestarting: after a death, with SetMaxRestarts.
enum class ActorState { kPending, kAlive, kRestarting, kDead };

// An actor of any job.
struct ActorDescription {
  std::string id;  // ActorHandle::ID()
  std::string name;
  std::string actor_namespace;
  std::string class_name;
  ActorState state = ActorState::kPending;
  std::string cause;  // kDead: of its death; kPending, kRestarting: what it waits for, if known
  std::uint32_t node = 0;
  int pid = 0;
  std::uint32_t job = 0;  // a detached actor's: a job of its own
  std::uint32_t incarnation = 1;
  bool detached = false;
};

// A program that has called Init, or what its detached actors live in.
struct JobDescription {
  std::uint32_t number = 0;
  std::string program;
  std::string job_namespace;
  std::string host_name;  // of its driver
  int pid = 0;
  bool running = true;
  std::chrono::system_clock::time_point started;
  std::chrono::system_clock::time_point ended;  // when not running
  std::uint32_t detached_from = 0;  // not 0: the job in which that one's detached actors live
};

// Where the calling thread runs.
struct ContextDescription {
  std::string task_name;  // "" in a driver
  RawRef task;            // its first result
  std::uint32_t attempt = 1;
  RawActor actor;  // creator 0: not in an actor
  bool was_actor_restarted = false;
  std::uint32_t job = 0;
  std::uint32_t node = 0;
  std::uint64_t process = 0;
  std::string host_name;
  std::string node_ip;
  std::string job_namespace;
  double leased_cpus = 0;  // of the running task or actor; 0 in a driver
  bool local_mode = false;
};

class RuntimeInterface {
 public:
  virtual ~RuntimeInterface() = default;

  // Shutdown: new calls throw NotInitialized, waiting ones end with an error, then everything that
  // the runtime started is stopped. Called once. The object itself lives on: another thread may be
  // inside.
  virtual void Stop() {}

  // References: made with one hold; Retain/Release count them. Cheap; never throw.
  virtual void Retain(const RawRef& ref) noexcept = 0;
  virtual void Release(const RawRef& ref) noexcept = 0;
  // A reference met while a value was deserialised: takes one hold, registers as borrower if
  // foreign. `through`: what the value was fetched through (owner 0: an argument).
  virtual void Adopt(const RawRef& ref, const RawRef& through) noexcept = 0;

  virtual RawRef Put(const Packed& value) = 0;
  // `results` refs, each with one hold for the caller.
  virtual void SubmitTask(std::uint64_t function, const CallOptions& options,
                          ArgumentList arguments, RawRef* results, std::size_t result_count) = 0;
  virtual RawActor CreateActor(std::uint64_t factory, const CallOptions& options,
                               ArgumentList arguments) = 0;
  virtual void CallActor(const RawActor& actor, std::uint64_t method, const CallOptions& options,
                         ArgumentList arguments, RawRef* results, std::size_t result_count) = 0;
  virtual void KillActor(const RawActor& actor, bool no_restart) = 0;
  // False when there is none of that name. `actor_class`: of which its factory makes it.
  virtual bool FindActor(const std::string& name, const std::string& actor_namespace,
                         RawActor& actor, std::string& actor_class) = 0;

  // Waits for all, in order; throws the first failed one's error, or Timeout naming what is
  // missing.
  virtual void Get(const RawRef* refs, std::size_t count, Milliseconds timeout,
                   Fetched* values) = 0;
  // ready[i] for each; returns when `num_ready` are, or at the timeout.
  virtual void Wait(const RawRef* refs, std::size_t count, std::size_t num_ready,
                    Milliseconds timeout, std::vector<bool>& ready) = 0;

  // Key-value of the job.
  virtual bool KvPut(const std::string& key, const std::string& value, bool only_if_absent) = 0;
  virtual bool KvGet(const std::string& key, std::string& value) = 0;
  virtual bool KvWait(const std::vector<std::string>& keys, Milliseconds timeout) = 0;
  virtual bool KvDelete(const std::string& key) = 0;
  virtual std::int64_t KvAdd(const std::string& key, std::int64_t amount) = 0;
  virtual std::size_t KvCount() = 0;

  virtual ContextDescription Context() = 0;
  virtual std::vector<NodeDescription> Nodes() = 0;
  virtual std::vector<ActorDescription> Actors() = 0;
  virtual std::vector<JobDescription> Jobs() = 0;
  // Ends the calling actor after the running call (ExitActor).
  virtual void ExitActor() = 0;
};

// The runtime of this process. Throws NotInitialized; ForkedProcess in a fork of a process that has
// one.
RAYX_PUBLIC RuntimeInterface& Runtime();
// Null before Init, after Shutdown and in a fork: what handles use in destructors.
RAYX_PUBLIC RuntimeInterface* RuntimeOrNull() noexcept;
// Grows with every Init: what tells a reference of an earlier runtime.
RAYX_PUBLIC std::uint32_t RuntimeGeneration() noexcept;

}  // namespace rayx::detail

#endif  // RAYX_DETAIL_RUNTIME_INTERFACE_H_
