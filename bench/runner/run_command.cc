#include "bench/runner/run_command.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "bench/data/data_folder.h"
#include "bench/runner/arm_catalogue.h"
#include "bench/runner/ease_card.h"
#include "bench/runner/environment.h"
#include "bench/runner/interrupt.h"
#include "bench/runner/mistake_run.h"
#include "bench/runner/report_command.h"
#include "bench/runner/scenario_run.h"
#include "bench/runner/terminal_table.h"
#include "bench/runner/workload_run.h"

namespace rayx::bench {
namespace {

using nlohmann::json;

constexpr int kInterruptedExit = 130;

int Fail(const absl::Status& status) {
  fprintf(stderr, "rayx-bench: %s\n", std::string(status.message()).c_str());
  return 1;
}

std::string NewId(const std::string& suite) {
  const time_t now = time(nullptr);
  char text[40];
  strftime(text, sizeof text, "%Y%m%d-%H%M%S", localtime(&now));
  return std::string(text) + "-" + suite;
}

Places FindPlaces(const RunOptions& options) {
  Places places;
  places.checkout = Checkout().string();
  places.venv = VirtualEnvironment();
  places.bin = std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
  places.data = std::filesystem::absolute(options.data_folder).string();
  return places;
}

// Overrides of the command line, and what this machine cannot do.
absl::StatusOr<SuitePlan> MakePlan(const RunOptions& options, const WorkloadSpec& workload,
                                   bool simulate) {
  auto plan = PlanOf(options.suite, workload);
  if (!plan.ok()) return plan;
  if (!options.nodes.empty()) plan->nodes = options.nodes;
  std::sort(plan->nodes.begin(), plan->nodes.end());  // the reference may be that of the fewest
  plan->nodes.erase(std::unique(plan->nodes.begin(), plan->nodes.end()), plan->nodes.end());
  if (!options.arms.empty()) plan->arms = options.arms;
  if (options.pairs > 0) plan->pairs = plan->pairs_beside = options.pairs;
  if (options.steps > 0) plan->steps = options.steps;
  if (!simulate) plan->nodes = {1};
  return plan;
}

json DescribeRun(const RunOptions& options, const Places& places, uint64_t seed, bool simulate,
                 const std::string& why_not) {
  json env = DescribeMachine(places.checkout, places.venv);
  env["schema"] = kResultSchemaVersion;
  env["command"] = options.command_line;
  env["suite"] = options.suite;
  env["order_seed"] = seed;
  env["simulated_vms"] = simulate;
  env["not_simulated_because"] = why_not;
  env["vm_cpus"] = simulate ? json(options.shape.cpus) : json();
  env["vm_cpu_period_us"] = options.shape.cpu_period_us;
  env["threads_a_rank"] = 1;
  return env;
}

// That its files are there. What is in them is looked at by the data set gate of each repetition.
absl::Status CheckData(const WorkloadSpec& workload, const std::string& data_folder) {
  if (!IsSha256(workload.dataset_sha256)) {
    return absl::InternalError("the catalogue pins no SHA-256 for the data of " + workload.name);
  }
  for (const std::string& name : workload.dataset_files) {
    const std::string path = data_folder + "/" + workload.dataset_folder + "/" + name;
    if (std::ifstream(path, std::ios::binary)) continue;
    return absl::NotFoundError("the data of " + workload.name + " are missing: " + path + ": " +
                               strerror(errno) + "; `" + workload.dataset_command +
                               "` brings them");
  }
  return absl::OkStatus();
}

struct Chosen {
  const WorkloadSpec* workload;
  SuitePlan plan;
  std::vector<const ArmSpec*> arms;
};

bool IsWanted(const RunOptions& options, const WorkloadSpec& workload) {
  return options.workload.empty() ? IsPartOf(options.suite, workload)
                                  : MatchesGlob(options.workload, workload.name);
}

absl::StatusOr<std::vector<Chosen>> Choose(const RunOptions& options, bool simulate) {
  std::vector<Chosen> chosen;
  if (options.only_scenarios) return chosen;
  for (const WorkloadSpec& workload : Workloads()) {
    if (!IsWanted(options, workload)) continue;
    auto plan = MakePlan(options, workload, simulate);
    if (!plan.ok()) return plan.status();
    auto arms = ChooseArms(workload, plan->arms);
    if (!arms.ok()) return arms.status();
    if (auto s = CheckData(workload, options.data_folder); !s.ok()) return s;
    chosen.push_back({&workload, *plan, *arms});
  }
  if (chosen.empty()) {
    std::string known;
    for (const WorkloadSpec& workload : Workloads()) {
      known += (known.empty() ? "" : ", ") + workload.name;
    }
    return absl::InvalidArgumentError("no workload matches '" + options.workload + "'; there are " +
                                      known);
  }
  return chosen;
}

// A scenario and the arms that it is carried out with.
struct ChosenScenario {
  ScenarioSpec scenario;
  const WorkloadSpec* workload = nullptr;  // null: it cannot be run, and says why
  std::vector<const ArmSpec*> arms;
};

absl::StatusOr<std::vector<ChosenScenario>> ChooseWithArms(const RunOptions& options,
                                                           bool simulate) {
  auto specs =
      ChooseScenarios(options.scenarios.empty() ? ScenariosOf(options.suite) : options.scenarios);
  if (!specs.ok()) return specs.status();
  std::vector<ChosenScenario> chosen;
  for (const ScenarioSpec* spec : *specs) {
    ChosenScenario one = {.scenario = *spec, .arms = {}};
    if (!simulate) one.scenario.not_run_because = "it needs simulated VMs";
    for (const WorkloadSpec& workload : Workloads()) {
      if (workload.name != spec->workload || !one.scenario.not_run_because.empty()) continue;
      if (auto s = CheckData(workload, options.data_folder); !s.ok()) return s;
      one.workload = &workload;
      for (const ArmSpec& arm : workload.arms) {
        const bool wanted =
            options.arms.empty() ||
            std::find(options.arms.begin(), options.arms.end(), arm.name) != options.arms.end();
        if (wanted && (arm.name == "rayx" || arm.name == "native-py")) one.arms.push_back(&arm);
      }
    }
    chosen.push_back(std::move(one));
  }
  return chosen;
}

// One run of a suite, from its first arm to its summary.
class SuiteRun {
 public:
  SuiteRun(const RunOptions& options, Places places, const ResultWriter& writer, Progress& progress,
           bool simulate, uint64_t seed, json& env)
      : options_(options),
        places_(std::move(places)),
        writer_(writer),
        progress_(progress),
        simulate_(simulate),
        seed_(seed),
        env_(env) {
    summary_ = {{"schema", kResultSchemaVersion}, {"id", writer.id()},
                {"suite", options.suite},         {"workloads", json::array()},
                {"scenarios", json::array()},     {"ease", json::object()}};
    summary_["ease"]["mistakes"] = json::array();
  }

