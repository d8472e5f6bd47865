#include "client/worker_mode.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "base/heap.h"
#include "base/log.h"
#include "client/cluster_client.h"
#include "client/error_bridge.h"
#include "client/executor/executor.h"
#include "client/runtime_holder.h"
#include "io/packet_socket.h"
#include "io/process_title.h"
#include "model/versions.h"
#include "proto/local.pb.h"
#include "shm/memory_file.h"

namespace rayx::client {
namespace {

// Constant-initialised, because the constructor below runs before other static initialisers.
int worker_fd = -1;
uint64_t worker_token = 0;
bool is_zygote = false;

template <typename T>
bool ParseWhole(const char* text, T& value) {
  const char* end = text + std::strlen(text);
  auto [at, error] = std::from_chars(text, end, value);
  return error == std::errc() && at == end;
}

// What the daemon has lent to the dynamic loader is not for the programs that user code starts.
void GiveBack(const char* lent, const char* own) {
  const char* value = ::getenv(own);
  if (value == nullptr) return;
  if (*value == '\0') {
    ::unsetenv(lent);
  } else {
    ::setenv(lent, value, 1);
  }
  ::unsetenv(own);
}

__attribute__((constructor(101))) void TakeEnvironment() {
  const char* fd = ::getenv("RAYX_WORKER_FD");
  if (fd == nullptr) return;
  const char* mode = ::getenv("RAYX_WORKER_MODE");
  is_zygote = mode != nullptr && std::strcmp(mode, "zygote") == 0;
  const char* token = ::getenv("RAYX_WORKER_TOKEN");
  if (!ParseWhole(fd, worker_fd) || (token != nullptr && !ParseWhole(token, worker_token)))
    worker_fd = -1;
  if (worker_fd >= 0) ::fcntl(worker_fd, F_SETFD, FD_CLOEXEC);
  ::unsetenv("RAYX_WORKER_FD");
  ::unsetenv("RAYX_WORKER_MODE");
  ::unsetenv("RAYX_WORKER_TOKEN");
  if (const char* program = ::getenv("RAYX_WORKER_PROGRAM")) io::SetProgramPath(program);
  ::unsetenv("RAYX_WORKER_PROGRAM");
  GiveBack("LD_LIBRARY_PATH", "RAYX_WORKER_OWN_LD_LIBRARY_PATH");
  GiveBack("LD_PRELOAD", "RAYX_WORKER_OWN_LD_PRELOAD");
}

[[noreturn]] void End(int code) {
  std::fflush(nullptr);
  ::_exit(code);
}

[[noreturn]] void Fail(const std::string& why) {
  std::fprintf(stderr, "rayx worker: %s\n", why.c_str());
  End(70);
}

int ThreadCount() {
  int threads = 0;
  std::error_code ignored;
  for (auto it = std::filesystem::directory_iterator("/proc/self/task", ignored);
       !ignored && it != std::filesystem::directory_iterator(); it.increment(ignored)) {
    ++threads;
  }
  return threads;
}

// User code and its libraries write to peers that may be gone, Gloo to another rank among them:
// that is an error of the write and not the worker's end. A handler and not SIG_IGN, because
// programs that user code starts would inherit that.
void OutliveClosedPipes() {
  struct sigaction present {};
  ::sigaction(SIGPIPE, nullptr, &present);
  if ((present.sa_flags & SA_SIGINFO) != 0 || present.sa_handler != SIG_DFL) return;
  struct sigaction action {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGPIPE, &action, nullptr);
}

// A connected worker's whole life.
[[noreturn]] void RunWorker(base::UniqueFd socket, uint64_t token) {
  base::KeepFreedMemory();
  DaemonLink link{io::PacketSocket(std::move(socket))};
  proto::Hello hello;
  model::VersionsToWire(model::OwnVersions(shm::kLayoutVersion), *hello.mutable_versions());
  hello.set_role(proto::WORKER);
  hello.set_pid(::getpid());
  hello.set_worker_token(token);
  proto::ErrorInfo refused;
  auto welcome = link.Handshake(hello, refused);
  if (!welcome.ok()) {
    Fail(refused.code() != 0 ? refused.message() : std::string(base::Message(welcome.status())));
  }
  auto client = ClusterClient::Create(std::move(link), *std::move(welcome), /*is_worker=*/true,
                                      WorkerOutput::kHidden, nullptr);
  if (!client.ok()) Fail(std::string(base::Message(client.status())));
  // Never destroyed: the process ends by _exit, and user threads may still use it.
  ClusterClient* runtime = client->get();
  InstallRuntime(*std::move(client));
  io::SetProcessTitle("rayx worker:idle");
  const auto thread = StartTaskThread(*runtime, kTaskStackBytes);
  if (!thread.ok()) Fail(std::string(base::Message(thread.status())));
  pthread_join(*thread, nullptr);
  runtime->FinishActor();
  End(0);
}

// What the kernel and glibc's fork would do for a child and a raw clone does not.
struct RobustList {
  void* head = nullptr;
  size_t bytes = 0;
};

RobustList OwnRobustList() {
  RobustList list;
  ::syscall(SYS_get_robust_list, 0, &list.head, &list.bytes);
  return list;
}

void ResetAfterFork(pid_t daemon, const RobustList& list) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != daemon) End(0);  // the daemon died in between
  ::syscall(SYS_set_robust_list, list.head, list.bytes);
}

