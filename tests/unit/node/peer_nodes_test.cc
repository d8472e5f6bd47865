// Goal: frames reach other daemons over connections that break, calls that wait for credit
// included; bytes that are no frames end their connection and nothing else. Method: the real
// streams over loopback, all on one loop that the test runs; the other end is played by the test
// where it has to misbehave.
#include "node/peer_nodes.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "io/clock.h"
#include "node/wire.h"
#include "rpc/errors.h"
#include "rpc/secret.h"
#include "rpc/server.h"

namespace rayx::node {
namespace {

using model::FrameHeader;
using model::FrameKind;
using model::NodeNumber;
using model::ProcessId;

constexpr NodeNumber kOne{1};
constexpr NodeNumber kTwo{2};
constexpr uint64_t kCredit = StreamLimits{}.credit_frames;

FrameHeader Frame(FrameKind kind, ProcessId source, ProcessId destination, uint64_t number) {
  FrameHeader header;
  header.kind = kind;
  header.source = source;
  header.destination = destination;
  header.task = {source, number};
  return header;
}

struct Seen {
  FrameHeader header;
  std::vector<std::byte> body;
};

struct Arrived {
  std::shared_ptr<IncomingHandle> handle;
  std::shared_ptr<proto::FrameBatch> batch;
};

// Two nodes' ends: the first is real, the second's is the test's, or real too (Daemon).
struct Fixture {
  Fixture() : loop(*io::Loop::Create(clock)) {
    credentials.token = rpc::RandomHex(rpc::kTokenBytes);
  }
  ~Fixture() {
    for (auto& peers : all) peers->Stop();
    loop->Close();
    for (auto& server : servers) server->Stop(std::chrono::milliseconds(200));
  }

  io::Address Serve(std::shared_ptr<const IncomingStreamEvents> events) {
    rpc::ServerOptions options;
    options.credentials = credentials;
    servers.push_back(std::make_unique<rpc::RpcServer>(options));
    servers.back()->HandleStream(rpc::kNodeFrames, [this, events]() -> rpc::ServerStreamBase* {
      return new IncomingStream(*loop, events);
    });
    REQUIRE(servers.back()->Start().ok());
    return servers.back()->address();
  }
  // The test's own end: keeps what arrives.
  io::Address ServeByHand() {
    auto events = std::make_shared<IncomingStreamEvents>();
    events->on_message = [this](const std::shared_ptr<IncomingHandle>& handle,
                                const std::shared_ptr<proto::FrameBatch>& batch) {
      arrived.push_back({handle, batch});
    };
    events->on_end = [this](const std::shared_ptr<IncomingHandle>&) { ++ended; };
    return Serve(std::move(events));
  }
  PeerNodes& Daemon(NodeNumber self, std::vector<Seen>& frames, std::vector<Seen>& returned) {
    PeerNodesEvents events;
    events.on_frame = [&frames](const FrameHeader& header, std::span<const std::byte> body,
                                NodeNumber) {
      frames.push_back({header, {body.begin(), body.end()}});
    };
    events.on_undelivered = [&returned](const FrameHeader& header, const proto::ErrorInfo& why) {
      const std::string text = why.message();
      const auto bytes = std::as_bytes(std::span(text));
      returned.push_back({header, {bytes.begin(), bytes.end()}});
    };
    events.on_room = [this] { ++rooms; };
    all.push_back(std::make_unique<PeerNodes>(*loop, "start of " + ToString(self), credentials,
                                              std::move(events)));
    all.back()->SetSelf(self);
    return *all.back();
  }
  static void Know(PeerNodes& peers, NodeNumber node, const io::Address& address) {
    scheduling::NodeView view;
    view.number = node;
    view.address = address.ToString();
    peers.OnNode(view);
  }
  // Runs the loop until then, at most 10 s.
  template <typename Condition>
  bool Await(Condition condition) {
    const auto deadline = clock.Now() + std::chrono::seconds(10);
    while (!condition()) {
      if (clock.Now() >= deadline) return false;
      for (auto& peers : all) peers->Flush();
      loop->RunOnce(std::chrono::milliseconds(5));
    }
    return true;
  }
  uint64_t frames_arrived() const {
    uint64_t frames = 0;
    for (const Arrived& one : arrived) frames += one.batch->frames();
    return frames;
  }

