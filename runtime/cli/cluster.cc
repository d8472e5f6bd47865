#include "cli/cluster.h"

#include <algorithm>
#include <ctime>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/session.h"
#include "model/ids.h"
#include "rpc/join_file.h"

namespace rayx::cli {
namespace {

constexpr std::chrono::milliseconds kMoment(200);

std::string WallTime(int64_t unix_ms) {
  const std::time_t seconds = unix_ms / 1000;
  std::tm parts = {};
  ::localtime_r(&seconds, &parts);
  char text[64];
  std::strftime(text, sizeof text, "%F %T", &parts);
  return text;
}

// "the cluster at 10.0.0.1:7399 does not run", for a node that joined "this node of the cluster".
std::string DoesNotRun(const io::SessionInfo& session) {
  return absl::StrCat(session.head ? "" : "this node of ", "the cluster at ", session.head_address,
                      " does not run: ");
}

// OK when nothing of it has died.
base::Status WhyItEnded(const io::SessionInfo& session) {
  const auto ending = ReadEnding(session.folder);
  if (!ending.ok()) return base::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(DoesNotRun(session), "at ", WallTime(ending->unix_ms), " ", ending->ToString()));
}

// Why there is no session that runs: the newest one that ended by itself, else what was looked at.
base::Status WhyNone(const std::string& base) {
  std::vector<std::string> problems;
  for (const io::SessionInfo& session : io::ListSessions(base, &problems)) {
    if (session.embedded) continue;
    RAYX_RETURN_IF_ERROR(WhyItEnded(session));
    return absl::UnavailableError(
        absl::StrCat(DoesNotRun(session), "its supervisor (pid ", session.supervisor.pid,
                     ") was killed; logs: ", session.logs_folder(), "; `rayx stop` cleans up"));
  }
  std::string last;
  if (const auto stop = LastStop(base); stop.ok()) {
    last = absl::StrCat(
        stop->had_head ? " (the last one, at " : " (the node that it had in the last one, at ",
        stop->head_address, ", was stopped at ", WallTime(stop->unix_ms), ")");
  }
  if (problems.empty()) problems.push_back(absl::StrCat(base, ": no session"));
  return absl::NotFoundError(
      absl::StrCat("no cluster runs on this VM for this user", last,
                   "; start one with `rayx start --head`, or join one with `rayx start "
                   "--address`. Tried: ",
                   absl::StrJoin(problems, "; ")));
}

std::string Silent(uint32_t node, const base::Status& why) {
  return absl::StrCat("node ", ToString(model::NodeNumber{node}),
                      " does not answer: ", why.message());
}

// About a head that runs and does not answer.
std::string WhatToDo(const io::SessionInfo& session) {
  if (!io::IsRunning(session.head)) return "";
  if (io::IsStopped(session.head)) {
    return absl::StrCat("; its process (pid ", session.head.pid,
                        ") is stopped by a signal: `kill -CONT ", session.head.pid,
                        "` lets it go on, `rayx stop` ends it");
  }
  return absl::StrCat("; its process (pid ", session.head.pid,
                      ") runs: `rayx logs head.log` may "
                      "say more, `rayx stop` ends it");
}

// Only starts that raced leave it so, or somebody who moved folders.
base::Status Several(const std::vector<io::SessionInfo>& sessions) {
  std::vector<std::string> places;
  for (const io::SessionInfo& session : sessions) {
    places.push_back(absl::StrCat(session.head_address, " (", session.folder, ")"));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "several clusters of this user run on this VM, at ", absl::StrJoin(places, " and "),
      "; `rayx stop` ends them. Give each a RAYX_SESSION_DIR of its own"));
}

}  // namespace

Cluster::Cluster(io::SessionInfo session, rpc::ClusterCredentials credentials,
                 const io::Address& head)
    : session_(std::move(session)),
      credentials_(std::move(credentials)),
      head_(head, rpc::Role::kHead, credentials_) {}

