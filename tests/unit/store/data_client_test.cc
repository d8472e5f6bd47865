// Goal:   whatever a data server says or leaves unsaid, a fetch ends once, with a cause, and writes
//         nothing outside the place that it was given.
// Method: a scripted server on a raw socket, a sink that keeps watch over its memory.
#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>

#include "base/prng.h"
#include "transfer_fixture.h"

namespace rayx::store {
namespace {

constexpr uint64_t kObjectBytes = 2 * kMiB + 100;

// Memory of an object with guards around it.
class WatchedSink final : public ChunkSink {
 public:
  std::span<std::byte> Place(uint64_t offset, uint64_t bytes) override {
    const std::lock_guard lock(mutex_);
    if (is_done_) calls_after_end_ = true;
    const bool is_chunk = offset % kChunkBytes == 0 && offset < kObjectBytes &&
                          bytes == std::min(kChunkBytes, kObjectBytes - offset);
    if (!is_chunk) return {};
    return std::span(memory_).subspan(kGuard + offset, bytes);
  }
  void OnCopies(const std::vector<NodeNumber>& nodes) override {
    const std::lock_guard lock(mutex_);
    copies = nodes;
  }
  void OnPlaced() override {
    const std::lock_guard lock(mutex_);
    ++chunks;
  }
  void OnDone(FetchOutcome told, std::string_view told_why) override {
    const std::lock_guard lock(mutex_);
    if (is_done_) calls_after_end_ = true;
    is_done_ = true;
    outcome = told;
    why = told_why;
    changed_.notify_all();
  }

  bool Ends() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [this] { return is_done_; });
  }
  int PlacedSoFar() {
    const std::lock_guard lock(mutex_);
    return chunks;
  }
  bool IsWhole() const { return HasPattern(std::span(memory_).subspan(kGuard, kObjectBytes), 1); }
  // Nothing outside, nothing late.
  bool IsClean() {
    const std::lock_guard lock(mutex_);
    const auto is_zero = [](std::byte byte) { return byte == std::byte{0}; };
    return !calls_after_end_ && std::all_of(memory_.begin(), memory_.begin() + kGuard, is_zero) &&
           std::all_of(memory_.end() - kGuard, memory_.end(), is_zero);
  }

  FetchOutcome outcome = FetchOutcome::kDone;
  std::string why;
  std::vector<NodeNumber> copies;
  int chunks = 0;

 private:
  static constexpr int kGuard = 4096;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::byte> memory_ = std::vector<std::byte>(kObjectBytes + 2 * kGuard);
  bool is_done_ = false;
  bool calls_after_end_ = false;
};

class ScriptedServer {
 public:
  ScriptedServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name = {};
    socklen_t length = sizeof name;
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* raw = reinterpret_cast<sockaddr*>(&name);
    REQUIRE(::bind(listener_.get(), raw, length) == 0);
    REQUIRE(::listen(listener_.get(), 64) == 0);
    REQUIRE(::getsockname(listener_.get(), raw, &length) == 0);
    port_ = ntohs(name.sin_port);
    object_.resize(kObjectBytes);
    FillPattern(object_, 1);
  }
  io::Address address() const { return {"127.0.0.1", port_}; }

  RawPeer Accept() { return RawPeer(base::UniqueFd(::accept(listener_.get(), nullptr, nullptr))); }
  // Reads the greeting and says welcome.
  RawPeer Welcome() {
    RawPeer peer = Accept();
    CHECK(peer.Receive<DataGreeting>().has_value());
    CHECK(peer.Say(DataWelcome()));
    return peer;
  }
  // All that a well-behaved server says to a request for the whole object.
  std::vector<std::byte> Answer(uint32_t copies = 0) const {
    const DataHead head{DataAnswer::kBytes, copies, 0, kObjectBytes};
    std::vector<std::byte> answer(BytesOf(head).begin(), BytesOf(head).end());
    for (uint32_t node = 1; node <= copies; ++node) {
      answer.insert(answer.end(), BytesOf(node).begin(), BytesOf(node).end());
    }
    answer.insert(answer.end(), object_.begin(), object_.end());
    return answer;
  }
  const std::vector<std::byte>& object() const { return object_; }

 private:
  base::UniqueFd listener_;
  uint16_t port_ = 0;
  std::vector<std::byte> object_;
};

