#include "cli/completion.h"

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/value_checks.h"

namespace rayx::cli {
namespace {

constexpr char kLogNames[] = "rayx logs --names 2>/dev/null";

// What completes the value of a flag, or an argument.
struct Values {
  enum Kind { kUnknown, kWords, kFiles, kLogs } kind = kUnknown;
  std::vector<std::string> words;
};

struct Flag {
  std::string name;  // without --
  std::string help;
  bool takes_value = false;
  std::string value_name;
  Values values;
};

struct Command {
  std::string name;
  std::string help;
  std::vector<Flag> flags;
  std::vector<Flag> arguments;
};

Values ValuesOf(CLI::Option& option, const std::string& text) {
  if (auto words = ChoicesOf(option); !words.empty()) return {Values::kWords, std::move(words)};
  if (text == "PATH") return {Values::kFiles, {}};
  return {option.get_name() == "FILE" ? Values::kLogs : Values::kUnknown, {}};
}

Command Describe(CLI::App& app) {
  Command command{app.get_name(), app.get_description(), {}, {}};
  for (CLI::Option* option : app.get_options([](CLI::Option*) { return true; })) {
    if (option->get_group().empty()) continue;  // hidden
    Flag flag;
    flag.help = option->get_description();
    flag.takes_value = option->get_items_expected_max() > 0;
    flag.value_name = option->get_option_text();
    flag.values = ValuesOf(*option, flag.value_name);
    if (option->get_positional()) {
      flag.name = option->get_name();
      command.arguments.push_back(flag);
    }
    for (const std::string& name : option->get_lnames()) {
      flag.name = name;
      command.flags.push_back(flag);
    }
  }
  return command;
}

std::vector<Command> CommandsOf(CLI::App& app) {
  std::vector<Command> commands;
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    commands.push_back(Describe(*command));
  }
  return commands;
}

std::vector<std::string> FlagNames(const Command& command) {
  std::vector<std::string> names;
  for (const Flag& flag : command.flags) names.push_back("--" + flag.name);
  return names;
}

std::vector<std::string> NamesOf(const std::vector<Command>& commands) {
  std::vector<std::string> names;
  for (const Command& command : commands) names.push_back(command.name);
  return names;
}

// --- bash ---

std::string BashReply(const Values& values) {
  switch (values.kind) {
    case Values::kWords:
      return absl::StrCat("words='", absl::StrJoin(values.words, " "), "'");
    case Values::kFiles:
      return "compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$current\")); return";
    case Values::kLogs:
      return "words=$(\"${COMP_WORDS[0]}\" logs --names 2>/dev/null)";
    case Values::kUnknown:
      break;
  }
  return "return";
}

std::string Bash(const Command& all, const std::vector<Command>& commands) {
  std::string values, flags, arguments;
  const auto add_case = [](std::string& to, const std::string& pattern, const std::string& reply) {
    absl::StrAppend(&to, "    '", pattern, "') ", reply, " ;;\n");
  };
  add_case(flags, "", absl::StrCat("words='", absl::StrJoin(FlagNames(all), " "), "'"));
  add_case(arguments, "", absl::StrCat("words='", absl::StrJoin(NamesOf(commands), " "), "'"));
  for (const Command& command : commands) {
    add_case(flags, command.name,
             absl::StrCat("words='", absl::StrJoin(FlagNames(command), " "), "'"));
    for (const Flag& flag : command.flags) {
      if (!flag.takes_value) continue;
      add_case(values, absl::StrCat(command.name, " --", flag.name), BashReply(flag.values));
    }
    for (const Flag& argument : command.arguments) {
      add_case(arguments, command.name, BashReply(argument.values));
    }
  }
  return absl::StrCat(R"(# Completion of rayx for bash. Made by `rayx completion bash`.
_rayx() {
  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command='' words='' i
  # bash takes --flag=value apart.
  if [[ $current == '=' ]]; then
    current=''
  elif [[ $before == '=' ]]; then
    before=${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} != -* ]]; then
      command=${COMP_WORDS[i]}
      break
    fi
  done
  COMPREPLY=()
  case "$command $before" in
)",
                      values, R"(    *)
      if [[ $current == -* ]]; then
        case "$command" in
)",
                      flags, R"(        esac
      else
        case "$command" in
)",
                      arguments, R"(        esac
      fi
      ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _rayx rayx
)");
}

// --- zsh ---

