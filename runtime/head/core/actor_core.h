// runtime/head/core/actor_core.h
//
// Life of the cluster's actors: made, placed, alive, restarted, dead. Pure.
// Owner:    HeadCore.
// Threads:  the head's loop only.
// Inputs:   creations, kills, watches; answers to StartActor; reports of the hosting nodes; deaths
//           of nodes and ends of jobs; ticks.
// Outputs:  HeadEffects.
// Promises: an actor has at most one accepting incarnation: a start that may have reached a node is
//           stopped there and the next one has a higher number. A creation is accepted once,
//           however often it is repeated. A name is held by one living actor of its namespace.
//           Restarted at most max_restarts times, after a delay that doubles with each failure and
//           starts anew when an incarnation was alive for `healthy_after`; a kill that asks for a
//           restart is none. An actor that ends itself (ExitActor) is not restarted. Every watch is
//           answered, by a change or at its time. What no node of the cluster could host is dead
//           with Infeasible after `infeasible_after`. A node that had no room after all costs no
//           restart.
// Limits:   ActorOptions; the newest dead_kept dead actors are remembered without their frames.
//
//   PENDING --placed, reported--> ALIVE --death, restarts left--> RESTARTING --reported--> ALIVE
//   any --kill, end of job, death without restarts, Infeasible--> DEAD (for ever)
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/status.h"
#include "head/core/effects.h"
#include "model/ids.h"
#include "model/time.h"
#include "proto/head.pb.h"
#include "scheduling/cluster_view.h"
#include "scheduling/policy.h"

namespace rayx::head {

struct ActorOptions {
  size_t actors_max = 100000;
  size_t spec_bytes_max = 1024 * 1024;         // of one
  size_t specs_bytes_max = 256 * 1024 * 1024;  // of all living
  size_t dead_kept = 1000;
  size_t watchers_max = 65536;
  size_t list_bytes_max = 4 * 1024 * 1024;  // of FillActors
  model::Duration watch_max = std::chrono::seconds(10);
  model::Duration infeasible_after = std::chrono::seconds(3);
  model::Duration restart_delay = std::chrono::milliseconds(100);  // doubles with each failure
  model::Duration restart_delay_max = std::chrono::seconds(10);
  model::Duration healthy_after = std::chrono::seconds(30);
};

class ActorCore {
 public:
  // `view` is the membership's and outlives this.
  ActorCore(ActorOptions options, scheduling::ClusterView& view) : options_(options), view_(view) {}

  // `job`: what it belongs to; `job_namespace`: where its name lives unless it says otherwise.
  void OnCreate(const proto::CreateActor& create, model::JobId job,
                const std::string& job_namespace, model::TimePoint now, HeadEffects& effects,
                proto::HeadResponse& response);
  // True: answered in `response` now. False: the answer comes as an effect.
  bool OnWatch(const proto::WatchActor& watch, uint64_t request_id, ReplyTo to,
               model::TimePoint now, proto::HeadResponse& response);
  void OnFind(const proto::FindActor& find, const std::string& job_namespace,
              proto::HeadResponse& response) const;
  void OnKill(const proto::KillActor& kill, model::TimePoint now, HeadEffects& effects,
              proto::HeadResponse& response);

  // What a node answered to StartActor. `definite`: the node itself refused, nothing was started.
  void OnStartAnswered(model::ActorId id, uint32_t incarnation, const proto::ErrorInfo& error,
                       bool definite, model::TimePoint now, HeadEffects& effects);
  // After `node` has said what it has available.
  void OnHeartbeat(model::NodeNumber node);
  void OnReport(const proto::ActorReport& report, model::TimePoint now, HeadEffects& effects);
  void OnNodeDied(model::NodeNumber node, const std::string& reason, model::TimePoint now,
                  HeadEffects& effects);
  void OnJobEnded(model::JobId job, model::TimePoint now, HeadEffects& effects);
  // Places what waits. After every step that may have made room.
  void Place(model::TimePoint now, HeadEffects& effects);
  void OnTick(model::TimePoint now, HeadEffects& effects);

