#include "io/processes.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

extern char** environ;

namespace rayx::io {
namespace {

using Steady = std::chrono::steady_clock;

constexpr size_t kLineBytesMax = 64 * 1024;

// Everything that the child needs, made before the fork: after it only async-signal-safe calls.
struct ChildPlan {
  std::vector<char*> arguments;
  std::vector<char*> environment;
  std::vector<std::pair<int, int>> fds;  // sources moved above every target
  int highest_target = 2;
  int null_fd = -1;
  int error_fd = -1;
  pid_t parent = 0;
};

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const auto& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void Fail(const ChildPlan& plan) {
  const int error = errno;
  [[maybe_unused]] const ssize_t written = ::write(plan.error_fd, &error, sizeof error);
  ::_exit(127);
}

void ResetSignals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &action, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void RunChild(const SpawnOptions& options, const ChildPlan& plan) {
  ResetSignals();
  if (options.death_signal != 0) {
    ::prctl(PR_SET_PDEATHSIG, options.death_signal);
    if (::getppid() != plan.parent) ::_exit(127);
  }
  for (const auto& [source, target] : plan.fds) {
    if (::dup2(source, target) < 0) Fail(plan);
  }
  // Everything else is close-on-exec or closed here; error_fd goes with the exec.
  const int first = plan.highest_target + 1;
  if (plan.error_fd > first) ::syscall(SYS_close_range, first, plan.error_fd - 1, 0);
  ::syscall(SYS_close_range, std::max(first, plan.error_fd + 1), ~0U, 0);
  if (!options.working_folder.empty() && ::chdir(options.working_folder.c_str()) != 0) Fail(plan);
  ::execve(options.executable.c_str(), plan.arguments.data(), plan.environment.data());
  Fail(plan);
}

// Ready or hung up.
bool WaitReadable(int fd, Steady::time_point deadline) {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Steady::now());
    pollfd ready{fd, POLLIN, 0};
    const int count = ::poll(&ready, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (count > 0) return (ready.revents & (POLLIN | POLLHUP)) != 0;
    if (count == 0 || errno != EINTR) return false;
  }
}

int DuplicateAbove(int fd, int lowest) {
  return ::fcntl(fd, F_DUPFD_CLOEXEC, lowest);
}

}  // namespace

std::string ExitStatus::ToString() const {
  if (signal == 0) return "exited with code " + std::to_string(exit_code);
  return "was killed by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
}

std::vector<std::string> OwnEnvironment() {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  return environment;
}

base::StatusOr<Process> Spawn(const SpawnOptions& options) {
  ChildPlan plan;
  plan.arguments = Pointers(options.arguments);
  plan.environment = Pointers(options.environment);
  plan.parent = ::getpid();
  for (const auto& [source, target] : options.fds) {
    plan.highest_target = std::max(plan.highest_target, target);
  }
  std::vector<base::UniqueFd> kept;
  const auto keep = [&](int fd) {
    kept.emplace_back(DuplicateAbove(fd, plan.highest_target + 1));
    return kept.back().get();
  };
  base::UniqueFd null_fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  int error_pipe[2] = {-1, -1};
  if (!null_fd || ::pipe2(error_pipe, O_CLOEXEC) != 0) {
    return absl::ResourceExhaustedError(std::string("spawn: ") + std::strerror(errno));
  }
  base::UniqueFd error_read(error_pipe[0]);
  base::UniqueFd error_write(error_pipe[1]);
  for (int standard = 0; standard < 3; ++standard) {
    const bool given = std::any_of(options.fds.begin(), options.fds.end(),
                                   [&](const auto& fd) { return fd.second == standard; });
    if (!given) plan.fds.emplace_back(keep(null_fd.get()), standard);
  }
  for (const auto& [source, target] : options.fds) plan.fds.emplace_back(keep(source), target);
  plan.error_fd = keep(error_write.get());
  for (const auto& fd : kept) {
    if (!fd) return absl::ResourceExhaustedError("spawn: out of file descriptors");
  }
  const pid_t pid = ::fork();
  if (pid < 0) return absl::ResourceExhaustedError(std::string("fork: ") + std::strerror(errno));
  if (pid == 0) RunChild(options, plan);
  Process process{pid, OpenPidfd(pid)};
  error_write.Reset();
  kept.clear();
  int error = 0;
  ssize_t size = -1;
  do {
    size = ::read(error_read.get(), &error, sizeof error);
  } while (size < 0 && errno == EINTR);
  if (size == 0 && process.pidfd) return process;
  if (!process.pidfd) ::kill(pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return absl::FailedPreconditionError("cannot run " + options.executable + ": " +
                                       (size > 0 ? std::strerror(error) : "no pidfd"));
}

base::UniqueFd OpenPidfd(pid_t pid) {
  return base::UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

bool HasExited(int pidfd) {
  return WaitReadable(pidfd, Steady::now());
}

bool WaitExited(int pidfd, std::chrono::milliseconds wait) {
  return WaitReadable(pidfd, Steady::now() + wait);
}

base::StatusOr<std::string> ReadLine(int fd, std::chrono::milliseconds wait) {
  const auto deadline = Steady::now() + wait;
  std::string line;
  while (line.empty() || line.back() != '\n') {
    if (!WaitReadable(fd, deadline)) return absl::DeadlineExceededError("no line in time");
    char buffer[4096];
    const ssize_t bytes = ::read(fd, buffer, sizeof buffer);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return absl::UnavailableError("the pipe was closed before the end of the line");
    line.append(buffer, static_cast<size_t>(bytes));
    if (line.size() > kLineBytesMax) return absl::ResourceExhaustedError("the line is too long");
  }
  return line;
}

std::optional<ExitStatus> Reap(int pidfd) {
  siginfo_t info{};
  if (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info,
               WEXITED | WNOHANG) != 0 ||
      info.si_pid == 0) {
    return std::nullopt;
  }
  ExitStatus status;
  if (info.si_code == CLD_EXITED) {
    status.exit_code = info.si_status;
  } else {
    status.signal = info.si_status;
  }
  return status;
}

bool Signal(int pidfd, int signal) {
  return ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0;
}

bool AdoptOrphans() {
  return ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

std::vector<Child> Children() {
  std::vector<Child> children;
  DIR* entries = ::opendir("/proc");
  if (entries == nullptr) return children;
  const pid_t self = ::getpid();
  while (const dirent* entry = ::readdir(entries)) {
    const pid_t pid = std::atoi(entry->d_name);
    if (pid <= 0) continue;
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
    std::FILE* file = std::fopen(path, "re");
    if (file == nullptr) continue;
    char text[512];
    text[std::fread(text, 1, sizeof text - 1, file)] = '\0';
    std::fclose(file);
    // "pid (name) state parent ..."; the name may hold anything.
    const char* after_name = std::strrchr(text, ')');
    char state = 0;
    int parent = 0;
    if (after_name == nullptr || std::sscanf(after_name + 1, " %c %d", &state, &parent) != 2)
      continue;
    if (parent == self) children.push_back({pid, state == 'Z'});
  }
  ::closedir(entries);
  return children;
}

bool EndAllChildren(std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    for (const Child& child : Children()) {
      if (!child.is_zombie) ::kill(child.pid, SIGKILL);  // ours, so that the number is not reused
    }
    siginfo_t info{};
    int result = 0;
    do {
      info.si_pid = 0;
      result = ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG);
    } while (result == 0 && info.si_pid != 0);
    if (result != 0 && errno == ECHILD) return true;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    ::poll(nullptr, 0, 2);
  }
}

}  // namespace rayx::io
