#include "client/embedded_cluster.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

#include "io/process_title.h"
#include "io/processes.h"
#include "io/session_folder.h"

namespace rayx::client {
namespace {

constexpr std::chrono::seconds kStartTimeout(30);
constexpr std::chrono::seconds kEndTimeout(10);
constexpr off_t kSaidBytesMax = 1000;

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

// Of the system: none of the user's options is wrong.
base::Status Failed(const std::string& what, int error) {
  return base::MakeStatus(absl::StatusCode::kUnavailable, what + ": " + std::strerror(error));
}

base::Status MakePipe(base::UniqueFd& read, base::UniqueFd& write) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Failed("pipe", errno);
  read.Reset(ends[0]);
  write.Reset(ends[1]);
  return base::OkStatus();
}

base::StatusOr<pid_t> SpawnStarter(const std::string& rayx, const Options& options, int ready,
                                   int life, int output) {
  // The child's copies, which lose close-on-exec there.
  constexpr int kReadyFd = 3;
  constexpr int kLifeFd = 4;
  const base::UniqueFd high_ready(::fcntl(ready, F_DUPFD_CLOEXEC, 10));
  const base::UniqueFd high_life(::fcntl(life, F_DUPFD_CLOEXEC, 10));
  const base::UniqueFd high_output(::fcntl(output, F_DUPFD_CLOEXEC, 10));
  if (!high_ready || !high_life || !high_output) return Failed("a descriptor's copy", errno);
  std::vector<std::string> arguments = Arguments(options, rayx, kReadyFd, kLifeFd);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, high_output.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, high_output.get(), STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions, high_ready.get(), kReadyFd);
  posix_spawn_file_actions_adddup2(&actions, high_life.get(), kLifeFd);
  pid_t pid = 0;
  // Not io::Spawn: in a user's process a fork would run what its libraries do at a fork, and copy
  // the page tables of all its memory.
  const int error = ::posix_spawn(&pid, rayx.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return Failed("cannot start " + rayx, error);
  return pid;
}

// The end of what it printed, without the last line's end.
std::string Said(int output) {
  struct stat info {};
  if (::fstat(output, &info) != 0) return "";
  std::string text(static_cast<size_t>(std::min<off_t>(info.st_size, kSaidBytesMax)), '\0');
  const auto size = static_cast<off_t>(text.size());
  const ssize_t read = ::pread(output, text.data(), text.size(), info.st_size - size);
  text.resize(read > 0 ? static_cast<size_t>(read) : 0);
  text.resize(text.find_last_not_of("\n ") + 1);
  return text;
}

// Until it is gone, at the latest by force; its end, where nobody else has taken it.
std::optional<io::ExitStatus> EndStarter(const base::UniqueFd& starter, bool at_once) {
  if (!starter) return std::nullopt;
  if (at_once || !io::WaitExited(starter.get(), kEndTimeout)) {
    for (const int signal : {SIGTERM, SIGKILL}) {
      io::Signal(starter.get(), signal);
      if (io::WaitExited(starter.get(), kEndTimeout)) break;
    }
  }
  return io::Reap(starter.get());
}

base::Status WhyNotStarted(const std::string& rayx, const base::StatusOr<io::StartAnswer>& answer,
                           const std::optional<io::ExitStatus>& end, const std::string& said) {
  const bool usage = end && end->signal == 0 && end->exit_code == io::kUsageExit;
  std::string why;
  if (answer.ok()) {
    why = answer->error;
  } else if (usage && !said.empty()) {
    why = said;
  } else {
    if (absl::IsDeadlineExceeded(answer.status())) {
      why = rayx + " gave no answer within " + std::to_string(kStartTimeout.count()) + " s";
    } else if (absl::IsInvalidArgument(answer.status())) {
      why = base::Message(answer.status());
    } else {
      why = rayx + " " + (end ? end->ToString() : std::string("ended")) + " without an answer";
    }
    why += said.empty() ? "; it printed nothing" : "; it printed: " + said;
  }
  return usage ? base::MakeStatus(absl::StatusCode::kInvalidArgument,
                                  "an option of the embedded cluster is wrong: " + why)
               : base::MakeStatus(absl::StatusCode::kUnavailable,
                                  "the embedded cluster did not start: " + why);
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
    return base::MakeStatus(absl::StatusCode::kInvalidArgument,
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
  base::UniqueFd ready_read;
  base::UniqueFd ready_write;
  base::UniqueFd life_read;
  std::shared_ptr<EmbeddedCluster> cluster(new EmbeddedCluster());
  RAYX_RETURN_IF_ERROR(MakePipe(ready_read, ready_write));
  RAYX_RETURN_IF_ERROR(MakePipe(life_read, cluster->life_));
  const base::UniqueFd output(::memfd_create("start-output", MFD_CLOEXEC));
  if (!output) return Failed("memfd_create", errno);
  RAYX_ASSIGN_OR_RETURN(cluster->starter_, SpawnStarter(rayx, options, ready_write.get(),
                                                        life_read.get(), output.get()));
  ready_write.Reset();
  life_read.Reset();
  cluster->starter_end_ = io::OpenPidfd(cluster->starter_);
  if (!cluster->starter_end_) {
    const int error = errno;
    ::kill(cluster->starter_, SIGKILL);
    ::waitpid(cluster->starter_, nullptr, 0);
    return Failed("pidfd_open", error);
  }
  const auto line = io::ReadLine(ready_read.get(), kStartTimeout);
  auto answer =
      line.ok() ? io::ParseStartAnswer(*line) : base::StatusOr<io::StartAnswer>(line.status());
  if (!answer.ok() || !answer->error.empty()) {
    const auto end = EndStarter(cluster->starter_end_, absl::IsDeadlineExceeded(answer.status()));
    return WhyNotStarted(rayx, answer, end, Said(output.get()));
  }
  if (const std::string said = Said(output.get()); !said.empty()) {
    std::fprintf(stderr, "%s\n", said.c_str());  // a warning of the start's
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
