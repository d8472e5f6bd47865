#include "bin/daemons.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "bin/daemon_options.h"
#include "cli/supervisor.h"
#include "io/process_title.h"

namespace rayx::bin {

base::StatusOr<DaemonOptions> ParseDaemonOptions(int argc, char** argv) {
  DaemonOptions options;
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    bool ok = true;
    if (name == "--session-folder") {
      options.session_folder = argv[i + 1];
    } else if (name == "--ready-fd") {
      ok = absl::SimpleAtoi(argv[i + 1], &options.ready_fd);
    } else if (name == "--pipe-fd") {
      ok = absl::SimpleAtoi(argv[i + 1], &options.pipe_fd);
    } else if (name == "--driver-pid") {
      ok = absl::SimpleAtoi(argv[i + 1], &options.driver_pid);
    } else {
      ok = false;
    }
    if (!ok) return absl::InvalidArgumentError(absl::StrCat("internal option ", name));
  }
  if (options.session_folder.empty()) {
    return absl::InvalidArgumentError("this command is internal: use `rayx start`");
  }
  return options;
}

base::Status PrepareDaemon(const DaemonOptions& options, const cli::LogBounds& logs,
                           const char* name) {
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files = {};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  base::LogOptions log;
  log.process = name;
  log.to_stderr = false;
  log.file = absl::StrCat(options.session_folder, "/logs/", name, ".log");
  log.file_bytes_max = logs.file_bytes;
  log.files_max = logs.files - 1;
  if (const char* level = std::getenv("RAYX_LOG_LEVEL"); level != nullptr && *level != '\0') {
    auto parsed = base::ParseLogLevel(level);
    if (!parsed.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("RAYX_LOG_LEVEL: ", parsed.status().message()));
    }
    log.level = *parsed;
  }
  return base::SetUpLogging(log);
}

void AnswerReady(int ready_fd, const cli::ReadyAnswer& answer) {
  if (ready_fd < 0) return;
  const std::string line = cli::FormatReadyAnswer(answer);
  [[maybe_unused]] const ssize_t written = ::write(ready_fd, line.data(), line.size());
  ::close(ready_fd);
}

bool RunDaemon(int argc, char** argv, int& exit_code) {
  if (argc < 2) return false;
  const std::string command = argv[1];
  if (command != "head" && command != "node" && command != "supervise") return false;
  const auto options = ParseDaemonOptions(argc, argv);
  if (!options.ok()) {
    std::cerr << "rayx " << command << ": " << base::Message(options.status()) << "\n";
    exit_code = 2;
    return true;
  }
  if (command == "supervise") {
    // Its title keeps the session folder: several sessions of a VM are told apart by it.
    exit_code = cli::Supervise(
        {options->session_folder, options->ready_fd, options->pipe_fd, options->driver_pid});
    return true;
  }
  io::KeepArguments(argc, argv, io::TitleRoom::kArguments);
  io::SetProcessTitle("rayx " + command);
  ::prctl(PR_SET_NAME, ("rayx-" + command).c_str());
  exit_code = command == "head" ? RunHead(*options) : RunNode(*options);
  return true;
}

}  // namespace rayx::bin
