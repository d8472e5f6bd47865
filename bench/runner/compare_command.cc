#include "bench/runner/compare_command.h"

#include <cstdio>
#include <map>
#include <tuple>
#include <vector>

#include "bench/runner/result_writer.h"
#include "bench/runner/statistics.h"

namespace rayx::bench {
namespace {

using nlohmann::json;
using Key = std::tuple<std::string, std::string, int>;  // workload, arm, nodes

struct Result {
  std::map<Key, std::vector<double>> totals;
  std::map<std::string, int64_t> steps;
};

absl::StatusOr<Result> Load(const std::string& folder) {
  auto summary = ReadJsonFile(folder + "/summary.json");
  if (!summary.ok()) return summary.status();
  Result result;
  try {
    if (summary->at("schema") != kResultSchemaVersion) {
      return absl::FailedPreconditionError(folder + " has another schema version");
    }
    for (const json& workload : summary->at("workloads")) {
      const std::string name = workload.at("workload");
      result.steps[name] = workload.at("steps");
      for (const json& row : workload.at("rows")) {
        if (!row.contains("total")) continue;
        const Key key = {name, row.at("arm"), row.at("nodes")};
        result.totals[key] = row.at("total").at("samples").get<std::vector<double>>();
      }
    }
  } catch (const json::exception& error) {
    return absl::DataLossError(folder + "/summary.json: " + error.what());
  }
  return result;
}

// Returns false when B is worse.
bool CompareRow(const Key& key, const std::vector<double>& a, const std::vector<double>* b,
                double tolerance) {
  const auto& [workload, arm, nodes] = key;
  printf("%-14s %-20s %d VMs  ", workload.c_str(), arm.c_str(), nodes);
  if (b == nullptr || b->empty()) {
    printf("MISSING in B\n");
    return false;
  }
  const RatioEstimate ratio = UnpairedRatio(*b, a);
  const bool slower = ratio.interval.low > 1 && ratio.median > 1 + tolerance;
  const bool faster = ratio.interval.high < 1;
  printf("%.2f s -> %.2f s  x%.3f (%.3f to %.3f)  %s\n", Median(a), Median(*b), ratio.median,
         ratio.interval.low, ratio.interval.high,
         slower ? "SLOWER" : faster ? "faster" : "no regression");
  return !slower;
}

}  // namespace

int Compare(const std::string& folder_a, const std::string& folder_b, double tolerance) {
  auto a = Load(folder_a), b = Load(folder_b);
  for (const auto* result : {&a, &b}) {
    if (!result->ok()) {
      fprintf(stderr, "rayx-bench compare: %s\n", std::string(result->status().message()).c_str());
      return 1;
    }
  }
  for (const auto& [workload, steps] : a->steps) {
    if (b->steps.count(workload) != 0 && b->steps[workload] != steps) {
      fprintf(stderr, "rayx-bench compare: %s ran %ld steps in A and %ld in B: not comparable\n",
              workload.c_str(), static_cast<long>(steps), static_cast<long>(b->steps[workload]));
      return 1;
    }
  }
  bool good = true;
  for (const auto& [key, samples] : a->totals) {
    const auto found = b->totals.find(key);
    good = CompareRow(key, samples, found == b->totals.end() ? nullptr : &found->second, tolerance) &&
           good;
  }
  printf("%s\n", good ? "no regression" : "REGRESSION");
  return good ? 0 : 1;
}

}  // namespace rayx::bench
