#include "cli/microbenchmark/fresh_program.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace rayx::cli {
namespace {

constexpr std::chrono::milliseconds kProbeWait(60'000);
constexpr std::chrono::milliseconds kProbeEndWait(20'000);
// What would let it join a cluster, or have none.
constexpr std::string_view kClusterVariables[] = {"RAYX_ADDRESS=", "RAYX_LOCAL_MODE="};

std::vector<std::string> Environment() {
  std::vector<std::string> environment = io::OwnEnvironment();
  for (const std::string_view name : kClusterVariables) {
    std::erase_if(environment, [&](const std::string& entry) { return entry.starts_with(name); });
  }
  return environment;
}

}  // namespace

FreshProgram::FreshProgram(const std::string& probe) : probe_(probe) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    throw std::runtime_error(std::string("pipe: ") + std::strerror(errno));
  }
  output_.Reset(ends[0]);
  const base::UniqueFd write_end(ends[1]);
  io::SpawnOptions spawn;
  spawn.executable = "/proc/self/exe";  // also when the file was replaced meanwhile
  spawn.arguments = {"rayx", "microbenchmark", "--probe", probe};
  spawn.environment = Environment();
  spawn.fds = {{write_end.get(), STDOUT_FILENO}, {STDERR_FILENO, STDERR_FILENO}};
  auto process = io::Spawn(spawn);
  if (!process.ok()) {
    throw std::runtime_error("a fresh program cannot be started: " +
                             std::string(base::Message(process.status())));
  }
  process_ = std::move(*process);
}

FreshProgram::~FreshProgram() {
  if (!process_.pidfd) return;
  io::Signal(process_.pidfd.get(), SIGKILL);
  if (io::WaitExited(process_.pidfd.get(), kProbeEndWait)) io::Reap(process_.pidfd.get());
}

std::vector<double> FreshProgram::Numbers(size_t count) {
  const auto line = io::ReadLine(output_.get(), kProbeWait);
  if (!line.ok()) {
    throw std::runtime_error("the fresh program (" + probe_ +
                             "): " + std::string(base::Message(line.status())));
  }
  std::istringstream text(*line);
  std::vector<double> numbers;
  for (double number = 0; text >> number;) numbers.push_back(number);
  if (numbers.size() != count) {
    throw std::runtime_error("the fresh program (" + probe_ + ") says: " + *line);
  }
  return numbers;
}

void FreshProgram::ExpectEnd() {
  if (!io::WaitExited(process_.pidfd.get(), kProbeEndWait)) {
    throw std::runtime_error("the fresh program (" + probe_ + ") does not end");
  }
  const auto status = io::Reap(process_.pidfd.get());
  process_.pidfd.Reset();
  if (status && (status->signal != 0 || status->exit_code != 0)) {
    throw std::runtime_error("the fresh program (" + probe_ + ") " + status->ToString());
  }
}

}  // namespace rayx::cli
