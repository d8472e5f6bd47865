// tests/unit/store/transfer_fixture.h
//
// What the tests of transfers share: two nodes with a data server and a data client between them,
// and peers with a mind of their own on raw sockets.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <atomic>
#include <cstring>
#include <string>

#include "rpc/certificate.h"
#include "rpc/secret.h"
#include "store/transfer/data_client.h"
#include "store/transfer/data_server.h"
#include "store/transfer/data_wire.h"
#include "store_fixture.h"
#include "tests/eventually.h"

namespace rayx::store {

using namespace std::chrono_literals;

inline const ProcessId kOwner = ProcessId::Make(NodeNumber{1}, 1);
inline const ProcessId kReader = ProcessId::Make(NodeNumber{2}, 1);

struct TestCluster {
  explicit TestCluster(bool with_tls) {
    client.token = rpc::RandomHex(rpc::kTokenBytes);
    server = client;
    if (!with_tls) return;
    authority = rpc::CertificateAuthority::Make("test").value();
    client.ca_pem = server.ca_pem = authority->certificate_pem();
    const auto request = rpc::MakeSigningRequest().value();
    server.key_pem = request.key_pem;
    server.certificate_pem =
        authority->Sign(request.request_pem, rpc::Role::kNode, "127.0.0.1").value();
  }
  std::unique_ptr<rpc::CertificateAuthority> authority;
  rpc::ClusterCredentials client;
  rpc::ClusterCredentials server;
};

// A blocking socket that gives up after 20 s.
class RawPeer {
 public:
  explicit RawPeer(base::UniqueFd fd) : fd_(std::move(fd)) {
    const timeval patience{20, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  }
  static RawPeer To(const io::Address& address) {
    base::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in name = {};
    name.sin_family = AF_INET;
    name.sin_port = htons(address.port);
    ::inet_pton(AF_INET, address.ip.c_str(), &name.sin_addr);
    const bool is_connected =
        ::connect(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) == 0;
    if (!is_connected) fd.Reset();
    return RawPeer(std::move(fd));
  }

  bool Send(std::span<const std::byte> bytes) {
    return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  template <typename Message>
  bool Say(const Message& message) {
    return Send(BytesOf(message));
  }
  bool Receive(std::span<std::byte> bytes) {
    size_t filled = 0;
    while (filled < bytes.size()) {
      const ssize_t n = ::recv(fd_.get(), bytes.data() + filled, bytes.size() - filled, 0);
      if (n <= 0) return false;
      filled += static_cast<size_t>(n);
    }
    return true;
  }
  template <typename Message>
  std::optional<Message> Receive() {
    Message message;
    return Receive(RoomOf(message)) ? std::optional(message) : std::nullopt;
  }
  // The other side closes without another byte.
  bool IsClosed() {
    std::byte one{};
    const ssize_t n = ::recv(fd_.get(), &one, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
  }
  void Close() { fd_.Reset(); }
  bool is_open() const { return fd_.valid(); }

 private:
  base::UniqueFd fd_;
};

inline DataGreeting Greeting(const std::string& token) {
  DataGreeting greeting;
  std::memcpy(greeting.token, token.data(), std::min(token.size(), sizeof greeting.token));
  return greeting;
}

struct TwoNodes {
  explicit TwoNodes(bool with_tls = false, DataServerOptions server_options = {})
      : cluster(with_tls) {
    server_options.credentials = cluster.server;
    // Everything of both nodes runs on the test's thread, which waits in the second store's loop.
    server = DataServer::Start(server_options, *threads, second.loop.Post()).value();
    server->SetStore(first.store);
    client->SetSelf(NodeNumber{2});
    REQUIRE(first.store.OpenJob(kJob).ok());
    REQUIRE(second.store.OpenJob(kJob).ok());
    REQUIRE(first.Attach(owner).ok());
    REQUIRE(second.Attach(reader).ok());
  }
  ~TwoNodes() {
    second.store.Stop();
    server->Stop();
    client->Stop();
    threads->Stop();  // before the loops, which connections post to
  }

  std::unique_ptr<DataClient> MakeClient() {
    DataClientOptions options;
    options.credentials = cluster.client;
    options.find_peer = [this](NodeNumber node) -> std::optional<io::Address> {
      ++fetches;
      if (node != NodeNumber{1}) return std::nullopt;
      return server->address();
    };
    return DataClient::Make(std::move(options), *threads).value();
  }
  StoredLocation Put(uint64_t sequence, uint64_t bytes) {
    return store::Put(first, owner, {kOwner, sequence}, bytes);
  }
  // Runs `talk` on a thread of its own while the loop goes on.
  void Beside(const std::function<void()>& talk) {
    std::atomic<bool> is_done{false};
    std::thread thread([&] {
      talk();
      is_done = true;
      second.loop.Post()([] {});
    });
    CHECK(second.loop.RunUntil([&] { return is_done.load(); }));
    thread.join();
  }
  // A connection that has been welcomed.
  RawPeer Welcomed() {
    RawPeer peer = RawPeer::To(server->address());
    peer.Say(Greeting(cluster.client.token));
    const auto welcome = peer.Receive<DataWelcome>();
    if (!welcome || welcome->verdict != DataVerdict::kWelcome) peer.Close();
    return peer;
  }

  const TestCluster cluster;
  int fetches = 0;  // begun by the second store
  std::unique_ptr<DataThreads> threads = DataThreads::Start(2).value();
  std::unique_ptr<DataClient> client = MakeClient();
  StoreRig first{64 * kMiB, 1};
  StoreRig second{64 * kMiB, 2, client.get()};
  std::unique_ptr<DataServer> server;
  shm::ClientSegments owner{kOwner};
  shm::ClientSegments reader{kReader};
};

// What is being sent is let go of a moment after its last byte has arrived.
inline bool IsEmptySoon(StoreRig& rig) {
  return testing::Eventually([&rig] {
    rig.store.Tick();
    return rig.store.used_bytes() == 0;
  });
}

}  // namespace rayx::store
