// tests/integration/cluster/two_nodes.h
//
// A cluster of two nodes on this machine, each in a session folder of its own as two VMs have.
// Owner:    a test.      Threads: one.
// Promises: the cluster is stopped and its folders are gone at the end.
#pragma once

#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "rayx/rayx.h"

namespace rayx::testing {

class TwoNodes {
 public:
  // Node 1 has the labels zone=a and disk=ssd, node 2 zone=b; two CPUs each.
  TwoNodes() {
    namespace fs = std::filesystem;
    char name[] = "/tmp/rx2n-XXXXXX";
    if (::mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
    base_ = name;
    for (const char* vm : {"/a", "/b"}) fs::create_directory(base_ + vm);
    fs::permissions(base_ + "/a", fs::perms::owner_all);
    fs::permissions(base_ + "/b", fs::perms::owner_all);
    Rayx("/a", "start --head --port 0 --num-cpus 2 --labels zone=a,disk=ssd");
    const std::string session = fs::directory_iterator(base_ + "/a")->path().string();
    Rayx("/b", "start --address " + HeadOf(session + "/session.json") + " --join-file " + session +
                   "/join --num-cpus 2 --labels zone=b");
  }
  ~TwoNodes() {
    rayx::Shutdown();
    for (const char* vm : {"/b", "/a"}) {
      const std::string command = Command(vm, "stop");
      if (std::system(command.c_str()) != 0) std::abort();
    }
    std::error_code ignored;
    std::filesystem::remove_all(base_, ignored);
    ::unsetenv("RAYX_SESSION_DIR");
  }
  TwoNodes(const TwoNodes&) = delete;
  TwoNodes& operator=(const TwoNodes&) = delete;

  // The program becomes a driver on that node: a new job.
  void Connect(int node, const std::string& job_namespace = "") {
    rayx::Shutdown();
    ::setenv("RAYX_SESSION_DIR", Folder(node).c_str(), 1);
    rayx::Options options;
    options.address = "auto";
    options.job_namespace = job_namespace;
    rayx::Init(options);
  }
  // RAYX_SESSION_DIR of a node.
  std::string Folder(int node) const { return base_ + (node == 1 ? "/a" : "/b"); }

 private:
  std::string Command(const std::string& vm, const std::string& arguments) const {
    const auto own = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    return "RAYX_SESSION_DIR=" + base_ + vm + " " + own.string() + "/../rayx " + arguments + " > " +
           base_ + vm + "/said 2>&1";
  }
  void Rayx(const std::string& vm, const std::string& arguments) {
    if (std::system(Command(vm, arguments).c_str()) == 0) {
      std::filesystem::remove(base_ + vm + "/said");
      return;
    }
    throw std::runtime_error("rayx " + arguments + ": " + ReadAll(base_ + vm + "/said"));
  }
  static std::string ReadAll(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static std::string HeadOf(const std::string& session_file) {
    const std::string text = ReadAll(session_file);
    const std::string key = "\"head_address\"";
    const std::size_t begin = text.find('"', text.find(key) + key.size()) + 1;
    return text.substr(begin, text.find('"', begin) - begin);
  }

  std::string base_;
};

}  // namespace rayx::testing
