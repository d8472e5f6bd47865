// Goal: PageRank is right, and every bit of it the same on any number of workers. Method: a graph
// that can be solved by hand, then a random one whose workers give each other what they must.
#include "bench/workloads/pagerank/link_graph.h"

#include <catch2/catch.hpp>
#include <random>

namespace rayx::bench {
namespace {

struct Ranking {
  std::vector<double> ranks, changes;
};

// All workers in one process.
Ranking Rank(const Edges& edges, int workers, int steps, double damping = 0.85) {
  std::vector<LinkGraph> graphs;
  std::vector<Gift> gifts;
  for (int w = 0; w < workers; ++w) graphs.emplace_back(edges, w, workers, damping);
  for (LinkGraph& graph : graphs) gifts.push_back(graph.Start());
  Ranking ranking;
  for (int step = 0; step < steps; ++step) {
    std::vector<double> shares, dangling, change;
    for (const Gift& gift : gifts) {
      shares.insert(shares.end(), gift.shares.begin(), gift.shares.end());
      dangling.insert(dangling.end(), gift.dangling.begin(), gift.dangling.end());
    }
    for (int w = 0; w < workers; ++w) {
      gifts[static_cast<size_t>(w)] = graphs[static_cast<size_t>(w)].Step(shares, dangling);
    }
    for (const Gift& gift : gifts) {
      change.insert(change.end(), gift.change.begin(), gift.change.end());
    }
    ranking.changes.push_back(SumInOrder(change));
  }
  for (const LinkGraph& graph : graphs) {
    ranking.ranks.insert(ranking.ranks.end(), graph.ranks().begin(), graph.ranks().end());
  }
  return ranking;
}

Edges RandomEdges(int64_t nodes, size_t count) {
  std::mt19937 random(7);
  Edges edges;
  edges.nodes = nodes;
  for (size_t e = 0; e < count; ++e) {
    edges.sources.push_back(static_cast<int32_t>(random() % static_cast<unsigned>(nodes)));
    // Low numbers are more wanted.
    const unsigned range = random() % static_cast<unsigned>(nodes) + 1;
    edges.targets.push_back(static_cast<int32_t>(random() % range));
  }
  return edges;
}

TEST_CASE("LinkGraph: a circle has equal ranks, a star does not") {
  const Edges circle = {.nodes = 3, .sources = {0, 1, 2}, .targets = {1, 2, 0}};
  for (double rank : Rank(circle, 1, 20).ranks) CHECK(rank == Approx(1.0 / 3));

  // 1 and 2 lead to 0, 0 leads nowhere: r0 = b + 2 d r1, r1 = b, b = (1 - d) / 3 + d r0 / 3.
  const Edges star = {.nodes = 3, .sources = {1, 2}, .targets = {0, 0}};
  const double d = 0.85, b = 1 / (3 + 2 * d);
  const Ranking ranking = Rank(star, 1, 200);
  CHECK(ranking.ranks[0] == Approx(b + 2 * d * b));
  CHECK(ranking.ranks[1] == Approx(b));
  CHECK(ranking.ranks[2] == Approx(b));
  CHECK(ranking.changes.back() < 1e-15);
}

TEST_CASE("LinkGraph: every bit is the same on 1, 2, 3 and 7 workers, and ranks add up to 1") {
  const Edges edges = RandomEdges(10'000, 40'000);
  const Ranking one = Rank(edges, 1, 30);
  CHECK(SumInOrder(one.ranks) == Approx(1));
  for (int workers : {2, 3, 7}) {
    const Ranking several = Rank(edges, workers, 30);
    CHECK(several.ranks == one.ranks);
    CHECK(several.changes == one.changes);
  }
}

TEST_CASE("LinkGraph: another order of the same edges gives the same ranks but for rounding") {
  Edges edges = RandomEdges(3000, 20'000);
  const Ranking before = Rank(edges, 2, 30);
  std::reverse(edges.sources.begin(), edges.sources.end());
  std::reverse(edges.targets.begin(), edges.targets.end());
  const Ranking after = Rank(edges, 2, 30);
  double apart = 0;
  for (size_t i = 0; i < before.ranks.size(); ++i) {
    apart += std::abs(before.ranks[i] - after.ranks[i]);
  }
  CHECK(apart < 1e-12);
}

TEST_CASE("ShareNodes: whole blocks, all nodes once, about as many edges each") {
  const Edges edges = RandomEdges(50'000, 200'000);
  for (int workers : {1, 2, 3, 7}) {
    int64_t at = 0;
    std::vector<int64_t> counts;
    for (const Range& range : ShareNodes(edges, workers)) {
      CHECK(range.begin == at);
      CHECK((range.end % kNodeBlock == 0 || range.end == edges.nodes));
      at = range.end;
      int64_t count = 0;
      for (int32_t target : edges.targets) count += target >= range.begin && target < range.end;
      counts.push_back(count);
    }
    CHECK(at == edges.nodes);
    for (int64_t count : counts) CHECK(std::abs(count * workers - 200'000) < 200'000 / 4 * workers);
  }
  // More workers than blocks: some have nothing to do, and it still works.
  const Edges small = RandomEdges(1500, 4000);
  CHECK(Rank(small, 5, 10).ranks == Rank(small, 1, 10).ranks);
}

TEST_CASE("CheckEdges: an edge of no node is refused by its number") {
  CHECK_THROWS_WITH(CheckEdges({.nodes = 2, .sources = {0, 2}, .targets = {1, 1}}),
                    "an edge of node 2 in a graph of 2");
  CHECK_THROWS_WITH(CheckEdges({.nodes = 2, .sources = {0}, .targets = {-1}}),
                    "an edge of node -1 in a graph of 2");
  CHECK_THROWS(CheckEdges({.nodes = 0, .sources = {}, .targets = {}}));
  CHECK_THROWS(CheckEdges({.nodes = 2, .sources = {0}, .targets = {}}));
}

TEST_CASE("LinkGraph: shares of another graph are refused") {
  LinkGraph graph(RandomEdges(100, 300), 0, 1, 0.85);
  graph.Start();
  CHECK_THROWS(graph.Step({1, 2, 3}, {0}));
}

TEST_CASE("HighestNodes: by rank, then by number") {
  CHECK(HighestNodes({0.1, 0.4, 0.4, 0.3}, 3) == "1,2,3");
  CHECK(HighestNodes({0.1}, 10) == "0");
}

}  // namespace
}  // namespace rayx::bench
