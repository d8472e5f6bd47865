#include "node/head_link.h"

#include <algorithm>

#include "base/log.h"
#include "rpc/errors.h"

namespace rayx::node {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kBeatDeadline{2000};
constexpr milliseconds kInsistDeadline{30000};
// A beat that is later than this was not merely late: this process did not run.
constexpr milliseconds kPauseMin{1000};

}  // namespace

HeadLink::HeadLink(std::shared_ptr<io::Loop> loop, HeadLinkOptions options, HeadLinkEvents events)
    : loop_(std::move(loop)), options_(std::move(options)), events_(std::move(events)) {
  channel_ =
      std::make_unique<rpc::RpcChannel>(options_.head, rpc::Role::kHead, options_.credentials);
}

base::StatusOr<proto::RegisterNodeReply> HeadLink::Register(
    const proto::RegisterNodeRequest& request, milliseconds wait) {
  rpc::CallOptions options;
  options.deadline = wait;
  options.idempotent = true;
  RAYX_ASSIGN_OR_RETURN(proto::RegisterNodeReply reply,
                        channel_->CallAndWait(rpc::kHeadRegisterNode, request, options));
  RAYX_RETURN_IF_ERROR(rpc::ToStatus(reply.error()));
  if (reply.node() == 0) return absl::InternalError("the head gave this node no number");
  return reply;
}

void HeadLink::StartHeartbeats(uint32_t node) {
  node_ = node;
  last_acknowledged_ = last_beat_ = loop_->Now();
  Beat();
}

void HeadLink::Beat() {
  timer_ = loop_->AddTimerAfter(options_.heartbeat_every, [this] { Beat(); });
  const model::TimePoint now = loop_->Now();
  const model::Duration late = now - last_beat_ - options_.heartbeat_every;
  if (late > kPauseMin) last_acknowledged_ = std::min(now, last_acknowledged_ + late);
  last_beat_ = now;
  if (now - last_acknowledged_ > options_.lost_after) {
    return Lose(ErrorCode::kHeadUnavailable,
                "the head at " + options_.head.ToString() + " has not answered for " +
                    std::to_string(
                        std::chrono::duration_cast<std::chrono::seconds>(now - last_acknowledged_)
                            .count()) +
                    " s" + (last_error_.empty() ? "" : ": " + last_error_));
  }
  if (beating_) return;
  beating_ = true;
  proto::HeartbeatRequest request;
  request.set_node(node_);
  events_.fill_heartbeat(request);
  rpc::CallOptions options;
  options.deadline = kBeatDeadline;
  Call<proto::HeartbeatRequest, proto::HeartbeatReply>(
      rpc::kHeadHeartbeat, request, options,
      [this, now](base::StatusOr<proto::HeartbeatReply> reply) { OnBeat(now, std::move(reply)); });
}

void HeadLink::OnBeat(model::TimePoint sent, base::StatusOr<proto::HeartbeatReply> reply) {
  beating_ = false;
  if (lost_) return;
  if (!reply.ok()) {
    last_error_ = std::string(base::Message(reply.status()));
    return;
  }
  if (reply->error().code() != 0) {
    return Lose(static_cast<ErrorCode>(reply->error().code()), reply->error().message());
  }
  last_acknowledged_ = std::max(last_acknowledged_, sent);
  last_error_.clear();
  events_.on_view(*reply);
}

void HeadLink::Lose(ErrorCode code, const std::string& why) {
  if (lost_) return;
  lost_ = true;
  events_.on_lost(rpc::MakeErrorInfo(code, why));
}

// Until the head has it, says that it never will, or is lost. RpcChannel spaces what is
// UNAVAILABLE, all other failures come at once.
template <typename Request, typename Reply>
void HeadLink::Insist(const rpc::Method<Request, Reply>& method, const Request& request,
                      std::function<void(const Reply&)> done) {
  rpc::CallOptions options;
  options.deadline = kInsistDeadline;
  options.idempotent = true;
  Call<Request, Reply>(
      method, request, options,
      [this, method, request, done = std::move(done)](base::StatusOr<Reply> reply) {
        if (lost_) return;
        if (reply.ok()) return done(*reply);
        RAYX_LOG(kWarning) << "the head does not take a message: " << base::Message(reply.status());
        if (absl::IsInvalidArgument(reply.status()) || absl::IsUnimplemented(reply.status()))
          return;
        loop_->AddTimerAfter(options_.insist_every, [this, alive = alive_, method, request, done] {
          if (*alive && !lost_) Insist(method, request, done);
        });
      });
}

void HeadLink::ReportActor(const proto::ActorReport& report) {
  Insist<proto::ActorReport, proto::ActorReportReply>(rpc::kHeadReportActor, report,
                                                      [](const proto::ActorReportReply&) {});
}

void HeadLink::FinishJob(const proto::FinishJobRequest& request) {
  Insist<proto::FinishJobRequest, proto::FinishJobReply>(rpc::kHeadFinishJob, request,
                                                         [](const proto::FinishJobReply&) {});
}

void HeadLink::AbandonJob(const proto::RegisterJobRequest& request) {
  Insist<proto::RegisterJobRequest, proto::RegisterJobReply>(
      rpc::kHeadRegisterJob, request, [this](const proto::RegisterJobReply& reply) {
        if (reply.job() == 0) return;
        proto::FinishJobRequest finish;
        finish.set_job(reply.job());
        finish.set_reason("its driver was refused: the head had answered too late");
        FinishJob(finish);
      });
}

void HeadLink::Leave(uint32_t node, const std::string& reason) {
  if (lost_) return;
  proto::LeaveRequest request;
  request.set_node(node);
  request.set_reason(reason);
  rpc::CallOptions options;
  options.deadline = milliseconds(1000);
  const auto reply = channel_->CallAndWait(rpc::kHeadLeave, request, options);
  if (!reply.ok()) RAYX_LOG(kInfo) << "leaving: " << base::Message(reply.status());
}

void HeadLink::Stop() {
  *alive_ = false;
  loop_->CancelTimer(timer_);
  channel_.reset();
}

}  // namespace rayx::node
