#include "cli/command_line.h"

#include <algorithm>
#include <cctype>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/command_error.h"
#include "cli/completion.h"
#include "cli/logs.h"
#include "cli/microbenchmark/microbenchmark.h"
#include "cli/show.h"
#include "cli/start.h"
#include "cli/stop.h"
#include "cli/value_checks.h"
#include "io/session_folder.h"
#include "model/versions.h"

namespace rayx::cli {
namespace {

// A positional's name says it all; without a text CLI11 adds its type.
constexpr char kNoType[] = " ";
constexpr uint64_t kTailMax = 1'000'000;
constexpr uint64_t kDescriptorMax = 1'000'000;

// The environment of programs and commands. What RayX sets for its own workers is not in it.
constexpr char kFooter[] =
    R"(Examples:
  rayx start --head                        a cluster of this VM
  rayx start --head --listen 10.0.0.1      one that other VMs can join; it prints how
  rayx start --address 10.0.0.1:7399       this VM joins it
  RAYX_ADDRESS=auto ./program              a program on the cluster that runs here
  rayx status; rayx list actors; rayx logs --follow node.log
  rayx stop

Environment:
  RAYX_SESSION_DIR   folder of this user's sessions (default: $XDG_RUNTIME_DIR/rayx, else
                     /tmp/rayx-UID); another one is another VM, as far as RayX can see
  RAYX_ADDRESS       of programs: IP:PORT of a head, or auto (default: a cluster of its own)
  RAYX_LOCAL_MODE    of programs: 1 = no cluster, everything in the program's own process
  RAYX_JOIN_FILE     of rayx start --address: the head's join file
  RAYX_LOG_LEVEL     debug, info, warning, error or off
  RAYX_DEDUPLICATE_OUTPUT   of programs: 0 = show each line that workers print, also the same
                     line of many
  RAYX_BIN           of programs that start a cluster of their own: this binary

`rayx COMMAND --help` says more of a command.
)";

struct Given {
  StartOptions start;
  LogOptions logs;
  MicrobenchmarkOptions microbenchmark;
  ListOptions list;
  std::string format = "table";
  std::string shell;
};

void AddStart(CLI::App& app, StartOptions& start) {
  CLI::App* command = app.add_subcommand("start", "Start a cluster here, or join one with this VM");
  command->add_flag("--head", start.head, "Start a cluster: head and node daemon");
  command->add_option("--address", start.address, "Join the cluster whose head is at ip:port")
      ->option_text("IP:PORT");
  command
      ->add_option("--join-file", start.join_file,
                   "The head's join file; - is standard input (default: RAYX_JOIN_FILE, "
                   "~/.rayx/join, standard input)")
      ->option_text("PATH");
  command
      ->add_option("--listen", start.listen,
                   "Address of this VM to listen on (default: 127.0.0.1 with --head, else the one "
                   "that leads to the head). Beyond loopback everything is TLS")
      ->option_text("IP");
  command->add_option("--port", start.port, "Port of the head; 0 = any free one (default: 7399)")
      ->option_text("PORT");
  command->add_option("--num-cpus", start.num_cpus, "CPUs to offer (default: all of this VM)")
      ->option_text("COUNT");
  command->add_option("--num-gpus", start.num_gpus, "GPUs to offer (default: 0)")
      ->option_text("COUNT");
  command
      ->add_option("--resources", start.resources,
                   "Other resources to offer, as JSON: {\"disk\": 2}")
      ->option_text("JSON");
  command->add_option("--labels", start.labels, "Labels of this node: zone=a,disk=ssd")
      ->option_text("KEY=VALUE,...");
  command
      ->add_option("--object-store-memory", start.object_store_memory,
                   "Size of the object store: 2GiB, 30% (default: 30% of the memory)")
      ->option_text("SIZE");
  command
      ->add_option("--log-file-size", start.log_file_size,
                   "A log is begun anew when it has so many bytes (default: 16MiB)")
      ->option_text("SIZE");
  command
      ->add_option("--log-files", start.log_files, "Files of a log, old ones included (default: 4)")
      ->option_text("COUNT");
  command
      ->add_option("--log-total", start.log_total,
                   "What all logs of this node may have; the oldest go (default: 1GiB)")
      ->option_text("SIZE");
  command->add_flag("--insecure", start.insecure, "No TLS beyond loopback");
  command->add_flag("--block", start.block, "Stay in the foreground; a signal stops the cluster");
  command
      ->add_option("--ready-fd", start.ready_fd,
                   "Write one line of JSON with the outcome to this descriptor")
      ->check(WholeNumber(0, kDescriptorMax, "as an open descriptor"))
      ->option_text("FD");
  // For drivers that start their own cluster.
  command->add_flag("--embedded", start.embedded)->group("");
  command->add_option("--pipe-fd", start.pipe_fd)->group("");
  command->add_option("--driver-pid", start.driver_pid)->group("");
}

void AddFormat(CLI::App* command, Given& given) {
  Choose(command->add_option("--format", given.format, "table or json (default: table)")
             ->option_text("FORMAT"),
         {"table", "json"});
}

