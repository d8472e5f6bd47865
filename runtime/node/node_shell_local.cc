// NodeShell: what the processes of this node say.
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "node/node_shell.h"
#include "node/wire.h"
#include "rpc/errors.h"
#include "rpc/join.h"
#include "scheduling/wire.h"

namespace rayx::node {

using model::ProcessId;
using std::chrono::milliseconds;

namespace {

constexpr size_t kGreetingsMax = 256;
constexpr auto kGreetingTime = std::chrono::seconds(10);
constexpr uint32_t kHeadRequestsMax = 4096;  // a process, under way
constexpr size_t kEarlyLinesMax = 256;  // messages of lines
constexpr int kPacketsPerRound = 256;
constexpr milliseconds kHeadAway{30000};
constexpr milliseconds kLongPollExtra{5000};

}  // namespace

// --- greetings -----------------------------------------------------------------------------------

void NodeShell::OnAccept() {
  for (;;) {
    io::Accepted accepted;
    std::string why;
    const io::SocketResult result = listener_.Accept(accepted, why);
    if (result == io::SocketResult::kAgain) return;
    if (result != io::SocketResult::kOk || greetings_.size() >= kGreetingsMax || stopping_) {
      if (why.empty()) why = "too many connections wait for their Hello";
      RAYX_LOG(kWarning) << "a connection is refused: " << why;
      if (!accepted.socket.valid()) return;
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
  proto::Program program = hello.program();
  if (const auto status = programs_.Complete(program); !status.ok()) {
    proto::DaemonMessage refused;
    *refused.mutable_refused()->mutable_error() = rpc::MakeErrorInfo(
        ErrorCode::kMissingLibrary,
        "the driver's program cannot be read: " + std::string(base::Message(status)));
    connection->Send(refused);
    return;
  }
  auto added = table_->Add(proto::DRIVER, model::JobId{}, pid, std::move(pidfd),
                           std::move(connection));
  if (!added.ok()) {
    RAYX_LOG(kError) << "a driver cannot connect: " << base::Message(added.status());
    return;
  }
  LocalProcess& driver = **added;
  driver.program_key = program.key();
  proto::RegisterJobRequest request;
  request.set_driver(driver.id.value);
  request.set_program(program.executable());
  request.set_job_namespace(hello.job_namespace());
  request.set_host(options_.host_name);
  request.set_pid(pid);
  request.set_registration(registration_ + "/" + std::to_string(driver.id.number()));
  rpc::CallOptions options;
  options.deadline = milliseconds(9000);  // the driver waits 10 s for its Welcome
  options.idempotent = true;
  head_->Call<proto::RegisterJobRequest, proto::RegisterJobReply>(
      rpc::kHeadRegisterJob, request, options,
      [this, id = driver.id, program](base::StatusOr<proto::RegisterJobReply> reply) {
        WelcomeDriver(id, program, std::move(reply));
      });
}

void NodeShell::WelcomeDriver(ProcessId id, const proto::Program& program,
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
  OpenJob(driver->job, program);
  Job& job = jobs_[driver->job];
  job.driver = id;
  job.is_local = true;
  job.job_namespace = driver->job_namespace;
  Welcome(*driver);
}

void NodeShell::OnWorkerHello(StartedWorker worker) {
  if (const auto status = CheckClientVersions(worker.hello.versions()); !status.ok()) {
    proto::DaemonMessage refused;
    *refused.mutable_refused()->mutable_error() =
        rpc::MakeErrorInfo(ErrorCode::kVersionMismatch, std::string(base::Message(status)));
    worker.connection->Send(refused);
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
  *welcome->mutable_versions() = OurClientVersions();
  welcome->set_process(process.id.value);
  welcome->set_job(process.job.value);
  welcome->set_host_name(options_.host_name);
  welcome->set_session_folder(options_.session_folder);
  welcome->set_node_ip(options_.listen_ip);
  welcome->set_head_address(options_.head.ToString());
  welcome->set_store_bytes(options_.store_bytes);
  *welcome->mutable_node_resources() = scheduling::ToWire(options_.resources);
  welcome->set_task_workers_max(core_->leases().options().task_workers_max);
  welcome->set_job_namespace(process.job_namespace);
  welcome->set_print_worker_output(true);
  table_->SendWelcome(process, message);
  AttachSegment(process, process.job);
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

// --- messages ------------------------------------------------------------------------------------

void NodeShell::UpdateWatch(LocalProcess& process) {
  if (process.socket_lost) return;
  Connection& connection = *process.connection;
  if (connection.queue.broken()) {
    // The socket's end is what OnSocket sees next; a reader that is too slow is cut off.
    ::shutdown(connection.socket.fd(), SHUT_RDWR);
  }
  const uint32_t wanted = EPOLLIN | (connection.queue.empty() ? 0u : uint32_t{EPOLLOUT});
  loop_->ChangeFd(connection.socket.fd(), wanted);
}

void NodeShell::OnSocket(ProcessId id, uint32_t events) {
  LocalProcess* process = table_->Find(id);
  if (process == nullptr || process->socket_lost) return;
  if ((events & EPOLLOUT) != 0) {
    process->connection->queue.Flush();
    UpdateWatch(*process);
  }
  io::Packet packet;
  proto::ClientMessage message;
  for (int i = 0; i < kPacketsPerRound; ++i) {
    const io::SocketResult result = process->connection->socket.Receive(packet);
    if (result == io::SocketResult::kAgain) return;
    const bool parsed =
        result == io::SocketResult::kOk &&
        message.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size()));
    if (!parsed) {
      if (result == io::SocketResult::kOk) process->end_reason = "it sent no valid message";
      process->socket_lost = true;
      loop_->RemoveFd(process->connection->socket.fd());
      return OnSocketLost(*process);
    }
    OnMessage(*process, message);
    process = table_->Find(id);
    if (process == nullptr || process->socket_lost) return;
  }
}

void NodeShell::OnMessage(LocalProcess& process, const proto::ClientMessage& message) {
  switch (message.message_case()) {
    case proto::ClientMessage::kLeaseRequest:
      return OnLeaseRequest(process, message.lease_request());
    case proto::ClientMessage::kLeaseCancel:
      core_->OnLeaseCancel({process.id, message.lease_cancel().request_id(), 0}, Now(), effects_);
      return RunEffects();
    case proto::ClientMessage::kLeaseReturn:
      core_->OnLeaseReturn(model::LeaseId{message.lease_return().lease()},
                           message.lease_return().worker_failed(), Now(), effects_);
      return RunEffects();
    case proto::ClientMessage::kBlocked:
    case proto::ClientMessage::kUnblocked:
      core_->OnBlocked(process.id, message.has_blocked(), Now(), effects_);
      return RunEffects();
    case proto::ClientMessage::kConnectPeer:
      return OnConnectPeer(process, ProcessId{message.connect_peer().process()});
    case proto::ClientMessage::kAllocate: return OnAllocate(process, message.allocate());
    case proto::ClientMessage::kFree: return OnFree(process.id, message.free().location());
    case proto::ClientMessage::kPull: return OnPull(process, message.pull());
    case proto::ClientMessage::kPullCancel:
      return store_->CancelPull(process.id, message.pull_cancel().request_id());
    case proto::ClientMessage::kAttachSegment:
      return AttachSegment(process, model::JobId{message.attach_segment().job()});
    case proto::ClientMessage::kHeadRequest:
      return OnHeadRequest(process, message.head_request());
    case proto::ClientMessage::kGoodbye:
      process.said_goodbye = true;
      return;
    default:
      return;  // a Hello again, or a message of a later version
  }
}

void NodeShell::OnLeaseRequest(LocalProcess& process, const proto::LeaseRequest& wire) {
  auto request = LeaseFromWire(wire, process.id, process.job);
  if (!request.ok()) {
    proto::DaemonMessage message;
    message.mutable_lease_failed()->set_request_id(wire.request_id());
    *message.mutable_lease_failed()->mutable_error() = rpc::MakeErrorInfo(
        ErrorCode::kInvalidOption, std::string(base::Message(request.status())));
    return table_->Send(process, message);
  }
  request->program_key = process.program_key;
  request->asking = self_;
  core_->OnLeaseRequest(*request, Now(), effects_);
  RunEffects();
}

void NodeShell::OnConnectPeer(LocalProcess& process, ProcessId other) {
  LocalProcess* peer = table_->Find(other);
  if (peer != nullptr && peer->welcomed) {
    const auto status = table_->Connect(process, *peer);
    if (!status.ok()) {
      RAYX_LOG(kWarning) << "no channel between " << ToString(process.id) << " and "
                         << ToString(other) << ": " << base::Message(status);
    }
    return;
  }
  if (other.node() != self_) return;  // frames to it go through the daemon
  proto::DaemonMessage message;
  message.mutable_peer_refused()->set_process(other.value);
  *message.mutable_peer_refused()->mutable_error() = rpc::MakeErrorInfo(
      ErrorCode::kWorkerDied, "process " + ToString(other) + " is gone");
  table_->Send(process, message);
}

void NodeShell::OnHeadRequest(LocalProcess& process, const proto::HeadRequest& request) {
  const uint64_t id = request.request_id();
  if (process.head_requests >= kHeadRequestsMax) {
    proto::DaemonMessage message;
    message.mutable_head_response()->set_request_id(id);
    *message.mutable_head_response()->mutable_error() =
        rpc::MakeErrorInfo(ErrorCode::kHeadUnavailable, "too many requests are under way");
    return table_->Send(process, message);
  }
  ++process.head_requests;
  proto::HeadRequest own = request;
  own.set_process(process.id.value);
  own.set_job(process.job.value);
  if (own.has_create_actor()) {
    auto* spec = own.mutable_create_actor()->mutable_spec();
    spec->set_job(process.job.value);
    if (const auto* program = starter_->Program(process.program_key)) {
      *spec->mutable_program() = *program;  // with its key, which the client does not know
    }
  }
  rpc::CallOptions options;
  options.deadline = kHeadAway;
  if (request.has_watch_actor()) {
    options.deadline = milliseconds(std::min(request.watch_actor().timeout_ms(), 10'000u)) +
                       kLongPollExtra;
  } else if (request.has_kv_wait()) {
    options.deadline = milliseconds(std::min(request.kv_wait().timeout_ms(), 10'000u)) +
                       kLongPollExtra;
  }
  options.idempotent = true;
  head_->Call<proto::HeadRequest, proto::HeadResponse>(
      rpc::kHeadCall, own, options,
      [this, id, from = process.id](base::StatusOr<proto::HeadResponse> reply) {
        LocalProcess* asker = table_->Find(from);
        if (asker == nullptr) return;
        --asker->head_requests;
        proto::DaemonMessage message;
        auto* response = message.mutable_head_response();
        if (reply.ok()) {
          *response = *std::move(reply);
        } else {
          *response->mutable_error() = rpc::ToErrorInfo(reply.status());
          if (rpc::CodeOf(reply.status()) == ErrorCode::kTimeout) {
            response->mutable_error()->set_code(static_cast<int32_t>(ErrorCode::kHeadUnavailable));
          }
        }
        response->set_request_id(id);
        table_->Send(*asker, message);
      });
}

// --- store ---------------------------------------------------------------------------------------

void NodeShell::AttachSegment(LocalProcess& process, model::JobId job) {
  if (!job) return;
  if (ended_jobs_.count(job) == 0) OpenJob(job, proto::Program{});
  auto attachment = store_->Attach(job, process.id);
  if (!attachment.ok()) {
    RAYX_LOG(kWarning) << ToString(process.id) << " is not given the segment of job " << job.value
                       << ": " << base::Message(attachment.status());
    return;
  }
  proto::DaemonMessage message;
  auto* attached = message.mutable_segment_attached();
  attached->set_job(job.value);
  attached->set_segment_bytes(attachment->segment_bytes);
  attached->set_control_bytes(attachment->control_bytes);
  attached->set_ledger(attachment->ledger);
  const int fds[] = {attachment->segment, attachment->control};
  table_->Send(process, message, fds);
}

void NodeShell::OnAllocate(LocalProcess& process, const proto::Allocate& request) {
  const uint64_t id = request.request_id();
  store_->Allocate(process.id, id, ObjectFromWire(request.object()), model::JobId{request.job()},
                   request.bytes(),
                   [this, id, from = process.id](base::StatusOr<model::StoredLocation> location) {
                     LocalProcess* asker = table_->Find(from);
                     if (asker == nullptr) return;
                     proto::DaemonMessage message;
                     auto* allocated = message.mutable_allocated();
                     allocated->set_request_id(id);
                     if (location.ok()) {
                       allocated->set_entry(location->entry);
                       allocated->set_generation(location->generation);
                       allocated->set_offset(location->offset);
                       allocated->set_bytes(location->size);
                     } else {
                       *allocated->mutable_error() = StoreError(location.status());
                     }
                     table_->Send(*asker, message);
                   });
}

void NodeShell::OnFree(ProcessId from, const proto::Location& wire) {
  const model::StoredLocation location = LocationFromWire(wire);
  if (location.node == self_) return store_->Free(location, from);
  if (location.object.owner != from) return;  // only the owner frees elsewhere
  proto::NotifyRequest request;
  *request.add_freed() = wire;
  Notify(location.node, request);
}

void NodeShell::OnPull(LocalProcess& process, const proto::Pull& request) {
  const uint64_t id = request.request_id();
  store_->Pull(process.id, id, LocationFromWire(request.source()),
               [this, id, from = process.id](base::StatusOr<model::StoredLocation> copy) {
                 LocalProcess* asker = table_->Find(from);
                 if (asker == nullptr) return;
                 proto::DaemonMessage message;
                 message.mutable_pulled()->set_request_id(id);
                 if (copy.ok()) {
                   *message.mutable_pulled()->mutable_copy() = LocationToWire(*copy);
                 } else {
                   *message.mutable_pulled()->mutable_error() = StoreError(copy.status());
                 }
                 table_->Send(*asker, message);
               });
}

// --- output --------------------------------------------------------------------------------------

void NodeShell::OnWorkerLines(StartId start, bool is_stderr, std::vector<std::string> lines) {
  auto it = starts_.find(start);
  if (it == starts_.end()) return;  // before its Hello: the file has them
  LocalProcess* process = table_->Find(it->second);
  if (process == nullptr) return;
  proto::LogLines message;
  message.set_process(process->id.value);
  message.set_title(process->plate.page->title());
  if (message.title().empty()) message.set_title("worker");
  message.set_pid(process->pid);
  message.set_host(options_.host_name);
  message.set_job(process->job.value);
  message.set_is_stderr(is_stderr);
  size_t bytes = 0;
  for (std::string& line : lines) {
    if (bytes + line.size() > io::kPacketBytesMax / 2) {  // one packet each
      DeliverLines(process->job, message);
      message.clear_lines();
      bytes = 0;
    }
    bytes += line.size() + 8;
    message.add_lines(ValidUtf8(std::move(line)));
  }
  if (message.lines_size() != 0) DeliverLines(process->job, std::move(message));
}

void NodeShell::DeliverLines(model::JobId job_id, proto::LogLines lines) {
  auto job = jobs_.find(job_id);
  if (job == jobs_.end()) return;
  if (!job->second.driver) {
    if (job->second.early_lines.size() < kEarlyLinesMax) {
      job->second.early_lines.push_back(std::move(lines));
    }
    return AskForDriver(job_id);
  }
  if (job->second.driver.node() == self_) {
    LocalProcess* driver = table_->Find(job->second.driver);
    if (driver == nullptr) return;
    proto::DaemonMessage message;
    *message.mutable_log_lines() = std::move(lines);
    return table_->Send(*driver, message);
  }
  proto::NotifyRequest request;
  *request.add_logs() = std::move(lines);
  Notify(job->second.driver.node(), request);
}

// Where a job of another node prints.
void NodeShell::AskForDriver(model::JobId id) {
  Job& job = jobs_[id];
  if (job.asked_for_driver) return;
  job.asked_for_driver = true;
  proto::HeadRequest request;
  request.mutable_list_jobs();
  request.set_process(table_->daemon_id().value);
  rpc::CallOptions options;
  options.idempotent = true;
  head_->Call<proto::HeadRequest, proto::HeadResponse>(
      rpc::kHeadCall, request, options, [this](base::StatusOr<proto::HeadResponse> reply) {
        if (!reply.ok()) return;
        for (const auto& info : reply->list_jobs().jobs()) {
          auto it = jobs_.find(model::JobId{info.id()});
          if (it == jobs_.end() || info.driver() == 0) continue;
          it->second.driver = ProcessId{info.driver()};
          for (proto::LogLines& lines : std::exchange(it->second.early_lines, {})) {
            DeliverLines(it->first, std::move(lines));
          }
        }
      });
}

void NodeShell::Broadcast(const proto::DaemonMessage& message) {
  for (const auto& [id, process] : table_->all()) {
    if (process->welcomed) table_->Send(*process, message);
  }
}

}  // namespace rayx::node
