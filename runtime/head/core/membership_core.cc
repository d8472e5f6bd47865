#include "head/core/membership_core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mark.h"
#include "head/core/errors.h"
#include "scheduling/wire.h"

namespace rayx::head {
namespace {

constexpr size_t kNodeTextBytesMax = 256;

std::string Seconds(model::Duration duration) {
  return absl::StrCat(std::chrono::duration_cast<std::chrono::seconds>(duration).count(), " s");
}

}  // namespace

MembershipCore::MembershipCore(MembershipOptions options) : options_(std::move(options)) {}

proto::ErrorInfo MembershipCore::Check(const proto::RegisterNodeRequest& request) const {
  const auto refuse = [](const std::string& why) {
    return MakeError(ErrorCode::kInvalidOption, absl::StrCat("registration of a node: ", why));
  };
  if (request.registration().empty() || request.registration().size() > kNodeTextBytesMax) {
    return refuse("expected a word that names the daemon's start, of at most 256 bytes");
  }
  if (request.host_name().empty() || request.host_name().size() > kNodeTextBytesMax) {
    return refuse("expected a host name of at most 256 bytes");
  }
  if (request.address().empty() || request.address().size() > kNodeTextBytesMax) {
    return refuse("expected the address ip:port of its server");
  }
  if (request.data_port() == 0 || request.data_port() > UINT16_MAX) {
    return refuse("expected the port of its data server");
  }
  proto::NodeInfo info;
  info.set_number(1);
  *info.mutable_total() = request.total();
  *info.mutable_labels() = request.labels();
  const auto view = scheduling::FromWire(info);
  if (!view.ok()) return refuse(std::string(base::Message(view.status())));
  if (view_.alive_count() >= options_.nodes_max) {
    return refuse(absl::StrCat("the cluster has its ", options_.nodes_max, " nodes already"));
  }
  return {};
}

proto::RegisterNodeReply MembershipCore::OnRegister(const proto::RegisterNodeRequest& request,
                                                    model::TimePoint now, HeadEffects& effects) {
  proto::RegisterNodeReply reply;
  if (const auto known = by_registration_.find(request.registration());
      known != by_registration_.end()) {
    const Node& node = nodes_.at(known->second);
    if (node.info.alive()) {
      RAYX_MARK("registration repeated");
      FillReply(node, reply);
    } else {
      *reply.mutable_error() = MakeError(
          ErrorCode::kNodeDied, absl::StrCat("this node daemon was declared dead (",
                                             node.info.death_reason(), "); start a new one"));
    }
    return reply;
  }
  if (proto::ErrorInfo error = Check(request); error.code() != 0) {
    *reply.mutable_error() = std::move(error);
    return reply;
  }
  const model::NodeNumber number{next_number_++};
  Node& node = nodes_[number];
  node.registration = request.registration();
  node.heard = now;
  node.info.set_number(number.value);
  node.info.set_host_name(request.host_name());
  node.info.set_address(request.address());
  node.info.set_data_port(request.data_port());
  *node.info.mutable_total() = request.total();
  *node.info.mutable_available() = request.total();
  *node.info.mutable_labels() = request.labels();
  node.info.set_alive(true);
  node.info.set_pid(request.pid());
  node.info.set_store_bytes(request.store_bytes());
  node.info.set_is_head(request.beside_head());
  by_registration_[request.registration()] = number;
  view_.Upsert(scheduling::FromWire(node.info).value());
  ++version_;
  effects.persists.push_back({Table::kCluster, "next_node", absl::StrCat(next_number_)});
  FillReply(node, reply);
  return reply;
}

void MembershipCore::FillReply(const Node& node, proto::RegisterNodeReply& reply) const {
  reply.set_node(node.info.number());
  reply.set_cluster(options_.cluster);
  reply.set_membership_version(version_);
  FillNodes(*reply.mutable_nodes());
}

proto::HeartbeatReply MembershipCore::OnHeartbeat(const proto::HeartbeatRequest& request,
                                                  model::TimePoint now) {
  proto::HeartbeatReply reply;
  const auto found = nodes_.find(model::NodeNumber{request.node()});
  if (found == nodes_.end() || !found->second.info.alive()) {
    const std::string why =
        found == nodes_.end() ? "this head does not know it" : found->second.info.death_reason();
    *reply.mutable_error() = MakeError(
        ErrorCode::kNodeDied, absl::StrCat("node ", request.node(), " was declared dead: ", why));
    reply.set_membership_version(version_);
    return reply;
  }
  Node& node = found->second;
  proto::NodeInfo checked = node.info;
  *checked.mutable_available() = request.available();
  if (const auto view = scheduling::FromWire(checked); !view.ok()) {
    *reply.mutable_error() =
        MakeError(ErrorCode::kInvalidOption,
                  absl::StrCat("heartbeat: ", base::ToAbsl(base::Message(view.status()))));
    return reply;
  }
  node.info = std::move(checked);
  node.info.set_queued_leases(request.queued_leases());
  node.info.set_workers(request.workers());
  node.info.set_store_used_bytes(request.store_used_bytes());
  node.heard = std::max(node.heard, now);
  node.suspect = false;
  SetAvailable(node);
  reply.set_membership_version(version_);
  FillNodes(*reply.mutable_nodes());
  return reply;
}

void MembershipCore::SetAvailable(Node& node) {
  proto::NodeInfo seen = node.info;
  if (node.suspect) seen.clear_available();
  view_.Upsert(scheduling::FromWire(seen).value());
}

bool MembershipCore::OnLeave(model::NodeNumber number, const std::string& reason) {
  const auto found = nodes_.find(number);
  if (found == nodes_.end() || !found->second.info.alive()) return false;
  MarkDead(found->second, reason.empty() ? "it was stopped" : reason.substr(0, 1024));
  return true;
}

std::vector<model::NodeNumber> MembershipCore::OnTick(model::TimePoint now) {
  std::vector<model::NodeNumber> died;
  const model::Duration gap = now - last_tick_.value_or(now);
  const bool paused = gap > options_.pause_min;
  last_tick_ = now;
  if (paused) RAYX_MARK("head was paused");
  for (auto& [number, node] : nodes_) {
    if (!node.info.alive()) continue;
    if (paused) node.heard = std::min(now, node.heard + gap);
    const model::Duration silence = now - node.heard;
    if (silence >= options_.dead) {
      died.push_back(number);
    } else if (silence >= options_.suspect && !node.suspect) {
      RAYX_MARK("node suspected");
      node.suspect = true;
      SetAvailable(node);
    }
  }
  // Apart: forgetting the oldest dead changes nodes_.
  for (const model::NodeNumber number : died) {
    MarkDead(nodes_.at(number), absl::StrCat("no sign of life for ", Seconds(options_.dead)));
  }
  return died;
}

void MembershipCore::MarkDead(Node& node, const std::string& reason) {
  const model::NodeNumber number{node.info.number()};
  node.info.set_alive(false);
  node.info.set_death_reason(reason);
  node.info.clear_available();
  node.info.clear_queued_leases();
  node.info.clear_workers();
  node.info.clear_store_used_bytes();
  view_.MarkDead(number, reason);
  ++version_;
  dead_.push_back(number);
  while (dead_.size() > options_.dead_nodes_kept) {
    const auto oldest = nodes_.find(dead_.front());
    by_registration_.erase(oldest->second.registration);
    nodes_.erase(oldest);
    dead_.pop_front();
  }
}

std::vector<model::NodeNumber> MembershipCore::Alive() const {
  std::vector<model::NodeNumber> alive;
  for (const auto& [number, node] : nodes_) {
    if (node.info.alive()) alive.push_back(number);
  }
  return alive;
}

void MembershipCore::FillNodes(google::protobuf::RepeatedPtrField<proto::NodeInfo>& nodes) const {
  for (const auto& [number, node] : nodes_) *nodes.Add() = node.info;
}

void MembershipCore::CheckInvariants() const {
  RAYX_CHECK(by_registration_.size() == nodes_.size());
  RAYX_CHECK(dead_.size() <= options_.dead_nodes_kept);
  size_t dead = 0;
  for (const auto& [number, node] : nodes_) {
    RAYX_CHECK(number.value < next_number_);
    RAYX_CHECK(by_registration_.at(node.registration) == number);
    RAYX_CHECK(view_.IsAlive(number) == node.info.alive());
    dead += node.info.alive() ? 0 : 1;
  }
  RAYX_CHECK(dead == dead_.size());
}

}  // namespace rayx::head
