// bench/runner/mistake_run.h
//
// Plants what users do wrong at a launch, once in each arm, and measures how long it takes until a
// line says what is wrong.
// Owner:    the run of a suite.                 Threads: one.
// Promises: ends kMistakeSeconds after the launch at the latest. A line is useful when it has a
//           word of each group that the mistake names; the text that was seen is kept, so that a
//           reader may judge otherwise.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "bench/runner/arm_session.h"
#include "bench/runner/progress.h"

namespace rayx::bench {

inline constexpr int kMistakeSeconds = 60;

struct MistakeSpec {
  std::string name, title;
  Mistake mistake = Mistake::kNone;
  bool hides_library = false;  // LibTorch's folder is empty on the last VM
  std::vector<std::vector<std::string>> useful;
};

const std::vector<MistakeSpec>& Mistakes();

struct MistakeRecord {
  std::string mistake, title, arm;
  // "named": a useful line. "ended": it ended without one. "unnoticed": it started as if nothing
  // were wrong. "nothing": no such line within kMistakeSeconds. "not run": `text` says why.
  std::string ending = {};
  double seconds = 0;
  std::string text = {};
  double cpu_seconds = 0;  // of everything that ran in its VMs
};

// The first useful line of `text`, or "".
std::string UsefulLine(std::string_view text, const std::vector<std::vector<std::string>>& groups);

MistakeRecord MakeMistake(const MistakeSpec& spec, const WorkloadSpec& workload, const ArmSpec& arm,
                          const Places& places, const MachineShape& shape, int nodes);

nlohmann::json ToJson(const MistakeRecord& record);  // a line of runs.jsonl

}  // namespace rayx::bench
