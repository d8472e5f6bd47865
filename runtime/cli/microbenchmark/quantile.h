// runtime/cli/microbenchmark/quantile.h
//
// What a row and a limit are told by: the middle and the spread of several measurements.
// Owner:    limits.cc, row.cc and samplers.      Threads: any (no state).
#pragma once

#include <vector>

namespace rayx::cli {

// Of q from 0 to 1, between the two nearest values. Requires values.
double Quantile(std::vector<double> values, double q);

}  // namespace rayx::cli
