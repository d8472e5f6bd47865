#include "bench/runner/report_command.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "bench/data/data_folder.h"
#include "vms/vm_process.h"

extern char** environ;

namespace rayx::bench {

namespace fs = std::filesystem;

std::string VirtualEnvironment() {
  if (const char* named = getenv("RAYX_VENV"); named != nullptr && *named != 0) return named;
  if (fs::exists("/opt/rayx/venv/bin/python")) return "/opt/rayx/venv";
  return (Checkout() / "third_party/.venv").string();
}

std::string ResultFolder(const std::string& results, const std::string& id) {
  if (!id.empty()) return (fs::path(results) / id).string();
  std::string latest;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(results, error)) {
    if (!fs::exists(entry.path() / "summary.json", error)) continue;
    // Ids begin with the time, so that their order is the order in which they ran.
    if (entry.path().filename().string() > fs::path(latest).filename().string()) {
      latest = entry.path().string();
    }
  }
  return latest;
}

int MakeReport(const std::string& folder) {
  if (!fs::exists(fs::path(folder) / "env.json")) {
    fprintf(stderr, "rayx-bench: no report: %s is no result; its parent's folders are the ids\n",
            folder.c_str());
    return 1;
  }
  const std::string python = VirtualEnvironment() + "/bin/python";
  if (!fs::exists(python)) {
    fprintf(stderr, "rayx-bench: no report: there is no %s; third_party/install makes it\n",
            python.c_str());
    return 1;
  }
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable)
    variables.emplace_back(*variable);
  auto process =
      vms::VmProcess::Spawn({python, (Checkout() / "bench/report/report.py").string(), folder},
                            variables, {.inherit_output = true});
  if (!process.ok()) {
    fprintf(stderr, "rayx-bench: no report: %s\n", process.status().ToString().c_str());
    return 1;
  }
  auto ended = process->Wait(std::chrono::minutes(5));
  return ended.ok() && ended->ok() ? 0 : 1;
}

}  // namespace rayx::bench
