#include "bench/runner/environment.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>
#include <sstream>

namespace rayx::bench {
namespace {

using nlohmann::json;

std::string ValueAfter(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

std::string Now() {
  const time_t now = time(nullptr);
  char text[40];
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
  return text;
}

json ThreadVariables() {
  json result = json::object();
  for (const char* name : {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                           "KMP_AFFINITY", "OMP_PROC_BIND"}) {
    const char* value = getenv(name);
    result[name] = value == nullptr ? json() : json(value);
  }
  return result;
}

}  // namespace

MachineTimes ReadMachineTimes() {
  std::ifstream file("/proc/stat");
  std::string name;
  std::array<double, 8> ticks = {};  // user nice system idle iowait irq softirq steal
  file >> name;
  for (double& value : ticks) file >> value;
  const double hertz = static_cast<double>(sysconf(_SC_CLK_TCK));
  MachineTimes times;
  times.busy = (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) / hertz;
  times.idle = (ticks[3] + ticks[4]) / hertz;
  times.steal = ticks[7] / hertz;
  return times;
}

std::string FirstLineOf(const std::string& shell_command) {
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen((shell_command + " 2>/dev/null").c_str(), "re"),
                                             pclose);
  std::array<char, 512> line = {};
  if (!pipe || fgets(line.data(), line.size(), pipe.get()) == nullptr) return "";
  std::string text = line.data();
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

json DescribeMachine(const std::string& checkout, const std::string& venv) {
  utsname names = {};
  uname(&names);
  const std::string git = "git -c safe.directory='*' -C '" + checkout + "' ";
  std::ostringstream flags;
  std::istringstream all(ValueAfter("/proc/cpuinfo", "flags"));
  for (std::string flag; all >> flag;) {
    if (flag == "avx2" || flag == "avx512f" || flag == "fma" || flag == "sha_ni") {
      flags << (flags.tellp() > 0 ? " " : "") << flag;
    }
  }
  json result;
  result["time"] = Now();
  result["cpu"] = ValueAfter("/proc/cpuinfo", "model name");
  result["cpu_flags"] = flags.str();
  result["cpus"] = sysconf(_SC_NPROCESSORS_ONLN);
  result["memory"] = ValueAfter("/proc/meminfo", "MemTotal");
  result["kernel"] = std::string(names.sysname) + " " + names.release + " " + names.machine;
  result["git_revision"] = FirstLineOf(git + "rev-parse HEAD");
  result["git_changed_files"] =
      std::atoi(FirstLineOf(git + "status --porcelain --untracked-files=no | wc -l").c_str());
  result["python"] = FirstLineOf("'" + venv + "/bin/python' --version");
  result["compiler"] = "GCC " __VERSION__;
  result["thread_variables"] = ThreadVariables();
  double load = 0;
  std::ifstream("/proc/loadavg") >> load;
  result["load_average_before"] = load;
  return result;
}

json DescribeNoise(const MachineTimes& before, const MachineTimes& after,
                   std::optional<double> own_cpu_seconds) {
  const double busy = after.busy - before.busy;
  const double all = busy + (after.idle - before.idle) + (after.steal - before.steal);
  const auto share = [&](double seconds) { return all > 0 ? std::max(0.0, seconds) / all : 0; };
  json result;
  result["busy_cpu_share"] = share(busy);
  result["own_cpu_share"] = own_cpu_seconds ? json(share(*own_cpu_seconds)) : json();
  result["other_cpu_share"] = own_cpu_seconds ? json(share(busy - *own_cpu_seconds)) : json();
  result["steal_share"] = share(after.steal - before.steal);
  return result;
}

}  // namespace rayx::bench
