#include "cli/value_checks.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/command_error.h"

namespace rayx::cli {
namespace {

constexpr char kChoices[] = "CHOICES";

// "a, b or c"
std::string Listed(const std::vector<std::string>& words) {
  std::string text = absl::StrJoin(words.begin(), words.end() - 1, ", ");
  if (words.size() > 1) text += " or ";
  return text + words.back();
}

}  // namespace

void Choose(CLI::Option* option, const std::vector<std::string>& words) {
  const auto check = [words](std::string& text) -> std::string {
    if (std::find(words.begin(), words.end(), text) != words.end()) return "";
    const std::string nearest = Nearest(text, words);
    return absl::StrCat("\"", text, "\": expected ", Listed(words),
                        nearest.empty() ? "" : "; did you mean '" + nearest + "'?");
  };
  option->check(CLI::Validator(check, absl::StrJoin(words, " "), kChoices));
}

std::vector<std::string> ChoicesOf(CLI::Option& option) {
  try {
    return absl::StrSplit(option.get_validator(kChoices)->get_description(), ' ');
  } catch (const CLI::OptionNotFound&) {
    return {};
  }
}

CLI::Validator WholeNumber(uint64_t min, uint64_t max, const std::string& what) {
  const auto check = [=](std::string& text) -> std::string {
    uint64_t number = 0;
    if (absl::SimpleAtoi(text, &number) && number >= min && number <= max) return "";
    return absl::StrCat("\"", text, "\": expected ", min, " to ", max, " ", what);
  };
  return CLI::Validator(check, "", "NUMBER");
}

CLI::Validator Seconds() {
  const auto check = [](std::string& text) -> std::string {
    double seconds = 0;
    if (absl::SimpleAtod(text, &seconds) && seconds >= 0.01 && seconds <= 600) return "";
    return absl::StrCat("\"", text, "\": expected seconds from 0.01 to 600");
  };
  return CLI::Validator(check, "", "SECONDS");
}

CLI::Validator NodeNumber() {
  const auto check = [](std::string& text) -> std::string {
    std::string digits = text.substr(text.starts_with('n') ? 1 : 0);
    uint32_t number = 0;
    if (!absl::SimpleAtoi(digits, &number) || number == 0 ||
        digits.find_first_not_of("0123456789") != std::string::npos) {
      return absl::StrCat("\"", text, "\": expected n2 or 2");
    }
    text = std::move(digits);
    return "";
  };
  return CLI::Validator(check, "", "NODE");
}

}  // namespace rayx::cli
