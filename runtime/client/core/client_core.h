// runtime/client/core/client_core.h
//
// Decides everything about a process's own objects, tasks, actors and leases.
//
// Purpose:  the owner's side of RayX: which task is sent where and when, which result belongs to
//           which object, what is retried, what fails and with which cause.
// Owner:    ClusterClient, one a process.
// Threads:  the baton's holder only.
// Inputs:   On*() and the calls of the public API, each with `now`.
// Outputs:  calls of the effect sink, a template parameter (static dispatch, no allocation), so
//           that tests run this same code.
// Promises: every object resolves once, to a value or an error; a task is executed at most 1 +
//           max_retries times and a reply of a superseded attempt is dropped; calls of one actor
//           are sent in the order they were made; nothing here reads a clock, locks, or does I/O.
// Limits:   PendingSlab's; kLeaseRequestsMax lease requests at a time a class; kPipelineMax frames
//           a lease.
//
// The sink:
//   bool SendCall(FrameHeader&, span<const byte> body, bool idle)  false: no room now; try again at
//       OnRoom. `idle`: nothing that was sent there is unanswered, so that its process may sleep
//   void SendMessage(FrameHeader&, span body, bool urgent) kept until it can be sent
//   Revocation TryRevoke(const FrameHeader&)   takes a sent call back if it has not started
//   bool MayHaveStarted(const FrameHeader&)    of a call sent to a process that has died
//   void RequestLease(uint64_t request, const proto::SchedulingClass&,
//                     std::span<const uint32_t> argument_nodes)
//   void CancelLease(uint64_t request);  void ReturnLease(LeaseId, bool worker_failed)
//   void CreateActor(const proto::ActorSpec&);  void WatchActor(ActorId, uint64_t known_version)
//   void ConnectPeer(ProcessId);  void FreeStored(const StoredLocation&)
//   void Resolved(uint32_t slot);  void Warn(const std::string&)  what people should hear of
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "base/check.h"
#include "client/core/entry.h"
#include "client/core/error_info.h"
#include "client/core/pending_slab.h"
#include "proto/cluster.pb.h"
#include "proto/local.pb.h"

namespace rayx::client {

inline constexpr size_t kLeaseRequestsMax = 64;
inline constexpr size_t kPipelineMax = 512;
inline constexpr double kLeaseWorthUs = 5000;  // of work, for one more lease
inline constexpr double kSpreadWorthUs = 100;  // of work, to use one more of those at hand
// after which nobody waits for an idle lease any more: what is in use is recalled by then
inline constexpr model::Duration kWantedFor = std::chrono::milliseconds(200);
// workers that do not start, before their tasks fail
inline constexpr uint32_t kFailedStartsMax = 5;
inline constexpr model::Duration kRevokeAgain = std::chrono::milliseconds(100);
// before the next try
inline constexpr model::Duration kUndeliverableWait = std::chrono::milliseconds(10);
// A task whose arguments lie on another node than the leases at hand waits for one there as long as
// the arguments would take to come, at this speed (half a gigabyte a second was seen between two
// idle VMs with TLS), and no longer than this.
inline constexpr double kTransferBytesPerUs = 500;
inline constexpr model::Duration kDataWaitMax = std::chrono::milliseconds(200);
inline constexpr size_t kLookAheadMax = 64;  // tasks that are compared with a lease's node
// A view that still names a process which could not be reached is believed again after this.
inline constexpr model::Duration kBelieveViewAfter = std::chrono::seconds(1);
// So long the head's word of an actor's end waits for the daemon's, behind which no answer comes.
inline constexpr model::Duration kLastAnswersWait = std::chrono::seconds(1);

enum class Revocation { kRevoked, kTooLate, kAsked };  // kAsked: a kRevoke frame is on its way

// Frames that wait at a process of another VM take room at both daemons. Fewer bytes than a daemon
// holds back for one destination, so that a busy actor never blocks calls to others.
inline constexpr size_t kRemoteBytesMax = 768 * 1024;

// Slots of calls that were sent, in that order, and the bytes of their frames.
class InFlight {
 public:
  bool empty() const { return slots_.empty(); }
  size_t size() const { return slots_.size(); }
  const std::deque<uint32_t>& slots() const { return slots_; }
  // One frame always goes.
  bool HasRoom(size_t frame_bytes) const {
    return slots_.empty() || bytes_ + frame_bytes <= kRemoteBytesMax;
  }
  void Add(uint32_t slot, size_t frame_bytes) {
    slots_.push_back(slot);
    bytes_ += frame_bytes;
  }
  void Remove(uint32_t slot, size_t frame_bytes) {
    if (!slots_.empty() && slots_.front() == slot) {
      slots_.pop_front();
    } else if (std::erase(slots_, slot) == 0) {
      return;
    }
    bytes_ -= frame_bytes;
  }
  std::deque<uint32_t> Take() {
    bytes_ = 0;
    return std::exchange(slots_, {});
  }

