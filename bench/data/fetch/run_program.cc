#include "bench/data/fetch/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>

namespace rayx::bench {
namespace {

constexpr int kNotFoundStatus = 127;

// Returns when the child has ended; calls on_wait meanwhile.
void AwaitEnd(pid_t pid, const std::function<void()>& on_wait) {
  pollfd child = {static_cast<int>(syscall(SYS_pidfd_open, pid, 0)), POLLIN, 0};
  while (child.fd >= 0 && poll(&child, 1, 250) <= 0) on_wait();
  if (child.fd >= 0) close(child.fd);
}

}  // namespace

ProgramEnd RunProgram(const std::vector<std::string>& argv, const std::filesystem::path& folder,
                      const std::filesystem::path& log, const std::function<void()>& on_wait) {
  std::vector<char*> arguments;
  for (const std::string& word : argv) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || chdir(folder.c_str()) != 0) _exit(126);
    execvp(arguments[0], arguments.data());
    _exit(errno == ENOENT ? kNotFoundStatus : 126);
  }
  if (pid < 0) return ProgramEnd::kFailed;
  AwaitEnd(pid, on_wait);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return ProgramEnd::kFailed;
  }
  if (!WIFEXITED(status)) return ProgramEnd::kFailed;
  if (WEXITSTATUS(status) == kNotFoundStatus) return ProgramEnd::kNotFound;
  return WEXITSTATUS(status) == 0 ? ProgramEnd::kSucceeded : ProgramEnd::kFailed;
}

std::string EndsOfLog(const std::filesystem::path& log) {
  std::ifstream file(log);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  constexpr size_t kEnd = 600;
  if (text.size() > 2 * kEnd) {
    text = text.substr(0, kEnd) + "\n...\n" + text.substr(text.size() - kEnd);
  }
  return text;
}

}  // namespace rayx::bench
