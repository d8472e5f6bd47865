// NodeShell: processes that come, by the socket or from a zygote.
#include <signal.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "node/node_shell.h"
#include "node/wire.h"
#include "rpc/errors.h"

namespace rayx::node {

using model::ProcessId;
using std::chrono::milliseconds;

namespace {

constexpr size_t kGreetingsMax = 256;
constexpr auto kGreetingTime = std::chrono::seconds(10);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr auto kAcceptWarning = std::chrono::seconds(1);
// The driver waits 10 s for its Welcome.
constexpr milliseconds kRegisterTime{9000};
constexpr milliseconds kRegisterTimeMin{1000};

}  // namespace

void NodeShell::OnAccept() {
  for (;;) {
    io::Accepted accepted;
    std::string why;
    const io::SocketResult result = listener_.Accept(accepted, why);
    if (result == io::SocketResult::kAgain) return;
    if (result != io::SocketResult::kOk || greetings_.size() >= kGreetingsMax || stopping_) {
      if (why.empty()) why = "too many connections wait for their Hello";
      if (!accepted.socket.valid()) return PauseAccept(why);
      RAYX_LOG(kWarning) << "a connection is refused: " << why;
      proto::DaemonMessage refused;
      *refused.mutable_refused()->mutable_error() =
          rpc::MakeErrorInfo(ErrorCode::kUnauthenticated, why);
      Connection(std::move(accepted.socket)).Send(refused);
      continue;
    }
    const int fd = accepted.socket.fd();
    Greeting greeting;
    greeting.connection = std::make_unique<Connection>(std::move(accepted.socket));
    greeting.pid = accepted.pid;
    greeting.deadline = loop_->AddTimerAfter(kGreetingTime, [this, fd] {
      Refuse(fd, ErrorCode::kUnauthenticated, "no Hello came within 10 s");
    });
    if (!loop_->AddFd(fd, EPOLLIN, [this, fd](uint32_t) { OnGreeting(fd); }).ok()) {
      loop_->CancelTimer(greeting.deadline);
      continue;
    }
    greetings_.emplace(fd, std::move(greeting));
  }
}

// Out of descriptors: the listener stays readable, so that watching it would be a busy loop.
void NodeShell::PauseAccept(const std::string& why) {
  if (accept_warned_ == model::TimePoint{} || Now() - accept_warned_ > kAcceptWarning) {
    RAYX_LOG(kWarning) << "connections wait: " << why;
    accept_warned_ = Now();
  }
  loop_->ChangeFd(listener_.fd(), 0);
  loop_->AddTimerAfter(kAcceptPause, [this] {
    if (!stopping_) loop_->ChangeFd(listener_.fd(), EPOLLIN);
  });
}

void NodeShell::Refuse(int fd, ErrorCode code, const std::string& message) {
  auto it = greetings_.find(fd);
  if (it == greetings_.end()) return;
  proto::DaemonMessage refused;
  *refused.mutable_refused()->mutable_error() = rpc::MakeErrorInfo(code, message);
  it->second.connection->Send(refused);
  loop_->CancelTimer(it->second.deadline);
  loop_->RemoveFd(fd);
  greetings_.erase(it);
}

void NodeShell::OnGreeting(int fd) {
  auto it = greetings_.find(fd);
  if (it == greetings_.end()) return;
  io::Packet packet;
  const io::SocketResult result = it->second.connection->socket.Receive(packet);
  if (result == io::SocketResult::kAgain) return;
  proto::ClientMessage message;
  if (result != io::SocketResult::kOk ||
      !message.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size())) ||
      !message.has_hello()) {
    return Refuse(fd, ErrorCode::kVersionMismatch, "the first message was no Hello");
  }
  const proto::Hello& hello = message.hello();
  proto::Versions theirs = hello.versions();
  if (const auto status = CheckClientVersions(theirs); !status.ok()) {
    return Refuse(fd, ErrorCode::kVersionMismatch, std::string(base::Message(status)));
  }
  if (hello.role() != proto::DRIVER) {
    return Refuse(fd, ErrorCode::kUnauthenticated, "workers are started by their node daemon");
  }
  if (!hello.head_address().empty() && hello.head_address() != options_.head.ToString()) {
    return Refuse(fd, ErrorCode::kInvalidOption,
                  "this node belongs to the cluster at " + options_.head.ToString() + ", not to " +
                      hello.head_address());
  }
  loop_->CancelTimer(it->second.deadline);
  loop_->RemoveFd(fd);
  std::unique_ptr<Connection> connection = std::move(it->second.connection);
  const int32_t pid = it->second.pid;
  greetings_.erase(it);
  OnDriverHello(std::move(connection), pid, hello);
}

void NodeShell::OnDriverHello(std::unique_ptr<Connection> connection, int32_t pid,
                              const proto::Hello& hello) {
  base::UniqueFd pidfd = io::OpenPidfd(pid);
  if (!pidfd) return;  // gone already
  struct Caller {
    std::unique_ptr<Connection> connection;
    base::UniqueFd pidfd;
  };
  const auto caller = std::make_shared<Caller>(Caller{std::move(connection), std::move(pidfd)});
  parts_->MakeManifest(hello.program(), [this, caller, pid, hello,
                                         came = Now()](base::StatusOr<Manifest> manifest) {
    if (manifest.ok()) {
      return RegisterDriver(std::move(caller->connection), pid, std::move(caller->pidfd), hello,
                            *manifest, came);
    }
    const bool is_wrong = absl::IsInvalidArgument(manifest.status());
    proto::DaemonMessage refused;
    *refused.mutable_refused()->mutable_error() = rpc::MakeErrorInfo(
        is_wrong ? ErrorCode::kInvalidOption : ErrorCode::kMissingLibrary,
        "the driver's program cannot be read: " + std::string(base::Message(manifest.status())));
    caller->connection->Send(refused);
  });
}

