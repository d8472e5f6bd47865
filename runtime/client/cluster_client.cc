#include "client/cluster_client.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "base/log.h"
#include "client/core/wait_notes.h"
#include "client/error_bridge.h"
#include "client/executor/executor.h"
#include "shm/fault_report.h"

namespace rayx::client {
namespace {

constexpr auto kBlockedAfter = std::chrono::microseconds(200);
// A Get of a second thread looks again this often in case the polling one left in between.
constexpr auto kSecondWaiterLook = std::chrono::milliseconds(50);
constexpr auto kLastReplies = std::chrono::seconds(1);
constexpr auto kDetachedWait = std::chrono::seconds(30);  // as long as a request to the head lasts

model::ObjectId IdOf(const detail::RawRef& ref) {
  return model::ObjectId{model::ProcessId{ref.owner}, ref.sequence};
}

}  // namespace

ExecutionContext*& ClusterClient::CurrentContext() {
  thread_local ExecutionContext* context = nullptr;
  return context;
}

base::StatusOr<std::unique_ptr<ClusterClient>> ClusterClient::Create(DaemonLink link,
                                                                     WelcomePacket welcome,
                                                                     bool is_worker,
                                                                     WorkerOutput output,
                                                                     std::shared_ptr<void> keep) {
  std::unique_ptr<ClusterClient> client(
      new ClusterClient(std::move(link), std::move(welcome), is_worker, output, std::move(keep)));
  RAYX_RETURN_IF_ERROR(client->Start());
  if (!is_worker) client->baton_.Favour();  // a worker favours the thread that serves calls
  return client;
}

ClusterClient::ClusterClient(DaemonLink link, WelcomePacket welcome, bool is_worker,
                             WorkerOutput output, std::shared_ptr<void> keep)
    : welcome_(std::move(welcome)),
      self_{welcome_.welcome.process()},
      job_{welcome_.welcome.job()},
      is_worker_(is_worker),
      keep_(std::move(keep)),
      daemon_(std::move(link)),
      links_(self_),
      core_({.self = self_, .job = job_, .serves_calls = is_worker}, *this),
      segments_(self_),
      output_(STDOUT_FILENO, STDERR_FILENO, output) {}

base::Status ClusterClient::Start() {
  auto& fds = const_cast<WelcomePacket&>(welcome_).fds;
  RAYX_ASSIGN_OR_RETURN(shm::ProcessPage page, shm::ProcessPage::Open(fds[0].get()));
  page_ = std::move(page);
  RAYX_RETURN_IF_ERROR(shm::InstallFaultReport(&*page_, /*say_on_stderr=*/!is_worker_));
  eventfd_ = std::move(fds[1]);
  doorbell_ = std::make_unique<shm::DoorbellConsumer>(*page_, eventfd_.get());
  waiting_ = std::make_unique<shm::Waiting>(*page_);
  const auto daemon = model::ProcessId::Make(self_.node(), 0);
  RAYX_RETURN_IF_ERROR(links_.AddPeer(daemon, /*first_side=*/false, std::move(fds[2]),
                                      std::move(fds[3]), std::move(fds[4]), base::UniqueFd()));
  if (is_worker_) executor_ = std::make_unique<Executor>(*this);
  Baton::Prepare();
  attendant_ = std::thread([this] { AttendantLoop(); });
  return absl::OkStatus();
}

ClusterClient::~ClusterClient() {
  Stop();
  if (page_) shm::ForgetPage(&*page_);
}

void ClusterClient::Stop() {
  {
    std::unique_lock lock(baton_);
    if (std::exchange(stopped_, true)) return;
    AwaitDetachedActors(lock);
    ending_ = true;
    LoseCluster(EncodeError(ErrorCode::kNotInitialized, "RayX was shut down"));
    proto::ClientMessage message;
    message.mutable_goodbye()->set_reason("shutdown");
    daemon_.Send(message);
  }
  (void)::eventfd_write(eventfd_.get(), 1);
  if (attendant_.joinable()) attendant_.join();
  if (!is_worker_) {
    std::lock_guard lock(baton_);
    AwaitGoodbyeHeard();
  }
  output_.Stop();
  std::shared_ptr<void> keep;
  {
    std::lock_guard lock(baton_);
    daemon_.Close();  // the daemon sees the end of this process's part in the job
    keep.swap(keep_);
  }
}

// The head refuses what a job asks for after its end, and these are to outlive it.
void ClusterClient::AwaitDetachedActors(std::unique_lock<Baton>& lock) {
  std::string missing;
  const auto none = [&] { return (missing = core_.DescribeUnacceptedDetached()).empty(); };
  if (!WaitUntil(lock, none, Now() + kDetachedWait) && !ending_) {
    RAYX_LOG(kWarning) << "Shutdown gives up a detached actor after "
                       << std::chrono::seconds(kDetachedWait).count() << " s: " << missing;
  }
}

// --- waiting -------------------------------------------------------------------------------------

bool ClusterClient::Drain() {
  bool any = false;
  model::TimePoint now{};
  if (links_.HasWork(false)) {
    now = Now();
    any = links_.DrainReplies(
        [&](const model::FrameHeader& header, std::span<const std::byte> body) {
          core_.OnMessage(header, body, now);
        },
        [&](uint32_t slot, bool is_next) { core_.Expect(slot, is_next); });
  }
  if (has_released_.load(std::memory_order_acquire)) {
    std::vector<model::ObjectId> released;
    {
      std::lock_guard lock(released_mutex_);
      released.swap(released_);
      has_released_ = false;
    }
    for (const model::ObjectId& id : released) {
      if (const uint32_t slot = core_.Find(id); slot != kNoSlot) core_.ReleaseHold(slot);
    }
  }
  if (links_.HasQueued() && links_.FlushQueued()) any = true;
  if (links_.HasCut()) {
    for (const auto& [process, why] : links_.TakeCut()) OnChannelCut(process, why);
    any = true;
  }
  if (any) {
    core_.OnRoom(now != model::TimePoint{} ? now : Now());
    if (links_.RingAll()) rang_somebody_ = true;
  }
  return any;
}

void ClusterClient::AfterCall() {
  if (links_.RingAll()) rang_somebody_ = true;
  // Who reads what has long been there makes no work for it.
  if (HasWorkForAttendant()) doorbell_->WakeAttendant();
}

void ClusterClient::SetBlocked(bool blocked) {
  blocked ? ++blocked_threads_ : --blocked_threads_;
  TellBlocked();
}

// As long as one of an actor's threads works, the CPU is in use.
void ClusterClient::TellBlocked() {
  const bool blocked = blocked_threads_ > 0 && blocked_threads_ >= executor_->busy_threads();
  if (blocked == std::exchange(told_blocked_, blocked)) return;
  proto::ClientMessage message;
  if (blocked) {
    message.mutable_blocked();
  } else {
    message.mutable_unblocked();
  }
  daemon_.Send(message);
  page_->SetBlocked(blocked);
}

// Of one wait: whether the daemon was told that its CPU may go to another.
struct ClusterClient::BlockedTimer {
  bool executing = false;  // a task or call runs on this thread
  model::TimePoint start;
  bool told = false;

