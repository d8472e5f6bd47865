// bench/runner/environment.h
//
// What a reader must know about the machine to believe a number: CPU, kernel, versions, and how
// much of the machine others took while the suite ran.
// Owner:    the run of a suite.                 Threads: one.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace rayx::bench {

// CPU seconds of the whole machine since its start, all CPUs together.
struct MachineTimes {
  double busy = 0, idle = 0, steal = 0;
};
MachineTimes ReadMachineTimes();

// Facts that do not change during a run.
nlohmann::json DescribeMachine(const std::string& checkout, const std::string& venv);

// Shares of the machine's CPU between two points: busy, stolen by the hypervisor, and, where the
// suite's own use was metered, what it and what all others used (null otherwise).
nlohmann::json DescribeNoise(const MachineTimes& before, const MachineTimes& after,
                             std::optional<double> own_cpu_seconds);

// The first line that a program prints, or "" when it cannot be run.
std::string FirstLineOf(const std::string& shell_command);

}  // namespace rayx::bench
