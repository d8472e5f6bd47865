// Goal: a session's logs stay within their bound, and those that are read most go last.
// Method: the decision on made-up files; one sweep of a folder of the test's own.
#include "node/log_folder.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace rayx::node {
namespace {

std::vector<std::string> Removed(const std::vector<LogFile>& files, uint64_t bytes_max) {
  std::vector<std::string> names;
  for (const LogFile& file : LogsToRemove(files, {"worker-3.log"}, bytes_max)) {
    names.push_back(file.name);
  }
  return names;
}

}  // namespace

TEST_CASE("LogFolder: the oldest of the dead go first, then the old files of the living") {
  const std::vector<LogFile> files = {
      {"head.log", 10, 1},        {"worker-1.log", 10, 5}, {"worker-1.log.1", 10, 4},
      {"worker-2.log", 10, 9},    {"worker-3.log", 10, 2}, {"worker-3.log.1", 10, 1},
      {"worker-3.log.12", 10, 0}, {"node.err", 10, 0},     {"stopped.json", 10, 0},
      {"node.log.1", 10, 3},
  };
  using Names = std::vector<std::string>;
  CHECK(Removed(files, 100).empty());
  CHECK(Removed(files, 99) == Names{"worker-1.log.1"});
  CHECK(Removed(files, 70) == Names{"worker-1.log.1", "worker-1.log", "worker-2.log"});
  CHECK(Removed(files, 65) ==
        Names{"worker-1.log.1", "worker-1.log", "worker-2.log", "worker-3.log.12"});
  // What is written stays, whatever it has.
  CHECK(Removed(files, 0) == Names{"worker-1.log.1", "worker-1.log", "worker-2.log",
                                   "worker-3.log.12", "worker-3.log.1", "node.log.1"});
}

TEST_CASE("LogFolder: a sweep removes files and begins a daemon's full error output anew") {
  char folder[] = "/tmp/rayx-logs-XXXXXX";
  REQUIRE(::mkdtemp(folder) != nullptr);
  const std::filesystem::path path(folder);
  const auto write = [&](const char* name, size_t bytes) {
    std::ofstream(path / name) << std::string(bytes, 'x');
  };
  write("worker-1.log", 300);
  write("worker-3.log", 300);
  write("node.err", 200);
  SweepLogs(folder, {"worker-3.log"}, {100, 2, 600});
  CHECK_FALSE(std::filesystem::exists(path / "worker-1.log"));
  CHECK(std::filesystem::exists(path / "worker-3.log"));
  std::ifstream file(path / "node.err");
  CHECK(std::string(std::istreambuf_iterator<char>(file), {}) ==
        "(rayx) what came before was removed: 200 bytes\n");
  std::filesystem::remove_all(path);
}

}  // namespace rayx::node
