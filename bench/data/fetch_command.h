// bench/data/fetch_command.h
//
// `rayx-data fetch`: its options, and what it prints.
// Owner:    rayx-data's main.                   Threads: one.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

namespace rayx::bench {

struct FetchArguments {
  std::string name;
  std::string package;
  std::string out;
};

// Adds the command to `app`; its words are in `arguments` once `app` has parsed them.
CLI::App* AddFetchCommand(CLI::App& app, FetchArguments& arguments);

// The exit status.
int RunFetch(const FetchArguments& arguments);

}  // namespace rayx::bench
