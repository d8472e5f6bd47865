// runtime/cli/command_error.h
//
// What somebody is told whose command line is wrong.
// Owner:    command_line.cc.      Threads: any (no state).
// Promises: names the command and the wrong word, with the word that was meant where one is near,
//           and says how to get help.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace rayx::cli {

// The candidate that `word` is a slip of: at most two letters off and at least half of it right, or
// begun by it (a word of two letters or more, a candidate of four or more); "" when there is none.
std::string Nearest(const std::string& word, const std::vector<std::string>& candidates);

// Several lines, each with its end.
std::string Complaint(const CLI::App& app, const CLI::ParseError& error);

}  // namespace rayx::cli
