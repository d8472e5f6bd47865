#include "node/worker_starter.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "rpc/errors.h"

namespace rayx::node {
namespace {

constexpr auto kExitGrace = std::chrono::milliseconds(500);
constexpr auto kSweepEvery = std::chrono::seconds(5);
constexpr char kUnknownProgram[] = "this node does not know the program";
constexpr int kWorkerFd = 3;  // the descriptor that a child inherits

// One that a worker can be in.
bool IsFolder(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

// A pid from a zygote, which is a user's program: only a child of ours may be killed and reaped.
bool IsOurChild(pid_t pid) {
  siginfo_t info{};
  return pid > 0 &&
         ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

// It cannot ignore the signal, so the wait is short.
void KillAndReap(pid_t pid) {
  if (!IsOurChild(pid)) return;
  ::kill(pid, SIGKILL);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED);
}

// Only a refusal to run what lies there has a code of its own.
ErrorCode CodeOf(const base::Status& status) {
  const ErrorCode code = rpc::CodeOf(status);
  return code == ErrorCode::kLibraryMismatch ? code : ErrorCode::kWorkerDied;
}

// Sets a variable of the dynamic loader, before or after what the program has there. The worker
// gives the program's own value back before user code runs (client/worker_mode.cc).
void Lend(const std::string& name, const std::string& value, bool in_front,
          std::vector<std::string>& environment) {
  if (value.empty()) return;
  std::string own;
  for (auto it = environment.begin(); it != environment.end(); ++it) {
    if (!it->starts_with(name + "=")) continue;
    own = it->substr(name.size() + 1);
    environment.erase(it);
    break;
  }
  std::string lent = value;
  if (!own.empty()) lent = in_front ? value + ":" + own : own + ":" + value;
  environment.push_back(name + "=" + lent);
  environment.push_back("RAYX_WORKER_OWN_" + name + "=" + own);
}

std::string Joined(const std::vector<std::string>& paths) {
  std::string joined;
  for (const std::string& path : paths) {
    if (!joined.empty()) joined += ':';
    joined += path;
  }
  return joined;
}

std::string WithLastLine(std::string reason, const WorkerLog* log) {
  if (log == nullptr) return reason;
  const auto lines = log->LastLines();
  if (!lines.empty()) reason += "; its last line: " + lines.back();
  return reason;
}

}  // namespace

base::StatusOr<WorkerStarter::Pipes> WorkerStarter::Pipes::Make() {
  int out[2];
  int err[2];
  if (::pipe2(out, O_CLOEXEC) != 0) return absl::ResourceExhaustedError("out of descriptors");
  Pipes pipes;
  pipes.out_read.Reset(out[0]);
  pipes.out_write.Reset(out[1]);
  if (::pipe2(err, O_CLOEXEC) != 0) return absl::ResourceExhaustedError("out of descriptors");
  pipes.err_read.Reset(err[0]);
  pipes.err_write.Reset(err[1]);
  return pipes;
}

WorkerStarter::WorkerStarter(io::Loop& loop, std::string session_folder,
                             const LogLimits& log_limits, WorkerStarterEvents events)
    : loop_(loop),
      session_folder_(std::move(session_folder)),
      log_limits_(log_limits),
      events_(std::move(events)) {}

WorkerStarter::~WorkerStarter() {
  Stop();
}

void WorkerStarter::Stop() {
  *alive_ = false;
  while (!starts_.empty()) Drop(starts_.begin()->first);
  while (!zygotes_.empty()) EndZygote(zygotes_.begin()->first);
  for (auto& [start, log] : logs_) Unwatch(*log);
  logs_.clear();
}

void WorkerStarter::AddProgram(const proto::Program& program, model::JobId job) {
  const auto [it, is_new] = programs_.try_emplace(program.key());
  if (is_new) it->second.program = program;
  it->second.jobs.insert(job);
}

void WorkerStarter::OnJobEnded(model::JobId job) {
  std::vector<std::string> keys;
  for (auto& [key, known] : programs_) {
    if (known.jobs.erase(job) != 0) keys.push_back(key);
  }
  for (const std::string& key : keys) ForgetIfUnused(key);
}

void WorkerStarter::ForgetIfUnused(const std::string& key) {
  const auto it = programs_.find(key);
  if (it == programs_.end() || !it->second.jobs.empty() || zygotes_.count(key) != 0) return;
  for (const auto& [id, start] : starts_) {
    if (start.program_key == key) return;
  }
  programs_.erase(it);
}

std::unique_ptr<WorkerLog> WorkerStarter::MakeLog(const char* kind, int pid, Pipes& pipes,
                                                  WorkerLog::LinesCallback on_lines) const {
  return std::make_unique<WorkerLog>(
      std::move(pipes.out_read), std::move(pipes.err_read),
      session_folder_ + "/logs/" + kind + "-" + std::to_string(pid) + ".log",
      base::RotationLimits{log_limits_.file_bytes_max, log_limits_.files_max - 1},
      std::move(on_lines));
}

void WorkerStarter::Sweep() {
  std::set<std::string> written;
  const auto add = [&written](const WorkerLog& log) {
    written.insert(log.path().substr(log.path().rfind('/') + 1));
  };
  for (const auto& [start, log] : logs_) add(*log);
  for (const auto& [key, zygote] : zygotes_) add(*zygote.log);
  SweepLogs(session_folder_ + "/logs", written, log_limits_);
}

void WorkerStarter::SetPlan(const std::string& key, RunPlan plan) {
  // Of a program that is unknown by now, nothing will be started.
  if (const auto it = programs_.find(key); it != programs_.end()) it->second.plan = std::move(plan);
}

std::string WorkerStarter::JobFolder(model::JobId job) const {
  return session_folder_ + "/jobs/" + std::to_string(job.value);
}

std::string WorkerStarter::FolderOf(const proto::Program& program, model::JobId job) const {
  if (IsFolder(program.working_folder())) return program.working_folder();
  const std::string folder = JobFolder(job);
  ::mkdir((session_folder_ + "/jobs").c_str(), 0700);
  if (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) return folder;
  RAYX_LOG(kWarning) << folder << ": " << std::strerror(errno);
  return "";
}

base::StatusOr<io::Process> WorkerStarter::SpawnProgram(const proto::Program& program,
                                                        const char* mode, const std::string& folder,
                                                        int socket, StartId token,
                                                        const Pipes& pipes) {
  RunPlan plan{program.executable(),
               "",
               {program.preload_libraries().begin(), program.preload_libraries().end()}};
  if (const auto it = programs_.find(program.key()); it != programs_.end() && it->second.plan) {
    plan = *it->second.plan;
  }
  if (plan.executable == program.executable() && plan.library_path.empty()) {
    RAYX_ASSIGN_OR_RETURN(const std::string image, events_.image_of(program.key()));
    if (!image.empty()) plan.executable = image;
  }
  io::SpawnOptions options;
  options.executable = plan.executable;
  options.arguments = {program.executable()};
  options.environment.assign(program.environment().begin(), program.environment().end());
  options.environment.push_back("RAYX_WORKER_FD=" + std::to_string(kWorkerFd));
  options.environment.push_back(std::string("RAYX_WORKER_MODE=") + mode);
  options.environment.push_back("RAYX_WORKER_PROGRAM=" + program.executable());
  Lend("LD_LIBRARY_PATH", plan.library_path, true, options.environment);
  // Their registrations run before main, as in the driver after its dlopen.
  Lend("LD_PRELOAD", Joined(plan.preload_libraries), false, options.environment);
  if (token) options.environment.push_back("RAYX_WORKER_TOKEN=" + std::to_string(token.value));
  options.working_folder = folder.empty() ? session_folder_ : folder;
  options.fds = {{pipes.out_write.get(), 1}, {pipes.err_write.get(), 2}, {socket, kWorkerFd}};
  return io::Spawn(options);
}

void WorkerStarter::Watch(WorkerLog& log) {
  for (const bool is_stderr : {false, true}) {
    const int fd = log.fd(is_stderr);
    const auto status = loop_.AddFd(fd, EPOLLIN, [this, &log, fd, is_stderr](uint32_t) {
      if (!log.ReadSome(is_stderr, loop_.Now())) loop_.RemoveFd(fd);
    });
    if (!status.ok()) RAYX_LOG(kWarning) << "worker output: " << base::Message(status);
  }
}

void WorkerStarter::Unwatch(WorkerLog& log) {
  loop_.RemoveFd(log.fd(false));
  loop_.RemoveFd(log.fd(true));
}

void WorkerStarter::StartZygote(const std::string& key) {
  const auto fail = [&](const std::string& reason, ErrorCode code = ErrorCode::kWorkerDied) {
    loop_.Post([this, alive = alive_, key, code, reason] {
      if (*alive) events_.on_zygote_gone(key, code, reason);
    });
  };
  const proto::Program* program = Program(key);
  if (program == nullptr) return fail(kUnknownProgram);
  auto pair = io::PacketSocket::Pair();
  auto pipes = Pipes::Make();
  if (!pair.ok() || !pipes.ok()) return fail("out of file descriptors");
  const std::string& own_folder = program->working_folder();
  auto process = SpawnProgram(*program, "zygote", IsFolder(own_folder) ? own_folder : "",
                              pair->second.fd(), StartId{}, *pipes);
  if (!process.ok()) {
    return fail(std::string(base::Message(process.status())), CodeOf(process.status()));
  }
  Zygote zygote;
  zygote.process = std::move(*process);
  zygote.socket = std::move(pair->first);
  const auto non_blocking = zygote.socket.SetNonBlocking();
  zygote.log = MakeLog("zygote", zygote.process.pid, *pipes, [](bool, std::vector<std::string>) {});
  const int fd = zygote.socket.fd();
  auto [it, added] = zygotes_.emplace(key, std::move(zygote));
  Watch(*it->second.log);
  const auto watched = loop_.AddFd(fd, EPOLLIN, [this, key](uint32_t) { OnZygotePacket(key); });
  if (!non_blocking.ok() || !watched.ok()) LoseZygote(key, "out of file descriptors");
}

void WorkerStarter::EndZygote(std::string key) {
  auto it = zygotes_.find(key);
  if (it == zygotes_.end()) return;
  loop_.RemoveFd(it->second.socket.fd());
  loop_.RemoveFd(it->second.process.pidfd.get());
  Unwatch(*it->second.log);
  KillAndReap(it->second.process.pid);
  zygotes_.erase(it);
  ForgetIfUnused(key);
}

void WorkerStarter::LoseZygote(const std::string& key, const std::string& reason) {
  auto it = zygotes_.find(key);
  if (it == zygotes_.end()) return;
  Zygote& zygote = it->second;
  Unwatch(*zygote.log);
  zygote.log->Finish(loop_.Now());
  loop_.RemoveFd(zygote.socket.fd());
  loop_.RemoveFd(zygote.process.pidfd.get());
  std::string why = ExecutableOf(key) + ": " + reason;
  if (const auto status = io::Reap(zygote.process.pidfd.get())) {
    why += zygote.ready ? "; it " : " before it reached worker mode; it ";
    why += status->ToString();
  } else {
    KillAndReap(zygote.process.pid);
  }
  why = WithLastLine(why, zygote.log.get());
  zygotes_.erase(it);
  ForgetIfUnused(key);
  RAYX_LOG(kWarning) << "zygote: " << why;
  loop_.Post([this, alive = alive_, key, why] {
    if (*alive) events_.on_zygote_gone(key, ErrorCode::kWorkerDied, why);
  });
}

void WorkerStarter::OnZygotePacket(const std::string& key) {
  auto it = zygotes_.find(key);
  if (it == zygotes_.end()) return;
  io::Packet packet;
  const io::SocketResult result = it->second.socket.Receive(packet);
  if (result == io::SocketResult::kAgain) return;
  if (result != io::SocketResult::kOk) {
    loop_.RemoveFd(it->second.socket.fd());
    const int32_t pid = it->second.process.pid;
    return WhenExited(it->second.process.pidfd.get(), [this, key, pid] {
      auto same = zygotes_.find(key);
      if (same == zygotes_.end() || same->second.process.pid != pid) return;
      LoseZygote(key, "it closed its socket");
    });
  }
  proto::ZygoteMessage message;
  if (!message.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size()))) {
    return LoseZygote(key, "the zygote sent bytes that are no message");
  }
  if (message.has_ready() && !it->second.ready) {
    it->second.ready = true;
    if (!message.ready().can_fork()) {
      RAYX_LOG(kWarning) << ExecutableOf(key) << " cannot be forked (" << message.ready().why_not()
                         << "): each worker is started anew";
    }
    events_.on_zygote_ready(key, message.ready().can_fork());
  } else if (message.has_forked()) {
    OnForked(key, message.forked());
  }
}

