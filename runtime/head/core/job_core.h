// runtime/head/core/job_core.h
//
// Which drivers are connected: one job each. Pure.
// Owner:    HeadCore.                       Threads: the head's loop only.
// Inputs:   registrations and ends, told by the driver's daemon; deaths of nodes.
// Promises: a registration is answered with one number however often it is repeated, also after its
//           end; a number is never reused; an ended job stays ended.
// Limits:   jobs_max running; the newest ended_jobs_kept ended ones are remembered.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "head/core/effects.h"
#include "model/ids.h"
#include "proto/head.pb.h"

namespace rayx::head {

struct JobOptions {
  size_t jobs_max = 10000;
  size_t ended_jobs_kept = 1000;
};

class JobCore {
 public:
  explicit JobCore(JobOptions options) : options_(options) {}

  proto::RegisterJobReply OnRegister(const proto::RegisterJobRequest& request, int64_t unix_ms,
                                     HeadEffects& effects);
  // True when it ran.
  bool OnFinish(model::JobId job, int64_t unix_ms, HeadEffects& effects);
  // The jobs whose drivers lived there.
  std::vector<model::JobId> OfNode(model::NodeNumber node) const;

  bool IsRunning(model::JobId job) const;
  // Of a job that runs or is remembered; "" otherwise.
  std::string NamespaceOf(model::JobId job) const;
  void FillJobs(google::protobuf::RepeatedPtrField<proto::JobInfo>& jobs) const;
  void CheckInvariants() const;

 private:
  struct Job {
    proto::JobInfo info;
    std::string registration;
    std::string name_space;
  };
  const JobOptions options_;
  std::map<model::JobId, Job> jobs_;
  std::map<std::string, model::JobId> by_registration_;
  std::deque<model::JobId> ended_;  // oldest first
  uint32_t next_job_ = 1;
};

}  // namespace rayx::head
