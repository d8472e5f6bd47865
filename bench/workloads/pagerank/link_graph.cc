#include "bench/workloads/pagerank/link_graph.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace rayx::bench {
namespace {

std::vector<int32_t> Degrees(const std::vector<int32_t>& ends, int64_t nodes) {
  std::vector<int32_t> degrees(static_cast<size_t>(nodes), 0);
  for (int32_t node : ends) ++degrees[static_cast<size_t>(node)];
  return degrees;
}

}  // namespace

void CheckEdges(const Edges& edges) {
  if (edges.nodes < 1) throw std::runtime_error("a graph without nodes");
  if (edges.sources.size() != edges.targets.size()) {
    throw std::runtime_error("a graph with more sources than targets, or fewer");
  }
  for (const auto* ends : {&edges.sources, &edges.targets}) {
    for (int32_t node : *ends) {
      if (node < 0 || node >= edges.nodes) {
        throw std::runtime_error("an edge of node " + std::to_string(node) + " in a graph of " +
                                 std::to_string(edges.nodes));
      }
    }
  }
}

std::vector<Range> ShareNodes(const Edges& edges, int workers) {
  const std::vector<int32_t> in_degrees = Degrees(edges.targets, edges.nodes);
  const auto total = static_cast<int64_t>(edges.targets.size());
  std::vector<Range> ranges;
  int64_t at = 0, edges_before = 0;
  for (int64_t worker = 1; worker <= workers; ++worker) {
    Range range = {at, at};
    while (range.end < edges.nodes &&
           (worker == workers || edges_before * workers < total * worker)) {
      const int64_t end = std::min(edges.nodes, range.end + kNodeBlock);
      for (; range.end < end; ++range.end)
        edges_before += in_degrees[static_cast<size_t>(range.end)];
    }
    ranges.push_back(range);
    at = range.end;
  }
  return ranges;
}

LinkGraph::LinkGraph(const Edges& edges, int worker, int workers, double damping)
    : nodes_(edges.nodes),
      damping_(damping),
      ranges_(ShareNodes(edges, workers)),
      own_(ranges_.at(static_cast<size_t>(worker))) {
  const std::vector<int32_t> out = Degrees(edges.sources, nodes_);
  out_degrees_.assign(out.begin() + own_.begin, out.begin() + own_.end);
  const auto mine = [this](int32_t node) { return node >= own_.begin && node < own_.end; };
  first_edge_.assign(static_cast<size_t>(own_.size()) + 1, 0);
  for (int32_t target : edges.targets) {
    if (mine(target)) ++first_edge_[static_cast<size_t>(target - own_.begin) + 1];
  }
  std::partial_sum(first_edge_.begin(), first_edge_.end(), first_edge_.begin());
  sources_.resize(static_cast<size_t>(first_edge_.back()));
  std::vector<int64_t> next(first_edge_.begin(), first_edge_.end() - 1);
  for (size_t e = 0; e < edges.targets.size(); ++e) {  // keeps the order of the list
    if (!mine(edges.targets[e])) continue;
    auto& place = next[static_cast<size_t>(edges.targets[e] - own_.begin)];
    sources_[static_cast<size_t>(place++)] = edges.sources[e];
  }
}

Gift LinkGraph::Give(std::vector<double> new_ranks) {
  Gift gift;
  gift.shares.resize(new_ranks.size());
  for (size_t begin = 0; begin < new_ranks.size(); begin += kNodeBlock) {
    const size_t end = std::min(new_ranks.size(), begin + kNodeBlock);
    double dangling = 0, change = 0;
    for (size_t i = begin; i < end; ++i) {
      change += std::abs(new_ranks[i] - ranks_[i]);
      if (out_degrees_[i] == 0) {
        dangling += new_ranks[i];
      } else {
        gift.shares[i] = new_ranks[i] / static_cast<double>(out_degrees_[i]);
      }
    }
    gift.dangling.push_back(dangling);
    gift.change.push_back(change);
  }
  ranks_ = std::move(new_ranks);
  return gift;
}

Gift LinkGraph::Start() {
  const std::vector<double> equal(static_cast<size_t>(own_.size()),
                                  1.0 / static_cast<double>(nodes_));
  ranks_ = equal;
  return Give(equal);
}

Gift LinkGraph::Step(const std::vector<double>& shares, const std::vector<double>& dangling) {
  if (static_cast<int64_t>(shares.size()) != nodes_) {
    throw std::invalid_argument("shares of " + std::to_string(shares.size()) +
                                " nodes instead of " + std::to_string(nodes_));
  }
  const auto nodes = static_cast<double>(nodes_);
  const double base = (1 - damping_) / nodes + damping_ * (SumInOrder(dangling) / nodes);
  std::vector<double> new_ranks(ranks_.size());
  for (size_t i = 0; i < new_ranks.size(); ++i) {
    double sum = 0;
    for (auto e = static_cast<size_t>(first_edge_[i]); e < static_cast<size_t>(first_edge_[i + 1]);
         ++e) {
      sum += shares[static_cast<size_t>(sources_[e])];
    }
    new_ranks[i] = base + damping_ * sum;
  }
  return Give(std::move(new_ranks));
}

double SumInOrder(const std::vector<double>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), 0.0);
}

std::string HighestNodes(const std::vector<double>& ranks, size_t count) {
  std::vector<size_t> order(ranks.size());
  std::iota(order.begin(), order.end(), size_t{0});
  count = std::min(count, order.size());
  std::partial_sort(
      order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
      [&](size_t a, size_t b) { return ranks[a] != ranks[b] ? ranks[a] > ranks[b] : a < b; });
  std::string text;
  for (size_t i = 0; i < count; ++i) text += (i > 0 ? "," : "") + std::to_string(order[i]);
  return text;
}

}  // namespace rayx::bench
