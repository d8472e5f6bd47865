#include "cli/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/fd.h"
#include "cli/files.h"
#include "cli/session.h"
#include "cli/start_plan.h"
#include "io/processes.h"

namespace rayx::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kReadyWait(45000);
constexpr milliseconds kEndWait(6000);
constexpr milliseconds kHeadLostWait(12000);
constexpr milliseconds kDyingWait(2000);
constexpr size_t kLogLines = 20;
constexpr int kChildReadyFd = 3;

int64_t UnixMs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<milliseconds>(now).count();
}

struct Child {
  const char* command;  // "head", "node": also the name of its logs
  const char* what;     // for people
  io::Process process;
  base::UniqueFd ready;
  std::optional<io::ExitStatus> exit;
  bool running() const { return process.pid != 0 && !exit.has_value(); }
};

class Supervisor {
 public:
  explicit Supervisor(const SupervisorOptions& options)
      : options_(options),
        ready_(options.ready_fd),
        driver_pipe_(options.pipe_fd),
        head_{"head", "the head", {}, {}, {}},
        node_{"node", "the node daemon", {}, {}, {}} {}

  int Run();

 private:
  base::Status SetUp();
  base::Status StartAll();
  base::Status StartChild(Child& child);
  base::StatusOr<ReadyAnswer> WaitReady(Child& child);
  base::Status DiedEarly(Child& child);
  void WaitForEnd();
  void EndChild(Child& child);
  void EndAll();
  void Record(Child& child);
  void Answer(const std::string& error);
  base::Status Save() { return io::WriteSession(session_); }
  bool ToldToEnd();
  int Poll(std::vector<pollfd>& watched, milliseconds wait);
  void AddCommon(std::vector<pollfd>& watched) const;
  void ReapOthers();

  const SupervisorOptions options_;
  base::UniqueFd ready_;
  base::UniqueFd driver_pipe_;
  base::UniqueFd driver_;
  base::UniqueFd signals_;
  StartPlan plan_;
  io::SessionInfo session_;
  Child head_;
  Child node_;
  bool failed_ = false;  // a child died that nobody had ended
};

