// bench/runner/compare_command.h
//
// `rayx-bench compare A B`: what changed from result A to result B, arm by arm.
// Promises: exit code 1 when an arm of B is slower than in A by more than the tolerance and the
//           whole 95 % interval of the ratio says so, or when one of A's numbers is missing in B.
#pragma once

#include <string>

namespace rayx::bench {

int Compare(const std::string& folder_a, const std::string& folder_b, double tolerance);

}  // namespace rayx::bench
