// bench/workloads/kmeans/lloyd.h
//
// The arithmetic of k-means: k-means++ seeds and exact Lloyd iterations over blocks of rows. Pure.
// Source:   Lloyd, Least squares quantization in PCM (1982); Arthur and Vassilvitskii, k-means++
//           (2007).
// Promises: all sums go over the rows of a block in order and are merged in the order of blocks, so
//           that every bit of the result is the same however blocks are shared out.
// Pairs:    bench/native/kmeans.py computes the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rayx::bench {

// Rows of a block, column by column.
struct Block {
  std::vector<std::vector<double>> columns;

  size_t rows() const { return columns.front().size(); }
};

// A point, or several one after the other: [k][columns].
using Points = std::vector<double>;

// nearest[i] = min(nearest[i], squared distance of row i to `centre`). Returns their sum.
double LowerNearest(const Block& block, const Points& centre, std::vector<double>& nearest);

// The first place at which the running sum of `weights`, none negative, exceeds `target`; the last
// place with a weight where rounding leaves none.
size_t PlaceOf(const std::vector<double>& weights, double target);
// The sum of the weights before `place`, in order.
double SumBefore(const std::vector<double>& weights, size_t place);

// One block's part of an iteration: for each cluster the number of its rows, their squared
// distances to the centre added up, and the sum of each column: [clusters][2 + columns].
size_t SumsSize(size_t clusters, size_t columns);
// Finds the nearest centre of each row, the first of equally near ones, and adds to `sums`.
void Assign(const Block& block, const Points& centres, std::vector<int32_t>& labels, double* sums);

// Merges the sums of all blocks, moves each centre to the mean of its rows (one without rows stays)
// and returns the inertia, that is the squared distances to the centres as they were.
double MoveCentres(const std::vector<double>& sums_of_blocks, size_t columns, Points& centres);

}  // namespace rayx::bench
