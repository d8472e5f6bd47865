// tests/unit/node/fake_process.h
//
// A process of the fake cluster as its node daemon sees it: socket, daemon channel, peers. No
// doorbell of its own: it looks at its rings whenever it is asked for something.
#pragma once

#include <poll.h>

#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "io/clock.h"
#include "io/packet_socket.h"
#include "model/frame.h"
#include "proto/local.pb.h"
#include "shm/channel.h"
#include "shm/doorbell.h"
#include "shm/process_page.h"

namespace rayx::node::testing {

struct FakeFrame {
  model::FrameHeader header;
  std::vector<std::byte> body;
};

struct FakePeer {
  std::unique_ptr<shm::Channel> channel;
  std::unique_ptr<shm::ProcessPage> page;
  base::UniqueFd eventfd;
  base::UniqueFd pidfd;
};

class FakeProcess {
 public:
  explicit FakeProcess(io::PacketSocket socket) : socket_(std::move(socket)) {}

  void Send(const proto::ClientMessage& message) {
    const std::string bytes = message.SerializeAsString();
    socket_.Send(std::as_bytes(std::span(bytes)));
  }

  // The next message of this kind, within the time; others wait for their turn.
  std::optional<proto::DaemonMessage> Await(proto::DaemonMessage::MessageCase kind,
                                            int timeout_ms = 10000) {
    std::optional<proto::DaemonMessage> found;
    Poll(timeout_ms, [&] {
      for (auto it = messages_.begin(); it != messages_.end(); ++it) {
        if (it->message_case() != kind) continue;
        found = std::move(*it);
        messages_.erase(it);
        return true;
      }
      return false;
    });
    return found;
  }
  // The next frame that was sent to this process, of any lane.
  std::optional<FakeFrame> AwaitFrame(int timeout_ms = 10000) {
    std::optional<FakeFrame> found;
    Poll(timeout_ms, [&] {
      if (frames_.empty()) return false;
      found = std::move(frames_.front());
      frames_.pop_front();
      return true;
    });
    return found;
  }
  // Reads socket and rings until `done`, at most for the time.
  bool Poll(int timeout_ms, const std::function<bool()>& done) {
    const io::PosixClock clock;
    const auto deadline = clock.Now() + std::chrono::milliseconds(timeout_ms);
    while (true) {
      ReadSocket();
      ReadRings();
      if (done()) return true;
      if (clock.Now() >= deadline || closed_) return false;
      pollfd fds[2] = {{socket_.fd(), POLLIN, 0}, {eventfd_.get(), POLLIN, 0}};
      ::poll(fds, 2, 5);
    }
  }

  // Through the direct channel if there is one, else the daemon's. False: no room.
  bool SendFrame(model::FrameHeader header, std::span<const std::byte> body, bool direct = true) {
    header.source = self;
    auto it = peers_.find(header.destination);
    FakePeer& way = direct && it != peers_.end() ? it->second : peers_.at(daemon());
    if (!way.channel->TryWrite(header, body)) return false;
    way.channel->Publish();
    shm::DoorbellProducer(*way.page, way.eventfd.get()).RingUrgent();
    return true;
  }
  bool HasPeer(model::ProcessId process) const { return peers_.count(process) != 0; }
  model::ProcessId daemon() const { return model::ProcessId::Make(self.node(), 0); }
  bool closed() const { return closed_; }
  void Close() {
    socket_.Close();
    closed_ = true;
  }
  void set_reads_rings(bool reads) { reads_rings_ = reads; }

  model::ProcessId self;
  proto::Welcome welcome;

 private:
  void AddPeer(model::ProcessId process, shm::Side side, std::vector<base::UniqueFd>& fds,
               size_t channel, size_t page, size_t event, int pidfd) {
    FakePeer peer;
    peer.channel = *shm::Channel::Open(fds[channel].get(), side);
    peer.page = std::make_unique<shm::ProcessPage>(*shm::ProcessPage::Open(fds[page].get()));
    peer.eventfd = std::move(fds[event]);
    if (pidfd >= 0) peer.pidfd = std::move(fds[static_cast<size_t>(pidfd)]);
    peers_[process] = std::move(peer);
  }

  void ReadSocket() {
    io::Packet packet;
    while (!closed_) {
      const io::SocketResult result = socket_.ReceiveWithin(packet, std::chrono::milliseconds(0));
      if (result == io::SocketResult::kAgain) return;
      proto::DaemonMessage message;
      if (result != io::SocketResult::kOk ||
          !message.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size()))) {
        closed_ = true;
        return;
      }
      if (message.has_welcome() && packet.fds.size() == 5) {
        welcome = message.welcome();
        self = model::ProcessId{welcome.process()};
        eventfd_ = std::move(packet.fds[1]);
        AddPeer(daemon(), shm::Side::kSecond, packet.fds, 2, 3, 4, -1);
      } else if (message.has_peer_connected() && packet.fds.size() == 4) {
        AddPeer(model::ProcessId{message.peer_connected().process()},
                message.peer_connected().first_side() ? shm::Side::kFirst : shm::Side::kSecond,
                packet.fds, 0, 1, 2, 3);
      }
      messages_.push_back(std::move(message));
    }
  }

  void ReadRings() {
    if (!reads_rings_) return;
    eventfd_t ignored;
    if (eventfd_) (void)::eventfd_read(eventfd_.get(), &ignored);
    for (auto& [id, peer] : peers_) {
      for (const shm::Lane lane : {shm::Lane::kReplies, shm::Lane::kCalls}) {
        shm::ReceivedFrame frame;
        while (peer.channel->Peek(lane, frame) == shm::ReadResult::kFrame) {
          if (lane == shm::Lane::kReplies || peer.channel->TryClaim(frame)) {
            frames_.push_back({frame.header, {frame.body.begin(), frame.body.end()}});
            if (lane == shm::Lane::kCalls) {
              peer.channel->MarkDone(frame.header.claim_slot, frame.header.cookie_sequence);
            }
          }
          peer.channel->Pop(lane);
        }
      }
    }
  }

  io::PacketSocket socket_;
  base::UniqueFd eventfd_;
  std::map<model::ProcessId, FakePeer> peers_;
  std::deque<proto::DaemonMessage> messages_;
  std::deque<FakeFrame> frames_;
  bool closed_ = false;
  bool reads_rings_ = true;
};

}  // namespace rayx::node::testing