 private:
  std::deque<uint32_t> slots_;
  size_t bytes_ = 0;
};

// What the core knows of a lease that it holds.
struct HeldLease {
  model::LeaseId id;
  model::ProcessId worker;
  uint32_t class_index = 0;
  bool live = false;
  bool recalled = false;
  model::TimePoint wanted_until{};  // by another, if it is idle
  InFlight in_flight;
  model::TimePoint idle_since{};
  model::TimePoint progress{};      // the last send to an idle worker, or the last reply
  model::TimePoint revoke_again{};  // not before, on another VM: an answer may be under way
  // a frame came back: its worker is gone, its death is told separately
  bool unreachable = false;
};

struct TaskClass {
  uint32_t index = 0;  // of this one
  proto::SchedulingClass description;
  std::deque<uint32_t> queued;
  std::vector<uint32_t> leases;
  std::set<uint64_t> requests;  // outstanding
  double mean_run_us = -1;      // of the tasks seen so far; negative: none yet
  bool waits_for_data = false;  // leases have room, but not where the tasks' arguments lie
  // No lease had room when it was looked at last: what is queued waits for an event.
  bool waits_for_room = false;
  bool worker_limit = false;     // the daemon will start no more workers for now
  uint32_t failed_starts = 0;    // of workers, in a row
  model::TimePoint ask_again{};  // then
};

struct ActorRecord {
  model::ActorId id;
  proto::ActorState state = proto::ACTOR_PENDING;
  uint64_t version = 0;
  model::ProcessId process;
  uint32_t incarnation = 0;
  bool connected = false;      // calls may be sent
  uint32_t killed_below = 0;   // by this process: no call is sent to an incarnation below it
  model::TimePoint lost_at{};  // when the connection to a process that may live was given up
  bool watching = false;
  bool announced = false;            // the head knows it, or is believed to
  model::TimePoint watch_again{};    // after a failed watch
  model::TimePoint unknown_since{};  // first failed watch in a row
  uint64_t calls = 0;                // numbers given, of this incarnation
  std::deque<uint32_t> queued;       // not yet sent, in order
  bool waits_for_room = false;       // is in ClientCore::waiting_for_room_
  InFlight in_flight;
  uint32_t creation_slot = kNoSlot;  // at the creator, until it was created
  TaskPtr creation;                  // then, while it may be restarted: holds the arguments
  proto::ActorSpec spec;             // until it was created
  std::string name;
  std::string told;   // the last death that it was restarted after, as its creator was warned
  std::string death;  // encoded error, once dead
  bool IsKilled() const { return incarnation < killed_below; }
  // What the head has told, while answers of the process that has ended may still come.
  std::optional<proto::ActorView> held_view;
  model::TimePoint held_since{};
};

template <class Sink>
class ClientCore {
 public:
  struct Options {
    model::ProcessId self;
    model::JobId job;
    bool serves_calls = true;  // a worker
    model::Duration idle_lease = std::chrono::milliseconds(500);
    model::Duration idle_wanted_lease = std::chrono::milliseconds(1);  // another waits for
    model::Duration stuck_after = std::chrono::milliseconds(5);
  };
  ClientCore(Options options, Sink& sink) : options_(options), sink_(sink), slab_(options.self) {}

