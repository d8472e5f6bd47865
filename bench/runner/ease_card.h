// bench/runner/ease_card.h
//
// Ease of use as numbers: lines of code that a user writes for an arm, counted in its sources when
// a suite runs, and what must be typed and copied to start it. Pure but for reading sources.
// Inputs:   the checkout; the facts in bench/runner/catalogue/ease.cc.
// Method:   an arm's sources are its program and what that includes or imports of bench/, again and
//           again; of a header X.h also X.cc. Left out is the arm protocol (kHarness), which only
//           this suite needs. A line counts when something but white space, comment or docstring is
//           on it.
// Limits:   raw strings and line continuations within comments are not understood.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bench/runner/workload_spec.h"

namespace rayx::bench {

// Of text in C++ (`is_python` false) or Python.
int CodeLines(std::string_view text, bool is_python);

// Paths below the checkout; empty where the program's source is not there.
std::set<std::string> UserSources(const std::string& checkout, const ArmSpec& arm);

// A number for a cluster of n VMs, as a sum, and why it is that.
struct EaseFact {
  std::string label = {}, reason = {};
  int fixed = 0, per_vm = 0, per_other_vm = 0;
  int per_source_and_other_vm = 0;  // a source: a file that UserSources names

  int Value(int vms, int sources) const {
    return fixed + per_vm * vms + (per_other_vm + per_source_and_other_vm * sources) * (vms - 1);
  }
};
// The same labels in the same order for each kind of arm that has any.
const std::vector<EaseFact>& EaseFacts(ArmKind kind);

// summary.json's "ease" but for its mistakes: {"vms", "lines": [...], "facts": [...]}.
nlohmann::json EaseCard(const std::string& checkout,
                        const std::vector<const WorkloadSpec*>& workloads);

}  // namespace rayx::bench