  bool Knows(model::ActorId id) const { return actors_.count(id) != 0; }
  // Whether a detached actor of the job lives.
  bool HasDetached(model::JobId job) const { return detached_.count(job) != 0; }
  // The living first, as many as fit, causes without log lines. What waits for a place says in its
  // cause for what.
  void FillActors(google::protobuf::RepeatedPtrField<proto::ActorView>& actors) const;
  // Likewise, those after `after` in the order of ids, up to about `bytes_max` (0: list_bytes_max).
  // True: there are more.
  bool FillActorsAfter(model::ActorId after, size_t bytes_max,
                       google::protobuf::RepeatedPtrField<proto::ActorView>& actors) const;
  void CheckInvariants() const;

 private:
  struct Actor {
    proto::ActorSpec spec;  // creation frame and program cleared when dead
    scheduling::PlacementRequest placement;
    std::string placement_key;  // equal for actors that ask for the same
    proto::ActorView view;
    model::NodeNumber node;  // where it was placed; none = waits for a place
    uint32_t restarts = 0;
    uint32_t failures = 0;           // since it was last healthy
    model::TimePoint alive_since;    // while its state is ALIVE
    model::TimePoint not_before;     // of the next placement
    model::TimePoint waiting_since;  // for a place
    std::set<ReplyTo> watchers;
  };
  struct Watcher {
    model::ActorId actor;
    uint64_t request_id = 0;
    model::TimePoint deadline;
  };
  proto::ErrorInfo Check(const proto::ActorSpec& spec) const;
  // False: there is no room for what it asks at the moment.
  bool TryPlace(model::ActorId id, Actor& actor, model::TimePoint now, HeadEffects& effects);
  void OnDeath(model::ActorId id, Actor& actor, proto::ErrorInfo cause, model::TimePoint now,
               HeadEffects& effects);
  void ForgetFailuresIfHealthy(Actor& actor, model::TimePoint now);
  void RestartOrBury(model::ActorId id, Actor& actor, proto::ErrorInfo cause, model::Duration delay,
                     model::TimePoint now, HeadEffects& effects);
  void WaitForPlace(model::ActorId id, Actor& actor, model::Duration delay, model::TimePoint now);
  void Bury(model::ActorId id, Actor& actor, proto::ErrorInfo cause, HeadEffects& effects);
  void StopWhereItIs(model::ActorId id, const Actor& actor, const std::string& reason,
                     HeadEffects& effects) const;
  void Changed(Actor& actor, HeadEffects& effects);
  void AnswerWatch(ReplyTo to, const proto::ActorView* view, HeadEffects& effects);
  void ForgetOldDead();
  // As lists show it; adds the bytes to `bytes`. `waits`: sentences by placement key.
  void FillActor(model::ActorId id, const Actor& actor, std::map<std::string, std::string>& waits,
                 size_t& bytes, proto::ActorView& view) const;

  const ActorOptions options_;
  scheduling::ClusterView& view_;
  std::map<model::ActorId, Actor> actors_;
  // Namespace and name, of the living.
  std::map<std::pair<std::string, std::string>, model::ActorId> names_;
  std::map<model::JobId, size_t> detached_;  // living ones, by job
  std::set<model::ActorId> waiting_;         // for a place
  struct Start {
    bool acknowledged = false;
  };
  std::map<model::ActorId, Start> starting_;  // placed, perhaps not in its node's word yet
  std::deque<model::ActorId> dead_;           // oldest first
  size_t specs_bytes_ = 0;                    // of the living
  std::map<ReplyTo, Watcher> watchers_;
  std::map<model::ActorId, std::set<ReplyTo>> watchers_of_unknown_;
  std::set<std::pair<model::TimePoint, ReplyTo>> watch_deadlines_;
  model::NodeNumber spread_cursor_;
};

}  // namespace rayx::head
