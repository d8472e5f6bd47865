#include "bench/workloads/kmeans/lloyd.h"

#include <algorithm>
#include <array>
#include <limits>

namespace rayx::bench {
namespace {

// Compiled for wider vectors too, and chosen when the program is loaded. AVX2 brings no fused
// multiplication, so that every bit is the same. Sanitizers and the choice do not go together.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define RAYX_BENCH_WIDE __attribute__((target_clones("avx2", "default")))
#else
#define RAYX_BENCH_WIDE
#endif

// Rows whose distances are in the first cache together.
constexpr size_t kTileRows = 256;

using Tile = std::array<double, kTileRows>;

// Squared distances of `count` rows from `begin` on to one centre, column after column.
[[gnu::always_inline]] inline void SquaredDistances(const Block& block, size_t begin, size_t count,
                                                    const double* centre, Tile& distances) {
  for (size_t column = 0; column < block.columns.size(); ++column) {
    const double* values = block.columns[column].data() + begin;
    const double at = centre[column];
    if (column == 0) {
      for (size_t i = 0; i < count; ++i) distances[i] = (values[i] - at) * (values[i] - at);
    } else {
      for (size_t i = 0; i < count; ++i) distances[i] += (values[i] - at) * (values[i] - at);
    }
  }
}

}  // namespace

RAYX_BENCH_WIDE
double LowerNearest(const Block& block, const Points& centre, std::vector<double>& nearest) {
  Tile distances;
  double sum = 0;
  for (size_t begin = 0; begin < block.rows(); begin += kTileRows) {
    const size_t count = std::min(kTileRows, block.rows() - begin);
    SquaredDistances(block, begin, count, centre.data(), distances);
    for (size_t i = 0; i < count; ++i) {
      nearest[begin + i] = std::min(nearest[begin + i], distances[i]);
      sum += nearest[begin + i];
    }
  }
  return sum;
}

size_t PlaceOf(const std::vector<double>& weights, double target) {
  double sum = 0;
  size_t last = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    sum += weights[i];
    if (sum > target) return i;
    if (weights[i] > 0) last = i;
  }
  return last;
}

double SumBefore(const std::vector<double>& weights, size_t place) {
  double sum = 0;
  for (size_t i = 0; i < place; ++i) sum += weights[i];
  return sum;
}

size_t SumsSize(size_t clusters, size_t columns) {
  return clusters * (2 + columns);
}

RAYX_BENCH_WIDE
void Assign(const Block& block, const Points& centres, std::vector<int32_t>& labels, double* sums) {
  const size_t columns = block.columns.size(), clusters = centres.size() / columns;
  labels.resize(block.rows());
  Tile distances, nearest, label;  // the label as a number: one kind of lane in the inner loop
  for (size_t begin = 0; begin < block.rows(); begin += kTileRows) {
    const size_t count = std::min(kTileRows, block.rows() - begin);
    nearest.fill(std::numeric_limits<double>::infinity());
    label.fill(0);
    for (size_t cluster = 0; cluster < clusters; ++cluster) {
      SquaredDistances(block, begin, count, centres.data() + cluster * columns, distances);
      const auto number = static_cast<double>(cluster);
      for (size_t i = 0; i < count; ++i) {
        const bool nearer = distances[i] < nearest[i];
        nearest[i] = nearer ? distances[i] : nearest[i];
        label[i] = nearer ? number : label[i];
      }
    }
    for (size_t i = 0; i < count; ++i) {
      const auto cluster = static_cast<size_t>(label[i]);
      labels[begin + i] = static_cast<int32_t>(cluster);
      double* own = sums + cluster * (2 + columns);
      own[0] += 1;
      own[1] += nearest[i];
      for (size_t c = 0; c < columns; ++c) own[2 + c] += block.columns[c][begin + i];
    }
  }
}

double MoveCentres(const std::vector<double>& sums_of_blocks, size_t columns, Points& centres) {
  const size_t clusters = centres.size() / columns, size = SumsSize(clusters, columns);
  std::vector<double> sums(size, 0.0);
  for (size_t begin = 0; begin + size <= sums_of_blocks.size(); begin += size) {
    for (size_t i = 0; i < size; ++i) sums[i] += sums_of_blocks[begin + i];
  }
  double inertia = 0;
  for (size_t cluster = 0; cluster < clusters; ++cluster) {
    const double* own = sums.data() + cluster * (2 + columns);
    inertia += own[1];
    if (own[0] == 0) continue;
    for (size_t c = 0; c < columns; ++c) centres[cluster * columns + c] = own[2 + c] / own[0];
  }
  return inertia;
}

}  // namespace rayx::bench