  // How long it may sleep before the daemon is to be told.
  model::Duration Left(model::TimePoint now, model::Duration longest) const {
    return executing && !told ? std::min<model::Duration>(longest, start + kBlockedAfter - now)
                              : longest;
  }
};

void ClusterClient::TellWhenBlocked(BlockedTimer& wait, model::TimePoint now) {
  if (!wait.executing || wait.told || now - wait.start < kBlockedAfter) return;
  SetBlocked(true);
  wait.told = true;
}

bool ClusterClient::WaitUntil(std::unique_lock<Baton>& lock, absl::FunctionRef<bool()> done,
                              model::TimePoint deadline, bool lane_of_calls) {
  if (done()) return true;
  BlockedTimer wait;
  wait.executing = is_worker_ && CurrentContext() != nullptr;
  if (wait.executing) wait.start = Now();
  bool result = false;
  while (true) {
    if (wait.told && core_.HasInlineWork()) {
      RunInline(lock);
    } else if (polling_) {  // another thread drains the rings
      const model::TimePoint now = Now();
      TellWhenBlocked(wait, now);
      others_.WaitFor(lock, std::min(wait.Left(now, kSecondWaiterLook),
                                     std::max(deadline - now, model::Duration(0))));
    } else if (Poll(lock, done, deadline, lane_of_calls, wait) == PollEnd::kInlineWork) {
      continue;
    }
    result = done();
    if (result || ending_ || Now() >= deadline) break;
  }
  if (wait.told) SetBlocked(false);
  return result;
}

// As the one thread that drains the rings. Returns when `done`, at the deadline, at the end of the
// cluster, or when there is work for this thread's own stack.
ClusterClient::PollEnd ClusterClient::Poll(std::unique_lock<Baton>& lock,
                                           absl::FunctionRef<bool()> done,
                                           model::TimePoint deadline, bool lane_of_calls,
                                           BlockedTimer& wait) {
  struct Turn {  // whatever user code in `done` throws
    explicit Turn(ClusterClient& client) : its(client) { its.polling_ = true; }
    ~Turn() {
      its.polling_ = false;
      its.others_.NotifyAll();
    }
    ClusterClient& its;
  } const turn(*this);
  absl::InlinedVector<const shm::ProcessPage*, 16> pages;
  const auto look_up_pages = [&] { pages.assign(links_.pages().begin(), links_.pages().end()); };
  look_up_pages();
  waiting_->Begin(std::exchange(rang_somebody_, false), links_.frames_taken());
  for (uint32_t round = 1;; ++round) {
    bool any = Drain();
    if (!answers_.empty() && (any || round % 16 == 0)) HandleDaemonPackets();
    if (resolved_any_) {
      resolved_any_ = false;
      any = true;
      others_.NotifyAll();
    }
    if (done() || ending_) return PollEnd::kOver;
    // A call for the thread that serves them, which waits behind this one.
    if (executor_ && !lane_of_calls && links_.HasWork(true)) others_.NotifyAll();
    bool sleep = false;
    if (any) {
      waiting_->Begin(std::exchange(rang_somebody_, false), links_.frames_taken());
    } else {
      lock.unlock();
      sleep = !waiting_->Step(pages);
      lock.lock();
      baton_.ForgetTurn();  // it served no call
      if (!sleep) continue;
    }
    const model::TimePoint now = Now();
    NoteUserDrains(now);
    links_.Reap();
    look_up_pages();
    if (now >= deadline) return PollEnd::kOver;
    TellWhenBlocked(wait, now);
    if (wait.told && core_.HasInlineWork()) return PollEnd::kInlineWork;
    if (!sleep) continue;
    const bool calls = executor_ != nullptr;
    const bool had_calls = calls && links_.HasWork(true);
    lock.unlock();
    doorbell_->WaitUser(
        [&] {
          std::lock_guard recheck(baton_);
          return links_.HasWork(lane_of_calls) || (calls && !had_calls && links_.HasWork(true)) ||
                 done() || ending_ || resolved_any_;
        },
        wait.Left(now, std::min<model::Duration>(deadline - now, shm::kWaitBound)));
    lock.lock();
    waiting_->Begin(false, links_.frames_taken());
  }
}

// A blocked worker at its VM's worker limit runs its own children on its own stack, which then uses
// the CPU.
void ClusterClient::RunInline(std::unique_lock<Baton>& lock) {
  if (!HasStackLeft()) {
    core_.RefuseInline(EncodeError(
        ErrorCode::kInfeasible,
        "tasks that wait for their own are nested " + std::to_string(CallDepth()) +
            " deep on one stack, and this VM's limit of workers is reached: no stack is left"));
    return;
  }
  const uint32_t slot = core_.TakeForInline();
  if (slot == kNoSlot) return;
  const model::FrameHeader header = core_.HeaderOf(slot);
  const std::span<const std::byte> bytes = core_.At(slot).task->body.bytes();
  std::vector<std::byte> body(bytes.begin(), bytes.end());
  SetBlocked(false);
  executor_->RunHere(
      lock, header, std::move(body),
      [&](model::FrameHeader& reply, std::span<const std::byte> results, model::Duration) {
        core_.OnMessage(reply, results, Now());
        core_.OnRoom(Now());
      });
  SetBlocked(true);
}

// --- references ----------------------------------------------------------------------------------

void ClusterClient::Retain(const detail::RawRef& ref) noexcept {
  std::lock_guard lock(baton_);
  if (const uint32_t slot = core_.Find(IdOf(ref)); slot != kNoSlot) {
    ++core_.At(slot).holds;
  }
}

void ClusterClient::Release(const detail::RawRef& ref) noexcept {
  if (baton_.try_lock()) {
    std::lock_guard lock(baton_, std::adopt_lock);
    if (const uint32_t slot = core_.Find(IdOf(ref)); slot != kNoSlot) core_.ReleaseHold(slot);
    if (core_.HasRemovals()) doorbell_->WakeAttendant();
    return;
  }
  std::lock_guard lock(released_mutex_);
  released_.push_back(IdOf(ref));
  has_released_ = true;
}

void ClusterClient::Adopt(const detail::RawRef& ref, const detail::RawRef& through) noexcept {
  std::lock_guard lock(baton_);
  const uint32_t outer = through.owner == 0 ? kNoSlot : core_.Find(IdOf(through));
  core_.Adopt(IdOf(ref), outer);
  if (links_.RingAll()) rang_somebody_ = true;
}

bool ClusterClient::RegisterBeforeReply(std::unique_lock<Baton>& lock,
                                        const model::FrameHeader& call,
                                        std::span<const Core::Returned> returned, bool succeeded) {
  if (!core_.HasUnregistered() && returned.empty()) return false;
  const auto results = succeeded ? returned : std::span<const Core::Returned>();
  const uint64_t request = core_.RegisterBeforeReply(call, results);
  if (!core_.IsRegistered(request)) {
    if (links_.RingAll()) rang_somebody_ = true;
    WaitUntil(
        lock, [&] { return core_.IsRegistered(request); }, model::kNever);
  }
  for (const Core::Returned& result : returned) {
    for (const model::ObjectId& object : result.objects) {
      if (const uint32_t slot = core_.Find(object); slot != kNoSlot) core_.ReleaseHold(slot);
    }
  }
  return true;
}

uint32_t ClusterClient::Need(const detail::RawRef& ref) {
  const model::ObjectId id = IdOf(ref);
  if (!id) Throw(ErrorCode::kInvalidOption, "an empty ObjectRef was given: it refers to no object");
  const uint32_t slot = core_.Find(id);
  if (slot == kNoSlot) {
    Throw(ErrorCode::kObjectLost,
          "object " + model::ToString(id) + " is not known in this process: its " +
              "last reference was dropped, or it is of an earlier connection");
  }
  core_.Want(slot);
  return slot;
}

void ClusterClient::BeginAsk(const proto::ClientMessage& message, uint64_t request,
                             Answer& answer) {
  answers_.emplace(request, &answer);
  if (daemon_.Send(message)) return;
  answer.error.set_code(static_cast<int>(ErrorCode::kNodeDied));
  answer.error.set_message("the node daemon of this VM is gone");
  answer.done = true;
}

void ClusterClient::Ask(const proto::ClientMessage& message, uint64_t request, Answer& answer,
                        model::TimePoint deadline, std::unique_lock<Baton>& lock) {
  BeginAsk(message, request, answer);
  WaitUntil(
      lock, [&] { return answer.done; }, deadline);
  answers_.erase(request);
}

void ClusterClient::ThrowIfLost() const {
  if (core_.lost().empty()) return;
  detail::ThrowError(DecodeError(std::as_bytes(std::span(core_.lost()))));
}

void ClusterClient::ThrowIfError(uint32_t slot) const {
  const Entry& entry = const_cast<ClusterClient*>(this)->core_.At(slot);
  if (entry.kind == ValueKind::kError) detail::ThrowError(DecodeError(entry.bytes()));
}

bool ClusterClient::IsOwnActorsCall(uint32_t slot) const {
  const ExecutionContext* context = CurrentContext();
  if (context == nullptr || !context->actor || core_.IsReady(slot)) return false;
  const TaskRecord* task = core_.TaskOf(slot);
  return task != nullptr && task->kind == model::FrameKind::kActorCall &&
         core_.Actor(task->actor_index).id == context->actor;
}

// An actor all of whose threads wait for calls to itself would wait for ever.
ClusterClient::SelfWait ClusterClient::BeginSelfWait(uint32_t slot) {
  if (self_waits_ + 1 >= executor_->concurrency()) {
    const ExecutionContext* context = CurrentContext();
    Throw(ErrorCode::kWouldDeadlock, "actor " + model::ToString(context->actor) + " waits in " +
                                         std::string(context->task_name) + " for its own call " +
                                         core_.TaskOf(slot)->name() +
                                         ", which can only run after it");
  }
  ++self_waits_;
  return SelfWait(this, [](ClusterClient* client) { --client->self_waits_; });
}

// One value that is here, not in the store: nothing is waited for, nothing is fetched.
bool ClusterClient::GetFromTable(const detail::RawRef& ref, detail::Fetched& value) {
  const std::lock_guard lock(baton_);
  const uint32_t slot = core_.Find(IdOf(ref));
  if (slot == kNoSlot || !core_.IsReady(slot)) return false;
  const Entry& entry = core_.At(slot);
  if (entry.kind != ValueKind::kInline && entry.kind != ValueKind::kHeap) return false;
  if (links_.HasCorked()) AfterCall();
  value.data = entry.bytes().data();
  value.bytes = entry.bytes().size();
  return true;
}

void ClusterClient::Get(const detail::RawRef* refs, size_t count, detail::Milliseconds timeout,
                        detail::Fetched* values) {
  if (count == 1 && GetFromTable(*refs, *values)) return;
  const model::TimePoint deadline =
      timeout < detail::Milliseconds(0) ? model::kNever : Now() + timeout;
  std::vector<model::StoredLocation> stored;
  std::vector<size_t> stored_index;
  {
    std::unique_lock lock(baton_);
    absl::InlinedVector<uint32_t, 8> slots(count);
    SelfWait self_wait(nullptr, [](ClusterClient*) {});
    for (size_t i = 0; i < count; ++i) {
      slots[i] = Need(refs[i]);
      if (!self_wait && IsOwnActorsCall(slots[i])) self_wait = BeginSelfWait(slots[i]);
    }
    AfterCall();
    size_t ready = 0;
    // Waits in order; the first error ends it, whatever comes behind.
    auto done = [&] {
      while (ready < count && core_.IsReady(slots[ready]) &&
             core_.At(slots[ready]).kind != ValueKind::kError)
        ++ready;
      return ready == count || core_.IsReady(slots[ready]);
    };
    std::optional<WaitNotes> notes;
    if (!done()) notes.emplace(Now());
    while (notes && !WaitUntil(lock, done, std::min(deadline, notes->next()))) {
      if (ending_) Throw(ErrorCode::kHeadUnavailable, "RayX was shut down while a Get waited");
      if (Now() >= deadline) {
        Throw(ErrorCode::kTimeout,
              "Get: after " + std::to_string(timeout.count()) + " ms " +
                  std::to_string(count - ready) + " of " + std::to_string(count) +
                  " objects are missing; first: " + core_.Describe(slots[ready]));
      }
      RAYX_LOG(kWarning) << "Get has waited " << notes->Take(Now()) << " for "
                         << core_.Describe(slots[ready]);
    }
    if (ready < count) ThrowIfError(slots[ready]);
    for (size_t i = 0; i < count; ++i) {
      const Entry& entry = core_.At(slots[i]);
      if (entry.kind == ValueKind::kStored) {
        stored.push_back(*entry.stored);
        stored_index.push_back(i);
      } else {
        values[i].data = entry.bytes().data();
        values[i].bytes = entry.bytes().size();
      }
    }
  }
  if (stored.empty()) return;
  std::vector<detail::Fetched> fetched = FetchStored(stored, deadline);
  for (size_t i = 0; i < fetched.size(); ++i) values[stored_index[i]] = std::move(fetched[i]);
}

void ClusterClient::Wait(const detail::RawRef* refs, size_t count, size_t num_ready,
                         detail::Milliseconds timeout, std::vector<bool>& ready) {
  const model::TimePoint deadline =
      timeout < detail::Milliseconds(0) ? model::kNever : Now() + timeout;
  std::unique_lock lock(baton_);
  std::vector<uint32_t> slots(count);
  SelfWait self_wait(nullptr, [](ClusterClient*) {});
  size_t of_others = 0;
  for (size_t i = 0; i < count; ++i) {
    slots[i] = Need(refs[i]);
    of_others += IsOwnActorsCall(slots[i]) ? 0 : 1;
  }
  // One that ends by its time is no wait for ever.
  if (deadline == model::kNever && of_others < std::min(num_ready, count)) {
    const auto own = std::find_if(slots.begin(), slots.end(),
                                  [&](uint32_t slot) { return IsOwnActorsCall(slot); });
    self_wait = BeginSelfWait(*own);
  }
  AfterCall();
  uint64_t counted_at = UINT64_MAX;
  size_t counted = 0;
  auto done = [&] {
    if (counted_at != core_.resolved_count()) {  // count again only when something resolved
      counted_at = core_.resolved_count();
      counted = static_cast<size_t>(
          std::count_if(slots.begin(), slots.end(), [&](uint32_t s) { return core_.IsReady(s); }));
    }
    return counted >= std::min(num_ready, count);
  };
  if (timeout != detail::Milliseconds(0)) {
    WaitUntil(lock, done, deadline);
  } else if (!done() && !polling_) {
    Drain();  // who only looks does not spin
  }
  ready.assign(count, false);
  for (size_t i = 0; i < count; ++i) ready[i] = core_.IsReady(slots[i]);
}

void ClusterClient::SendReply(model::ProcessId caller, const model::FrameHeader& call,
                              model::FrameHeader& reply, std::span<const std::byte> body,
                              bool at_once) {
  links_.SendReply(caller, call, reply, body, at_once);
  if (links_.RingDue()) rang_somebody_ = true;
  doorbell_->WakeAttendant();  // it shows what is corked to the caller, should this process be busy
}

// --- a worker's life -----------------------------------------------------------------------------

void ClusterClient::ServeCalls() {
  baton_.Favour();
  std::unique_lock lock(baton_);
  while (!ending_ && !executor_->exit_asked()) {
    if (awaits_calls_) {
      turn_.Wait(lock);
      continue;
    }
    awaits_calls_ = true;
    const auto has_call = [&] { return executor_->exit_asked() || executor_->FindCall(); };
    bool found = has_call();
    if (!found) {
      executor_->ShowIdle();
      // Replies to one caller may have waited while calls of others were served.
      if (links_.RingAll()) rang_somebody_ = true;
      found = WaitUntil(lock, has_call, model::kNever, /*lane_of_calls=*/true);
    }
    awaits_calls_ = false;
    turn_.NotifyOne();
    if (found && !executor_->exit_asked()) executor_->RunOne(lock);
  }
  links_.RingAll();  // what was kept back
  turn_.NotifyAll();
}

void ClusterClient::FinishActor() {
  std::unique_lock lock(baton_);
  while (!ending_ && executor_->busy_threads() > 0) turn_.Wait(lock);
  if (ending_) return;
  WaitUntil(
      lock, [&] { return !links_.HasQueued(); }, Now() + kLastReplies);
  proto::ClientMessage message;
  message.mutable_goodbye()->set_reason("ExitActor");
  message.mutable_goodbye()->set_actor_exits(true);
  daemon_.Send(message);
  WaitUntil(
      lock, [&] { return daemon_.Flush(); }, Now() + kLastReplies);
}

void ClusterClient::ExitActor() {
  const ExecutionContext* context = CurrentContext();
  if (context == nullptr || !context->actor) {
    Throw(ErrorCode::kInvalidOption, "ExitActor was called outside an actor");
  }
  std::lock_guard lock(baton_);
  executor_->AskToExit();
  shm::DoorbellProducer(*page_, eventfd_.get()).Ring();  // another thread may wait for calls
}

}  // namespace rayx::client
