#include "bench/runner/workload_run.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "bench/runner/interrupt.h"

namespace rayx::bench {
namespace {

constexpr auto kRepTimeoutBase = std::chrono::seconds(120);
constexpr int kThreadsARank = 1;

std::string SecondsText(double seconds) {
  char text[32];
  snprintf(text, sizeof text, "%.2f s", seconds);
  return text;
}

// Uniform shuffle that is the same with every standard library.
template <typename T>
void Shuffle(std::vector<T>& items, std::mt19937_64& random) {
  for (size_t i = items.size(); i > 1; --i) {
    std::swap(items[i - 1], items[static_cast<size_t>((random() >> 32) * i >> 32)]);
  }
}

std::string FirstLine(absl::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

std::string VmsText(int nodes) {
  return std::to_string(nodes) + (nodes == 1 ? " VM" : " VMs");
}

}  // namespace

WorkloadRun::WorkloadRun(WorkloadRunOptions options, const ResultWriter& writer, Progress& progress)
    : options_(std::move(options)), writer_(writer), progress_(progress), random_(options_.seed) {
  records_.workload = options_.workload;
  records_.steps = options_.plan.steps;
  arm_facts_ = nlohmann::json::object();
}

void WorkloadRun::Fail(const ArmSpec& arm, int nodes, const absl::Status& why) {
  if (why.code() == absl::StatusCode::kCancelled) return;
  records_.failures.push_back({arm.name, nodes, FirstLine(why.message())});
  progress_.Note("NOT RUN: " + options_.workload.name + ": " + arm.name + " on " + VmsText(nodes) +
                 ": " + records_.failures.back().why + "\n  its logs: " + options_.places.result +
                 "/logs/" + arm.name + "-n" + std::to_string(nodes) + "-*.log");
}

std::unique_ptr<ArmSession> WorkloadRun::Launch(const ArmSpec& arm, Machines& machines,
                                                int threads) {
  progress_.Begin(options_.workload.name + ": starting " + arm.name + " on " +
                  VmsText(machines.size()));
  if (arm.kind == ArmKind::kRayx || arm.kind == ArmKind::kRanks) {
    const std::string program = options_.places.bin + "/" + arm.program;
    if (access(program.c_str(), X_OK) != 0) {
      Fail(arm, machines.size(), absl::NotFoundError("it is not built: there is no " + program));
      return nullptr;
    }
  }
  auto session =
      ArmSession::Start(options_.workload, arm, machines, options_.places, {.threads = threads});
  if (!session.ok()) {
    Fail(arm, machines.size(), session.status());
    return nullptr;
  }
  progress_.End("ready after " + SecondsText((*session)->start_seconds()));
  if (!arm.unrestricted) {
    records_.starts.push_back({arm.name, machines.size(), (*session)->start_seconds(),
                               (*session)->daemons_start_seconds()});
  }
  arm_facts_[arm.name] = (*session)->ready();
  return *std::move(session);
}

void WorkloadRun::MeasureStarts(const ArmSpec& arm, Machines& machines) {
  for (int i = 0; i < options_.plan.extra_starts && !Interrupted(); ++i) {
    auto session = Launch(arm, machines, kThreadsARank);
    if (!session) return;
    if (auto s = session->Stop(); !s.ok()) Fail(arm, machines.size(), s);
  }
}

bool WorkloadRun::RunRep(ArmSession& session, int nodes, int pair, int order, bool unrestricted) {
  const std::string& arm = session.arm().name;
  const bool warm_up = pair <= 0;
  progress_.Begin(
      options_.workload.name + ": " + arm + " on " + VmsText(nodes) + ", " +
      (warm_up ? "warm-up"
               : "pair " + std::to_string(pair) + " of " + std::to_string(options_.plan.pairs)));
  const std::string name = options_.workload.name + "." + arm + ".n" + std::to_string(nodes) +
                           (warm_up ? ".warmup" : ".p" + std::to_string(pair));
  const int64_t steps = warm_up ? options_.plan.warm_up_steps : options_.plan.steps;
  auto repetition = session.Run(name, steps, kRepTimeoutBase + std::chrono::seconds(steps / 5));
  if (!repetition.ok()) {
    Fail(session.arm(), nodes, repetition.status());
    return false;
  }
  progress_.End(SecondsText(repetition->Total()));
  records_.reps.push_back({arm, nodes, pair, order, unrestricted, *std::move(repetition), {}});
  return true;
}

void WorkloadRun::RunPair(Sessions& sessions, int nodes, int pair) {
  std::vector<ArmSession*> order;
  for (auto& session : sessions) {
    if (TakesPart(options_.plan, session->arm(), pair)) order.push_back(session.get());
  }
  Shuffle(order, random_);
  for (size_t i = 0; i < order.size() && !Interrupted(); ++i) {
    if (RunRep(*order[i], nodes, pair, static_cast<int>(i), false)) continue;
    std::erase_if(sessions, [&](const auto& session) { return session.get() == order[i]; });
  }
}

absl::Status WorkloadRun::RunOn(int nodes) {
  auto machines = options_.simulate
                      ? Machines::Simulate(nodes, options_.shape,
                                           {options_.places.checkout, options_.places.venv,
                                            options_.places.data, options_.places.result})
                      : absl::StatusOr<Machines>(Machines::Bare(true));
  if (!machines.ok()) return machines.status();
  const size_t first_rep = records_.reps.size(), first_start = records_.starts.size();
  std::vector<const ArmSpec*> arms;
  for (const ArmSpec* arm : options_.arms) {
    if (RunsOn(*arm, nodes) && !arm->unrestricted) arms.push_back(arm);
  }
  Shuffle(arms, random_);
  Sessions sessions;
  for (const ArmSpec* arm : arms) {
    if (Interrupted()) return absl::CancelledError("interrupted");
    MeasureStarts(*arm, *machines);
    if (auto session = Launch(*arm, *machines, kThreadsARank)) {
      sessions.push_back(std::move(session));
    }
  }
  for (int pair = options_.plan.warm_up_steps > 0 ? 0 : 1; pair <= options_.plan.pairs; ++pair) {
    RunPair(sessions, nodes, pair);
  }
  for (auto& session : sessions) {
    if (Interrupted()) break;
    if (auto s = session->Stop(); !s.ok()) Fail(session->arm(), nodes, s);
  }
  sessions.clear();
  CountCpu(*machines);
  if (Interrupted()) return absl::CancelledError("interrupted");
  GateAndWrite(first_rep, first_start);
  return absl::OkStatus();
}

void WorkloadRun::RunUnrestricted() {
  for (const ArmSpec* arm : options_.arms) {
    if (!arm->unrestricted || Interrupted()) continue;
    const size_t first_rep = records_.reps.size(), first_start = records_.starts.size();
    Machines machine = Machines::Bare(true);
    auto session = Launch(*arm, machine, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
    if (!session) {
      CountCpu(machine);
      continue;
    }
    bool going = true;
    int pair = options_.plan.warm_up_steps > 0 ? 0 : 1;
    for (; pair <= options_.plan.pairs && going && !Interrupted(); ++pair) {
      going = RunRep(*session, 1, pair, 0, true);
    }
    if (going && !Interrupted()) {
      if (auto s = session->Stop(); !s.ok()) Fail(*arm, 1, s);
    }
    session.reset();
    CountCpu(machine);
    GateAndWrite(first_rep, first_start);
  }
}

void WorkloadRun::CountCpu(const Machines& machines) {
  const std::optional<double> used = machines.Read("").cpu_seconds;
  own_cpu_seconds_ =
      used && own_cpu_seconds_ ? std::optional(*own_cpu_seconds_ + *used) : std::nullopt;
}

void WorkloadRun::GateAndWrite(size_t first_rep, size_t first_start) {
  ApplyGates(records_);
  absl::Status status;
  for (size_t i = first_start; i < records_.starts.size(); ++i) {
    status.Update(writer_.AppendRun(ToJson(records_.workload.name, records_.starts[i])));
  }
  for (size_t i = first_rep; i < records_.reps.size(); ++i) {
    const RepRecord& rep = records_.reps[i];
    status.Update(writer_.AppendRun(ToJson(records_.workload.name, rep)));
    if (AllPassed(rep.gates)) continue;
    progress_.Note("GATE FAILED: " + records_.workload.name + ": " + rep.arm + " on " +
                   VmsText(rep.nodes) + ", pair " + std::to_string(rep.pair) + ": " +
                   WhyFailed(rep.gates));
  }
  if (!status.ok()) progress_.Note(std::string(status.message()));
}

absl::Status WorkloadRun::Run() {
  for (int nodes : options_.plan.nodes) {
    if (auto s = RunOn(nodes); !s.ok()) return s;
  }
  RunUnrestricted();
  return Interrupted() ? absl::CancelledError("interrupted") : absl::OkStatus();
}

}  // namespace rayx::bench
