#include "node/core/actor_host_core.h"

#include <utility>

#include "base/check.h"
#include "scheduling/wire.h"

namespace rayx::node {

using model::ActorId;
using model::ProcessId;

RequestKey ActorHostCore::KeyOf(const ActorLife& life) {
  return RequestKey{life.id.creator, life.id.sequence, life.incarnation};
}
ActorLife ActorHostCore::LifeOf(const RequestKey& key) {
  return ActorLife{ActorId{key.owner, key.request}, key.incarnation};
}

void ActorHostCore::OnStart(const proto::ActorSpec& spec, uint32_t incarnation,
                            LeaseRequest request, ActorEffects& effects) {
  const ActorLife life{scheduling::FromWire(spec.id()), incarnation};
  if (auto ended = ended_.find(life); ended != ended_.end()) {
    effects.reports.push_back(ended->second);
    return;
  }
  auto [it, added] = actors_.try_emplace(life);
  if (!added) {
    if (it->second.phase == Phase::kAlive) {
      effects.reports.push_back({life, proto::ACTOR_ALIVE, it->second.worker, {}});
    }
    return;
  }
  it->second.spec = spec;
  request.key = KeyOf(life);
  request.asking = self_;
  request.class_key = "actor";
  effects.requests.push_back(std::move(request));
}

void ActorHostCore::Remember(ActorEffects::Report report) {
  const ActorLife life = report.life;
  if (!ended_.try_emplace(life, std::move(report)).second) return;
  ended_order_.push_back(life);
  if (ended_order_.size() <= ended_max_) return;
  ended_.erase(ended_order_.front());
  ended_order_.pop_front();
}

void ActorHostCore::Die(Actors::iterator actor, proto::ErrorInfo cause, ActorEffects& effects) {
  const ActorLife life = actor->first;
  const ProcessId worker = actor->second.worker;
  if (worker) workers_.erase(worker);
  cookies_.erase(actor->second.cookie);
  actors_.erase(actor);
  ActorEffects::Report report{life, proto::ACTOR_DEAD, worker, std::move(cause)};
  effects.reports.push_back(report);
  Remember(std::move(report));
}

void ActorHostCore::OnStop(const ActorLife& life, const std::string& reason,
                           ActorEffects& effects) {
  proto::ErrorInfo cause;
  cause.set_code(static_cast<int32_t>(ErrorCode::kActorDied));
  cause.set_message(reason);
  cause.set_node(self_.value);
  auto it = actors_.find(life);
  if (it == actors_.end()) {
    // It has overtaken the order to start: that one is answered with the end.
    return Remember({life, proto::ACTOR_DEAD, {}, std::move(cause)});
  }
  if (it->second.worker) {
    effects.ends.push_back({it->second.worker, reason});
  } else {
    effects.cancels.push_back({KeyOf(life)});
  }
  Die(it, std::move(cause), effects);
}

void ActorHostCore::OnGranted(const RequestKey& key, ProcessId worker, ActorEffects& effects) {
  auto it = actors_.find(LifeOf(key));
  if (it == actors_.end()) {  // stopped while its worker started
    effects.ends.push_back({worker, "its actor was stopped"});
    return;
  }
  Actor& actor = it->second;
  if (actor.phase != Phase::kWanted) return;
  actor.phase = Phase::kCreating;
  actor.worker = worker;
  actor.cookie = next_cookie_++;
  workers_.emplace(worker, it->first);
  cookies_.emplace(actor.cookie, it->first);
  effects.creations.push_back(
      {worker, actor.cookie, actor.spec.creation_frame(), it->first.incarnation});
}

void ActorHostCore::OnFailed(const RequestKey& key, const proto::ErrorInfo& cause,
                             ActorEffects& effects) {
  auto it = actors_.find(LifeOf(key));
  if (it == actors_.end() || it->second.phase != Phase::kWanted) return;
  if (cause.code() != 0) return Die(it, cause, effects);
  ActorEffects::Report report{it->first, proto::ACTOR_PENDING, {}, {}};
  actors_.erase(it);
  effects.reports.push_back(report);
  Remember(std::move(report));
}

void ActorHostCore::OnCreated(uint32_t cookie, ProcessId worker, const proto::ErrorInfo& failure,
                              ActorEffects& effects) {
  auto known = cookies_.find(cookie);
  if (known == cookies_.end()) return;
  auto it = actors_.find(known->second);
  if (it->second.worker != worker) return;  // not the process that was asked
  cookies_.erase(known);
  if (failure.code() != 0) {
    effects.ends.push_back({worker, "the actor's constructor failed"});
    Die(it, failure, effects);
    return;
  }
  it->second.phase = Phase::kAlive;
  it->second.spec.clear_creation_frame();
  effects.reports.push_back({it->first, proto::ACTOR_ALIVE, worker, {}});
}

void ActorHostCore::OnWorkerGone(ProcessId worker, const proto::ErrorInfo& cause,
                                 ActorEffects& effects) {
  auto known = workers_.find(worker);
  if (known == workers_.end()) return;
  auto it = actors_.find(known->second);
  proto::ErrorInfo of_actor = cause;
  of_actor.set_code(static_cast<int32_t>(ErrorCode::kActorDied));
  if (it->second.phase == Phase::kCreating) {
    of_actor.set_message("its constructor did not return: " + cause.message());
  }
  Die(it, std::move(of_actor), effects);
}

void ActorHostCore::OnJobEnded(model::JobId job, ActorEffects& effects) {
  std::vector<ActorLife> lives;
  for (const auto& [life, actor] : actors_) {
    if (actor.spec.job() == job.value && !actor.spec.detached()) lives.push_back(life);
  }
  for (const ActorLife& life : lives) OnStop(life, "its job has ended", effects);
}

ActorLife ActorHostCore::LifeOf(ProcessId worker) const {
  auto it = workers_.find(worker);
  return it == workers_.end() ? ActorLife{} : it->second;
}

void ActorHostCore::CheckInvariants() const {
  size_t with_worker = 0;
  size_t creating = 0;
  for (const auto& [life, actor] : actors_) {
    RAYX_CHECK(ended_.count(life) == 0, "an ended actor lives");
    RAYX_CHECK((actor.phase == Phase::kWanted) == !actor.worker, "phase and worker disagree");
    if (actor.worker) {
      ++with_worker;
      RAYX_CHECK(workers_.at(actor.worker) == life, "a worker hosts two actors");
    }
    creating += actor.phase == Phase::kCreating ? 1 : 0;
  }
  RAYX_CHECK(with_worker == workers_.size(), "a worker hosts nobody");
  RAYX_CHECK(creating == cookies_.size(), "a creation is lost");
  RAYX_CHECK(ended_.size() == ended_order_.size() && ended_.size() <= ended_max_,
             "ends miscounted");
}

}  // namespace rayx::node