  // --- objects ---
  // New own objects with one hold each and consecutive slots and ids: the first slot; kNoSlot when
  // the table is full.
  uint32_t NewObjects(uint32_t count);
  uint32_t NewObject() { return NewObjects(1); }
  void ResolveValue(uint32_t slot, std::span<const std::byte> value);
  void ResolveStored(uint32_t slot, const model::StoredLocation& location);
  void ResolveError(uint32_t slot, const std::string& error);
  uint32_t Find(const model::ObjectId& id) const;
  // A hold on an object; a foreign one gets an entry when it has none. kNoSlot: a released own
  // object. `through`: a foreign object whose value named it, which is held until the owner knows
  // of us; kNoSlot: an argument of a running call, whose caller holds it until the reply.
  uint32_t Adopt(const model::ObjectId& id, uint32_t through = kNoSlot);
  void ReleaseHold(uint32_t slot);  // one hold less; frees what nobody needs
  // Asks the owner of a foreign object for its value, once.
  void Want(uint32_t slot);
  Entry& At(uint32_t slot) { return slab_.At(slot); }
  bool IsReady(uint32_t slot) const { return slab_.At(slot).state == EntryState::kReady; }

  // --- borrowing (RELIABILITY section 3, R1 to R6) ---
  // The value of an own object refers to these, which it holds while it lives.
  void Contain(uint32_t slot, std::span<const model::ObjectId> objects);
  // Before a call is answered: asks the owners of what this process has kept of its arguments, and
  // of what the results refer to for the caller's sake. The id of the last request so far.
  struct Returned {
    uint32_t index = 0;  // of the result
    std::vector<model::ObjectId> objects;
  };
  bool HasUnregistered() const { return !unregistered_.empty() || !registrations_.empty(); }
  uint64_t RegisterBeforeReply(const model::FrameHeader& call, std::span<const Returned> returned);
  // It and all before it are acknowledged, or their owners gone.
  bool IsRegistered(uint64_t request) const {
    return registrations_.empty() || registrations_.begin()->first > request;
  }
  // Other processes hold objects of this one.
  bool has_borrowers() const { return !borrowed_.empty(); }
  // Owners are to be told at the next tick that this process holds some of theirs no longer.
  bool HasRemovals() const { return !removals_.empty(); }

  // --- tasks ---
  uint32_t ClassIndex(const proto::SchedulingClass& description);
  TaskPtr NewTask() { return slab_.NewTask(); }
  // The record has function, item and result counts (1 or more); its arguments' slots carry a hold
  // each. Returns the first result's slot; the others follow (one hold each).
  uint32_t SubmitTask(TaskPtr record, model::TimePoint now);
  // A queued own task that this process may run on its own stack instead (its worker limit is
  // reached); kNoSlot if there is none. The caller runs it and hands the reply to OnMessage, its
  // own id as source.
  uint32_t TakeForInline();
  // Such a task cannot be run either: it fails.
  void RefuseInline(const std::string& error);
  bool HasInlineWork() const;
  // Of a slot with a task, as it is sent now.
  model::FrameHeader HeaderOf(uint32_t slot) const;
  // What makes an own object, while it has not ended; null: nothing (any more).
  const TaskRecord* TaskOf(uint32_t slot) const { return slab_.At(TaskSlot(slot)).task; }

  // --- actors ---
  uint32_t CreateActor(TaskPtr record, proto::ActorSpec spec, model::TimePoint now);
  // makes a record when new
  uint32_t ActorIndex(const model::ActorId& id, std::string_view name);
  uint32_t SubmitActorCall(uint32_t actor_index, TaskPtr record, model::TimePoint now);
  // The same of a call that no other is before and that waits for nothing, for which no clock is
  // read. False: it is not one, and `record` is unchanged.
  bool SubmitActorCallAtOnce(uint32_t actor_index, TaskPtr& record, uint32_t& slot);
  ActorRecord& Actor(uint32_t index) { return *actors_[index]; }
  const ActorRecord& Actor(uint32_t index) const { return *actors_[index]; }
  model::ActorId NewActorId() { return model::ActorId{options_.self, ++actor_count_}; }

