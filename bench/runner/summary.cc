#include "bench/runner/summary.h"

#include <algorithm>
#include <functional>
#include <set>
#include <tuple>

#include "bench/runner/statistics.h"

namespace rayx::bench {
namespace {

using nlohmann::json;

// The most trusted first; arms that are not named follow in the order in which they ran.
const char* const kTrust[] = {"native-py", "serial", "native-py-naive"};
const char* const kPhases[] = {"load", "preprocess", "train", "evaluate"};

// Non-finite numbers are null in JSON.
json ToJson(const MedianEstimate& estimate) {
  return {{"median", estimate.median},
          {"low", estimate.interval.low},
          {"high", estimate.interval.high},
          {"coverage", estimate.coverage}};
}

json Estimate(const std::vector<double>& samples) {
  json result = ToJson(EstimateMedian(samples));
  result["samples"] = samples;
  return result;
}

using Measure = std::function<double(const RepRecord&)>;

std::vector<double> Samples(const std::vector<const RepRecord*>& reps, const Measure& measure) {
  std::vector<double> samples;
  for (const RepRecord* rep : reps) samples.push_back(measure(*rep));
  return samples;
}

std::vector<const RepRecord*> Counted(const WorkloadRecords& records, const std::string& arm,
                                      int nodes) {
  std::vector<const RepRecord*> result;
  for (const RepRecord& rep : records.reps) {
    if (rep.arm == arm && rep.nodes == nodes && rep.counted()) result.push_back(&rep);
  }
  return result;
}

json Row(const WorkloadRecords& records, const std::string& arm, int nodes) {
  const auto reps = Counted(records, arm, nodes);
  const auto steps = static_cast<double>(records.steps);
  json row = {{"arm", arm}, {"nodes", nodes}, {"repetitions", reps.size()}};
  std::set<std::string> why;
  int failed = 0;
  for (const RepRecord& rep : records.reps) {
    if (rep.arm != arm || rep.nodes != nodes || AllPassed(rep.gates)) continue;
    why.insert(WhyFailed(rep.gates));
    ++failed;
  }
  row["repetitions_removed"] = failed;
  row["removed_because"] = why;
  std::vector<double> starts, daemons;
  for (const StartRecord& start : records.starts) {
    if (start.arm != arm || start.nodes != nodes) continue;
    starts.push_back(start.seconds);
    daemons.push_back(start.daemons_seconds);
  }
  if (!starts.empty()) row["start"] = Estimate(starts);
  if (std::any_of(daemons.begin(), daemons.end(), [](double s) { return s > 0; })) {
    row["daemons_start"] = Estimate(daemons);
  }
  if (reps.empty()) return row;
  row["unrestricted"] = reps.front()->unrestricted;
  row["total"] = Estimate(Samples(reps, [](const RepRecord& r) { return r.repetition.Total(); }));
  for (const char* phase : kPhases) {
    row["phases"][phase] = Estimate(
        Samples(reps, [&](const RepRecord& r) { return r.repetition.phase_seconds.at(phase); }));
  }
  row["step_ms"] = Estimate(Samples(reps, [&](const RepRecord& r) {
    return r.repetition.phase_seconds.at("train") / steps * 1000;
  }));
  row["outside_phases"] =
      Estimate(Samples(reps, [](const RepRecord& r) { return r.repetition.outside_seconds; }));
  if (reps.front()->repetition.usage.cpu_seconds) {
    row["cpu_seconds"] = Estimate(Samples(
        reps, [](const RepRecord& r) { return r.repetition.usage.cpu_seconds.value_or(0); }));
  }
  if (reps.front()->repetition.others_cpu_seconds) {
    row["others_cpu_seconds"] = Estimate(Samples(
        reps, [](const RepRecord& r) { return r.repetition.others_cpu_seconds.value_or(0); }));
  }
  if (reps.front()->repetition.usage.peak_memory_bytes) {
    row["peak_memory_bytes"] = Estimate(Samples(reps, [](const RepRecord& r) {
      return static_cast<double>(r.repetition.usage.peak_memory_bytes.value_or(0));
    }));
  }
  row["accuracy"] = reps.front()->repetition.outcome.accuracy;
  row["loss_path"] = reps.front()->repetition.loss_path;
  return row;
}

// Ratios of the rival's time to ours over the pairs in which both count.
json Ratio(const WorkloadRecords& records, const std::string& ours, const std::string& rival,
           int nodes, const std::string& metric, const Measure& measure) {
  std::map<int, double> our_time, rival_time;
  for (const RepRecord* rep : Counted(records, ours, nodes)) our_time[rep->pair] = measure(*rep);
  for (const RepRecord* rep : Counted(records, rival, nodes)) rival_time[rep->pair] = measure(*rep);
  std::vector<double> numerator, denominator;
  for (const auto& [pair, time] : our_time) {
    if (rival_time.count(pair) == 0) continue;
    numerator.push_back(rival_time[pair]);
    denominator.push_back(time);
  }
  const MedianEstimate ratio = PairedRatio(numerator, denominator);
  json result = ToJson(ratio);
  result.update({{"ours", ours},
                 {"rival", rival},
                 {"nodes", nodes},
                 {"metric", metric},
                 {"pairs", ratio.samples},
                 {"verdict", VerdictName(Judge(ratio))},
                 {"words", metric == "cpu_seconds" ? VerdictWords(ratio, "less", "more")
                                                   : VerdictWords(ratio)}});
  return result;
}

std::set<std::pair<int, std::string>> ArmsByNodes(const WorkloadRecords& records) {
  std::set<std::pair<int, std::string>> result;
  for (const RepRecord& rep : records.reps) result.insert({rep.nodes, rep.arm});
  return result;
}

json Ratios(const WorkloadRecords& records) {
  json ratios = json::array();
  const auto arms = ArmsByNodes(records);
  const std::pair<const char*, const char*> compared[] = {{"rayx", "native-py"},
                                                          {"rayx", "native-py-naive"},
                                                          {"rayx", "serial"},
                                                          {"native-py", "native-py-naive"},
                                                          {"native-py", "serial"}};
  for (const auto& [nodes, arm] : arms) {
    for (const auto& [ours, rival] : compared) {
      if (arm != ours || arms.count({nodes, rival}) == 0) continue;
      ratios.push_back(Ratio(records, ours, rival, nodes, "total",
                             [](const RepRecord& r) { return r.repetition.Total(); }));
      for (const char* phase : {"preprocess", "train"}) {
        ratios.push_back(Ratio(records, ours, rival, nodes, phase, [&](const RepRecord& r) {
          return r.repetition.phase_seconds.at(phase);
        }));
      }
      if (records.reps.front().repetition.usage.cpu_seconds) {
        ratios.push_back(Ratio(records, ours, rival, nodes, "cpu_seconds", [](const RepRecord& r) {
          return r.repetition.usage.cpu_seconds.value_or(0);
        }));
      }
    }
  }
  return ratios;
}

size_t Distrust(const std::string& arm) {
  return static_cast<size_t>(std::find(std::begin(kTrust), std::end(kTrust), arm) - kTrust);
}

const RepRecord* Reference(const WorkloadRecords& records, int nodes) {
  const RepRecord* best = nullptr;
  for (const RepRecord& rep : records.reps) {
    if (rep.nodes != nodes || rep.unrestricted || !rep.counted()) continue;
    if (best == nullptr || Distrust(rep.arm) < Distrust(best->arm)) best = &rep;
  }
  return best;
}

Expectation Expect(const WorkloadRecords& records, const RepRecord& rep,
                   const std::string& dataset_sha256) {
  Expectation expectation;
  expectation.dataset_sha256 = dataset_sha256;
  expectation.steps = records.steps;
  expectation.nodes = rep.nodes;
  expectation.exact = !rep.unrestricted;
  return expectation;
}

// Which arms agree with the reference arm, one entry a number of VMs and a kind of agreement.
json Comparisons(const WorkloadRecords& records) {
  std::map<std::tuple<int, std::string, bool>, std::set<std::string>> agreeing;
  for (const RepRecord& rep : records.reps) {
    if (!rep.counted() || rep.compared_with.empty() || rep.compared_with == rep.arm) continue;
    const bool exact = Expect(records, rep, "").bit_for_bit();
    agreeing[{rep.nodes, rep.compared_with, exact}].insert(rep.arm);
  }
  json result = json::array();
  for (const auto& [key, arms] : agreeing) {
    const auto& [nodes, reference, exact] = key;
    json entry = {{"nodes", nodes}, {"reference", reference}, {"arms", arms}, {"exact", exact}};
    if (!exact) {
      entry["loss_tolerance"] = entry["weights_sum_tolerance"] = kToleranceBeyond;
      entry["accuracy_tolerance"] = kAccuracyToleranceBeyond;
    }
    result.push_back(entry);
  }
  return result;
}

bool IsCompared(const json& comparisons, int nodes, const std::string& arm) {
  return std::any_of(comparisons.begin(), comparisons.end(), [&](const json& entry) {
    const json& arms = entry["arms"];
    return entry["nodes"] == nodes &&
           (entry["reference"] == arm || std::find(arms.begin(), arms.end(), arm) != arms.end());
  });
}

}  // namespace

void ApplyGates(WorkloadRecords& records, const std::string& dataset_sha256) {
  for (RepRecord& rep : records.reps) {
    if (rep.warm_up()) continue;
    rep.compared_with.clear();
    rep.gates = CheckAlone(rep.repetition.outcome, Expect(records, rep, dataset_sha256));
  }
  std::map<int, std::pair<std::string, Outcome>> references;
  for (const auto& [nodes, arm] : ArmsByNodes(records)) {
    const RepRecord* found = Reference(records, nodes);
    if (found != nullptr) references[nodes] = {found->arm, found->repetition.outcome};
  }
  for (RepRecord& rep : records.reps) {
    const auto reference = references.find(rep.nodes);
    if (reference == references.end() || rep.warm_up()) continue;
    rep.compared_with = reference->second.first;
    const auto more = CheckAgainst(rep.repetition.outcome, reference->second.second,
                                   Expect(records, rep, dataset_sha256));
    rep.gates.insert(rep.gates.end(), more.begin(), more.end());
  }
}

bool AllGatesPassed(const WorkloadRecords& records) {
  return std::all_of(records.reps.begin(), records.reps.end(),
                     [](const RepRecord& rep) { return AllPassed(rep.gates); });
}

json ToJson(const std::string& workload, const RepRecord& record) {
  const Repetition& rep = record.repetition;
  json gates = json::array();
  for (const GateResult& gate : record.gates) {
    gates.push_back({{"name", gate.name}, {"passed", gate.passed}, {"why", gate.why}});
  }
  json line = {{"kind", "rep"},
               {"workload", workload},
               {"arm", record.arm},
               {"nodes", record.nodes},
               {"pair", record.pair},
               {"warm_up", record.warm_up()},
               {"order", record.order},
               {"phase_seconds", rep.phase_seconds},
               {"total_seconds", rep.Total()},
               {"outside_seconds", rep.outside_seconds},
               {"steps", rep.outcome.steps},
               {"accuracy", rep.outcome.accuracy},
               {"dataset_sha256", rep.outcome.dataset_sha256},
               {"features_sha256", rep.outcome.features_sha256},
               {"weights_sha256", rep.outcome.weights_sha256},
               {"weights_abs_sum", rep.outcome.weights_abs_sum},
               {"loss_path", rep.loss_path},
               {"gates", gates},
               {"compared_with", record.compared_with}};
  line["cpu_seconds"] = rep.usage.cpu_seconds ? json(*rep.usage.cpu_seconds) : json();
  line["others_cpu_seconds"] = rep.others_cpu_seconds ? json(*rep.others_cpu_seconds) : json();
  line["peak_memory_bytes"] =
      rep.usage.peak_memory_bytes ? json(*rep.usage.peak_memory_bytes) : json();
  return line;
}

json ToJson(const std::string& workload, const StartRecord& record) {
  return {{"kind", "start"},           {"workload", workload},
          {"arm", record.arm},         {"nodes", record.nodes},
          {"seconds", record.seconds}, {"daemons_seconds", record.daemons_seconds}};
}

json Summarise(const WorkloadRecords& records) {
  json result = {{"workload", records.workload}, {"title", records.title},
                 {"steps", records.steps},       {"gradient_bytes", records.gradient_bytes},
                 {"rows", json::array()},        {"comparisons", Comparisons(records)}};
  std::set<int> alone;
  for (const auto& [nodes, arm] : ArmsByNodes(records)) {
    json row = Row(records, arm, nodes);
    row["compared"] = IsCompared(result["comparisons"], nodes, arm);
    if (row["compared"] == false && row["repetitions_removed"] == 0) alone.insert(nodes);
    result["rows"].push_back(row);
  }
  result["not_compared_on"] = alone;  // numbers of VMs
  result["ratios"] = Ratios(records);
  result["failures"] = json::array();
  for (const ArmFailure& failure : records.failures) {
    result["failures"].push_back(
        {{"arm", failure.arm}, {"nodes", failure.nodes}, {"why", failure.why}});
  }
  result["all_gates_passed"] = AllGatesPassed(records);
  return result;
}

}  // namespace rayx::bench
