// runtime/node/core/actor_host_core.h
//
// The actors that the head placed on this node: from the order to start one to its end. Pure.
// Owner:    NodeCore, one a node.
// Threads:  the node loop only.
// Inputs:   On*() calls, each with `now`.
// Outputs:  appended to ActorEffects.
// Promises: an incarnation is started at most once, however often the head repeats itself, and its
//           last report is repeated to it; every started incarnation is reported ALIVE at most once
//           and DEAD exactly once, with the cause of the first thing that went wrong. One for which
//           no room comes in time is reported PENDING instead: it never starts here. An order to
//           stop that overtakes the one to start is remembered: the start is answered with the end.
// Limits:   ended_max ended incarnations are remembered for repeats.
//
// wanted (resources, worker) -> creating (the creation frame runs) -> alive -> dead.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "model/ids.h"
#include "model/time.h"
#include "node/core/lease_effects.h"
#include "proto/cluster.pb.h"

namespace rayx::node {

// One life of an actor.
struct ActorLife {
  model::ActorId id;
  uint32_t incarnation = 0;
  friend auto operator<=>(const ActorLife&, const ActorLife&) = default;
};

struct ActorEffects {
  struct CancelLease {
    RequestKey key;
  };
  // Write the creation frame into the worker's ring, with the node as its source and this cookie.
  struct Create {
    model::ProcessId worker;
    uint32_t cookie = 0;
    std::string frame;
    uint32_t incarnation = 0;
  };
  struct Report {
    ActorLife life;
    proto::ActorState state = proto::ACTOR_ALIVE;
    model::ProcessId worker;
    proto::ErrorInfo cause;
  };
  struct EndWorker {
    model::ProcessId worker;
    std::string reason;
  };
  std::vector<LeaseRequest> requests;
  std::vector<CancelLease> cancels;
  std::vector<Create> creations;
  std::vector<EndWorker> ends;
  std::vector<Report> reports;
};

class ActorHostCore {
 public:
  explicit ActorHostCore(model::NodeNumber self, size_t ended_max = 4096)
      : self_(self), ended_max_(ended_max) {}

  // `request`: its placement here, decoded and checked by the shell; the key is filled in.
  void OnStart(const proto::ActorSpec& spec, uint32_t incarnation, LeaseRequest request,
               ActorEffects& effects);
  void OnStop(const ActorLife& life, const std::string& reason, ActorEffects& effects);
  void OnGranted(const RequestKey& key, model::ProcessId worker, ActorEffects& effects);
  // `cause` with code 0: no room in time.
  void OnFailed(const RequestKey& key, const proto::ErrorInfo& cause, ActorEffects& effects);
  // The reply to a creation frame. `failure` has code 0 when the constructor returned.
  void OnCreated(uint32_t cookie, model::ProcessId worker, const proto::ErrorInfo& failure,
                 ActorEffects& effects);
  void OnWorkerGone(model::ProcessId worker, const proto::ErrorInfo& cause, ActorEffects& effects);
  void OnJobEnded(model::JobId job, ActorEffects& effects);

  size_t living() const { return actors_.size(); }
  // The life that a process hosts; incarnation 0: none.
  ActorLife LifeOf(model::ProcessId worker) const;

  void CheckInvariants() const;

 private:
  enum class Phase : uint8_t { kWanted, kCreating, kAlive };
  struct Actor {
    proto::ActorSpec spec;
    Phase phase = Phase::kWanted;
    model::ProcessId worker;
    uint32_t cookie = 0;
  };
  using Actors = std::map<ActorLife, Actor>;

  static ActorLife LifeOf(const RequestKey& key);
  static RequestKey KeyOf(const ActorLife& life);
  void Remember(ActorEffects::Report report);
  void Die(Actors::iterator actor, proto::ErrorInfo cause, ActorEffects& effects);

  const model::NodeNumber self_;
  const size_t ended_max_;
  Actors actors_;
  std::map<model::ProcessId, ActorLife> workers_;
  std::map<uint32_t, ActorLife> cookies_;
  uint32_t next_cookie_ = 1;
  std::map<ActorLife, ActorEffects::Report> ended_;
  std::deque<ActorLife> ended_order_;
};

}  // namespace rayx::node
