// `rayx node`: joins the cluster, then runs the node daemon.
#include <malloc.h>
#include <unistd.h>

#include <utility>

#include "base/heap.h"
#include "base/log.h"
#include "bin/daemon_options.h"
#include "node/node_daemon.h"
#include "rpc/join.h"

namespace rayx::bin {
namespace {

constexpr std::chrono::milliseconds kJoinWait(4000);

base::StatusOr<node::NodeOptions> Join(const DaemonOptions& daemon) {
  RAYX_ASSIGN_OR_RETURN(const cli::StartPlan plan, cli::ReadStartPlan(daemon.session_folder));
  RAYX_RETURN_IF_ERROR(PrepareDaemon(daemon, plan.logs, "node"));
  RAYX_ASSIGN_OR_RETURN(const rpc::JoinFile join,
                        rpc::ReadJoinFile(daemon.session_folder + "/join"));
  RAYX_ASSIGN_OR_RETURN(const io::Address head, io::ParseAddress(join.address));
  RAYX_ASSIGN_OR_RETURN(rpc::Membership member,
                        rpc::JoinCluster(join, head, plan.listen_ip, kJoinWait));
  node::NodeOptions options;
  options.head = head;
  options.credentials = std::move(member.credentials);
  options.listen_ip = plan.listen_ip;
  options.session_folder = daemon.session_folder;
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  options.host_name = host;
  options.resources = plan.resources;
  options.labels = plan.labels;
  options.store_bytes = plan.store_bytes;
  options.log_limits = {plan.logs.file_bytes, plan.logs.files, plan.logs.total_bytes};
  options.beside_head = plan.with_head;
  return options;
}

}  // namespace

int RunNode(const DaemonOptions& daemon) {
  base::KeepFreedMemory();
  ::mallopt(M_ARENA_MAX, 1);  // the others grow and shrink page by page by mprotect
  auto options = Join(daemon);
  if (!options.ok()) {
    RAYX_LOG(kError) << "cannot start: " << base::Message(options.status());
    AnswerReady(daemon.ready_fd, {std::string(base::Message(options.status())), "", 0, ""});
    return 1;
  }
  bool serves = false;
  options->on_ready = [&](const node::NodeReady& ready) {
    serves = true;
    AnswerReady(daemon.ready_fd, {"", ready.address.ToString(), ready.node.value, ready.cluster});
  };
  std::string why;
  const int code = node::RunNodeDaemon(*options, &why);
  if (!serves && code != 0) AnswerReady(daemon.ready_fd, {why, "", 0, ""});
  if (code != 0) RAYX_LOG(kError) << "the node daemon ends: " << why;
  base::FlushLog();
  return code;
}

}  // namespace rayx::bin
