// runtime/base/prng.h
//
// Counter-based random numbers: each is a pure function of (seed, entity, stream, counter), so that
// row 1,000,000 of a data set or the jitter of retry 7 is the same whoever asks and in what order.
// Threads:  any; there is no state but the counter in a RandomStream.
// Promises: the same four words give the same number in every build; the values are part of the
//           contract (a test pins them), because data sets are generated with them.
// Limits:   not for secrets. Quality: the finaliser of SplitMix64 (Steele, Lea, Flood 2014) once
//           a word, which makes neighbouring counters independent for tests and sampling.
#pragma once

#include <cstdint>

namespace rayx::base {

// SplitMix64's output function: a bijection of 64-bit words.
constexpr std::uint64_t MixBits(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

constexpr std::uint64_t RandomWord(std::uint64_t seed, std::uint64_t entity, std::uint64_t stream,
                                   std::uint64_t counter) {
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15u;
  std::uint64_t x = MixBits(seed + kGolden);
  x = MixBits((x ^ entity) + kGolden);
  x = MixBits((x ^ stream) + kGolden);
  return MixBits((x ^ counter) + kGolden);
}

// A word as a number in [0, bound); 0 when bound is 0. By multiplication: the bias is at most
// bound / 2^64.
constexpr std::uint64_t ToBelow(std::uint64_t word, std::uint64_t bound) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(word) * bound) >> 64);
}

// The numbers of one (seed, entity, stream) in order. A value: copying it forks the sequence.
class RandomStream {
 public:
  using result_type = std::uint64_t;  // a standard URBG

  constexpr RandomStream(std::uint64_t seed, std::uint64_t entity, std::uint64_t stream)
      : seed_(seed), entity_(entity), stream_(stream) {}

  constexpr std::uint64_t Next() { return RandomWord(seed_, entity_, stream_, counter_++); }
  constexpr std::uint64_t NextBelow(std::uint64_t bound) { return ToBelow(Next(), bound); }

  constexpr std::uint64_t operator()() { return Next(); }
  static constexpr std::uint64_t min() { return 0; }
  static constexpr std::uint64_t max() { return UINT64_MAX; }

 private:
  std::uint64_t seed_;
  std::uint64_t entity_;
  std::uint64_t stream_;
  std::uint64_t counter_ = 0;
};

}  // namespace rayx::base
