// runtime/head/core/effects.h
//
// What a step of the head's cores wants done. The shell runs the fields in this order and clears
// them.
// Owner:    HeadServer, reused from step to step.
// Threads:  the head's loop.
// Promises: every persist of a step completes before its replies and sends leave.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "head/storage/head_storage.h"
#include "model/ids.h"
#include "proto/cluster.pb.h"

namespace rayx::head {

// The shell's name for a call that waits for its answer.
using ReplyTo = uint64_t;

struct CallReply {
  ReplyTo to = 0;
  proto::HeadResponse response;
};

// Node.StartActor; its outcome comes back as ActorCore::OnStartAnswered.
struct StartActor {
  model::NodeNumber node;
  proto::ActorSpec spec;
  uint32_t incarnation = 0;
};

struct StopActor {
  model::NodeNumber node;
  proto::ActorId id;
  uint32_t incarnation = 0;
  std::string reason;
};

struct HeadEffects {
  std::vector<Persist> persists;
  std::vector<CallReply> replies;
  std::vector<StartActor> starts;
  std::vector<StopActor> stops;
  std::vector<uint32_t> ended_jobs;              // to be told to every live node
  std::vector<model::NodeNumber> dead_nodes;     // nothing more is sent to them
  std::vector<model::NodeNumber> nodes_to_stop;  // Node.Stop

  void Clear() {
    persists.clear();
    replies.clear();
    starts.clear();
    stops.clear();
    ended_jobs.clear();
    dead_nodes.clear();
    nodes_to_stop.clear();
  }
};

}  // namespace rayx::head