  io::PosixClock clock;
  std::unique_ptr<io::Loop> loop;
  rpc::ClusterCredentials credentials;
  std::vector<std::unique_ptr<rpc::RpcServer>> servers;
  std::vector<std::unique_ptr<PeerNodes>> all;
  std::vector<Arrived> arrived;
  int ended = 0;
  int rooms = 0;
  std::vector<Seen> frames;
  std::vector<Seen> returned;
};

const ProcessId kCaller = ProcessId::Make(kOne, 1);
const ProcessId kActor = ProcessId::Make(kTwo, 1);

}  // namespace

TEST_CASE("PeerNodes: after a break a new connection is greeted though all that is left waits") {
  Fixture f;
  PeerNodes& one = f.Daemon(kOne, f.frames, f.returned);
  Fixture::Know(one, kTwo, f.ServeByHand());
  const uint64_t calls = kCredit + 44;
  std::string why;
  for (uint64_t i = 1; i <= calls; ++i) {
    REQUIRE(one.Send(Frame(FrameKind::kActorCall, kCaller, kActor, i), {}, why));
  }
  REQUIRE(f.Await([&] { return f.frames_arrived() == kCredit; }));
  const auto broken = f.arrived.back().handle;
  proto::FrameBatch all;
  all.set_acknowledged(kCredit);
  const int rooms = f.rooms;
  broken->Acknowledge(all);
  REQUIRE(f.Await([&] { return f.rooms > rooms; }));
  broken->Close(absl::UnavailableError("the network is gone"));
  broken->Close(absl::UnavailableError("and again"));  // does nothing
  REQUIRE(f.Await([&] { return f.arrived.back().handle != broken; }));
  CHECK(f.arrived.back().batch->frames() == 0);
  CHECK(f.arrived.back().batch->node() == kOne.value);
  CHECK_FALSE(f.arrived.back().batch->urgent());
  proto::FrameBatch credit;
  credit.set_acknowledged(kCredit);
  credit.add_credits()->set_process(kActor.value);
  credit.mutable_credits(0)->set_frames_total(2 * kCredit);
  f.arrived.back().handle->Acknowledge(credit);
  CHECK(f.Await([&] { return f.frames_arrived() == calls; }));
}

TEST_CASE("PeerNodes: calls that wait for the credit of a process that is gone come back") {
  Fixture f;
  std::vector<Seen> at_two;
  std::vector<Seen> returned_at_two;
  PeerNodes& one = f.Daemon(kOne, f.frames, f.returned);
  PeerNodes& two = f.Daemon(kTwo, at_two, returned_at_two);
  Fixture::Know(one, kTwo, f.Serve(two.incoming_events()));
  Fixture::Know(two, kOne, f.Serve(one.incoming_events()));
  const uint64_t calls = kCredit + 44;
  std::string why;
  for (uint64_t i = 1; i <= calls; ++i) {
    REQUIRE(one.Send(Frame(FrameKind::kActorCall, kCaller, kActor, i), {}, why));
  }
  REQUIRE(f.Await([&] { return at_two.size() == kCredit; }));
  two.OnLocalProcessGone(kActor);
  FrameHeader answer = Frame(FrameKind::kUndeliverable, kActor, kCaller, 1);
  std::vector<std::byte> body;
  model::BodyWriter writer(body);
  const std::string cause =
      rpc::MakeErrorInfo(ErrorCode::kWorkerDied, "killed by signal 9").SerializeAsString();
  writer.AddError(std::as_bytes(std::span(cause)));
  answer.item_count = writer.item_count();
  REQUIRE(two.Send(answer, body, why));
  REQUIRE(f.Await([&] { return f.returned.size() == 44; }));
  CHECK(f.frames.size() == 1);
  const auto* text = reinterpret_cast<const char*>(f.returned[0].body.data());
  CHECK(std::string(text, f.returned[0].body.size()) == "killed by signal 9");
  CHECK(f.returned[0].header.task.sequence == kCredit + 1);
}

TEST_CASE("PeerNodes: the news of a death comes after the last answers, whatever calls wait") {
  Fixture f;
  std::vector<Seen> at_one;
  PeerNodes& one = f.Daemon(kOne, at_one, f.returned);
  PeerNodes& two = f.Daemon(kTwo, f.frames, f.returned);
  const ProcessId worker = ProcessId::Make(kTwo, 7);
  proto::ProcessDied died;
  died.set_process(worker.value);
  died.mutable_cause()->set_signal(9);
  for (int i = 0; i < 100; ++i) died.mutable_cause()->add_log_lines(std::string(8192, 'x'));
  std::string why;
  const uint64_t each = kCredit + 100;
  for (uint64_t i = 1; i <= each; ++i) {
    REQUIRE(two.Send(Frame(FrameKind::kTask, worker, kCaller, i), {}, why));  // some wait
    REQUIRE(two.Send(Frame(FrameKind::kReply, worker, kCaller, i), {}, why));
  }
  std::vector<std::byte> body;
  const FrameHeader header = DeathFrame(died, kOne, body);
  REQUIRE(two.Send(header, body, why));
  Fixture::Know(two, kOne, f.Serve(one.incoming_events()));
  const auto is_news = [](const Seen& seen) { return seen.header.kind == FrameKind::kProcessDied; };
  REQUIRE(f.Await([&] { return std::any_of(at_one.begin(), at_one.end(), is_news); }));
  const auto replies = std::count_if(at_one.begin(), at_one.end(), [](const Seen& seen) {
    return seen.header.kind == FrameKind::kReply;
  });
  CHECK(static_cast<uint64_t>(replies) == each);
  REQUIRE(is_news(at_one.back()));
  const auto read = DeathFromFrame(at_one.back().header, at_one.back().body);
  REQUIRE(read.ok());
  CHECK(read->cause().signal() == 9);
  CHECK(read->cause().log_lines_size() == 0);  // too many for a frame
  FrameHeader forged = at_one.back().header;
  forged.source = ProcessId::Make(kTwo, 8);
  CHECK_FALSE(DeathFromFrame(forged, at_one.back().body).ok());
  CHECK_FALSE(DeathFromFrame(at_one.back().header, {}).ok());
}

TEST_CASE("PeerNodes: bytes that are no batch end their stream, once, and the next one works") {
  Fixture f;
  const io::Address address = f.ServeByHand();
  rpc::RpcChannel channel(address, rpc::Role::kNode, f.credentials);
  const auto stub = MakeNodeStub(channel);
  const auto reactors = std::make_shared<ReactorCount>();
  int told = 0;
  auto events = std::make_shared<OutgoingStreamEvents>();
  events->on_message = [](uint64_t, proto::FrameBatch) {};
  events->on_written = [](uint64_t) {};
  events->on_end = [&told](uint64_t, const base::Status&) { ++told; };
  const auto open = [&](uint64_t number, const std::string& incarnation) {
    auto* stream = new OutgoingStream(*f.loop, reactors, number, events);
    stream->Open(*stub);
    proto::FrameBatch batch;
    batch.set_node(1);
    batch.set_stream_incarnation(incarnation);
    stream->Write(batch);
    return stream;
  };
  OutgoingStream* bad = open(1, "\xff");  // no UTF-8: refused by the reader
  CHECK(f.Await([&] { return f.ended == 1 && told == 1; }));
  CHECK(f.arrived.empty());
  bad->Cancel();
  OutgoingStream* good = open(2, "a");
  REQUIRE(f.Await([&] { return f.arrived.size() == 1; }));
  good->Cancel();
  CHECK(f.Await([&] { return f.ended == 2; }));
  f.arrived[0].handle->Close(absl::AbortedError("late"));
  f.arrived[0].handle->Acknowledge({});
  reactors->WaitForAll();
}

}  // namespace rayx::node
