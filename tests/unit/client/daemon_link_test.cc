// Goal: no message of a client is lost in silence. Method: the other end of the socket is the
// test's.
#include "client/daemon_link.h"

#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "rayx/detail/error_record.h"

namespace rayx::client {
namespace {

struct Ends {
  explicit Ends(size_t queued_bytes_max) {
    auto pair = io::PacketSocket::Pair();
    REQUIRE(pair.ok());
    REQUIRE(pair->first.SetNonBlocking().ok());
    REQUIRE(pair->second.SetNonBlocking().ok());
    daemon = std::move(pair->second);
    link = std::make_unique<DaemonLink>(std::move(pair->first), queued_bytes_max);
  }
  DaemonLink::Result Receive() { return link->Receive(message, fds, why); }

  io::PacketSocket daemon;
  std::unique_ptr<DaemonLink> link;
  proto::DaemonMessage message;
  std::vector<base::UniqueFd> fds;
  std::string why;
};

proto::ClientMessage Put(size_t bytes, uint64_t id = 1) {
  proto::ClientMessage message;
  message.mutable_head_request()->set_request_id(id);
  message.mutable_head_request()->mutable_kv_put()->set_value(std::string(bytes, 'v'));
  return message;
}

}  // namespace

TEST_CASE("DaemonLink: what waited and was sent counts no longer") {
  Ends ends(1 << 20);
  for (int round = 0; round < 20; ++round) {
    while (!ends.link->HasQueued()) REQUIRE(ends.link->Send(Put(60'000)));
    for (int i = 0; i < 10; ++i) REQUIRE(ends.link->Send(Put(60'000)));
    io::Packet packet;
    while (!ends.link->Flush() || ends.daemon.Receive(packet) == io::SocketResult::kOk) {
      while (ends.daemon.Receive(packet) == io::SocketResult::kOk) {
      }
    }
  }
  CHECK(ends.Receive() == DaemonLink::Result::kNothing);
}

TEST_CASE("DaemonLink: a daemon that takes nothing is the end of the link, with a sentence") {
  Ends ends(1 << 20);
  int sent = 0;
  while (ends.link->Send(Put(60'000)) && sent < 1000) ++sent;
  CHECK(sent > 10);
  CHECK(sent < 1000);
  CHECK(ends.link->HasQueued());
  CHECK(ends.Receive() == DaemonLink::Result::kGone);
  CHECK(ends.why.find("has not taken") != std::string::npos);
  CHECK_FALSE(ends.link->Send(Put(1)));
}

TEST_CASE("DaemonLink: a request too large for a packet is answered with an error") {
  Ends ends(1 << 20);
  REQUIRE(ends.link->Send(Put(200'000, 7)));
  CHECK(ends.link->HasQueued());
  REQUIRE(ends.Receive() == DaemonLink::Result::kMessage);
  CHECK(ends.message.head_response().request_id() == 7);
  CHECK(ends.message.head_response().error().code() == static_cast<int>(ErrorCode::kInvalidOption));
  proto::ClientMessage lease;
  lease.mutable_lease_request()->set_request_id(8);
  lease.mutable_lease_request()
      ->mutable_scheduling_class()
      ->mutable_resources()
      ->add_amounts()
      ->set_name(std::string(200'000, 'x'));
  REQUIRE(ends.link->Send(lease));
  REQUIRE(ends.Receive() == DaemonLink::Result::kMessage);
  CHECK(ends.message.lease_failed().request_id() == 8);
  CHECK(ends.Receive() == DaemonLink::Result::kNothing);
}

TEST_CASE(
    "DaemonLink: descriptors that this process has no room for cost the message, not the link") {
  Ends ends(1 << 20);
  proto::DaemonMessage connected;
  connected.mutable_peer_connected()->set_process(5);
  const std::string bytes = connected.SerializeAsString();
  const int fds[] = {ends.daemon.fd(), ends.daemon.fd()};
  REQUIRE(ends.daemon.Send(std::as_bytes(std::span(bytes)), fds) == io::SocketResult::kOk);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const base::UniqueFd highest(::dup(0));
  rlimit full = before;
  full.rlim_cur = static_cast<rlim_t>(highest.get()) + 1;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &full) == 0);
  const DaemonLink::Result result = ends.Receive();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  REQUIRE(result == DaemonLink::Result::kMessage);
  CHECK(ends.message.peer_connected().process() == 5);
  CHECK(ends.fds.empty());
  CHECK(ends.Receive() == DaemonLink::Result::kNothing);
}

}  // namespace rayx::client
