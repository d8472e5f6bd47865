#include "head/head_server.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <future>
#include <map>
#include <thread>
#include <utility>

#include "base/log.h"
#include "head/core/errors.h"
#include "head/node_clients.h"
#include "io/clock.h"
#include "io/loop.h"
#include "model/versions.h"
#include "rpc/errors.h"
#include "rpc/join.h"
#include "rpc/server.h"

namespace rayx::head {
namespace {

constexpr model::Duration kTick = std::chrono::milliseconds(100);
constexpr std::chrono::milliseconds kStopGrace(300);
constexpr std::chrono::milliseconds kNodesStopMax(2500);

base::Status CheckVersions(const proto::Versions& theirs) {
  return rpc::CheckVersions("the head", model::OwnVersions(model::kNoLayout), "the other side",
                            theirs);
}

rpc::ServerOptions RpcOptions(const HeadServerOptions& options) {
  rpc::ServerOptions result;
  result.ip = options.ip;
  result.port = options.port;
  result.credentials = options.credentials;
  result.calls_max = 100000;  // long polls: the cores bound them by kind
  return result;
}

int64_t UnixMs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

}  // namespace

class HeadServer::Impl {
 public:
  Impl(HeadServerOptions options, std::unique_ptr<HeadStorage> storage,
       std::unique_ptr<io::PosixClock> clock, std::shared_ptr<io::Loop> loop)
      : options_(std::move(options)),
        storage_(std::move(storage)),
        clock_(std::move(clock)),
        loop_(std::move(loop)),
        started_(clock_->Now()),
        core_(options_.core),
        nodes_(options_.credentials, loop_,
               [this](model::ActorId id, uint32_t incarnation, const proto::ErrorInfo& error,
                      bool definite) {
                 core_.OnStartAnswered(id, incarnation, error, definite, loop_->Now(), effects_);
                 RunEffects();
               }),
        server_(RpcOptions(options_)) {}

  base::Status Start();
  void Stop(const std::string& reason);
  const io::Address& address() const { return server_.address(); }

 private:
  // A handler that hands request and responder over to the loop, where `step` runs.
  template <typename Request, typename Reply>
  void OnLoop(const rpc::Method<Request, Reply>& method,
              std::function<void(Request&, rpc::Responder<Reply>)> step) {
    server_.Handle<Request, Reply>(
        method, [this, step = std::move(step)](Request& request, rpc::Responder<Reply> responder) {
          // Shared, because std::function needs copies; a call that never runs answers when
          // dropped.
          auto call = std::make_shared<std::pair<Request, rpc::Responder<Reply>>>(
              std::move(request), std::move(responder));
          if (!loop_->Post([&step, call] { step(call->first, std::move(call->second)); })) {
            call->second.Fail(absl::UnavailableError("the head is overloaded or stops"));
          }
        });
  }
  // As OnLoop, for steps that answer at once: the answer leaves after the step's persists.
  template <typename Request, typename Reply>
  void OnStep(const rpc::Method<Request, Reply>& method, std::function<Reply(Request&)> step) {
    OnLoop<Request, Reply>(
        method, [this, step = std::move(step)](Request& request, rpc::Responder<Reply> responder) {
          const Reply reply = step(request);
          RunEffects();
          responder.Reply(reply);
        });
  }

  void HandleNodes();
  void HandleJobsAndActors();
  void HandleOperators();
  proto::JoinReply Join(const proto::JoinRequest& request) const;
  void RunEffects();
  void Tick();
  void AskStop(const std::string& reason);

  const HeadServerOptions options_;
  const std::unique_ptr<HeadStorage> storage_;
  const std::unique_ptr<io::PosixClock> clock_;
  const std::shared_ptr<io::Loop> loop_;
  const model::TimePoint started_;
  // Touched by the loop only.
  HeadCore core_;
  HeadEffects effects_;
  NodeClients nodes_;
  std::map<ReplyTo, rpc::Responder<proto::HeadResponse>> waiting_;
  ReplyTo next_reply_ = 1;
  bool stop_asked_ = false;
  bool closing_ = false;  // nothing may wait any more

