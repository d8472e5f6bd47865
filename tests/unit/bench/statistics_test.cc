// Goal: the numbers of a verdict are right. Method: known samples, and bounds that hold for any.
#include "bench/runner/statistics.h"

#include <catch2/catch.hpp>
#include <cmath>

namespace rayx::bench {
namespace {

TEST_CASE("Median: odd, even and no samples") {
  CHECK(Median({3, 1, 2}) == 2);
  CHECK(Median({4, 1, 3, 2}) == 2.5);
  CHECK(std::isnan(Median({})));
}

TEST_CASE("PairedRatio: a constant ratio has an interval of no width") {
  const RatioEstimate ratio = PairedRatio({2, 4, 6}, {1, 2, 3});
  CHECK(ratio.median == 2);
  CHECK(ratio.interval.low == 2);
  CHECK(ratio.interval.high == 2);
  CHECK(ratio.pairs == 3);
  CHECK(Judge(ratio) == Verdict::kFaster);
}

TEST_CASE("PairedRatio: a drift that hits both arms alike cancels out") {
  const RatioEstimate ratio = PairedRatio({11, 22, 44, 88, 176}, {10, 20, 40, 80, 160});
  CHECK(ratio.median == Approx(1.1));
  CHECK(Judge(ratio) == Verdict::kFaster);
}

TEST_CASE("PairedRatio: the interval covers the median and lies within the samples") {
  const RatioEstimate ratio = PairedRatio({1.0, 1.3, 0.9, 1.1, 1.2}, {1, 1, 1, 1, 1});
  CHECK(ratio.median == Approx(1.1));
  CHECK(ratio.interval.low <= ratio.median);
  CHECK(ratio.interval.high >= ratio.median);
  CHECK(ratio.interval.low >= 0.9);
  CHECK(ratio.interval.high <= 1.3);
  CHECK(Judge(ratio) == Verdict::kNoDifference);
}

TEST_CASE("PairedRatio: the same samples give the same interval again") {
  const std::vector<double> a = {1.0, 1.3, 0.9}, b = {1.1, 1.0, 1.0};
  CHECK(PairedRatio(a, b).interval.low == PairedRatio(a, b).interval.low);
}

TEST_CASE("PairedRatio: samples without partners give no estimate") {
  CHECK(PairedRatio({1, 2}, {1}).pairs == 0);
  CHECK(std::isnan(PairedRatio({}, {}).median));
  CHECK(Judge(PairedRatio({}, {})) == Verdict::kTooFew);
}

TEST_CASE("Judge: losses are losses, and two pairs say nothing") {
  CHECK(Judge(PairedRatio({8, 9, 8}, {10, 10, 10})) == Verdict::kSlower);
  CHECK(Judge(PairedRatio({8, 9}, {10, 10})) == Verdict::kTooFew);
}

TEST_CASE("UnpairedRatio: ratio of medians with an interval around it") {
  const RatioEstimate ratio = UnpairedRatio({2.0, 2.2, 1.9, 2.1, 2.0}, {1.0, 1.1, 0.9, 1.0, 1.0});
  CHECK(ratio.median == Approx(2.0));
  CHECK(ratio.interval.low > 1.5);
  CHECK(ratio.interval.high < 2.5);
}

}  // namespace
}  // namespace rayx::bench
