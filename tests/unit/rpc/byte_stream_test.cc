// Goal: bytes cross a stream unchanged, plain and in TLS; in TLS the client knows whom it speaks
// to; hostile bytes end a stream with a reason. Method: both ends on loopback, turned by hand.
#include "rpc/byte_stream.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "base/prng.h"
#include "rpc/secret.h"
#include "tests/eventually.h"

namespace rayx::rpc {
namespace {

struct Members {
  explicit Members(bool with_tls) {
    if (!with_tls) return;
    authority = CertificateAuthority::Make("test").value();
    client.ca_pem = server.ca_pem = authority->certificate_pem();
    const SigningRequest request = MakeSigningRequest().value();
    server.key_pem = request.key_pem;
    server.certificate_pem = authority->Sign(request.request_pem, Role::kNode, "127.0.0.1").value();
  }
  std::unique_ptr<CertificateAuthority> authority;
  ClusterCredentials client;
  ClusterCredentials server;
};

class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name = {};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof name;
    auto* raw = reinterpret_cast<sockaddr*>(&name);
    REQUIRE(::bind(fd_.get(), raw, length) == 0);
    REQUIRE(::listen(fd_.get(), 8) == 0);
    REQUIRE(::getsockname(fd_.get(), raw, &length) == 0);
    address_ = {"127.0.0.1", ntohs(name.sin_port)};
  }
  const io::Address& address() const { return address_; }
  base::UniqueFd Accept() {
    return base::UniqueFd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  }

 private:
  base::UniqueFd fd_;
  io::Address address_;
};

struct Pair {
  explicit Pair(const Members& members, Role called = Role::kNode)
      : client(ByteStream::Connect(listener.address(),
                                   StreamSecurity::OfClient(members.client, called).value())
                   .value()),
        server(ByteStream::Accepted(listener.Accept(),
                                    StreamSecurity::OfServer(members.server).value())) {}

  // Until both ends are done or one has failed.
  void Handshake() {
    const auto is_over = [](StreamStep step) {
      return step != StreamStep::kWantsRead && step != StreamStep::kWantsWrite;
    };
    CHECK(testing::Eventually([&] {
      for (int i = 0; i < 10; ++i) {
        if (!is_over(client_step)) client_step = client->Handshake();
        if (!is_over(server_step)) server_step = server->Handshake();
      }
      return client_step == StreamStep::kFailed || (is_over(client_step) && is_over(server_step));
    }));
  }

  Listener listener;
  std::unique_ptr<ByteStream> client;
  std::unique_ptr<ByteStream> server;
  StreamStep client_step = StreamStep::kWantsWrite;
  StreamStep server_step = StreamStep::kWantsRead;
};

