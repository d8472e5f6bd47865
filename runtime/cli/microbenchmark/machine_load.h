// runtime/cli/microbenchmark/machine_load.h
//
// Who else used the machine during a run: a benchmark beside others measures the others too.
// Owner:    microbenchmark.cc.      Threads: one.
// Limits:   a cluster whose daemons do not end as this process's children counts as others: it is
//           to run in no span.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rayx::cli {

// Since the machine's start, over all CPUs, in seconds.
struct CpuSeconds {
  double total = 0;
  double busy = 0;    // of this machine's processes and its kernel
  double stolen = 0;  // by the host of this machine
};
// /proc/stat's text; nothing when it is not as proc(5) says.
std::optional<CpuSeconds> ParseCpuSeconds(std::string_view proc_stat, int64_t ticks_per_second);
std::optional<CpuSeconds> ReadCpuSeconds();
// CPU time of this process and of its children that have ended.
double OwnCpuSeconds();

// The spans of a run in which nothing works for it but this process and children that have ended by
// a span's end.
class MachineLoad {
 public:
  void Begin() { Begin(ReadCpuSeconds(), OwnCpuSeconds()); }
  void End() { End(ReadCpuSeconds(), OwnCpuSeconds()); }
  // The same at given times of both clocks. A time that cannot be read leaves the span out; an end
  // without a beginning changes nothing.
  void Begin(std::optional<CpuSeconds> machine, double own_seconds);
  void End(std::optional<CpuSeconds> machine, double own_seconds);

  // One line; "" when the machine was ours, or in no span.
  std::string Remark() const;

 private:
  std::optional<CpuSeconds> begun_;
  double own_seconds_begun_ = 0;
  CpuSeconds machine_;  // of all spans together
  double own_seconds_ = 0;
};

}  // namespace rayx::cli