// Forks with the daemon as the child's parent. glibc caches the thread id at the address that the
// kernel tells (PR_GET_TID_ADDRESS), so that the child's is right. Negative: errno.
pid_t ForkAsSibling() {
  int* tid_address = nullptr;
  if (::prctl(PR_GET_TID_ADDRESS, &tid_address, 0, 0, 0) != 0) return -errno;
  const long flags = CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD;
  const long pid = ::syscall(SYS_clone, flags, nullptr, nullptr, tid_address, nullptr);
  return pid < 0 ? -errno : static_cast<pid_t>(pid);
}

void Tell(io::PacketSocket& socket, const proto::ZygoteMessage& message) {
  const std::string bytes = message.SerializeAsString();
  socket.Send(std::as_bytes(std::span(bytes)));
}

[[noreturn]] void RunZygote(base::UniqueFd fd) {
  io::SetProcessTitle("rayx zygote");
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const pid_t daemon = ::getppid();
  io::PacketSocket socket(std::move(fd));
  proto::ZygoteMessage ready;
  const int threads = ThreadCount();
  ready.mutable_ready()->set_can_fork(threads == 1);
  if (threads != 1) {
    ready.mutable_ready()->set_why_not("the program has " + std::to_string(threads) +
                                       " threads after its static initialisers");
  }
  Tell(socket, ready);
  while (true) {
    io::Packet packet;
    const io::SocketResult result = socket.Receive(packet);
    if (result != io::SocketResult::kOk) End(0);  // the daemon is gone or wants no more
    proto::ZygoteMessage request;
    if (!request.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size())) ||
        !request.has_fork_worker() || packet.fds.size() != 3) {
      continue;
    }
    std::fflush(nullptr);
    const uint64_t token = request.fork_worker().worker_token();
    proto::ZygoteMessage answer;
    answer.mutable_forked()->set_worker_token(token);
    if (const int now = ThreadCount(); now != 1) {
      answer.mutable_forked()->set_error("the program has " + std::to_string(now) +
                                         " threads by now");
      Tell(socket, answer);
      continue;
    }
    const RobustList robust_list = OwnRobustList();
    const pid_t pid = ForkAsSibling();
    if (pid == 0) {
      ResetAfterFork(daemon, robust_list);
      ::dup2(packet.fds[1].get(), STDOUT_FILENO);
      ::dup2(packet.fds[2].get(), STDERR_FILENO);
      const std::string& folder = request.fork_worker().working_folder();
      if (!folder.empty() && ::chdir(folder.c_str()) != 0) {
        Fail(folder + ": " + std::strerror(errno));
      }
      base::UniqueFd own = std::move(packet.fds[0]);
      packet.fds.clear();
      socket.Close();
      RunWorker(std::move(own), token);
    }
    if (pid < 0) {
      answer.mutable_forked()->set_error(std::string("clone: ") + std::strerror(-pid));
    } else {
      answer.mutable_forked()->set_pid(pid);
    }
    Tell(socket, answer);
  }
}

}  // namespace

bool IsWorkerMode() {
  return worker_fd >= 0;
}

void RunWorkerMode(int argc, char** argv) {
  io::KeepArguments(argc, argv, io::TitleRoom::kEnvironment);
  ::signal(SIGINT, SIG_IGN);  // Ctrl-C at the driver's terminal is the driver's
  OutliveClosedPipes();
  // A pipe's output would come in pieces of 4 KiB, long after the task that printed it.
  ::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  base::UniqueFd fd(worker_fd);
  if (is_zygote) RunZygote(std::move(fd));
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  RunWorker(std::move(fd), worker_token);
}

}  // namespace rayx::client