void AddMicrobenchmark(CLI::App& app, Given& given) {
  CLI::App* command = app.add_subcommand("microbenchmark",
                                         "What single calls cost here, beside the physical limit");
  MicrobenchmarkOptions& options = given.microbenchmark;
  CLI::Option* row = command->add_option("ROW", options.only,
                                         "Only rows whose name contains this; a whole name: that "
                                         "row; one that none has: tells them all");
  row->option_text(kNoType);
  command->add_option("--only", options.only, "The same as a flag")
      ->option_text("ROW")
      ->excludes(row);
  command
      ->add_option("--seconds", options.seconds,
                   "Time of a row (default: 2). Long ones take a fixed number of samples, below "
                   "half a second one")
      ->check(Seconds())
      ->option_text("SECONDS");
  command
      ->add_option("--address", options.address,
                   "Of a running cluster, ip:port or auto (default: one of its own)")
      ->option_text("ADDRESS");
  command
      ->add_option("--libtorch", options.libtorch,
                   "libtorch_cpu.so, for the rows of workers that have it loaded (default: those "
                   "are not run)")
      ->check(CLI::ExistingFile)
      ->option_text("FILE");
  CLI::Option* vs_ray = command->add_flag(
      "--vs-ray", options.vs_ray,
      "Ray's numbers too: installs Ray, compiles one program against Ray and RayX, runs both");
  command
      ->add_option("--ray-folder", options.ray_folder,
                   "Where Ray is installed, 400 MB (default: rayx/vs_ray in $XDG_CACHE_HOME or "
                   "~/.cache)")
      ->option_text("PATH")
      ->needs(vs_ray);
  AddFormat(command, given);
  command->add_option("--probe", options.probe)->group("");  // of a row's own processes
}

void AddList(CLI::App& app, Given& given) {
  CLI::App* list = app.add_subcommand("list", "List parts of the cluster");
  Choose(
      list->add_option("WHAT", given.list.what, "nodes, actors, workers, objects, jobs or leases")
          ->required()
          ->option_text(kNoType),
      {"nodes", "actors", "workers", "objects", "jobs", "leases"});
  list->add_flag("--all", given.list.all, "Dead actors too (JSON always has them)");
  AddFormat(list, given);
  list->final_callback([&wanted = given.list] {
    if (!wanted.all || wanted.what == "actors") return;
    throw CLI::ValidationError("--all", "only of actors, not of " + wanted.what);
  });
}

void AddLogs(CLI::App& app, Given& given) {
  CLI::App* logs = app.add_subcommand("logs", "List the log files of this VM, or show one");
  logs->add_option("FILE", given.logs.file, "A log file's name")->option_text(kNoType);
  logs->add_option("--tail", given.logs.tail, "Only so many lines from its end (default: 1000)")
      ->check(WholeNumber(0, kTailMax, "lines"))
      ->option_text("COUNT");
  logs->add_option("--node", given.logs.node, "Of this node instead: n2, or 2")
      ->transform(NodeNumber())
      ->option_text("NODE");
  logs->add_flag("--follow", given.logs.follow, "Go on with what is added, until interrupted")
      ->excludes("--node")
      ->option_text(kNoType);
  logs->add_flag("--names", given.logs.names)->group("");  // of completion scripts
  logs->final_callback([logs, &wanted = given.logs] {
    if (!wanted.file.empty()) return;
    for (const char* flag : {"--follow", "--tail"}) {
      if (logs->count(flag) == 0) continue;
      throw CLI::ValidationError(flag, "which log? FILE is missing; `rayx logs` lists them");
    }
  });
}

void AddCompletion(CLI::App& app, Given& given) {
  CLI::App* command =
      app.add_subcommand("completion", "Print a script that completes rayx's commands and flags");
  Choose(command->add_option("SHELL", given.shell, "bash, fish or zsh")
             ->required()
             ->option_text(kNoType),
         ShellsKnown());
  command->footer(
      "bash: source <(rayx completion bash)    fish: rayx completion fish | source\n"
      "zsh:  source <(rayx completion zsh)     after compinit\n");
}

bool IsNegativeNumber(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && std::isdigit(static_cast<unsigned char>(word[1]));
}

// CLI11 takes the -1 of "--tail -1" for an option.
std::vector<std::string> Joined(int argc, char** argv) {
  std::vector<std::string> words;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool of_flag = IsNegativeNumber(word) && !words.empty() &&
                         words.back().starts_with("--") && words.back().size() > 2 &&
                         words.back().find('=') == std::string::npos;
    if (of_flag) {
      words.back() += "=" + word;
    } else {
      words.push_back(word);
    }
  }
  return words;
}

int Dispatch(const CLI::App& app, const Given& given) {
  const bool json = given.format == "json";
  if (app.got_subcommand("start")) return RunStart(given.start);
  if (app.got_subcommand("stop")) return RunStop();
  if (app.got_subcommand("status")) return RunStatus(json);
  if (app.got_subcommand("list")) return RunList({given.list.what, given.list.all, json});
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
  app.require_subcommand(0, 1);  // an unknown one is not "none", and is told by Complaint
  Given given;
  AddStart(app, given.start);
  app.add_subcommand("stop", "Stop: on the head's VM the whole cluster, elsewhere this node");
  AddFormat(app.add_subcommand("status", "What the cluster of this VM has, or why it ended"),
            given);
  AddList(app, given);
  AddLogs(app, given);
  AddMicrobenchmark(app, given);
  AddCompletion(app, given);
  app.footer(kFooter);
  try {
    std::vector<std::string> words = Joined(argc, argv);
    std::reverse(words.begin(), words.end());  // CLI11 takes them from the end
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error, std::cout, std::cerr);
    std::cerr << Complaint(app, error);
    return io::kUsageExit;
  }
  if (!app.get_subcommands().empty()) {
    const std::string name = app.get_subcommands().front()->get_name();
    if (name == "completion") {
      std::cout << CompletionScript(app, given.shell);
      return 0;
    }
    if (const std::string base = io::SessionBase(); !base.starts_with('/')) {
      std::cerr << "rayx " << name << ": RAYX_SESSION_DIR " << base
                << ": expected an absolute path\n";
      return io::kUsageExit;
    }
    return Dispatch(app, given);
  }
  std::cout << app.help();
  return 0;
}

}  // namespace rayx::cli
