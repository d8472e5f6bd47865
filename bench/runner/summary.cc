#include "bench/runner/summary.h"

#include <algorithm>
#include <functional>
#include <set>

#include "bench/runner/statistics.h"

namespace rayx::bench {
namespace {

using nlohmann::json;

const char* const kTrust[] = {"native-py", "serial", "native-py-naive", "rayx"};
const char* const kPhases[] = {"load", "preprocess", "train", "evaluate"};

// Non-finite numbers are null in JSON.
json Estimate(const std::vector<double>& samples) {
  const RatioEstimate middle = UnpairedRatio(samples, {1.0});
  return {{"median", middle.median},
          {"low", middle.interval.low},
          {"high", middle.interval.high},
          {"samples", samples}};
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
    row["phases"][phase] = Estimate(Samples(
        reps, [&](const RepRecord& r) { return r.repetition.phase_seconds.at(phase); }));
  }
  row["step_ms"] = Estimate(Samples(reps, [&](const RepRecord& r) {
    return r.repetition.phase_seconds.at("train") / steps * 1000;
  }));
  if (reps.front()->repetition.first_step_seconds) {
    row["first_step"] = Estimate(Samples(
        reps, [](const RepRecord& r) { return r.repetition.first_step_seconds.value_or(0); }));
  }
  if (reps.front()->repetition.usage.cpu_seconds) {
    row["cpu_seconds"] = Estimate(Samples(
        reps, [](const RepRecord& r) { return r.repetition.usage.cpu_seconds.value_or(0); }));
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
  const RatioEstimate ratio = PairedRatio(numerator, denominator);
  return {{"ours", ours},
          {"rival", rival},
          {"nodes", nodes},
          {"metric", metric},
          {"median", ratio.median},
          {"low", ratio.interval.low},
          {"high", ratio.interval.high},
          {"pairs", ratio.pairs},
          {"verdict", VerdictWord(Judge(ratio))}};
}

std::set<std::pair<int, std::string>> ArmsByNodes(const WorkloadRecords& records) {
  std::set<std::pair<int, std::string>> result;
  for (const RepRecord& rep : records.reps) result.insert({rep.nodes, rep.arm});
  return result;
}

json Ratios(const WorkloadRecords& records) {
  json ratios = json::array();
  const auto arms = ArmsByNodes(records);
  const std::pair<const char*, const char*> compared[] = {
      {"rayx", "native-py"}, {"rayx", "native-py-naive"}, {"rayx", "serial"},
      {"native-py", "native-py-naive"}, {"native-py", "serial"}};
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

const RepRecord* Reference(const WorkloadRecords& records, int nodes) {
  for (const char* arm : kTrust) {
    for (const RepRecord& rep : records.reps) {
      if (rep.arm == arm && rep.nodes == nodes && !rep.unrestricted && rep.counted()) {
        return &rep;
      }
    }
  }
  return nullptr;
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

}  // namespace

void ApplyGates(WorkloadRecords& records, const std::string& dataset_sha256) {
  for (RepRecord& rep : records.reps) {
    if (rep.warm_up()) continue;
    rep.gates = CheckAlone(rep.repetition.outcome, Expect(records, rep, dataset_sha256));
  }
  std::map<int, Outcome> references;
  for (const RepRecord& rep : records.reps) {
    const RepRecord* reference = Reference(records, rep.nodes);
    if (reference != nullptr) references.emplace(rep.nodes, reference->repetition.outcome);
  }
  for (RepRecord& rep : records.reps) {
    const auto reference = references.find(rep.nodes);
    // Without a reference all of them have failed a gate already.
    if (reference == references.end() || rep.warm_up()) continue;
    const auto more = CheckAgainst(rep.repetition.outcome, reference->second,
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
               {"phase_cpu_seconds", rep.phase_cpu_seconds},
               {"total_seconds", rep.Total()},
               {"max_rss_bytes", rep.max_rss_bytes},
               {"steps", rep.outcome.steps},
               {"accuracy", rep.outcome.accuracy},
               {"dataset_sha256", rep.outcome.dataset_sha256},
               {"features_sha256", rep.outcome.features_sha256},
               {"weights_sha256", rep.outcome.weights_sha256},
               {"weights_abs_sum", rep.outcome.weights_abs_sum},
               {"loss_path", rep.loss_path},
               {"gates", gates}};
  line["first_step_seconds"] = rep.first_step_seconds ? json(*rep.first_step_seconds) : json();
  line["cpu_seconds"] = rep.usage.cpu_seconds ? json(*rep.usage.cpu_seconds) : json();
  line["peak_memory_bytes"] =
      rep.usage.peak_memory_bytes ? json(*rep.usage.peak_memory_bytes) : json();
  return line;
}

json ToJson(const std::string& workload, const StartRecord& record) {
  return {{"kind", "start"},
          {"workload", workload},
          {"arm", record.arm},
          {"nodes", record.nodes},
          {"seconds", record.seconds},
          {"daemons_seconds", record.daemons_seconds}};
}

json Summarise(const WorkloadRecords& records) {
  json result = {{"workload", records.workload}, {"title", records.title}, {"steps", records.steps}};
  result["rows"] = json::array();
  for (const auto& [nodes, arm] : ArmsByNodes(records)) {
    result["rows"].push_back(Row(records, arm, nodes));
  }
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