struct Client {
  Client() {
    options.credentials.token = rpc::RandomHex(rpc::kTokenBytes);
    options.find_peer = [this](NodeNumber) { return server.address(); };
    options.connect_max = 20s;
    options.stall_max = 20s;
  }
  ~Client() { threads->Stop(); }

  ChunkSource::CancelFetch Fetch(const std::shared_ptr<ChunkSink>& sink) {
    if (client == nullptr) client = DataClient::Make(options, *threads).value();
    StoredLocation source;
    source.node = NodeNumber{1};
    source.size = kObjectBytes;
    return client->Fetch(NodeNumber{1}, source, {0, kObjectBytes}, sink);
  }

  ScriptedServer server;
  DataClientOptions options;
  std::unique_ptr<DataThreads> threads = DataThreads::Start(2).value();
  std::unique_ptr<DataClient> client;
  std::shared_ptr<WatchedSink> sink = std::make_shared<WatchedSink>();
};

TEST_CASE("Data client: an answer in pieces is put together, copies are told") {
  Client test;
  test.Fetch(test.sink);
  RawPeer peer = test.server.Welcome();
  const auto request = peer.Receive<DataRequest>();
  REQUIRE(request.has_value());
  CHECK(request->bytes == kObjectBytes);
  const auto answer = test.server.Answer(3);
  for (size_t at = 0; at < answer.size();) {
    const size_t piece = std::min(answer.size() - at, at < 200 ? size_t{1} : size_t{99'991});
    REQUIRE(peer.Send(std::span(answer).subspan(at, piece)));
    at += piece;
  }
  REQUIRE(test.sink->Ends());
  CHECK(test.sink->outcome == FetchOutcome::kDone);
  CHECK(test.sink->IsWhole());
  CHECK(test.sink->IsClean());
  CHECK(test.sink->chunks == 3);
  CHECK(test.sink->copies == std::vector{NodeNumber{1}, NodeNumber{2}, NodeNumber{3}});
}

TEST_CASE("Data client: what has come is placed, though little comes behind it") {
  Client test;
  test.Fetch(test.sink);
  RawPeer peer = test.server.Welcome();
  REQUIRE(peer.Receive<DataRequest>().has_value());
  const auto answer = test.server.Answer();
  const size_t of_first_chunk = sizeof(DataHead) + kChunkBytes;
  // The client waits for more than the rest of the chunk, which comes alone.
  REQUIRE(peer.Send(std::span(answer).first(of_first_chunk - 1)));
  REQUIRE(peer.Send(std::span(answer).subspan(of_first_chunk - 1, 1)));
  CHECK(testing::Eventually([&] { return test.sink->PlacedSoFar() == 1; }));
  REQUIRE(peer.Send(std::span(answer).subspan(of_first_chunk)));
  REQUIRE(test.sink->Ends());
  CHECK(test.sink->outcome == FetchOutcome::kDone);
  CHECK(test.sink->IsWhole());
}

TEST_CASE("Data client: what a server says instead becomes the cause") {
  Client test;
  test.Fetch(test.sink);
  std::string cause;
  FetchOutcome outcome = FetchOutcome::kBroken;
  std::optional<RawPeer> peer;
  const auto welcome_with = [&](const DataWelcome& welcome) {
    peer.emplace(test.server.Accept());
    REQUIRE(peer->Receive<DataGreeting>().has_value());
    REQUIRE(peer->Say(welcome));
  };
  const auto answer_with = [&](const DataHead& head) {
    peer.emplace(test.server.Welcome());
    REQUIRE(peer->Say(head));
  };
  const std::string text = "gone with the wind";
  SECTION("no welcome") {
    welcome_with({.magic = 1});
    cause = "not one for data";
  }
  SECTION("a wrong token") {
    welcome_with({.verdict = DataVerdict::kWrongToken});
    cause = "refuses this node's token";
  }
  SECTION("another version") {
    welcome_with({.version = 9, .verdict = DataVerdict::kWrongVersion});
    cause = "speaks version 9 of transfers, this node version 1";
  }
  SECTION("lost") {
    answer_with({DataAnswer::kLost, static_cast<uint32_t>(text.size()), 0, 0});
    peer->Send(std::as_bytes(std::span(text)));
    cause = text;
    outcome = FetchOutcome::kLost;
  }
  SECTION("refused") {
    answer_with({DataAnswer::kRefused, static_cast<uint32_t>(text.size()), 0, 0});
    peer->Send(std::as_bytes(std::span(text)));
    cause = text;
  }
  SECTION("a text without end") {
    answer_with({DataAnswer::kRefused, UINT32_MAX, 0, 0});
    cause = "too long a text";
  }
  SECTION("copies without end") {
    answer_with({DataAnswer::kBytes, UINT32_MAX / 4 + 2, 0, kObjectBytes});
    cause = "too many copies";
  }
  SECTION("bytes beyond") {
    answer_with({DataAnswer::kBytes, 0, kMiB, kObjectBytes});
    cause = "not asked for";
  }
  SECTION("bytes around the end of the numbers") {
    answer_with({DataAnswer::kBytes, 0, UINT64_MAX - 5, 10});
    cause = "not asked for";
  }
  SECTION("half a chunk") {
    answer_with({DataAnswer::kBytes, 0, 512, kMiB});
    cause = "not asked for";
  }
  SECTION("an unknown answer") {
    answer_with({DataAnswer{77}, 0, 0, 0});
    cause = "unknown meaning";
  }
  REQUIRE(test.sink->Ends());
  CHECK(test.sink->outcome == outcome);
  CHECK_THAT(test.sink->why, Catch::Contains(cause));
  CHECK(test.sink->IsClean());
}

TEST_CASE("Data client: a server that is silent, stalls or goes is given up") {
  Client test;
  std::optional<RawPeer> peer;
  std::string cause;
  SECTION("nobody is there") {
    const io::Address gone = ScriptedServer().address();
    test.options.find_peer = [gone](NodeNumber) { return gone; };
    test.Fetch(test.sink);
    cause = "does not answer: Connection refused";
  }
  SECTION("no welcome") {
    test.options.connect_max = 300ms;
    test.Fetch(test.sink);
    peer.emplace(test.server.Accept());
    cause = "cannot be reached";
  }
  SECTION("no head") {
    test.options.stall_max = 300ms;
    test.Fetch(test.sink);
    peer.emplace(test.server.Welcome());
    cause = "sends nothing";
  }
  SECTION("half of the bytes") {
    test.options.stall_max = 300ms;
    const auto answer = test.server.Answer();
    test.Fetch(test.sink);
    peer.emplace(test.server.Welcome());
    // Where this thread stood still for so long, nobody takes it any more.
    (void)peer->Send(std::span(answer).first(answer.size() / 2));
    cause = "sends nothing";
  }
  SECTION("the end, in the middle") {
    test.Fetch(test.sink);
    peer.emplace(test.server.Welcome());
    const auto answer = test.server.Answer();
    REQUIRE(peer->Send(std::span(answer).first(answer.size() / 2)));
    peer->Close();
    cause = "does not answer";
  }
  REQUIRE(test.sink->Ends());
  CHECK(test.sink->outcome == FetchOutcome::kBroken);
  CHECK_THAT(test.sink->why, Catch::Contains(cause));
  CHECK(test.sink->IsClean());
}

TEST_CASE("Data client: a connection is used again, and anew where its peer has closed it") {
  Client test;
  const auto answer = test.server.Answer();
  test.Fetch(test.sink);
  RawPeer peer = test.server.Welcome();
  REQUIRE(peer.Receive<DataRequest>().has_value());
  REQUIRE(peer.Send(answer));
  REQUIRE(test.sink->Ends());
  const auto second = std::make_shared<WatchedSink>();
  test.Fetch(second);
  REQUIRE(peer.Receive<DataRequest>().has_value());  // without another greeting
  REQUIRE(peer.Send(answer));
  REQUIRE(second->Ends());
  CHECK(second->IsWhole());
  peer.Close();
  const auto third = std::make_shared<WatchedSink>();
  test.Fetch(third);
  RawPeer anew = test.server.Welcome();
  REQUIRE(anew.Receive<DataRequest>().has_value());
  REQUIRE(anew.Send(answer));
  REQUIRE(third->Ends());
  CHECK(third->outcome == FetchOutcome::kDone);
  CHECK(third->IsWhole());
}

TEST_CASE("Data client: a cancelled fetch ends at once, waiting, beginning or running") {
  Client test;
  test.options.connections_per_peer = 1;
  const auto cancel = test.Fetch(test.sink);
  const auto waiting = std::make_shared<WatchedSink>();
  const auto cancel_waiting = test.Fetch(waiting);
  SECTION("waiting") {
    cancel_waiting();
    cancel_waiting();
    REQUIRE(waiting->Ends());
    CHECK(waiting->outcome == FetchOutcome::kBroken);
    CHECK_THAT(waiting->why, Catch::Contains("cancelled"));
    cancel();
  }
  SECTION("beginning") {
    cancel();
  }
  SECTION("running") {
    RawPeer peer = test.server.Welcome();
    const auto answer = test.server.Answer();
    REQUIRE(peer.Send(std::span(answer).first(kMiB)));
    cancel();
    REQUIRE(test.sink->Ends());
    // The next one comes on a connection of its own.
    RawPeer anew = test.server.Welcome();
    REQUIRE(anew.Send(answer));
    REQUIRE(waiting->Ends());
    CHECK(waiting->IsWhole());
  }
  REQUIRE(test.sink->Ends());
  CHECK(test.sink->outcome == FetchOutcome::kBroken);
  CHECK(test.sink->IsClean());
}

TEST_CASE("Data client: its end ends every fetch, also those that wait") {
  Client test;
  test.options.connections_per_peer = 2;
  std::vector<std::shared_ptr<WatchedSink>> sinks;
  for (int i = 0; i < 5; ++i) {
    sinks.push_back(std::make_shared<WatchedSink>());
    test.Fetch(sinks.back());
  }
  RawPeer peer = test.server.Welcome();
  const auto answer = test.server.Answer();
  REQUIRE(peer.Send(std::span(answer).first(kMiB)));
  if (GENERATE(true, false)) {
    test.client->Stop();
  } else {
    test.threads->Stop();
    test.client.reset();
  }
  for (const auto& sink : sinks) {
    REQUIRE(sink->Ends());
    CHECK(sink->outcome == FetchOutcome::kBroken);
    CHECK(sink->IsClean());
  }
}

TEST_CASE("Data client: answers with flipped and missing bytes write nothing outside") {
  Client test;
  const auto good = test.server.Answer(5);
  base::RandomStream random(5, 0, 0);
  for (int i = 0; i < 300; ++i) {
    test.client.reset();  // no connection of the last round
    const auto sink = std::make_shared<WatchedSink>();
    test.Fetch(sink);
    RawPeer peer = test.server.Accept();
    const DataWelcome welcome;
    std::vector<std::byte> bytes(BytesOf(welcome).begin(), BytesOf(welcome).end());
    bytes.insert(bytes.end(), good.begin(), good.end());
    for (uint64_t flips = 1 + random.NextBelow(4); flips > 0; --flips) {
      // In welcome, head and copies, where the lengths are.
      bytes[random.NextBelow(60)] = std::byte{static_cast<uint8_t>(random.Next())};
    }
    const bool is_cut = random.NextBelow(3) == 0;
    peer.Send(std::span(bytes).first(is_cut ? random.NextBelow(bytes.size()) : bytes.size()));
    peer.Close();
    REQUIRE(sink->Ends());
    CHECK(sink->IsClean());
  }
}

}  // namespace
}  // namespace rayx::store
