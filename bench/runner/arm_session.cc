#include "bench/runner/arm_session.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>

#include "bench/runner/arm_protocol.h"
#include "bench/runner/interrupt.h"
#include "bench/runner/series_file.h"

namespace rayx::bench {
namespace {

using Clock = std::chrono::steady_clock;  // CLOCK_MONOTONIC, as in the events
using nlohmann::json;

constexpr auto kDaemonTimeout = std::chrono::seconds(180);
constexpr auto kStopTimeout = std::chrono::seconds(30);
constexpr size_t kLogLinesShown = 15;
constexpr int kRayxPort = 7399;
constexpr char kInterrupted[] = "interrupted";

double Seconds(Clock::time_point time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

// A port where ranks meet. Inside simulated VMs nobody else listens; on the bare machine
// the kernel names a free one.
int RendezvousPort(bool simulated) {
  static int next = 29500;
  if (simulated) return next++;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  int port = next++;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port = ntohs(address.sin_port);
  }
  close(fd);
  return port;
}

// A field of an event, which comes from another process and may be anything.
template <typename T>
absl::StatusOr<T> Field(const json& event, const char* name) {
  try {
    return event.at(name).get<T>();
  } catch (const json::exception&) {
    return absl::DataLossError(std::string("the event lacks '") + name + "': " + event.dump());
  }
}

// The text of a field, or "" where it has none.
std::string Text(const json& event, const char* name) {
  const auto found = event.find(name);
  return found != event.end() && found->is_string() ? found->get<std::string>() : "";
}

// JSON has no word for what is not a number: it is null there. Gates judge it.
std::map<std::string, double> ValuesOf(const json& values) {
  std::map<std::string, double> numbers;
  for (const auto& [name, value] : values.get<std::map<std::string, json>>()) {
    numbers[name] = value.is_null() ? std::nan("") : value.get<double>();
  }
  return numbers;
}

}  // namespace

double Repetition::Total() const {
  double total = 0;
  for (const auto& [name, seconds] : phase_seconds) total += seconds;
  return total;
}

ArmSession::ArmSession(const WorkloadSpec& workload, const ArmSpec& arm, Machines& machines,
                       const Places& places, const LaunchOptions& launch)
    : workload_(workload),
      arm_(arm),
      machines_(machines),
      places_(places),
      launch_(launch),
      account_(arm.name),
      watch_(launch.watch) {
  static int launches = 0;
  label_ = arm.name + "-n" + std::to_string(machines.size()) + "-" + std::to_string(++launches);
}

ArmSession::~ArmSession() {
  processes_.clear();  // kills what still runs
  StopDaemons();
}

std::string ArmSession::LogPath(int vm) const {
  return places_.result + "/logs/" + label_ + "-vm" + std::to_string(vm) + ".log";
}

ExecOptions ArmSession::Options(int vm) const {
  ExecOptions options;
  options.working_folder = places_.result;
  options.output_file = LogPath(vm);
  options.account = account_;
  options.environment = {"GLOO_SOCKET_IFNAME=" + machines_.Interface(),
                         "PYTHONDONTWRITEBYTECODE=1"};
  // More threads than free CPUs must not spin for each other.
  if (arm_.unrestricted) options.environment.push_back("OMP_WAIT_POLICY=PASSIVE");
  return options;
}

int ArmSession::StartedVms() const {
  return machines_.size() - (launch_.mistake == Mistake::kMissingNode ? 1 : 0);
}

std::vector<std::string> ArmSession::Command(int vm, int rendezvous_port) const {
  const std::string native = places_.checkout + "/bench/native/" + arm_.program;
  const std::string built = places_.bin + "/" + arm_.program;
  const bool wrong_port = launch_.mistake == Mistake::kWrongPort;
  const std::string port = std::to_string(rendezvous_port + (wrong_port && vm > 1 ? 1 : 0));
  const bool several = machines_.size() > 1;
  std::vector<std::string> words;
  switch (arm_.kind) {
    case ArmKind::kTorchrun:
      words = {places_.venv + "/bin/torchrun",
               "--nnodes=" + std::to_string(machines_.size()),
               "--nproc-per-node=1",
               "--node-rank=" + std::to_string(vm - 1),
               "--master-addr=" + machines_.Address(1),
               "--master-port=" + port,
               "--monitor-interval=1",
               native};
      break;
    case ArmKind::kRanks:
      words = {built, "--rank=" + std::to_string(vm - 1),
               "--rendezvous=" + machines_.Address(1) + ":" + port,
               "--own-address=" + machines_.Address(vm)};
      break;
    case ArmKind::kSerial:
      words = {places_.venv + "/bin/python", native};
      break;
    case ArmKind::kRayx:
      words = {built};
      if (several) {
        words.push_back("--address=" + machines_.Address(1) + ":" +
                        std::to_string(kRayxPort + (wrong_port ? 1 : 0)));
      }
      break;
  }
  if (launch_.step_events) words.emplace_back("--step-events");
  const std::string typo = launch_.mistake == Mistake::kNoData ? "-typo" : "";
  words.insert(words.end(), arm_.arguments.begin(), arm_.arguments.end());
  words.insert(words.end(), workload_.arguments.begin(), workload_.arguments.end());
  for (const auto& [flag, value] : std::map<std::string, std::string>{
           {"data", places_.data + "/" + workload_.dataset_folder + typo},
           {"world-size", std::to_string(machines_.size())},
           {"threads", std::to_string(launch_.threads)},
           {"control", events_->control_path()},
           {"out", events_->events_path()}}) {
    words.push_back("--" + flag + "=" + value);
  }
  return words;
}

absl::Status ArmSession::StartProcesses() {
  const bool everywhere = arm_.kind == ArmKind::kTorchrun || arm_.kind == ArmKind::kRanks;
  const int port = everywhere ? RendezvousPort(machines_.simulated()) : 0;
  for (int vm = 1; vm <= (everywhere ? StartedVms() : 1); ++vm) {
    auto process = machines_.Start(vm, Command(vm, port), Options(vm));
    if (!process.ok()) return process.status();
    processes_.push_back(*std::move(process));
  }
  return absl::OkStatus();
}

absl::Status ArmSession::ReadReady(Clock::time_point begin) {
  auto event = NextEvent(begin + launch_.ready_timeout);
  if (!event.ok()) return event.status();
  auto kind = Field<std::string>(*event, "event");
  if (!kind.ok() || *kind != "ready") {
    return absl::DataLossError("the first event is not 'ready': " + event->dump());
  }
  auto protocol = Field<int>(*event, "protocol");
  auto at = Field<double>(*event, "at");
  if (!protocol.ok()) return protocol.status();
  if (!at.ok()) return at.status();
  if (*protocol != kArmProtocolVersion) {
    return absl::FailedPreconditionError("speaks version " + std::to_string(*protocol) +
                                         " of the arm protocol, the runner " +
                                         std::to_string(kArmProtocolVersion));
  }
  start_seconds_ = *at - Seconds(begin);
  ready_ = *event;
  return absl::OkStatus();
}

absl::Status ArmSession::Launch() {
  if (arm_.kind == ArmKind::kRayx && machines_.size() > 1) {
    if (auto s = StartDaemons(); !s.ok()) return s;
  }
  const auto begin = Clock::now();
  if (auto s = StartProcesses(); !s.ok()) return s;
  return ReadReady(begin);
}

absl::StatusOr<std::unique_ptr<ArmSession>> ArmSession::Start(const WorkloadSpec& workload,
                                                              const ArmSpec& arm,
                                                              Machines& machines,
                                                              const Places& places,
                                                              const LaunchOptions& launch) {
  std::unique_ptr<ArmSession> session(new ArmSession(workload, arm, machines, places, launch));
  auto pipe = EventPipe::Create(places.result, session->label_);
  if (!pipe.ok()) return pipe.status();
  session->events_ = *std::move(pipe);
  if (auto s = session->Launch(); !s.ok()) return s;
  return session;
}

std::string ArmSession::LastLogLines() const {
  std::string text;
  for (int vm = 1; vm <= machines_.size(); ++vm) {
    std::ifstream file(LogPath(vm));
    std::deque<std::string> lines;
    for (std::string line; std::getline(file, line);) {
      lines.push_back(line.substr(0, 300));
      if (lines.size() > kLogLinesShown) lines.pop_front();
    }
    if (lines.empty()) continue;
    text += "\n  last lines of " + LogPath(vm) + ":";
    for (const std::string& line : lines) text += "\n    " + line;
  }
  return text;
}

absl::Status ArmSession::TooLate() const {
  return absl::DeadlineExceededError("did not answer in time" + LastLogLines());
}

absl::StatusOr<json> ArmSession::NextEvent(Clock::time_point deadline) {
  for (bool ended = false;;) {
    auto line = events_->Receive(std::chrono::milliseconds(ended ? 0 : 100));
    if (!line.ok()) return line.status();
    if (watch_) watch_(trace_);
    if (*line) {
      json event = json::parse(**line, nullptr, false);
      if (!event.is_object()) {
        return absl::DataLossError("not a JSON object: " + (**line).substr(0, 200));
      }
      if (Text(event, "event") == "error") {
        const std::string message = Text(event, "message");
        return absl::AbortedError((message.empty() ? "an error without a message" : message) +
                                  LastLogLines());
      }
      // What comes without end is given up as silence is; a result that is there is taken.
      if (Text(event, "event") != "result") {
        if (Interrupted()) return absl::CancelledError(kInterrupted);
        if (Clock::now() > deadline) return TooLate();
      }
      return event;
    }
    if (Interrupted()) return absl::CancelledError(kInterrupted);
    if (ended) {
      std::string how;
      for (size_t i = 0; i < processes_.size(); ++i) {
        if (processes_[i].Running()) continue;
        auto status = processes_[i].Wait(std::chrono::milliseconds(0));
        if (!status.ok()) continue;
        how += " vm" + std::to_string(i + 1) +
               (status->signal != 0 ? ": signal " + std::to_string(status->signal)
                                    : ": exit code " + std::to_string(status->exit_code));
      }
      return absl::AbortedError("ended in the middle of its work," + how + LastLogLines());
    }
    if (Clock::now() > deadline) return TooLate();
    const size_t counted = launch_.only_vm1_counts ? 1 : processes_.size();
    for (size_t i = 0; i < counted; ++i) ended = ended || !processes_[i].Running();
  }
}

absl::Status ArmSession::Apply(const json& event, Repetition& repetition) {
  auto kind = Field<std::string>(event, "event");
  if (!kind.ok()) return kind.status();
  try {
    if (*kind == "phase") {
      const std::string name = event.at("name");
      if (!repetition.phase_seconds.emplace(name, event.at("seconds")).second) {
        return absl::DataLossError("reported phase '" + name + "' twice");
      }
      trace_.phases.push_back({name, Seconds(Clock::now())});
    } else if (*kind == "step" && launch_.step_events) {
      trace_.steps.push_back({event.at("done"), event.at("at")});
    } else if (*kind == "result") {
      Outcome& outcome = repetition.outcome;
      outcome.steps = event.at("steps");
      event.at("hashes").get_to(outcome.hashes);
      outcome.values = ValuesOf(event.at("values"));
      if (event.contains("texts")) event["texts"].get_to(outcome.texts);
    } else {
      return absl::DataLossError("an unknown event: " + event.dump());
    }
  } catch (const json::exception& error) {
    return absl::DataLossError(std::string(error.what()) + " in " + event.dump());
  }
  return absl::OkStatus();
}

void ArmSession::ReadAllSeries(const std::string& prefix, Repetition& repetition) const {
  for (const SeriesSpec& spec : workload_.series) {
    const std::string path = SeriesPath(prefix, spec.name);
    Series& series = repetition.outcome.series[spec.name];
    auto numbers = ReadSeries(path);
    if (numbers.ok()) series.numbers = *std::move(numbers);
    if (!numbers.ok()) series.error = std::string(numbers.status().message());
    if (spec.kept) {
      repetition.series_paths[spec.name] = path;
    } else {
      std::error_code error;
      std::filesystem::remove(path, error);
    }
  }
}

absl::StatusOr<Repetition> ArmSession::Run(const std::string& name, int64_t steps,
                                           std::chrono::seconds timeout) {
  Repetition repetition;
  const std::string prefix = places_.result + "/series/" + name;
  const std::string last_phase = workload_.phases.empty() ? "" : workload_.phases.back();
  machines_.ResetPeak(account_);
  const Usage before = machines_.Read(account_), all_before = machines_.Read("");
  const auto begin = Clock::now();
  trace_ = {.begin = Seconds(begin), .steps = {}, .phases = {}};
  double seconds = 0;
  if (auto s = events_->Send("run " + name + " " + std::to_string(steps) + " " + prefix); !s.ok())
    return s;
  for (bool done = false; !done;) {
    auto event = NextEvent(begin + timeout);
    if (!event.ok()) return event.status();
    if (Text(*event, "event") == "phase" && Text(*event, "name") == last_phase) {
      seconds = Seconds(Clock::now()) - Seconds(begin);  // checksums come after this, do not count
      repetition.usage = machines_.Read(account_);
      const Usage all = machines_.Read("");
      if (before.cpu_seconds && repetition.usage.cpu_seconds) {
        *repetition.usage.cpu_seconds -= *before.cpu_seconds;
        if (all_before.cpu_seconds && all.cpu_seconds) {
          repetition.others_cpu_seconds =
              *all.cpu_seconds - *all_before.cpu_seconds - *repetition.usage.cpu_seconds;
        }
      }
    }
    if (auto s = Apply(*event, repetition); !s.ok()) return s;
    done = Text(*event, "event") == "result";
  }
  for (const std::string& phase : workload_.phases) {
    if (repetition.phase_seconds.count(phase) == 0) {
      return absl::DataLossError("reported no phase '" + phase + "'");
    }
  }
  if (repetition.phase_seconds.size() != workload_.phases.size()) {
    return absl::DataLossError("reported a phase that " + workload_.name + " does not have");
  }
  repetition.outside_seconds = seconds - repetition.Total();
  ReadAllSeries(prefix, repetition);
  return repetition;
}

absl::Status ArmSession::Stop() {
  if (auto s = events_->Send("quit"); !s.ok()) return s;
  absl::Status status;
  for (VmProcess& process : processes_) {
    auto ended = process.Wait(kStopTimeout);
    if (!ended.ok()) {
      status = absl::DeadlineExceededError("does not end when told to" + LastLogLines());
    } else if (!ended->ok() && status.ok()) {
      status = absl::AbortedError("ended with exit code " + std::to_string(ended->exit_code) +
                                  LastLogLines());
    }
  }
  processes_.clear();
  StopDaemons();
  return status;
}

// `rayx start` in every VM: the head in VM 1, whose join file the others are given. Two CPU slots a
// VM: one for the trainer's worker, one for tasks; the quota is the same as for every arm.
absl::Status ArmSession::StartDaemons() {
  const auto begin = Clock::now();
  daemons_up_ = true;
  for (int vm = 1; vm <= StartedVms(); ++vm) {
    std::vector<std::string> words = {places_.bin + "/rayx", "start", "--num-cpus=2",
                                      "--listen=" + machines_.Address(vm)};
    if (vm == 1) {
      words.insert(words.end(), {"--head", "--port=" + std::to_string(kRayxPort)});
    } else {
      words.push_back("--address=" + machines_.Address(1) + ":" + std::to_string(kRayxPort));
      words.push_back("--join-file=" + join_file_);
    }
    auto ended = machines_.Exec(vm, words, Options(vm), kDaemonTimeout);
    if (!ended.ok()) return ended.status();
    if (!ended->ok()) {
      return absl::AbortedError("rayx start failed in vm" + std::to_string(vm) +
                                " with exit code " + std::to_string(ended->exit_code) +
                                LastLogLines());
    }
    if (vm > 1) continue;
    if (auto s = FetchJoinFile(); !s.ok()) return s;
  }
  daemons_start_seconds_ = Seconds(Clock::now()) - Seconds(begin);
  return absl::OkStatus();
}

// The head's session folder lies in VM 1's private /tmp: the file is copied out, as a user would
// copy it to another VM. It is a secret and goes when the daemons go.
absl::Status ArmSession::FetchJoinFile() {
  ExecOptions options = Options(1);
  options.output_file.clear();
  auto read = machines_.Exec(1, {"/bin/sh", "-c", "cat /tmp/rayx-*/*/join"}, options, kStopTimeout);
  if (!read.ok()) return read.status();
  if (!read->ok()) return absl::NotFoundError("rayx start left no join file: " + read->errors);
  join_file_ = places_.result + "/" + label_ + ".join";
  const int fd = open(join_file_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const auto size = static_cast<ssize_t>(read->output.size());
  const bool good = fd >= 0 && write(fd, read->output.data(), read->output.size()) == size;
  if (fd >= 0) close(fd);
  return good ? absl::OkStatus() : absl::UnavailableError("cannot write " + join_file_);
}

void ArmSession::StopDaemons() {
  if (!daemons_up_) return;
  daemons_up_ = false;
  unlink(join_file_.c_str());
  for (int vm = machines_.size(); vm >= 1; --vm) {
    machines_.Exec(vm, {places_.bin + "/rayx", "stop"}, Options(vm), kStopTimeout)
        .status()
        .IgnoreError();
  }
}

}  // namespace rayx::bench
