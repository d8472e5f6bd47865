// runtime/scheduling/cluster_view.h
//
// What one participant (head or node daemon) believes about the nodes of its cluster.
// Owner:    the core that places work.            Threads: that core's loop only.
// Inputs:   Upsert from registrations and heartbeats.   Outputs: nodes(), in the order of numbers.
// Promises: deterministic order; a node that was marked dead stays dead (numbers are never reused).
// Limits:   `available` is as old as the last heartbeat; Reserve makes the next decision see what
//           this one has just given away, until a heartbeat says better.
#pragma once

#include <map>
#include <string>

#include "model/ids.h"
#include "model/resources.h"

namespace rayx::scheduling {

using Labels = std::map<std::string, std::string>;

struct NodeView {
  model::NodeNumber number;
  std::string host_name;
  std::string address;     // ip:port of the daemon's server
  uint16_t data_port = 0;  // of its data server, at the same ip
  model::ResourceSet total;
  model::ResourceSet available;
  Labels labels;
  bool alive = true;
  std::string death_reason;
};

class ClusterView {
 public:
  // Adds the node or replaces what is known of it.
  void Upsert(const NodeView& node);
  // True when it was alive before.
  bool MarkDead(model::NodeNumber node, const std::string& reason);
  void Reserve(model::NodeNumber node, const model::ResourceSet& demand);

  const NodeView* Find(model::NodeNumber node) const;  // dead ones too; null = never heard of
  bool IsAlive(model::NodeNumber node) const;
  size_t alive_count() const;
  const std::map<model::NodeNumber, NodeView>& nodes() const { return nodes_; }

 private:
  std::map<model::NodeNumber, NodeView> nodes_;
};

}  // namespace rayx::scheduling
