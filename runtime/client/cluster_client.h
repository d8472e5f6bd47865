// runtime/client/cluster_client.h
//
// A process of the cluster: driver or worker.
//
// Purpose:  the shell around ClientCore: carries its effects out over rings and the daemon's
//           socket, and events back in; blocks user threads until what they wait for is there.
// Owner:    the process (ConnectCluster, or worker mode).
// Threads:  every public method of RuntimeInterface: any user thread. One state lock, the baton
//           (baton.h): whoever holds it drains the rings and runs the core. A waiting user thread
//           polls, then sleeps on the doorbell; others that wait meanwhile sleep on a condition.
//           One attendant thread sleeps on the daemon's socket and the eventfd and takes the baton
//           every millisecond while something is under way, but for up to three times in a row
//           while user threads have it or drain the rings themselves.
// Promises: every wait ends: by its value, its typed error, its timeout, or the loss of the
//           cluster. User code (deserialisers, destructors of values) never runs under the baton.
#pragma once

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "client/baton.h"
#include "client/core/client_core.h"
#include "client/daemon_link.h"
#include "client/output_printer.h"
#include "client/peer_links.h"
#include "io/clock.h"
#include "rayx/detail/runtime_interface.h"
#include "shm/client_segments.h"
#include "shm/waiting.h"

namespace rayx::client {

class Executor;

// Where the calling thread runs; null in a driver's threads.
struct ExecutionContext {
  std::string_view task_name = "unknown function";  // lives as long as the process
  model::TaskId task;
  uint32_t attempt = 1;
  model::ActorId actor;
  uint32_t incarnation = 0;
};

class ClusterClient final : public detail::RuntimeInterface {
 public:
  // The link has said Hello and got Welcome with its descriptors. `keep` lives as long as the
  // client (the embedded cluster that it is connected to).
  static base::StatusOr<std::unique_ptr<ClusterClient>> Create(DaemonLink link,
                                                               WelcomePacket welcome,
                                                               bool is_worker, WorkerOutput output,
                                                               std::shared_ptr<void> keep);
  ~ClusterClient() override;

  // --- RuntimeInterface ---
  void Stop() override;
  void Retain(const detail::RawRef& ref) noexcept override;
  void Release(const detail::RawRef& ref) noexcept override;
  void Adopt(const detail::RawRef& ref, const detail::RawRef& through) noexcept override;
  detail::RawRef Put(const detail::Packed& value) override;
  void SubmitTask(uint64_t function, const detail::CallOptions& options,
                  detail::ArgumentList arguments, detail::RawRef* results,
                  size_t result_count) override;
  detail::RawActor CreateActor(uint64_t factory, const detail::CallOptions& options,
                               detail::ArgumentList arguments) override;
  void CallActor(const detail::RawActor& actor, uint64_t method, const detail::CallOptions& options,
                 detail::ArgumentList arguments, detail::RawRef* results,
                 size_t result_count) override;
  void KillActor(const detail::RawActor& actor, bool no_restart) override;
  bool FindActor(const std::string& name, const std::string& actor_namespace,
                 detail::RawActor& actor, std::string& actor_class) override;
  void Get(const detail::RawRef* refs, size_t count, detail::Milliseconds timeout,
           detail::Fetched* values) override;
  void Wait(const detail::RawRef* refs, size_t count, size_t num_ready,
            detail::Milliseconds timeout, std::vector<bool>& ready) override;
  bool KvPut(const std::string& key, const std::string& value, bool only_if_absent) override;
  bool KvGet(const std::string& key, std::string& value) override;
  bool KvWait(const std::vector<std::string>& keys, detail::Milliseconds timeout) override;
  bool KvDelete(const std::string& key) override;
  int64_t KvAdd(const std::string& key, int64_t amount) override;
  size_t KvCount() override;
  detail::ContextDescription Context() override;
  std::vector<detail::NodeDescription> Nodes() override;
  std::vector<detail::ActorDescription> Actors() override;
  std::vector<detail::JobDescription> Jobs() override;
  void ExitActor() override;

