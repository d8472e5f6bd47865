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
const char* const kTrust[] = {"native-py", "serial", "native-cpp", "native-py-naive"};

// Non-finite numbers are null in JSON.
json ToJson(const MedianEstimate& estimate) {
  return {{"median", estimate.median},
          {"low", estimate.interval.low},
          {"high", estimate.interval.high},
          {"coverage", estimate.coverage}};
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

// What was measured of an arm on a number of VMs, from the repetitions that count.
void AddMeasured(const WorkloadRecords& records, const std::vector<const RepRecord*>& reps,
                 json& row) {
  const WorkloadSpec& workload = records.workload;
  const auto estimate = [&](const Measure& measure) { return Estimate(Samples(reps, measure)); };
  const auto phase = [](const std::string& name) {
    return [name](const RepRecord& r) { return r.repetition.phase_seconds.at(name); };
  };
  const Repetition& first = reps.front()->repetition;
  row["unrestricted"] = reps.front()->unrestricted;
  row["total"] = estimate([](const RepRecord& r) { return r.repetition.Total(); });
  for (const std::string& name : workload.phases) row["phases"][name] = estimate(phase(name));
  row["step_ms"] = estimate([&](const RepRecord& r) {
    return phase(workload.main_phase)(r) / static_cast<double>(records.steps) * 1000;
  });
  row["outside_phases"] = estimate([](const RepRecord& r) { return r.repetition.outside_seconds; });
  if (first.usage.cpu_seconds) {
    row["cpu_seconds"] =
        estimate([](const RepRecord& r) { return r.repetition.usage.cpu_seconds.value_or(0); });
  }
  if (first.others_cpu_seconds) {
    row["others_cpu_seconds"] =
        estimate([](const RepRecord& r) { return r.repetition.others_cpu_seconds.value_or(0); });
  }
  if (first.usage.peak_memory_bytes) {
    row["peak_memory_bytes"] = estimate([](const RepRecord& r) {
      return static_cast<double>(r.repetition.usage.peak_memory_bytes.value_or(0));
    });
  }
  row["quality"] = json::object();
  for (const QualitySpec& quality : workload.qualities) {
    const auto value = first.outcome.values.find(quality.value);
    if (value != first.outcome.values.end()) row["quality"][quality.value] = value->second;
  }
  row["series"] = first.series_paths;
}

json Row(const WorkloadRecords& records, const std::string& arm, int nodes) {
  const auto reps = Counted(records, arm, nodes);
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
  if (!reps.empty()) AddMeasured(records, reps, row);
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

// All that is compared between two arms on a number of VMs.
void AddRatios(const WorkloadRecords& records, const std::string& ours, const std::string& rival,
               int nodes, json& ratios) {
  ratios.push_back(Ratio(records, ours, rival, nodes, "total",
                         [](const RepRecord& r) { return r.repetition.Total(); }));
  for (const std::string& phase : records.workload.compared_phases) {
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

json Ratios(const WorkloadRecords& records) {
  json ratios = json::array();
  const auto arms = ArmsByNodes(records);
  const std::pair<const char*, const char*> compared[] = {
      {"rayx", "native-py"}, {"rayx", "native-cpp"},           {"rayx", "native-py-naive"},
      {"rayx", "serial"},    {"native-py", "native-py-naive"}, {"native-py", "serial"}};
  for (const auto& [nodes, arm] : arms) {
    for (const auto& [ours, rival] : compared) {
      if (arm == ours && arms.count({nodes, rival}) != 0) {
        AddRatios(records, ours, rival, nodes, ratios);
      }
    }
  }
  return ratios;
}

// Smaller for those that are trusted more.
size_t Distrust(const WorkloadSpec& workload, const std::string& arm) {
  if (workload.same_on_any_nodes && arm == "serial") return 0;
  return 1 + static_cast<size_t>(std::find(std::begin(kTrust), std::end(kTrust), arm) - kTrust);
}

// The repetition that those on so many VMs are compared with.
const RepRecord* Reference(const WorkloadRecords& records, int nodes) {
  const WorkloadSpec& workload = records.workload;
  const auto order = [&](const RepRecord& rep) {
    return std::pair(rep.nodes, Distrust(workload, rep.arm));
  };
  const RepRecord* best = nullptr;
  for (const RepRecord& rep : records.reps) {
    if (rep.unrestricted || !rep.counted()) continue;
    if (rep.nodes != nodes && !workload.same_on_any_nodes) continue;
    if (best == nullptr || order(rep) < order(*best)) best = &rep;
  }
  return best;
}

Expectation Expect(const WorkloadRecords& records, const RepRecord& rep) {
  return {.steps = records.steps, .nodes = rep.nodes, .same_threads = !rep.unrestricted};
}

// Which arms agree with the reference, one entry a number of VMs and a kind of agreement.
json Comparisons(const WorkloadRecords& records) {
  std::map<std::tuple<int, int, std::string, bool>, std::set<std::string>> agreeing;
  for (const RepRecord& rep : records.reps) {
    if (!rep.counted() || rep.compared_with.empty()) continue;
    if (rep.compared_with == rep.arm) continue;  // says nothing of whether it is right
    const bool exact = Expect(records, rep).bit_for_bit();
    agreeing[{rep.nodes, rep.compared_with_nodes, rep.compared_with, exact}].insert(rep.arm);
  }
  json result = json::array();
  for (const auto& [key, arms] : agreeing) {
    const auto& [nodes, reference_nodes, reference, exact] = key;
    const Expectation expectation = {.steps = records.steps, .nodes = exact ? 1 : kExactNodes + 1};
    json agreement = json::array();
    for (const GateSpec& gate : GatesInForce(records.workload, expectation)) {
      agreement.push_back({{"what", gate.words}, {"how", ClosenessWords(gate)}});
    }
    result.push_back({{"nodes", nodes},
                      {"reference", reference},
                      {"reference_nodes", reference_nodes},
                      {"arms", arms},
                      {"agreement", agreement}});
  }
  return result;
}

bool IsCompared(const json& comparisons, int nodes, const std::string& arm) {
  return std::any_of(comparisons.begin(), comparisons.end(), [&](const json& entry) {
    const json& arms = entry["arms"];
    const bool is_reference = entry["reference"] == arm;
    if (is_reference && entry["reference_nodes"] == nodes) return true;
    return entry["nodes"] == nodes &&
           (is_reference || std::find(arms.begin(), arms.end(), arm) != arms.end());
  });
}

// What the workload is, for readers of the summary.
json Describe(const WorkloadRecords& records) {
  const WorkloadSpec& workload = records.workload;
  json qualities = json::array();
  for (const QualitySpec& quality : workload.qualities) {
    qualities.push_back(
        {{"value", quality.value}, {"label", quality.label}, {"digits", quality.digits}});
  }
  json result = {{"workload", workload.name},
                 {"title", workload.title},
                 {"steps", records.steps},
                 {"step_word", workload.step_word},
                 {"phases", workload.phases},
                 {"main_phase", workload.main_phase},
                 {"qualities", qualities},
                 {"exchanged_bytes", workload.exchanged_bytes},
                 {"exchanged_what", workload.exchanged_what},
                 {"remark", workload.remark}};
  const CurveSpec& curve = workload.curve;
  result["curve"] = curve.series.empty() ? json()
                                         : json{{"series", curve.series},
                                                {"title", curve.title},
                                                {"label", curve.label},
                                                {"logarithmic", curve.logarithmic}};
  return result;
}

}  // namespace

json Estimate(const std::vector<double>& samples) {
  json result = ToJson(EstimateMedian(samples));
  result["samples"] = samples;
  return result;
}

void ApplyGates(WorkloadRecords& records) {
  const WorkloadSpec& workload = records.workload;
  for (RepRecord& rep : records.reps) {
    if (rep.warm_up()) continue;
    rep.compared_with.clear();
    rep.gates = CheckAlone(workload, rep.repetition.outcome, Expect(records, rep));
  }
  // By place: a reference must be found before the gates against it take others out.
  std::map<int, const RepRecord*> references;
  for (const RepRecord& rep : records.reps) {
    if (references.count(rep.nodes) == 0) references[rep.nodes] = Reference(records, rep.nodes);
  }
  for (RepRecord& rep : records.reps) {
    const RepRecord* reference = references[rep.nodes];
    if (reference == nullptr || rep.warm_up()) continue;
    rep.compared_with = reference->arm;
    rep.compared_with_nodes = reference->nodes;
    const auto more = CheckAgainst(workload, rep.repetition.outcome, reference->repetition.outcome,
                                   Expect(records, rep));
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
               {"hashes", rep.outcome.hashes},
               {"values", rep.outcome.values},
               {"texts", rep.outcome.texts},
               {"series", rep.series_paths},
               {"gates", gates},
               {"compared_with", record.compared_with},
               {"compared_with_nodes", record.compared_with_nodes}};
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
  json result = Describe(records);
  result["rows"] = json::array();
  result["comparisons"] = Comparisons(records);
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
