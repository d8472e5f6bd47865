#include "bench/workloads/pagerank/ranking.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "bench/workloads/table/parquet_rows.h"

namespace rayx::bench {
namespace {

ParquetRows EdgeTable(const std::string& folder) {
  return ParquetRows({folder + "/edges.parquet"});
}

}  // namespace

void AddPagerankFlags(CLI::App& app, RankPlan& plan) {
  app.add_option("--damping", plan.damping, "Share of a rank that goes along edges")
      ->check(CLI::Range(0.0, 1.0));
}

Edges ReadEdges(const std::string& folder) {
  const ParquetRows table = EdgeTable(folder);
  Edges edges;
  edges.nodes = ParquetRows({folder + "/nodes.parquet"}).rows();
  edges.sources = table.Integers("source", 0, table.rows());
  edges.targets = table.Integers("target", 0, table.rows());
  CheckEdges(edges);
  return edges;
}

ArmOutcome OutcomeOf(const std::string& folder, const std::vector<double>& ranks,
                     const std::vector<std::vector<double>>& changes) {
  ArmOutcome outcome;
  outcome.steps = static_cast<int64_t>(changes.size());
  outcome.hashes["dataset"] = Sha256OfIntegers(EdgeTable(folder), {"source", "target"});
  outcome.texts["top10"] = HighestNodes(ranks, kHighestNodes);
  for (const auto& blocks : changes) outcome.series["change"].push_back(SumInOrder(blocks));
  outcome.values["change"] = outcome.series["change"].empty() ? 0 : outcome.series["change"].back();
  outcome.values["highest"] = ranks.empty() ? 0 : *std::max_element(ranks.begin(), ranks.end());
  outcome.series["ranks"] = ranks;
  return outcome;
}

}  // namespace rayx::bench
