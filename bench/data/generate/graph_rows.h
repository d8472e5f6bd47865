// bench/data/generate/graph_rows.h
//
// Edges of `graph`: each a pure function of (seed, row), with degrees that fall off by a power law.
//
// Source and target are drawn apart, as in Chung and Lu's model: a rank r with
// P(rank < r) = (r / nodes)^(1/2) for sources and (r / nodes)^(1/3) for targets, that is with
// weights r^(-1/2) and r^(-2/3), whose degrees have the exponents 3 and 5/2. A one-to-one map then
// spreads the ranks over the node numbers, so that the heavy nodes lie in no one part of them. No
// edge leads from a node to itself; an edge may occur twice.
//
// Threads:  any; constant after construction.
// Limits:   2 to 2^31 - 1 nodes.
#pragma once

#include <cstdint>

#include "bench/data/generate/generate_spec.h"

namespace rayx::bench {

struct Edge {
  std::int32_t source = 0;
  std::int32_t target = 0;
};

class GraphRows {
 public:
  explicit GraphRows(const GenerateSpec& spec);

  Edge Draw(std::int64_t row) const;

  // The node with this rank, 0 <= rank < nodes: the heaviest has rank 0.
  std::int32_t NodeOfRank(std::uint64_t rank) const;

 private:
  const std::uint64_t seed_;
  const std::uint64_t nodes_;
  std::uint64_t factor_ = 1;  // coprime to nodes_
  std::uint64_t shift_ = 0;
};

}  // namespace rayx::bench
