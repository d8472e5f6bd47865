#include "client/embedded_cluster.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

#include "client/executor/process_title.h"
#include "io/session_folder.h"

namespace rayx::client {
namespace {

constexpr int kStartTimeoutMs = 30'000;
constexpr int kEndTimeoutMs = 10'000;
constexpr size_t kAnswerBytesMax = 64 * 1024;

bool IsProgram(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

// Reads one line within the time; what came so far if the writer closed early.
std::string ReadLine(int fd) {
  std::string line;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kStartTimeoutMs);
  while (line.size() < kAnswerBytesMax) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    pollfd poll_fd{fd, POLLIN, 0};
    if (::poll(&poll_fd, 1, static_cast<int>(left.count())) < 0 && errno != EINTR) break;
    char buffer[4096];
    const ssize_t bytes = (poll_fd.revents != 0) ? ::read(fd, buffer, sizeof buffer) : -1;
    if (bytes == 0) break;
    if (bytes < 0) continue;
    line.append(buffer, static_cast<size_t>(bytes));
    if (line.find('\n') != std::string::npos) break;
  }
  return line;
}

void AddAmount(std::vector<std::string>& arguments, const char* flag, double amount) {
  if (amount < 0) return;
  char text[64];
  std::snprintf(text, sizeof text, "%s=%.10g", flag, amount);
  arguments.emplace_back(text);
}

std::vector<std::string> Arguments(const Options& options, const std::string& rayx, int ready_fd, int pipe_fd) {
  std::vector<std::string> arguments = {rayx, "start", "--head", "--embedded", "--port=0",
                                        "--ready-fd=" + std::to_string(ready_fd),
                                        "--pipe-fd=" + std::to_string(pipe_fd),
                                        "--driver-pid=" + std::to_string(::getpid())};
  AddAmount(arguments, "--num-cpus", options.num_cpus);
  AddAmount(arguments, "--num-gpus", options.num_gpus);
  if (!options.resources.empty()) {
    std::string map = "--resources={";
    for (const auto& [name, amount] : options.resources) {
      if (map.back() != '{') map += ',';
      char text[64];
      std::snprintf(text, sizeof text, "%.10g", amount);
      map += "\"" + name + "\":" + text;
    }
    arguments.push_back(map + "}");
  }
  if (options.object_store_memory != 0) {
    arguments.push_back("--object-store-memory=" + std::to_string(options.object_store_memory));
  }
  arguments.insert(arguments.end(), options.head_args.begin(), options.head_args.end());
  return arguments;
}

}  // namespace

base::StatusOr<std::string> FindRayxBinary() {
  std::string tried;
  const auto works = [&tried](const std::string& path) {
    tried += (tried.empty() ? "" : ", ") + path;
    return IsProgram(path);
  };
  if (const char* named = ::getenv("RAYX_BIN")) {
    if (works(named)) return std::string(named);
    return base::MakeStatus(absl::StatusCode::kNotFound, std::string("RAYX_BIN names no program: ") + named);
  }
  Dl_info info{};
  std::vector<std::filesystem::path> folders;
  if (::dladdr(reinterpret_cast<const void*>(&FindRayxBinary), &info) != 0 && info.dli_fname != nullptr) {
    const auto library = std::filesystem::path(info.dli_fname).parent_path();
    folders = {library, library / "../bin"};
  }
  const auto program = std::filesystem::path(ProgramPath()).parent_path();
  folders.insert(folders.end(), {program, program / "..", program / "../bin"});
  for (const auto& folder : folders) {
    const std::string path = (folder / "rayx").lexically_normal().string();
    if (works(path)) return path;
  }
  if (const char* list = ::getenv("PATH")) {
    std::string folder;
    for (const char* at = list;; ++at) {
      if (*at != ':' && *at != '\0') {
        folder += *at;
        continue;
      }
      if (!folder.empty() && works(folder + "/rayx")) return folder + "/rayx";
      folder.clear();
      if (*at == '\0') break;
    }
  }
  return base::MakeStatus(absl::StatusCode::kNotFound,
                          "the program rayx was not found; tried " + tried + ". Set RAYX_BIN to it");
}

base::StatusOr<std::shared_ptr<EmbeddedCluster>> EmbeddedCluster::Start(const Options& options) {
  RAYX_ASSIGN_OR_RETURN(const std::string rayx, FindRayxBinary());
  int ready[2];
  int life[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  base::UniqueFd ready_read(ready[0]);
  base::UniqueFd ready_write(ready[1]);
  if (::pipe2(life, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  base::UniqueFd life_read(life[0]);
  std::shared_ptr<EmbeddedCluster> cluster(new EmbeddedCluster());
  cluster->life_ = base::UniqueFd(life[1]);
  // The child's copies, which lose close-on-exec there.
  constexpr int kReadyFd = 3;
  constexpr int kLifeFd = 4;
  base::UniqueFd high_ready(::fcntl(ready_write.get(), F_DUPFD_CLOEXEC, 10));
  base::UniqueFd high_life(::fcntl(life_read.get(), F_DUPFD_CLOEXEC, 10));
  std::vector<std::string> arguments = Arguments(options, rayx, kReadyFd, kLifeFd);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, high_ready.get(), kReadyFd);
  posix_spawn_file_actions_adddup2(&actions, high_life.get(), kLifeFd);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, rayx.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return absl::ErrnoToStatus(error, "cannot start " + rayx);
  cluster->starter_ = pid;
  ready_write.Reset();
  high_ready.Reset();
  life_read.Reset();
  high_life.Reset();
  const std::string line = ReadLine(ready_read.get());
  int status = 0;
  while (::waitpid(pid, &status, WNOHANG) == 0 && line.empty()) {
    ::kill(pid, SIGTERM);
    ::usleep(10'000);
  }
  auto answer = io::ParseStartAnswer(line);
  if (!answer.ok()) {
    return base::MakeStatus(absl::StatusCode::kUnavailable,
                            "the embedded cluster did not start: " + rayx + " gave no answer within 30 s");
  }
  if (!answer->error.empty()) {
    return base::MakeStatus(absl::StatusCode::kUnavailable, "the embedded cluster did not start: " + answer->error);
  }
  cluster->session_folder_ = answer->session_folder;
  cluster->head_address_ = answer->head_address;
  return cluster;
}

EmbeddedCluster::~EmbeddedCluster() {
  life_.Reset();
  if (session_folder_.empty()) return;
  // Ended when its supervisor is: an orderly program leaves nothing running behind itself.
  auto session = io::ReadSession(session_folder_);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kEndTimeoutMs);
  while (session.ok() && io::IsRunning(session->supervisor) && std::chrono::steady_clock::now() < deadline) {
    ::usleep(5'000);
  }
  int status = 0;
  ::waitpid(starter_, &status, WNOHANG);
}

}  // namespace rayx::client
