// NodeShell: ends of processes, jobs and nodes.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "base/log.h"
#include "node/node_shell.h"
#include "node/wire.h"
#include "rpc/errors.h"
#include "scheduling/wire.h"

namespace rayx::node {

using model::NodeNumber;
using model::ProcessId;
using std::chrono::milliseconds;

namespace {

constexpr auto kSocketLostGrace = std::chrono::milliseconds(500);
constexpr auto kStrangerAge = std::chrono::seconds(5);
constexpr auto kStrangerHunt = std::chrono::seconds(1);

// What goes wrong on the way out is no end that was meant.
bool HasExitedAsItSaid(const LocalProcess& process, const io::ExitStatus& status) {
  return process.actor_exits && process.end_reason.empty() && status.signal == 0 &&
         status.exit_code == 0;
}

std::string Sentence(const LocalProcess& process, const std::string& host,
                     const io::ExitStatus& status) {
  std::string text = process.role == proto::DRIVER ? "the driver" : "worker";
  text += " pid " + std::to_string(process.pid) + " on " + host;
  if (!process.end_reason.empty()) return text + " was ended: " + process.end_reason;
  if (HasExitedAsItSaid(process, status)) return text + " has ended: its actor called ExitActor";
  return text + " " + status.ToString();
}

proto::ErrorInfo ErrorOf(const proto::DeathCause& cause, NodeNumber node) {
  proto::ErrorInfo error = scheduling::ErrorOf(cause);
  error.set_node(node.value);
  return error;
}

}  // namespace

void NodeShell::Notify(NodeNumber node, const proto::NotifyRequest& request) {
  rpc::RpcChannel* channel = peers_->Channel(node);
  if (channel == nullptr) return;
  rpc::CallOptions options;
  options.deadline = milliseconds(30000);
  options.idempotent = true;
  channel->Call<proto::NotifyRequest, proto::NotifyReply>(rpc::kNodeNotify, request, options,
                                                          [](auto) {});
}

void NodeShell::OnSocketLost(LocalProcess& process) {
  if (process.role == proto::DRIVER) return OnDriverLeft(process);
  // A worker without its daemon ends by itself; its exit status follows.
  loop_->AddTimerAfter(kSocketLostGrace, [this, id = process.id] {
    LocalProcess* late = table_->Find(id);
    if (late != nullptr) io::Signal(late->pidfd.get(), SIGKILL);
  });
}

proto::DeathCause NodeShell::CauseOf(LocalProcess& process) {
  proto::DeathCause cause;
  io::ExitStatus status;
  if (process.role == proto::WORKER) {
    if (const auto reaped = io::Reap(process.pidfd.get())) status = *reaped;
  }
  for (std::string& line : starter_->LastLines(process.start)) {
    cause.add_log_lines(ValidUtf8(std::move(line)));
  }
  cause.set_signal(status.signal);
  cause.set_exit_code(status.exit_code);
  // That this node ends is nobody's own fault: it counts as the node's death, here and elsewhere.
  const ErrorCode of_worker = stopping_ ? ErrorCode::kNodeDied : ErrorCode::kWorkerDied;
  cause.set_code(
      static_cast<int32_t>(process.role == proto::DRIVER ? ErrorCode::kOwnerDied : of_worker));
  cause.set_meant(HasExitedAsItSaid(process, status));
  cause.set_pid(process.pid);
  cause.set_host(options_.host_name);
  cause.set_reason(Sentence(process, options_.host_name, status));
  if (const auto fault = process.plate.page->fault()) {
    const std::string title = process.plate.page->title();
    cause.set_reason("task " + (title.empty() ? std::string("of worker") : title) + " (pid " +
                     std::to_string(process.pid) + " on " + options_.host_name +
                     ") wrote to immutable object " + ToString(fault->object) + ": clone it first");
  }
  Bound(cause);
  return cause;
}

void NodeShell::TellDeath(LocalProcess& process, const proto::DeathCause& cause) {
  const auto message = std::make_shared<proto::DaemonMessage>();
  message->mutable_process_died()->set_process(process.id.value);
  *message->mutable_process_died()->mutable_cause() = cause;
  const bool forgot_some = process.contacts.size() >= ProcessTable::kContactsMax;
  std::set<NodeNumber> nodes;
  for (ProcessId contact : process.contacts) {
    if (contact.node() != self_) {
      nodes.insert(contact.node());
    } else if (!forgot_some) {
      if (LocalProcess* other = table_->Find(contact)) router_->TellAfterAnswers(*other, message);
    }
  }
  if (forgot_some) TellAllAfterAnswers(message);
  std::vector<std::byte> body;
  for (NodeNumber node : nodes) {
    std::string why;  // a node that is dead needs no news
    const model::FrameHeader header = DeathFrame(message->process_died(), node, body);
    peers_->Send(header, body, why);
  }
}

void NodeShell::TellAllAfterAnswers(const std::shared_ptr<const proto::DaemonMessage>& message) {
  for (const auto& [id, process] : table_->all()) {
    if (process->welcomed) router_->TellAfterAnswers(*process, message);
  }
}

// The process leaves every table of this daemon.
void NodeShell::Forget(LocalProcess& process, const proto::DeathCause& cause) {
  const ProcessId id = process.id;
  const StartId start = process.start;
  const proto::ErrorInfo error = ErrorOf(cause, self_);
  router_->DrainLast(process);
  router_->ReturnUnstarted(process, error);
  TellDeath(process, cause);
  loop_->RemoveFd(process.pidfd.get());
  loop_->RemoveFd(process.connection->socket.fd());
  router_->OnProcessGone(process, error);
  peers_->OnLocalProcessGone(id);
  const model::JobId job = process.job;
  table_->Remove(id);
  starts_.erase(start);
  if (ended_jobs_.count(job) != 0) RemoveJobFolder(job);
  core_->OnProcessGone(id, error, Now(), effects_);
  RunEffects();
}

void NodeShell::OnExit(ProcessId id) {
  LocalProcess* process = table_->Find(id);
  if (process == nullptr || !io::HasExited(process->pidfd.get())) return;
  const bool is_driver = process->role == proto::DRIVER;
  const model::JobId job = process->job;
  if (!is_driver) {
    starter_->FinishOutput(process->start);  // its last words go out before its death does
  }
  const proto::DeathCause cause = CauseOf(*process);
  if (!is_driver) starter_->FinishLog(process->start);
  RAYX_LOG(kInfo) << ToString(id) << ": " << cause.reason();
  Forget(*process, cause);
  // Only now: whether its owners still need what it had stored follows from its last answers.
  store_->ProcessGone(id);
  if (is_driver) EndJob(job, cause.reason(), true);
}

// A worker is ours to end. A driver is the user's: it is cut off.
void NodeShell::OnCorrupt(LocalProcess& process, const std::string& why) {
  RAYX_LOG(kWarning) << ToString(process.id) << " is cut off: " << why;
  process.end_reason = "it wrote nonsense into its channel: " + why;
  if (process.role == proto::WORKER) {
    io::Signal(process.pidfd.get(), SIGKILL);
    return;
  }
  loop_->Post([this, alive = alive_, id = process.id] {
    if (!*alive) return;
    if (LocalProcess* driver = table_->Find(id)) OnDriverLeft(*driver);
  });
}

// A driver that has left its cluster, by Shutdown or by its end, which its pidfd tells a moment
// later.
void NodeShell::OnDriverLeft(LocalProcess& driver) {
  const ProcessId id = driver.id;
  const model::JobId job = driver.job;
  proto::DeathCause cause;
  cause.set_code(static_cast<int32_t>(ErrorCode::kOwnerDied));
  cause.set_pid(driver.pid);
  cause.set_host(options_.host_name);
  cause.set_reason("the driver pid " + std::to_string(driver.pid) + " on " + options_.host_name +
                   (driver.said_goodbye ? " has shut down" : " has closed its connection"));
  RAYX_LOG(kInfo) << ToString(id) << ": " << cause.reason();
  loop_->RemoveFd(driver.pidfd.get());
  Lingering lingering{id, std::move(driver.pidfd)};
  const int fd = lingering.pidfd.get();
  Forget(driver, cause);
  EndJob(job, cause.reason(), true);
  lingering_[id] = std::move(lingering);
  const auto watched = loop_->AddFd(fd, EPOLLIN, [this, id, fd](uint32_t) {
    loop_->RemoveFd(fd);
    store_->ProcessGone(id);
    lingering_.erase(id);
  });
  if (!watched.ok()) RAYX_LOG(kWarning) << "pins of " << ToString(id) << " stay";
}

void NodeShell::OnRemoteDeath(const proto::ProcessDied& died) {
  const ProcessId id{died.process()};
  const proto::ErrorInfo error = ErrorOf(died.cause(), id.node());
  const auto message = std::make_shared<proto::DaemonMessage>();
  *message->mutable_process_died() = died;
  for (ProcessId local : router_->TakeContactsOf(id)) {
    if (LocalProcess* process = table_->Find(local)) router_->TellAfterAnswers(*process, message);
  }
  peers_->OnDestinationGone(id, error);
  store_->ProcessGone(id);
  core_->OnProcessGone(id, error, Now(), effects_);
  RunEffects();
}

void NodeShell::EndJob(model::JobId job, const std::string& reason, bool tell_head) {
  if (!job || !ended_jobs_.insert(job).second) return;
  RAYX_LOG(kInfo) << "job " << job.value << " ends: " << reason;
  if (tell_head) {
    proto::FinishJobRequest request;
    request.set_job(job.value);
    request.set_reason(reason);
    head_->FinishJob(request);
  }
  core_->OnJobEnded(job, Now(), effects_);
  RunEffects();
  store_->CloseJob(job);
  parts_->OnJobEnded(job);
  starter_->OnJobEnded(job);
  jobs_.erase(job);
  RemoveJobFolder(job);
}

// When its last worker has left it.
void NodeShell::RemoveJobFolder(model::JobId job) {
  for (const auto& [id, process] : table_->all()) {
    if (process->role == proto::WORKER && process->job == job) return;
  }
  const std::string folder = starter_->JobFolder(job);
  if (::access(folder.c_str(), F_OK) == 0) parts_->RemoveFolder(folder);
}

void NodeShell::OnNodeDead(NodeNumber node, const std::string& reason) {
  const scheduling::NodeView* known = core_->leases().view().Find(node);
  if (known != nullptr && !known->alive) return;
  if (known == nullptr) {  // it died before this node came: nobody here had to do with it
    scheduling::NodeView view;
    view.number = node;
    view.alive = false;
    view.death_reason = reason;
    peers_->OnNodeDead(node, reason);
    core_->OnClusterView({view}, Now(), effects_);
    return RunEffects();
  }
  if (node == self_) return;
  RAYX_LOG(kWarning) << "node " << ToString(node) << " is dead: " << reason;
  // The clients first: what comes back as undeliverable finds them knowing why.
  const auto message = std::make_shared<proto::DaemonMessage>();
  message->mutable_node_died()->set_node(node.value);
  message->mutable_node_died()->set_reason(reason);
  if (router_) TellAllAfterAnswers(message);
  core_->OnNodeDead(node, reason, Now(), effects_);
  RunEffects();
  peers_->OnNodeDead(node, reason);
  if (router_) router_->OnNodeGone(node);
  if (store_) store_->NodeGone(node);
  if (parts_) parts_->OnNodeDead(node, reason);
}

// Children that ended and that nobody claims: a fork whose answer was lost, an orphan of a user's.
void NodeShell::ReapStrangers() {
  siginfo_t info{};
  if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) {
    strangers_.clear();
    return;
  }
  if (Now() < next_stranger_hunt_) return;
  next_stranger_hunt_ = Now() + kStrangerHunt;
  std::map<pid_t, model::TimePoint> zombies;
  for (const io::Child& child : io::Children()) {
    if (!child.is_zombie) continue;
    const auto known = strangers_.find(child.pid);
    const model::TimePoint since = known == strangers_.end() ? Now() : known->second;
    if (Now() - since >= kStrangerAge) {
      ::waitid(P_PID, static_cast<id_t>(child.pid), &info, WEXITED | WNOHANG);
    } else {
      zombies.emplace(child.pid, since);
    }
  }
  strangers_ = std::move(zombies);
}

}  // namespace rayx::node
