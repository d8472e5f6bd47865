// bench/workloads/pagerank/link_graph.h
//
// The arithmetic of PageRank on a graph whose nodes are shared out over workers: each has a range
// of nodes, the edges that lead to them, and what the others' nodes give. Pure.
// Source:   Page, Brin, Motwani, Winograd, The PageRank Citation Ranking (1999); a node without
//           edges gives its rank to all nodes alike.
// Promises: the sum over a node's edges goes in the order of the edge list, sums over nodes go over
//           blocks of kNodeBlock in order: every bit is the same however nodes are shared out.
// Pairs:    bench/native/pagerank.py computes the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/workloads/arm/share.h"

namespace rayx::bench {

inline constexpr int64_t kNodeBlock = 1024;

struct Edges {
  int64_t nodes = 0;
  std::vector<int32_t> sources, targets;
};

// Throws std::runtime_error where an edge leads to or from no node.
void CheckEdges(const Edges& edges);

// For each worker its nodes: whole blocks, so that all workers have about as many edges to them.
std::vector<Range> ShareNodes(const Edges& edges, int workers);

// What a worker's nodes give to the others after an iteration.
struct Gift {
  std::vector<double> shares;    // by own node: its rank divided by its edges; 0 where it has none
  std::vector<double> dangling;  // by own block: the ranks of nodes without edges, added up
  std::vector<double> change;    // by own block: how much the ranks have changed, added up
};

class LinkGraph {
 public:
  // The part of `worker`; `damping` is the share of a rank that goes along edges.
  LinkGraph(const Edges& edges, int worker, int workers, double damping);

  // All ranks are 1 / nodes. What that gives.
  Gift Start();
  // One iteration, from what all nodes gave: `shares` by node, `dangling` by block.
  Gift Step(const std::vector<double>& shares, const std::vector<double>& dangling);

  const std::vector<double>& ranks() const { return ranks_; }  // of own nodes
  const std::vector<Range>& ranges() const { return ranges_; }
  int64_t nodes() const { return nodes_; }

 private:
  Gift Give(std::vector<double> new_ranks);

  const int64_t nodes_;
  const double damping_;
  const std::vector<Range> ranges_;
  const Range own_;
  std::vector<int32_t> out_degrees_;  // by own node
  std::vector<int64_t> first_edge_;   // by own node, then the end
  std::vector<int32_t> sources_;      // of the edges to own nodes
  std::vector<double> ranks_;
};

// The numbers added up in order.
double SumInOrder(const std::vector<double>& numbers);

// The nodes of the `count` highest ranks, by rank, then by number: "3,1,4".
std::string HighestNodes(const std::vector<double>& ranks, size_t count);

}  // namespace rayx::bench
