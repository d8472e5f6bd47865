#include "bench/runner/compare_command.h"

#include <cstdint>
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

constexpr int kRepetitionsMin = 3;

// What must have been the same, or the times say nothing.
const char* const kConditions[] = {"cpu", "cpus", "simulated_vms", "vm_cpus", "vm_cpu_period_us"};

struct Result {
  std::map<Key, std::vector<double>> totals;
  std::map<std::string, int64_t> steps;
  json environment;
};

absl::StatusOr<Result> Load(const std::string& folder) {
  auto summary = ReadJsonFile(folder + "/summary.json");
  if (!summary.ok()) return summary.status();
  auto environment = ReadJsonFile(folder + "/env.json");
  if (!environment.ok()) return environment.status();
  if (!environment->is_object()) return absl::DataLossError(folder + "/env.json is no object");
  Result result;
  result.environment = *std::move(environment);
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

absl::Status MeasuredAlike(const Result& a, const Result& b) {
  for (const auto& [workload, steps] : a.steps) {
    const auto other = b.steps.find(workload);
    if (other != b.steps.end() && other->second != steps) {
      return absl::FailedPreconditionError(workload + " ran " + std::to_string(steps) +
                                           " steps in A and " + std::to_string(other->second) +
                                           " in B: not comparable");
    }
  }
  for (const char* name : kConditions) {
    const json in_a = a.environment.value(name, json()), in_b = b.environment.value(name, json());
    if (in_a == in_b) continue;
    return absl::FailedPreconditionError(std::string(name) + " is " + in_a.dump() + " in A and " +
                                         in_b.dump() + " in B: not comparable");
  }
  return absl::OkStatus();
}

enum class RowVerdict { kGood, kBad, kNotJudged };

RowVerdict CompareRow(const Key& key, const std::vector<double>& samples_a,
                      const std::vector<double>* samples_b, double tolerance) {
  const auto& [workload, arm, nodes] = key;
  printf("%-14s %-20s %d VMs  ", workload.c_str(), arm.c_str(), nodes);
  if (samples_b == nullptr || samples_b->empty()) {
    printf("MISSING in B\n");
    return RowVerdict::kBad;
  }
  const MedianEstimate a = EstimateMedian(samples_a), b = EstimateMedian(*samples_b);
  const bool too_few = a.samples < kRepetitionsMin || b.samples < kRepetitionsMin;
  const bool slower = b.interval.low > a.interval.high && b.median > a.median * (1 + tolerance);
  const bool faster = b.interval.high < a.interval.low;
  printf("%.2f s (%.2f to %.2f) -> %.2f s (%.2f to %.2f)  x%.3f  %s\n", a.median, a.interval.low,
         a.interval.high, b.median, b.interval.low, b.interval.high, b.median / a.median,
         too_few  ? "too few repetitions, not judged"
         : slower ? "SLOWER"
         : faster ? "faster"
                  : "no regression");
  if (too_few) return RowVerdict::kNotJudged;
  return slower ? RowVerdict::kBad : RowVerdict::kGood;
}

int Refuse(const absl::Status& status) {
  fprintf(stderr, "rayx-bench compare: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace

int Compare(const std::string& folder_a, const std::string& folder_b, double tolerance) {
  const auto a = Load(folder_a), b = Load(folder_b);
  for (const auto* result : {&a, &b}) {
    if (!result->ok()) return Refuse(result->status());
  }
  if (auto s = MeasuredAlike(*a, *b); !s.ok()) return Refuse(s);
  int judged = 0, bad = 0;
  for (const auto& [key, samples] : a->totals) {
    const auto found = b->totals.find(key);
    const RowVerdict verdict =
        CompareRow(key, samples, found == b->totals.end() ? nullptr : &found->second, tolerance);
    judged += verdict == RowVerdict::kNotJudged ? 0 : 1;
    bad += verdict == RowVerdict::kBad ? 1 : 0;
  }
  if (judged == 0) return Refuse(absl::NotFoundError("there is nothing that could be judged"));
  printf("%s\n", bad == 0 ? "no regression" : "REGRESSION");
  return bad == 0 ? 0 : 1;
}

}  // namespace rayx::bench
