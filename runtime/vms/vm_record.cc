#include "vms/vm_record.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "vms/vm_cgroup.h"

namespace rayx::vms {
namespace {

constexpr char kRoot[] = "/run/rayx-simulated-vms";

std::string FolderOf(const std::string& name) {
  return absl::StrCat(kRoot, "/", name);
}
std::string FileOf(const std::string& name) {
  return FolderOf(name) + "/record";
}

void KillAndWait(const ProcessIdentity& process) {
  if (!process.Alive()) return;
  kill(process.pid, SIGKILL);
  for (int i = 0; i < 200 && process.Alive(); ++i) {
    waitpid(process.pid, nullptr, WNOHANG);  // a child of ours would stay a zombie
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace

std::optional<ProcessIdentity> IdentifyProcess(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(file, text)) return std::nullopt;
  // The second field is the name in parentheses and may contain anything: start after the last ')'.
  const size_t end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(end_of_name + 1));
  std::string field;
  for (int number = 3; fields >> field; ++number) {
    if (number == 3 && (field == "Z" || field == "X")) return std::nullopt;
    if (number == 22) return ProcessIdentity{pid, std::stoull(field)};
  }
  return std::nullopt;
}

bool ProcessIdentity::Alive() const {
  if (pid <= 0) return false;
  const auto now = IdentifyProcess(pid);
  return now && now->start_ticks == start_ticks;
}

absl::StatusOr<VmRecord> VmRecord::Create(const std::string& name, ProcessIdentity owner) {
  if (mkdir(kRoot, 0755) != 0 && errno != EEXIST) {
    return absl::UnavailableError(absl::StrCat("cannot make ", kRoot, ": ", strerror(errno)));
  }
  if (mkdir(FolderOf(name).c_str(), 0755) != 0) {
    if (errno == EEXIST) return absl::AlreadyExistsError("simulated VMs '" + name + "' are up");
    return absl::UnavailableError("cannot make " + FolderOf(name) + ": " + strerror(errno));
  }
  VmRecord record;
  record.name_ = name;
  record.owner_ = owner;
  if (auto s = record.Append("owner " + std::to_string(owner.pid) + " " +
                             std::to_string(owner.start_ticks));
      !s.ok()) {
    return s;
  }
  return record;
}

absl::StatusOr<VmRecord> VmRecord::Load(const std::string& name) {
  std::ifstream file(FileOf(name));
  VmRecord record;
  record.name_ = name;
  if (!file) return absl::NotFoundError("there are no simulated VMs '" + name + "'");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string kind;
    words >> kind;
    if (kind == "owner") {
      words >> record.owner_.pid >> record.owner_.start_ticks;
    } else if (kind == "cgroup") {
      std::string folder;
      if (words >> folder) record.cgroups_.push_back(folder);
    } else if (kind == "vm") {
      VmEntry e;
      if (words >> e.vm >> e.keeper.pid >> e.keeper.start_ticks >> e.init.pid >>
          e.init.start_ticks >> e.cgroup_name) {
        record.vms_.push_back(e);
      }
    }  // A torn last line of a crashed run names nothing that was made.
  }
  return record;
}

std::vector<std::string> VmRecord::Names() {
  std::vector<std::string> names;
  if (DIR* root = opendir(kRoot)) {
    while (const dirent* entry = readdir(root)) {
      if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    closedir(root);
  }
  return names;
}

absl::Status VmRecord::Append(const std::string& line) const {
  std::ofstream file(FileOf(name_), std::ios::app);
  file << line << '\n' << std::flush;
  if (file) return absl::OkStatus();
  return absl::UnavailableError("cannot write " + FileOf(name_));
}

absl::Status VmRecord::AddCgroups(const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    cgroups_.push_back(folder);
    if (auto s = Append("cgroup " + folder); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status VmRecord::AddVm(const VmEntry& e) {
  vms_.push_back(e);
  std::ostringstream line;
  line << "vm " << e.vm << ' ' << e.keeper.pid << ' ' << e.keeper.start_ticks << ' ' << e.init.pid
       << ' ' << e.init.start_ticks << ' ' << (e.cgroup_name.empty() ? "-" : e.cgroup_name);
  return Append(line.str());
}

absl::Status VmRecord::Disown() {
  owner_ = {};
  return Append("owner 0 0");  // the last such line counts
}

bool VmRecord::InUse() const {
  if (owner_.pid != 0) return owner_.Alive();
  for (const VmEntry& entry : vms_) {
    if (entry.init.Alive()) return true;
  }
  return false;
}

void VmRecord::Clear() {
  for (const VmEntry& entry : vms_) KillAndWait(entry.init);
  for (const VmEntry& entry : vms_) KillAndWait(entry.keeper);
  VmCgroup::RemoveFolders(cgroups_);
  unlink((FolderOf(name_) + "/hosts").c_str());
  unlink(FileOf(name_).c_str());
  rmdir(FolderOf(name_).c_str());
  rmdir(kRoot);  // fails while other sets are up, as it should
}

}  // namespace rayx::vms
