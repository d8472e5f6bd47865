// runtime/head/core/job_core.h
//
// Which drivers are connected: one job each; and the jobs of their detached actors. Pure.
// Owner:    HeadCore.                       Threads: the head's loop only.
// Inputs:   registrations and ends, told by the driver's daemon; deaths of nodes.
// Promises: a registration is answered with one number however often it is repeated, also after its
//           end; a number is never reused; an ended job stays ended.
// Limits:   jobs_max running; the newest ended_jobs_kept ended ones are remembered.
//
// A job's detached actors live in a second job, so that nodes keep their workers, memory and leases
// when the first one ends, and know nothing else of the matter. It shares namespace and key-values
// with the first, and ends when HeadCore sees that none of them lives.
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
  // The running job for detached actors that `job` creates, made when there is none: itself when it
  // is one already. None: there are too many jobs. `job` runs.
  model::JobId OnDetach(model::JobId job, int64_t unix_ms, HeadEffects& effects);
  // True when it ran.
  bool OnFinish(model::JobId job, int64_t unix_ms, HeadEffects& effects);
  // The jobs whose drivers lived there.
  std::vector<model::JobId> OfNode(model::NodeNumber node) const;
  // The running jobs of detached actors.
  std::vector<model::JobId> OfDetached() const;

  bool IsRunning(model::JobId job) const;
  // The job that a job of detached actors comes from; any other itself.
  model::JobId RootOf(model::JobId job) const;
  // Whether that one, or the job of its detached actors, runs.
  bool IsRootInUse(model::JobId root) const;
  // Of a job that runs or is remembered; "" otherwise.
  std::string NamespaceOf(model::JobId job) const;
  // Those after `after`, up to about `bytes_max` (0: all). True: there are more.
  bool FillJobs(model::JobId after, size_t bytes_max,
                google::protobuf::RepeatedPtrField<proto::JobInfo>& jobs) const;
  void CheckInvariants() const;

 private:
  struct Job {
    proto::JobInfo info;
    std::string registration;  // "": of detached actors
  };
  const JobOptions options_;
  std::map<model::JobId, Job> jobs_;
  std::map<std::string, model::JobId> by_registration_;
  std::map<model::JobId, model::JobId> detached_;  // by root: the one that runs
  std::deque<model::JobId> ended_;                 // oldest first
  uint32_t next_job_ = 1;
};

}  // namespace rayx::head
