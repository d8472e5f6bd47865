// bench/runner/result_writer.h
//
// The folder results/<id>, schema version 4:
//   env.json      the machine, the versions, the command, the arms, how busy the machine was
//   runs.jsonl    raw, one line a launch ("kind":"start"), repetition ("rep"), disturbed or
//                 undisturbed repetition of a scenario ("scenario"), planted mistake ("mistake")
//   summary.json  medians, intervals, ratios, verdicts, failed gates, what was not run; what became
//                 of each arm in each scenario, with its timelines; the ease-of-use card
//   series/       of each repetition, the losses for example; logs/  what the arms printed
//   report.html   made from these by bench/report
// Owner:    the run of a suite.                 Threads: one.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rayx::bench {

inline constexpr int kResultSchemaVersion = 4;

class ResultWriter {
 public:
  // Makes <results>/<id>; an existing one is an error.
  static absl::StatusOr<ResultWriter> Create(const std::string& results, const std::string& id);

  const std::string& folder() const { return folder_; }
  const std::string& id() const { return id_; }

  absl::Status AppendRun(const nlohmann::json& line) const;
  absl::Status Write(const std::string& name, const nlohmann::json& value) const;

 private:
  std::string folder_, id_;
};

absl::StatusOr<nlohmann::json> ReadJsonFile(const std::string& path);
absl::StatusOr<std::vector<nlohmann::json>> ReadJsonLines(const std::string& path);

}  // namespace rayx::bench
