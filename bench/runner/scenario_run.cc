#include "bench/runner/scenario_run.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>

#include "bench/runner/interrupt.h"

namespace rayx::bench {
namespace {

constexpr double kSampleSeconds = 0.2;
constexpr int64_t kLinkBitsPerSecond = 1'000'000'000;
constexpr int64_t kWarmUpSteps = 2;
constexpr size_t kErrorBytesMax = 300;

double Now() {
  timespec time = {};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

std::chrono::seconds Seconds(double seconds) {
  return std::chrono::seconds(static_cast<int64_t>(std::ceil(seconds)));
}

std::string SecondsText(double seconds) {
  char text[32];
  snprintf(text, sizeof text, "%.2f s", seconds);
  return text;
}

// User and system time so far; 0 for one that is gone.
double CpuSecondsOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text, field;
  std::getline(file, text);
  // The name, in parentheses, may hold anything; utime and stime are fields 14 and 15.
  std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  double user = 0, system = 0;
  for (int number = 3; number < 14; ++number) fields >> field;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// The first line, and where that only says that it ended, its last words.
std::string ErrorLine(const absl::Status& status) {
  const std::string text(status.message());
  std::string line = text.substr(0, text.find('\n'));
  const size_t last = text.find_last_of('\n');
  if (line.rfind("ended in the middle", 0) == 0 && last != std::string::npos) {
    const size_t begin = text.find_first_not_of(' ', last + 1);
    if (begin != std::string::npos) line += ": " + text.substr(begin);
  }
  return line.substr(0, kErrorBytesMax);
}

void Sample(const Machines& machines, const std::string& account, std::vector<CpuSample>& samples) {
  const double now = Now();
  if (!samples.empty() && now - samples.back().at < kSampleSeconds) return;
  CpuSample sample = {.at = now, .seconds = {}};
  for (int vm = 1; vm <= machines.size(); ++vm) {
    sample.seconds.push_back(machines.CpuSeconds(vm, account));
  }
  samples.push_back(std::move(sample));
}

}  // namespace

int ProgressSteps(const ScenarioSpec& scenario, size_t arms) {
  const int each = scenario.kind == ScenarioKind::kColdStart ? 1 : 2;
  return scenario.kind == ScenarioKind::kImpossible
             ? 0
             : static_cast<int>(arms) * scenario.pairs * each;
}

ScenarioRun::ScenarioRun(ScenarioRunOptions options, Progress& progress)
    : options_(std::move(options)), progress_(progress) {
  records_.scenario = options_.scenario;
  records_.step_word = options_.workload.step_word;
}

bool ScenarioRun::strikes_half_way() const {
  return options_.scenario.kind == ScenarioKind::kWorkerKilled ||
         options_.scenario.kind == ScenarioKind::kVmLost;
}

absl::StatusOr<Machines> ScenarioRun::FreshMachines() const {
  return Machines::Simulate(options_.scenario.nodes, options_.shape,
                            {options_.places.checkout, options_.places.venv, options_.places.data,
                             options_.places.result});
}

absl::Status ScenarioRun::Disturb(Machines& machines) {
  switch (options_.scenario.kind) {
    case ScenarioKind::kStraggler:
      if (options_.shape.cpus <= 0) return absl::FailedPreconditionError("no quota to halve");
      return machines.SetCpus(machines.size(), options_.shape.cpus / 2,
                              options_.shape.cpu_period_us);
    case ScenarioKind::kSlowLink:
      return machines.SetLinkRate(kLinkBitsPerSecond);
    default:
      return absl::OkStatus();  // strikes half-way
  }
}

absl::Status ScenarioRun::Undo(Machines& machines) {
  switch (options_.scenario.kind) {
    case ScenarioKind::kStraggler:
      return machines.SetCpus(machines.size(), options_.shape.cpus, options_.shape.cpu_period_us);
    case ScenarioKind::kSlowLink:
      return machines.SetLinkRate(0);
    default:
      return absl::OkStatus();
  }
}

absl::Status ScenarioRun::KillWorker(ArmSession& session, Machines& machines) const {
  pid_t busiest = 0;
  double most = 0;
  for (const pid_t pid : machines.Processes(machines.size(), session.account())) {
    double used = CpuSecondsOf(pid);
    for (const auto& [old, before] : cpu_before_) used -= old == pid ? before : 0;
    if (used > most) {
      most = used;
      busiest = pid;
    }
  }
  if (busiest == 0) return absl::NotFoundError("no process of the arm computes in the last VM");
  return kill(busiest, SIGKILL) == 0 ? absl::OkStatus()
                                     : absl::UnavailableError("cannot kill the worker");
}

ScenarioRep ScenarioRun::RunOnce(ArmSession& session, Machines& machines, int pair, bool disturbed,
                                 double undisturbed_seconds) {
  const ScenarioSpec& scenario = options_.scenario;
  ScenarioRep rep = {.arm = session.arm().name, .pair = pair, .disturbed = disturbed};
  progress_.Begin(scenario.name + ": " + rep.arm + (disturbed ? ", disturbed" : ", undisturbed"));
  cpu_before_.clear();
  for (const pid_t pid : machines.Processes(machines.size(), session.account())) {
    cpu_before_.emplace_back(pid, CpuSecondsOf(pid));
  }
  absl::Status fault = disturbed ? Disturb(machines) : absl::OkStatus();
  session.Watch([&](const RunTrace& trace) {
    Sample(machines, session.account(), rep.cpu);
    if (!disturbed || !strikes_half_way() || rep.fault_at) return;
    if (!IsHalfWay(trace, scenario.steps, Now(), undisturbed_seconds)) return;
    rep.fault_at = Now() - trace.begin;
    if (scenario.kind == ScenarioKind::kVmLost) {
      own_cpu_seconds_ += machines.CpuSeconds(machines.size(), "").value_or(0);
    }
    fault = scenario.kind == ScenarioKind::kVmLost ? machines.Lose(machines.size())
                                                   : KillWorker(session, machines);
  });
  const double patience = kHangSeconds + undisturbed_seconds * (strikes_half_way() ? 2 : 4);
  auto repetition = session.Run(scenario.name + "." + rep.arm + ".p" + std::to_string(pair) +
                                    (disturbed ? ".disturbed" : ".undisturbed"),
                                scenario.steps, Seconds(disturbed ? patience : 300));
  rep.trace = session.trace();
  session.Watch(nullptr);
  if (disturbed) fault.Update(Undo(machines));
  if (repetition.ok()) {
    rep.seconds = repetition->Total() + repetition->outside_seconds;
    if (fault.ok() && disturbed && strikes_half_way() && !rep.fault_at) {
      fault = absl::FailedPreconditionError("it was over before the fault");
    }
    const Expectation expectation = {.steps = scenario.steps, .nodes = scenario.nodes};
    if (expected_.hashes.empty()) expected_ = repetition->outcome;
    auto gates = CheckAlone(options_.workload, repetition->outcome, expectation);
    for (const GateResult& gate :
         CheckAgainst(options_.workload, repetition->outcome, expected_, expectation)) {
      gates.push_back(gate);
    }
    rep.other_result = WhyFailed(gates);
  } else {
    rep.seconds = Now() - rep.trace.begin;
    const bool late = repetition.status().code() == absl::StatusCode::kDeadlineExceeded;
    rep.ending = late ? Ending::kHung : Ending::kFailed;
    rep.error = ErrorLine(repetition.status());
  }
  if (!fault.ok()) {
    records_.failures.emplace_back(rep.arm, std::string(fault.message()));
  }
  progress_.End(rep.ending == Ending::kFinished ? SecondsText(rep.seconds) : "no: " + rep.error);
  return rep;
}

absl::Status ScenarioRun::RunPairs(const ArmSpec& arm, ArmSession& session, Machines& machines) {
  auto warm = session.Run(options_.scenario.name + "." + arm.name + ".warmup", kWarmUpSteps,
                          std::chrono::minutes(5));
  if (!warm.ok()) return warm.status();
  expected_ = {};
  for (int pair = 1; pair <= options_.scenario.pairs && !Interrupted(); ++pair) {
    records_.reps.push_back(RunOnce(session, machines, pair, false, 0));
    if (records_.reps.back().ending != Ending::kFinished) {
      return absl::AbortedError(records_.reps.back().error);
    }
    const double seconds = records_.reps.back().seconds;
    records_.reps.push_back(RunOnce(session, machines, pair, true, seconds));
    if (records_.reps.back().ending != Ending::kFinished) return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status ScenarioRun::StartCold(const ArmSpec& arm) {
  for (int launch = 1; launch <= options_.scenario.pairs && !Interrupted(); ++launch) {
    progress_.Begin(options_.scenario.name + ": " + arm.name + ", launch " +
                    std::to_string(launch));
    auto machines = FreshMachines();
    if (!machines.ok()) return machines.status();
    auto session = ArmSession::Start(options_.workload, arm, *machines, options_.places);
    if (!session.ok()) return session.status();
    auto first =
        (*session)->Run(options_.scenario.name + "." + arm.name + "." + std::to_string(launch),
                        options_.scenario.steps, std::chrono::minutes(5));
    if (!first.ok()) return first.status();
    records_.starts.push_back({arm.name, (*session)->daemons_start_seconds(),
                               (*session)->start_seconds(),
                               first->Total() + first->outside_seconds});
    progress_.End(SecondsText(records_.starts.back().first_step));
    const absl::Status stopped = (*session)->Stop();
    own_cpu_seconds_ += machines->Read("").cpu_seconds.value_or(0);
    if (!stopped.ok()) return stopped;
  }
  return absl::OkStatus();
}

absl::Status ScenarioRun::RunArm(const ArmSpec& arm) {
  return options_.scenario.kind == ScenarioKind::kColdStart ? StartCold(arm) : RunDisturbed(arm);
}

absl::Status ScenarioRun::RunDisturbed(const ArmSpec& arm) {
  auto machines = FreshMachines();
  if (!machines.ok()) return machines.status();
  progress_.Note(options_.scenario.name + ": starting " + arm.name);
  auto session = ArmSession::Start(options_.workload, arm, *machines, options_.places,
                                   {.step_events = true, .only_vm1_counts = true});
  if (!session.ok()) return session.status();
  const absl::Status status = RunPairs(arm, **session, *machines);
  own_cpu_seconds_ += machines->Read("").cpu_seconds.value_or(0);
  return status;
}

absl::Status ScenarioRun::Run() {
  if (options_.scenario.kind == ScenarioKind::kImpossible) return absl::OkStatus();
  for (const ArmSpec* arm : options_.arms) {
    if (Interrupted()) break;
    const absl::Status status = RunArm(*arm);
    if (!status.ok() && status.code() != absl::StatusCode::kCancelled) {
      records_.failures.emplace_back(arm->name, ErrorLine(status));
    }
    progress_.Note(options_.scenario.name + ": " + arm->name + " " +
                   EndingWords(records_, arm->name));
  }
  return Interrupted() ? absl::CancelledError("interrupted") : absl::OkStatus();
}

}  // namespace rayx::bench
