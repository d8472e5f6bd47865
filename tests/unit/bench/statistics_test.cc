// Goal: the numbers of a verdict are right, and an interval is worth what it is said to be.
// Method: known samples, and a count over all orders of tossed coins.
#include "bench/runner/statistics.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

namespace rayx::bench {
namespace {

std::vector<double> Ones(size_t n) {
  return std::vector<double>(n, 1.0);
}

TEST_CASE("Median: odd, even and no samples") {
  CHECK(Median({3, 1, 2}) == 2);
  CHECK(Median({4, 1, 3, 2}) == 2.5);
  CHECK(std::isnan(Median({})));
}

TEST_CASE("EstimateMedian: few samples have their whole range, and its true coverage") {
  const MedianEstimate one = EstimateMedian({7});
  CHECK(one.interval.low == 7);
  CHECK(one.coverage == 0);
  const MedianEstimate three = EstimateMedian({1.2, 1.0, 1.1});
  CHECK(three.median == 1.1);
  CHECK(three.interval.low == 1.0);
  CHECK(three.interval.high == 1.2);
  CHECK(three.coverage == Approx(0.75));
  CHECK(EstimateMedian({1, 2, 3, 4, 5}).coverage == Approx(0.9375));
  CHECK(EstimateMedian({1, 2, 3, 4, 5, 6}).coverage == Approx(0.96875));
}

TEST_CASE("EstimateMedian: many samples have the narrowest interval that holds 95 %") {
  std::vector<double> samples;
  for (int i = 1; i <= 9; ++i) samples.push_back(i);
  const MedianEstimate nine = EstimateMedian(samples);
  CHECK(nine.interval.low == 2);
  CHECK(nine.interval.high == 8);
  CHECK(nine.coverage == Approx(1 - 2 * (1 + 9) / 512.0));
  for (int n = 6; n <= 60; ++n) {
    samples.assign(static_cast<size_t>(n), 1.0);
    CHECK(EstimateMedian(samples).coverage >= kCoverageWanted);
  }
}

TEST_CASE("EstimateMedian: the coverage is what is seen, for a lopsided distribution too") {
  std::mt19937_64 random(1);
  constexpr int kTrials = 20000;
  int held = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> samples;
    // Uniform in (0, 1), squared: the median is 0.25.
    for (int i = 0; i < 5; ++i) {
      samples.push_back(std::pow(static_cast<double>(random() >> 11) * 0x1p-53, 2));
    }
    const Interval interval = EstimateMedian(samples).interval;
    held += interval.low <= 0.25 && 0.25 <= interval.high ? 1 : 0;
  }
  CHECK(static_cast<double>(held) / kTrials == Approx(0.9375).margin(0.006));
}

TEST_CASE("PairedRatio: a drift that hits both arms alike cancels out") {
  const MedianEstimate ratio = PairedRatio({11, 22, 44, 88, 176}, {10, 20, 40, 80, 160});
  CHECK(ratio.median == Approx(1.1));
  CHECK(ratio.samples == 5);
  CHECK(Judge(ratio) == Verdict::kFaster);
  CHECK(VerdictWords(ratio) == "win");
}

TEST_CASE("PairedRatio: samples without partners give no estimate") {
  CHECK(PairedRatio({1, 2}, {1}).samples == 0);
  CHECK(std::isnan(PairedRatio({}, {}).median));
  CHECK(Judge(PairedRatio({}, {})) == Verdict::kTooFew);
}

TEST_CASE("Judge: losses are losses, and two pairs say nothing") {
  CHECK(Judge(PairedRatio({8, 9, 8}, {10, 10, 10})) == Verdict::kSlower);
  CHECK(Judge(PairedRatio({8, 9}, {10, 10})) == Verdict::kTooFew);
  CHECK(Judge(PairedRatio({1.0, 1.3, 0.9, 1.1, 1.2}, Ones(5))) == Verdict::kNoDifference);
}

TEST_CASE("Judge: one pair the other way round is no win, however far apart the others are") {
  CHECK(Judge(PairedRatio({3, 3, 3, 3, 0.99}, Ones(5))) == Verdict::kNoDifference);
}

TEST_CASE("VerdictWords: fewer than five pairs are neither win nor loss") {
  CHECK(VerdictWords(PairedRatio({2, 2, 2}, Ones(3))) == "faster in all 3 pairs");
  CHECK(VerdictWords(PairedRatio({0.5, 0.5, 0.5, 0.5}, Ones(4))) == "slower in all 4 pairs");
  CHECK(VerdictWords(PairedRatio({0.5, 0.5, 0.5, 0.5, 0.5}, Ones(5))) == "loss");
  CHECK(VerdictWords(PairedRatio({2, 0.5, 2}, Ones(3))) == "no difference");
  CHECK(VerdictWords(PairedRatio({2, 2}, Ones(2))) == "too few pairs");
}

}  // namespace
}  // namespace rayx::bench
