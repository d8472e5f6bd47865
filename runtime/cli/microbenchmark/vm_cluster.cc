#include "cli/microbenchmark/vm_cluster.h"

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "cli/microbenchmark/fresh_program.h"
#include "cli/microbenchmark/row.h"
#include "cli/microbenchmark/transfer_content.h"

namespace rayx::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kVmStartWait(60);
constexpr std::chrono::seconds kVmAnswerWait(120);
constexpr char kSessionBase[] = "/tmp/rayx";  // in a VM, whose /tmp is its own
constexpr char kJoinFile[] = "/tmp/join";
constexpr char kHeadPort[] = "7399";
// Of what is sent: it may lie in a VM twice, as a new object and as the one before.
constexpr size_t kCopiesInAVm = 2;
constexpr size_t kCopiesOfPrograms = 4;

std::string OwnProgram() {
  return fs::read_symlink("/proc/self/exe").string();
}

vms::ExecOptions InVm() {
  vms::ExecOptions options;
  options.working_folder = "/";
  options.environment = {std::string("RAYX_SESSION_DIR=") + kSessionBase, "RAYX_ADDRESS=auto",
                         "RAYX_LOCAL_MODE=", "RAYX_JOIN_FILE="};
  return options;
}

size_t AvailableBytes() {
  std::ifstream file("/proc/meminfo");
  for (std::string name; file >> name;) {
    size_t kilobytes = 0;
    if (name == "MemAvailable:" && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

void CheckMemory(int vms) {
  const size_t copies = kCopiesInAVm * static_cast<size_t>(vms) + kCopiesOfPrograms;
  const size_t needed = copies * kTransferBytes;
  if (const size_t there = AvailableBytes(); there < needed) {
    throw NotRun(std::to_string(vms) + " VMs need " + std::to_string(needed >> 20) +
                 " MiB of memory, of which " + std::to_string(there >> 20) + " are free");
  }
}

// A VM's file as this machine sees it.
std::string InRootOf(pid_t init, const std::string& path) {
  return "/proc/" + std::to_string(init) + "/root" + path;
}

}  // namespace

VmCluster::VmCluster(int vms, Wire wire) {
  if (const std::string why = vms::SimulatedVms::WhyNot(); !why.empty()) throw NotRun(why);
  CheckMemory(vms);
  vms::SimulatedVmsOptions options;
  options.vms = vms;
  options.cpus_per_vm = 0;
  options.visible_folders = {fs::path(OwnProgram()).parent_path().string()};
  auto up = vms::SimulatedVms::Up(options);
  if (!up.ok()) throw NotRun(std::string(up.status().message()));
  vms_.emplace(std::move(*up));
  std::vector<std::string> words = {"--listen", Address(1)};
  if (wire == Wire::kInsecure) words.emplace_back("--insecure");
  words.insert(words.begin(), {"--head", "--port", kHeadPort});
  StartNode(1, words);
  for (int vm = 2; vm <= vms; ++vm) {
    CopyJoinFile(vm);
    words = {"--address", Address(1) + ":" + kHeadPort, "--join-file", kJoinFile, "--listen",
             Address(vm)};
    if (wire == Wire::kInsecure) words.emplace_back("--insecure");
    StartNode(vm, words);
  }
}

void VmCluster::StartNode(int vm, const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {OwnProgram(), "start"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const std::string resource = "{\"vm" + std::to_string(vm) + "\": 1}";
  words.insert(words.end(), {"--num-cpus", "1", "--resources", resource});
  const auto ended = vms_->Exec(vm, words, InVm(), kVmStartWait);
  if (ended.ok() && ended->ok()) return;
  throw std::runtime_error("VM " + std::to_string(vm) + ": " +
                           (ended.ok() ? ended->errors : std::string(ended.status().message())));
}

// Without a process that would have the token in its arguments.
void VmCluster::CopyJoinFile(int vm) {
  const std::string target = InRootOf(vms_->InitPid(vm), kJoinFile);
  for (const auto& session : fs::directory_iterator(InRootOf(vms_->InitPid(1), kSessionBase))) {
    const fs::path join = session.path() / "join";
    if (!fs::exists(join)) continue;
    fs::copy_file(join, target);  // with its mode, 0600
    return;
  }
  throw std::runtime_error("the head has written no join file");
}

void VmCluster::LimitLinks(int64_t bits_per_second) {
  for (int vm = 1; vm <= vms_->size(); ++vm) {
    const auto limited = vms_->SetLinkRate(vm, bits_per_second);
    if (!limited.ok()) throw NotRun(std::string(limited.message()));
  }
}

VmProgram::VmProgram(std::shared_ptr<VmCluster> cluster, int vm, const std::string& probe)
    : cluster_(std::move(cluster)), who_("VM " + std::to_string(vm) + " (" + probe + ")") {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    throw std::runtime_error(std::string("socketpair: ") + std::strerror(errno));
  }
  conversation_.Reset(ends[0]);
  const base::UniqueFd theirs(ends[1]);
  vms::ExecOptions options = InVm();
  options.conversation = theirs.get();
  auto process =
      cluster_->vms_->Start(vm, {OwnProgram(), "microbenchmark", "--probe", probe}, options);
  if (!process.ok()) {
    throw std::runtime_error(who_ + ": " + std::string(process.status().message()));
  }
  process_.emplace(std::move(*process));
}

std::vector<double> VmProgram::Ask(const std::string& line, size_t count) {
  const std::string text = line + "\n";
  if (::send(conversation_.get(), text.data(), text.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(text.size())) {
    throw std::runtime_error(who_ + " has ended");
  }
  return Numbers(count);
}

std::vector<double> VmProgram::Numbers(size_t count) {
  return ReadNumbers(conversation_.get(), count, who_, kVmAnswerWait);
}

}  // namespace rayx::cli
