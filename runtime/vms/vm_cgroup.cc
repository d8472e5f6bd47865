#include "vms/vm_cgroup.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

namespace rayx::vms {
namespace {

constexpr char kOwnMounts[] = "/run/rayx-simulated-vms-cgroup";

absl::Status WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  if (file) return absl::OkStatus();
  return absl::UnavailableError("cannot write '" + text + "' to " + path + ": " + strerror(errno));
}

bool HasWord(const std::string& list, char separator, const std::string& word) {
  std::istringstream stream(list);
  for (std::string item; std::getline(stream, item, separator);) {
    if (item == word) return true;
  }
  return false;
}

// Where a v1 hierarchy with `controller` (or, for an empty name, the v2 tree) is mounted.
std::optional<std::string> MountPoint(const std::string& controller) {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string device, folder, type, options;
    fields >> device >> folder >> type >> options;
    if (controller.empty() ? type == "cgroup2"
                           : type == "cgroup" && HasWord(options, ',', controller)) {
      return folder;
    }
  }
  return std::nullopt;
}

// A v1 hierarchy that nobody has mounted yet is mounted below /run.
std::optional<std::string> V1Root(const std::string& controller) {
  if (auto found = MountPoint(controller)) return found;
  const std::string folder = std::string(kOwnMounts) + "-" + controller;
  mkdir(folder.c_str(), 0700);
  if (mount("cgroup", folder.c_str(), "cgroup", 0, controller.c_str()) == 0) return folder;
  rmdir(folder.c_str());
  return std::nullopt;
}

std::optional<std::string> V2Root() {
  auto root = MountPoint("");
  if (!root) return std::nullopt;
  std::ifstream file(*root + "/cgroup.controllers");
  std::string controllers;
  std::getline(file, controllers);
  if (!HasWord(controllers, ' ', "cpu")) return std::nullopt;
  return root;
}

absl::Status MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return absl::OkStatus();
  return absl::UnavailableError("cannot make the cgroup " + path + ": " + strerror(errno));
}

// A folder is busy until the kernel has finished its last process: wait for that, bounded.
void RemoveFolder(const std::string& folder) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (rmdir(folder.c_str()) == 0 || errno != EBUSY) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace

absl::StatusOr<VmCgroup> VmCgroup::Create(const std::string& name, double cpus, int period_us) {
  VmCgroup result;
  if (auto cpu = V1Root("cpu")) {
    for (const char* controller : {"cpu", "cpuacct", "memory"}) {
      auto root = V1Root(controller);
      if (!root && std::string(controller) == "memory") continue;  // then it is not metered
      if (!root) return absl::UnavailableError("this kernel has no cpuacct cgroup controller");
      const std::string folder = *root + "/" + name;
      if (auto made = MakeFolder(folder); !made.ok()) return made;
      if (std::find(result.folders_.begin(), result.folders_.end(), folder) ==
          result.folders_.end()) {
        result.folders_.push_back(folder);
      }
    }
    result.quota_folder_ = *cpu + "/" + name;
    if (cpus > 0) {
      if (auto s = result.SetQuota(cpus, period_us); !s.ok()) return s;
    }
    result.FindMeters();
    return result;
  }
  if (auto root = V2Root()) {
    const std::string folder = *root + "/" + name;
    WriteFile(*root + "/cgroup.subtree_control", "+cpu").IgnoreError();  // may be on already
    if (auto made = MakeFolder(folder); !made.ok()) return made;
    result.folders_.push_back(folder);
    result.version_2_ = true;
    result.quota_folder_ = folder;
    result.FindMeters();
    if (cpus > 0) {
      if (auto s = result.SetQuota(cpus, period_us); !s.ok()) return s;
    }
    return result;
  }
  return absl::UnavailableError(
      "no cgroup CPU controller (neither v1 'cpu' nor v2): simulated VMs need a CPU quota");
}

absl::Status VmCgroup::SetQuota(double cpus, int period_us) const {
  if (quota_folder_.empty()) return absl::FailedPreconditionError("an account has no quota");
  const std::string period = std::to_string(period_us);
  const std::string quota = std::to_string(std::lround(cpus * period_us));
  if (version_2_) {
    return WriteFile(quota_folder_ + "/cpu.max", (cpus > 0 ? quota : "max") + " " + period);
  }
  if (auto s = WriteFile(quota_folder_ + "/cpu.cfs_period_us", period); !s.ok()) return s;
  return WriteFile(quota_folder_ + "/cpu.cfs_quota_us", cpus > 0 ? quota : "-1");
}

std::vector<int> VmCgroup::Members() const {
  std::vector<int> pids;
  if (folders_.empty()) return pids;
  std::ifstream file(folders_.front() + "/cgroup.procs");
  for (int pid = 0; file >> pid;) pids.push_back(pid);
  return pids;
}

absl::StatusOr<VmCgroup> VmCgroup::Account(const std::string& name) const {
  VmCgroup result;
  result.version_2_ = version_2_;  // where a child is metered without any controller of its own
  for (const std::string& folder : folders_) {
    if (auto made = MakeFolder(folder + "/" + name); !made.ok()) return made;
    result.folders_.push_back(folder + "/" + name);
  }
  result.FindMeters();
  return result;
}

void VmCgroup::FindMeters() {
  for (const std::string& folder : folders_) {
    for (const char* file : {"/cpuacct.usage", "/cpu.stat"}) {
      const bool is_meter = (file[4] == '.') == version_2_;  // v1's cpu.stat counts throttling only
      if (is_meter && access((folder + file).c_str(), R_OK) == 0) usage_file_ = folder + file;
    }
    const std::string peak = folder + "/memory.max_usage_in_bytes";
    if (access(peak.c_str(), R_OK) == 0) peak_file_ = peak;
  }
}

void VmCgroup::RemoveFolders(const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      if (entry.is_directory(error)) RemoveFolder(entry.path().string());
    }
    RemoveFolder(folder);
  }
}

std::vector<std::string> VmCgroup::JoinFiles() const {
  std::vector<std::string> files;
  for (const std::string& folder : folders_) files.push_back(folder + "/cgroup.procs");
  return files;
}

absl::StatusOr<double> VmCgroup::CpuSeconds() const {
  std::ifstream file(usage_file_);
  if (!version_2_) {
    double nanoseconds = 0;
    if (file >> nanoseconds) return nanoseconds * 1e-9;
  } else {
    std::string key;
    double value = 0;
    while (file >> key >> value) {
      if (key == "usage_usec") return value * 1e-6;
    }
  }
  return absl::UnavailableError("cannot read the CPU time in " + usage_file_);
}

absl::StatusOr<int64_t> VmCgroup::PeakMemoryBytes() const {
  int64_t bytes = 0;
  if (!peak_file_.empty() && std::ifstream(peak_file_) >> bytes) return bytes;
  return absl::UnavailableError("this machine does not meter memory by cgroup");
}

absl::Status VmCgroup::ResetPeakMemory() const {
  if (peak_file_.empty()) return absl::OkStatus();
  return WriteFile(peak_file_, "0");
}

}  // namespace rayx::vms
