// runtime/node/local_process.h
//
// What a node daemon holds of one process of this node: socket, shared memory, pidfd, relations.
// Owner:    ProcessTable.           Threads: the node loop only.
// Promises: descriptors are closed and memory unmapped with the object.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/status.h"
#include "io/packet_queue.h"
#include "io/packet_socket.h"
#include "model/ids.h"
#include "node/core/worker_pool_core.h"
#include "proto/local.pb.h"
#include "shm/channel.h"
#include "shm/doorbell.h"
#include "shm/process_page.h"

namespace rayx::node {

// A socket with what waits to be sent. Lives before its process says Hello.
struct Connection {
  explicit Connection(io::PacketSocket its_socket) : socket(std::move(its_socket)), queue(socket) {}
  // False: the peer is gone or far too slow.
  bool Send(const proto::DaemonMessage& message, std::span<const int> fds = {});

  io::PacketSocket socket;
  io::PacketQueue queue;
};

// The shared memory by which a process is rung and written to; also the daemon's own page.
struct Doorplate {
  static base::StatusOr<Doorplate> Make(model::ProcessId process, int32_t pid);

  base::UniqueFd page_fd;
  base::UniqueFd event_fd;
  std::unique_ptr<shm::ProcessPage> page;
};

struct LocalProcess {
  model::ProcessId id;
  proto::Role role = proto::WORKER;
  model::JobId job;
  int32_t pid = 0;
  base::UniqueFd pidfd;
  StartId start;  // a worker's
  std::string program_key;
  std::string job_namespace;
  std::unique_ptr<Connection> connection;
  Doorplate plate;
  std::unique_ptr<shm::Channel> channel;  // between the daemon (first side) and the process
  std::unique_ptr<shm::DoorbellProducer> doorbell;
  std::set<model::ProcessId> peers;        // of this node, with a channel of their own
  std::set<model::ProcessId> unconnected;  // of this node, for whom no channel could be made
  std::set<model::ProcessId> contacts;     // to be told of its death: peers, owners, correspondents
  std::string end_reason;                  // why the daemon ended it, "" = it did not
  bool socket_lost = false;
  bool welcomed = false;
  bool said_goodbye = false;
  bool actor_exits = false;    // its actor has called ExitActor
  uint32_t head_requests = 0;  // under way, without:
  uint32_t long_polls = 0;     // under way or waiting for their turn
};

}  // namespace rayx::node