std::string InQuotes(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

std::string ZshText(const std::string& text) {
  return absl::StrReplaceAll(text, {{":", "\\:"}, {"[", "\\["}, {"]", "\\]"}});
}

std::string ZshAction(const Values& values) {
  switch (values.kind) {
    case Values::kWords:
      return absl::StrCat("(", absl::StrJoin(values.words, " "), ")");
    case Values::kFiles:
      return "_files";
    case Values::kLogs:
      return absl::StrCat("{compadd -- $(", kLogNames, ")}");
    case Values::kUnknown:
      break;
  }
  return " ";
}

std::string Zsh(const std::vector<Command>& commands) {
  std::string names, cases;
  for (const Command& command : commands) {
    absl::StrAppend(&names, "    ",
                    InQuotes(absl::StrCat(command.name, ":", ZshText(command.help))), "\n");
    absl::StrAppend(&cases, "        ", command.name, ")\n          _arguments");
    for (const Flag& flag : command.flags) {
      std::string spec =
          absl::StrCat("--", flag.name, flag.takes_value ? "=" : "", "[", ZshText(flag.help), "]");
      if (flag.takes_value) {
        absl::StrAppend(&spec, ":", ZshText(flag.value_name), ":", ZshAction(flag.values));
      }
      absl::StrAppend(&cases, " \\\n            ", InQuotes(spec));
    }
    for (size_t i = 0; i < command.arguments.size(); ++i) {
      const Flag& argument = command.arguments[i];
      absl::StrAppend(&cases, " \\\n            ",
                      InQuotes(absl::StrCat(i + 1, ":", ZshText(argument.help), ":",
                                            ZshAction(argument.values))));
    }
    absl::StrAppend(&cases, "\n          ;;\n");
  }
  return absl::StrCat(R"(#compdef rayx
# Completion of rayx for zsh. Made by `rayx completion zsh`.
_rayx() {
  local state line
  local -a commands
  commands=(
)",
                      names, R"(  )
  _arguments -C '--help[Print the help]' '--version[Print the version]' \
    '1:command:->command' '*::argument:->argument'
  case $state in
    command)
      _describe command commands
      ;;
    argument)
      case $words[1] in
)",
                      cases, R"(      esac
      ;;
  esac
}
if [[ $funcstack[1] == _rayx ]]; then
  _rayx "$@"
else
  compdef _rayx rayx
fi
)");
}

// --- fish ---

std::string FishQuoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

std::string FishValues(const Values& values) {
  switch (values.kind) {
    case Values::kWords:
      return absl::StrCat(" -a ", FishQuoted(absl::StrJoin(values.words, " ")));
    case Values::kFiles:
      return " -F";
    case Values::kLogs:
      return absl::StrCat(" -a ", FishQuoted(absl::StrCat("(", kLogNames, ")")));
    case Values::kUnknown:
      break;
  }
  return "";
}

// -x: the values alone; -r: files beside them.
std::string FishFlag(const Flag& flag) {
  const bool is_known = flag.values.kind == Values::kWords || flag.values.kind == Values::kLogs;
  return absl::StrCat(" -l ", flag.name,
                      !flag.takes_value ? ""
                      : is_known        ? " -x"
                                        : " -r",
                      FishValues(flag.values), " -d ", FishQuoted(flag.help), "\n");
}

std::string Fish(const Command& program, const std::vector<Command>& commands) {
  std::string script =
      "# Completion of rayx for fish. Made by `rayx completion fish`.\ncomplete -c rayx -f\n";
  for (const Flag& flag : program.flags) {
    absl::StrAppend(&script, "complete -c rayx -n __fish_use_subcommand", FishFlag(flag));
  }
  for (const Command& command : commands) {
    absl::StrAppend(&script, "complete -c rayx -n __fish_use_subcommand -a ", command.name, " -d ",
                    FishQuoted(command.help), "\n");
    const std::string begin = absl::StrCat(
        "complete -c rayx -n ", FishQuoted("__fish_seen_subcommand_from " + command.name));
    for (const Flag& flag : command.flags) {
      absl::StrAppend(&script, begin, FishFlag(flag));
    }
    for (const Flag& argument : command.arguments) {
      const std::string values = FishValues(argument.values);
      if (!values.empty()) absl::StrAppend(&script, begin, values, "\n");
    }
  }
  return script;
}

}  // namespace

const std::vector<std::string>& ShellsKnown() {
  static const auto& shells = *new std::vector<std::string>{"bash", "fish", "zsh"};
  return shells;
}

std::string CompletionScript(CLI::App& app, const std::string& shell) {
  const std::vector<Command> commands = CommandsOf(app);
  if (shell == "bash") return Bash(Describe(app), commands);
  return shell == "zsh" ? Zsh(commands) : Fish(Describe(app), commands);
}

}  // namespace rayx::cli