TEST_CASE("ByteStream: bytes cross unchanged, plain and in TLS, and then the end") {
  Pair pair(Members(GENERATE(false, true)));
  pair.Handshake();
  REQUIRE(pair.client_step == StreamStep::kDone);
  REQUIRE(pair.server_step == StreamStep::kDone);
  base::RandomStream random(3, 0, 0);
  std::vector<std::byte> sent(3 << 20);
  for (std::byte& byte : sent) byte = std::byte{static_cast<uint8_t>(random.Next())};
  std::vector<std::byte> received(sent.size());
  size_t written = 0;
  size_t piece = 0;
  size_t read = 0;
  CHECK(testing::Eventually([&] {
    for (int i = 0; i < 1000 && read < received.size(); ++i) {
      if (written < sent.size()) {
        if (piece == 0) piece = 1 + random.NextBelow(90'000);  // else it is given again
        piece = std::min(sent.size() - written, piece);
        const auto progress = pair.server->Write(std::span(sent).subspan(written, piece));
        if (progress.step != StreamStep::kDone && progress.step != StreamStep::kWantsWrite) break;
        CHECK((progress.step == StreamStep::kDone) == (progress.bytes > 0));
        written += progress.bytes;
        if (progress.bytes > 0) piece = 0;
      }
      const size_t room = std::min<size_t>(received.size() - read, 1 + random.NextBelow(90'000));
      const auto progress = pair.client->Read(std::span(received).subspan(read, room));
      if (progress.step != StreamStep::kDone && progress.step != StreamStep::kWantsRead) break;
      read += progress.bytes;
    }
    return read == received.size();
  }));
  CHECK(received == sent);
  pair.server.reset();
  std::byte none{};
  CHECK(testing::Eventually(
      [&] { return pair.client->Read(std::span(&none, 1)).step == StreamStep::kEnded; }));
}

TEST_CASE("ByteStream: readable once so many bytes have come, or the end") {
  Pair pair{Members(false)};
  pair.Handshake();
  const auto is_readable = [&] {
    pollfd waiting{pair.client->fd(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) == 1;
  };
  const std::vector<std::byte> half(500);
  std::vector<std::byte> received(2 * half.size());
  const auto bytes_there = [&] {
    int bytes = 0;
    ::ioctl(pair.client->fd(), FIONREAD, &bytes);
    return static_cast<size_t>(bytes);
  };
  pair.client->BeReadableFrom(2 * half.size());
  REQUIRE(pair.server->Write(half).bytes == half.size());
  CHECK(testing::Eventually([&] { return bytes_there() == half.size(); }));
  CHECK_FALSE(is_readable());
  SECTION("the rest comes") {
    REQUIRE(pair.server->Write(half).bytes == half.size());
    CHECK(testing::Eventually(is_readable));
    CHECK(pair.client->Read(received).bytes == received.size());
  }
  SECTION("what is there is read anyway") {
    CHECK(pair.client->Read(received).bytes == half.size());
  }
  SECTION("less is enough after all") {
    pair.client->BeReadableFrom(1);
    CHECK(testing::Eventually(is_readable));
  }
  SECTION("the end comes") {
    pair.server.reset();
    CHECK(testing::Eventually(is_readable));
  }
}

TEST_CASE("ByteStream: a client knows the authority and the role that it called") {
  Members members(true);
  SECTION("of another cluster") {
    members.client.ca_pem = CertificateAuthority::Make("test").value()->certificate_pem();
    Pair pair(members);
    pair.Handshake();
    CHECK(pair.client_step == StreamStep::kFailed);
    CHECK_THAT(pair.client->error(), Catch::Contains("certificate verify failed"));
  }
  SECTION("a node is no head") {
    Pair pair(members, Role::kHead);
    pair.Handshake();
    CHECK(pair.client_step == StreamStep::kFailed);
    CHECK_THAT(pair.client->error(), Catch::Contains("certificate verify failed"));
  }
}

TEST_CASE("ByteStream: bytes that are no TLS end the stream with a reason") {
  base::RandomStream random(9, 0, 0);
  Members members(true);
  const auto plain = StreamSecurity::OfClient(ClusterCredentials{}, Role::kNode).value();
  for (int i = 0; i < 50; ++i) {
    Listener listener;
    const auto client = ByteStream::Connect(listener.address(), plain).value();
    const auto server =
        ByteStream::Accepted(listener.Accept(), StreamSecurity::OfServer(members.server).value());
    REQUIRE(testing::Eventually([&] { return client->Handshake() == StreamStep::kDone; }));
    std::vector<std::byte> bytes(3000);
    for (std::byte& byte : bytes) byte = std::byte{static_cast<uint8_t>(random.Next())};
    if (i % 2 == 0) {  // so far a greeting of TLS
      const uint8_t head[] = {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03};
      std::copy(std::begin(head), std::end(head), reinterpret_cast<uint8_t*>(bytes.data()));
    }
    REQUIRE(client->Write(bytes).bytes == bytes.size());
    REQUIRE(testing::Eventually([&] { return server->Handshake() == StreamStep::kFailed; }));
    CHECK_FALSE(server->error().empty());
  }
}

TEST_CASE("ByteStream: nobody there is a reason, and so are credentials that are none") {
  const io::Address gone = Listener().address();
  const auto plain = StreamSecurity::OfClient(ClusterCredentials{}, Role::kNode).value();
  const auto stream = ByteStream::Connect(gone, plain);
  if (stream.ok()) {
    CHECK(testing::Eventually([&] { return (*stream)->Handshake() == StreamStep::kFailed; }));
    CHECK_THAT((*stream)->error(), Catch::Contains("refused"));
  } else {
    CHECK_THAT(std::string(base::Message(stream.status())), Catch::Contains("refused"));
  }
  ClusterCredentials wrong;
  wrong.ca_pem = "no certificate";
  CHECK_FALSE(StreamSecurity::OfClient(wrong, Role::kNode).ok());
  CHECK_FALSE(StreamSecurity::OfServer(wrong).ok());
}

}  // namespace
}  // namespace rayx::rpc
