// bench/data/gen_command.h
//
// `rayx-data gen`: its options, and what it prints.
// Owner:    rayx-data's main.                   Threads: one.
#pragma once

#include <CLI/CLI.hpp>
#include <list>
#include <string>

#include "bench/data/generate/generate_data_set.h"

namespace rayx::bench {

// One for each kind of data: its own options with its own defaults.
struct GenArguments {
  CLI::App* command = nullptr;
  GenerateSpec spec;
  GenerateOptions options;
  std::string format = "csv";
  std::string out;
};

// Adds the command with a subcommand a kind to `app`; words land in the elements of `arguments`.
CLI::App* AddGenCommand(CLI::App& app, std::list<GenArguments>& arguments);

// Runs the kind that was named. The exit status.
int RunGen(const std::list<GenArguments>& arguments);

}  // namespace rayx::bench