  // --- for the executor and worker mode ---
  // Runs until the daemon says Exit or is gone, or the actor exits; on each task thread of a
  // worker.
  // One of those that are idle waits for calls, the others for their turn to do so.
  void ServeCalls();
  // The first task thread's end: what ExitActor leaves to be done.
  void FinishActor();
  // A task thread has begun or ended a call. `is_exiting`: they wait for the last to end.
  void OnBusyThreads(bool is_exiting) {
    if (blocked_threads_ > 0 || told_blocked_) TellBlocked();
    if (is_exiting) turn_.NotifyAll();
  }
  // Waits under the baton until `done`; false at the deadline. Polls, then sleeps.
  // `lane_of_calls`: also wakes for call frames, as only the thread that serves them may.
  bool WaitUntil(std::unique_lock<Baton>& lock, absl::FunctionRef<bool()> done,
                 model::TimePoint deadline, bool lane_of_calls = false);
  // Writes a value into a store segment of this VM. Throws ObjectStoreFull and the like.
  model::StoredLocation StoreValue(const model::ObjectId& object, model::JobId job,
                                   const detail::Packed& value);
  // Pins stored values, pulling those to this VM first, all at once, that lie elsewhere. In the
  // order given; throws the typed error of the first that cannot be had.
  std::vector<detail::Fetched> FetchStored(std::span<const model::StoredLocation> locations,
                                           model::TimePoint deadline);
  using Core = ClientCore<ClusterClient>;
  // Under the baton: whoever owns what this process keeps, or returns, of a call knows it (see
  // ClientCore). Waits for their words, then drops the holds on what was returned; of a call that
  // failed nothing goes to its caller.
  // True: there was something to register.
  bool RegisterBeforeReply(std::unique_lock<Baton>& lock, const model::FrameHeader& call,
                           std::span<const Core::Returned> returned, bool succeeded);
  // To a call with header `call` that came through `caller`'s channel; see PeerLinks.
  void SendReply(model::ProcessId caller, const model::FrameHeader& call, model::FrameHeader& reply,
                 std::span<const std::byte> body, bool at_once);
  // What this process works at, for lists and for the prefix of its output; "": nothing.
  void ShowTask(std::string_view name) { page_->SetTitle(name); }
  PeerLinks& links() { return links_; }
  const WelcomePacket& welcome() const { return welcome_; }
  model::ProcessId self() const { return self_; }
  model::TimePoint Now() const { return clock_.Now(); }
  bool ending() const { return ending_; }
  static ExecutionContext*& CurrentContext();  // of this thread

  // --- the core's sink ---
  bool SendCall(model::FrameHeader& header, std::span<const std::byte> body, bool idle);
  void SendMessage(const model::FrameHeader& header, std::span<const std::byte> body, bool urgent);
  Revocation TryRevoke(const model::FrameHeader& header);
  bool MayHaveStarted(const model::FrameHeader& header);
  void RequestLease(uint64_t request, const proto::SchedulingClass& description,
                    std::span<const uint32_t> argument_nodes);
  void CancelLease(uint64_t request);
  void ReturnLease(model::LeaseId lease, bool worker_failed);
  void CreateActor(const proto::ActorSpec& spec);
  void WatchActor(model::ActorId actor, uint64_t known_version);
  void ConnectPeer(model::ProcessId process);
  void FreeStored(const model::StoredLocation& location);
  void Resolved(uint32_t) { resolved_any_ = true; }
  void Warn(const std::string& text);

 private:
  // What a request to the daemon is answered with.
  struct Answer {
    bool done = false;
    proto::ErrorInfo error;
    proto::HeadResponse head;
    proto::Allocated allocated;
    proto::Location location;
  };
  struct SegmentAsked {
    model::JobId job;
    uint64_t request = 0;  // in answers_; the wire has none
  };
  struct Watched {
    model::ActorId actor;
    bool creation = false;
  };

