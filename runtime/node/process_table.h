// runtime/node/process_table.h
//
// The processes of this node that speak to the daemon, and the shared memory between them.
// Owner:    NodeShell.
// Threads:  the node loop only.
// Promises: process numbers are never used twice; two processes are connected at most once; a
//           message to a process that is gone is dropped. One too large for a packet is cut (see
//           FitIntoPacket): whoever it is for is not cut off for that.
// Limits:   kContactsMax relations are remembered a process; beyond them the death of the process
//           is told to all of this node.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "node/local_process.h"

namespace rayx::node {

class ProcessTable {
 public:
  static constexpr size_t kContactsMax = 65536;

  explicit ProcessTable(model::NodeNumber self) : self_(self) {}

  // Makes the daemon's own page. Before anything else.
  base::Status Prepare();
  const Doorplate& daemon() const { return daemon_; }
  model::ProcessId daemon_id() const { return model::ProcessId::Make(self_, 0); }

  // A new process with its page, eventfd and daemon channel.
  base::StatusOr<LocalProcess*> Add(proto::Role role, model::JobId job, int32_t pid,
                                    base::UniqueFd pidfd, std::unique_ptr<Connection> connection);
  LocalProcess* Find(model::ProcessId process);
  void Remove(model::ProcessId process);

  // Welcome with its five descriptors.
  bool SendWelcome(LocalProcess& process, const proto::DaemonMessage& welcome);
  void Send(LocalProcess& process, const proto::DaemonMessage& message,
            std::span<const int> fds = {});
  // Makes a channel between two processes and tells both; nothing to do when there is one. Where it
  // fails once there will be none: their frames go through the daemon.
  base::Status Connect(LocalProcess& first, LocalProcess& second);
  void AddContact(LocalProcess& process, model::ProcessId other);

  // Called when a process's queue begins to wait, or its socket breaks.
  std::function<void(LocalProcess&)> on_queue_changed;

  std::map<model::ProcessId, std::unique_ptr<LocalProcess>>& all() { return processes_; }

 private:
  const model::NodeNumber self_;
  Doorplate daemon_;
  uint32_t next_number_ = 1;
  std::map<model::ProcessId, base::UniqueFd> welcome_channels_;  // until they are sent
  std::map<model::ProcessId, std::unique_ptr<LocalProcess>> processes_;
};

}  // namespace rayx::node
