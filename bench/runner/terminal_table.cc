#include "bench/runner/terminal_table.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace rayx::bench {
namespace {

using nlohmann::json;

// "12.3" or "-" where there is no such number.
std::string Median(const json& row, const char* key, double scale, int digits) {
  const auto found = row.find(key);
  if (found == row.end()) return "-";
  char text[40];
  snprintf(text, sizeof text, "%.*f", digits, found->at("median").get<double>() * scale);
  return text;
}

std::string Vms(int nodes) {
  return std::to_string(nodes) + (nodes == 1 ? " VM" : " VMs");
}

// The numbers of a row, in the order of Titles.
std::vector<std::string> Cells(const json& workload, const json& row) {
  std::vector<std::string> cells = {Median(row, "start", 1, 1)};
  const json phases = row.value("phases", json::object());
  for (const json& phase : workload["phases"]) {
    cells.push_back(Median(phases, phase.get<std::string>().c_str(), 1, 2));
  }
  cells.push_back(Median(row, "total", 1, 2));
  cells.push_back(Median(row, "step_ms", 1, 2));
  cells.push_back(Median(row, "cpu_seconds", 1, 2));
  cells.push_back(Median(row, "peak_memory_bytes", 1.0 / 1048576, 0));
  const json values = row.value("quality", json::object());
  for (const json& quality : workload["qualities"]) {
    const auto value = values.find(quality["value"].get<std::string>());
    char text[40] = "-";
    if (value != values.end()) {
      snprintf(text, sizeof text, "%.*g", quality["digits"].get<int>(), value->get<double>());
    }
    cells.emplace_back(text);
  }
  return cells;
}

std::vector<std::string> Titles(const json& workload) {
  std::vector<std::string> titles = {"start"};
  for (const json& phase : workload["phases"]) titles.push_back(phase);
  titles.insert(titles.end(), {"total", "ms/step", "CPU s", "peak MiB"});
  for (const json& quality : workload["qualities"]) titles.push_back(quality["label"]);
  return titles;
}

void PrintCells(const std::vector<std::string>& cells, const std::vector<std::string>& titles) {
  for (size_t i = 0; i < cells.size(); ++i) {
    const size_t width = std::max({titles[i].size(), cells[i].size(), size_t{7}});
    printf(" %*s", static_cast<int>(width), cells[i].c_str());
  }
}

void PrintRow(const json& workload, const json& row) {
  const std::string daemons = Median(row, "daemons_start", 1, 1);
  printf("%-20s %3d %4d", row["arm"].get<std::string>().c_str(), row["nodes"].get<int>(),
         row["repetitions"].get<int>());
  PrintCells(Cells(workload, row), Titles(workload));
  if (daemons != "-") printf("  (daemons up in %s s)", daemons.c_str());
  printf("\n");
  for (const json& why : row["removed_because"]) {
    printf("    removed %d: %s\n", row["repetitions_removed"].get<int>(),
           why.get<std::string>().c_str());
  }
}

void PrintRatio(const json& ratio) {
  if (ratio["pairs"] == 0) return;
  printf("  %d VM%s  %-11s %s against %s: %.2fx (%.2f to %.2f in %d pairs, %.3g %%): %s\n",
         ratio["nodes"].get<int>(), ratio["nodes"] == 1 ? " " : "s",
         ratio["metric"].get<std::string>().c_str(), ratio["ours"].get<std::string>().c_str(),
         ratio["rival"].get<std::string>().c_str(), ratio["median"].get<double>(),
         ratio["low"].get<double>(), ratio["high"].get<double>(), ratio["pairs"].get<int>(),
         ratio["coverage"].get<double>() * 100, ratio["words"].get<std::string>().c_str());
}

// Names alone, and whether they may be believed: for runs that measure nothing.
void PrintGates(const json& workload) {
  for (const json& row : workload["rows"]) {
    printf("  %-18s %d VM%s  %s\n", row["arm"].get<std::string>().c_str(), row["nodes"].get<int>(),
           row["nodes"] == 1 ? " " : "s",
           row["repetitions_removed"] != 0 ? "GATE FAILED"
           : row["compared"] == true       ? "all gates passed"
                                           : "NOT COMPARED: no other arm ran to the end");
    for (const json& why : row["removed_because"]) {
      printf("    %s\n", why.get<std::string>().c_str());
    }
  }
}

void PrintNumbers(const json& workload) {
  printf("%-20s %3s %4s", "arm", "VMs", "reps");
  const std::vector<std::string> titles = Titles(workload);
  PrintCells(titles, titles);
  printf("\n");
  for (const json& row : workload["rows"]) PrintRow(workload, row);
  printf(
      "medians, in seconds; total is without start; CPU s, peak MiB: all processes of an arm\n"
      "ratios: rival's / ours, the interval, and how surely it holds the true median\n");
  for (const json& ratio : workload["ratios"]) PrintRatio(ratio);
}

void PrintWorkload(const json& workload) {
  printf("%s: %s, %d %ss\n", workload["workload"].get<std::string>().c_str(),
         workload["title"].get<std::string>().c_str(), workload["steps"].get<int>(),
         workload["step_word"].get<std::string>().c_str());
  if (workload.value("shows_ratios", true)) {
    PrintNumbers(workload);
  } else {
    PrintGates(workload);
  }
  for (const json& failure : workload["failures"]) {
    printf("NOT RUN: %s on %s: %s\n", failure["arm"].get<std::string>().c_str(),
           Vms(failure["nodes"]).c_str(), failure["why"].get<std::string>().c_str());
  }
  for (const json& nodes : workload["not_compared_on"]) {
    printf("NOT COMPARED on %s: no other arm ran to the end there\n", Vms(nodes).c_str());
  }
  if (workload["rows"].empty()) {
    printf("nothing was measured\n");
  } else if (workload["all_gates_passed"] == true && workload["failures"].empty()) {
    if (workload["not_compared_on"].empty()) printf("all gates passed\n");
  } else {
    printf("NOT all gates passed or not all arms ran\n");
  }
}

void PrintScenario(const json& scenario) {
  const std::string why = scenario["not_run_because"];
  printf("scenario %s: %s%s\n", scenario["name"].get<std::string>().c_str(),
         scenario["what"].get<std::string>().c_str(), why.empty() ? "" : ": NOT RUN");
  if (!why.empty()) printf("  not run: %s\n", why.c_str());
  for (const json& arm : scenario["arms"]) {
    printf("  %-18s %s\n", arm["arm"].get<std::string>().c_str(),
           arm["words"].get<std::string>().c_str());
  }
}

void PrintMistake(const json& mistake) {
  printf("mistake %s: %s: %s after %.1f s: %s\n", mistake["mistake"].get<std::string>().c_str(),
         mistake["arm"].get<std::string>().c_str(), mistake["ending"].get<std::string>().c_str(),
         mistake["seconds"].get<double>(), mistake["text"].get<std::string>().c_str());
}

}  // namespace

void PrintSummary(const json& summary) {
  const char* separator = "";
  for (const json& workload : summary["workloads"]) {
    printf("%s", separator);
    PrintWorkload(workload);
    separator = "\n";
  }
  for (const json& scenario : summary["scenarios"]) {
    printf("%s", separator);
    PrintScenario(scenario);
    separator = "\n";
  }
  for (const json& mistake : summary["ease"]["mistakes"]) PrintMistake(mistake);
}

}  // namespace rayx::bench
