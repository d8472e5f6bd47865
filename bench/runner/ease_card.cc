#include "bench/runner/ease_card.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <regex>

namespace rayx::bench {
namespace {

using nlohmann::json;

constexpr int kCardVms = 3;

const char* const kHarness[] = {"bench/workloads/arm/arm_program.h", "bench/native/arm.py"};

bool IsBlank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

std::optional<std::string> ReadText(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// What is left of a C++ line without comments. `in_comment` goes on from line to line.
std::string WithoutComment(std::string_view line, bool& in_comment) {
  std::string code;
  char quote = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    const std::string_view two = line.substr(i, 2);
    if (in_comment) {
      if (two == "*/") {
        in_comment = false;
        ++i;
      }
      continue;
    }
    if (quote == 0 && two == "//") break;
    if (quote == 0 && two == "/*") {
      in_comment = true;
      ++i;
      continue;
    }
    code += line[i];
    if (quote != 0 && line[i] == '\\') {
      if (++i < line.size()) code += line[i];
    } else if (quote == line[i]) {
      quote = 0;
    } else if (quote == 0 && (line[i] == '"' || line[i] == '\'')) {
      quote = line[i];
    }
  }
  return code;
}

// Whether a Python line counts. `docstring` is the quotes of an open one.
bool IsPythonCode(std::string_view line, std::string& docstring) {
  const size_t begin = line.find_first_not_of(" \t\r");
  const std::string_view text = begin == std::string_view::npos ? "" : line.substr(begin);
  if (!docstring.empty()) {
    if (text.find(docstring) != std::string_view::npos) docstring.clear();
    return false;
  }
  for (const char* quotes : {"\"\"\"", "'''"}) {
    if (text.substr(0, 3) != quotes) continue;
    if (text.find(quotes, 3) == std::string_view::npos) docstring = quotes;
    return false;
  }
  return !text.empty() && text[0] != '#';
}

// What a source names of bench/: paths that may exist.
std::vector<std::string> Named(const std::string& path, const std::string& text) {
  static const std::regex include("#include \"(bench/[^\"]+)\"");
  static const std::regex import("(?:^|\n)(?:import|from) ([a-z_]+)");
  const bool is_python = path.ends_with(".py");
  std::vector<std::string> named;
  const std::regex& pattern = is_python ? import : include;
  for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it) {
    const std::string word = (*it)[1];
    named.push_back(is_python ? "bench/native/" + word + ".py" : word);
  }
  if (path.ends_with(".h")) named.push_back(path.substr(0, path.size() - 1) + "cc");
  return named;
}

std::string MainSource(const ArmSpec& arm) {
  switch (arm.kind) {
    case ArmKind::kTorchrun:
    case ArmKind::kSerial:
      return "bench/native/" + arm.program;
    case ArmKind::kRayx:
      return "bench/workloads/" + arm.program.substr(arm.program.find('/') + 1) + "/main.cc";
    case ArmKind::kRanks: {
      std::string name = arm.program.substr(arm.program.find('/') + 1);
      if (const size_t suffix = name.rfind("_native"); suffix != std::string::npos) {
        name.resize(suffix);
      }
      return "bench/workloads/" + name + "/native_main.cc";
    }
  }
  return "";
}

json LinesOf(const std::string& checkout, const ArmSpec& arm) {
  int all = 0, program = 0;
  const std::set<std::string> sources = UserSources(checkout, arm);
  for (const std::string& path : sources) {
    const int lines =
        CodeLines(ReadText(checkout + "/" + path).value_or(""), path.ends_with(".py"));
    all += lines;
    if (path == MainSource(arm)) program = lines;
  }
  return {{"arm", arm.name}, {"lines", all}, {"program_lines", program}, {"files", sources}};
}

}  // namespace

int CodeLines(std::string_view text, bool is_python) {
  int count = 0;
  bool in_comment = false;
  std::string docstring;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const bool counts =
        is_python ? IsPythonCode(line, docstring) : !IsBlank(WithoutComment(line, in_comment));
    count += counts ? 1 : 0;
  }
  return count;
}

std::set<std::string> UserSources(const std::string& checkout, const ArmSpec& arm) {
  std::set<std::string> found;
  std::vector<std::string> open = {MainSource(arm)};
  while (!open.empty()) {
    const std::string path = open.back();
    open.pop_back();
    if (found.count(path) != 0) continue;
    if (std::find(std::begin(kHarness), std::end(kHarness), path) != std::end(kHarness)) continue;
    const auto text = ReadText(checkout + "/" + path);
    if (!text) continue;
    found.insert(path);
    for (const std::string& named : Named(path, *text)) open.push_back(named);
  }
  return found;
}

json EaseCard(const std::string& checkout, const std::vector<const WorkloadSpec*>& workloads) {
  json card = {{"vms", kCardVms}, {"lines", json::array()}, {"facts", json::array()}};
  std::map<ArmKind, std::pair<std::string, int>> kinds;  // first arm of a kind, its sources
  for (const WorkloadSpec* workload : workloads) {
    for (const ArmSpec& arm : workload->arms) {
      if (arm.unrestricted) continue;
      json lines = LinesOf(checkout, arm);
      if (lines["files"].empty()) continue;
      kinds.try_emplace(arm.kind, arm.name, static_cast<int>(lines["files"].size()));
      lines["workload"] = workload->name;
      card["lines"].push_back(lines);
    }
  }
  for (const auto& [kind, arm] : kinds) {
    for (const EaseFact& fact : EaseFacts(kind)) {
      card["facts"].push_back({{"arm", arm.first},
                               {"label", fact.label},
                               {"reason", fact.reason},
                               {"value", fact.Value(kCardVms, arm.second)}});
    }
  }
  return card;
}

}  // namespace rayx::bench
