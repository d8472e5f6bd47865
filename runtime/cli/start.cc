#include "cli/start.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/fd.h"
#include "cli/files.h"
#include "cli/session.h"
#include "cli/table.h"
#include "io/address.h"
#include "io/processes.h"
#include "model/versions.h"
#include "rpc/join_file.h"
#include "rpc/secret.h"

namespace rayx::cli {
namespace {

constexpr int kReadyFd = 3;
constexpr std::chrono::seconds kAnswerWait(120);

struct Prepared {
  StartPlan plan;
  std::string folder;
  base::UniqueFd lock;
};

// "2 CPU, 16.5 GiB memory, 1 disk"
std::string Describe(const model::ResourceSet& resources) {
  std::vector<std::string> parts;
  for (const auto& [name, units] : resources.units()) {
    const std::string amount =
        name == model::kMemory ? FormatBytes(static_cast<uint64_t>(units) / model::kResourceUnit)
                               : FormatUnits(units);
    parts.push_back(absl::StrCat(amount, " ", name));
  }
  return absl::StrJoin(parts, ", ");
}

base::Status CheckNotRunning(const std::string& base) {
  const auto running = StartedSessions(base);
  if (running.empty()) return base::OkStatus();
  const io::SessionInfo& session = running.front();
  if (ReadEnding(session.folder).ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the last cluster here, at ", session.head_address,
                     ", has crashed and is still ending; `rayx stop` ends it at once"));
  }
  return absl::FailedPreconditionError(
      absl::StrCat("already running: the cluster at ", session.head_address, " (supervisor pid ",
                   session.supervisor.pid, ", ", session.folder,
                   "); `rayx stop` ends it. Set RAYX_SESSION_DIR for a second one on this VM"));
}

// What a joining node needs beside the plan: the join file in its session folder, where to listen.
base::Status PrepareJoin(const StartOptions& options, Prepared& prepared, rpc::JoinFile& join) {
  RAYX_ASSIGN_OR_RETURN(join, rpc::FindJoinFile(options.join_file));
  StartPlan& plan = prepared.plan;
  RAYX_ASSIGN_OR_RETURN(const io::Address head, io::ParseAddress(plan.head_address));
  if (options.listen.empty()) {
    RAYX_ASSIGN_OR_RETURN(plan.listen_ip, io::LocalIpToward(head));
  }
  const bool beyond = !io::IsLoopback(plan.listen_ip);
  if (beyond && join.ca_pem.empty() && !join.insecure) {
    return absl::FailedPreconditionError(
        absl::StrCat("the join file is of a head that listens on loopback, so it has no TLS and no "
                     "node may listen on ",
                     plan.listen_ip, "; start the head with --listen and an address of its VM"));
  }
  if (join.insecure && !options.insecure && beyond) {
    return absl::FailedPreconditionError(
        "the cluster was started with --insecure (no TLS): say --insecure here too, if that is "
        "meant");
  }
  plan.insecure = join.insecure;
  join.address = plan.head_address;  // the way that was asked for
  return base::OkStatus();
}

base::StatusOr<Prepared> Prepare(const StartOptions& options, const StartPlan& plan) {
  Prepared prepared;
  prepared.plan = plan;
  const std::string base = io::SessionBase();
  if (!options.embedded) {
    RAYX_ASSIGN_OR_RETURN(prepared.lock, LockBase(base));
    RAYX_RETURN_IF_ERROR(CheckNotRunning(base));
  }
  CleanUpDead(base, options.embedded);
  rpc::JoinFile join;
  if (!options.head) RAYX_RETURN_IF_ERROR(PrepareJoin(options, prepared, join));
  prepared.plan.cluster = rpc::RandomHex(4);
  RAYX_ASSIGN_OR_RETURN(prepared.folder,
                        MakeSessionFolder(base, prepared.plan.cluster, ::getpid()));
  base::Status status = WriteStartPlan(prepared.folder, prepared.plan);
  if (status.ok() && !options.head) {
    status = rpc::WriteJoinFile(prepared.folder + "/join", join);
  }
  if (status.ok()) return prepared;
  RemoveTree(prepared.folder);
  return status;
}