  // --- events ---
  // A message for this slot comes next, or soon: a guess, which costs little and changes nothing.
  void Expect(uint32_t slot, bool is_next) const {
    is_next ? slab_.ExpectTask(slot) : slab_.Expect(slot);
  }
  void OnMessage(const model::FrameHeader& header, std::span<const std::byte> body,
                 model::TimePoint now);
  // After each group of messages: what they made room for is sent.
  void OnRoom(model::TimePoint now);
  void OnLeaseGranted(uint64_t request, model::LeaseId lease, model::ProcessId worker,
                      model::TimePoint now);
  void OnLeaseFailed(uint64_t request, const proto::ErrorInfo& error, bool worker_limit,
                     model::TimePoint now);
  // `if_idle`: another waits for it; what is in use is kept.
  void OnLeaseRecalled(model::LeaseId lease, bool if_idle, model::TimePoint now);
  void OnPeerConnected(model::ProcessId process, model::TimePoint now);
  void OnProcessDied(model::ProcessId process, const proto::DeathCause& cause,
                     model::TimePoint now);
  void OnNodeDied(model::NodeNumber node, const std::string& reason, model::TimePoint now);
  void OnActorView(const proto::ActorView& view, model::TimePoint now);
  // This process has killed it when it was of that incarnation, and the head has agreed: what is
  // called from now on does not reach the process that may still be there. `for_good`: nor a later.
  void OnActorKilled(const model::ActorId& id, uint32_t incarnation, bool for_good,
                     model::TimePoint now);
  uint32_t IncarnationOf(const model::ActorId& id) const;
  void OnActorRefused(const model::ActorId& id, const proto::ErrorInfo& error,
                      model::TimePoint now);
  void OnActorAccepted(const model::ActorId& id, model::TimePoint now);
  // A detached actor that was created here and that the head has not answered for: what it waits
  // for; "": there is none.
  std::string DescribeUnacceptedDetached() const;
  void OnWatchFailed(const model::ActorId& id, const proto::ErrorInfo& error, model::TimePoint now);
  // Everything unresolved fails with this, and so does whatever is submitted later.
  void OnClusterLost(const std::string& error);
  // A worker that is gone had stored this for us: freed, unless a result that came names it.
  void OnObjectLeft(const model::StoredLocation& location);
  void OnTick(model::TimePoint now);

  bool HasPending() const {
    return unresolved_ > 0 || leases_live_ > 0 || !registrations_.empty() || !removals_.empty();
  }
  // the encoded error; empty while the cluster is there
  const std::string& lost() const { return lost_; }
  uint64_t resolved_count() const { return resolved_; }
  uint32_t live_objects() const { return slab_.live(); }
  // "task square: queued, waits for a lease of {CPU: 1}": what a long Get logs.
  std::string Describe(uint32_t slot) const;
  void CheckInvariants() const;

