// runtime/vms/vm_record.h
//
// What one set of simulated VMs has made on this machine, written down before it is made, so that a
// later run can clear it after a crash. One folder /run/rayx-simulated-vms/<name> with one file.
// Owner:    SimulatedVms.                       Threads: one at a time.
// Promises: a process is named by pid and start time and never confused with a later one that got
//           the same pid; clearing a record kills and removes only what it names.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rayx::vms {

struct ProcessIdentity {
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // field 22 of /proc/PID/stat; 0: unknown

  bool Alive() const;
};

// nullopt when there is no such process.
std::optional<ProcessIdentity> IdentifyProcess(pid_t pid);

struct VmEntry {
  int vm = 0;              // 1.., 0 is the switch
  ProcessIdentity keeper;  // waits for init and removes the cgroups
  ProcessIdentity init;    // PID 1 inside
  std::string cgroup_name;
};

class VmRecord {
 public:
  // The folder must not exist yet.
  static absl::StatusOr<VmRecord> Create(const std::string& name, ProcessIdentity owner);
  static absl::StatusOr<VmRecord> Load(const std::string& name);
  // Names of all sets that have a record here.
  static std::vector<std::string> Names();

  absl::Status AddCgroups(const std::vector<std::string>& folders);
  absl::Status AddVm(const VmEntry& entry);
  // From now on the set outlives its maker.
  absl::Status Disown();

  const std::string& name() const { return name_; }
  const ProcessIdentity& owner() const { return owner_; }
  const std::vector<VmEntry>& vms() const { return vms_; }

  // True while its owner lives, or, for a set without one, while any of its processes does.
  bool InUse() const;
  // Kills what is left of it, waits for the ends (2 s), removes cgroups and the folder.
  void Clear();

 private:
  std::string name_;
  ProcessIdentity owner_;
  std::vector<VmEntry> vms_;
  std::vector<std::string> cgroups_;

  absl::Status Append(const std::string& line) const;
};

}  // namespace rayx::vms
