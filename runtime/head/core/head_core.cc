#include "head/core/head_core.h"

#include "absl/strings/str_cat.h"
#include "base/mark.h"
#include "head/core/errors.h"
#include "scheduling/wire.h"

namespace rayx::head {
namespace {

// Requests whose repetition would change something.
bool Changes(const proto::HeadRequest& request) {
  switch (request.call_case()) {
    case proto::HeadRequest::kKvPut:
    case proto::HeadRequest::kKvDelete:
    case proto::HeadRequest::kKvAdd:
    case proto::HeadRequest::kCreateActor:
    case proto::HeadRequest::kKillActor:
      return true;
    default:
      return false;
  }
}

bool NeedsJob(const proto::HeadRequest& request) {
  switch (request.call_case()) {
    case proto::HeadRequest::kKvPut:
    case proto::HeadRequest::kKvGet:
    case proto::HeadRequest::kKvWait:
    case proto::HeadRequest::kKvDelete:
    case proto::HeadRequest::kKvAdd:
    case proto::HeadRequest::kKvCount:
    case proto::HeadRequest::kCreateActor:
      return true;
    default:
      return false;
  }
}

}  // namespace

HeadCore::HeadCore(const HeadCoreOptions& options)
    : membership_(options.membership),
      jobs_(options.jobs),
      actors_(options.actors, membership_.view()),
      kv_(options.kv),
      replies_(options.replies) {}

proto::RegisterNodeReply HeadCore::OnRegisterNode(const proto::RegisterNodeRequest& request,
                                                  model::TimePoint now, HeadEffects& effects) {
  auto reply = membership_.OnRegister(request, now, effects);
  actors_.Place(now, effects);
  return reply;
}

proto::HeartbeatReply HeadCore::OnHeartbeat(const proto::HeartbeatRequest& request,
                                            model::TimePoint now, HeadEffects& effects) {
  auto reply = membership_.OnHeartbeat(request, now);
  for (const uint32_t job : request.jobs()) {
    if (!jobs_.IsRunning(model::JobId{job})) reply.add_ended_jobs(job);
  }
  actors_.OnHeartbeat(model::NodeNumber{request.node()});
  actors_.Place(now, effects);
  return reply;
}

void HeadCore::OnLeave(const proto::LeaveRequest& request, model::TimePoint now, int64_t unix_ms,
                       HeadEffects& effects) {
  const model::NodeNumber node{request.node()};
  const std::string reason =
      request.reason().empty() ? "it was stopped" : request.reason().substr(0, 1024);
  if (membership_.OnLeave(node, reason)) NodeDied(node, reason, now, unix_ms, effects);
}

void HeadCore::NodeDied(model::NodeNumber node, const std::string& reason, model::TimePoint now,
                        int64_t unix_ms, HeadEffects& effects) {
  effects.dead_nodes.push_back(node);
  for (const model::JobId job : jobs_.OfNode(node)) EndJob(job, now, unix_ms, effects);
  actors_.OnNodeDied(node, reason, now, effects);
  actors_.Place(now, effects);
}

proto::RegisterJobReply HeadCore::OnRegisterJob(const proto::RegisterJobRequest& request,
                                                int64_t unix_ms, HeadEffects& effects) {
  const model::NodeNumber node = model::ProcessId{request.driver()}.node();
  if (!membership_.IsAlive(node)) {
    proto::RegisterJobReply reply;
    *reply.mutable_error() = MakeError(
        ErrorCode::kNodeDied,
        absl::StrCat("registration of a job: its node ", ToString(node), " is not in the cluster"));
    return reply;
  }
  return jobs_.OnRegister(request, unix_ms, effects);
}

void HeadCore::OnFinishJob(const proto::FinishJobRequest& request, model::TimePoint now,
                           int64_t unix_ms, HeadEffects& effects) {
  EndJob(model::JobId{request.job()}, now, unix_ms, effects);
}

void HeadCore::EndJob(model::JobId job, model::TimePoint now, int64_t unix_ms,
                      HeadEffects& effects) {
  const model::JobId root = jobs_.RootOf(job);
  if (!jobs_.OnFinish(job, unix_ms, effects)) return;
  actors_.OnJobEnded(job, now, effects);
  if (!jobs_.IsRootInUse(root)) kv_.OnJobEnded(root, effects);
  actors_.Place(now, effects);
}

// A detached actor belongs to a job that does not end with the creator's.
void HeadCore::CreateActor(const proto::HeadRequest& request, model::TimePoint now,
                           HeadEffects& effects, proto::HeadResponse& response) {
  const proto::ActorSpec& spec = request.create_actor().spec();
  model::JobId job{request.job()};
  const std::string job_namespace = jobs_.NamespaceOf(job);
  if (spec.detached() && !actors_.Knows(scheduling::FromWire(spec.id()))) {
    job = jobs_.OnDetach(job, unix_ms_, effects);
    if (!job) {
      *response.mutable_error() = MakeError(
          ErrorCode::kOutOfMemory, "creation of a detached actor: the cluster runs too many jobs");
      return;
    }
  }
  actors_.OnCreate(request.create_actor(), job, job_namespace, now, effects, response);
}

void HeadCore::OnReportActor(const proto::ActorReport& report, model::TimePoint now,
                             HeadEffects& effects) {
  actors_.OnReport(report, now, effects);
  actors_.Place(now, effects);
}

void HeadCore::OnStartAnswered(model::ActorId id, uint32_t incarnation,
                               const proto::ErrorInfo& error, bool definite, model::TimePoint now,
                               HeadEffects& effects) {
  actors_.OnStartAnswered(id, incarnation, error, definite, now, effects);
}

void HeadCore::OnCall(const proto::HeadRequest& request, ReplyTo to, model::TimePoint now,
                      HeadEffects& effects) {
  const proto::HeadResponse* given =
      Changes(request) ? replies_.Find(request.process(), request.request_id()) : nullptr;
  if (given != nullptr) {
    RAYX_MARK("change repeated");
    effects.replies.push_back({to, *given});
    return;
  }
  proto::HeadResponse response;
  response.set_request_id(request.request_id());
  const model::JobId job{request.job()};
  if (NeedsJob(request) && !jobs_.IsRunning(job)) {
    *response.mutable_error() =
        MakeError(ErrorCode::kCancelled, absl::StrCat("job ", ToString(job), " has ended"));
  } else if (!Dispatch(request, to, now, effects, response)) {
    return;
  }
  if (Changes(request)) replies_.Remember(request.process(), request.request_id(), response);
  effects.replies.push_back({to, std::move(response)});
}

bool HeadCore::Dispatch(const proto::HeadRequest& request, ReplyTo to, model::TimePoint now,
                        HeadEffects& effects, proto::HeadResponse& response) {
  const model::JobId job{request.job()};
  switch (request.call_case()) {
    case proto::HeadRequest::kCreateActor:
      CreateActor(request, now, effects, response);
      return true;
    case proto::HeadRequest::kWatchActor:
      return actors_.OnWatch(request.watch_actor(), request.request_id(), to, now, response);
    case proto::HeadRequest::kFindActor:
      actors_.OnFind(request.find_actor(), jobs_.NamespaceOf(job), response);
      return true;
    case proto::HeadRequest::kKillActor:
      actors_.OnKill(request.kill_actor(), now, effects, response);
      return true;
    case proto::HeadRequest::kListNodes:
      membership_.FillNodes(*response.mutable_list_nodes()->mutable_nodes());
      response.mutable_list_nodes()->set_membership_version(membership_.version());
      return true;
    case proto::HeadRequest::kListJobs:
      response.mutable_list_jobs()->set_more(
          jobs_.FillJobs(model::JobId{request.list_jobs().after()}, request.list_jobs().bytes_max(),
                         *response.mutable_list_jobs()->mutable_jobs()));
      return true;
    case proto::HeadRequest::kListActors:
      response.mutable_list_actors()->set_more(actors_.FillActorsAfter(
          scheduling::FromWire(request.list_actors().after()), request.list_actors().bytes_max(),
          *response.mutable_list_actors()->mutable_actors()));
      return true;
    case proto::HeadRequest::CALL_NOT_SET:
      *response.mutable_error() =
          MakeError(ErrorCode::kVersionMismatch, "the head does not know this request");
      return true;
    default:
      return DispatchKv(request, to, now, effects, response);
  }
}

bool HeadCore::DispatchKv(const proto::HeadRequest& request, ReplyTo to, model::TimePoint now,
                          HeadEffects& effects, proto::HeadResponse& response) {
  const model::JobId job = jobs_.RootOf(model::JobId{request.job()});
  switch (request.call_case()) {
    case proto::HeadRequest::kKvPut:
      kv_.OnPut(job, request.kv_put(), effects, response);
      return true;
    case proto::HeadRequest::kKvGet:
      kv_.OnGet(job, request.kv_get(), response);
      return true;
    case proto::HeadRequest::kKvDelete:
      kv_.OnDelete(job, request.kv_delete(), effects, response);
      return true;
    case proto::HeadRequest::kKvAdd:
      kv_.OnAdd(job, request.kv_add(), effects, response);
      return true;
    case proto::HeadRequest::kKvWait:
      return kv_.OnWait(job, request.kv_wait(), request.request_id(), to, now, response);
    default:
      kv_.OnCount(job, response);
      return true;
  }
}

proto::StatusReply HeadCore::OnStatus() const {
  proto::StatusReply reply;
  membership_.FillNodes(*reply.mutable_nodes());
  jobs_.FillJobs({}, 0, *reply.mutable_jobs());
  actors_.FillActors(*reply.mutable_actors());
  reply.set_membership_version(membership_.version());
  return reply;
}

void HeadCore::OnStop(HeadEffects& effects) {
  for (const model::NodeNumber node : membership_.Alive()) effects.nodes_to_stop.push_back(node);
}

void HeadCore::OnTick(model::TimePoint now, int64_t unix_ms, HeadEffects& effects) {
  unix_ms_ = unix_ms;
  for (const model::NodeNumber node : membership_.OnTick(now)) {
    NodeDied(node, membership_.view().Find(node)->death_reason, now, unix_ms, effects);
  }
  actors_.OnTick(now, effects);
  kv_.OnTick(now, effects);
  for (const model::JobId job : jobs_.OfDetached()) {
    if (!actors_.HasDetached(job)) EndJob(job, now, unix_ms, effects);
  }
}

void HeadCore::CheckInvariants() const {
  membership_.CheckInvariants();
  jobs_.CheckInvariants();
  actors_.CheckInvariants();
  kv_.CheckInvariants();
  replies_.CheckInvariants();
}

}  // namespace rayx::head
