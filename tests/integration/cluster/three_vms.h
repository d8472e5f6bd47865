// tests/integration/cluster/three_vms.h
//
// A cluster on three simulated VMs for the tests of this folder, gone at its end. Needs root.
#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "vms/simulated_vms.h"

namespace rayx::three_vms {

using namespace std::chrono_literals;
using rayx::vms::ExecOptions;
using rayx::vms::ExitStatus;
using rayx::vms::SimulatedVms;
using rayx::vms::VmMount;
namespace fs = std::filesystem;

inline constexpr int kSkipped = 77;  // tests/integration/cluster/CMakeLists.txt says so to ctest

inline std::string OwnFolder() {
  return fs::read_symlink("/proc/self/exe").parent_path().string();
}
inline std::string Rayx() {
  return OwnFolder() + "/../rayx";
}
inline std::string Driver() {
  return OwnFolder() + "/three_vms_driver";
}

inline std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Lines "key rest" of a driver's output.
inline std::vector<std::pair<std::string, std::string>> Lines(const std::string& output) {
  std::vector<std::pair<std::string, std::string>> lines;
  std::istringstream stream(output);
  for (std::string line; std::getline(stream, line);) {
    const size_t blank = line.find(' ');
    lines.emplace_back(line.substr(0, blank),
                       blank == std::string::npos ? "" : line.substr(blank + 1));
  }
  return lines;
}
inline std::string Value(const std::string& output, const std::string& key) {
  for (const auto& [name, rest] : Lines(output)) {
    if (name == key) return rest;
  }
  return "no line " + key + " in: " + output;
}

// One node on each VM, the head on the first.
class Cluster {
 public:
  explicit Cluster(std::vector<std::string> cpus = {"1", "1", "1"},
                   const std::vector<VmMount>& mounts = {}) {
    shared_ = OwnFolder() + "/three_vms_" + std::to_string(::getpid());
    fs::create_directories(shared_);
    auto up = SimulatedVms::Up({.vms = 3, .mounts = mounts});
    REQUIRE(up.ok());
    vms_.emplace(std::move(*up));
    Start(1, {"start", "--head", "--port", "7399", "--listen", vms_->Address(1), "--num-cpus",
              cpus[0]});
    const ExitStatus join = Run(1, {"/bin/sh", "-c", "cat /tmp/rayx-*/*/join"});
    REQUIRE(join.ok());
    std::ofstream(join_file()) << join.output;
    fs::permissions(join_file(), fs::perms::owner_read | fs::perms::owner_write);
    for (int vm = 2; vm <= 3; ++vm) {
      Start(vm, {"start", "--address", address(), "--listen", vms_->Address(vm), "--join-file",
                 join_file(), "--num-cpus", cpus[static_cast<size_t>(vm - 1)]});
    }
  }
  ~Cluster() {
    if (vms_) Run(1, {Rayx(), "stop"});
    vms_.reset();
    fs::remove_all(shared_);
  }

  void Start(int vm, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), Rayx());
    const ExitStatus started = Run(vm, arguments);
    INFO(started.output << started.errors);
    REQUIRE(started.exit_code == 0);
  }
  ExitStatus Run(int vm, const std::vector<std::string>& argv,
                 std::chrono::milliseconds timeout = 60s) {
    auto status = vms_->Exec(vm, argv, {}, timeout);
    return status.ok() ? *status
                       : ExitStatus{.exit_code = -1,
                                    .output = "",
                                    .errors = std::string(status.status().message())};
  }
  std::string RunDriver(const std::string& scenario, std::chrono::milliseconds timeout = 90s) {
    const ExitStatus status = Run(1, {Driver(), scenario, "-", "--address", address()}, timeout);
    INFO(status.output << status.errors);
    CHECK(status.exit_code == 0);
    std::cout << scenario << ":\n" << status.output << std::flush;
    return status.output;
  }

  std::string address() const { return vms_->Address(1) + ":7399"; }
  std::string join_file() const { return shared_ + "/join"; }
  const std::string& shared() const { return shared_; }
  SimulatedVms& vms() { return *vms_; }

 private:
  std::string shared_;
  std::optional<SimulatedVms> vms_;
};

// Ends the program as skipped where no case of it can run.
inline void SkipUnlessVmsWork() {
  const std::string why = SimulatedVms::WhyNot();
  if (why.empty()) return;
  std::cout << "not run: " << why << std::endl;
  std::exit(kSkipped);
}

}  // namespace rayx::three_vms
