// Goal: k-means is exact and the same however its blocks are shared out. Method: small numbers by
// hand, then a random table in blocks, each sum compared with the definition.
#include "bench/workloads/kmeans/lloyd.h"

#include <catch2/catch.hpp>
#include <limits>
#include <random>

#include "bench/workloads/arm/share.h"
#include "bench/workloads/arm/uniform_number.h"

namespace rayx::bench {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Block RandomBlock(size_t rows, size_t columns, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  Block block;
  block.columns.resize(columns);
  for (auto& column : block.columns) {
    for (size_t i = 0; i < rows; ++i) column.push_back(normal(random));
  }
  return block;
}

double SquaredDistance(const Block& block, size_t row, const double* centre) {
  double sum = 0;
  for (size_t c = 0; c < block.columns.size(); ++c) {
    sum += (block.columns[c][row] - centre[c]) * (block.columns[c][row] - centre[c]);
  }
  return sum;
}

TEST_CASE("UniformNumber: the published sequence of SplitMix64, any number alone") {
  const uint64_t published[] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u};
  for (uint64_t i = 0; i < 3; ++i) {
    CHECK(UniformNumber(1234567, i) == static_cast<double>(published[i] >> 11) * 0x1p-53);
  }
  for (uint64_t i = 0; i < 1000; ++i) {
    CHECK(UniformNumber(1, i) >= 0);
    CHECK(UniformNumber(1, i) < 1);
  }
}

TEST_CASE("PlaceOf: where the running sum exceeds the target") {
  const std::vector<double> weights = {0, 2, 0, 3, 0};
  CHECK(PlaceOf(weights, 0) == 1);  // a row without weight is never drawn
  CHECK(PlaceOf(weights, 1.9) == 1);
  CHECK(PlaceOf(weights, 2) == 3);
  CHECK(PlaceOf(weights, 4.9) == 3);
  CHECK(PlaceOf(weights, 5) == 3);  // rounding: the last with a weight
  CHECK(SumBefore(weights, 3) == 2);
}

TEST_CASE("LowerNearest: keeps the smaller distance and adds in order") {
  const Block block = {{{0, 3}, {0, 4}}};
  std::vector<double> nearest(2, kInfinity);
  CHECK(LowerNearest(block, {0, 0}, nearest) == 25);
  CHECK(nearest == std::vector<double>{0, 25});
  CHECK(LowerNearest(block, {3, 3}, nearest) == 1);
  CHECK(nearest == std::vector<double>{0, 1});
}

TEST_CASE("Assign: the nearest centre of each row, the first of equals, and the sums of each") {
  const Block block = {{{0, 10, 1, 5}}};
  std::vector<int32_t> labels;
  std::vector<double> sums(SumsSize(2, 1), 0.0);
  Assign(block, {0, 10}, labels, sums.data());
  CHECK(labels == std::vector<int32_t>{0, 1, 0, 0});
  CHECK(sums == std::vector<double>{3, 0 + 1 + 25, 6, 1, 0, 10});
}

TEST_CASE("Assign: agrees with the definition on every row") {
  for (size_t columns : {1, 2, 8}) {
    const Block block = RandomBlock(1000, columns, 5);  // more than one tile, the last not full
    Points centres;
    for (size_t c = 0; c < 7 * columns; ++c) centres.push_back(UniformNumber(2, c) - 0.5);
    std::vector<int32_t> labels;
    std::vector<double> sums(SumsSize(7, columns), 0.0);
    Assign(block, centres, labels, sums.data());
    for (size_t row = 0; row < block.rows(); ++row) {
      size_t nearest = 0;
      for (size_t k = 1; k < 7; ++k) {
        if (SquaredDistance(block, row, &centres[k * columns]) <
            SquaredDistance(block, row, &centres[nearest * columns])) {
          nearest = k;
        }
      }
      REQUIRE(labels[row] == static_cast<int32_t>(nearest));
    }
  }
}

TEST_CASE("MoveCentres: the mean of its rows; a centre without rows stays") {
  Points centres = {1, 2, 3};
  // Two blocks, three clusters, one column: count, inertia, sum.
  const std::vector<double> sums = {1, 0.5, 4, 0, 0, 0, 2, 1, 10, 1, 0.25, 2, 0, 0, 0, 2, 0, 6};
  CHECK(MoveCentres(sums, 1, centres) == 1.75);
  CHECK(centres == Points{3, 2, 4});
}

TEST_CASE("MoveCentres: the inertia never grows") {
  const Block block = RandomBlock(5000, 3, 9);
  Points centres;
  for (size_t k = 0; k < 5; ++k) {
    for (const auto& column : block.columns) centres.push_back(column[k]);
  }
  double before = kInfinity;
  for (int i = 0; i < 20; ++i) {
    std::vector<int32_t> labels;
    std::vector<double> sums(SumsSize(5, 3), 0.0);
    Assign(block, centres, labels, sums.data());
    const double inertia = MoveCentres(sums, 3, centres);
    CHECK(inertia <= before * (1 + 1e-12));
    before = inertia;
  }
}

TEST_CASE("Share: contiguous, complete, at most one item apart") {
  for (int64_t total : {0, 1, 5, 21, 64}) {
    for (int64_t world : {1, 2, 3, 7}) {
      int64_t at = 0, least = total, most = 0;
      for (int64_t rank = 0; rank < world; ++rank) {
        const Range range = Share(total, rank, world);
        CHECK(range.begin == at);
        at = range.end;
        least = std::min(least, range.size());
        most = std::max(most, range.size());
      }
      CHECK(at == total);
      CHECK(most - least <= 1);
    }
  }
  CHECK(BlockCount(171075, 8192) == 21);
  CHECK(BlockRange(20, 171075, 8192).size() == 171075 - 20 * 8192);
}

}  // namespace
}  // namespace rayx::bench