  absl::Status Run(const std::vector<Chosen>& workloads,
                   const std::vector<ChosenScenario>& scenarios) {
    absl::Status status;
    for (const Chosen& chosen : workloads) {
      if (status = RunWorkload(chosen); !status.ok()) return status;
    }
    for (const ChosenScenario& chosen : scenarios) {
      status = chosen.scenario.kind == ScenarioKind::kMistakes ? RunMistakes(chosen)
                                                               : RunScenario(chosen);
      if (!status.ok()) return status;
    }
    return status;
  }

  bool good() const { return good_; }
  json& summary() { return summary_; }
  std::optional<double> own_cpu_seconds() const { return own_cpu_seconds_; }

 private:
  void CountCpu(std::optional<double> seconds) {
    own_cpu_seconds_ =
        own_cpu_seconds_ && seconds ? std::optional(*own_cpu_seconds_ + *seconds) : std::nullopt;
  }

  absl::Status RunWorkload(const Chosen& chosen) {
    WorkloadRun run(
        {*chosen.workload, chosen.plan, chosen.arms, places_, options_.shape, simulate_, seed_},
        writer_, progress_);
    const absl::Status status = run.Run();
    json part = Summarise(run.records());
    part["shows_ratios"] = chosen.plan.shows_ratios;
    summary_["workloads"].push_back(part);
    env_["arms"][chosen.workload->name] = run.arm_facts();
    CountCpu(run.own_cpu_seconds());
    good_ = good_ && AllGatesPassed(run.records()) && run.records().failures.empty();
    return status;
  }

  absl::Status RunScenario(const ChosenScenario& chosen) {
    if (chosen.workload == nullptr) {
      progress_.Note(chosen.scenario.name + ": not run: " + chosen.scenario.not_run_because);
      summary_["scenarios"].push_back(Summarise(ScenarioRecords{.scenario = chosen.scenario}));
      return absl::OkStatus();
    }
    ScenarioRun run({*chosen.workload, chosen.scenario, chosen.arms, places_, options_.shape},
                    progress_);
    absl::Status status = run.Run();
    summary_["scenarios"].push_back(Summarise(run.records()));
    for (const json& line : ToJsonLines(run.records())) status.Update(writer_.AppendRun(line));
    CountCpu(run.own_cpu_seconds());
    good_ = good_ && AllResultsSame(run.records()) && run.records().failures.empty();
    return status;
  }

