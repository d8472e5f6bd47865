#include "head/node_clients.h"

#include <utility>

#include "base/log.h"
#include "head/core/errors.h"
#include "rpc/errors.h"
#include "scheduling/wire.h"

namespace rayx::head {
namespace {

// As long as it takes to declare a silent node dead: after that the cores decide anew.
rpc::CallOptions UntilDead() {
  rpc::CallOptions options;
  options.deadline = std::chrono::seconds(10);
  options.idempotent = true;
  return options;
}

}  // namespace

NodeClients::NodeClients(rpc::ClusterCredentials credentials, std::shared_ptr<io::Loop> loop,
                         StartAnswer on_start_answered)
    : credentials_(std::move(credentials)),
      loop_(std::move(loop)),
      on_start_answered_(std::move(on_start_answered)) {}

void NodeClients::Add(model::NodeNumber node, const io::Address& address) {
  auto& channel = channels_[node];
  if (channel == nullptr) {
    channel = std::make_unique<rpc::RpcChannel>(address, rpc::Role::kNode, credentials_);
  }
}

void NodeClients::Forget(model::NodeNumber node) {
  channels_.erase(node);
}

rpc::RpcChannel* NodeClients::Find(model::NodeNumber node) const {
  const auto found = channels_.find(node);
  return found == channels_.end() ? nullptr : found->second.get();
}

void NodeClients::Send(const StartActor& start) {
  const model::ActorId id = scheduling::FromWire(start.spec.id());
  const auto tell = [answer = on_start_answered_, id, incarnation = start.incarnation](
                        const proto::ErrorInfo& error, bool definite) {
    answer(id, incarnation, error, definite);
  };
  rpc::RpcChannel* channel = Find(start.node);
  if (channel == nullptr) {
    loop_->PostAlways([tell] { tell(MakeError(ErrorCode::kNodeDied, "the node is gone"), false); });
    return;
  }
  proto::StartActorRequest request;
  *request.mutable_spec() = start.spec;
  request.set_incarnation(start.incarnation);
  channel->Call<proto::StartActorRequest, proto::StartActorReply>(
      rpc::kNodeStartActor, request, UntilDead(),
      [tell, loop = loop_](base::StatusOr<proto::StartActorReply> reply) {
        const bool definite = reply.ok();
        const proto::ErrorInfo error = definite ? reply->error() : rpc::ToErrorInfo(reply.status());
        loop->PostAlways([tell, error, definite] { tell(error, definite); });
      });
}

void NodeClients::Send(const StopActor& stop) {
  rpc::RpcChannel* channel = Find(stop.node);
  if (channel == nullptr) return;
  proto::StopActorRequest request;
  *request.mutable_id() = stop.id;
  request.set_incarnation(stop.incarnation);
  request.set_reason(stop.reason);
  channel->Call<proto::StopActorRequest, proto::StopActorReply>(
      rpc::kNodeStopActor, request, UntilDead(),
      [node = stop.node](base::StatusOr<proto::StopActorReply> reply) {
        if (reply.ok() || absl::IsCancelled(reply.status())) return;
        RAYX_LOG(kWarning) << "node " << node.value << " did not acknowledge the stop of an actor: "
                           << base::Message(reply.status());
      });
}

void NodeClients::SendJobEnded(uint32_t job) {
  proto::JobEndedRequest request;
  request.set_job(job);
  for (const auto& [node, channel] : channels_) {
    // A lost one is made good by the answer to the node's next heartbeat.
    channel->Call<proto::JobEndedRequest, proto::JobEndedReply>(
        rpc::kNodeJobEnded, request, UntilDead(), [](base::StatusOr<proto::JobEndedReply>) {});
  }
}

void NodeClients::SendStop(model::NodeNumber node, const std::string& reason,
                           std::function<void()> done) {
  rpc::RpcChannel* channel = Find(node);
  if (channel == nullptr) {
    loop_->PostAlways(std::move(done));
    return;
  }
  proto::NodeStopRequest request;
  request.set_reason(reason);
  rpc::CallOptions options;
  options.deadline = std::chrono::seconds(2);
  channel->Call<proto::NodeStopRequest, proto::NodeStopReply>(
      rpc::kNodeStop, request, options,
      [loop = loop_, done = std::move(done)](base::StatusOr<proto::NodeStopReply>) {
        loop->PostAlways(done);
      });
}

}  // namespace rayx::head
