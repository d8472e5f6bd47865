// bench/runner/terminal_table.h
//
// The summary of a run as a table for the terminal, and its verdicts in one line each.
#pragma once

#include <nlohmann/json.hpp>

namespace rayx::bench {

void PrintSummary(const nlohmann::json& summary);

}  // namespace rayx::bench
