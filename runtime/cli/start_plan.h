// runtime/cli/start_plan.h
//
// What a start wants, checked: handed from `rayx start` to supervisor, head and node as start.json
// in the session folder (so that nothing of it stands on a command line).
// Owner:    values.
// Threads:  any.
// Promises: holds no secret (those are in the join file).
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "model/resources.h"
#include "scheduling/cluster_view.h"

namespace rayx::cli {

// What logs may have on disk.
struct LogBounds {
  uint64_t file_bytes = 16u << 20;
  uint32_t files = 4;               // of one process
  uint64_t total_bytes = 1u << 30;  // of the session
};

struct StartPlan {
  bool with_head = false;    // start --head; else a node that joins
  std::string cluster;       // id; of a joining node: the first digits are enough to name folders
  std::string head_address;  // of a joining node: where the head is
  std::string listen_ip = "127.0.0.1";
  uint16_t port = 0;  // of the head; 0 = any free one
  bool insecure = false;
  bool embedded = false;
  model::ResourceSet resources;
  scheduling::Labels labels;
  uint64_t store_bytes = 0;
  LogBounds logs;
};

base::Status WriteStartPlan(const std::string& folder, const StartPlan& plan);
base::StatusOr<StartPlan> ReadStartPlan(const std::string& folder);

// The one line that head and node write to their readiness descriptor.
struct ReadyAnswer {
  std::string error;    // empty = it serves
  std::string address;  // of its server
  uint32_t node = 0;    // of a node: its number
  std::string cluster;  // of a node: the id of the cluster that it joined
};
std::string FormatReadyAnswer(const ReadyAnswer& answer);  // ends with a newline
base::StatusOr<ReadyAnswer> ParseReadyAnswer(const std::string& line);

}  // namespace rayx::cli
