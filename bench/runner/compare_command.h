// bench/runner/compare_command.h
//
// `rayx-bench compare A B`: what changed from result A to result B, arm by arm: times, what became
// of each in each scenario, which mistakes are named, lines of code.
// Method:   an arm is slower when its median is so by more than the tolerance and the interval of
//           its median (statistics.h) lies wholly above that of A: with few repetitions, when each
//           of B's took longer than each of A's. A scenario that ends worse (finished, error, hang,
//           another result, in this order) is a regression, and a mistake that is no longer named.
//           Lines of code are shown and not judged.
// Promises: exit code 1 when an arm of B is slower, when one of A's numbers is missing in B, when
//           the two were not measured alike (steps, VMs, quota, CPUs), and when nothing could be
//           judged. Fewer than 3 repetitions on either side are shown and not judged.
#pragma once

#include <string>

namespace rayx::bench {

int Compare(const std::string& folder_a, const std::string& folder_b, double tolerance);

}  // namespace rayx::bench