 private:
  // objects
  uint32_t Hold(const model::ObjectId& id);  // as Adopt, but that its owner is not told
  void Finish(uint32_t slot);                // state kReady: wake waiters
  void TryFree(uint32_t slot);
  void FreeOne(uint32_t slot);
  void DropValue(Entry& entry);
  // An own object lies there, as far as this process knows.
  bool HoldsStored(const model::StoredLocation& location);
  void AnswerFetch(const Waiter& waiter, uint32_t slot);
  void AddValueItem(model::BodyWriter& writer, const Entry& entry);
  void OnFetchValue(const model::FrameHeader& header);
  void OnValue(const model::FrameHeader& header, std::span<const std::byte> body);
  void ResolveItem(uint32_t slot, const model::Item& item);
  // borrowing
  using Borrows = std::map<model::ProcessId, std::vector<model::BorrowRecord>>;  // by owner
  static Bonds& BondsOf(Entry& entry);
  uint64_t SendBorrows(model::FrameKind kind, const Borrows& borrows);
  void Register(uint32_t slot, uint32_t through);
  void Lend(const model::BorrowRecord& record);
  void TakeBack(const model::BorrowRecord& record);
  void TakeBackAll(model::ProcessId borrower);
  void OnAddBorrower(const model::FrameHeader& header, std::span<const std::byte> body);
  void OnRemoveBorrower(const model::FrameHeader& header, std::span<const std::byte> body);
  void OnBorrowerAck(uint64_t request, model::ProcessId owner);
  void ForgetRegistrations(model::ProcessId owner);
  // Of a reply's references: its result holds them, or the owners are told that nobody does.
  void ContainReturned(uint32_t slot, const model::FrameHeader& reply, uint32_t index,
                       const model::Item& item);
  void DropReturned(const model::FrameHeader& reply, uint32_t index, const model::Item& item);
  // tasks
  void CountArguments(uint32_t slot);
  void Ready(uint32_t slot, model::TimePoint now);  // all arguments are resolved
  bool BuildBody(uint32_t slot);
  void Pump(TaskClass& task_class, model::TimePoint now);
  // `used` leases have, or wait with, so many tasks.
  bool IsWorthAnother(const TaskClass& task_class, size_t used, size_t tasks) const;
  uint32_t PickLease(const TaskClass& task_class, uint32_t first, std::span<const uint32_t> full,
                     model::TimePoint now) const;
  bool SendOn(uint32_t lease_index, uint32_t slot, model::TimePoint now);
  // Bytes of the task's stored arguments and where they lie, most first.
  std::vector<std::pair<uint64_t, model::NodeNumber>> DataOf(const TaskRecord& record) const;
  void FindData(TaskRecord& record, model::TimePoint now) const;
  bool MayGoTo(const TaskRecord& record, model::NodeNumber node, model::TimePoint now) const {
    if (!record.extras || !record.extras->data_node) return true;
    return record.extras->data_node == node || now >= record.extras->anywhere_at;
  }
  // The index in the queue of the first task that may go to a lease with room; kNoTask: all wait
  // for leases nearer to their data.
  static constexpr size_t kNoTask = SIZE_MAX;
  size_t PickTask(const TaskClass& task_class, const HeldLease& lease, model::TimePoint now) const;
  size_t Depth(const TaskClass& task_class) const;
  size_t LeasesWanted(const TaskClass& task_class, model::TimePoint now) const;
  void AskForLeases(TaskClass& task_class);
  void ReturnLease(uint32_t lease_index, bool worker_failed);
  void RemoveFromLease(uint32_t lease_index, uint32_t slot, model::TimePoint now);
  void OnReply(const model::FrameHeader& header, std::span<const std::byte> body,
               model::TimePoint now);
  void CompleteTask(uint32_t slot, const model::FrameHeader& header,
                    std::span<const std::byte> body);
  void FailTask(uint32_t slot, const std::string& error);
  void ResolveErrors(uint32_t first, uint32_t count, const std::string& error);
  // The slot that holds an entry's task: its own, or that of the first of several results.
  uint32_t TaskSlot(uint32_t slot) const {
    const Entry& entry = slab_.At(slot);
    const bool in_run = entry.run != kNoSlot && entry.state == EntryState::kWaiting;
    return in_run ? entry.run : slot;
  }
  void ReleaseArguments(TaskRecord& record);
  std::vector<uint32_t> Fetching() const;
  void OnAttemptLost(uint32_t slot, const proto::DeathCause& cause, bool started,
                     model::TimePoint now);
  void OnRevokeReply(const model::FrameHeader& header, model::TimePoint now);
  void Requeue(uint32_t slot, model::TimePoint now);
  // `oldest`: also the one sent first, which most likely runs.
  void RevokeStuck(uint32_t lease_index, bool oldest, model::TimePoint now);
  void DropUnclaimed(const model::FrameHeader& header, std::span<const std::byte> body);
  void OnUndeliverable(const model::FrameHeader& header, std::span<const std::byte> body,
                       model::TimePoint now);
  // checked; kNoSlot if it is not ours
  uint32_t CookieSlot(const model::FrameHeader& header) const;
  // actors
  void PumpActor(ActorRecord& actor, model::TimePoint now);
  bool SendOnActor(ActorRecord& actor, uint32_t slot);  // false: no room
  void AwaitRoom(ActorRecord& actor);                   // its queue goes on at OnRoom
  void FailCalls(const std::deque<uint32_t>& slots, const std::string& error);
  size_t FrameBytes(uint32_t slot) const {
    return sizeof(model::FrameHeader) + slab_.At(slot).task->body.size();
  }
  // Whether a destination may be sent one more frame.
  bool HasRoom(model::ProcessId destination, const InFlight& in_flight, uint32_t slot) const {
    return destination.node() == options_.self.node() || in_flight.HasRoom(FrameBytes(slot));
  }
  uint32_t NewActorCall(uint32_t actor_index, TaskPtr record);
  void SendCreation(uint32_t slot);
  std::string DescribeDemand(const TaskRecord& task) const;
  void EndCreation(ActorRecord& actor, const std::string& error);
  void WarnOfRestart(ActorRecord& actor, const proto::ErrorInfo& cause);
  std::string EncodeActorDeath(const ActorRecord& actor, const proto::DeathCause& cause) const;
  void Created(ActorRecord& actor);
  void LoseIncarnation(ActorRecord& actor, const std::string& error);
  bool HoldView(ActorRecord& actor, const proto::ActorView& view);
  void ReleaseView(ActorRecord& actor);
  ActorRecord* FindActor(const model::ActorId& id) const {  // null: not known here
    const auto it = actor_by_id_.find(id);
    return it == actor_by_id_.end() ? nullptr : actors_[it->second].get();
  }
  void Watch(ActorRecord& actor);
  std::string DescribeActor(const ActorRecord& actor) const;