base::Status Supervisor::SetUp() {
  ::setsid();
  [[maybe_unused]] const int moved = ::chdir("/");  // no folder of the user's is held
  ::prctl(PR_SET_NAME, "rayx-supervise");
  // What head and node leave behind becomes our child and is ended with them.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::sigaddset(&set, number);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  signals_.Reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return absl::UnavailableError(absl::StrCat("signalfd: ", std::strerror(errno)));
  for (const int fd : {ready_.get(), driver_pipe_.get()}) {
    if (fd >= 0) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  if (options_.driver_pid > 0) driver_ = io::OpenPidfd(options_.driver_pid);
  if (options_.driver_pid > 0 && !driver_) return absl::UnavailableError("the driver is gone");
  RAYX_ASSIGN_OR_RETURN(plan_, ReadStartPlan(options_.session_folder));
  session_.folder = options_.session_folder;
  session_.cluster = plan_.cluster;
  session_.head_address = plan_.head_address;
  session_.supervisor = io::StampOf(::getpid());
  session_.started_unix_ms = UnixMs();
  session_.embedded = plan_.embedded;
  return Save();
}

base::Status Supervisor::StartChild(Child& child) {
  int pipe_ends[2];
  if (::pipe2(pipe_ends, O_CLOEXEC) != 0) {
    return absl::UnavailableError(absl::StrCat("pipe: ", std::strerror(errno)));
  }
  child.ready.Reset(pipe_ends[0]);
  base::UniqueFd theirs(pipe_ends[1]);
  const std::string errors = absl::StrCat(session_.logs_folder(), "/", child.command, ".err");
  const base::UniqueFd output(
      ::open(errors.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!output) return absl::UnavailableError(absl::StrCat(errors, ": ", std::strerror(errno)));
  io::SpawnOptions spawn;
  spawn.executable = "/proc/self/exe";
  spawn.arguments = {"rayx",          child.command, "--session-folder",
                     session_.folder, "--ready-fd",  absl::StrCat(kChildReadyFd)};
  spawn.environment = io::OwnEnvironment();
  spawn.environment.emplace_back("MALLOC_ARENA_MAX=2");
  spawn.fds = {{output.get(), 1}, {output.get(), 2}, {theirs.get(), kChildReadyFd}};
  spawn.death_signal = SIGTERM;
  RAYX_ASSIGN_OR_RETURN(child.process, io::Spawn(spawn));
  (&child == &head_ ? session_.head : session_.node) = io::StampOf(child.process.pid);
  return Save();
}

// Signals, the driver's pipe, the driver: always the first three.
void Supervisor::AddCommon(std::vector<pollfd>& watched) const {
  watched.push_back({signals_.get(), POLLIN, 0});
  watched.push_back({driver_pipe_.get(), POLLIN, 0});
  watched.push_back({driver_.get(), POLLIN, 0});
}

int Supervisor::Poll(std::vector<pollfd>& watched, milliseconds wait) {
  const int result = ::poll(watched.data(), watched.size(), static_cast<int>(wait.count()));
  return result < 0 && errno == EINTR ? 0 : result;
}

// A signal to end, the driver's end, or end-of-file on its pipe.
bool Supervisor::ToldToEnd() {
  signalfd_siginfo info;
  bool told = false;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    told = told || info.ssi_signo != SIGCHLD;
  }
  if (driver_ && io::HasExited(driver_.get())) told = true;
  pollfd pipe = {driver_pipe_.get(), POLLIN, 0};
  if (driver_pipe_ && ::poll(&pipe, 1, 0) == 1) {
    char bytes[64];
    if (::read(driver_pipe_.get(), bytes, sizeof bytes) <= 0) told = true;
  }
  return told;
}

base::StatusOr<ReadyAnswer> Supervisor::WaitReady(Child& child) {
  const auto deadline = Clock::now() + kReadyWait;
  std::string line;
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) {
      return absl::DeadlineExceededError(
          absl::StrCat(child.what, " did not serve within ", kReadyWait.count() / 1000, " s"));
    }
    std::vector<pollfd> watched;
    AddCommon(watched);
    watched.push_back({child.ready.get(), POLLIN, 0});
    Poll(watched, left);
    if (ToldToEnd()) return absl::CancelledError("told to end while starting");
    if (watched[3].revents == 0) continue;
    char buffer[4096];
    const ssize_t n = ::read(child.ready.get(), buffer, sizeof buffer);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) return DiedEarly(child);
    line.append(buffer, static_cast<size_t>(n));
    if (line.back() == '\n') break;
    if (line.size() > 64 * 1024) return absl::InternalError("an endless answer");
  }
  child.ready.Reset();
  RAYX_ASSIGN_OR_RETURN(ReadyAnswer answer, ParseReadyAnswer(line));
  if (!answer.error.empty()) return absl::FailedPreconditionError(answer.error);
  return answer;
}

// It closed its descriptor without a word: its end tells why.
base::Status Supervisor::DiedEarly(Child& child) {
  io::WaitExited(child.process.pidfd.get(), kDyingWait);
  Record(child);
  const auto ending = ReadEnding(session_.folder);
  return absl::InternalError(ending.ok() ? ending->ToString()
                                         : absl::StrCat(child.what, " stopped answering"));
}

base::Status Supervisor::StartAll() {
  if (plan_.with_head) {
    RAYX_RETURN_IF_ERROR(StartChild(head_));
    RAYX_ASSIGN_OR_RETURN(const ReadyAnswer answer, WaitReady(head_));
    session_.head_address = answer.address;
    RAYX_RETURN_IF_ERROR(Save());
  }
  RAYX_RETURN_IF_ERROR(StartChild(node_));
  RAYX_ASSIGN_OR_RETURN(const ReadyAnswer answer, WaitReady(node_));
  session_.node_number = answer.node;
  session_.cluster = answer.cluster;
  return Save();
}

void Supervisor::Answer(const std::string& error) {
  if (!ready_) return;
  const std::string line = io::FormatStartAnswer({error, session_.head_address, session_.folder});
  [[maybe_unused]] const ssize_t written = ::write(ready_.get(), line.data(), line.size());
  ready_.Reset();
}