// A process that is somebody's already: another start's, a worker's, a zygote.
bool WorkerStarter::IsKnown(int32_t pid) const {
  for (const auto& [start, worker] : pids_) {
    if (worker == pid) return true;
  }
  for (const auto& [key, zygote] : zygotes_) {
    if (zygote.process.pid == pid) return true;
  }
  return false;
}

void WorkerStarter::OnForked(const std::string& key, const proto::Forked& forked) {
  const StartId id{forked.worker_token()};
  auto it = starts_.find(id);
  const bool known = IsKnown(forked.pid());
  if (it == starts_.end() || it->second.program_key != key) {
    if (!known) KillAndReap(forked.pid());  // abandoned meanwhile
    return;
  }
  if (it->second.pid != 0) return;  // it says so twice
  if (!forked.error().empty()) return FailLater(id, forked.error());
  if (known || !IsOurChild(forked.pid())) {
    return FailLater(id, "the zygote named a foreign process");
  }
  SetPid(id, it->second, forked.pid(), io::OpenPidfd(forked.pid()));
  FinishIfComplete(id);
}

base::Status WorkerStarter::Prepare(StartId id, const std::string& key, model::JobId job,
                                    io::PacketSocket& worker_end) {
  RAYX_ASSIGN_OR_RETURN(auto pair, io::PacketSocket::Pair());
  RAYX_RETURN_IF_ERROR(pair.first.SetNonBlocking());
  Start start;
  RAYX_ASSIGN_OR_RETURN(start.pipes, Pipes::Make());
  start.program_key = key;
  start.job = job;
  start.connection = std::make_unique<Connection>(std::move(pair.first));
  worker_end = std::move(pair.second);
  const int fd = start.connection->socket.fd();
  RAYX_RETURN_IF_ERROR(loop_.AddFd(fd, EPOLLIN, [this, id](uint32_t) { OnWorkerPacket(id); }));
  starts_.emplace(id, std::move(start));
  return absl::OkStatus();
}

