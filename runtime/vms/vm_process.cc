#include "vms/vm_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

namespace rayx::vms {
namespace {

// From the kill of what a command started to the kill of the command itself.
constexpr auto kKillPatience = std::chrono::seconds(2);

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::string ReadAll(int fd) {
  std::string text;
  if (fd < 0) return text;
  char buffer[8192];
  for (off_t at = 0;;) {
    const ssize_t n = pread(fd, buffer, sizeof buffer, at);
    if (n <= 0) return text;
    text.append(buffer, static_cast<size_t>(n));
    at += n;
  }
}

void CloseIfOpen(int fd) {
  if (fd >= 0) close(fd);
}

}  // namespace

absl::StatusOr<VmProcess> VmProcess::Spawn(const std::vector<std::string>& argv,
                                           const std::vector<std::string>& environment,
                                           const ExecOptions& options) {
  VmProcess process;
  int input = -1, output = -1, errors = -1;
  bool is_captured = false;
  if (options.conversation >= 0) {
    input = output = options.conversation;
    errors = STDERR_FILENO;
  } else if (!options.inherit_output) {
    is_captured = options.output_file.empty();
    input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (is_captured) {
      process.output_ = output = memfd_create("vm-stdout", MFD_CLOEXEC);
      process.errors_ = errors = memfd_create("vm-stderr", MFD_CLOEXEC);
    } else {
      output = open(options.output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
      errors = dup(output);
    }
    if (input < 0 || output < 0 || errors < 0) {
      const int error = errno;
      for (int fd : {input, output, errors}) CloseIfOpen(fd);
      process.output_ = process.errors_ = -1;
      return absl::UnavailableError("cannot open the output " + options.output_file + ": " +
                                    strerror(error));
    }
  }
  // Built before the fork: a child of a process with threads may not allocate.
  const std::vector<char*> arguments = Pointers(argv), variables = Pointers(environment);
  const pid_t pid = fork();
  if (pid == 0) {
    if (input >= 0) {
      dup2(input, 0);
      dup2(output, 1);
      dup2(errors, 2);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execve(arguments[0], arguments.data(), variables.data());
    _exit(127);
  }
  const int error = errno;
  if (options.conversation < 0) {
    CloseIfOpen(input);
    if (!is_captured) {
      CloseIfOpen(output);
      CloseIfOpen(errors);
    }
  }
  if (pid < 0) return absl::UnavailableError(std::string("fork: ") + strerror(error));
  process.pid_ = pid;
  return process;
}

VmProcess::VmProcess(VmProcess&& other) noexcept {
  *this = std::move(other);
}

VmProcess& VmProcess::operator=(VmProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(output_, other.output_);
  std::swap(errors_, other.errors_);
  std::swap(ended_, other.ended_);
  std::swap(raw_status_, other.raw_status_);
  return *this;
}

VmProcess::~VmProcess() {
  if (Running()) {
    Signal(SIGKILL);
    // Outside a VM it is the command itself, which may live on without its child.
    if (!EndsWithin(kKillPatience)) kill(pid_, SIGKILL);
    Reap(true);
  }
  CloseIfOpen(output_);
  CloseIfOpen(errors_);
}

bool VmProcess::Reap(bool block) {
  if (ended_) return true;
  pid_t result;
  do {
    result = waitpid(pid_, &raw_status_, block ? 0 : WNOHANG);
  } while (result < 0 && errno == EINTR);
  if (result == pid_ || result < 0) ended_ = true;  // < 0: somebody else has reaped it
  return ended_;
}

bool VmProcess::Running() {
  return pid_ > 0 && !Reap(false);
}

void VmProcess::Signal(int signal_number) {
  if (!Running()) return;
  if (signal_number == SIGKILL) {
    // Kill what it started inside and let it reap that: killed itself, it would leave a zombie in
    // the VM. Only a process that has started nothing yet is killed directly.
    const std::string me = std::to_string(pid_);
    std::ifstream children("/proc/" + me + "/task/" + me + "/children");
    pid_t child = 0;
    if (children >> child) {
      kill(child, SIGKILL);
      return;
    }
  }
  kill(pid_, signal_number);
}

bool VmProcess::EndsWithin(std::chrono::milliseconds timeout) {
  if (Reap(false)) return true;
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  pollfd event = {pidfd, POLLIN, 0};
  const auto end = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    const int ready = poll(&event, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (ready > 0 || (ready == 0 && left.count() <= 0)) break;
    if (ready < 0 && errno != EINTR) break;
  }
  CloseIfOpen(pidfd);
  return Reap(false);
}

absl::StatusOr<ExitStatus> VmProcess::Wait(std::chrono::milliseconds timeout) {
  if (pid_ <= 0) return absl::FailedPreconditionError("there is no process to wait for");
  if (!EndsWithin(timeout)) return absl::DeadlineExceededError("the command still runs");
  ExitStatus status;
  if (WIFSIGNALED(raw_status_)) {
    status.signal = WTERMSIG(raw_status_);
    status.exit_code = 128 + status.signal;
  } else {
    status.exit_code = WEXITSTATUS(raw_status_);
  }
  status.output = ReadAll(output_);
  status.errors = ReadAll(errors_);
  return status;
}

}  // namespace rayx::vms
