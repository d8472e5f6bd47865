// bench/workloads/arm/uniform_number.h
//
// Random numbers by place, so that any of them can be computed alone, in any process: SplitMix64
// (Steele, Lea, Flood 2014). Pure.
// Pairs:    uniform_number of bench/native/kmeans.py, uniform_numbers of classification.py.
#pragma once

#include <cstdint>

namespace rayx::bench {

// Number `counter` of the sequence of `seed`: uniform in [0, 1).
inline double UniformNumber(uint64_t seed, uint64_t counter) {
  uint64_t z = seed + (counter + 1) * 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-53;
}

}  // namespace rayx::bench
