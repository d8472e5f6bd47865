// Goal: the numbers are those of the contract, and neighbours in each of the four words differ.
// Method: pinned values; bit balance and mean over neighbouring counters, entities and streams.
#include "base/prng.h"

#include <bit>
#include <cmath>
#include <random>
#include <set>

#include <catch2/catch.hpp>

using rayx::base::RandomStream;
using rayx::base::RandomWord;
using rayx::base::ToBelow;

TEST_CASE("Prng: SplitMix64's published outputs for seed 1234567") {
  // The reference generator adds the golden ratio and mixes; these are its first two outputs.
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15u;
  STATIC_REQUIRE(rayx::base::MixBits(1234567 + kGolden) == 6457827717110365317u);
  STATIC_REQUIRE(rayx::base::MixBits(1234567 + 2 * kGolden) == 3203168211198807973u);
}

TEST_CASE("Prng: pinned values, because data sets are made with them") {
  CHECK(RandomWord(0, 0, 0, 0) == 2391539541053276776u);
  CHECK(RandomWord(1, 2, 3, 4) == 15374388949593934587u);
  RandomStream stream(1, 2, 3);
  for (int i = 0; i < 4; ++i) stream.Next();
  CHECK(stream.Next() == RandomWord(1, 2, 3, 4));
}

TEST_CASE("Prng: neighbours in any word differ in about half of the bits") {
  const auto flips = [](auto word_at) {
    int bits = 0;
    for (std::uint64_t i = 0; i < 1000; ++i) bits += std::popcount(word_at(i) ^ word_at(i + 1));
    return bits / 1000.0;
  };
  CHECK(std::abs(flips([](auto i) { return RandomWord(i, 0, 0, 0); }) - 32) < 1);
  CHECK(std::abs(flips([](auto i) { return RandomWord(0, i, 0, 0); }) - 32) < 1);
  CHECK(std::abs(flips([](auto i) { return RandomWord(0, 0, i, 0); }) - 32) < 1);
  CHECK(std::abs(flips([](auto i) { return RandomWord(0, 0, 0, i); }) - 32) < 1);
}

TEST_CASE("Prng: the four words are not interchangeable") {
  const std::set<std::uint64_t> words = {RandomWord(1, 0, 0, 0), RandomWord(0, 1, 0, 0),
                                         RandomWord(0, 0, 1, 0), RandomWord(0, 0, 0, 1)};
  CHECK(words.size() == 4);
}

TEST_CASE("Prng: bounded numbers lie around half of the bound") {
  RandomStream stream(7, 0, 0);
  double sum = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::uint64_t number = stream.NextBelow(1001);
    REQUIRE(number <= 1000);
    sum += static_cast<double>(number);
  }
  CHECK(std::abs(sum / 10000 - 500) < 20);
}

TEST_CASE("Prng: bounded numbers stay below the bound, which may be 0 or 1") {
  CHECK(ToBelow(UINT64_MAX, 10) == 9);
  CHECK(ToBelow(0, 10) == 0);
  CHECK(ToBelow(UINT64_MAX, 1) == 0);
  CHECK(ToBelow(UINT64_MAX, 0) == 0);
}

TEST_CASE("Prng: a stream works with the standard distributions") {
  RandomStream stream(1, 1, 1);
  std::uniform_int_distribution<int> die(1, 6);
  const int eyes = die(stream);
  CHECK((eyes >= 1 && eyes <= 6));
}
