// rayx-bench: reads the command line and hands over to the command.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>

#include "bench/data/data_folder.h"
#include "bench/runner/cluster_command.h"
#include "bench/runner/compare_command.h"
#include "bench/runner/report_command.h"
#include "bench/runner/run_command.h"

namespace rayx::bench {
namespace {

void AddCluster(CLI::App& app, int& exit_code) {
  CLI::App* cluster = app.add_subcommand("cluster", "Simulated VMs by hand");
  cluster->require_subcommand(1);
  static std::string set = "default";
  static int nodes = 3, vm = 1;
  static double cpus = 0.6;
  static std::vector<std::string> command;
  cluster->add_option("--name", set, "Name of the set of VMs")->capture_default_str();
  CLI::App* up = cluster->add_subcommand("up", "Start simulated VMs");
  up->add_option("--nodes", nodes, "How many")->capture_default_str()->check(CLI::Range(1, 64));
  up->add_option("--cpus", cpus, "CPUs a VM may use; 0: no quota")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 64.0));
  up->callback([&] { exit_code = ClusterUp(set, nodes, cpus); });
  cluster->add_subcommand("down", "End them")->callback([&] { exit_code = ClusterDown(set); });
  CLI::App* exec = cluster->add_subcommand("exec", "Run a command in VM N: exec N -- COMMAND");
  exec->add_option("vm", vm, "Number of the VM, from 1")->required()->check(CLI::Range(1, 64));
  exec->add_option("command", command, "Command and its arguments")->required();
  exec->callback([&] { exit_code = ClusterExec(set, vm, command); });
  CLI::App* lose = cluster->add_subcommand("lose", "Lose VM N: drop its packets, then kill it");
  lose->add_option("vm", vm, "Number of the VM, from 1")->required()->check(CLI::Range(1, 64));
  lose->callback([&] { exit_code = ClusterLose(set, vm); });
  cluster->add_subcommand("status", "What is up")->callback([&] { exit_code = ClusterStatus(); });
}

// `carry_out` is called with the options as they were given.
void AddRun(CLI::App& app, RunOptions& options, const std::string& name, const std::string& help,
            const std::string& suite, const std::function<void(const RunOptions&)>& carry_out) {
  CLI::App* run = app.add_subcommand(name, help);
  if (suite.empty()) {
    run->add_option("--suite", options.suite,
                    "smoke: gates of two workloads, a minute; quick: minutes; full: an hour")
        ->capture_default_str()
        ->check(CLI::IsMember({"smoke", "quick", "full"}));
  }
  run->add_option("--workload", options.workload,
                  "Pattern of workload names (default: the suite's)");
  run->add_option("--arm", options.arms, "Arms, separated by commas")->delimiter(',');
  run->add_option("--nodes", options.nodes, "Numbers of simulated VMs, separated by commas")
      ->delimiter(',')
      ->check(CLI::Range(1, 16));
  run->add_option("--scenario", options.scenarios,
                  "Scenarios, separated by commas: all, none, or names; without --workload they "
                  "are run alone (default: all in full, else none)")
      ->delimiter(',');
  run->add_option("--reps", options.pairs, "Pairs of repetitions")->check(CLI::Range(1, 1000));
  run->add_option("--steps", options.steps, "Training steps a repetition")
      ->check(CLI::Range(1, 1000000));
  run->add_option("--cpus", options.shape.cpus, "CPUs a simulated VM may use; 0: no quota")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 64.0));
  run->add_option("--seed", options.seed, "Seed of the arms' order; 0: from the clock");
  run->add_option("--data", options.data_folder, "Folder of the data sets")->capture_default_str();
  run->add_option("--results", options.results_folder, "Folder of the results")
      ->capture_default_str();
  run->callback([&options, carry_out, suite, run] {
    if (!suite.empty()) options.suite = suite;
    const bool wants_scenarios =
        !options.scenarios.empty() && options.scenarios != std::vector<std::string>{"none"};
    options.only_scenarios = wants_scenarios && run->count("--workload") == 0;
    carry_out(options);
  });
}

int Main(int argc, char** argv) {
  CLI::App app{"RayX's benchmark suite: RayX beside native torch.distributed on simulated VMs"};
  app.require_subcommand(1);
  int exit_code = 0;
  RunOptions run;
  run.data_folder = DataFolder();
  run.results_folder = (Checkout() / "results").string();
  for (int i = 0; i < argc; ++i) run.command_line += (i > 0 ? " " : "") + std::string(argv[i]);
  RunOptions check = run;
  check.shape.cpus = 0;  // what is right does not depend on how fast it comes
  RunOptions data = run;
  const auto carry_out = [&](const RunOptions& options) { exit_code = Run(options); };
  AddRun(app, run, "run", "Run a suite", "", carry_out);
  AddRun(app, check, "check", "Run the gates alone, without a quota", "check", carry_out);
  AddRun(app, data, "data",
         "Print the commands that bring the data which `run` needs with the same options", "",
         [](const RunOptions& options) {
           for (const std::string& command : DataCommands(options)) std::puts(command.c_str());
         });

  std::string a, b, id;
  double tolerance = 0.05;
  CLI::App* compare = app.add_subcommand("compare", "Is result B slower than result A?");
  compare->add_option("A", a, "Id of a result")->required();
  compare->add_option("B", b, "Id of a later result")->required();
  compare->add_option("--tolerance", tolerance, "Slower by less than this share is no regression")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 10.0));
  compare->callback([&] {
    exit_code = Compare(ResultFolder(run.results_folder, a), ResultFolder(run.results_folder, b),
                        tolerance);
  });
  CLI::App* report = app.add_subcommand("report", "Make report.html of a result again");
  report->add_option("id", id, "Id of a result; the latest where none is named");
  for (CLI::App* command : {compare, report}) {
    command->add_option("--results", run.results_folder, "Folder of the results")
        ->capture_default_str();
  }
  report->callback([&] {
    const std::string folder = ResultFolder(run.results_folder, id);
    if (folder.empty())
      fprintf(stderr, "rayx-bench: no result in %s\n", run.results_folder.c_str());
    exit_code = folder.empty() ? 1 : MakeReport(folder);
  });
  AddCluster(app, exit_code);

  CLI11_PARSE(app, argc, argv);
  return exit_code;
}

}  // namespace
}  // namespace rayx::bench

int main(int argc, char** argv) {
  return rayx::bench::Main(argc, argv);
}
