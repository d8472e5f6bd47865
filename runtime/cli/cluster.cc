#include "cli/cluster.h"

#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/session.h"
#include "model/ids.h"
#include "rpc/join_file.h"

namespace rayx::cli {
namespace {

std::string WallTime(int64_t unix_ms) {
  const std::time_t seconds = unix_ms / 1000;
  std::tm parts = {};
  ::localtime_r(&seconds, &parts);
  char text[64];
  std::strftime(text, sizeof text, "%F %T", &parts);
  return text;
}

// OK when nothing of it has died.
base::Status WhyItEnded(const io::SessionInfo& session) {
  const auto ending = ReadEnding(session.folder);
  if (!ending.ok()) return base::OkStatus();
  return absl::UnavailableError(absl::StrCat("the cluster at ", session.head_address,
                                             " does not run: at ", WallTime(ending->unix_ms), " ",
                                             ending->ToString()));
}

// Why there is no session that runs: the newest one that ended by itself, else what was looked at.
base::Status WhyNone(const std::string& base) {
  std::vector<std::string> problems;
  for (const io::SessionInfo& session : io::ListSessions(base, &problems)) {
    if (session.embedded) continue;
    RAYX_RETURN_IF_ERROR(WhyItEnded(session));
    return absl::UnavailableError(
        absl::StrCat("the cluster at ", session.head_address, " does not run: its supervisor (pid ",
                     session.supervisor.pid, ") was killed; logs: ", session.logs_folder(),
                     "; `rayx stop` cleans up"));
  }
  std::string last;
  if (const auto stop = LastStop(base); stop.ok()) {
    last = absl::StrCat(" (the last one, at ", stop->head_address, ", was stopped at ",
                        WallTime(stop->unix_ms), ")");
  }
  if (problems.empty()) problems.push_back(absl::StrCat(base, ": no session"));
  return absl::NotFoundError(
      absl::StrCat("no cluster runs on this VM for this user", last,
                   "; start one with `rayx start --head`. Tried: ", absl::StrJoin(problems, "; ")));
}

rpc::CallOptions Within(std::chrono::milliseconds wait) {
  rpc::CallOptions options;
  options.deadline = wait;
  return options;
}

}  // namespace

Cluster::Cluster(io::SessionInfo session, rpc::ClusterCredentials credentials,
                 const io::Address& head)
    : session_(std::move(session)),
      credentials_(std::move(credentials)),
      head_(head, rpc::Role::kHead, credentials_) {}

base::StatusOr<std::unique_ptr<Cluster>> Cluster::Connect() {
  const std::string base = io::SessionBase();
  std::vector<io::SessionInfo> sessions = io::ListSessions(base);
  std::erase_if(sessions, [](const io::SessionInfo& session) {
    return session.embedded || !io::IsRunning(session.supervisor);
  });
  if (sessions.empty()) return WhyNone(base);
  RAYX_RETURN_IF_ERROR(WhyItEnded(sessions[0]));
  RAYX_ASSIGN_OR_RETURN(const rpc::JoinFile join, rpc::ReadJoinFile(sessions[0].join_path()));
  RAYX_ASSIGN_OR_RETURN(const io::Address head, io::ParseAddress(sessions[0].head_address));
  return std::unique_ptr<Cluster>(
      new Cluster(std::move(sessions[0]), rpc::ClientCredentials(join), head));
}

base::StatusOr<proto::StatusReply> Cluster::Status(std::chrono::milliseconds wait) {
  auto reply = head_.CallAndWait(rpc::kHeadStatus, proto::StatusRequest(), Within(wait));
  if (reply.ok()) return reply;
  return base::Status(reply.status().code(),
                      absl::StrCat("the head does not answer: ", reply.status().message()));
}

base::StatusOr<std::unique_ptr<rpc::RpcChannel>> Cluster::NodeChannel(
    const proto::NodeInfo& node) const {
  RAYX_ASSIGN_OR_RETURN(const io::Address address, io::ParseAddress(node.address()));
  return std::make_unique<rpc::RpcChannel>(address, rpc::Role::kNode, credentials_);
}

base::StatusOr<std::vector<proto::NodeState>> Cluster::NodeStates(
    std::vector<std::string>& problems) {
  RAYX_ASSIGN_OR_RETURN(const proto::StatusReply status, Status());
  std::vector<proto::NodeState> states;
  for (const proto::NodeInfo& node : status.nodes()) {
    if (!node.alive()) continue;
    auto channel = NodeChannel(node);
    auto state = channel.ok() ? (*channel)->CallAndWait(rpc::kNodeState, proto::NodeStateRequest(),
                                                        Within(kAnswerWait))
                              : base::StatusOr<proto::NodeState>(channel.status());
    if (state.ok()) {
      *state->mutable_node() = node;
      states.push_back(*std::move(state));
    } else {
      problems.push_back(absl::StrCat("node ", node.number(), ": ", state.status().message()));
    }
  }
  return states;
}

base::StatusOr<std::unique_ptr<rpc::RpcChannel>> Cluster::NodeChannel(
    uint32_t number, std::chrono::milliseconds wait) {
  RAYX_ASSIGN_OR_RETURN(const proto::StatusReply status, Status(wait));
  for (const proto::NodeInfo& node : status.nodes()) {
    if (node.number() != number) continue;
    if (node.alive()) return NodeChannel(node);
    return absl::FailedPreconditionError(
        absl::StrCat("node ", number, " is dead: ", node.death_reason()));
  }
  return absl::NotFoundError(
      absl::StrCat("the cluster has no node ", ToString(model::NodeNumber{number})));
}

base::StatusOr<proto::NodeState> Cluster::StateOf(uint32_t node, std::chrono::milliseconds wait) {
  RAYX_ASSIGN_OR_RETURN(const auto channel, NodeChannel(node, wait));
  return channel->CallAndWait(rpc::kNodeState, proto::NodeStateRequest(), Within(wait));
}

base::StatusOr<proto::LogReply> Cluster::Logs(uint32_t node, const std::string& file,
                                              uint32_t tail_lines) {
  RAYX_ASSIGN_OR_RETURN(const auto channel, NodeChannel(node, kAnswerWait));
  proto::LogRequest request;
  request.set_file(file);
  request.set_tail_lines(tail_lines);
  return channel->CallAndWait(rpc::kNodeLogs, request, Within(kAnswerWait));
}

}  // namespace rayx::cli