  const Options options_;
  Sink& sink_;
  PendingSlab slab_;
  absl::flat_hash_map<model::ObjectId, uint32_t> foreign_;
  absl::flat_hash_map<std::string, uint32_t> class_by_key_;
  std::deque<TaskClass> classes_;
  std::deque<HeldLease> leases_;
  std::vector<uint32_t> free_leases_;
  absl::flat_hash_map<uint64_t, uint32_t> class_by_request_;
  std::deque<std::unique_ptr<ActorRecord>> actors_;
  absl::flat_hash_map<model::ActorId, uint32_t> actor_by_id_;
  std::array<uint32_t, 8> last_actors_{};  // that ActorIndex gave
  std::vector<ActorRecord*> waiting_for_room_;
  std::vector<uint32_t> delayed_;   // kQueued with not_before in the future
  std::vector<uint32_t> finished_;  // worklist of Finish
  bool finishing_ = false;
  std::string lost_;  // encoded error once the cluster is lost
  uint64_t next_request_ = 0;
  uint64_t actor_count_ = 0;
  uint64_t unresolved_ = 0;  // own tasks and fetches that have not ended
  uint64_t resolved_ = 0;
  // Requests to owners, by their ids, which grow.
  struct Registration {
    model::ProcessId owner;
    std::vector<uint32_t> slots;  // of foreign objects that are registered by it
  };
  std::map<uint64_t, Registration> registrations_;
  uint64_t last_registration_ = 0;
  uint64_t last_token_ = 0;
  std::vector<uint32_t> unregistered_;                       // foreign objects met in arguments
  Borrows removals_;                                         // not yet sent
  std::map<model::ProcessId, std::set<uint32_t>> borrowed_;  // by whom: own objects
  std::set<model::ProcessId> gone_;                          // lately, and
  std::deque<model::ProcessId> gone_order_;
  std::vector<std::byte> scratch_;  // of BuildBody
  std::vector<uint32_t> freeing_;   // worklist of TryFree
  uint32_t leases_live_ = 0;
  model::TimePoint now_{};  // of the running step, for what a worklist starts
};

}  // namespace rayx::client

#include "client/core/client_core_actors.inl.h"
#include "client/core/client_core_borrowing.inl.h"
#include "client/core/client_core_leases.inl.h"
#include "client/core/client_core_locality.inl.h"
#include "client/core/client_core_losses.inl.h"
#include "client/core/client_core_objects.inl.h"
#include "client/core/client_core_results.inl.h"
#include "client/core/client_core_tasks.inl.h"
