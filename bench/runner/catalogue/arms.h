// bench/runner/catalogue/arms.h
//
// What most workloads have in common, as rows of a catalogue. Of their arms, program P is bench/P
// of the build (rayx), bench/P_native of the build (native-cpp), and P_tuned.py and P_naive.py in
// bench/native.
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

// `of_data`, and those of a model that is trained step by step: its losses, its weights and
// `quality`, a value that `words` describe, in which runs that are not bit for bit the same may
// differ by `quality_bound`.
std::vector<GateSpec> TrainingGates(std::vector<GateSpec> of_data, const std::string& quality,
                                    const std::string& words, double quality_bound);

}  // namespace rayx::bench
