#include "bench/runner/terminal_table.h"

#include <cstdio>
#include <string>

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

std::string Phase(const json& row, const char* phase) {
  return row.contains("phases") ? Median(row["phases"], phase, 1, 2) : "-";
}

void PrintRow(const json& row) {
  const std::string daemons = Median(row, "daemons_start", 1, 1);
  printf("%-20s %3d %4d %7s %7s %7s %7s %7s %7s %8s %7s %8s %7s",
         row["arm"].get<std::string>().c_str(), row["nodes"].get<int>(),
         row["repetitions"].get<int>(), Median(row, "start", 1, 1).c_str(),
         Phase(row, "load").c_str(), Phase(row, "preprocess").c_str(), Phase(row, "train").c_str(),
         Phase(row, "evaluate").c_str(), Median(row, "total", 1, 2).c_str(),
         Median(row, "step_ms", 1, 2).c_str(), Median(row, "cpu_seconds", 1, 2).c_str(),
         Median(row, "peak_memory_bytes", 1.0 / 1048576, 0).c_str(),
         row.contains("accuracy")
             ? std::to_string(row["accuracy"].get<double>()).substr(0, 6).c_str()
             : "-");
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

}  // namespace

void PrintSummary(const json& summary) {
  for (const json& workload : summary["workloads"]) {
    printf("%s: %s, %d steps\n", workload["workload"].get<std::string>().c_str(),
           workload["title"].get<std::string>().c_str(), workload["steps"].get<int>());
    if (workload.value("shows_ratios", true)) {
      printf("%-20s %3s %4s %7s %7s %7s %7s %7s %7s %8s %7s %8s %7s\n", "arm", "VMs", "reps",
             "start", "load", "prep", "train", "eval", "total", "ms/step", "CPU s", "peak MiB",
             "accur.");
      for (const json& row : workload["rows"]) PrintRow(row);
      printf(
          "medians, in seconds; total is without start; CPU s, peak MiB: all processes of an arm\n"
          "ratios: rival's / ours, the interval, and how surely it holds the true median\n");
      for (const json& ratio : workload["ratios"]) PrintRatio(ratio);
    } else {
      for (const json& row : workload["rows"]) {
        printf("  %-18s %d VM%s  %s\n", row["arm"].get<std::string>().c_str(),
               row["nodes"].get<int>(), row["nodes"] == 1 ? " " : "s",
               row["repetitions_removed"] != 0 ? "GATE FAILED"
               : row["compared"] == true       ? "all gates passed"
                                               : "NOT COMPARED: no other arm ran to the end");
        for (const json& why : row["removed_because"]) {
          printf("    %s\n", why.get<std::string>().c_str());
        }
      }
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
}

}  // namespace rayx::bench
