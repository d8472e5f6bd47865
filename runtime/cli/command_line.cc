#include "cli/command_line.h"

#include <iostream>
#include <map>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>

#include "cli/microbenchmark/microbenchmark.h"
#include "cli/show.h"
#include "cli/start.h"
#include "cli/stop.h"
#include "model/versions.h"

namespace rayx::cli {
namespace {

constexpr int kUsage = 2;

struct Given {
  StartOptions start;
  LogOptions logs;
  MicrobenchmarkOptions microbenchmark;
  std::string list;
  std::string format = "table";
};

void AddStart(CLI::App& app, StartOptions& start) {
  CLI::App* command = app.add_subcommand("start", "Start a cluster here, or join one with this VM");
  command->add_flag("--head", start.head, "Start a cluster: head and node daemon");
  command->add_option("--address", start.address, "Join the cluster whose head is at ip:port");
  command->add_option("--join-file", start.join_file,
                      "The head's join file; - is standard input (default: RAYX_JOIN_FILE, "
                      "~/.rayx/join, standard input)");
  command->add_option(
      "--listen", start.listen,
      "Address of this VM to listen on (default: 127.0.0.1 with --head, else the one "
      "that leads to the head). Beyond loopback everything is TLS");
  command->add_option("--port", start.port, "Port of the head; 0 = any free one (default: 7399)");
  command->add_option("--num-cpus", start.num_cpus, "CPUs to offer (default: all of this VM)");
  command->add_option("--num-gpus", start.num_gpus, "GPUs to offer (default: 0)");
  command->add_option("--resources", start.resources,
                      "Other resources to offer, as JSON: {\"disk\": 2}");
  command->add_option("--labels", start.labels, "Labels of this node: zone=a,disk=ssd");
  command->add_option("--object-store-memory", start.object_store_memory,
                      "Size of the object store: 2GiB, 30% (default: 30% of the memory)");
  command->add_flag("--insecure", start.insecure, "No TLS beyond loopback");
  command->add_flag("--block", start.block, "Stay in the foreground; a signal stops the cluster");
  command->add_option("--ready-fd", start.ready_fd,
                      "Write one line of JSON with the outcome to this descriptor");
  // For drivers that start their own cluster.
  command->add_flag("--embedded", start.embedded)->group("");
  command->add_option("--pipe-fd", start.pipe_fd)->group("");
  command->add_option("--driver-pid", start.driver_pid)->group("");
}

// "n2", as every list has it, or "2", to "2". Returns what is wrong, for CLI11.
std::string PlainNodeNumber(std::string& text) {
  std::string digits = text.substr(text.starts_with('n') ? 1 : 0);
  const bool is_number =
      !digits.empty() && digits.find_first_not_of("0123456789") == std::string::npos;
  if (!is_number || digits.front() == '0') return "\"" + text + "\": expected n2 or 2";
  text = std::move(digits);
  return "";
}

void AddFormat(CLI::App* command, Given& given) {
  command->add_option("--format", given.format, "table or json (default: table)")
      ->check(CLI::IsMember({"table", "json"}));
}

void AddMicrobenchmark(CLI::App& app, Given& given) {
  CLI::App* command = app.add_subcommand("microbenchmark",
                                         "What single calls cost here, beside the physical limit");
  MicrobenchmarkOptions& options = given.microbenchmark;
  command->add_option("only", options.only, "Only rows whose name contains this");
  command->add_option("--seconds", options.seconds, "Time of a row (default: 2)")
      ->check(CLI::Range(0.01, 600.0));
  command->add_option("--address", options.address,
                      "Of a running cluster, ip:port or auto (default: one of its own)");
  AddFormat(command, given);
}

int Dispatch(const CLI::App& app, const Given& given) {
  const bool json = given.format == "json";
  if (app.got_subcommand("start")) return RunStart(given.start);
  if (app.got_subcommand("stop")) return RunStop();
  if (app.got_subcommand("status")) return RunStatus(json);
  if (app.got_subcommand("list")) return RunList(given.list, json);
  if (app.got_subcommand("microbenchmark")) {
    MicrobenchmarkOptions options = given.microbenchmark;
    options.json = json;
    return RunMicrobenchmark(options);
  }
  return RunLogs(given.logs);
}

}  // namespace

int RunCommandLine(int argc, char** argv) {
  CLI::App app("RayX: remote tasks, actors and shared objects for C++ on a cluster of VMs", "rayx");
  app.set_version_flag("--version", std::string("rayx ") + model::kRelease);
  app.require_subcommand(1);
  Given given;
  AddStart(app, given.start);
  app.add_subcommand("stop", "Stop: on the head's VM the whole cluster, elsewhere this node");
  AddFormat(app.add_subcommand("status", "What the cluster of this VM has, or why it ended"),
            given);
  CLI::App* list = app.add_subcommand("list", "List parts of the cluster");
  list->add_option("what", given.list, "nodes, actors, workers, objects, jobs or leases")
      ->required()
      ->check(CLI::IsMember({"nodes", "actors", "workers", "objects", "jobs", "leases"}));
  AddFormat(list, given);
  CLI::App* logs = app.add_subcommand("logs", "List the log files of this VM, or show one");
  logs->add_option("file", given.logs.file, "A log file's name");
  logs->add_option("--tail", given.logs.tail, "Only so many lines from its end (default: 1000)");
  logs->add_option("--node", given.logs.node, "Of this node instead: n2, or 2")
      ->transform(CLI::Validator(PlainNodeNumber, "NODE"));
  AddMicrobenchmark(app, given);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error, std::cout, std::cerr);
    return code == 0 ? 0 : kUsage;
  }
  return Dispatch(app, given);
}

}  // namespace rayx::cli
