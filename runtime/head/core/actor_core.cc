#include "head/core/actor_core.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mark.h"
#include "head/core/errors.h"
#include "scheduling/wire.h"

namespace rayx::head {
namespace {

using model::ActorId;

constexpr size_t kNameBytesMax = 256;
constexpr size_t kListedTextBytesMax = 1024;

std::string RowKey(ActorId id) {
  return absl::StrCat(id.creator.value, ".", id.sequence);
}

bool IsDead(const proto::ActorView& view) {
  return view.state() == proto::ACTOR_DEAD;
}

// Causes that a new start would only repeat, and ends that were meant.
bool IsFinal(const proto::ErrorInfo& cause) {
  if (cause.meant()) return true;
  switch (static_cast<ErrorCode>(cause.code())) {
    case ErrorCode::kTaskError:  // its constructor threw
    case ErrorCode::kCancelled:
    case ErrorCode::kInfeasible:
    case ErrorCode::kInvalidOption:
    case ErrorCode::kUnknownFunction:
    case ErrorCode::kMissingLibrary:
    case ErrorCode::kLibraryMismatch:
    case ErrorCode::kSerializationError:
    case ErrorCode::kVersionMismatch:
      return true;
    default:
      return false;
  }
}

std::string Describe(const proto::ActorView& view) {
  return absl::StrCat("actor ", view.class_name(), view.name().empty() ? "" : " \"", view.name(),
                      view.name().empty() ? "" : "\"");
}

// What follows the end of an incarnation.
void AddToCause(const std::string& what, proto::ErrorInfo& cause) {
  cause.set_message(absl::StrCat(cause.message(), cause.message().empty() ? "" : "; ", what));
}

// In front of the death that it is restarted after, if any.
void SetWait(const std::string& wait, proto::ErrorInfo& cause) {
  if (wait.empty()) return;
  cause.set_message(cause.message().empty() ? wait
                                            : absl::StrCat(wait, "; before: ", cause.message()));
}

}  // namespace

proto::ErrorInfo ActorCore::Check(const proto::ActorSpec& spec) const {
  const auto refuse = [](auto... why) {
    return MakeError(ErrorCode::kInvalidOption, absl::StrCat("creation of an actor: ", why...));
  };
  if (spec.id().creator() == 0 || spec.id().sequence() == 0) return refuse("it has no id");
  if (spec.name().size() > kNameBytesMax || spec.class_name().size() > 4 * kNameBytesMax) {
    return refuse("its name has ", spec.name().size(), " bytes; at most ", kNameBytesMax,
                  " are allowed");
  }
  if (spec.name_space().size() > kNameBytesMax) {
    return refuse("its namespace has ", spec.name_space().size(), " bytes; at most ", kNameBytesMax,
                  " are allowed");
  }
  if (spec.detached() && spec.name().empty()) {
    return refuse("a detached one needs a name, or nobody finds it");
  }
  if (spec.max_restarts() < -1) {
    return refuse("max_restarts is ", spec.max_restarts(), "; expected -1 (no limit) or more");
  }
  const size_t bytes = spec.ByteSizeLong();
  if (bytes > options_.spec_bytes_max) {
    return refuse("its arguments and program have ", bytes, " bytes; at most ",
                  options_.spec_bytes_max, " are allowed (pass larger ones as objects)");
  }
  if (specs_bytes_ + bytes > options_.specs_bytes_max ||
      actors_.size() - dead_.size() >= options_.actors_max) {
    return MakeError(ErrorCode::kOutOfMemory, "the head holds as many actors as it can");
  }
  return {};
}

void ActorCore::OnCreate(const proto::CreateActor& create, model::JobId job,
                         const std::string& job_namespace, model::TimePoint now,
                         HeadEffects& effects, proto::HeadResponse& response) {
  const proto::ActorSpec& spec = create.spec();
  const ActorId id = scheduling::FromWire(spec.id());
  if (actors_.count(id) != 0) {
    RAYX_MARK("actor creation repeated");
    response.mutable_create_actor();
    return;
  }
  if (auto error = Check(spec); error.code() != 0) {
    *response.mutable_error() = std::move(error);
    return;
  }
  scheduling::PlacementRequest placement;
  const auto at_least = scheduling::FromWire(spec.placement().resources());
  const auto lifetime = scheduling::FromWire(spec.lifetime_resources());
  const auto strategy = scheduling::FromWire(spec.placement().strategy());
  for (const base::Status& status : {at_least.status(), lifetime.status(), strategy.status()}) {
    if (status.ok()) continue;
    *response.mutable_error() = MakeError(ErrorCode::kInvalidOption,
                                          absl::StrCat("creation of an actor: ", status.message()));
    return;
  }
  placement.demand = *lifetime;
  placement.total_at_least = *at_least;
  placement.strategy = *strategy;
  placement.local = id.creator.node();
  const std::string& name_space = spec.name_space().empty() ? job_namespace : spec.name_space();
  if (!spec.name().empty() && !names_.emplace(std::pair(name_space, spec.name()), id).second) {
    *response.mutable_error() =
        MakeError(ErrorCode::kNameTaken,
                  absl::StrCat("an actor named \"", spec.name(),
                               "\" lives already in the namespace \"", name_space, "\""));
    return;
  }
  Actor& actor = actors_[id];
  actor.spec = spec;
  actor.spec.set_job(job.value);
  actor.spec.set_job_namespace(job_namespace);
  actor.placement = std::move(placement);
  actor.placement_key = absl::StrCat(spec.placement().SerializeAsString(), "|",
                                     spec.lifetime_resources().SerializeAsString());
  actor.waiting_since = now;
  actor.not_before = now;
  specs_bytes_ += actor.spec.ByteSizeLong();
  *actor.view.mutable_id() = spec.id();
  actor.view.set_state(proto::ACTOR_PENDING);
  actor.view.set_incarnation(1);
  actor.view.set_name(spec.name());
  actor.view.set_name_space(name_space);
  actor.view.set_detached(spec.detached());
  if (spec.detached()) ++detached_[job];
  actor.view.set_class_name(spec.class_name());
  actor.view.set_job(job.value);
  waiting_.insert(id);
  if (const auto early = watchers_of_unknown_.find(id); early != watchers_of_unknown_.end()) {
    actor.watchers = std::move(early->second);
    watchers_of_unknown_.erase(early);
  }
  effects.persists.push_back({Table::kActor, RowKey(id), actor.spec.SerializeAsString()});
  Changed(actor, effects);
  response.mutable_create_actor();
  TryPlace(id, actor, now, effects);
}

// A change of the view: a new version, and everybody who waits for one is answered.
void ActorCore::Changed(Actor& actor, HeadEffects& effects) {
  actor.view.set_version(actor.view.version() + 1);
  const std::set<ReplyTo> watchers = std::move(actor.watchers);
  actor.watchers.clear();
  for (const ReplyTo to : watchers) AnswerWatch(to, &actor.view, effects);
}

void ActorCore::AnswerWatch(ReplyTo to, const proto::ActorView* view, HeadEffects& effects) {
  const auto found = watchers_.find(to);
  CallReply& reply = effects.replies.emplace_back();
  reply.to = to;
  reply.response.set_request_id(found->second.request_id);
  if (view != nullptr) {
    *reply.response.mutable_watch_actor() = *view;
  } else {
    *reply.response.mutable_error() = MakeError(
        ErrorCode::kActorDied, absl::StrCat("actor ", ToString(found->second.actor),
                                            " is not known: it never was, or died long ago"));
  }
  watch_deadlines_.erase({found->second.deadline, to});
  watchers_.erase(found);
}

bool ActorCore::OnWatch(const proto::WatchActor& watch, uint64_t request_id, ReplyTo to,
                        model::TimePoint now, proto::HeadResponse& response) {
  const ActorId id = scheduling::FromWire(watch.id());
  const auto found = actors_.find(id);
  const bool known = found != actors_.end();
  if (known && (found->second.view.version() > watch.known_version() ||
                IsDead(found->second.view) || watch.timeout_ms() == 0)) {
    *response.mutable_watch_actor() = found->second.view;
    return true;
  }
  if (watchers_.size() >= options_.watchers_max) {
    *response.mutable_error() =
        MakeError(ErrorCode::kHeadUnavailable, "too many calls wait at the head");
    return true;
  }
  // An id that is not known may be of a creation that is still on its way.
  const auto wait =
      std::min<model::Duration>(std::chrono::milliseconds(watch.timeout_ms()), options_.watch_max);
  watchers_[to] = Watcher{id, request_id, now + wait};
  watch_deadlines_.insert({now + wait, to});
  (known ? found->second.watchers : watchers_of_unknown_[id]).insert(to);
  return false;
}

void ActorCore::OnFind(const proto::FindActor& find, const std::string& job_namespace,
                       proto::HeadResponse& response) const {
  auto& reply = *response.mutable_find_actor();
  const auto found =
      names_.find({find.name_space().empty() ? job_namespace : find.name_space(), find.name()});
  reply.set_found(found != names_.end());
  if (found != names_.end()) *reply.mutable_actor() = actors_.at(found->second).view;
}

void ActorCore::OnKill(const proto::KillActor& kill, model::TimePoint now, HeadEffects& effects,
                       proto::HeadResponse& response) {
  const ActorId id = scheduling::FromWire(kill.id());
  const auto found = actors_.find(id);
  response.mutable_kill_actor()->set_existed(found != actors_.end() && !IsDead(found->second.view));
  if (!response.kill_actor().existed()) return;
  Actor& actor = found->second;
  const std::string reason =
      absl::StrCat(Describe(actor.view), " was killed", kill.reason().empty() ? "" : ": ",
                   kill.reason().substr(0, 1024));
  StopWhereItIs(id, actor, reason, effects);
  proto::ErrorInfo cause = MakeError(ErrorCode::kActorDied, reason);
  if (kill.no_restart()) {
    Bury(id, actor, std::move(cause), effects);
  } else {
    ForgetFailuresIfHealthy(actor, now);
    RestartOrBury(id, actor, std::move(cause), model::Duration::zero(), now, effects);
  }
}

void ActorCore::StopWhereItIs(ActorId id, const Actor& actor, const std::string& reason,
                              HeadEffects& effects) const {
  if (!actor.node) return;
  StopActor& stop = effects.stops.emplace_back();
  stop.node = actor.node;
  stop.id = scheduling::ToWire(id);
  stop.incarnation = actor.view.incarnation();
  stop.reason = reason;
}

void ActorCore::OnDeath(ActorId id, Actor& actor, proto::ErrorInfo cause, model::TimePoint now,
                        HeadEffects& effects) {
  ForgetFailuresIfHealthy(actor, now);
  const int doublings = static_cast<int>(std::min<uint32_t>(actor.failures++, 16));
  const model::Duration delay =
      std::min(options_.restart_delay_max, options_.restart_delay * (int64_t{1} << doublings));
  RestartOrBury(id, actor, std::move(cause), delay, now, effects);
}

void ActorCore::ForgetFailuresIfHealthy(Actor& actor, model::TimePoint now) {
  if (actor.view.state() != proto::ACTOR_ALIVE) return;
  if (now - actor.alive_since < options_.healthy_after) return;
  RAYX_MARK("a healthy actor ended");
  actor.failures = 0;
}

// The next incarnation, if there may be one, waits for a place.
void ActorCore::RestartOrBury(ActorId id, Actor& actor, proto::ErrorInfo cause,
                              model::Duration delay, model::TimePoint now, HeadEffects& effects) {
  const int32_t limit = actor.spec.max_restarts();
  const bool left = limit < 0 || actor.restarts < static_cast<uint32_t>(limit);
  if (IsFinal(cause)) return Bury(id, actor, std::move(cause), effects);
  if (!left) {
    AddToCause(absl::StrCat("no restart is left (SetMaxRestarts(", limit, "))"), cause);
    return Bury(id, actor, std::move(cause), effects);
  }
  ++actor.restarts;
  AddToCause(absl::StrCat("restart ", actor.restarts,
                          limit < 0 ? std::string() : absl::StrCat(" of ", limit), " follows"),
             cause);
  if (actor.view.state() == proto::ACTOR_ALIVE) actor.view.set_state(proto::ACTOR_RESTARTING);
  *actor.view.mutable_cause() = std::move(cause);
  WaitForPlace(id, actor, delay, now);
  Changed(actor, effects);
}

void ActorCore::WaitForPlace(ActorId id, Actor& actor, model::Duration delay,
                             model::TimePoint now) {
  actor.view.set_incarnation(actor.view.incarnation() + 1);
  actor.view.set_process(0);
  actor.view.set_node(0);
  actor.view.set_pid(0);
  actor.node = {};
  starting_.erase(id);
  actor.not_before = now + delay;
  actor.waiting_since = now + delay;
  waiting_.insert(id);
}

void ActorCore::Bury(ActorId id, Actor& actor, proto::ErrorInfo cause, HeadEffects& effects) {
  actor.view.set_state(proto::ACTOR_DEAD);
  actor.view.set_process(0);
  *actor.view.mutable_cause() = std::move(cause);
  actor.node = {};
  waiting_.erase(id);
  starting_.erase(id);
  if (!actor.spec.name().empty()) names_.erase({actor.view.name_space(), actor.spec.name()});
  if (actor.spec.detached()) {
    const auto of_job = detached_.find(model::JobId{actor.spec.job()});
    if (--of_job->second == 0) detached_.erase(of_job);
  }
  specs_bytes_ -= actor.spec.ByteSizeLong();
  actor.spec.clear_creation_frame();
  actor.spec.clear_program();
  effects.persists.push_back({Table::kActor, RowKey(id), std::nullopt});
  dead_.push_back(id);
  Changed(actor, effects);
  ForgetOldDead();
}

void ActorCore::ForgetOldDead() {
  while (dead_.size() > options_.dead_kept) {
    actors_.erase(dead_.front());  // a dead actor has no watchers: they were answered at its death
    dead_.pop_front();
  }
}

bool ActorCore::TryPlace(ActorId id, Actor& actor, model::TimePoint now, HeadEffects& effects) {
  if (now < actor.not_before) return true;
  const auto place = scheduling::PickNode(view_, actor.placement, spread_cursor_);
  switch (place.kind) {
    case scheduling::Placement::Kind::kNode:
      actor.node = place.node;
      actor.view.set_node(place.node.value);
      waiting_.erase(id);
      view_.Reserve(place.node, actor.placement.demand);
      starting_[id] = Start{};
      effects.starts.push_back({place.node, actor.spec, actor.view.incarnation()});
      break;
    case scheduling::Placement::Kind::kWait:
      actor.waiting_since = now;
      return false;
    case scheduling::Placement::Kind::kInfeasible:
      if (actor.spec.placement().wait_if_infeasible()) break;
      if (now - actor.waiting_since < options_.infeasible_after) break;
      Bury(id, actor,
           MakeError(ErrorCode::kInfeasible,
                     absl::StrCat(Describe(actor.view), " cannot be placed: ", place.reason)),
           effects);
      break;
  }
  return true;
}

void ActorCore::Place(model::TimePoint now, HeadEffects& effects) {
  const std::set<ActorId> waiting = waiting_;  // TryPlace changes it
  std::set<std::string> without_room;          // thousands may wait for the same
  for (const ActorId id : waiting) {
    Actor& actor = actors_.at(id);
    if (without_room.count(actor.placement_key) != 0) {
      actor.waiting_since = now;
    } else if (!TryPlace(id, actor, now, effects)) {
      without_room.insert(actor.placement_key);
    }
  }
}

// What a node says to have may be from before it heard of a start: until the first word after its
// acknowledgement the start counts as not yet subtracted.
void ActorCore::OnHeartbeat(model::NodeNumber node) {
  for (auto it = starting_.begin(); it != starting_.end();) {
    const Actor& actor = actors_.at(it->first);
    const bool here = actor.node == node;
    if (here) view_.Reserve(node, actor.placement.demand);
    it = here && it->second.acknowledged ? starting_.erase(it) : std::next(it);
  }
}

void ActorCore::OnStartAnswered(ActorId id, uint32_t incarnation, const proto::ErrorInfo& error,
                                bool definite, model::TimePoint now, HeadEffects& effects) {
  const auto found = actors_.find(id);
  if (found == actors_.end()) return;
  Actor& actor = found->second;
  if (error.code() == 0) {
    const auto start = starting_.find(id);
    if (start != starting_.end() && actor.view.incarnation() == incarnation) {
      start->second.acknowledged = true;
    }
    return;
  }
  if (!actor.node || actor.view.incarnation() != incarnation ||
      actor.view.state() == proto::ACTOR_ALIVE || IsDead(actor.view)) {
    RAYX_MARK("start answered late");
    return;
  }
  if (definite && IsFinal(error) && error.code() != static_cast<int>(ErrorCode::kInfeasible)) {
    return Bury(id, actor, error, effects);
  }
  // It may run there although the answer was lost: that incarnation must not go on.
  if (!definite) StopWhereItIs(id, actor, "its start was not acknowledged", effects);
  WaitForPlace(id, actor, options_.restart_delay, now);
  Changed(actor, effects);
}

void ActorCore::OnReport(const proto::ActorReport& report, model::TimePoint now,
                         HeadEffects& effects) {
  const ActorId id = scheduling::FromWire(report.id());
  const model::ProcessId process{report.process()};
  const auto found = actors_.find(id);
  const bool current = found != actors_.end() && found->second.node &&
                       found->second.view.incarnation() == report.incarnation() &&
                       (report.process() == 0 || process.node() == found->second.node);
  if (!current) {
    RAYX_MARK("report of a superseded incarnation");
    if (report.state() != proto::ACTOR_ALIVE || !process) return;
    StopActor& stop = effects.stops.emplace_back();
    stop.node = process.node();
    stop.id = report.id();
    stop.incarnation = report.incarnation();
    stop.reason = "superseded";
    return;
  }
  Actor& actor = found->second;
  if (report.state() == proto::ACTOR_DEAD) {
    proto::ErrorInfo cause = report.cause();
    if (cause.code() == 0) {
      cause = MakeError(ErrorCode::kActorDied, absl::StrCat(Describe(actor.view), " ended"));
    }
    OnDeath(id, actor, std::move(cause), now, effects);
    return;
  }
  if (actor.view.state() == proto::ACTOR_ALIVE) return;
  if (report.state() == proto::ACTOR_PENDING) {
    RAYX_MARK("no room where it was placed");
    // Its word is newer than the view: nothing more goes there until its next heartbeat.
    if (const scheduling::NodeView* node = view_.Find(actor.node)) {
      const model::ResourceSet all = node->available;
      view_.Reserve(actor.node, all);
    }
    WaitForPlace(id, actor, options_.restart_delay, now);
    Changed(actor, effects);
    return;
  }
  if (report.state() != proto::ACTOR_ALIVE || !process) return;
  starting_.erase(id);
  actor.view.set_state(proto::ACTOR_ALIVE);
  actor.alive_since = now;
  actor.view.set_process(report.process());
  actor.view.set_pid(report.pid());
  actor.view.clear_cause();
  Changed(actor, effects);
}

void ActorCore::OnNodeDied(model::NodeNumber node, const std::string& reason, model::TimePoint now,
                           HeadEffects& effects) {
  std::vector<ActorId> there;
  for (const auto& [id, actor] : actors_) {
    if (actor.node == node) there.push_back(id);
  }
  for (const ActorId id : there) {
    Actor& actor = actors_.at(id);
    proto::ErrorInfo cause =
        MakeError(ErrorCode::kNodeDied, absl::StrCat(Describe(actor.view), " was on node ",
                                                     ToString(node), ", which died: ", reason));
    cause.set_node(node.value);
    OnDeath(id, actor, std::move(cause), now, effects);
  }
}

void ActorCore::OnJobEnded(model::JobId job, model::TimePoint, HeadEffects& effects) {
  std::vector<ActorId> ended;
  for (const auto& [id, actor] : actors_) {
    if (!IsDead(actor.view) && !actor.spec.detached() && actor.spec.job() == job.value) {
      ended.push_back(id);
    }
  }
  for (const ActorId id : ended) {
    Actor& actor = actors_.at(id);
    const std::string reason = absl::StrCat(Describe(actor.view), " ended with its job");
    StopWhereItIs(id, actor, reason, effects);
    Bury(id, actor, MakeError(ErrorCode::kActorDied, reason), effects);
  }
}

void ActorCore::OnTick(model::TimePoint now, HeadEffects& effects) {
  Place(now, effects);
  while (!watch_deadlines_.empty() && watch_deadlines_.begin()->first <= now) {
    const ReplyTo to = watch_deadlines_.begin()->second;
    const ActorId id = watchers_.at(to).actor;
    if (const auto found = actors_.find(id); found != actors_.end()) {
      found->second.watchers.erase(to);
      AnswerWatch(to, &found->second.view, effects);
      continue;
    }
    const auto unknown = watchers_of_unknown_.find(id);
    unknown->second.erase(to);
    if (unknown->second.empty()) watchers_of_unknown_.erase(unknown);
    AnswerWatch(to, nullptr, effects);
  }
}

void ActorCore::FillActor(ActorId id, const Actor& actor, std::map<std::string, std::string>& waits,
                          size_t& bytes, proto::ActorView& view) const {
  view = actor.view;
  if (waiting_.count(id) != 0) {
    const auto [wait, is_new] = waits.try_emplace(actor.placement_key);
    if (is_new) wait->second = scheduling::WhyWaiting(view_, actor.placement);
    SetWait(wait->second, *view.mutable_cause());
  }
  view.mutable_cause()->clear_log_lines();
  for (std::string* text :
       {view.mutable_cause()->mutable_message(), view.mutable_cause()->mutable_what()}) {
    if (text->size() > kListedTextBytesMax) text->resize(kListedTextBytesMax);
  }
  if (view.cause().ByteSizeLong() == 0) view.clear_cause();
  bytes += view.ByteSizeLong() + 8;
}

void ActorCore::FillActors(google::protobuf::RepeatedPtrField<proto::ActorView>& actors) const {
  // The living first. One message holds 8 MiB and has to hold nodes and jobs beside these.
  size_t bytes = 0;
  std::map<std::string, std::string> waits;  // thousands may wait for the same
  for (const bool dead : {false, true}) {
    for (const auto& [id, actor] : actors_) {
      if (IsDead(actor.view) != dead) continue;
      if (bytes >= options_.list_bytes_max) return;
      FillActor(id, actor, waits, bytes, *actors.Add());
    }
  }
}

bool ActorCore::FillActorsAfter(
    ActorId after, size_t bytes_max,
    google::protobuf::RepeatedPtrField<proto::ActorView>& actors) const {
  const size_t most =
      bytes_max == 0 ? options_.list_bytes_max : std::min(bytes_max, options_.list_bytes_max);
  size_t bytes = 0;
  std::map<std::string, std::string> waits;
  for (auto it = actors_.upper_bound(after); it != actors_.end(); ++it) {
    if (bytes >= most) return true;
    FillActor(it->first, it->second, waits, bytes, *actors.Add());
  }
  return false;
}

void ActorCore::CheckInvariants() const {
  size_t bytes = 0;
  size_t dead = 0;
  size_t named = 0;
  size_t watching = 0;
  std::map<model::JobId, size_t> detached;
  for (const auto& [id, actor] : actors_) {
    watching += actor.watchers.size();
    if (IsDead(actor.view)) {
      ++dead;
      RAYX_CHECK(!actor.node && waiting_.count(id) == 0 && actor.watchers.empty());
      continue;
    }
    bytes += actor.spec.ByteSizeLong();
    RAYX_CHECK((waiting_.count(id) == 1) == !actor.node, "an actor is placed or waits for it");
    RAYX_CHECK(starting_.count(id) == 0 || actor.node, "a start without a node");
    RAYX_CHECK(actor.view.state() != proto::ACTOR_ALIVE || actor.view.process() != 0);
    RAYX_CHECK(actor.spec.max_restarts() < 0 ||
               actor.restarts <= static_cast<uint32_t>(actor.spec.max_restarts()));
    if (actor.spec.detached()) ++detached[model::JobId{actor.spec.job()}];
    if (actor.spec.name().empty()) continue;
    ++named;
    RAYX_CHECK(names_.at({actor.view.name_space(), actor.spec.name()}) == id);
  }
  for (const auto& [id, waiting] : watchers_of_unknown_) {
    RAYX_CHECK(!waiting.empty() && actors_.count(id) == 0);
    watching += waiting.size();
  }
  for (const auto& [id, start] : starting_) RAYX_CHECK(actors_.count(id) == 1);
  RAYX_CHECK(bytes == specs_bytes_);
  RAYX_CHECK(dead == dead_.size());
  RAYX_CHECK(named == names_.size());
  RAYX_CHECK(detached == detached_, "detached actors miscounted");
  RAYX_CHECK(watching == watchers_.size() && watching == watch_deadlines_.size());
}

}  // namespace rayx::head
