// runtime/node/core/lease_effects.h
//
// The words between LeaseCore and its shell: requests, and what a step of the core asks for.
// Owner:    values.           Threads: any.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "model/ids.h"
#include "model/resources.h"
#include "model/time.h"
#include "rayx/detail/error_record.h"
#include "scheduling/policy.h"

namespace rayx::node {

// A request of a process, the same in every repeat. `incarnation` is 0 for a task's lease and an
// actor's incarnation for its home.
struct RequestKey {
  model::ProcessId owner;
  uint64_t request = 0;
  uint32_t incarnation = 0;
  bool is_actor() const { return incarnation != 0; }
  friend auto operator<=>(const RequestKey&, const RequestKey&) = default;
};

struct LeaseRequest {
  RequestKey key;
  model::JobId job;
  model::ResourceSet resources;
  scheduling::Strategy strategy;
  bool wait_if_infeasible = false;
  std::string class_key;    // requests of one owner and class are alike: one unit of fairness
  std::string program_key;  // what the worker must run
  std::vector<model::NodeNumber> argument_nodes;
  model::NodeNumber asking;  // whose daemon is to be answered
  uint32_t spill_count = 0;  // how often it was passed on
};

struct LeaseEffects {
  // A worker of this job and program; answer OnWorkerAssigned or OnWorkerFailed.
  struct WantWorker {
    model::LeaseId lease;
    model::JobId job;
    std::string program_key;
    bool for_actor = false;
  };
  struct Granted {
    RequestKey key;
    model::NodeNumber asking;
    model::LeaseId lease;
    model::ProcessId worker;
    model::ResourceSet resources;
  };
  struct Failed {
    RequestKey key;
    model::NodeNumber asking;
    ErrorCode code = ErrorCode::kNone;
    std::string message;
    bool worker_limit = false;
  };
  // To another daemon: not here; `node` has room, or nobody (0).
  struct TryNode {
    RequestKey key;
    model::NodeNumber asking;
    model::NodeNumber node;
  };
  // Ask the daemon of `node`; answer with one of OnRemote*.
  struct AskNode {
    LeaseRequest request;
    model::NodeNumber node;
  };
  struct CancelAt {
    RequestKey key;
    model::NodeNumber node;
  };
  // A lease of another node that nobody here wants.
  struct ReturnAt {
    model::LeaseId lease;
    bool worker_failed = false;
  };
  struct Recall {
    model::LeaseId lease;
    model::ProcessId owner;
    bool if_idle = false;  // only when it is not in use, now or later
  };
  // The worker's lease is over: idle, or not to be used again.
  struct Release {
    model::LeaseId lease;
    model::ProcessId worker;
    bool end_worker = false;
    std::string reason;
  };
  struct CancelWant {
    model::LeaseId lease;
  };

  std::vector<Release> releases;
  std::vector<CancelWant> cancelled_wants;
  std::vector<WantWorker> wants;
  std::vector<Granted> grants;
  std::vector<Failed> failures;
  std::vector<TryNode> try_nodes;
  std::vector<AskNode> asks;
  std::vector<CancelAt> cancels;
  std::vector<ReturnAt> returns;
  std::vector<Recall> recalls;
};

}  // namespace rayx::node
