// Goal: packets arrive whole, with their descriptors, or the connection ends; nothing leaks.
// Method: real sockets in a private folder.
#include "io/packet_queue.h"
#include "io/packet_socket.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>

namespace rayx::io {
namespace {

std::vector<std::byte> Filled(size_t size, int value) {
  return std::vector<std::byte>(size, static_cast<std::byte>(value));
}

size_t OpenDescriptors() {
  size_t count = 0;
  DIR* folder = ::opendir("/proc/self/fd");
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

struct Folder {
  Folder() { REQUIRE(::mkdtemp(path) != nullptr); }
  ~Folder() { ::rmdir(path); }
  char path[32] = "/tmp/rayx-io-XXXXXX";
};

}  // namespace

TEST_CASE("PacketSocket: a packet arrives whole with descriptors that close on exec") {
  auto pair = PacketSocket::Pair();
  REQUIRE(pair.ok());
  const base::UniqueFd event(::eventfd(7, 0));
  const int fds[] = {event.get()};
  REQUIRE(pair->first.Send(Filled(kPacketBytesMax, 5), fds) == SocketResult::kOk);
  Packet packet;
  REQUIRE(pair->second.ReceiveWithin(packet, std::chrono::seconds(5)) == SocketResult::kOk);
  CHECK(packet.bytes == Filled(kPacketBytesMax, 5));
  REQUIRE(packet.fds.size() == 1);
  CHECK((::fcntl(packet.fds[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
  uint64_t value = 0;
  REQUIRE(::read(packet.fds[0].get(), &value, sizeof value) == sizeof value);
  CHECK(value == 7);
  CHECK(pair->second.ReceiveWithin(packet, std::chrono::milliseconds(0)) == SocketResult::kAgain);
  pair->first.Close();
  CHECK(pair->second.Receive(packet) == SocketResult::kClosed);
}

TEST_CASE("PacketSocket: too large a packet or too many descriptors are an error without a leak") {
  auto pair = PacketSocket::Pair();
  REQUIRE(pair.ok());
  CHECK(pair->first.Send(Filled(kPacketBytesMax + 1, 1)) == SocketResult::kError);
  CHECK(pair->first.Send({}) == SocketResult::kError);
  // A hostile peer is not bound by our Send.
  const auto large = Filled(kPacketBytesMax + 4096, 1);
  REQUIRE(::send(pair->first.fd(), large.data(), large.size(), 0) > 0);
  Packet packet;
  CHECK(pair->second.Receive(packet) == SocketResult::kError);
  const size_t before = OpenDescriptors();
  std::vector<int> many(kPacketFdsMax + 4, pair->first.fd());
  char byte = 1;
  iovec part{&byte, 1};
  std::vector<char> control(CMSG_SPACE(many.size() * sizeof(int)));
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(many.size() * sizeof(int));
  std::memcpy(CMSG_DATA(c), many.data(), many.size() * sizeof(int));
  REQUIRE(::sendmsg(pair->first.fd(), &message, 0) == 1);
  CHECK(pair->second.Receive(packet) == SocketResult::kError);
  packet.fds.clear();
  CHECK(OpenDescriptors() == before);
}

TEST_CASE(
    "PacketSocket: at the descriptor limit a packet comes without its descriptors, and says so") {
  auto pair = PacketSocket::Pair();
  REQUIRE(pair.ok());
  const int fds[] = {pair->first.fd()};
  REQUIRE(pair->first.Send(Filled(10, 5), fds) == SocketResult::kOk);
  REQUIRE(pair->first.Send(Filled(10, 6)) == SocketResult::kOk);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const base::UniqueFd highest(::dup(0));  // every lower number is in use
  rlimit full = before;
  full.rlim_cur = static_cast<rlim_t>(highest.get()) + 1;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &full) == 0);
  Packet packet;
  const SocketResult result = pair->second.Receive(packet);
  Packet next;
  const SocketResult later = pair->second.Receive(next);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(result == SocketResult::kFdsLost);
  CHECK(packet.bytes == Filled(10, 5));
  CHECK(packet.fds.empty());
  CHECK(later == SocketResult::kOk);
  CHECK(next.bytes == Filled(10, 6));
}

TEST_CASE("PacketListener: without descriptors a peer waits and is accepted later") {
  const Folder folder;
  auto listener = PacketListener::Listen(std::string(folder.path) + "/node.sock");
  REQUIRE(listener.ok());
  auto client = PacketSocket::Connect(std::string(folder.path) + "/node.sock");
  REQUIRE(client.ok());
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const base::UniqueFd highest(::dup(0));
  rlimit full = before;
  full.rlim_cur = static_cast<rlim_t>(highest.get()) + 1;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &full) == 0);
  Accepted accepted;
  std::string why;
  const SocketResult result = listener->Accept(accepted, why);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(result == SocketResult::kError);
  CHECK_FALSE(accepted.socket.valid());
  CHECK_FALSE(why.empty());
  CHECK(listener->Accept(accepted, why) == SocketResult::kOk);
}

TEST_CASE("PacketListener: it names the peer's pid, replaces a stale file and removes its own") {
  const Folder folder;
  const std::string path = std::string(folder.path) + "/node.sock";
  base::UniqueFd stale(::open(path.c_str(), O_CREAT | O_WRONLY, 0600));
  {
    auto listener = PacketListener::Listen(path);
    REQUIRE(listener.ok());
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    Accepted accepted;
    std::string why;
    CHECK(listener->Accept(accepted, why) == SocketResult::kAgain);
    auto client = PacketSocket::Connect(path);
    REQUIRE(client.ok());
    REQUIRE(listener->Accept(accepted, why) == SocketResult::kOk);
    CHECK(accepted.pid == ::getpid());
    REQUIRE(client->Send(Filled(3, 1)) == SocketResult::kOk);
    Packet packet;
    CHECK(accepted.socket.Receive(packet) == SocketResult::kOk);
  }
  CHECK(::access(path.c_str(), F_OK) != 0);
  CHECK_FALSE(PacketSocket::Connect(path).ok());
  CHECK_FALSE(PacketListener::Listen("/tmp/" + std::string(120, 'x')).ok());
}

TEST_CASE(
    "PacketQueue: what does not fit waits in order, and a peer that never reads is broken off") {
  auto pair = PacketSocket::Pair();
  REQUIRE(pair.ok());
  REQUIRE(pair->first.SetNonBlocking().ok());
  REQUIRE(pair->second.SetNonBlocking().ok());
  PacketQueue queue(pair->first, {.packets_max = 64, .bytes_max = 1 << 20});
  int sent = 0;
  while (queue.empty()) {
    REQUIRE(queue.Send(Filled(1000, sent % 100)));
    ++sent;
  }
  for (int i = 0; i < 10; ++i) REQUIRE(queue.Send(Filled(1000, sent++ % 100)));
  Packet packet;
  for (int received = 0; received < sent; ++received) {
    if (pair->second.Receive(packet) == SocketResult::kAgain) {
      REQUIRE(queue.Flush());
      REQUIRE(pair->second.Receive(packet) == SocketResult::kOk);
    }
    REQUIRE(packet.bytes == Filled(1000, received % 100));
  }
  CHECK(queue.empty());
  bool open = true;
  for (int i = 0; i < 100000 && open; ++i) open = queue.Send(Filled(1000, 1));
  CHECK_FALSE(open);
  CHECK(queue.broken());
  CHECK_FALSE(queue.Send(Filled(1, 1)));
}

TEST_CASE("PacketQueue: a packet that is too large is refused and costs the peer nothing") {
  auto pair = PacketSocket::Pair();
  REQUIRE(pair.ok());
  PacketQueue queue(pair->first);
  CHECK_FALSE(queue.Send(Filled(kPacketBytesMax + 1, 1)));
  CHECK_FALSE(queue.broken());
  CHECK(queue.Send(Filled(8, 2)));
  Packet packet;
  REQUIRE(pair->second.Receive(packet) == SocketResult::kOk);
  CHECK(packet.bytes == Filled(8, 2));
}

}  // namespace rayx::io
