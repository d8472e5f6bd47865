// runtime/cli/completion.h
//
// `rayx completion SHELL`: a script that completes commands, flags and values, made of the
// definitions that the command line itself is parsed by.
// Owner:    command_line.cc.      Threads: any (no state).
// Promises: what has no help is in no script; names of log files are asked for while one types
//           (`rayx logs --names`), without a question to the cluster.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace rayx::cli {

const std::vector<std::string>& ShellsKnown();  // bash, fish, zsh

// `shell` is one of them.
std::string CompletionScript(CLI::App& app, const std::string& shell);

}  // namespace rayx::cli