// Takes the end of a child that is gone, and writes down why.
void Supervisor::Record(Child& child) {
  if (!child.running()) return;
  child.exit = io::Reap(child.process.pidfd.get());
  // Code 0: it was told to end by its cluster (`rayx stop` on the head's VM).
  if (!child.exit.has_value() || (child.exit->signal == 0 && child.exit->exit_code == 0)) return;
  if (std::exchange(failed_, true)) return;  // the first death is the cause of the others
  Ending ending;
  ending.what = child.what;
  ending.pid = child.process.pid;
  ending.signal = child.exit->signal;
  ending.exit_code = child.exit->exit_code;
  ending.unix_ms = UnixMs();
  ending.log_path = absl::StrCat(session_.logs_folder(), "/", child.command, ".log");
  ending.log_lines = TailOf(ending.log_path, kLogLines);
  const auto errors =
      TailOf(absl::StrCat(session_.logs_folder(), "/", child.command, ".err"), kLogLines);
  ending.log_lines.insert(ending.log_lines.end(), errors.begin(), errors.end());
  [[maybe_unused]] const auto written = WriteEnding(session_.folder, ending);
}

// Until it is told to end or a child has died. A node daemon that lost its head has a while to
// notice and to tell its clients HeadUnavailable; it then ends by itself.
void Supervisor::WaitForEnd() {
  std::optional<Clock::time_point> deadline;
  while (!ToldToEnd()) {
    for (Child* child : {&head_, &node_}) {
      if (child->running() && io::HasExited(child->process.pidfd.get())) Record(*child);
    }
    if (node_.exit.has_value()) return;
    if (head_.exit.has_value() && !deadline) deadline = Clock::now() + kHeadLostWait;
    const auto left = deadline ? std::chrono::duration_cast<milliseconds>(*deadline - Clock::now())
                               : milliseconds(-1);
    if (deadline && left.count() <= 0) return;
    ReapOthers();
    std::vector<pollfd> watched;
    AddCommon(watched);
    for (const Child* child : {&head_, &node_}) {
      watched.push_back({child->running() ? child->process.pidfd.get() : -1, POLLIN, 0});
    }
    Poll(watched, left);
  }
}

// Orphans that came to us as subreaper. Head and node are reaped by Record and EndChild alone.
void Supervisor::ReapOthers() {
  while (true) {
    siginfo_t info = {};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    if (info.si_pid == head_.process.pid || info.si_pid == node_.process.pid) return;
    ::waitpid(info.si_pid, nullptr, WNOHANG);
  }
}

void Supervisor::EndChild(Child& child) {
  if (!child.running()) return;
  for (const int signal : {SIGTERM, SIGKILL}) {
    io::Signal(child.process.pidfd.get(), signal);
    io::Signal(child.process.pidfd.get(), SIGCONT);  // a stopped one hears nothing else
    pollfd ended = {child.process.pidfd.get(), POLLIN, 0};
    const auto deadline = Clock::now() + kEndWait;
    while (!io::HasExited(child.process.pidfd.get())) {
      const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
      if (left.count() <= 0) break;
      ::poll(&ended, 1, static_cast<int>(left.count()));
    }
    child.exit = io::Reap(child.process.pidfd.get());
    if (child.exit.has_value()) return;
  }
}

// Head first: it tells the nodes of the other VMs.
void Supervisor::EndAll() {
  EndChild(head_);
  EndChild(node_);
  EndProcesses(session_);
  ReapOthers();
}

int Supervisor::Run() {
  base::Status status = SetUp();
  if (status.ok()) status = StartAll();
  Answer(std::string(base::Message(status)));
  if (status.ok()) WaitForEnd();
  EndAll();
  if (status.ok() && !failed_ && !plan_.embedded) RecordStop(session_);
  CleanFolder(session_.folder.empty() ? options_.session_folder : session_.folder,
              status.ok() && failed_ && !plan_.embedded);
  if (!status.ok()) return absl::IsCancelled(status) ? 0 : 1;
  return failed_ ? 1 : 0;
}

}  // namespace

int Supervise(const SupervisorOptions& options) {
  return Supervisor(options).Run();
}

}  // namespace rayx::cli
