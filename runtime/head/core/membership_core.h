// runtime/head/core/membership_core.h
//
// Which nodes the cluster has and which of them live. Pure.
// Owner:    HeadCore.
// Threads:  the head's loop only.
// Inputs:   registrations, heartbeats, goodbyes, ticks, each with `now`.
// Outputs:  answers; the numbers of nodes that died in this step.
// Promises: a registration is answered with one number however often it is repeated; a number is
//           never reused; a dead node stays dead and is told so; the version grows with every birth
//           and death. A node unheard of for `suspect` gets no new work, for `dead` is dead. Time
//           in which the head itself did not run (no tick for `pause_min`) counts for nobody.
// Limits:   nodes_max alive; the newest dead_nodes_kept dead ones are remembered by name.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "head/core/effects.h"
#include "model/ids.h"
#include "model/time.h"
#include "proto/head.pb.h"
#include "scheduling/cluster_view.h"

namespace rayx::head {

struct MembershipOptions {
  std::string cluster;  // id
  model::Duration suspect = std::chrono::seconds(3);
  model::Duration dead = std::chrono::seconds(10);
  model::Duration pause_min = std::chrono::seconds(1);
  size_t nodes_max = 1024;
  size_t dead_nodes_kept = 64;
};

class MembershipCore {
 public:
  explicit MembershipCore(MembershipOptions options);

  // The caller has compared the versions.
  proto::RegisterNodeReply OnRegister(const proto::RegisterNodeRequest& request,
                                      model::TimePoint now, HeadEffects& effects);
  // Fills in error, version and nodes.
  proto::HeartbeatReply OnHeartbeat(const proto::HeartbeatRequest& request, model::TimePoint now);
  // True when the node was alive.
  bool OnLeave(model::NodeNumber node, const std::string& reason);
  // Several times in a `pause_min`.
  std::vector<model::NodeNumber> OnTick(model::TimePoint now);

  scheduling::ClusterView& view() { return view_; }
  const scheduling::ClusterView& view() const { return view_; }
  bool IsAlive(model::NodeNumber node) const { return view_.IsAlive(node); }
  std::vector<model::NodeNumber> Alive() const;
  uint64_t version() const { return version_; }
  void FillNodes(google::protobuf::RepeatedPtrField<proto::NodeInfo>& nodes) const;
  void CheckInvariants() const;

 private:
  struct Node {
    proto::NodeInfo info;  // `available` as of the last heartbeat
    std::string registration;
    model::TimePoint heard;
    bool suspect = false;
  };
  proto::ErrorInfo Check(const proto::RegisterNodeRequest& request) const;
  void FillReply(const Node& node, proto::RegisterNodeReply& reply) const;
  void MarkDead(Node& node, const std::string& reason);
  void SetAvailable(Node& node);  // in the view: nothing while suspect

  const MembershipOptions options_;
  std::map<model::NodeNumber, Node> nodes_;
  std::map<std::string, model::NodeNumber> by_registration_;
  std::deque<model::NodeNumber> dead_;  // oldest first
  scheduling::ClusterView view_;
  std::optional<model::TimePoint> last_tick_;
  uint32_t next_number_ = 1;
  uint64_t version_ = 0;
};

}  // namespace rayx::head
