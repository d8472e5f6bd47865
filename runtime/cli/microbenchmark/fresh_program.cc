#include "cli/microbenchmark/fresh_program.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "io/session_folder.h"
#include "rayx/rayx.h"

namespace rayx::cli {
namespace {

constexpr std::chrono::milliseconds kProbeWait(60'000);
constexpr std::chrono::milliseconds kProbeEndWait(20'000);
// What would let it join a cluster, or have none.
constexpr std::string_view kClusterVariables[] = {"RAYX_ADDRESS=", "RAYX_LOCAL_MODE="};

std::string_view NameOf(std::string_view entry) {
  return entry.substr(0, entry.find('=') + 1);
}

std::vector<std::string> Environment(const std::vector<std::string>& additions) {
  std::vector<std::string> environment = additions;
  const auto is_replaced = [&](std::string_view entry) {
    const auto same = [&](std::string_view other) { return NameOf(other) == NameOf(entry); };
    return std::any_of(additions.begin(), additions.end(), same) ||
           std::any_of(std::begin(kClusterVariables), std::end(kClusterVariables), same);
  };
  for (std::string& entry : io::OwnEnvironment()) {
    if (!is_replaced(entry)) environment.push_back(std::move(entry));
  }
  return environment;
}

}  // namespace

std::vector<double> ReadNumbers(int fd, size_t count, const std::string& who,
                                std::chrono::milliseconds wait) {
  const auto line = io::ReadLine(fd, wait);
  if (!line.ok()) {
    throw std::runtime_error(who + ": " + std::string(base::Message(line.status())));
  }
  std::istringstream text(*line);
  std::vector<double> numbers;
  for (double number = 0; text >> number;) numbers.push_back(number);
  if (numbers.size() != count) throw std::runtime_error(who + " says: " + *line);
  return numbers;
}

void SayNumbers(const std::vector<double>& numbers) {
  for (const double number : numbers) std::printf("%.9g ", number);
  std::printf("\n");
  std::fflush(stdout);
}

int RunProbe(const std::string& probe) {
  std::vector<Part> parts = FreshParts();
  for (const auto& others : {VmParts(), LibtorchParts()}) {
    parts.insert(parts.end(), others.begin(), others.end());
  }
  const auto part = std::find_if(parts.begin(), parts.end(),
                                 [&](const Part& each) { return each.name == probe; });
  if (part == parts.end()) {
    std::fprintf(stderr, "rayx microbenchmark: no part is named %s\n", probe.c_str());
    return io::kUsageExit;
  }
  try {
    part->run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rayx microbenchmark: a part (%s): %s\n", probe.c_str(), error.what());
    return 1;
  }
  rayx::Shutdown();
  return 0;
}

FreshProgram::FreshProgram(const std::string& probe, const std::vector<std::string>& additions)
    : probe_(probe) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    throw std::runtime_error(std::string("pipe: ") + std::strerror(errno));
  }
  output_.Reset(ends[0]);
  const base::UniqueFd write_end(ends[1]);
  io::SpawnOptions spawn;
  spawn.executable = "/proc/self/exe";  // also when the file was replaced meanwhile
  spawn.arguments = {"rayx", "microbenchmark", "--probe", probe};
  spawn.environment = Environment(additions);
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
  return ReadNumbers(output_.get(), count, "the fresh program (" + probe_ + ")", kProbeWait);
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
