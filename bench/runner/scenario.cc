#include "bench/runner/scenario.h"

#include <algorithm>
#include <cstdio>

#include "bench/runner/statistics.h"
#include "bench/runner/summary.h"

namespace rayx::bench {
namespace {

using nlohmann::json;

template <typename... Numbers>
std::string Format(const char* format, Numbers... numbers) {
  char text[200];
  snprintf(text, sizeof text, format, numbers...);
  return text;
}

// The seconds of an arm's finished repetitions, disturbed or not, by pair.
struct PairSeconds {
  std::vector<double> disturbed, undisturbed;
};

PairSeconds FinishedPairs(const ScenarioRecords& records, const std::string& arm) {
  PairSeconds result;
  for (const ScenarioRep& a : records.reps) {
    for (const ScenarioRep& b : records.reps) {
      const bool is_pair = a.arm == arm && b.arm == arm && a.pair == b.pair && a.disturbed &&
                           !b.disturbed && a.ending == Ending::kFinished &&
                           b.ending == Ending::kFinished;
      if (!is_pair) continue;
      result.disturbed.push_back(a.seconds);
      result.undisturbed.push_back(b.seconds);
    }
  }
  return result;
}

// The repetition that decides what is said of an arm: the first that did not finish as it should,
// else the first that was disturbed.
const ScenarioRep* Decisive(const ScenarioRecords& records, const std::string& arm) {
  const ScenarioRep* first = nullptr;
  for (const ScenarioRep& rep : records.reps) {
    if (rep.arm != arm) continue;
    if (rep.ending != Ending::kFinished || !rep.other_result.empty()) return &rep;
    if (rep.disturbed && first == nullptr) first = &rep;
  }
  return first;
}

std::string ColdStartWords(const ScenarioRecords& records, const std::string& arm) {
  std::vector<double> total, daemons, ready, first;
  for (const ColdStart& start : records.starts) {
    if (start.arm != arm) continue;
    total.push_back(start.daemons + start.ready + start.first_step);
    daemons.push_back(start.daemons);
    ready.push_back(start.ready);
    first.push_back(start.first_step);
  }
  if (total.empty()) return "";
  std::string words = Format("first step done after %.1f s: ", Median(total));
  if (Median(daemons) > 0) words += Format("daemons %.1f s, ", Median(daemons));
  return words +
         Format("program ready %.1f s, data and first step %.1f s", Median(ready), Median(first));
}

std::string EndingName(Ending ending) {
  return ending == Ending::kFinished ? "finished" : ending == Ending::kFailed ? "failed" : "hung";
}

double AfterFault(const ScenarioRep& rep) {
  return rep.seconds - rep.fault_at.value_or(0);
}

// CPUs in use in each VM between two samples.
json CpuRates(const ScenarioRep& rep) {
  json times = json::array(), vms = json::array();
  for (size_t i = 1; i < rep.cpu.size(); ++i) {
    const CpuSample &before = rep.cpu[i - 1], &after = rep.cpu[i];
    times.push_back(after.at - rep.trace.begin);
    for (size_t vm = 0; vm < after.seconds.size(); ++vm) {
      if (vms.size() <= vm) vms.push_back(json::array());
      const bool known = before.seconds[vm] && after.seconds[vm] && after.at > before.at;
      vms[vm].push_back(
          known ? json((*after.seconds[vm] - *before.seconds[vm]) / (after.at - before.at))
                : json());
    }
  }
  return {{"at", times}, {"vms", vms}};
}

json Line(const ScenarioRep& rep) {
  json steps = json::array(), phases = json::array();
  for (const RunTrace::Step& step : rep.trace.steps) {
    steps.push_back({step.at - rep.trace.begin, step.done});
  }
  for (const RunTrace::Phase& phase : rep.trace.phases) {
    phases.push_back({{"name", phase.name}, {"end", phase.end - rep.trace.begin}});
  }
  return {{"ending", EndingName(rep.ending)},
          {"seconds", rep.seconds},
          {"fault_at", rep.fault_at ? json(*rep.fault_at) : json()},
          {"steps", steps},
          {"phases", phases},
          {"cpu", CpuRates(rep)}};
}

json ArmPart(const ScenarioRecords& records, const std::string& arm) {
  json part = {{"arm", arm}, {"words", EndingWords(records, arm)}};
  if (const ScenarioRep* rep = Decisive(records, arm)) {
    part["ending"] = EndingName(rep->ending);
    part["error"] = rep->error;
    part["other_result"] = rep->other_result;
    if (rep->fault_at) part["after_fault_seconds"] = AfterFault(*rep);
    for (const ScenarioRep& other : records.reps) {
      if (other.arm != arm || other.pair != rep->pair) continue;
      part["timeline"][other.disturbed ? "disturbed" : "undisturbed"] = Line(other);
    }
  }
  const PairSeconds pairs = FinishedPairs(records, arm);
  if (!pairs.disturbed.empty()) {
    part["disturbed"] = Estimate(pairs.disturbed);
    part["undisturbed"] = Estimate(pairs.undisturbed);
    const MedianEstimate ratio = PairedRatio(pairs.disturbed, pairs.undisturbed);
    part["ratio"] = {{"median", ratio.median},
                     {"low", ratio.interval.low},
                     {"high", ratio.interval.high},
                     {"coverage", ratio.coverage},
                     {"pairs", ratio.samples}};
  }
  std::vector<double> daemons, ready, first, total;
  for (const ColdStart& start : records.starts) {
    if (start.arm != arm) continue;
    daemons.push_back(start.daemons);
    ready.push_back(start.ready);
    first.push_back(start.first_step);
    total.push_back(start.daemons + start.ready + start.first_step);
  }
  if (!total.empty()) {
    part["ending"] = "finished";
    part["cold_start"] = {{"daemons", Estimate(daemons)},
                          {"ready", Estimate(ready)},
                          {"first_step", Estimate(first)},
                          {"total", Estimate(total)}};
  }
  return part;
}

}  // namespace

absl::StatusOr<std::vector<const ScenarioSpec*>> ChooseScenarios(
    const std::vector<std::string>& names) {
  std::string known = "all, none";
  for (const ScenarioSpec& scenario : Scenarios()) known += ", " + scenario.name;
  bool all = false;
  for (const std::string& name : names) {
    all = all || name == "all";
    const bool found = name == "all" || name == "none" ||
                       std::any_of(Scenarios().begin(), Scenarios().end(),
                                   [&](const ScenarioSpec& s) { return s.name == name; });
    if (!found) {
      return absl::InvalidArgumentError("there is no scenario '" + name + "'; there are " + known);
    }
  }
  std::vector<const ScenarioSpec*> chosen;
  for (const ScenarioSpec& scenario : Scenarios()) {
    if (all || std::find(names.begin(), names.end(), scenario.name) != names.end()) {
      chosen.push_back(&scenario);
    }
  }
  return chosen;
}

bool IsHalfWay(const RunTrace& trace, int64_t steps, double now, double undisturbed_seconds) {
  if (!trace.steps.empty()) return trace.steps.back().done * 2 >= steps;
  return now - trace.begin >= undisturbed_seconds / 2;
}

std::string EndingWords(const ScenarioRecords& records, const std::string& arm) {
  for (const auto& [name, why] : records.failures) {
    if (name == arm) return "not run: " + why;
  }
  const std::string cold_start = ColdStartWords(records, arm);
  if (!cold_start.empty()) return cold_start;
  const ScenarioRep* rep = Decisive(records, arm);
  if (rep == nullptr) return "not run";
  const std::string after = rep->fault_at ? " after the fault" : " after its start";
  if (!rep->disturbed && rep->ending != Ending::kFinished) {
    return "not run: the undisturbed repetition did not finish: " + rep->error;
  }
  switch (rep->ending) {
    case Ending::kFailed:
      return Format("fails %.1f s", AfterFault(*rep)) + after + ": " + rep->error;
    case Ending::kHung:
      return "hangs: neither a result nor an error" + Format(" %.0f s", AfterFault(*rep)) + after;
    case Ending::kFinished:
      break;
  }
  if (!rep->other_result.empty()) return "finishes with another result: " + rep->other_result;
  const PairSeconds pairs = FinishedPairs(records, arm);
  const MedianEstimate ratio = PairedRatio(pairs.disturbed, pairs.undisturbed);
  std::string words = Format("finishes in %.2f s, %.2fx as long as undisturbed",
                             Median(pairs.disturbed), ratio.median);
  if (ratio.samples > 1) {
    words += Format(" (%.2f to %.2f in %d pairs)", ratio.interval.low, ratio.interval.high,
                    ratio.samples);
  }
  return words + ", same result";
}

bool AllResultsSame(const ScenarioRecords& records) {
  return std::all_of(records.reps.begin(), records.reps.end(),
                     [](const ScenarioRep& rep) { return rep.other_result.empty(); });
}

std::vector<json> ToJsonLines(const ScenarioRecords& records) {
  const ScenarioSpec& spec = records.scenario;
  const json base = {{"kind", "scenario"},
                     {"scenario", spec.name},
                     {"workload", spec.workload},
                     {"nodes", spec.nodes}};
  std::vector<json> lines;
  for (const ScenarioRep& rep : records.reps) {
    json line = base;
    line.update(Line(rep));
    line.update({{"arm", rep.arm},
                 {"pair", rep.pair},
                 {"disturbed", rep.disturbed},
                 {"error", rep.error},
                 {"other_result", rep.other_result}});
    lines.push_back(line);
  }
  for (const ColdStart& start : records.starts) {
    json line = base;
    line.update({{"arm", start.arm},
                 {"daemons_seconds", start.daemons},
                 {"ready_seconds", start.ready},
                 {"first_step_seconds", start.first_step}});
    lines.push_back(line);
  }
  return lines;
}

json Summarise(const ScenarioRecords& records) {
  const ScenarioSpec& spec = records.scenario;
  json result = {{"name", spec.name},
                 {"title", spec.title},
                 {"what", spec.what},
                 {"workload", spec.workload},
                 {"nodes", spec.nodes},
                 {"steps", spec.steps},
                 {"step_word", records.step_word},
                 {"not_run_because", spec.not_run_because},
                 {"arms", json::array()}};
  std::vector<std::string> arms;
  const auto add = [&](const std::string& arm) {
    if (std::find(arms.begin(), arms.end(), arm) == arms.end()) arms.push_back(arm);
  };
  for (const ScenarioRep& rep : records.reps) add(rep.arm);
  for (const ColdStart& start : records.starts) add(start.arm);
  for (const auto& [arm, why] : records.failures) add(arm);
  for (const std::string& arm : arms) result["arms"].push_back(ArmPart(records, arm));
  return result;
}

}  // namespace rayx::bench