  ClusterClient(DaemonLink link, WelcomePacket welcome, bool is_worker, WorkerOutput output,
                std::shared_ptr<void> keep);
  base::Status Start();

  // Under the baton.
  struct BlockedTimer;
  enum class PollEnd { kOver, kInlineWork };
  PollEnd Poll(std::unique_lock<Baton>& lock, absl::FunctionRef<bool()> done,
               model::TimePoint deadline, bool lane_of_calls, BlockedTimer& wait);
  void TellWhenBlocked(BlockedTimer& wait, model::TimePoint now);
  void SetBlocked(bool blocked);  // the calling task thread
  void TellBlocked();             // the daemon, when all of them are or no longer
  bool Drain();                   // rings; true if anything came
  void AfterCall();               // rings peers, wakes the attendant if it must tick
  // The same of a task or call, which may go later; its results' references. Throws for kNoSlot.
  void AfterSubmit(uint32_t slot, detail::RawRef* results, size_t result_count);
  void NoteUserDrains(model::TimePoint now) {
    last_drain_ns_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }
  bool HasUserDrained(model::Duration within) const;  // without the baton: a user thread
  bool HasWorkForAttendant() const {
    return core_.HasPending() || links_.HasQueued() || daemon_.HasQueued();
  }
  void TellResolved();  // to threads that wait for what another has drained
  void HandleDaemonPackets();
  void Handle(proto::DaemonMessage& message, std::vector<base::UniqueFd>& fds);
  void HandleHeadResponse(const proto::HeadResponse& response);
  void OnChannelCut(model::ProcessId process, const std::string& why);
  void HandlePeerConnected(const proto::PeerConnected& message, std::vector<base::UniqueFd>& fds);
  void HandleSegment(const proto::SegmentAttached& message, std::vector<base::UniqueFd>& fds);
  void AnswerSegmentAsked(const proto::ErrorInfo& error);
  void OnNoChannel(model::ProcessId process, const std::string& why);
  void AwaitGoodbyeHeard();
  void AwaitDetachedActors(std::unique_lock<Baton>& lock);
  void OnDaemonLost(const std::string& why);
  void LoseCluster(const std::string& error);
  void PrintLogLines(const proto::LogLines& lines);
  // its slot, wanted; throws for a released or foreign-made ref
  uint32_t Need(const detail::RawRef& ref);
  void RunInline(std::unique_lock<Baton>& lock);
  struct CallKind {
    const char* name;
    size_t body_bytes_max;  // of what its frame holds
  };
  void CheckCall(const detail::CallOptions& options, detail::ArgumentList arguments,
                 size_t result_count, const CallKind& kind) const;
  // These take the baton: records are the core's.
  TaskPtr MakeRecord(uint64_t function, const detail::CallOptions& options,
                     detail::ArgumentList arguments, size_t result_count,
                     std::unique_lock<Baton>& lock, const CallKind& kind);
  struct Measured;
  static Measured Measure(detail::ArgumentList arguments, size_t body_bytes_max);
  TaskPtr RecordByValue(detail::ArgumentList arguments, size_t body_bytes,
                        std::unique_lock<Baton>& lock);
  TaskPtr RecordByReference(detail::ArgumentList arguments, std::unique_lock<Baton>& lock,
                            const CallKind& kind);
  void PutArguments(detail::ArgumentList arguments, size_t body_bytes_max,
                    std::vector<detail::RawRef>& owned);
  // A value of more than inline_max bytes goes into the object store.
  detail::RawRef PutValue(const detail::Packed& value, size_t inline_max);
  void HoldReferred(detail::ArgumentList arguments, TaskRecord& record);
  proto::SchedulingClass ClassOf(const detail::CallOptions& options, double default_cpus) const;
  uint32_t DefaultClass();
  proto::HeadResponse CallHead(proto::HeadRequest request, detail::Milliseconds timeout);
  uint64_t NewRequest() { return ++next_request_; }
  void EnsureSegment(model::JobId job, std::unique_lock<Baton>& lock);
  // Sends a request with its id and waits for its answer; answer.done is false at the deadline.
  void Ask(const proto::ClientMessage& message, uint64_t request, Answer& answer,
           model::TimePoint deadline, std::unique_lock<Baton>& lock);
  // Sends a request whose answer somebody waits for, until answers_ forgets it.
  void BeginAsk(const proto::ClientMessage& message, uint64_t request, Answer& answer);
  std::vector<model::StoredLocation> CopiesHere(std::span<const model::StoredLocation> locations,
                                                model::TimePoint deadline);
  // `here`: where it lies, or lay a moment ago, on this VM.
  detail::Fetched PinStored(const model::StoredLocation& location, model::StoredLocation here,
                            model::TimePoint deadline);
  void ThrowIfLost() const;
  void ThrowIfError(uint32_t slot) const;
  bool GetFromTable(const detail::RawRef& ref, detail::Fetched& value);
  // Not ended, and of the actor that the calling thread serves.
  bool IsOwnActorsCall(uint32_t slot) const;
  // Held, under the baton, by a thread that waits for such a call. Throws WouldDeadlock.
  using SelfWait = std::unique_ptr<ClusterClient, void (*)(ClusterClient*)>;
  SelfWait BeginSelfWait(uint32_t slot);

