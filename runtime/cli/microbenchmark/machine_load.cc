#include "cli/microbenchmark/machine_load.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

namespace rayx::cli {
namespace {

// Of the machine's CPU time; less is the noise of any machine.
constexpr double kOthersMax = 0.05;
constexpr double kStolenMax = 0.01;

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

std::optional<CpuSeconds> ParseCpuSeconds(std::string_view proc_stat, int64_t ticks_per_second) {
  // cpu user nice system idle iowait irq softirq steal guest guest_nice; user has the guests too.
  std::istringstream line(std::string(proc_stat.substr(0, proc_stat.find('\n'))));
  std::string name;
  std::vector<double> ticks;
  line >> name;
  for (double value = 0; line >> value;) ticks.push_back(value);
  if (name != "cpu" || ticks.size() < 8 || ticks_per_second <= 0) return std::nullopt;
  const auto per_second = static_cast<double>(ticks_per_second);
  CpuSeconds seconds;
  seconds.busy = (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) / per_second;
  seconds.stolen = ticks[7] / per_second;
  seconds.total = seconds.busy + seconds.stolen + (ticks[3] + ticks[4]) / per_second;
  return seconds;
}

std::optional<CpuSeconds> ReadCpuSeconds() {
  std::ifstream file("/proc/stat");
  std::string line;
  std::getline(file, line);
  return ParseCpuSeconds(line, ::sysconf(_SC_CLK_TCK));
}

double OwnCpuSeconds() {
  double seconds = 0;
  for (const auto who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    if (::getrusage(who, &usage) != 0) continue;
    seconds += Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
  }
  return seconds;
}

void MachineLoad::Begin(std::optional<CpuSeconds> machine, double own_seconds) {
  begun_ = machine;
  own_seconds_begun_ = own_seconds;
}

void MachineLoad::End(std::optional<CpuSeconds> machine, double own_seconds) {
  const std::optional<CpuSeconds> begun = std::exchange(begun_, std::nullopt);
  if (!begun || !machine) return;
  machine_.total += machine->total - begun->total;
  machine_.busy += machine->busy - begun->busy;
  machine_.stolen += machine->stolen - begun->stolen;
  own_seconds_ += own_seconds - own_seconds_begun_;
}

std::string MachineLoad::Remark() const {
  if (machine_.total <= 0) return "";
  const double others = std::max(0.0, machine_.busy - own_seconds_) / machine_.total;
  const double stolen = std::max(0.0, machine_.stolen) / machine_.total;
  if (others <= kOthersMax && stolen <= kStolenMax) return "";
  char text[256];
  std::snprintf(text, sizeof text,
                "remark: the machine was busy: others used %.0f %% of its CPU time and its host "
                "took %.0f %%; the rows are slower than they would be alone",
                others * 100, stolen * 100);
  return text;
}

}  // namespace rayx::cli
