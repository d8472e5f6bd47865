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
#include "bench/runner/environment.h"
#include "bench/runner/interrupt.h"
#include "bench/runner/report_command.h"
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
  if (options.pairs > 0) plan->pairs = options.pairs;
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

absl::StatusOr<std::vector<Chosen>> Choose(const RunOptions& options, bool simulate) {
  std::vector<Chosen> chosen;
  for (const WorkloadSpec& workload : Workloads()) {
    if (!MatchesGlob(options.workload, workload.name)) continue;
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

}  // namespace

int Run(const RunOptions& options) {
  WatchForInterrupt();
  const std::string why_not = SimulatedVms::WhyNot();
  const bool simulate = why_not.empty();
  auto chosen = Choose(options, simulate);
  if (!chosen.ok()) return Fail(chosen.status());
  auto writer = ResultWriter::Create(options.results_folder, NewId(options.suite));
  if (!writer.ok()) return Fail(writer.status());
  Places places = FindPlaces(options);
  places.result = writer->folder();
  const uint64_t seed = options.seed != 0 ? options.seed : static_cast<uint64_t>(time(nullptr));
  json env = DescribeRun(options, places, seed, simulate, why_not);
  json summary = {{"schema", kResultSchemaVersion},
                  {"id", writer->id()},
                  {"suite", options.suite},
                  {"workloads", json::array()}};
  int steps = 0;
  for (const Chosen& c : *chosen) steps += ProgressSteps(c.plan, c.arms);
  Progress progress(steps);
  if (!simulate) progress.Note("only one VM, without quota: more are not run: " + why_not);

  const MachineTimes before = ReadMachineTimes();
  absl::Status status;
  bool good = simulate || options.nodes.empty() || options.nodes == std::vector<int>{1};
  std::optional<double> own_cpu_seconds = 0.0;
  for (const Chosen& c : *chosen) {
    WorkloadRun run({*c.workload, c.plan, c.arms, places, options.shape, simulate, seed}, *writer,
                    progress);
    status = run.Run();
    json part = Summarise(run.records());
    part["shows_ratios"] = c.plan.shows_ratios;
    summary["workloads"].push_back(part);
    env["arms"][c.workload->name] = run.arm_facts();
    own_cpu_seconds = own_cpu_seconds && run.own_cpu_seconds()
                          ? std::optional(*own_cpu_seconds + *run.own_cpu_seconds())
                          : std::nullopt;
    good = good && AllGatesPassed(run.records()) && run.records().failures.empty();
    if (!status.ok()) break;
  }
  env["noise"] = DescribeNoise(before, ReadMachineTimes(), own_cpu_seconds);
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
  const int report = MakeReport(writer->folder());
  printf("\nresults: %s\n", writer->folder().c_str());
  if (!good) {
    fprintf(stderr, "rayx-bench: not everything ran or not every gate passed: see above\n");
    return 1;
  }
  return report;
}

}  // namespace rayx::bench
