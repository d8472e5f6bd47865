// bench/runner/catalogue/arms.h
//
// The arms that most workloads have, as rows of a catalogue: program P is bench/P of the build
// (rayx), bench/P_native of the build (native-cpp), and P_tuned.py and P_naive.py in bench/native.
#pragma once

#include <string>
#include <vector>

#include "bench/runner/workload_spec.h"

namespace rayx::bench {

ArmSpec RayxArm(const std::string& program, const std::string& description);

ArmSpec NativeCppArm(const std::string& program);

// Tuned, as in a tutorial (`naive` describes it), and one process alone, with the quota of one VM
// and without any.
std::vector<ArmSpec> PythonArms(const std::string& program, const std::string& naive);

std::vector<ArmSpec> Join(std::vector<ArmSpec> first, const std::vector<ArmSpec>& then);

}  // namespace rayx::bench
