#include "node/process_table.h"

#include <utility>

#include "base/log.h"
#include "node/wire.h"

namespace rayx::node {
namespace {

// Large enough that a pipelining owner seldom finds it full (where processes share CPUs, each full
// ring is a switch), small enough to stay in the cache.
constexpr shm::ChannelOptions kPeerChannel{.ring_bytes = 256 << 10, .claim_words = 4096};
constexpr shm::ChannelOptions kDaemonChannel{.ring_bytes = 64 << 10};

}  // namespace

bool Connection::Send(const proto::DaemonMessage& message, std::span<const int> fds) {
  const std::string bytes = message.SerializeAsString();
  return queue.Send(std::as_bytes(std::span(bytes)), fds);
}

base::StatusOr<Doorplate> Doorplate::Make(model::ProcessId process, int32_t pid) {
  Doorplate plate;
  RAYX_ASSIGN_OR_RETURN(plate.page_fd, shm::ProcessPage::CreateMemory(process, pid));
  RAYX_ASSIGN_OR_RETURN(plate.event_fd, shm::CreateDoorbellEvent());
  RAYX_ASSIGN_OR_RETURN(shm::ProcessPage page, shm::ProcessPage::Open(plate.page_fd.get()));
  plate.page = std::make_unique<shm::ProcessPage>(std::move(page));
  return plate;
}

base::Status ProcessTable::Prepare() {
  RAYX_ASSIGN_OR_RETURN(daemon_, Doorplate::Make(daemon_id(), ::getpid()));
  return absl::OkStatus();
}

base::StatusOr<LocalProcess*> ProcessTable::Add(proto::Role role, model::JobId job, int32_t pid,
                                                base::UniqueFd pidfd,
                                                std::unique_ptr<Connection> connection) {
  auto process = std::make_unique<LocalProcess>();
  process->id = model::ProcessId::Make(self_, next_number_);
  process->role = role;
  process->job = job;
  process->pid = pid;
  process->pidfd = std::move(pidfd);
  process->connection = std::move(connection);
  RAYX_ASSIGN_OR_RETURN(process->plate, Doorplate::Make(process->id, pid));
  RAYX_ASSIGN_OR_RETURN(base::UniqueFd channel, shm::Channel::CreateMemory(kDaemonChannel));
  RAYX_ASSIGN_OR_RETURN(process->channel, shm::Channel::Open(channel.get(), shm::Side::kFirst));
  process->doorbell =
      std::make_unique<shm::DoorbellProducer>(*process->plate.page, process->plate.event_fd.get());
  ++next_number_;
  welcome_channels_[process->id] = std::move(channel);
  LocalProcess* added = process.get();
  processes_.emplace(added->id, std::move(process));
  return added;
}

LocalProcess* ProcessTable::Find(model::ProcessId process) {
  auto it = processes_.find(process);
  return it == processes_.end() ? nullptr : it->second.get();
}

void ProcessTable::Remove(model::ProcessId process) {
  auto it = processes_.find(process);
  if (it == processes_.end()) return;
  for (model::ProcessId peer : it->second->peers) {
    if (LocalProcess* other = Find(peer)) other->peers.erase(process);
  }
  for (model::ProcessId peer : it->second->unconnected) {
    if (LocalProcess* other = Find(peer)) other->unconnected.erase(process);
  }
  welcome_channels_.erase(process);
  processes_.erase(it);
}

bool ProcessTable::SendWelcome(LocalProcess& process, const proto::DaemonMessage& welcome) {
  auto channel = welcome_channels_.find(process.id);
  if (channel == welcome_channels_.end()) return false;
  const int fds[] = {process.plate.page_fd.get(), process.plate.event_fd.get(),
                     channel->second.get(), daemon_.page_fd.get(), daemon_.event_fd.get()};
  Send(process, welcome, fds);
  process.welcomed = true;
  welcome_channels_.erase(channel);
  return true;
}

void ProcessTable::Send(LocalProcess& process, const proto::DaemonMessage& message,
                        std::span<const int> fds) {
  if (!process.connection || process.socket_lost) return;
  if (message.ByteSizeLong() > io::kPacketBytesMax) {
    proto::DaemonMessage cut = message;
    if (!FitIntoPacket(cut)) {
      RAYX_LOG(kError) << "a message of kind " << message.message_case() << " for "
                       << ToString(process.id) << " has " << message.ByteSizeLong()
                       << " bytes and is dropped";
      return;
    }
    return Send(process, cut, fds);
  }
  process.connection->Send(message, fds);
  if (!process.connection->queue.empty() || process.connection->queue.broken()) {
    on_queue_changed(process);
  }
}

base::Status ProcessTable::Connect(LocalProcess& first, LocalProcess& second) {
  if (first.id == second.id || first.peers.count(second.id) != 0) return absl::OkStatus();
  if (first.unconnected.count(second.id) != 0) {
    return absl::ResourceExhaustedError("no channel could be made for them before");
  }
  auto made = shm::Channel::CreateMemory(kPeerChannel);
  if (!made.ok()) {
    first.unconnected.insert(second.id);
    second.unconnected.insert(first.id);
    AddContact(first, second.id);
    AddContact(second, first.id);
    return made.status();
  }
  const base::UniqueFd channel = *std::move(made);
  first.peers.insert(second.id);
  second.peers.insert(first.id);
  AddContact(first, second.id);
  AddContact(second, first.id);
  const auto tell = [&](LocalProcess& to, const LocalProcess& peer, bool first_side) {
    proto::DaemonMessage message;
    auto* connected = message.mutable_peer_connected();
    connected->set_process(peer.id.value);
    connected->set_first_side(first_side);
    connected->set_pid(peer.pid);
    const int fds[] = {channel.get(), peer.plate.page_fd.get(), peer.plate.event_fd.get(),
                       peer.pidfd.get()};
    Send(to, message, fds);
  };
  tell(second, first, false);
  tell(first, second, true);
  return absl::OkStatus();
}

void ProcessTable::AddContact(LocalProcess& process, model::ProcessId other) {
  if (process.contacts.size() < kContactsMax) process.contacts.insert(other);
}

}  // namespace rayx::node