  rpc::RpcServer server_;
  std::thread thread_;
};

base::Status HeadServer::Impl::Start() {
  HandleNodes();
  HandleJobsAndActors();
  HandleOperators();
  RAYX_RETURN_IF_ERROR(server_.Start());
  loop_->AddTimerAfter(kTick, [this] { Tick(); });
  thread_ = std::thread([this] {
    ::prctl(PR_SET_NAME, "head-loop");
    loop_->Run();
  });
  return base::OkStatus();
}

void HeadServer::Impl::Tick() {
  core_.OnTick(loop_->Now(), UnixMs(), effects_);
  RunEffects();
  loop_->AddTimerAfter(kTick, [this] { Tick(); });
}

proto::JoinReply HeadServer::Impl::Join(const proto::JoinRequest& request) const {
  proto::JoinReply reply;
  if (const auto status = CheckVersions(request.versions()); !status.ok()) {
    *reply.mutable_error() = rpc::ToErrorInfo(status);
    return reply;
  }
  reply.set_cluster(options_.core.membership.cluster);
  if (options_.authority == nullptr) return reply;
  auto certificate =
      options_.authority->Sign(request.certificate_request_pem(), rpc::Role::kNode, request.ip());
  if (certificate.ok()) {
    reply.set_certificate_pem(*std::move(certificate));
  } else {
    *reply.mutable_error() = rpc::ToErrorInfo(certificate.status());
  }
  return reply;
}

void HeadServer::Impl::HandleNodes() {
  // Needs nothing of the loop's: signing runs on the caller's thread.
  server_.Handle<proto::JoinRequest, proto::JoinReply>(
      rpc::kHeadJoin,
      [this](proto::JoinRequest& request, rpc::Responder<proto::JoinReply> responder) {
        responder.Reply(Join(request));
      });
  OnStep<proto::RegisterNodeRequest, proto::RegisterNodeReply>(
      rpc::kHeadRegisterNode, [this](proto::RegisterNodeRequest& request) {
        proto::RegisterNodeReply reply;
        base::Status status = CheckVersions(request.versions());
        const auto address = io::ParseAddress(request.address());
        if (status.ok()) status = address.status();
        if (!status.ok()) {
          *reply.mutable_error() = rpc::ToErrorInfo(status);
          return reply;
        }
        reply = core_.OnRegisterNode(request, loop_->Now(), effects_);
        if (reply.node() != 0) nodes_.Add(model::NodeNumber{reply.node()}, *address);
        RAYX_LOG(kInfo) << "node " << reply.node() << " registered: " << request.host_name()
                        << " at " << request.address();
        return reply;
      });
  OnStep<proto::HeartbeatRequest, proto::HeartbeatReply>(
      rpc::kHeadHeartbeat, [this](proto::HeartbeatRequest& request) {
        return core_.OnHeartbeat(request, loop_->Now(), effects_);
      });
  OnStep<proto::LeaveRequest, proto::LeaveReply>(
      rpc::kHeadLeave, [this](proto::LeaveRequest& request) {
        RAYX_LOG(kInfo) << "node " << request.node() << " leaves: " << request.reason();
        core_.OnLeave(request, loop_->Now(), UnixMs(), effects_);
        return proto::LeaveReply();
      });
}

void HeadServer::Impl::HandleJobsAndActors() {
  OnStep<proto::RegisterJobRequest, proto::RegisterJobReply>(
      rpc::kHeadRegisterJob, [this](proto::RegisterJobRequest& request) {
        auto reply = core_.OnRegisterJob(request, UnixMs(), effects_);
        RAYX_LOG(kInfo) << "job " << reply.job() << " started: " << request.program() << " (pid "
                        << request.pid() << " on " << request.host() << ")";
        return reply;
      });
  OnStep<proto::FinishJobRequest, proto::FinishJobReply>(
      rpc::kHeadFinishJob, [this](proto::FinishJobRequest& request) {
        RAYX_LOG(kInfo) << "job " << request.job() << " ended: " << request.reason();
        core_.OnFinishJob(request, loop_->Now(), UnixMs(), effects_);
        return proto::FinishJobReply();
      });
  OnStep<proto::ActorReport, proto::ActorReportReply>(
      rpc::kHeadReportActor, [this](proto::ActorReport& report) {
        core_.OnReportActor(report, loop_->Now(), effects_);
        return proto::ActorReportReply();
      });
  OnLoop<proto::HeadRequest, proto::HeadResponse>(
      rpc::kHeadCall,
      [this](proto::HeadRequest& request, rpc::Responder<proto::HeadResponse> responder) {
        if (closing_) return;  // the responder says so
        const ReplyTo to = next_reply_++;
        waiting_.emplace(to, std::move(responder));
        core_.OnCall(request, to, loop_->Now(), effects_);
        RunEffects();
      });
}

void HeadServer::Impl::HandleOperators() {
  OnStep<proto::StatusRequest, proto::StatusReply>(rpc::kHeadStatus, [this](proto::StatusRequest&) {
    proto::StatusReply reply = core_.OnStatus();
    reply.set_cluster(options_.core.membership.cluster);
    reply.set_release(model::kRelease);
    reply.set_address(address().ToString());
    reply.set_pid(::getpid());
    reply.set_uptime_ms(
        std::chrono::duration_cast<std::chrono::milliseconds>(loop_->Now() - started_).count());
    return reply;
  });
  OnStep<proto::StopRequest, proto::StopReply>(rpc::kHeadStop, [this](proto::StopRequest& request) {
    AskStop(request.reason());
    return proto::StopReply();
  });
}

void HeadServer::Impl::AskStop(const std::string& reason) {
  if (std::exchange(stop_asked_, true)) return;
  RAYX_LOG(kInfo) << "asked to stop: " << reason;
  if (options_.on_stop_asked) options_.on_stop_asked(reason);
}

void HeadServer::Impl::RunEffects() {
  if (const auto status = storage_->Apply(effects_.persists); !status.ok()) {
    RAYX_LOG(kError) << "the head's store fails: " << base::Message(status);
    effects_.Clear();
    AskStop("the head's store fails");
    return;
  }
  for (CallReply& reply : effects_.replies) {
    const auto found = waiting_.find(reply.to);
    if (found == waiting_.end()) continue;
    found->second.Reply(reply.response);
    waiting_.erase(found);
  }
  for (const StartActor& start : effects_.starts) nodes_.Send(start);
  for (const StopActor& stop : effects_.stops) nodes_.Send(stop);
  for (const uint32_t job : effects_.ended_jobs) nodes_.SendJobEnded(job);
  for (const model::NodeNumber node : effects_.dead_nodes) {
    RAYX_LOG(kWarning) << "node " << node.value << " is dead";
    nodes_.Forget(node);
  }
  effects_.Clear();
}

void HeadServer::Impl::Stop(const std::string& reason) {
  if (!thread_.joinable()) return;
  // Shared: a node may answer after the wait is over.
  struct Countdown {
    std::promise<void> done;
    size_t left = 0;
  };
  auto countdown = std::make_shared<Countdown>();
  auto all_told = countdown->done.get_future();
  const bool posted = loop_->Post([this, reason, countdown] {
    stop_asked_ = true;
    HeadEffects last;
    core_.OnStop(last);
    countdown->left = last.nodes_to_stop.size() + 1;
    const auto one_less = [countdown] {
      if (--countdown->left == 0) countdown->done.set_value();
    };
    for (const model::NodeNumber node : last.nodes_to_stop) nodes_.SendStop(node, reason, one_less);
    one_less();
  });
  if (posted) all_told.wait_for(kNodesStopMax);
  // Calls that wait would hold the server open: their responders answer by being dropped.
  loop_->Post([this] {
    closing_ = true;
    waiting_.clear();
  });
  server_.Stop(kStopGrace);
  loop_->Stop();
  thread_.join();
  waiting_.clear();
}

HeadServer::HeadServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HeadServer::~HeadServer() {
  Stop("");
}

base::StatusOr<std::unique_ptr<HeadServer>> HeadServer::Start(
    HeadServerOptions options, std::unique_ptr<HeadStorage> storage) {
  auto clock = std::make_unique<io::PosixClock>();
  RAYX_ASSIGN_OR_RETURN(auto loop, io::Loop::Create(*clock));
  auto impl = std::make_unique<Impl>(std::move(options), std::move(storage), std::move(clock),
                                     std::shared_ptr<io::Loop>(std::move(loop)));
  RAYX_RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<HeadServer>(new HeadServer(std::move(impl)));
}

const io::Address& HeadServer::address() const {
  return impl_->address();
}
void HeadServer::Stop(const std::string& reason) {
  impl_->Stop(reason);
}

}  // namespace rayx::head
