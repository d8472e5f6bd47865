#include "bench/runner/compare_command.h"

#include <cstdint>
#include <cstdio>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "bench/runner/result_writer.h"
#include "bench/runner/statistics.h"

namespace rayx::bench {
namespace {

using nlohmann::json;
using Key = std::tuple<std::string, std::string, int>;  // workload, arm, nodes
using Name = std::pair<std::string, std::string>;       // scenario, mistake or workload; arm

constexpr int kRepetitionsMin = 3;

// What must have been the same, or the times say nothing.
const char* const kConditions[] = {"cpu", "cpus", "simulated_vms", "vm_cpus", "vm_cpu_period_us"};

struct Result {
  std::map<Key, std::vector<double>> totals;
  std::map<std::string, int64_t> steps;
  std::map<Name, json> scenarios;        // what became of an arm in each
  std::map<Name, std::string> mistakes;  // how each ended
  std::map<Name, int> lines;             // of code, of a workload's arm
  json environment;
};

void LoadScenarios(const json& summary, Result& result) {
  for (const json& scenario : summary.value("scenarios", json::array())) {
    for (const json& arm : scenario.at("arms")) {
      if (arm.contains("ending")) result.scenarios[{scenario.at("name"), arm.at("arm")}] = arm;
    }
  }
  const json ease = summary.value("ease", json::object());
  for (const json& mistake : ease.value("mistakes", json::array())) {
    result.mistakes[{mistake.at("mistake"), mistake.at("arm")}] = mistake.at("ending");
  }
  for (const json& lines : ease.value("lines", json::array())) {
    result.lines[{lines.at("workload"), lines.at("arm")}] = lines.at("lines");
  }
}

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
    LoadScenarios(*summary, result);
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

RowVerdict CompareSamples(const std::vector<double>& samples_a,
                          const std::vector<double>* samples_b, double tolerance) {
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

RowVerdict CompareRow(const Key& key, const std::vector<double>& samples_a,
                      const std::vector<double>* samples_b, double tolerance) {
  const auto& [workload, arm, nodes] = key;
  printf("%-14s %-20s %d VMs  ", workload.c_str(), arm.c_str(), nodes);
  return CompareSamples(samples_a, samples_b, tolerance);
}

// Smaller is better.
int HowBad(const json& arm) {
  if (!arm.value("other_result", "").empty()) return 3;
  const std::string ending = arm.at("ending");
  return ending == "finished" ? 0 : ending == "failed" ? 1 : 2;
}

const char* const kEndings[] = {"finishes", "fails with an error", "hangs", "another result"};

// The times of a scenario of which there are several: of the disturbed, or of cold starts.
std::vector<double> ScenarioSamples(const json& arm) {
  for (const json& part : {arm.value("disturbed", json()),
                           arm.value("cold_start", json::object()).value("total", json())}) {
    if (part.is_object()) return part.at("samples").get<std::vector<double>>();
  }
  return {};
}

RowVerdict CompareScenario(const Name& name, const json& a, const json* b, double tolerance) {
  printf("%-14s %-20s scenario  ", name.first.c_str(), name.second.c_str());
  if (b == nullptr) {
    printf("MISSING in B\n");
    return RowVerdict::kBad;
  }
  const int bad_a = HowBad(a), bad_b = HowBad(*b);
  if (bad_a == 0 && bad_b == 0) {
    const std::vector<double> samples_a = ScenarioSamples(a), samples_b = ScenarioSamples(*b);
    if (!samples_a.empty()) return CompareSamples(samples_a, &samples_b, tolerance);
  }
  printf("%s -> %s  %s\n", kEndings[bad_a], kEndings[bad_b],
         bad_b > bad_a   ? "WORSE"
         : bad_b < bad_a ? "better"
                         : "no regression");
  return bad_b > bad_a ? RowVerdict::kBad : RowVerdict::kGood;
}

RowVerdict CompareMistake(const Name& name, const std::string& a, const std::string* b) {
  const bool lost = a == "named" && (b == nullptr || *b != "named");
  printf("%-14s %-20s mistake   %s -> %s  %s\n", name.first.c_str(), name.second.c_str(), a.c_str(),
         b == nullptr ? "MISSING" : b->c_str(), lost ? "WORSE" : "no regression");
  return lost ? RowVerdict::kBad : RowVerdict::kGood;
}

template <typename Map>
const typename Map::mapped_type* Find(const Map& map, const typename Map::key_type& key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : &found->second;
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
  const auto count = [&](RowVerdict verdict) {
    judged += verdict == RowVerdict::kNotJudged ? 0 : 1;
    bad += verdict == RowVerdict::kBad ? 1 : 0;
  };
  try {
    for (const auto& [key, samples] : a->totals) {
      count(CompareRow(key, samples, Find(b->totals, key), tolerance));
    }
    for (const auto& [name, arm] : a->scenarios) {
      count(CompareScenario(name, arm, Find(b->scenarios, name), tolerance));
    }
    for (const auto& [name, ending] : a->mistakes) {
      count(CompareMistake(name, ending, Find(b->mistakes, name)));
    }
  } catch (const json::exception& error) {
    return Refuse(absl::DataLossError(std::string("a scenario's numbers: ") + error.what()));
  }
  for (const auto& [name, lines] : a->lines) {
    const int* later = Find(b->lines, name);
    if (later == nullptr || *later == lines) continue;
    printf("%-14s %-20s lines of code  %d -> %d\n", name.first.c_str(), name.second.c_str(), lines,
           *later);
  }
  if (judged == 0) return Refuse(absl::NotFoundError("there is nothing that could be judged"));
  printf("%s\n", bad == 0 ? "no regression" : "REGRESSION");
  return bad == 0 ? 0 : 1;
}

}  // namespace rayx::bench