void NodeShell::RegisterDriver(std::unique_ptr<Connection> connection, int32_t pid,
                               base::UniqueFd pidfd, const proto::Hello& hello,
                               const Manifest& manifest, model::TimePoint came) {
  auto added =
      table_->Add(proto::DRIVER, model::JobId{}, pid, std::move(pidfd), std::move(connection));
  if (!added.ok()) {
    RAYX_LOG(kError) << "a driver cannot connect: " << base::Message(added.status());
    return;
  }
  LocalProcess& driver = **added;
  driver.program_key = manifest.program.key();
  proto::RegisterJobRequest request;
  request.set_driver(driver.id.value);
  request.set_program(manifest.program.executable());
  request.set_job_namespace(hello.job_namespace());
  request.set_host(options_.host_name);
  request.set_pid(pid);
  request.set_registration(registration_ + "/" + std::to_string(driver.id.number()));
  rpc::CallOptions options;
  const auto spent = std::chrono::duration_cast<milliseconds>(Now() - came);
  options.deadline = std::max(kRegisterTime - spent, kRegisterTimeMin);
  options.idempotent = true;
  head_->Call<proto::RegisterJobRequest, proto::RegisterJobReply>(
      rpc::kHeadRegisterJob, request, options,
      [this, id = driver.id, manifest, request](base::StatusOr<proto::RegisterJobReply> reply) {
        // It may have reached the head all the same, and the driver is refused.
        if (!reply.ok()) head_->AbandonJob(request);
        WelcomeDriver(id, manifest, std::move(reply));
      });
}

void NodeShell::WelcomeDriver(ProcessId id, const Manifest& manifest,
                              base::StatusOr<proto::RegisterJobReply> reply) {
  LocalProcess* driver = table_->Find(id);
  if (driver == nullptr) return;
  if (!reply.ok() || reply->error().code() != 0) {
    proto::DaemonMessage refused;
    auto* error = refused.mutable_refused()->mutable_error();
    *error = reply.ok() ? reply->error() : rpc::ToErrorInfo(reply.status());
    if (!reply.ok()) error->set_code(static_cast<int32_t>(ErrorCode::kHeadUnavailable));
    table_->Send(*driver, refused);
    table_->Remove(id);
    return;
  }
  driver->job = model::JobId{reply->job()};
  driver->job_namespace = reply->job_namespace();
  OpenJob(driver->job, manifest.program, driver->job_namespace);
  parts_->Serve(driver->job, manifest);
  jobs_[driver->job].driver = id;
  Welcome(*driver);
}

void NodeShell::OnWorkerHello(StartedWorker worker) {
  if (const auto status = CheckClientVersions(worker.hello.versions()); !status.ok()) {
    proto::DaemonMessage refused;
    *refused.mutable_refused()->mutable_error() =
        rpc::MakeErrorInfo(ErrorCode::kVersionMismatch, std::string(base::Message(status)));
    worker.connection->Send(refused);
    // Another release may not heed what it is told, and the starter has let go of it.
    io::Signal(worker.pidfd.get(), SIGKILL);
    core_->OnStartFailed(worker.start, std::string(base::Message(status)), Now(), effects_);
    return RunEffects();
  }
  const StartId start = worker.start;
  auto added = table_->Add(proto::WORKER, worker.job, worker.pid, std::move(worker.pidfd),
                           std::move(worker.connection));
  if (!added.ok()) {
    core_->OnStartFailed(start, std::string(base::Message(added.status())), Now(), effects_);
    return RunEffects();
  }
  LocalProcess& process = **added;
  process.start = start;
  process.program_key = worker.program_key;
  if (auto job = jobs_.find(process.job); job != jobs_.end()) {
    process.job_namespace = job->second.job_namespace;
  }
  starts_[start] = process.id;
  Welcome(process);
  core_->OnHello(start, process.id, Now(), effects_);
  RunEffects();
}

void NodeShell::Welcome(LocalProcess& process) {
  proto::DaemonMessage message;
  auto* welcome = message.mutable_welcome();
  *welcome->mutable_versions() = OwnClientVersions();
  welcome->set_process(process.id.value);
  welcome->set_job(process.job.value);
  welcome->set_host_name(options_.host_name);
  welcome->set_node_ip(options_.listen_ip);
  welcome->set_job_namespace(process.job_namespace);
  table_->SendWelcome(process, message);
  if (const auto status = AttachSegment(process, process.job); !status.ok()) {
    RAYX_LOG(kWarning) << ToString(process.id) << " has no store: " << base::Message(status);
  }
  WatchProcess(process);
}

void NodeShell::WatchProcess(LocalProcess& process) {
  const ProcessId id = process.id;
  const auto socket = loop_->AddFd(process.connection->socket.fd(), EPOLLIN,
                                   [this, id](uint32_t events) { OnSocket(id, events); });
  const auto pidfd =
      loop_->AddFd(process.pidfd.get(), EPOLLIN, [this, id](uint32_t) { OnExit(id); });
  if (socket.ok() && pidfd.ok()) return;
  RAYX_LOG(kError) << "process " << ToString(id) << " cannot be watched and is ended";
  io::Signal(process.pidfd.get(), SIGKILL);
}

}  // namespace rayx::node
