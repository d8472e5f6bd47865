// Goal: a store that a process is not given, or cannot use, is an error with its reason at once.
// Method: a client whose daemon is the test: it answers as it likes.
#include <sys/eventfd.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>

#include "client/cluster_client.h"
#include "rayx/detail/packed.h"
#include "rayx/errors.h"
#include "shm/channel.h"

namespace rayx::client {
namespace {

using std::chrono::steady_clock;

constexpr model::NodeNumber kNode{1};
constexpr uint32_t kJob = 7;

// Answers AttachSegment as it is told to, in a thread of its own, until the client is gone.
class ScriptedDaemon {
 public:
  using Script = std::function<proto::DaemonMessage(const proto::AttachSegment&)>;

  explicit ScriptedDaemon(Script script) {
    auto pair = io::PacketSocket::Pair();
    REQUIRE(pair.ok());
    REQUIRE(pair->first.SetNonBlocking().ok());
    socket_ = std::move(pair->second);
    WelcomePacket welcome;
    const auto self = model::ProcessId::Make(kNode, 5);
    welcome.welcome.set_process(self.value);
    welcome.welcome.set_job(kJob);
    welcome.fds.push_back(*shm::ProcessPage::CreateMemory(self, ::getpid()));
    welcome.fds.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    welcome.fds.push_back(*shm::Channel::CreateMemory());
    welcome.fds.push_back(*shm::ProcessPage::CreateMemory(model::ProcessId::Make(kNode, 0), 1));
    welcome.fds.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    thread_ = std::thread([this, script = std::move(script)] { Serve(script); });
    auto created = ClusterClient::Create(DaemonLink(std::move(pair->first)), std::move(welcome),
                                         /*is_worker=*/false, WorkerOutput::kHidden, nullptr);
    REQUIRE(created.ok());
    client = *std::move(created);
  }
  ~ScriptedDaemon() {
    client.reset();
    thread_.join();
  }

  // The error of a Put of more than a frame takes, and that it came soon.
  std::string WhyNotPut() {
    detail::Packed value;
    value.structure = std::string(1 << 20, 'x');
    const auto begin = steady_clock::now();
    std::string why;
    try {
      client->Put(value);
    } catch (const ObjectLost& error) {
      why = error.message();
    }
    CHECK(steady_clock::now() - begin < std::chrono::seconds(5));
    return why;
  }

  std::unique_ptr<ClusterClient> client;

 private:
  void Serve(const Script& script) {
    io::Packet packet;
    while (socket_.Receive(packet) == io::SocketResult::kOk) {
      proto::ClientMessage asked;
      if (!asked.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size()))) return;
      proto::DaemonMessage answer;
      if (asked.has_attach_segment()) {
        answer = script(asked.attach_segment());
      } else if (asked.has_goodbye()) {
        answer.mutable_goodbye_heard();
      } else {
        continue;
      }
      const std::string bytes = answer.SerializeAsString();
      if (socket_.Send(std::as_bytes(std::span(bytes))) != io::SocketResult::kOk) return;
    }
  }

  io::PacketSocket socket_;
  std::thread thread_;
};

}  // namespace

// Regression: the client waited 10 s and said that the store could not be mapped.
TEST_CASE("ClusterClient: a segment that the daemon refuses is an error with its reason") {
  int asked = 0;
  ScriptedDaemon daemon([&](const proto::AttachSegment&) {
    proto::DaemonMessage refused;
    refused.mutable_refused()->mutable_error()->set_code(static_cast<int>(ErrorCode::kObjectLost));
    refused.mutable_refused()->mutable_error()->set_message("reason " + std::to_string(++asked));
    return refused;
  });
  CHECK(daemon.WhyNotPut() == "the store of job 7 is out of reach: reason 1");
  CHECK(daemon.WhyNotPut() == "the store of job 7 is out of reach: reason 2");
}

TEST_CASE("ClusterClient: a segment without its descriptors is an error with its reason") {
  ScriptedDaemon daemon([](const proto::AttachSegment& asked) {
    proto::DaemonMessage attached;
    attached.mutable_segment_attached()->set_job(asked.job());
    return attached;
  });
  CHECK(daemon.WhyNotPut() ==
        "the store of job 7 is out of reach: its descriptors did not arrive (ulimit -n)");
}

}  // namespace rayx::client