std::vector<std::string> SupervisorArguments(const StartOptions& options, const std::string& folder,
                                             int ready_fd) {
  std::vector<std::string> arguments = {"rayx", "supervise",  "--session-folder",
                                        folder, "--ready-fd", absl::StrCat(ready_fd)};
  if (options.embedded) {
    for (const std::string& word :
         {std::string("--pipe-fd"), absl::StrCat(options.pipe_fd), std::string("--driver-pid"),
          absl::StrCat(options.driver_pid)}) {
      arguments.push_back(word);
    }
  }
  return arguments;
}

base::UniqueFd OpenSupervisorLog(const std::string& folder) {
  const std::string log = folder + "/logs/supervisor.err";
  return base::UniqueFd(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
}

// The driver's child becomes the supervisor: the driver waits for one process alone.
base::Status BecomeSupervisor(const StartOptions& options, const std::string& folder) {
  for (const int fd : {options.ready_fd, options.pipe_fd}) {
    if (fd >= 0) ::fcntl(fd, F_SETFD, 0);
  }
  // Whoever reads the driver's output must not wait for us.
  const base::UniqueFd output = OpenSupervisorLog(folder);
  if (output) {
    ::dup2(output.get(), STDOUT_FILENO);
    ::dup2(output.get(), STDERR_FILENO);
  }
  auto arguments = SupervisorArguments(options, folder, options.ready_fd);
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  ::execv("/proc/self/exe", pointers.data());
  return absl::InternalError(absl::StrCat("exec: ", std::strerror(errno)));
}

base::StatusOr<io::Process> SpawnSupervisor(const StartOptions& options, const std::string& folder,
                                            base::UniqueFd& ready) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return absl::UnavailableError(absl::StrCat("pipe: ", std::strerror(errno)));
  }
  ready.Reset(ends[0]);
  const base::UniqueFd theirs(ends[1]);
  const base::UniqueFd output = OpenSupervisorLog(folder);
  if (!output) {
    return absl::UnavailableError(
        absl::StrCat(folder, "/logs/supervisor.err: ", std::strerror(errno)));
  }
  io::SpawnOptions spawn;
  spawn.executable = "/proc/self/exe";
  spawn.arguments = SupervisorArguments(options, folder, kReadyFd);
  spawn.environment = io::OwnEnvironment();
  spawn.working_folder = "/";
  spawn.fds = {{output.get(), 1}, {output.get(), 2}, {theirs.get(), kReadyFd}};
  spawn.death_signal = 0;
  return io::Spawn(spawn);
}

base::StatusOr<io::StartAnswer> WaitAnswer(int ready) {
  const auto line = io::ReadLine(ready, kAnswerWait);
  if (line.ok()) return io::ParseStartAnswer(*line);
  return absl::IsDeadlineExceeded(line.status())
             ? absl::DeadlineExceededError("the supervisor did not answer in 120 s")
             : absl::InternalError("the supervisor ended without an answer");
}

void PrintStarted(const StartPlan& plan, const io::StartAnswer& answer) {
  std::cout << "RayX " << model::kRelease << ": "
            << (plan.with_head ? "the cluster serves at " : "this node has joined the cluster at ")
            << answer.head_address << "\n"
            << "  resources here    " << Describe(plan.resources) << ", object store "
            << FormatBytes(plan.store_bytes) << "\n"
            << "  run a program     RAYX_ADDRESS=" << answer.head_address << " ./program\n"
            << "  look, stop        rayx status, rayx logs, rayx stop\n"
            << "  session folder    " << answer.session_folder << "\n";
  if (!plan.with_head) return;
  if (io::IsLoopback(plan.listen_ip)) {
    std::cout << "  other VMs         cannot join: the head listens on loopback "
                 "(rayx start --head --listen IP)\n";
    return;
  }
  std::cout << "  to add a VM, copy the join file there (it is a secret) and start a node:\n"
            << "    ssh VM 'mkdir -p -m 700 ~/.rayx' && scp -p " << answer.session_folder
            << "/join VM:.rayx/join\n"
            << "    ssh VM rayx start --address=" << answer.head_address
            << (plan.insecure ? " --insecure" : "") << "\n";
}