  // The attendant (attendant.cc).
  void AttendantLoop();
  // What the attendant has done: nothing, because user threads are at it; its work, which is due
  // again soon; its work, and nothing is due.
  enum class Step { kLetGo, kTick, kSleep };
  Step AttendantStep(bool urgent, bool may_be_let_go);

  const WelcomePacket welcome_;
  const model::ProcessId self_;
  const model::JobId job_;
  const bool is_worker_;
  std::shared_ptr<void> keep_;
  const io::PosixClock clock_;

  Baton baton_;            // guards all below but where noted
  BatonCondition others_;  // user threads that wait while another polls
  bool polling_ = false;
  bool stopped_ = false;
  bool goodbye_heard_ = false;
  bool resolved_any_ = false;
  DaemonLink daemon_;
  PeerLinks links_;
  std::optional<shm::ProcessPage> page_;
  base::UniqueFd eventfd_;
  std::unique_ptr<shm::DoorbellConsumer> doorbell_;
  std::unique_ptr<shm::Waiting> waiting_;
  Core core_;
  shm::ClientSegments segments_;                    // thread-safe
  absl::flat_hash_map<uint64_t, Answer*> answers_;  // a user thread waits for each
  absl::flat_hash_map<uint64_t, Watched> watches_;  // head requests of the core
  absl::flat_hash_map<model::ObjectId, model::StoredLocation> pulled_;
  std::deque<SegmentAsked> segments_asked_;  // in the order of their answers
  uint64_t next_request_ = 0;
  uint32_t default_class_ = kNoSlot;
  bool rang_somebody_ = false;
  model::TimePoint idle_looked_{};         // at channels, by the attendant
  std::atomic<bool> ending_{false};        // Shutdown, or the daemon said Exit, or is gone
  std::atomic<int64_t> last_drain_ns_{0};  // when a user thread drained the rings
  std::mutex released_mutex_;
  // guarded by released_mutex_: holds dropped while the baton was taken
  std::vector<model::ObjectId> released_;
  std::atomic<bool> has_released_{false};
  std::unique_ptr<Executor> executor_;  // workers
  BatonCondition turn_;                 // to wait for calls; and of all that serve them: the end
  bool awaits_calls_ = false;
  size_t blocked_threads_ = 0;
  bool told_blocked_ = false;
  uint32_t self_waits_ = 0;  // see BeginSelfWait
  uint32_t warnings_ = 0;    // since the span began that ends at warn_again_
  model::TimePoint warn_again_{};
  OutputPrinter output_;
  std::thread attendant_;
};

}  // namespace rayx::client
