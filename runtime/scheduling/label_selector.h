// runtime/scheduling/label_selector.h
//
// What a task or actor asks of one label of a node. Pure.
// Owner:    a Strategy, by key.
// Threads:  any.
// Inputs:   the text of SetLabels, of a peer too: it is checked.
// Outputs:  whether a node's label matches.
// Promises: "a": the value is a. "in(a,b)": it is one of them. "!a", "!in(a,b)": it is none of
//           them, or the node has no such label. Anything else is an error that names key and text.
// Limits:   keys and values are words of letters, digits, '_', '-', '.', '/', of at most 128;
//           kValuesMax values, kLabelsMax labels.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace rayx::scheduling {

inline constexpr int kLabelsMax = 64;

// A word as keys and values of labels are.
bool IsLabelWord(const std::string& text);

class LabelSelector {
 public:
  static constexpr size_t kValuesMax = 64;

  static base::StatusOr<LabelSelector> Parse(const std::string& key, const std::string& text);

  // `value`: the node's; null: it has no such label.
  bool Matches(const std::string* value) const;
  // What Parse reads.
  std::string ToString() const;

  friend bool operator==(const LabelSelector&, const LabelSelector&) = default;

 private:
  bool is_negated_ = false;
  bool is_list_ = false;
  std::vector<std::string> values_;
};

using LabelSelectors = std::map<std::string, LabelSelector>;  // by key

}  // namespace rayx::scheduling