  absl::Status RunMistakes(const ChosenScenario& chosen) {
    if (chosen.workload == nullptr) {
      progress_.Note("mistakes: not run: " + chosen.scenario.not_run_because);
      return absl::OkStatus();
    }
    for (const MistakeSpec& mistake : Mistakes()) {
      for (const ArmSpec* arm : chosen.arms) {
        if (Interrupted()) return absl::CancelledError("interrupted");
        progress_.Begin("mistake " + mistake.name + ": " + arm->name);
        const MistakeRecord record = MakeMistake(mistake, *chosen.workload, *arm, places_,
                                                 options_.shape, chosen.scenario.nodes);
        progress_.End(record.ending + ": " + record.text);
        CountCpu(record.cpu_seconds);
        summary_["ease"]["mistakes"].push_back(ToJson(record));
        if (auto s = writer_.AppendRun(ToJson(record)); !s.ok()) return s;
      }
    }
    return absl::OkStatus();
  }

  const RunOptions& options_;
  const Places places_;
  const ResultWriter& writer_;
  Progress& progress_;
  const bool simulate_;
  const uint64_t seed_;
  json& env_;
  json summary_;
  std::optional<double> own_cpu_seconds_ = 0.0;
  bool good_ = true;
};

int CountSteps(const std::vector<Chosen>& workloads, const std::vector<ChosenScenario>& scenarios) {
  int steps = 0;
  for (const Chosen& c : workloads) steps += ProgressSteps(c.plan, c.arms);
  for (const ChosenScenario& c : scenarios) {
    steps += c.scenario.kind == ScenarioKind::kMistakes
                 ? static_cast<int>(Mistakes().size() * c.arms.size())
                 : ProgressSteps(c.scenario, c.arms.size());
  }
  return steps;
}

json CardOf(const Places& places, const std::vector<Chosen>& workloads,
            const std::vector<ChosenScenario>& scenarios) {
  std::vector<const WorkloadSpec*> used;
  for (const Chosen& c : workloads) used.push_back(c.workload);
  for (const ChosenScenario& c : scenarios) {
    if (c.workload != nullptr && std::find(used.begin(), used.end(), c.workload) == used.end()) {
      used.push_back(c.workload);
    }
  }
  return EaseCard(places.checkout, used);
}

}  // namespace

std::vector<std::string> DataCommands(const RunOptions& options) {
  const auto scenarios =
      ChooseScenarios(options.scenarios.empty() ? ScenariosOf(options.suite) : options.scenarios);
  std::vector<const WorkloadSpec*> used;
  for (const WorkloadSpec& workload : Workloads()) {
    const bool disturbed =
        scenarios.ok() && std::any_of(scenarios->begin(), scenarios->end(),
                                      [&](const auto* s) { return s->workload == workload.name; });
    const bool wanted = !options.only_scenarios && IsWanted(options, workload);
    if (wanted || disturbed) used.push_back(&workload);
  }
  return DatasetCommands(used);
}

int Run(const RunOptions& options) {
  WatchForInterrupt();
  const std::string why_not = SimulatedVms::WhyNot();
  const bool simulate = why_not.empty();
  auto chosen = Choose(options, simulate);
  if (!chosen.ok()) return Fail(chosen.status());
  auto scenarios = ChooseWithArms(options, simulate);
  if (!scenarios.ok()) return Fail(scenarios.status());
  auto writer = ResultWriter::Create(options.results_folder, NewId(options.suite));
  if (!writer.ok()) return Fail(writer.status());
  Places places = FindPlaces(options);
  places.result = writer->folder();
  const uint64_t seed = options.seed != 0 ? options.seed : static_cast<uint64_t>(time(nullptr));
  json env = DescribeRun(options, places, seed, simulate, why_not);
  Progress progress(CountSteps(*chosen, *scenarios));
  if (!simulate) progress.Note("only one VM, without quota: more are not run: " + why_not);

  const MachineTimes before = ReadMachineTimes();
  SuiteRun run(options, places, *writer, progress, simulate, seed, env);
  const absl::Status status = run.Run(*chosen, *scenarios);
  const bool good =
      run.good() && (simulate || options.nodes.empty() || options.nodes == std::vector<int>{1});
  json& summary = run.summary();
  summary["ease"].update(CardOf(places, *chosen, *scenarios));
  env["noise"] = DescribeNoise(before, ReadMachineTimes(), run.own_cpu_seconds());
  summary["complete"] = status.ok();
  absl::Status written = writer->Write("env.json", env);
  written.Update(writer->Write("summary.json", summary));
  if (!written.ok()) return Fail(written);
  progress.Note("");
  PrintSummary(summary);
  if (Interrupted()) {
    fprintf(stderr, "interrupted; what was measured is in %s\n", writer->folder().c_str());
    return kInterruptedExit;
  }
  if (!status.ok()) return Fail(status);
  fflush(stdout);  // what another program prints comes after it, in a pipe too
  const int report = MakeReport(writer->folder());
  printf("\nresults: %s\n", writer->folder().c_str());
  if (!good) {
    fprintf(stderr, "rayx-bench: not everything ran or not every gate passed: see above\n");
    return 1;
  }
  return report;
}

}  // namespace rayx::bench