void WorkerStarter::Fork(StartId id, const std::string& key, model::JobId job) {
  auto zygote = zygotes_.find(key);
  if (zygote == zygotes_.end()) return FailLater(id, "the zygote is gone");
  const proto::Program* program = Program(key);
  if (program == nullptr) return FailLater(id, kUnknownProgram);
  io::PacketSocket worker_end;
  if (const auto status = Prepare(id, key, job, worker_end); !status.ok()) {
    return FailLater(id, std::string(base::Message(status)));
  }
  Start& start = starts_.at(id);
  proto::ZygoteMessage message;
  message.mutable_fork_worker()->set_worker_token(id.value);
  if (!IsFolder(program->working_folder())) {
    message.mutable_fork_worker()->set_working_folder(FolderOf(*program, job));
  }
  const std::string bytes = message.SerializeAsString();
  const int fds[] = {worker_end.fd(), start.pipes.out_write.get(), start.pipes.err_write.get()};
  const auto sent = zygote->second.socket.Send(std::as_bytes(std::span(bytes)), fds);
  start.pipes.out_write.Reset();
  start.pipes.err_write.Reset();
  if (sent != io::SocketResult::kOk) FailLater(id, "the zygote does not take orders");
}

void WorkerStarter::Exec(StartId id, const std::string& key, model::JobId job) {
  const proto::Program* program = Program(key);
  if (program == nullptr) return FailLater(id, kUnknownProgram);
  io::PacketSocket worker_end;
  if (const auto status = Prepare(id, key, job, worker_end); !status.ok()) {
    return FailLater(id, std::string(base::Message(status)));
  }
  Start& start = starts_.at(id);
  auto process =
      SpawnProgram(*program, "exec", FolderOf(*program, job), worker_end.fd(), id, start.pipes);
  start.pipes.out_write.Reset();
  start.pipes.err_write.Reset();
  if (!process.ok()) {
    return FailLater(id, std::string(base::Message(process.status())), CodeOf(process.status()));
  }
  SetPid(id, start, process->pid, std::move(process->pidfd));
}

