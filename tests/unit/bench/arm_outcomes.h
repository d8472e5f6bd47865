// tests/unit/bench/arm_outcomes.h
//
// What an arm's own code has written of a repetition, read as the runner reads it, and which gates
// of the workload it fails.
#pragma once

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/runner/arm_catalogue.h"
#include "bench/runner/gates.h"
#include "bench/runner/series_file.h"

namespace rayx::bench {

inline WorkloadSpec WorkloadNamed(const std::string& name) {
  for (const WorkloadSpec& workload : Workloads()) {
    if (workload.name == name) return workload;
  }
  FAIL("no workload " << name);
  return {};
}

// As ArmSession reads it: PREFIX.events and the series beside it.
inline Outcome ReadOutcome(const std::string& prefix, const WorkloadSpec& workload) {
  Outcome outcome;
  std::ifstream file(prefix + ".events");
  for (std::string line; std::getline(file, line);) {
    const nlohmann::json event = nlohmann::json::parse(line);
    if (event["event"] != "result") continue;
    outcome.steps = event["steps"];
    event["hashes"].get_to(outcome.hashes);
    event["values"].get_to(outcome.values);
    event["texts"].get_to(outcome.texts);
  }
  for (const SeriesSpec& series : workload.series) {
    auto numbers = ReadSeries(SeriesPath(prefix, series.name));
    if (numbers.ok()) outcome.series[series.name].numbers = *numbers;
  }
  return outcome;
}

// The names of the gates that fail against a reference of the same workload.
inline std::string FailedGates(WorkloadSpec workload, const Outcome& outcome,
                               const Outcome& reference, const Expectation& expectation) {
  workload.dataset_sha256 = reference.hashes.at("dataset");
  for (SeriesSpec& series : workload.series) {
    if (series.length > 0) {
      series.length = static_cast<int64_t>(reference.series.at(series.name).numbers.size());
    }
  }
  std::string names;
  for (const auto& gates : {CheckAlone(workload, outcome, expectation),
                            CheckAgainst(workload, outcome, reference, expectation)}) {
    for (const GateResult& gate : gates) names += gate.passed ? "" : gate.name + ";";
  }
  return names;
}

}  // namespace rayx::bench
