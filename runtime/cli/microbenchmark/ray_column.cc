#include "cli/microbenchmark/ray_column.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "base/fd.h"
#include "io/processes.h"

namespace rayx::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kRayEndWait(20);  // once it has closed its output

std::string DefaultFolder() {
  for (const auto& [name, below] :
       {std::pair{"XDG_CACHE_HOME", "/rayx/vs_ray"}, std::pair{"HOME", "/.cache/rayx/vs_ray"}}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value == '/') return value + std::string(below);
  }
  throw std::runtime_error(
      "--vs-ray: neither XDG_CACHE_HOME nor HOME says where to keep Ray: name "
      "a folder with --ray-folder");
}

// bin/rayx lies there, in a build folder as after an install.
std::string Prefix() {
  return fs::read_symlink("/proc/self/exe").parent_path().parent_path().string();
}

std::string ReadToEnd(int fd) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t bytes = ::read(fd, buffer, sizeof buffer);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return text;
    text.append(buffer, static_cast<size_t>(bytes));
  }
}

// What run_both prints, told with these arguments.
std::string RunBoth(const std::string& prefix, std::vector<std::string> arguments) {
  const std::string program = prefix + "/libexec/rayx/vs_ray/run_both";
  if (::access(program.c_str(), X_OK) != 0) {
    throw std::runtime_error("--vs-ray: " + program + ": " + std::strerror(errno));
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    throw std::runtime_error(std::string("pipe: ") + std::strerror(errno));
  }
  const base::UniqueFd output(ends[0]);
  base::UniqueFd theirs(ends[1]);
  io::SpawnOptions spawn;
  spawn.executable = program;
  arguments.insert(arguments.begin(), program);
  spawn.arguments = std::move(arguments);
  spawn.environment = io::OwnEnvironment();
  spawn.fds = {{theirs.get(), STDOUT_FILENO}, {STDERR_FILENO, STDERR_FILENO}};
  const auto process = io::Spawn(spawn);
  if (!process.ok()) {
    throw std::runtime_error("--vs-ray: " + std::string(base::Message(process.status())));
  }
  theirs.Reset();
  std::string text = ReadToEnd(output.get());
  if (!io::WaitExited(process->pidfd.get(), kRayEndWait)) io::Signal(process->pidfd.get(), SIGKILL);
  io::WaitExited(process->pidfd.get(), kRayEndWait);
  const auto status = io::Reap(process->pidfd.get());
  if (status && status->signal == 0 && status->exit_code == 0) return text;
  throw std::runtime_error("--vs-ray: run_both " +
                           (status ? status->ToString() : std::string("does not end")));
}

std::vector<std::string> Lines(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace

RayBeside::RayBeside(const std::string& folder, const std::vector<std::string>& names)
    : folder_(folder.empty() ? DefaultFolder() : fs::absolute(folder).string()), prefix_(Prefix()) {
  for (const std::string& name : Lines(RunBoth(prefix_, {"rows"}))) {
    if (std::find(names.begin(), names.end(), name) != names.end()) names_.push_back(name);
  }
  if (names_.empty()) {
    throw std::runtime_error("--vs-ray: Ray's C++ API has none of these rows");
  }
}

void RayBeside::Prepare() const {
  RunBoth(prefix_, {"prepare", "--folder", folder_, "--prefix", prefix_});
}

RayColumn RayBeside::Run(double seconds) const {
  std::string names;
  for (const std::string& name : names_) names += (names.empty() ? "" : "\n") + name;
  return ParseRayColumn(RunBoth(prefix_, {"run", "--folder", folder_, "--prefix", prefix_,
                                          "--seconds", std::to_string(seconds), "--rows", names}));
}

RayColumn ParseRayColumn(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    RayColumn column;
    column.release = json.at("release").get<std::string>();
    const auto number = [](const nlohmann::json& summary, const char* name) {
      return summary.at(name).get<double>();
    };
    for (const auto& [name, row] : json.at("rows").items()) {
      const nlohmann::json& ray = row.at("ray");
      RayFigure& figure = column.figures[name];
      figure.median = number(ray, "median");
      figure.p10 = number(ray, "p10");
      figure.p90 = number(ray, "p90");
      figure.same_source = number(row.at("same_source"), "median");
    }
    return column;
  } catch (const nlohmann::json::exception& error) {
    throw std::runtime_error(std::string("--vs-ray: run_both said something else: ") +
                             error.what());
  }
}

}  // namespace rayx::cli
