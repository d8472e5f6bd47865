// Goal:   the data port gives nothing to who has no token, answers hostile requests with an error
//         or the end of the connection, and no peer keeps what it does not take.
// Method: raw sockets against a data server with short patience.
#include <catch2/catch.hpp>

#include "base/prng.h"
#include "transfer_fixture.h"

namespace rayx::store {
namespace {

// Where nobody is to be in time: a thread of the test may stand still for a second.
DataServerOptions Impatient() {
  DataServerOptions options;
  options.handshake_max = 1s;
  options.stall_max = 1500ms;
  return options;
}

DataRequest For(const StoredLocation& at, uint64_t offset, uint64_t bytes) {
  DataRequest request;
  request.source = at;
  request.offset = offset;
  request.bytes = bytes;
  request.asker = 2;
  return request;
}

// The text behind a refusal.
std::string Text(RawPeer& peer, const DataHead& head) {
  std::string text(std::min<size_t>(head.count, 4096), '\0');
  CHECK(peer.Receive(std::as_writable_bytes(std::span(text))));
  return text;
}

TEST_CASE("Data server: without the token there is a verdict at most, and the end") {
  TwoNodes nodes;
  const std::string& token = nodes.cluster.client.token;
  const StoredLocation at = nodes.Put(1, kMiB);
  RawPeer peer = RawPeer::To(nodes.server->address());
  REQUIRE(peer.is_open());
  SECTION("a wrong token, a request behind it") {
    DataGreeting greeting = Greeting(token);
    const size_t digit = GENERATE(size_t{0}, size_t{31}, size_t{63});
    greeting.token[digit] = greeting.token[digit] == '0' ? '1' : '0';
    // Its version does not matter: who has no token learns none.
    greeting.version = GENERATE(kDataVersion, 77u);
    CHECK(peer.Say(greeting));
    peer.Say(For(at, 0, kMiB));
    const auto welcome = peer.Receive<DataWelcome>();
    REQUIRE(welcome.has_value());
    CHECK(welcome->verdict == DataVerdict::kWrongToken);
  }
  SECTION("another version") {
    DataGreeting greeting = Greeting(token);
    greeting.version = kDataVersion + 1;
    CHECK(peer.Say(greeting));
    const auto welcome = peer.Receive<DataWelcome>();
    REQUIRE(welcome.has_value());
    CHECK(welcome->verdict == DataVerdict::kWrongVersion);
    CHECK(welcome->version == kDataVersion);
  }
  SECTION("another protocol") {
    std::string text = "GET / HTTP/1.1\r\nHost: " + std::string(200, 'h') + "\r\n\r\n";
    CHECK(peer.Send(std::as_bytes(std::span(text))));
  }
  CHECK(peer.IsClosed());
}

TEST_CASE("Data server: who does not greet in time is cut off") {
  TwoNodes nodes(false, Impatient());
  RawPeer peer = RawPeer::To(nodes.server->address());
  REQUIRE(peer.is_open());
  SECTION("silence") {}
  SECTION("a greeting that does not end") {
    const DataGreeting greeting = Greeting(nodes.cluster.client.token);
    CHECK(peer.Send(BytesOf(greeting).first(sizeof greeting - 1)));
  }
  CHECK(peer.IsClosed());
}

TEST_CASE("Data server: every greeting with a bit turned is refused") {
  TwoNodes nodes;
  const DataGreeting good = Greeting(nodes.cluster.client.token);
  for (size_t byte = 0; byte < sizeof good; ++byte) {
    if (byte >= 12 && byte < 16) continue;  // reserved
    DataGreeting bad = good;
    RoomOf(bad)[byte] ^= std::byte{static_cast<uint8_t>(1u << byte % 8)};
    RawPeer peer = RawPeer::To(nodes.server->address());
    CHECK(peer.Say(bad));
    const auto welcome = peer.Receive<DataWelcome>();
    INFO(byte);
    CHECK((!welcome || welcome->verdict != DataVerdict::kWelcome));
    if (welcome) CHECK(peer.IsClosed());
  }
}

TEST_CASE("Data server: strangers beyond the bound push out the oldest, members come in") {
  DataServerOptions options;
  options.strangers_max = 4;
  options.handshake_max = std::chrono::seconds(60);  // longer than the test waits
  TwoNodes nodes(false, options);
  std::vector<RawPeer> strangers;
  for (int i = 0; i < 12; ++i) strangers.push_back(RawPeer::To(nodes.server->address()));
  for (int i = 0; i < 8; ++i) CHECK(strangers[static_cast<size_t>(i)].IsClosed());
  CHECK(nodes.Welcomed().is_open());
}

TEST_CASE("Data server: connections beyond the bound are closed at once") {
  DataServerOptions options;
  options.connections_max = 3;
  options.handshake_max = std::chrono::seconds(60);  // longer than the test waits
  TwoNodes nodes(false, options);
  std::vector<RawPeer> peers;
  for (int i = 0; i < 3; ++i) {
    peers.push_back(nodes.Welcomed());
    CHECK(peers.back().is_open());
  }
  CHECK(RawPeer::To(nodes.server->address()).IsClosed());
  peers.pop_back();
  CHECK(testing::Eventually([&] { return nodes.Welcomed().is_open(); }));
}

TEST_CASE("Data server: odd requests are answered, and the connection goes on") {
  TwoNodes nodes;
  StoredLocation at = nodes.Put(1, 3 * kMiB + 1);
  RawPeer peer = nodes.Welcomed();
  REQUIRE(peer.is_open());
  std::optional<DataHead> head;
  const auto ask = [&](const DataRequest& request) {
    head.reset();
    CHECK(peer.Say(request));
    nodes.Beside([&] { head = peer.Receive<DataHead>(); });
    REQUIRE(head.has_value());
  };
  const auto refused = [&](DataAnswer answer, const char* why) {
    CHECK(head->answer == answer);
    CHECK_THAT(Text(peer, *head), Catch::Contains(why));
  };
  ask(For(at, kMiB, 3 * kMiB));
  refused(DataAnswer::kRefused, "not inside");
  ask(For(at, UINT64_MAX, 3 * kMiB));
  refused(DataAnswer::kRefused, "not inside");
  ask(For(at, 1, UINT64_MAX));
  refused(DataAnswer::kRefused, "not inside");
  ask(For(at, 0, 0));
  CHECK(head->answer == DataAnswer::kBytes);
  CHECK(head->bytes == 0);
  ask(For(at, kMiB + 5, kMiB));  // from the middle
  CHECK(head->offset == kMiB + 5);
  REQUIRE(head->bytes == kMiB);
  std::vector<std::byte> bytes(kMiB);
  CHECK(peer.Receive(bytes));
  CHECK(bytes.front() == PatternAt(1, kMiB + 5));
  CHECK(bytes.back() == PatternAt(1, 2 * kMiB + 4));
  at.node = NodeNumber{7};
  ask(For(at, 0, 1));
  refused(DataAnswer::kLost, "no part of object");
  at.node = NodeNumber{1};
  at.generation += 1;
  ask(For(at, 0, 1));
  refused(DataAnswer::kLost, "not on this node any more");
  at.generation -= 1;
  nodes.server->Stop();
  ask(For(at, 0, 1));
  refused(DataAnswer::kRefused, "stopping");
}

TEST_CASE("Data server: hostile requests change nothing for others") {
  TwoNodes nodes;
  const StoredLocation at = nodes.Put(1, 2 * kMiB);
  base::RandomStream random(11, 0, 0);
  int rounds = 0;
  nodes.Beside([&] {
    for (int i = 0; i < 200; ++i) {
      DataRequest request = For(at, 0, kMiB);
      const auto room = RoomOf(request);
      for (uint64_t flips = 1 + random.NextBelow(6); flips > 0; --flips) {
        room[random.NextBelow(room.size())] = std::byte{static_cast<uint8_t>(random.Next())};
      }
      RawPeer peer = nodes.Welcomed();
      if (!peer.is_open()) return;  // fewer rounds are counted
      ++rounds;
      peer.Send(room.first(1 + random.NextBelow(room.size())));
      if (random.NextBelow(2) == 0) continue;  // gone at once
      peer.Say(request);
    }
  });
  CHECK(rounds == 200);
  const Result copy = nodes.second.Pull(kReader, at);
  REQUIRE(copy.ok());
  const auto pinned = nodes.reader.Pin(*copy);
  REQUIRE(pinned.ok());
  CHECK(HasPattern(pinned->bytes(), 1));
}

TEST_CASE("Data server: a peer that takes no bytes is cut off and keeps no pin") {
  DataServerOptions options;
  options.stall_max = 1500ms;
  TwoNodes nodes(false, options);
  const StoredLocation at = nodes.Put(1, 40 * kMiB);
  RawPeer peer = nodes.Welcomed();
  const auto asked_at = std::chrono::steady_clock::now();
  REQUIRE(peer.Say(For(at, 0, 40 * kMiB)));
  std::optional<DataHead> head;
  nodes.Beside([&] { head = peer.Receive<DataHead>(); });
  REQUIRE(head.has_value());
  CHECK(head->bytes == 40 * kMiB);
  nodes.first.store.Free(at, kOwner);
  nodes.first.store.Tick();
  const uint64_t used = nodes.first.store.used_bytes();
  // Later it may have been cut off already.
  if (std::chrono::steady_clock::now() - asked_at < 1500ms) CHECK(used > 0);
  CHECK(IsEmptySoon(nodes.first));
}

TEST_CASE("Data server: in TLS nobody gets in without it") {
  DataServerOptions options;
  options.handshake_max = 3s;  // which the last one here is to keep
  TwoNodes nodes(true, options);
  const StoredLocation at = nodes.Put(1, kMiB);
  SECTION("plain") {
    RawPeer peer = RawPeer::To(nodes.server->address());
    CHECK(peer.Say(Greeting(nodes.cluster.client.token)));
    CHECK_FALSE(peer.Receive<DataWelcome>().has_value());
  }
  SECTION("silence") {
    CHECK(RawPeer::To(nodes.server->address()).IsClosed());
  }
  CHECK(nodes.second.Pull(kReader, at).ok());
}

TEST_CASE("Data server: a port that is taken is named") {
  TwoNodes nodes;
  DataServerOptions options;
  options.credentials = nodes.cluster.server;
  options.port = nodes.server->address().port;
  const auto second = DataServer::Start(options, *nodes.threads, nodes.first.loop.Post());
  REQUIRE_FALSE(second.ok());
  CHECK_THAT(std::string(base::Message(second.status())),
             Catch::Contains(nodes.server->address().ToString()) && Catch::Contains("in use"));
}

}  // namespace
}  // namespace rayx::store
