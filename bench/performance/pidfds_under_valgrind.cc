// pidfd_open and pidfd_send_signal for a program that Valgrind runs: older releases (Debian 12 has
// 3.19) know neither.
//
// Purpose:  this file's syscall() takes the place of the C library's in call_costs_counted. It asks
//           a process of its own, which Valgrind does not run, for a pidfd.
// Owner:    the program; the other process ends with it, by end-of-file.
// Threads:  any.
// Promises: whatever else is asked of it goes to the C library; not under Valgrind, everything.
#include <dlfcn.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <valgrind/valgrind.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>

namespace {

constexpr char kServerFd[] = "CALL_COSTS_PIDFD_SERVER";  // in the server's environment

struct Answer {
  int error = 0;  // 0: a descriptor comes with it
};

using Syscall = long (*)(long number, ...);

Syscall OfTheLibrary() {
  static const auto found = reinterpret_cast<Syscall>(::dlsym(RTLD_NEXT, "syscall"));
  return found;
}

bool SendAnswer(int socket, Answer answer, int descriptor) {
  iovec bytes{&answer, sizeof answer};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) == sizeof answer;
}

// -1 with errno.
int ReceiveDescriptor(int socket) {
  Answer answer;
  iovec bytes{&answer, sizeof answer};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != sizeof answer) answer.error = EPIPE;
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (answer.error == 0 && header == nullptr) answer.error = EPROTO;
  if (answer.error != 0) {
    errno = answer.error;
    return -1;
  }
  int descriptor = -1;
  std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
  return descriptor;
}

// The other process is this same program, before its main.
bool Serve() {
  const char* const given = std::getenv(kServerFd);
  if (given == nullptr) return false;
  const int socket = std::atoi(given);
  pid_t pid = 0;
  while (::recv(socket, &pid, sizeof pid, 0) == sizeof pid) {
    const int descriptor = static_cast<int>(OfTheLibrary()(SYS_pidfd_open, pid, 0));
    if (!SendAnswer(socket, {descriptor < 0 ? errno : 0}, descriptor)) break;
    if (descriptor >= 0) ::close(descriptor);
  }
  ::_exit(0);
}
[[maybe_unused]] const bool kServed = Serve();

// The socket to a new server; -1 with errno.
int StartServer() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return -1;
  const int theirs = ::dup(ends[1]);  // stays open there
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string variable = std::string(kServerFd) + "=" + std::to_string(theirs);
  const char* const arguments[] = {program.c_str(), nullptr};
  const char* const environment[] = {variable.c_str(), nullptr};
  const pid_t child = ::fork();
  if (child == 0) {
    ::execve(program.c_str(), const_cast<char**>(arguments), const_cast<char**>(environment));
    ::_exit(127);
  }
  ::close(theirs);
  ::close(ends[1]);
  return child < 0 ? -1 : ends[0];
}

int OpenPidfd(pid_t pid) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  static const int server = StartServer();
  if (server < 0 || ::send(server, &pid, sizeof pid, MSG_NOSIGNAL) != sizeof pid) return -1;
  return ReceiveDescriptor(server);
}

int SignalPidfd(int pidfd, int signal) {
  std::ifstream file("/proc/self/fdinfo/" + std::to_string(pidfd));
  for (std::string name; file >> name;) {
    pid_t pid = -1;
    if (name == "Pid:" && file >> pid && pid > 0) return ::kill(pid, signal);
  }
  errno = ESRCH;
  return -1;
}

}  // namespace

extern "C" long syscall(long number, ...) noexcept {
  va_list list;
  va_start(list, number);
  long words[6];
  for (long& word : words) word = va_arg(list, long);
  va_end(list);
  if (number == SYS_pidfd_open && RUNNING_ON_VALGRIND) {
    return OpenPidfd(static_cast<pid_t>(words[0]));
  }
  if (number == SYS_pidfd_send_signal && RUNNING_ON_VALGRIND) {
    return SignalPidfd(static_cast<int>(words[0]), static_cast<int>(words[1]));
  }
  return OfTheLibrary()(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}
