// Init, Shutdown, and what happens when a program ends without it.
#include "rayx/init.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/log.h"
#include "client/baton.h"
#include "client/connect.h"
#include "client/local/local_actor.h"
#include "client/local/local_runtime.h"
#include "client/own_program.h"
#include "client/runtime_holder.h"
#include "client/worker_mode.h"
#include "rayx/detail/runtime_interface.h"
#include "rayx/errors.h"

namespace rayx {
namespace {

// Held while a runtime is made or ended.
std::mutex& InitMutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}

void LoadLibrary(const std::string& path) {
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char* reason = dlerror();
    throw MissingLibrary("Options::preload_libraries: " + path +
                         " cannot be loaded: " + (reason == nullptr ? "unknown reason" : reason));
  }
}

// A folder stands for the shared libraries in it.
void Preload(const std::vector<std::string>& paths) {
  for (const std::string& path : client::ExpandFolders(paths)) LoadLibrary(path);
}

void SetUpLog(const Options& options) {
  base::LogOptions log;
  log.process = "driver";
  log.level = base::ParseLogLevel(options.log_level).value_or(base::LogLevel::kWarning);
  base::SetUpLogging(log).IgnoreError();  // stderr cannot fail to open
}

// A closed one would be the next descriptor that is opened: the program's own output would go into
// a socket or into shared memory.
void OpenStandardStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF) ::open("/dev/null", O_RDWR);
  }
}

// A worker's connection is its daemon's business.
void EndRuntime() {
  if (client::IsWorkerMode()) return;
  std::lock_guard lock(InitMutex());
  client::RemoveRuntime();
}

void Start(const Options& options) {
  client::Baton::Prepare();
  OpenStandardStreams();
  SetUpLog(options);
  Preload(options.preload_libraries);
  detail::CheckRegistry();
  std::unique_ptr<detail::RuntimeInterface> runtime =
      options.local_mode ? client::MakeLocalRuntime(options) : client::ConnectCluster(options);
  client::InstallRuntime(std::move(runtime));
  static const int registered = std::atexit(&EndRuntime);
  static_cast<void>(registered);
}

void InitWith(const Options& options, int argc, char** argv, std::vector<bool>* used) {
  if (client::IsWorkerMode() && !IsInitialized()) client::RunWorkerMode(argc, argv);
  const Options resolved = detail::ResolveOptions(options, argc, argv, used);
  std::lock_guard lock(InitMutex());
  if (!IsInitialized()) Start(resolved);
}

}  // namespace

void Init(const Options& options) {
  InitWith(options, 0, nullptr, nullptr);
}

void Init(int argc, char** argv, const Options& options) {
  InitWith(options, argc, argv, nullptr);
}

void Init(int* argc, char** argv, const Options& options) {
  std::vector<bool> used;
  InitWith(options, *argc, argv, &used);
  int kept = 0;
  for (int i = 0; i < *argc; ++i) {
    if (!used[static_cast<std::size_t>(i)]) argv[kept++] = argv[i];
  }
  argv[kept] = nullptr;
  *argc = kept;
}

bool IsInitialized() {
  return detail::RuntimeOrNull() != nullptr;
}

void Shutdown() {
  if (client::CurrentFrame() != nullptr) return;  // local mode's task: a worker elsewhere
  EndRuntime();
}

}  // namespace rayx
