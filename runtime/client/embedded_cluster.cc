#include "client/embedded_cluster.h"

#include <dlfcn.h>
#include <fcntl.h>
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

#include "io/process_title.h"
#include "io/processes.h"
#include "io/session_folder.h"

namespace rayx::client {
namespace {

constexpr std::chrono::seconds kStartTimeout(30);
constexpr std::chrono::seconds kEndTimeout(10);

bool IsProgram(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

void AddAmount(std::vector<std::string>& arguments, const char* flag, double amount) {
  if (amount < 0) return;
  char text[64];
  std::snprintf(text, sizeof text, "%s=%.10g", flag, amount);
  arguments.emplace_back(text);
}

std::vector<std::string> Arguments(const Options& options, const std::string& rayx, int ready_fd,
                                   int pipe_fd) {
  std::vector<std::string> arguments = {rayx,
                                        "start",
                                        "--head",
                                        "--embedded",
                                        "--port=0",
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
    return base::MakeStatus(absl::StatusCode::kNotFound,
                            std::string("RAYX_BIN names no program: ") + named);
  }
  Dl_info info{};
  std::vector<std::filesystem::path> folders;
  if (::dladdr(reinterpret_cast<const void*>(&FindRayxBinary), &info) != 0 &&
      info.dli_fname != nullptr) {
    const auto library = std::filesystem::path(info.dli_fname).parent_path();
    folders = {library, library / "../bin"};
  }
  const auto program = std::filesystem::path(io::ProgramPath()).parent_path();
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
  return base::MakeStatus(absl::StatusCode::kNotFound, "the program rayx was not found; tried " +
                                                           tried + ". Set RAYX_BIN to it");
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
  // Not io::Spawn: in a user's process a fork would run what its libraries do at a fork, and copy
  // the page tables of all its memory.
  const int error = ::posix_spawn(&pid, rayx.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return absl::ErrnoToStatus(error, "cannot start " + rayx);
  cluster->starter_ = pid;
  ready_write.Reset();
  high_ready.Reset();
  life_read.Reset();
  high_life.Reset();
  cluster->starter_end_ = io::OpenPidfd(pid);
  const std::string line = io::ReadLine(ready_read.get(), kStartTimeout).value_or("");
  if (line.empty()) {  // whatever it was doing ends with it
    ::kill(pid, SIGTERM);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  } else {
    ::waitpid(pid, nullptr, WNOHANG);
  }
  auto answer = io::ParseStartAnswer(line);
  if (!answer.ok()) {
    return base::MakeStatus(
        absl::StatusCode::kUnavailable,
        "the embedded cluster did not start: " + rayx + " gave no answer within 30 s");
  }
  if (!answer->error.empty()) {
    return base::MakeStatus(absl::StatusCode::kUnavailable,
                            "the embedded cluster did not start: " + answer->error);
  }
  cluster->session_folder_ = answer->session_folder;
  cluster->head_address_ = answer->head_address;
  return cluster;
}

EmbeddedCluster::~EmbeddedCluster() {
  life_.Reset();
  if (session_folder_.empty()) return;
  // `rayx start` became the supervisor: an orderly program leaves nothing running behind itself.
  if (starter_end_) io::WaitExited(starter_end_.get(), kEndTimeout);
  ::waitpid(starter_, nullptr, WNOHANG);
}

}  // namespace rayx::client
