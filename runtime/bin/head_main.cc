// `rayx head`: makes the cluster's secrets, serves until it is told to stop.
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "base/fd.h"
#include "base/log.h"
#include "bin/daemon_options.h"
#include "head/head_server.h"
#include "io/address.h"
#include "rpc/join_file.h"
#include "rpc/secret.h"

namespace rayx::bin {
namespace {

base::Status MakeCredentials(const cli::StartPlan& plan, head::HeadServerOptions& options) {
  options.credentials.token = rpc::RandomHex(rpc::kTokenBytes);
  if (plan.insecure || io::IsLoopback(plan.listen_ip)) return base::OkStatus();
  RAYX_ASSIGN_OR_RETURN(options.authority, rpc::CertificateAuthority::Make(plan.cluster));
  RAYX_ASSIGN_OR_RETURN(rpc::SigningRequest request, rpc::MakeSigningRequest());
  RAYX_ASSIGN_OR_RETURN(
      options.credentials.certificate_pem,
      options.authority->Sign(request.request_pem, rpc::Role::kHead, plan.listen_ip));
  options.credentials.key_pem = std::move(request.key_pem);
  options.credentials.ca_pem = options.authority->certificate_pem();
  return base::OkStatus();
}

base::Status WriteJoin(const std::string& folder, const cli::StartPlan& plan,
                       const head::HeadServerOptions& options, const io::Address& address) {
  rpc::JoinFile join;
  join.address = address.ToString();
  join.token = options.credentials.token;
  join.ca_pem = options.credentials.ca_pem;
  join.insecure = plan.insecure;
  if (!join.ca_pem.empty()) {
    RAYX_ASSIGN_OR_RETURN(join.ca_fingerprint, rpc::CertificateFingerprint(join.ca_pem));
  }
  return rpc::WriteJoinFile(folder + "/join", join);
}

struct Serving {
  std::unique_ptr<head::HeadServer> server;
  base::UniqueFd signals;
  std::shared_ptr<base::UniqueFd> stop_asked;
};

base::StatusOr<Serving> Start(const DaemonOptions& daemon) {
  Serving serving;
  // Before any thread: all inherit the mask.
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  serving.signals.Reset(::signalfd(-1, &set, SFD_CLOEXEC));
  serving.stop_asked = std::make_shared<base::UniqueFd>(::eventfd(0, EFD_CLOEXEC));
  RAYX_ASSIGN_OR_RETURN(const cli::StartPlan plan, cli::ReadStartPlan(daemon.session_folder));
  RAYX_RETURN_IF_ERROR(PrepareDaemon(daemon, plan.logs, "head"));
  head::HeadServerOptions options;
  options.ip = plan.listen_ip;
  options.port = plan.port;
  options.core.membership.cluster = plan.cluster;
  RAYX_RETURN_IF_ERROR(MakeCredentials(plan, options));
  options.on_stop_asked = [fd = serving.stop_asked](const std::string&) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(fd->get(), &one, sizeof one);
  };
  RAYX_ASSIGN_OR_RETURN(serving.server,
                        head::HeadServer::Start(options, std::make_unique<head::MemoryStorage>()));
  RAYX_RETURN_IF_ERROR(WriteJoin(daemon.session_folder, plan, options, serving.server->address()));
  RAYX_LOG(kInfo) << "the head serves at " << serving.server->address().ToString()
                  << (options.credentials.tls() ? " with TLS" : " without TLS");
  return serving;
}

}  // namespace

int RunHead(const DaemonOptions& options) {
  auto serving = Start(options);
  if (!serving.ok()) {
    RAYX_LOG(kError) << "cannot start: " << base::Message(serving.status());
    AnswerReady(options.ready_fd, {std::string(base::Message(serving.status())), "", 0, ""});
    return 1;
  }
  AnswerReady(options.ready_fd, {"", serving->server->address().ToString(), 0, ""});
  pollfd watched[2] = {{serving->signals.get(), POLLIN, 0},
                       {serving->stop_asked->get(), POLLIN, 0}};
  while (::poll(watched, 2, -1) < 0 && errno == EINTR) {
  }
  RAYX_LOG(kInfo) << "the head stops";
  serving->server->Stop("the cluster was stopped");
  base::FlushLog();
  return 0;
}

}  // namespace rayx::bin
