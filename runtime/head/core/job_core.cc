#include "head/core/job_core.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mark.h"
#include "head/core/errors.h"

namespace rayx::head {
namespace {

constexpr size_t kTextBytesMax = 4096;

}  // namespace

proto::RegisterJobReply JobCore::OnRegister(const proto::RegisterJobRequest& request,
                                            int64_t unix_ms, HeadEffects& effects) {
  proto::RegisterJobReply reply;
  const auto answer = [&](const Job& job) {
    reply.set_job(job.info.id());
    reply.set_job_namespace(job.name_space);
    return reply;
  };
  const auto refuse = [&](const std::string& why) {
    *reply.mutable_error() =
        MakeError(ErrorCode::kInvalidOption, absl::StrCat("registration of a job: ", why));
    return reply;
  };
  if (const auto known = by_registration_.find(request.registration());
      known != by_registration_.end()) {
    RAYX_MARK("job registration repeated");
    return answer(jobs_.at(known->second));
  }
  if (request.registration().empty() || request.registration().size() > 256) {
    return refuse("expected a word that names the driver's start, of at most 256 bytes");
  }
  if (request.program().size() > kTextBytesMax || request.host().size() > kTextBytesMax ||
      request.job_namespace().size() > 256) {
    return refuse("program, host or namespace is too long");
  }
  if (jobs_.size() - ended_.size() >= options_.jobs_max) {
    return refuse(absl::StrCat("the cluster runs its ", options_.jobs_max, " jobs already"));
  }
  const model::JobId id{next_job_++};
  Job& job = jobs_[id];
  job.registration = request.registration();
  job.name_space =
      request.job_namespace().empty() ? absl::StrCat("job-", id.value) : request.job_namespace();
  job.info.set_id(id.value);
  job.info.set_program(request.program());
  job.info.set_driver(request.driver());
  job.info.set_running(true);
  job.info.set_started_unix_ms(unix_ms);
  job.info.set_host(request.host());
  job.info.set_pid(request.pid());
  by_registration_[request.registration()] = id;
  effects.persists.push_back({Table::kJob, absl::StrCat(id.value), job.info.SerializeAsString()});
  return answer(job);
}

bool JobCore::OnFinish(model::JobId id, int64_t unix_ms, HeadEffects& effects) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end() || !found->second.info.running()) return false;
  found->second.info.set_running(false);
  found->second.info.set_ended_unix_ms(unix_ms);
  effects.ended_jobs.push_back(id.value);
  effects.persists.push_back({Table::kJob, absl::StrCat(id.value), std::nullopt});
  ended_.push_back(id);
  while (ended_.size() > options_.ended_jobs_kept) {
    const auto oldest = jobs_.find(ended_.front());
    by_registration_.erase(oldest->second.registration);
    jobs_.erase(oldest);
    ended_.pop_front();
  }
  return true;
}

std::vector<model::JobId> JobCore::OfNode(model::NodeNumber node) const {
  std::vector<model::JobId> result;
  for (const auto& [id, job] : jobs_) {
    if (job.info.running() && model::ProcessId{job.info.driver()}.node() == node) {
      result.push_back(id);
    }
  }
  return result;
}

bool JobCore::IsRunning(model::JobId job) const {
  const auto found = jobs_.find(job);
  return found != jobs_.end() && found->second.info.running();
}

std::string JobCore::NamespaceOf(model::JobId job) const {
  const auto found = jobs_.find(job);
  return found == jobs_.end() ? "" : found->second.name_space;
}

void JobCore::FillJobs(google::protobuf::RepeatedPtrField<proto::JobInfo>& jobs) const {
  for (const auto& [id, job] : jobs_) *jobs.Add() = job.info;
}

void JobCore::CheckInvariants() const {
  RAYX_CHECK(by_registration_.size() == jobs_.size());
  size_t ended = 0;
  for (const auto& [id, job] : jobs_) {
    RAYX_CHECK(id.value < next_job_);
    RAYX_CHECK(by_registration_.at(job.registration) == id);
    ended += job.info.running() ? 0 : 1;
  }
  RAYX_CHECK(ended == ended_.size());
}

}  // namespace rayx::head
