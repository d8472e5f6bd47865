#include "node/core/worker_pool_core.h"

#include <algorithm>

#include "base/check.h"

namespace rayx::node {

using model::JobId;
using model::LeaseId;
using model::ProcessId;
using model::TimePoint;

void WorkerPoolCore::OnWant(LeaseId lease, JobId job, const std::string& program_key,
                            bool for_actor, TimePoint now, PoolEffects& effects) {
  for (const Want& want : wants_) {
    if (want.lease == lease) return;
  }
  for (const auto& [id, worker] : workers_) {
    if (worker.lease == lease) return;
  }
  Want want;
  want.lease = lease;
  want.kind = Kind{job, program_key};
  want.for_actor = for_actor;
  if (ended_jobs_.count(job) != 0) {
    effects.failures.push_back({lease, ErrorCode::kCancelled, "the job has ended"});
    return;
  }
  if (AssignIdle(want, effects)) return;
  wants_.push_back(std::move(want));
  Pump(now, effects);
}

void WorkerPoolCore::Serve(Worker& worker, const Want& want) {
  worker.lease = want.lease;
  worker.for_actor = want.for_actor;
}

bool WorkerPoolCore::AssignIdle(Want& want, PoolEffects& effects) {
  auto idle = idle_.find(want.kind);
  if (idle == idle_.end()) return false;
  const ProcessId id = *idle->second.begin();
  idle->second.erase(idle->second.begin());
  if (idle->second.empty()) idle_.erase(idle);
  Serve(workers_.at(id), want);
  effects.assigns.push_back({want.lease, id});
  return true;
}

// Starts a worker for every want that has none under way.
void WorkerPoolCore::Pump(TimePoint now, PoolEffects& effects) {
  for (Want& want : wants_) {
    if (want.start) continue;
    if (starts_.size() >= options_.starts_max) break;
    const StartId id{next_start_++};
    want.start = id;
    starts_.emplace(id, Start{want.kind, now, false});
  }
  for (auto& [id, start] : starts_) {
    if (!start.sent) SendStart(id, start, now, effects);
  }
}

void WorkerPoolCore::SendStart(StartId id, Start& start, TimePoint now, PoolEffects& effects) {
  auto [it, absent] = zygotes_.try_emplace(start.kind.program_key);
  Zygote& zygote = it->second;
  zygote.last_used = now;
  if (absent) {
    zygote.since = now;
    effects.zygotes.push_back({start.kind.program_key});
    return;
  }
  if (zygote.state == ZygoteState::kStarting) return;
  start.sent = true;
  start.since = now;
  if (zygote.state == ZygoteState::kReady) {
    effects.forks.push_back({id, start.kind.program_key, start.kind.job});
  } else {
    effects.execs.push_back({id, start.kind.program_key, start.kind.job});
  }
}

void WorkerPoolCore::OnZygoteReady(const std::string& program_key, bool can_fork, TimePoint now,
                                   PoolEffects& effects) {
  auto it = zygotes_.find(program_key);
  if (it == zygotes_.end()) {
    effects.ended_zygotes.push_back({program_key});
    return;
  }
  if (it->second.state != ZygoteState::kStarting) return;
  it->second.state = can_fork ? ZygoteState::kReady : ZygoteState::kCannotFork;
  it->second.since = now;
  if (!can_fork) effects.ended_zygotes.push_back({program_key});
  Pump(now, effects);
}

void WorkerPoolCore::OnZygoteGone(const std::string& program_key, const std::string& reason,
                                  TimePoint now, PoolEffects& effects, ErrorCode code) {
  auto it = zygotes_.find(program_key);
  if (it == zygotes_.end() || it->second.state == ZygoteState::kCannotFork) return;
  zygotes_.erase(it);
  // Starts that it was told of may be alive, but their Forked answers are lost: begin again.
  std::vector<StartId> lost;
  for (const auto& [id, start] : starts_) {
    if (start.kind.program_key == program_key) lost.push_back(id);
  }
  for (StartId id : lost) OnStartFailed(id, reason, now, effects, code);
}

void WorkerPoolCore::OnHello(StartId start_id, ProcessId id, TimePoint now, PoolEffects& effects) {
  if (workers_.count(id) != 0) return;
  auto start = starts_.find(start_id);
  Worker worker;
  worker.idle_since = now;
  if (start == starts_.end()) {  // abandoned meanwhile
    worker.ending = true;
    workers_.emplace(id, std::move(worker));
    effects.ends.push_back({id, false, "its start was given up"});
    return;
  }
  worker.kind = start->second.kind;
  starts_.erase(start);
  // The want that this start was for may be served already: then the oldest of its kind.
  auto want = std::find_if(wants_.begin(), wants_.end(),
                           [&](const Want& w) { return w.start == start_id; });
  if (want == wants_.end()) {
    want = std::find_if(wants_.begin(), wants_.end(),
                        [&](const Want& w) { return w.kind == worker.kind; });
  }
  if (want == wants_.end()) {
    idle_[worker.kind].insert(id);
  } else {
    Serve(worker, *want);
    effects.assigns.push_back({want->lease, id});
    wants_.erase(want);
  }
  workers_.emplace(id, std::move(worker));
  Pump(now, effects);
}

void WorkerPoolCore::FailWant(std::deque<Want>::iterator want, PoolEffects& effects) {
  effects.failures.push_back(
      {want->lease, want->last_code, "no worker could be started: " + want->last_failure});
  wants_.erase(want);
}

void WorkerPoolCore::OnStartFailed(StartId id, const std::string& reason, TimePoint now,
                                   PoolEffects& effects, ErrorCode code) {
  if (starts_.erase(id) == 0) return;
  effects.abandons.push_back({id});
  auto want =
      std::find_if(wants_.begin(), wants_.end(), [&](const Want& w) { return w.start == id; });
  if (want != wants_.end()) {
    want->start = StartId{};
    want->last_code = code;
    want->last_failure = reason;
    if (++want->failed_starts >= kStartsMax) FailWant(want, effects);
  }
  Pump(now, effects);
}

void WorkerPoolCore::OnWantCancelled(LeaseId lease, PoolEffects& effects) {
  (void)effects;  // a start under way becomes an idle worker
  auto want =
      std::find_if(wants_.begin(), wants_.end(), [&](const Want& w) { return w.lease == lease; });
  if (want != wants_.end()) wants_.erase(want);
}

void WorkerPoolCore::OnWorkerGone(ProcessId id, TimePoint now, PoolEffects& effects) {
  auto it = workers_.find(id);
  if (it == workers_.end()) return;
  if (auto idle = idle_.find(it->second.kind); idle != idle_.end()) {
    idle->second.erase(id);
    if (idle->second.empty()) idle_.erase(idle);
  }
  workers_.erase(it);
  Pump(now, effects);
}

void WorkerPoolCore::End(ProcessId id, Worker& worker, bool gently, const std::string& reason,
                         PoolEffects& effects) {
  if (worker.ending) return;
  worker.ending = true;
  worker.lease = LeaseId{};
  if (auto idle = idle_.find(worker.kind); idle != idle_.end()) {
    idle->second.erase(id);
    if (idle->second.empty()) idle_.erase(idle);
  }
  effects.ends.push_back({id, gently, reason});
}

void WorkerPoolCore::OnReleased(ProcessId id, bool end, const std::string& reason, TimePoint now,
                                PoolEffects& effects) {
  auto it = workers_.find(id);
  if (it == workers_.end() || it->second.ending) return;
  Worker& worker = it->second;
  if (end || worker.for_actor || ended_jobs_.count(worker.kind.job) != 0) {
    End(id, worker, !end, reason, effects);
    return;
  }
  worker.lease = LeaseId{};
  worker.idle_since = now;
  auto want = std::find_if(wants_.begin(), wants_.end(),
                           [&](const Want& w) { return w.kind == worker.kind; });
  if (want == wants_.end()) {
    idle_[worker.kind].insert(id);
    return;
  }
  Serve(worker, *want);
  effects.assigns.push_back({want->lease, id});
  wants_.erase(want);  // the start under way for it becomes an idle worker
}

void WorkerPoolCore::OnJobEnded(JobId job, TimePoint now, PoolEffects& effects) {
  ended_jobs_.insert(job);
  for (auto want = wants_.begin(); want != wants_.end();) {
    if (want->kind.job == job) {
      effects.failures.push_back({want->lease, ErrorCode::kCancelled, "the job has ended"});
      want = wants_.erase(want);
    } else {
      ++want;
    }
  }
  for (auto start = starts_.begin(); start != starts_.end();) {
    if (start->second.kind.job == job) {
      effects.abandons.push_back({start->first});
      start = starts_.erase(start);
    } else {
      ++start;
    }
  }
  for (auto& [id, worker] : workers_) {
    if (worker.kind.job != job) continue;
    // An idle one that was asked to end may have stayed, for references that others hold.
    if (worker.ending) effects.ends.push_back({id, true, "its job has ended"});
    End(id, worker, true, "its job has ended", effects);
  }
  Pump(now, effects);
}

void WorkerPoolCore::OnTick(TimePoint now, PoolEffects& effects) {
  for (auto& [id, worker] : workers_) {
    const bool idle = !worker.lease && !worker.ending;
    if (idle && now - worker.idle_since >= options_.idle_for) {
      End(id, worker, true, kIdle, effects);
    }
  }
  std::vector<StartId> late;
  for (const auto& [id, start] : starts_) {
    if (start.sent && now - start.since >= options_.start_timeout) late.push_back(id);
  }
  for (StartId id : late) OnStartFailed(id, "it did not answer in time", now, effects);
  std::vector<std::string> gone;
  std::vector<std::string> unused;
  for (auto& [key, zygote] : zygotes_) {
    if (zygote.state == ZygoteState::kStarting) {
      if (now - zygote.since >= options_.zygote_timeout) gone.push_back(key);
      continue;
    }
    const bool used = std::any_of(workers_.begin(), workers_.end(), [&](const auto& worker) {
      return worker.second.kind.program_key == key && !worker.second.ending;
    });
    if (used) zygote.last_used = now;
    if (now - zygote.last_used >= options_.idle_for) unused.push_back(key);
  }
  for (const auto& key : unused) {
    if (zygotes_.at(key).state == ZygoteState::kReady) effects.ended_zygotes.push_back({key});
    zygotes_.erase(key);
  }
  for (const auto& key : gone) {
    effects.ended_zygotes.push_back({key});
    OnZygoteGone(key, "the program did not reach its worker mode in time", now, effects);
  }
}

const char* WorkerPoolCore::StateOf(ProcessId id) const {
  auto it = workers_.find(id);
  if (it == workers_.end()) return "";
  if (it->second.ending) return "ending";
  if (!it->second.lease) return "idle";
  return it->second.for_actor ? "actor" : "leased";
}

void WorkerPoolCore::CheckInvariants() const {
  RAYX_CHECK(starts_.size() <= options_.starts_max, "too many starts");
  std::set<LeaseId> leases;
  size_t idle = 0;
  for (const auto& [id, worker] : workers_) {
    if (worker.lease) {
      RAYX_CHECK(leases.insert(worker.lease).second, "two workers of one lease");
      RAYX_CHECK(!worker.ending, "an ending worker serves a lease");
    } else if (!worker.ending) {
      ++idle;
      auto it = idle_.find(worker.kind);
      RAYX_CHECK(it != idle_.end() && it->second.count(id) == 1, "an idle worker is lost");
    }
  }
  for (const auto& [kind, ids] : idle_) {
    RAYX_CHECK(!ids.empty(), "an empty set of idle workers");
    idle -= ids.size();
  }
  RAYX_CHECK(idle == 0, "idle workers miscounted");
  for (const Want& want : wants_) {
    RAYX_CHECK(leases.insert(want.lease).second, "a served lease still wants a worker");
    RAYX_CHECK(idle_.count(want.kind) == 0, "a want beside an idle worker of its kind");
    RAYX_CHECK(!want.start || starts_.count(want.start) == 1, "a want waits for a lost start");
  }
}

}  // namespace rayx::node
