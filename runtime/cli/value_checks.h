// runtime/cli/value_checks.h
//
// What the values of flags may be, in words for people, and for completion.
// Owner:    command_line.cc.      Threads: any (no state).
// Promises: a wrong value is answered with what was expected. What Choose allows, ChoicesOf knows.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace rayx::cli {

// One of these words; a near one is named.
void Choose(CLI::Option* option, const std::vector<std::string>& words);
// Empty: none were set.
std::vector<std::string> ChoicesOf(CLI::Option& option);

// A whole number of a range, of what: "lines".
CLI::Validator WholeNumber(uint64_t min, uint64_t max, const std::string& what);
// 0.01 to 600. (CLI11's own check of a range takes nan.)
CLI::Validator Seconds();
// "n2", as every list has it, or "2"; becomes "2".
CLI::Validator NodeNumber();

}  // namespace rayx::cli
