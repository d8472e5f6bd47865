#include "cli/microbenchmark/started_cluster.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace rayx::cli {
namespace {

constexpr std::chrono::seconds kHeadStartWait(60);
constexpr std::chrono::seconds kStopWait(60);
constexpr int kHeadReadyFd = 3;
// Waits for the end of its input, which is our end or our wish; a Ctrl-C is not.
constexpr char kStopper[] =
    "trap '' INT TERM HUP; read -r _; \"$1\" stop >/dev/null 2>&1; rm -rf \"$RAYX_SESSION_DIR\"";

void Pipe(base::UniqueFd& read_end, base::UniqueFd& write_end) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    throw std::runtime_error(std::string("pipe: ") + std::strerror(errno));
  }
  read_end.Reset(ends[0]);
  write_end.Reset(ends[1]);
}

template <class T>
T HeadOrThrow(base::StatusOr<T> value) {
  if (value.ok()) return std::move(*value);
  throw std::runtime_error("rayx start --head: " + std::string(base::Message(value.status())));
}

std::vector<std::string> With(const std::vector<std::string>& additions) {
  std::vector<std::string> environment = additions;
  for (std::string& entry : io::OwnEnvironment()) {
    if (!entry.starts_with("RAYX_")) environment.push_back(std::move(entry));
  }
  return environment;
}

}  // namespace

StartedCluster::StartedCluster() {
  char base[] = "/tmp/rayx-microbenchmark-XXXXXX";
  if (::mkdtemp(base) == nullptr) {
    throw std::runtime_error(std::string("/tmp: ") + std::strerror(errno));
  }
  base_ = base;
  StartStopper();
  StartHead();
}

void StartedCluster::StartStopper() {
  base::UniqueFd input;
  Pipe(input, stopper_input_);
  io::SpawnOptions spawn;
  spawn.executable = "/bin/sh";
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  spawn.arguments = {"sh", "-c", kStopper, "sh", program};
  spawn.environment = With(Environment());
  spawn.fds = {{input.get(), STDIN_FILENO}};
  spawn.death_signal = 0;
  stopper_ = HeadOrThrow(io::Spawn(spawn));
}

void StartedCluster::StartHead() {
  base::UniqueFd ready, answer;
  Pipe(ready, answer);
  io::SpawnOptions spawn;
  spawn.executable = "/proc/self/exe";
  spawn.arguments = {
      "rayx", "start", "--head", "--port", "0", "--ready-fd", std::to_string(kHeadReadyFd)};
  spawn.environment = With(Environment());
  spawn.fds = {{answer.get(), kHeadReadyFd}};
  const io::Process start = HeadOrThrow(io::Spawn(spawn));
  answer.Reset();
  const auto line = io::ReadLine(ready.get(), kHeadStartWait);
  const bool ended = io::WaitExited(start.pidfd.get(), kHeadStartWait);
  if (!ended) io::Signal(start.pidfd.get(), SIGKILL);
  if (ended) io::Reap(start.pidfd.get());
  const auto started = HeadOrThrow(io::ParseStartAnswer(HeadOrThrow(line)));
  if (!started.error.empty()) throw std::runtime_error("rayx start --head: " + started.error);
}

StartedCluster::~StartedCluster() {
  stopper_input_.Reset();
  if (io::WaitExited(stopper_.pidfd.get(), kStopWait)) io::Reap(stopper_.pidfd.get());
}

std::vector<std::string> StartedCluster::Environment() const {
  return {"RAYX_SESSION_DIR=" + base_, "RAYX_ADDRESS=auto"};
}

io::SessionInfo StartedCluster::Session() const {
  const auto sessions = io::ListSessions(base_);
  if (sessions.size() != 1) throw std::runtime_error("rayx start --head left no session");
  return sessions.front();
}

}  // namespace rayx::cli
