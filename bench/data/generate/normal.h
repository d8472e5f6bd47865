// bench/data/generate/normal.h
//
// Numbers with a distribution, out of random words (base/prng.h): the same bits on every machine.
// Threads:  any, functions without state.
// Promises: only + - * / and sqrt, which IEEE 754 fixes to the bit, and no contraction into fused
//           operations (the library is compiled without); the C library's log, whose last bit
//           depends on the CPU, is not used.
#pragma once

#include <cstdint>

namespace rayx::bench {

// A number in the open interval (0, 1), in steps of 2^-52.
double UnitFromWord(std::uint64_t word);

// The x below which a standard normal number lies with probability p, 0 < p < 1.
// Relative error below 1e-14. Wichura, "Algorithm AS 241", Applied Statistics 37 (1988), PPND16.
double NormalQuantile(double p);

inline double NormalFromWord(std::uint64_t word) {
  return NormalQuantile(UnitFromWord(word));
}

// The probability that a standard normal number lies below x. By the C library: for what is said
// about data, not for data.
double NormalBelow(double x);

}  // namespace rayx::bench
