#include "cli/command_error.h"

#include <algorithm>

#include <CLI/CLI.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/slips.h"

namespace rayx::cli {
namespace {

constexpr size_t kSlipsMax = 2;

std::vector<std::string> CommandsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

std::vector<std::string> FlagsOf(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// Of what has to be said and was not: "WHAT: nodes, actors or jobs".
std::string Missing(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_required() && option->count() == 0) {
      return absl::StrCat(option->get_name(), " is missing: ", option->get_description());
    }
  }
  return "";
}

std::string DidYouMean(const std::string& word, const std::vector<std::string>& candidates) {
  const std::string nearest = Nearest(word, candidates);
  return nearest.empty() ? "" : absl::StrCat("; did you mean '", nearest, "'?");
}

// What CLI11 says of a flag without its value, with one that it does not take, or given twice.
std::string InOwnWords(const CLI::ParseError& error) {
  const std::string text = error.what();
  const std::string flag = text.substr(0, text.find_first_of(": "));
  if (dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr) {
    return absl::StrCat(flag, " and ", text.substr(text.rfind(' ') + 1), " exclude each other");
  }
  const bool mismatch = dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr;
  if (mismatch && absl::StrContains(text, "missing")) {
    return absl::StrCat(flag, ": a value must follow");
  }
  if (mismatch && absl::StrContains(text, "override")) {
    return absl::StrCat(flag, " takes no value");
  }
  return mismatch ? absl::StrCat(flag, ": given more than once") : text;
}

}  // namespace

std::string Nearest(const std::string& word, const std::vector<std::string>& candidates) {
  std::string nearest;
  size_t nearest_distance = kSlipsMax + 1;
  for (const std::string& candidate : candidates) {
    size_t distance = base::SlipsBetween(word, candidate);
    if (word.size() >= 2 && absl::StartsWith(candidate, word))
      distance = std::min(distance, kSlipsMax);
    if (distance >= nearest_distance || 2 * distance >= candidate.size()) continue;
    nearest = candidate;
    nearest_distance = distance;
  }
  return nearest;
}

std::string Complaint(const CLI::App& app, const CLI::ParseError& error) {
  const auto parsed = app.get_subcommands();
  const bool of_command = !parsed.empty() && app.remaining().empty();
  const CLI::App& command = of_command ? *parsed.front() : app;
  const std::string name = of_command ? absl::StrCat("rayx ", command.get_name()) : "rayx";
  const std::string help = absl::StrCat("`", name, " --help` says more.\n");
  const std::vector<std::string> rest = command.remaining();
  const std::vector<std::string> commands = CommandsOf(app);
  const auto unknown_command = [&](const std::string& word) {
    return absl::StrCat("rayx: unknown command '", word, "'", DidYouMean(word, commands),
                        "\nThere are: ", absl::StrJoin(commands, ", "), ". ", help);
  };
  // Its flags are those of the command that was meant.
  if (parsed.empty() && !rest.empty() && !absl::StartsWith(rest.front(), "-")) {
    return unknown_command(rest.front());
  }
  // First: what else is wrong may come of it, as a flag's value that is taken for another argument.
  for (const std::string& word : rest) {
    if (!absl::StartsWith(word, "-")) continue;
    const std::string flag = word.substr(0, word.find('='));
    return absl::StrCat(name, ": unknown option '", flag, "'", DidYouMean(flag, FlagsOf(command)),
                        "\n", help);
  }
  if (const std::string missing = Missing(command); !missing.empty()) {
    return absl::StrCat(name, ": ", missing, "\n", help);
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&error) == nullptr || rest.empty()) {
    return absl::StrCat(name, ": ", InOwnWords(error), "\n", help);
  }
  const std::string& word = rest.front();
  if (of_command) return absl::StrCat(name, ": unexpected argument '", word, "'\n", help);
  return unknown_command(word);
}

}  // namespace rayx::cli