void WorkerStarter::SetPid(StartId id, Start& start, int32_t pid, base::UniqueFd pidfd) {
  start.pid = pid;
  start.pidfd = std::move(pidfd);
  auto log = MakeLog("worker", pid, start.pipes,
                     [this, id](bool is_stderr, std::vector<std::string> lines) {
                       events_.on_lines(id, is_stderr, std::move(lines));
                     });
  Watch(*log);
  logs_[id] = std::move(log);
  pids_[id] = pid;
}

void WorkerStarter::OnWorkerPacket(StartId id) {
  auto it = starts_.find(id);
  if (it == starts_.end()) return;
  Start& start = it->second;
  io::Packet packet;
  const io::SocketResult result = start.connection->socket.Receive(packet);
  if (result == io::SocketResult::kAgain) return;
  if (result != io::SocketResult::kOk) {
    loop_.RemoveFd(start.connection->socket.fd());
    const auto fail = [this, id] { FailLater(id, "the worker ended before it said Hello"); };
    return start.pidfd ? WhenExited(start.pidfd.get(), fail) : fail();
  }
  proto::ClientMessage message;
  if (!message.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size())) ||
      !message.has_hello() || message.hello().role() != proto::WORKER ||
      message.hello().worker_token() != id.value) {
    loop_.RemoveFd(start.connection->socket.fd());
    return FailLater(id, "the worker's first message was no valid Hello");
  }
  // What follows belongs to the process table, once the pid is known too.
  loop_.RemoveFd(start.connection->socket.fd());
  start.said_hello = true;
  start.hello = message.hello();
  FinishIfComplete(id);
}

