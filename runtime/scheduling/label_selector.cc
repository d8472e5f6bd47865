#include "scheduling/label_selector.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace rayx::scheduling {
namespace {

constexpr size_t kWordBytesMax = 128;
constexpr size_t kTextBytesMax = LabelSelector::kValuesMax * (kWordBytesMax + 1) + 8;

base::Status Wrong(const std::string& key, const std::string& text) {
  return absl::InvalidArgumentError(absl::StrCat(
      "label \"", key.substr(0, kWordBytesMax), "\": \"", text.substr(0, 200),
      "\" is no selector; expected a value, !value, in(a,b) or !in(a,b), with keys and ",
      "values of letters, digits, '_', '-', '.' and '/'"));
}

}  // namespace

bool IsLabelWord(const std::string& text) {
  return !text.empty() && text.size() <= kWordBytesMax &&
         text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
             "_-./") == std::string::npos;
}

base::StatusOr<LabelSelector> LabelSelector::Parse(const std::string& key,
                                                   const std::string& text) {
  if (!IsLabelWord(key) || text.size() > kTextBytesMax) return Wrong(key, text);
  LabelSelector selector;
  std::string rest = text;
  if (!rest.empty() && rest.front() == '!') {
    selector.is_negated_ = true;
    rest.erase(0, 1);
  }
  if (rest.rfind("in(", 0) == 0 && rest.back() == ')') {
    selector.is_list_ = true;
    selector.values_ = absl::StrSplit(rest.substr(3, rest.size() - 4), ',');
  } else {
    selector.values_ = {rest};
  }
  const bool all_words = std::all_of(selector.values_.begin(), selector.values_.end(), IsLabelWord);
  if (!all_words || selector.values_.size() > kValuesMax) return Wrong(key, text);
  return selector;
}

bool LabelSelector::Matches(const std::string* value) const {
  const bool is_one =
      value != nullptr && std::find(values_.begin(), values_.end(), *value) != values_.end();
  return is_one != is_negated_;
}

std::string LabelSelector::ToString() const {
  const std::string values = absl::StrJoin(values_, ",");
  return absl::StrCat(is_negated_ ? "!" : "", is_list_ ? absl::StrCat("in(", values, ")") : values);
}

}  // namespace rayx::scheduling
