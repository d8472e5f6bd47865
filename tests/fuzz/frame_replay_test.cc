// Goal: no input makes the frame decoder or a channel's ends read outside their memory, loop or
// abort; without clang. Method: all seeds, then 200,000 random mutations of them, under address and
// undefined behaviour sanitizers, on memory of the heap. The mutations are the same in each run.
#include <catch2/catch.hpp>

#include "base/prng.h"
#include "tests/fuzz/hostile_image.h"

namespace rayx::fuzz {
namespace {

constexpr uint64_t kMutations = 200'000;

// Flips, overwrites, cuts, repeats: what a fuzzer does, less the guidance.
void Mutate(std::vector<std::byte>& input, base::RandomStream& random) {
  static constexpr uint8_t kEdges[] = {0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff};
  for (uint64_t i = 1 + random.NextBelow(6); i > 0; --i) {
    if (input.empty()) input.push_back(std::byte{1});
    std::byte& at = input[random.NextBelow(input.size())];
    switch (random.NextBelow(6)) {
      case 0:
        at ^= static_cast<std::byte>(1 << random.NextBelow(8));
        break;
      case 1:
        at = static_cast<std::byte>(random.Next());
        break;
      case 2:
        at = static_cast<std::byte>(kEdges[random.NextBelow(sizeof kEdges)]);
        break;
      case 3:
        input.resize(random.NextBelow(input.size() + 1));
        break;
      default:
        // One more patch of a channel, or noise behind a frame.
        for (int byte = 0; byte < 8; ++byte) input.push_back(static_cast<std::byte>(random.Next()));
    }
  }
}

}  // namespace

TEST_CASE("Fuzz replay: sound seeds are accepted, broken ones refused by name") {
  const auto seeds = Seeds();
  size_t refused = 0;
  for (size_t i = 0; i < seeds.size(); ++i) {
    INFO(i);
    const Outcome outcome = OneInput(seeds[i]);
    if (i < kSoundSeeds) CHECK(outcome == Outcome::kAccepted);
    refused += outcome == Outcome::kRefused;
  }
  CHECK(refused > 0);
  CHECK(OneInput({}) == Outcome::kRefused);
}

TEST_CASE("Fuzz replay: 200,000 random mutations are accepted whole or refused by name") {
  const auto seeds = Seeds();
  base::RandomStream random(2026, 1, 1);
  uint64_t accepted = 0;
  for (uint64_t i = 0; i < kMutations; ++i) {
    auto input = seeds[random.NextBelow(seeds.size())];
    Mutate(input, random);
    accepted += OneInput(input) == Outcome::kAccepted;
  }
  CHECK(accepted > 0);
  CHECK(accepted < kMutations);
}

}  // namespace rayx::fuzz