void WorkerStarter::FinishIfComplete(StartId id) {
  auto it = starts_.find(id);
  if (it == starts_.end() || !it->second.said_hello || it->second.pid == 0) return;
  Start& start = it->second;
  StartedWorker worker;
  worker.start = id;
  worker.program_key = start.program_key;
  worker.job = start.job;
  worker.hello = std::move(start.hello);
  worker.pid = start.pid;
  worker.pidfd = std::move(start.pidfd);
  worker.connection = std::move(start.connection);
  const std::string key = std::move(start.program_key);
  starts_.erase(it);
  events_.on_hello(std::move(worker));
  ForgetIfUnused(key);
}

void WorkerStarter::WhenExited(int pidfd, std::function<void()> call) {
  const auto done = std::make_shared<bool>(false);
  const auto run = [this, alive = alive_, done, pidfd, call = std::move(call)] {
    if (!*alive || std::exchange(*done, true)) return;
    call();
  };
  loop_.AddTimerAfter(kExitGrace, run);
  if (!loop_.AddFd(pidfd, EPOLLIN, [run](uint32_t) { run(); }).ok()) run();
}

// Never from inside an effect: the core is told in a later round.
void WorkerStarter::FailLater(StartId id, std::string reason, ErrorCode code) {
  loop_.Post([this, alive = alive_, id, code, reason = std::move(reason)] {
    if (!*alive) return;
    std::string why = reason;
    if (auto it = starts_.find(id); it != starts_.end()) {
      if (auto log = logs_.find(id); log != logs_.end()) {
        Unwatch(*log->second);
        log->second->Finish(loop_.Now());
        why = WithLastLine(why, log->second.get());
      }
      if (it->second.pidfd) {
        if (const auto status = io::Reap(it->second.pidfd.get())) {
          why += "; it " + status->ToString();
        }
      }
    }
    Drop(id);
    events_.on_start_failed(id, code, why);
  });
}

void WorkerStarter::Abandon(StartId id) {
  Drop(id);
}

void WorkerStarter::Drop(StartId id) {
  auto it = starts_.find(id);
  if (it == starts_.end()) return FinishLog(id);
  Start& start = it->second;
  if (start.connection) loop_.RemoveFd(start.connection->socket.fd());
  if (start.pidfd) loop_.RemoveFd(start.pidfd.get());
  KillAndReap(start.pid);
  const std::string key = start.program_key;
  starts_.erase(it);
  FinishLog(id);
  ForgetIfUnused(key);
}

std::vector<std::string> WorkerStarter::LastLines(StartId start) const {
  auto it = logs_.find(start);
  return it == logs_.end() ? std::vector<std::string>{} : it->second->LastLines();
}

void WorkerStarter::CatchUpOutput(StartId start) {
  if (auto it = logs_.find(start); it != logs_.end()) it->second->CatchUp(loop_.Now());
}

void WorkerStarter::FinishOutput(StartId start) {
  auto it = logs_.find(start);
  if (it == logs_.end()) return;
  Unwatch(*it->second);
  it->second->Finish(loop_.Now());
}

void WorkerStarter::FinishLog(StartId start) {
  FinishOutput(start);
  logs_.erase(start);
  pids_.erase(start);
}

void WorkerStarter::Tick() {
  const model::TimePoint now = loop_.Now();
  for (const auto& [start, log] : logs_) log->Tick(now);
  for (const auto& [key, zygote] : zygotes_) zygote.log->Tick(now);
  if (now < next_sweep_) return;
  next_sweep_ = now + kSweepEvery;
  Sweep();
}

const proto::Program* WorkerStarter::Program(const std::string& key) const {
  auto it = programs_.find(key);
  return it == programs_.end() ? nullptr : &it->second.program;
}

std::string WorkerStarter::ExecutableOf(const std::string& key) const {
  const proto::Program* program = Program(key);
  return program == nullptr ? "a program" : program->executable();
}

}  // namespace rayx::node
