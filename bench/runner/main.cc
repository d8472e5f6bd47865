// rayx-bench: reads the command line and hands over to the command.
#include <CLI/CLI.hpp>

#include "bench/runner/cluster_command.h"

namespace rayx::bench {
namespace {

int Main(int argc, char** argv) {
  CLI::App app{"RayX's benchmark suite: RayX beside native torch.distributed on simulated VMs"};
  app.require_subcommand(1);
  int exit_code = 0;

  CLI::App* cluster = app.add_subcommand("cluster", "Simulated VMs by hand");
  cluster->require_subcommand(1);
  std::string set = "default";
  cluster->add_option("--name", set, "Name of the set of VMs")->capture_default_str();
  int nodes = 3, vm = 1;
  double cpus = 0.6;
  std::vector<std::string> command;
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

  CLI11_PARSE(app, argc, argv);
  return exit_code;
}

}  // namespace
}  // namespace rayx::bench

int main(int argc, char** argv) { return rayx::bench::Main(argc, argv); }
