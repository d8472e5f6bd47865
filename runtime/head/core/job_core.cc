#include "head/core/job_core.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mark.h"
#include "head/core/errors.h"

namespace rayx::head {
namespace {

constexpr size_t kProgramBytesMax = 4096;
constexpr size_t kRegistrationBytesMax = 256;
constexpr size_t kNamespaceBytesMax = 256;  // as ActorCore takes them

}  // namespace

proto::RegisterJobReply JobCore::OnRegister(const proto::RegisterJobRequest& request,
                                            int64_t unix_ms, HeadEffects& effects) {
  proto::RegisterJobReply reply;
  const auto answer = [&](const Job& job) {
    reply.set_job(job.info.id());
    reply.set_job_namespace(job.info.job_namespace());
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
  if (request.registration().empty() || request.registration().size() > kRegistrationBytesMax) {
    return refuse(absl::StrCat("expected a word that names the driver's start, of at most ",
                               kRegistrationBytesMax, " bytes"));
  }
  if (request.program().size() > kProgramBytesMax || request.host().size() > kProgramBytesMax ||
      request.job_namespace().size() > kNamespaceBytesMax) {
    return refuse("program, host or namespace is too long");
  }
  if (jobs_.size() - ended_.size() >= options_.jobs_max) {
    return refuse(absl::StrCat("the cluster runs its ", options_.jobs_max, " jobs already"));
  }
  const model::JobId id{next_job_++};
  Job& job = jobs_[id];
  job.registration = request.registration();
  job.info.set_job_namespace(request.job_namespace().empty() ? absl::StrCat("job-", id.value)
                                                             : request.job_namespace());
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

model::JobId JobCore::OnDetach(model::JobId job, int64_t unix_ms, HeadEffects& effects) {
  const Job& from = jobs_.at(job);
  if (from.info.detached_from() != 0) return job;
  if (const auto known = detached_.find(job); known != detached_.end()) return known->second;
  if (jobs_.size() - ended_.size() >= options_.jobs_max) return {};
  const model::JobId id{next_job_++};
  proto::JobInfo& info = jobs_[id].info;
  info = from.info;
  info.set_id(id.value);
  info.set_detached_from(job.value);
  info.set_started_unix_ms(unix_ms);
  detached_[job] = id;
  effects.persists.push_back({Table::kJob, absl::StrCat(id.value), info.SerializeAsString()});
  return id;
}

bool JobCore::OnFinish(model::JobId id, int64_t unix_ms, HeadEffects& effects) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end() || !found->second.info.running()) return false;
  found->second.info.set_running(false);
  found->second.info.set_ended_unix_ms(unix_ms);
  if (const model::JobId root{found->second.info.detached_from()}; root) detached_.erase(root);
  effects.ended_jobs.push_back(id.value);
  effects.persists.push_back({Table::kJob, absl::StrCat(id.value), std::nullopt});
  ended_.push_back(id);
  while (ended_.size() > options_.ended_jobs_kept) {
    const auto oldest = jobs_.find(ended_.front());
    if (oldest->second.info.detached_from() == 0) {
      by_registration_.erase(oldest->second.registration);
    }
    jobs_.erase(oldest);
    ended_.pop_front();
  }
  return true;
}

std::vector<model::JobId> JobCore::OfNode(model::NodeNumber node) const {
  std::vector<model::JobId> result;
  for (const auto& [id, job] : jobs_) {
    const bool ends_with_driver = job.info.running() && job.info.detached_from() == 0;
    if (ends_with_driver && model::ProcessId{job.info.driver()}.node() == node) {
      result.push_back(id);
    }
  }
  return result;
}

std::vector<model::JobId> JobCore::OfDetached() const {
  std::vector<model::JobId> result;
  for (const auto& [root, job] : detached_) result.push_back(job);
  return result;
}

bool JobCore::IsRunning(model::JobId job) const {
  const auto found = jobs_.find(job);
  return found != jobs_.end() && found->second.info.running();
}

model::JobId JobCore::RootOf(model::JobId job) const {
  const auto found = jobs_.find(job);
  const uint32_t root = found == jobs_.end() ? 0 : found->second.info.detached_from();
  return root == 0 ? job : model::JobId{root};
}

bool JobCore::IsRootInUse(model::JobId root) const {
  return IsRunning(root) || detached_.count(root) != 0;
}

std::string JobCore::NamespaceOf(model::JobId job) const {
  const auto found = jobs_.find(job);
  return found == jobs_.end() ? "" : found->second.info.job_namespace();
}

bool JobCore::FillJobs(model::JobId after, size_t bytes_max,
                       google::protobuf::RepeatedPtrField<proto::JobInfo>& jobs) const {
  size_t bytes = 0;
  for (auto it = jobs_.upper_bound(after); it != jobs_.end(); ++it) {
    if (bytes_max != 0 && bytes >= bytes_max) return true;
    *jobs.Add() = it->second.info;
    bytes += it->second.info.ByteSizeLong();
  }
  return false;
}

void JobCore::CheckInvariants() const {
  size_t ended = 0;
  size_t of_drivers = 0;
  for (const auto& [id, job] : jobs_) {
    RAYX_CHECK(id.value < next_job_);
    ended += job.info.running() ? 0 : 1;
    if (const model::JobId root{job.info.detached_from()}; root) {
      RAYX_CHECK(!job.info.running() || detached_.at(root) == id, "two jobs of detached actors");
      continue;
    }
    ++of_drivers;
    RAYX_CHECK(by_registration_.at(job.registration) == id);
  }
  RAYX_CHECK(by_registration_.size() == of_drivers);
  for (const auto& [root, job] : detached_) RAYX_CHECK(IsRunning(job));
  RAYX_CHECK(ended == ended_.size());
}

}  // namespace rayx::head
