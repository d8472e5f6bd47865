// bench/workloads/arm/share.h
//
// Who has what: items shared out contiguously, and rows cut into blocks. Pure; the same rules as in
// bench/native/arm.py.
#pragma once

#include <algorithm>
#include <cstdint>

namespace rayx::bench {

struct Range {
  int64_t begin = 0, end = 0;

  int64_t size() const { return end - begin; }
};

// The part of `total` items that `rank` of `world` has; the first total % world have one more.
inline Range Share(int64_t total, int64_t rank, int64_t world) {
  const int64_t begin = rank * (total / world) + std::min(rank, total % world);
  return {begin, begin + total / world + (rank < total % world ? 1 : 0)};
}

inline int64_t BlockCount(int64_t rows, int64_t block_rows) {
  return (rows + block_rows - 1) / block_rows;
}

// The rows of a block; the last one is shorter.
inline Range BlockRange(int64_t block, int64_t rows, int64_t block_rows) {
  return {block * block_rows, std::min(rows, (block + 1) * block_rows)};
}

}  // namespace rayx::bench