rpc::CallOptions Cluster::Within(std::chrono::milliseconds wait) const {
  const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begun_);
  rpc::CallOptions options;
  options.deadline = std::max(std::min(wait, kAnswerWait - passed), kMoment);
  return options;
}

base::StatusOr<std::unique_ptr<Cluster>> Cluster::Connect() {
  const std::string base = io::SessionBase();
  std::vector<io::SessionInfo> sessions = io::ListSessions(base);
  std::erase_if(sessions, [](const io::SessionInfo& session) {
    return session.embedded || !io::IsRunning(session.supervisor);
  });
  if (sessions.empty()) return WhyNone(base);
  if (sessions.size() > 1) return Several(sessions);
  RAYX_RETURN_IF_ERROR(WhyItEnded(sessions[0]));
  RAYX_ASSIGN_OR_RETURN(const rpc::JoinFile join, rpc::ReadJoinFile(sessions[0].join_path()));
  RAYX_ASSIGN_OR_RETURN(const io::Address head, io::ParseAddress(sessions[0].head_address));
  return std::unique_ptr<Cluster>(
      new Cluster(std::move(sessions[0]), rpc::ClientCredentials(join), head));
}

base::StatusOr<proto::StatusReply> Cluster::Status(std::chrono::milliseconds wait) {
  auto reply = head_.CallAndWait(rpc::kHeadStatus, proto::StatusRequest(), Within(wait));
  if (reply.ok()) return reply;
  if (absl::IsUnauthenticated(reply.status())) {
    return base::Status(
        reply.status().code(),
        absl::StrCat("the head at ", session_.head_address, " refused the token of ",
                     session_.join_path(), ": the file was changed, or is of another cluster"));
  }
  return base::Status(
      reply.status().code(),
      absl::StrCat("the head does not answer: ", reply.status().message(), WhatToDo(session_)));
}

base::StatusOr<std::unique_ptr<rpc::RpcChannel>> Cluster::NodeChannel(
    const proto::NodeInfo& node) const {
  RAYX_ASSIGN_OR_RETURN(const io::Address address, io::ParseAddress(node.address()));
  return std::make_unique<rpc::RpcChannel>(address, rpc::Role::kNode, credentials_);
}

base::StatusOr<std::vector<proto::NodeState>> Cluster::NodeStates(
    std::vector<std::string>& problems) {
  RAYX_ASSIGN_OR_RETURN(const proto::StatusReply status, Status());
  using Answer = base::StatusOr<proto::NodeState>;
  struct Asked {
    const proto::NodeInfo* node;
    std::unique_ptr<rpc::RpcChannel> channel;
    std::shared_ptr<std::promise<Answer>> answer = std::make_shared<std::promise<Answer>>();
  };
  std::vector<Asked> asked;
  for (const proto::NodeInfo& node : status.nodes()) {
    if (!node.alive()) continue;
    auto channel = NodeChannel(node);
    if (!channel.ok()) {
      problems.push_back(Silent(node.number(), channel.status()));
      continue;
    }
    asked.push_back({&node, *std::move(channel)});
    asked.back().channel->Call<proto::NodeStateRequest, proto::NodeState>(
        rpc::kNodeState, proto::NodeStateRequest(), Within(kAnswerWait),
        [answer = asked.back().answer](Answer state) { answer->set_value(std::move(state)); });
  }
  std::vector<proto::NodeState> states;
  for (Asked& one : asked) {
    Answer state = one.answer->get_future().get();
    if (state.ok()) {
      *state->mutable_node() = *one.node;
      states.push_back(*std::move(state));
    } else {
      problems.push_back(Silent(one.node->number(), state.status()));
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
  auto reply = channel->CallAndWait(rpc::kNodeLogs, request, Within(kAnswerWait));
  if (reply.ok()) return reply;
  return base::Status(reply.status().code(), Silent(node, reply.status()));
}

}  // namespace rayx::cli
