// runtime/head/core/head_core.h
//
// The head's decisions: membership, jobs, actors, key-value, put together. Pure: no clock, no I/O,
// no locks.
// Owner:    HeadServer, one a cluster.
// Threads:  the head's loop only.
// Inputs:   On*() calls, each with `now`; `unix_ms` is wall time for people.
// Outputs:  the answer as return value (of calls that wait: later, in effects.replies) and
//           HeadEffects, run in order by the shell.
// Promises: every request may be repeated in every phase and is answered the same way; a step's
//           effects are complete when it returns.
// Limits:   those of its parts.
#pragma once

#include <cstdint>
#include <string>

#include "head/core/actor_core.h"
#include "head/core/effects.h"
#include "head/core/job_core.h"
#include "head/core/kv_core.h"
#include "head/core/membership_core.h"
#include "head/core/reply_cache.h"
#include "model/time.h"
#include "proto/head.pb.h"

namespace rayx::head {

struct HeadCoreOptions {
  MembershipOptions membership;
  JobOptions jobs;
  ActorOptions actors;
  KvOptions kv;
  ReplyCacheOptions replies;
};

class HeadCore {
 public:
  explicit HeadCore(const HeadCoreOptions& options);

  proto::RegisterNodeReply OnRegisterNode(const proto::RegisterNodeRequest& request,
                                          model::TimePoint now, HeadEffects& effects);
  proto::HeartbeatReply OnHeartbeat(const proto::HeartbeatRequest& request, model::TimePoint now,
                                    HeadEffects& effects);
  void OnLeave(const proto::LeaveRequest& request, model::TimePoint now, int64_t unix_ms,
               HeadEffects& effects);
  proto::RegisterJobReply OnRegisterJob(const proto::RegisterJobRequest& request, int64_t unix_ms,
                                        HeadEffects& effects);
  void OnFinishJob(const proto::FinishJobRequest& request, model::TimePoint now, int64_t unix_ms,
                   HeadEffects& effects);
  void OnReportActor(const proto::ActorReport& report, model::TimePoint now, HeadEffects& effects);
  void OnStartAnswered(model::ActorId id, uint32_t incarnation, const proto::ErrorInfo& error,
                       bool definite, model::TimePoint now, HeadEffects& effects);
  // Answered in effects.replies, in this step or a later one.
  void OnCall(const proto::HeadRequest& request, ReplyTo to, model::TimePoint now,
              HeadEffects& effects);
  // Nodes, jobs, actors and version; the rest is the shell's.
  proto::StatusReply OnStatus() const;
  // The cluster ends: every live node is told to.
  void OnStop(HeadEffects& effects);
  void OnTick(model::TimePoint now, int64_t unix_ms, HeadEffects& effects);

  void CheckInvariants() const;

 private:
  bool Dispatch(const proto::HeadRequest& request, ReplyTo to, model::TimePoint now,
                HeadEffects& effects, proto::HeadResponse& response);
  bool DispatchKv(const proto::HeadRequest& request, ReplyTo to, model::TimePoint now,
                  HeadEffects& effects, proto::HeadResponse& response);
  void NodeDied(model::NodeNumber node, const std::string& reason, model::TimePoint now,
                int64_t unix_ms, HeadEffects& effects);
  void EndJob(model::JobId job, model::TimePoint now, int64_t unix_ms, HeadEffects& effects);
  void CreateActor(const proto::HeadRequest& request, model::TimePoint now, HeadEffects& effects,
                   proto::HeadResponse& response);

  MembershipCore membership_;
  JobCore jobs_;
  ActorCore actors_;
  KvCore kv_;
  ReplyCache replies_;
  int64_t unix_ms_ = 0;  // of the last tick
};

}  // namespace rayx::head