// For a join over loopback that failed, whatever the reason: another VM's head may have been meant.
std::string JoinAdvice(const StartPlan& plan) {
  const auto head = io::ParseAddress(plan.head_address);
  if (plan.with_head || !head.ok() || !io::IsLoopback(head->ip)) return "";
  return absl::StrCat("\n", head->ip,
                      " is this VM itself. To join a head on another VM, start that one with `rayx "
                      "start --head --listen IP` and give its IP here");
}

// --block: until the supervisor ends, or a signal says to end it.
int Block(const io::Process& supervisor, const base::UniqueFd& signals) {
  while (true) {
    pollfd watched[2] = {{supervisor.pidfd.get(), POLLIN, 0}, {signals.get(), POLLIN, 0}};
    if (::poll(watched, 2, -1) < 0 && errno != EINTR) return 1;
    signalfd_siginfo info;
    if (::read(signals.get(), &info, sizeof info) == sizeof info) {
      io::Signal(supervisor.pidfd.get(), SIGTERM);
    }
    if (watched[0].revents == 0) continue;
    const auto exit = io::Reap(supervisor.pidfd.get());
    return exit.has_value() && exit->signal == 0 ? exit->exit_code : 1;
  }
}

int Fail(const StartOptions& options, const std::string& error, int exit_code = 1) {
  std::cerr << "rayx start: " << error << "\n";
  if (options.ready_fd >= 0) {
    const std::string line = io::FormatStartAnswer({error, "", ""});
    [[maybe_unused]] const auto written = ::write(options.ready_fd, line.data(), line.size());
  }
  return exit_code;
}

int StartSupervisor(const StartOptions& options, Prepared& prepared) {
  const auto failed = [&](const base::Status& status) {
    RemoveTree(prepared.folder);
    return Fail(options, std::string(base::Message(status)));
  };
  if (options.embedded) return failed(BecomeSupervisor(options, prepared.folder));
  base::UniqueFd signals;
  if (options.block) {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, number);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    signals.Reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  base::UniqueFd ready;
  const auto supervisor = SpawnSupervisor(options, prepared.folder, ready);
  if (!supervisor.ok()) return failed(supervisor.status());
  const auto answer = WaitAnswer(ready.get());
  if (!answer.ok() || !answer->error.empty()) {
    if (!answer.ok()) io::Signal(supervisor->pidfd.get(), SIGTERM);
    ::waitpid(supervisor->pid, nullptr, 0);  // it ends what it had started, then itself
    const std::string error =
        answer.ok() ? answer->error : std::string(base::Message(answer.status()));
    return Fail(options, absl::StrCat(error, JoinAdvice(prepared.plan), "\nLogs: ", prepared.folder,
                                      "/logs"));
  }
  prepared.lock.Reset();
  if (options.ready_fd >= 0) {
    const std::string line = io::FormatStartAnswer(*answer);
    [[maybe_unused]] const auto written = ::write(options.ready_fd, line.data(), line.size());
  }
  PrintStarted(prepared.plan, *answer);
  std::cout.flush();
  return options.block ? Block(*supervisor, signals) : 0;
}

}  // namespace

int RunStart(const StartOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  const auto plan = MakePlan(options);
  if (!plan.ok()) {
    return Fail(options, std::string(base::Message(plan.status())), io::kUsageExit);
  }
  if (const auto base = io::PrepareSessionBase(io::SessionBase()); !base.ok()) {
    return Fail(options, std::string(base::Message(base)),
                absl::IsInvalidArgument(base) ? io::kUsageExit : 1);
  }
  auto prepared = Prepare(options, *plan);
  if (!prepared.ok()) return Fail(options, std::string(base::Message(prepared.status())));
  if (options.insecure && !io::IsLoopback(prepared->plan.listen_ip)) {
    std::cerr
        << "rayx start: warning: --insecure: calls and data travel without encryption; whoever "
           "sees the network sees the cluster's token\n";
  }
  return StartSupervisor(options, *prepared);
}

}  // namespace rayx::cli
