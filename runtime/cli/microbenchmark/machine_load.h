// runtime/cli/microbenchmark/machine_load.h
//
// Who else used the machine during a run: a benchmark beside others measures the others too.
// Owner:    microbenchmark.cc.      Threads: any (no state).
// Limits:   a cluster that is not this process's own counts as others.
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

// One line; "" when the machine was ours. `own_seconds` of the busy time are of the run itself.
std::string LoadRemark(const CpuSeconds& before, const CpuSeconds& after, double own_seconds);

}  // namespace rayx::cli
