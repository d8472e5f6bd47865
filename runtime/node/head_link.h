// runtime/node/head_link.h
//
// The node daemon's way to the head: registration, heartbeats, and calls passed on for clients.
// Owner:    NodeShell.
// Threads:  the node loop; callbacks are posted to it.
// Promises: every callback comes once, by its deadline, on the loop; none after Stop. The head
//           counts as lost when no heartbeat sent within the last `lost_after` was acknowledged, or
//           when it says that this node was declared dead; told once. Time in which this process
//           itself did not run (it was stopped, the VM suspended) does not count: its next
//           heartbeat tells the head, whose answer says whether it was missed. (A loop that is late
//           by a second each time never judges.)
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "io/loop.h"
#include "rayx/detail/error_record.h"
#include "rpc/channel.h"

namespace rayx::node {

struct HeadLinkOptions {
  io::Address head;
  rpc::ClusterCredentials credentials;
  model::Duration heartbeat_every = std::chrono::milliseconds(500);
  model::Duration lost_after = std::chrono::seconds(8);
  model::Duration insist_every = std::chrono::milliseconds(500);
};

struct HeadLinkEvents {
  std::function<void(proto::HeartbeatRequest&)> fill_heartbeat;
  std::function<void(const proto::HeartbeatReply&)> on_view;
  std::function<void(const proto::ErrorInfo&)> on_lost;
};

class HeadLink {
 public:
  HeadLink(std::shared_ptr<io::Loop> loop, HeadLinkOptions options, HeadLinkEvents events);
  ~HeadLink() { Stop(); }

  // Waits for the head, which may be starting. Before the loop runs.
  base::StatusOr<proto::RegisterNodeReply> Register(const proto::RegisterNodeRequest& request,
                                                    std::chrono::milliseconds wait);
  void StartHeartbeats(uint32_t node);

  template <typename Request, typename Reply>
  void Call(const rpc::Method<Request, Reply>& method, const Request& request,
            const rpc::CallOptions& options, std::function<void(base::StatusOr<Reply>)> done) {
    channel_->Call<Request, Reply>(
        method, request, options,
        [loop = loop_, alive = alive_, done = std::move(done)](base::StatusOr<Reply> reply) {
          loop->PostAlways([alive, done, reply = std::move(reply)]() mutable {
            if (*alive) done(std::move(reply));
          });
        });
  }
  // Repeats itself until the head has it, says that it never will, or is lost; at most once in
  // `insist_every` when the head refuses.
  void ReportActor(const proto::ActorReport& report);
  void FinishJob(const proto::FinishJobRequest& request);
  // A registration that was not answered: when it has a job after all, that job is finished.
  void AbandonJob(const proto::RegisterJobRequest& request);
  // Waits a moment.
  void Leave(uint32_t node, const std::string& reason);
  void Stop();

 private:
  template <typename Request, typename Reply>
  void Insist(const rpc::Method<Request, Reply>& method, const Request& request,
              std::function<void(const Reply&)> done);
  void Beat();
  void OnBeat(model::TimePoint sent, base::StatusOr<proto::HeartbeatReply> reply);
  void Lose(ErrorCode code, const std::string& why);

  const std::shared_ptr<io::Loop> loop_;  // a late callback may still post
  const HeadLinkOptions options_;
  const HeadLinkEvents events_;
  std::unique_ptr<rpc::RpcChannel> channel_;
  uint32_t node_ = 0;
  model::TimePoint last_beat_{};
  model::TimePoint last_acknowledged_{};  // sending time of the last beat that was, later by pauses
  bool beating_ = false;
  bool lost_ = false;
  std::string last_error_;
  io::Loop::TimerId timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace rayx::node
