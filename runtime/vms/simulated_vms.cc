#include "vms/simulated_vms.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "vms/vm_record.h"

extern char** environ;

namespace rayx::vms {
namespace {

namespace fs = std::filesystem;

constexpr char kToolPath[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr auto kBootTimeout = std::chrono::seconds(20);

absl::StatusOr<std::string> InitProgram() {
  std::vector<fs::path> places;
  if (const char* named = getenv("RAYX_VM_INIT")) places.emplace_back(named);
  std::error_code ignored;
  const fs::path here = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  places.push_back(here / "rayx-vm-init");
  places.push_back(here.parent_path() / "rayx-vm-init");
  places.push_back(here.parent_path() / "libexec/rayx/rayx-vm-init");  // where an install has it
  std::string tried;
  for (const fs::path& place : places) {
    if (access(place.c_str(), X_OK) == 0) return place.string();
    tried += (tried.empty() ? "" : ", ") + place.string();
  }
  return absl::NotFoundError("there is no rayx-vm-init (tried " + tried + ")");
}

// Shell words that configure the network, run in the network namespace of `pid`.
absl::Status ConfigureNetwork(pid_t pid, const std::string& script) {
  auto process = VmProcess::Spawn(
      {"/usr/bin/nsenter", "-t", std::to_string(pid), "-n", "sh", "-ec", script}, {kToolPath}, {});
  if (!process.ok()) return process.status();
  auto ended = process->Wait(std::chrono::seconds(10));
  if (!ended.ok()) return ended.status();
  if (ended->ok()) return absl::OkStatus();
  return absl::UnavailableError("cannot configure the simulated network: " + ended->errors);
}

bool IsPrivateInside(const std::string& path) {
  for (const char* folder : {"/tmp/", "/run/", "/dev/shm/", "/var/run/"}) {
    if (path.rfind(folder, 0) == 0) return true;
  }
  return false;
}

std::vector<std::string> VmEnvironment(const std::string& host_name, const ExecOptions& options) {
  std::vector<std::string> result = {"HOME=/run/home", "TMPDIR=/tmp", "RAYX_VM=" + host_name,
                                     "XDG_STATE_HOME=/run/home/.local/state"};
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    const std::string key = text.substr(0, text.find('='));
    if (key == "HOME" || key == "TMPDIR" || key == "RAYX_VM" || key.rfind("XDG_", 0) == 0) continue;
    result.push_back(text);
  }
  for (const std::string& text : options.environment) {
    const std::string key = text.substr(0, text.find('=') + 1);
    std::erase_if(result, [&](const std::string& old) { return old.rfind(key, 0) == 0; });
    result.push_back(text);
  }
  return result;
}

// Reads lines from `fd` until one equals `last` or the time is over.
bool ReadLinesUntil(int fd, const std::string& last, std::vector<std::string>& lines) {
  const auto end = std::chrono::steady_clock::now() + kBootTimeout;
  std::string line;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    pollfd event = {fd, POLLIN, 0};
    if (left.count() <= 0 || poll(&event, 1, static_cast<int>(left.count())) == 0) return false;
    char c;
    const ssize_t n = read(fd, &c, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    if (c != '\n') {
      line += c;
      continue;
    }
    lines.push_back(line);
    if (line == last) return true;
    line.clear();
  }
}

struct Vm {
  VmEntry entry;
  std::optional<VmCgroup> group;
  bool lost = false;
};

void ReapChild(pid_t pid) {
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

struct SimulatedVms::State {
  std::string init_program;
  std::optional<VmRecord> record;
  std::vector<Vm> vms;  // [0] is the switch
  int lifeline = -1;    // write end; its closing ends every VM
  bool owned = true;

  ~State() {
    if (owned) Clear();
  }
  void Clear();
  absl::Status Boot(int vm, const SimulatedVmsOptions& options, int lifeline_read);
  absl::Status Connect(int vm);
};

void SimulatedVms::State::Clear() {
  if (lifeline >= 0) close(lifeline);
  lifeline = -1;
  for (const Vm& vm : vms) {
    if (vm.entry.init.Alive()) kill(vm.entry.init.pid, SIGKILL);
  }
  // The keepers are this process's children unless the set was attached.
  for (const Vm& vm : vms) waitpid(vm.entry.keeper.pid, nullptr, 0);
  vms.clear();
  if (record) record->Clear();
  record.reset();
}

absl::Status SimulatedVms::State::Boot(int vm, const SimulatedVmsOptions& options,
                                       int lifeline_read) {
  Vm made;
  made.entry.vm = vm;
  std::vector<std::string> argv = {init_program, "boot"};
  const auto add = [&](const std::string& flag, const std::string& value) {
    argv.push_back(flag);
    argv.push_back(value);
  };
  if (vm > 0) {
    made.entry.cgroup_name = "rayx-" + record->name() + "-vm" + std::to_string(vm);
    auto group =
        VmCgroup::Create(made.entry.cgroup_name, options.cpus_per_vm, options.cpu_period_us);
    if (!group.ok()) return group.status();
    made.group = *group;
    if (auto s = record->AddCgroups(group->folders()); !s.ok()) return s;
    argv.push_back("--vm");
    add("--name", "vm" + std::to_string(vm));
    add("--hosts", "/run/rayx-simulated-vms/" + record->name() + "/hosts");
    for (const std::string& file : group->JoinFiles()) add("--join", file);
    for (const std::string& folder : options.visible_folders) {
      if (IsPrivateInside(folder)) add("--bind", folder + ":" + folder);
    }
    for (const VmMount& mount : options.mounts) {
      if (mount.vm == 0 || mount.vm == vm) add("--bind", mount.host_path + ":" + mount.vm_path);
    }
  }
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) return absl::UnavailableError("pipe failed");
  add("--ready", std::to_string(ready[1]));
  add("--lifeline", std::to_string(lifeline_read));
  std::vector<char*> arguments;
  for (std::string& word : argv) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t keeper = fork();
  if (keeper == 0) {
    fcntl(ready[1], F_SETFD, 0);
    if (lifeline_read >= 0) fcntl(lifeline_read, F_SETFD, 0);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(ready[1]);
  if (keeper < 0) {
    close(ready[0]);
    return absl::UnavailableError("fork failed");
  }
  std::vector<std::string> lines;
  const bool is_ready = ReadLinesUntil(ready[0], "ready", lines);
  close(ready[0]);
  made.entry.keeper = IdentifyProcess(keeper).value_or(ProcessIdentity{keeper, 0});
  if (!lines.empty() && lines[0].rfind("init ", 0) == 0) {
    made.entry.init = IdentifyProcess(std::atoi(lines[0].c_str() + 5)).value_or(ProcessIdentity{});
  }
  if (!is_ready) {
    if (made.entry.init.Alive()) kill(made.entry.init.pid, SIGKILL);
    kill(keeper, SIGKILL);
    ReapChild(keeper);
    return absl::UnavailableError("simulated VM " + std::to_string(vm) +
                                  " did not come up (its own message is above)");
  }
  const VmEntry entry = made.entry;
  vms.push_back(std::move(made));
  return record->AddVm(entry);
}

absl::Status SimulatedVms::State::Connect(int vm) {
  const std::string port = "vm" + std::to_string(vm);
  const pid_t init = vms[vm].entry.init.pid;
  if (auto s = ConfigureNetwork(vms[0].entry.init.pid, "ip link add name " + port +
                                                           " type veth peer name eth0 netns " +
                                                           std::to_string(init) + "; ip link set " +
                                                           port + " master switch up");
      !s.ok()) {
    return s;
  }
  return ConfigureNetwork(
      init, "ip addr add 10.77.0." + std::to_string(vm) + "/24 dev eth0; ip link set eth0 up");
}

std::string SimulatedVms::WhyNot() {
  if (geteuid() != 0) return "simulated VMs need root (namespaces, veth, cgroups)";
  for (const char* tool : {"/usr/bin/nsenter"}) {
    if (access(tool, X_OK) != 0) return std::string("simulated VMs need ") + tool;
  }
  if (access("/usr/sbin/ip", X_OK) != 0 && access("/sbin/ip", X_OK) != 0 &&
      access("/usr/bin/ip", X_OK) != 0) {
    return "simulated VMs need ip (Debian package iproute2)";
  }
  if (auto program = InitProgram(); !program.ok()) return std::string(program.status().message());
  return "";
}

absl::StatusOr<SimulatedVms> SimulatedVms::Up(const SimulatedVmsOptions& options) {
  if (options.vms < 1 || options.vms > kVmsMax) {
    return absl::InvalidArgumentError("the number of simulated VMs must be 1.." +
                                      std::to_string(kVmsMax));
  }
  if (options.cpus_per_vm < 0 || options.cpu_period_us < 1000 || options.cpu_period_us > 1000000) {
    return absl::InvalidArgumentError("the CPU quota of a simulated VM is out of range");
  }
  if (options.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") !=
      std::string::npos) {
    return absl::InvalidArgumentError("a set of simulated VMs is named with [a-z0-9-]: '" +
                                      options.name + "'");
  }
  if (const std::string why = WhyNot(); !why.empty()) return absl::FailedPreconditionError(why);
  ListAndClearStale();

  static std::atomic<int> sets{0};
  const std::string name = !options.name.empty()
                               ? options.name
                               : "p" + std::to_string(getpid()) + "-" + std::to_string(++sets);
  auto state = std::make_unique<State>();
  state->init_program = *InitProgram();
  auto record = VmRecord::Create(name, IdentifyProcess(getpid()).value_or(ProcessIdentity{}));
  if (!record.ok()) return record.status();
  state->record = *std::move(record);

  std::ofstream hosts("/run/rayx-simulated-vms/" + name + "/hosts");
  hosts << "127.0.0.1 localhost\n";
  for (int vm = 1; vm <= options.vms; ++vm) hosts << "10.77.0." << vm << " vm" << vm << '\n';
  hosts.close();

  int lifeline[2] = {-1, -1};
  if (!options.outlive_owner) {
    if (pipe2(lifeline, O_CLOEXEC) != 0) return absl::UnavailableError("pipe failed");
    state->lifeline = lifeline[1];
  }
  absl::Status status;
  for (int vm = 0; vm <= options.vms && status.ok(); ++vm) {
    status = state->Boot(vm, options, lifeline[0]);
  }
  if (lifeline[0] >= 0) close(lifeline[0]);
  if (status.ok()) {
    status = ConfigureNetwork(state->vms[0].entry.init.pid,
                              "ip link add name switch type bridge; ip link set switch up");
  }
  for (int vm = 1; vm <= options.vms && status.ok(); ++vm) status = state->Connect(vm);
  if (status.ok() && options.outlive_owner) status = state->record->Disown();
  if (!status.ok()) return status;  // the state's destructor takes down what is up
  state->owned = !options.outlive_owner;
  return SimulatedVms(std::move(state));
}

absl::StatusOr<SimulatedVms> SimulatedVms::Attach(const std::string& name) {
  auto record = VmRecord::Load(name);
  if (!record.ok()) return record.status();
  auto program = InitProgram();
  if (!program.ok()) return program.status();
  auto state = std::make_unique<State>();
  state->owned = false;
  state->init_program = *program;
  for (const VmEntry& entry : record->vms()) {
    Vm vm;
    vm.entry = entry;
    vm.lost = !entry.init.Alive();
    if (entry.vm > 0 && !vm.lost) {
      auto group = VmCgroup::Create(entry.cgroup_name, 0, 0);
      if (!group.ok()) return group.status();
      vm.group = *group;
    }
    if (entry.vm != static_cast<int>(state->vms.size())) {
      return absl::DataLossError("the record of the simulated VMs '" + name + "' is damaged");
    }
    state->vms.push_back(std::move(vm));
  }
  state->record = *std::move(record);
  return SimulatedVms(std::move(state));
}

std::vector<std::string> SimulatedVms::ListAndClearStale() {
  std::vector<std::string> up;
  for (const std::string& name : VmRecord::Names()) {
    auto record = VmRecord::Load(name);
    if (record.ok() && record->InUse()) {
      up.push_back(name);
    } else if (record.ok()) {
      record->Clear();
    }
  }
  return up;
}

SimulatedVms::SimulatedVms(std::unique_ptr<State> state) : state_(std::move(state)) {}
SimulatedVms::SimulatedVms(SimulatedVms&&) noexcept = default;
SimulatedVms& SimulatedVms::operator=(SimulatedVms&&) noexcept = default;
SimulatedVms::~SimulatedVms() = default;

int SimulatedVms::size() const {
  return static_cast<int>(state_->vms.size()) - 1;
}
std::string SimulatedVms::Address(int vm) const {
  return "10.77.0." + std::to_string(vm);
}
std::string SimulatedVms::HostName(int vm) const {
  return "vm" + std::to_string(vm);
}
bool SimulatedVms::Alive(int vm) const {
  return vm >= 1 && vm <= size() && !state_->vms[vm].lost && state_->vms[vm].entry.init.Alive();
}
pid_t SimulatedVms::InitPid(int vm) const {
  return Alive(vm) ? state_->vms[vm].entry.init.pid : 0;
}

absl::StatusOr<VmProcess> SimulatedVms::Start(int vm, const std::vector<std::string>& argv,
                                              const ExecOptions& options) {
  if (argv.empty()) return absl::InvalidArgumentError("no command to run in a VM");
  auto meter = Meter(vm, options.account);
  if (!meter.ok()) return meter.status();
  const VmEntry& target = state_->vms[vm].entry;
  std::string folder = options.working_folder;
  if (folder.empty()) folder = fs::current_path().string();
  std::vector<std::string> words = {state_->init_program, "enter", std::to_string(target.init.pid),
                                    std::to_string(target.init.start_ticks), folder};
  for (const std::string& file : meter->JoinFiles()) {
    words.push_back("--join");
    words.push_back(file);
  }
  words.push_back("--");
  words.insert(words.end(), argv.begin(), argv.end());
  return VmProcess::Spawn(words, VmEnvironment(HostName(vm), options), options);
}

absl::StatusOr<ExitStatus> SimulatedVms::Exec(int vm, const std::vector<std::string>& argv,
                                              const ExecOptions& options,
                                              std::chrono::milliseconds timeout) {
  auto process = Start(vm, argv, options);
  if (!process.ok()) return process.status();
  return process->Wait(timeout);
}

absl::Status SimulatedVms::SetLink(int vm, bool up) {
  if (vm < 1 || vm > size()) {
    return absl::InvalidArgumentError("there is no VM " + std::to_string(vm));
  }
  return ConfigureNetwork(state_->vms[0].entry.init.pid,
                          "ip link set vm" + std::to_string(vm) + (up ? " up" : " down"));
}

absl::Status SimulatedVms::SetLinkRate(int vm, int64_t bits_per_second) {
  if (!Alive(vm)) return absl::FailedPreconditionError("VM " + std::to_string(vm) + " is not up");
  // A bucket of 128 KiB: what a network card hands over at once, more than a timer needs.
  const std::string limit = bits_per_second > 0 ? "; tc qdisc add dev eth0 root tbf rate " +
                                                      std::to_string(bits_per_second) +
                                                      "bit burst 128kb latency 50ms"
                                                : "";
  return ConfigureNetwork(InitPid(vm), "tc qdisc del dev eth0 root 2>/dev/null || true" + limit);
}

absl::Status SimulatedVms::SetCpus(int vm, double cpus, int period_us) {
  if (!Alive(vm)) return absl::FailedPreconditionError("VM " + std::to_string(vm) + " is not up");
  return state_->vms[vm].group->SetQuota(cpus, period_us);
}

std::vector<pid_t> SimulatedVms::Processes(int vm, const std::string& account) const {
  auto meter = Meter(vm, account);
  return meter.ok() ? meter->Members() : std::vector<pid_t>();
}

absl::Status SimulatedVms::Lose(int vm) {
  if (!Alive(vm)) return absl::FailedPreconditionError("VM " + std::to_string(vm) + " is not up");
  // First the packets: a killed init alone would let the kernel send FIN and RST for its sockets.
  if (auto s = SetLink(vm, false); !s.ok()) return s;
  Vm& target = state_->vms[vm];
  kill(target.entry.init.pid, SIGKILL);
  if (waitpid(target.entry.keeper.pid, nullptr, 0) < 0) {  // attached: not our child
    for (int i = 0; i < 500 && target.entry.init.Alive(); ++i) usleep(10000);
  }
  target.lost = true;
  return absl::OkStatus();
}

absl::StatusOr<VmCgroup> SimulatedVms::Meter(int vm, const std::string& account) const {
  if (!Alive(vm)) return absl::FailedPreconditionError("VM " + std::to_string(vm) + " is not up");
  const VmCgroup& group = *state_->vms[vm].group;
  if (account.empty()) return group;
  return group.Account(account);
}

absl::StatusOr<double> SimulatedVms::CpuSeconds(int vm, const std::string& account) const {
  auto meter = Meter(vm, account);
  return meter.ok() ? meter->CpuSeconds() : meter.status();
}

absl::StatusOr<int64_t> SimulatedVms::PeakMemoryBytes(int vm, const std::string& account) const {
  auto meter = Meter(vm, account);
  return meter.ok() ? meter->PeakMemoryBytes() : meter.status();
}

absl::Status SimulatedVms::ResetPeakMemory(int vm, const std::string& account) {
  auto meter = Meter(vm, account);
  return meter.ok() ? meter->ResetPeakMemory() : meter.status();
}

void SimulatedVms::Down() {
  if (state_) state_->Clear();
}

}  // namespace rayx::vms
