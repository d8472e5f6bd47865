// Goal: frames that pass through the daemon arrive in order, once, or come back; calls can be
// revoked until they are claimed; a slow destination holds back its senders and nobody else.
// Method: a router over real channels; the processes are played by the test, which holds their
// ends.
#include "node/frame_router.h"

#include <catch2/catch.hpp>

#include "node/core/frame_stream_core.h"

namespace rayx::node {
namespace {

using model::FrameHeader;
using model::FrameKind;
using model::NodeNumber;
using model::ProcessId;
using shm::Lane;
using shm::ReadResult;

constexpr NodeNumber kSelf{1};
const ProcessId kRemote = ProcessId::Make(NodeNumber{2}, 5);

struct Sent {
  FrameHeader header;
  std::vector<std::byte> body;
};

// A process's end of its channel to the daemon.
struct Client {
  ProcessId id;
  LocalProcess* process = nullptr;
  std::unique_ptr<shm::Channel> channel;
  io::PacketSocket socket;

  // The daemon has sent a message.
  bool HasMessage() {
    io::Packet packet;
    return socket.ReceiveWithin(packet, std::chrono::milliseconds(0)) == io::SocketResult::kOk;
  }
  FrameHeader Frame(ProcessId destination, FrameKind kind, uint64_t number) const {
    FrameHeader header;
    header.kind = kind;
    header.source = id;
    header.destination = destination;
    header.task = {id, number};
    header.cookie_sequence = static_cast<uint32_t>(number);
    return header;
  }
  bool Send(FrameHeader header, size_t bytes = 0) {
    const std::vector<std::byte> body(bytes, std::byte{1});
    if (!channel->TryWrite(header, body)) return false;
    channel->Publish();
    return true;
  }
  std::vector<Sent> Read(Lane lane) {
    std::vector<Sent> frames;
    shm::ReceivedFrame frame;
    while (channel->Peek(lane, frame) == ReadResult::kFrame) {
      if (lane == Lane::kReplies || channel->TryClaim(frame)) {
        frames.push_back({frame.header, {frame.body.begin(), frame.body.end()}});
        if (lane == Lane::kCalls) {
          channel->MarkDone(frame.header.claim_slot, frame.header.cookie_sequence);
        }
      }
      channel->Pop(lane);
    }
    return frames;
  }
};

struct Fixture {
  Fixture() : router(kSelf, table, Outside()) {
    REQUIRE(table.Prepare().ok());
    table.on_queue_changed = [](LocalProcess&) {};
  }

  FrameRouter::Outside Outside() {
    FrameRouter::Outside outside;
    outside.send = [this](const FrameHeader& header, std::span<const std::byte> body,
                          std::string& why) {
      if (node_is_dead) {
        why = "node n2 is dead";
        return false;
      }
      outgoing.push_back({header, {body.begin(), body.end()}});
      return true;
    };
    outside.is_full = [this](const FrameHeader& header) {
      return answers_are_full || (stream_is_full && IsCall(header.kind));
    };
    outside.receive = [this](const FrameHeader& header, std::span<const std::byte> body) {
      to_daemon.push_back({header, {body.begin(), body.end()}});
    };
    outside.on_corrupt = [this](LocalProcess& process, std::string_view) {
      corrupt.push_back(process.id);
    };
    outside.on_delivered = [this](NodeNumber, const FrameHeader& header) {
      delivered.push_back(header.kind);
      stream.OnDelivered(header);
    };
    return outside;
  }

  Client Add() {
    // Its memory is reached by the descriptors of its Welcome, as in life.
    auto pair = io::PacketSocket::Pair();
    REQUIRE(pair.ok());
    auto added = table.Add(proto::WORKER, model::JobId{1}, 1, base::UniqueFd(),
                           std::make_unique<Connection>(std::move(pair->first)));
    REQUIRE(added.ok());
    proto::DaemonMessage welcome;
    welcome.mutable_welcome();
    REQUIRE(table.SendWelcome(**added, welcome));
    io::Packet packet;
    REQUIRE(pair->second.ReceiveWithin(packet, std::chrono::seconds(1)) == io::SocketResult::kOk);
    REQUIRE(packet.fds.size() == 5);
    Client client;
    client.id = (*added)->id;
    client.process = *added;
    client.channel = *shm::Channel::Open(packet.fds[2].get(), shm::Side::kSecond);
    client.socket = std::move(pair->second);
    return client;
  }
  void DrainAll() {
    for (int i = 0; i < 100 && router.Drain(); ++i) {
    }
  }
  // Tasks 1, 2, ... of one process to another that reads nothing: more than the rings take, so that
  // the last ones wait in the daemon. How many.
  uint64_t Overfill(Client& from, const Client& to) {
    constexpr uint64_t kFrames = 3000;
    for (uint64_t sent = 0; sent < kFrames;) {
      if (from.Send(from.Frame(to.id, FrameKind::kTask, sent + 1))) {
        ++sent;
      } else {
        DrainAll();
      }
    }
    DrainAll();
    return kFrames;
  }

  ProcessTable table{kSelf};
  FrameRouter router;
  std::vector<Sent> outgoing;
  std::vector<Sent> to_daemon;
  std::vector<ProcessId> corrupt;
  bool node_is_dead = false;
  bool stream_is_full = false;  // of calls
  bool answers_are_full = false;
  std::vector<FrameKind> delivered;
  FrameReceiverCore stream;
};

}  // namespace

TEST_CASE("FrameRouter: calls and replies pass between processes in order, with their bodies") {
  Fixture f;
  Client a = f.Add();
  Client b = f.Add();
  for (uint64_t i = 1; i <= 20; ++i) REQUIRE(a.Send(a.Frame(b.id, FrameKind::kTask, i), i * 500));
  REQUIRE(a.Send(a.Frame(f.table.daemon_id(), FrameKind::kReply, 1)));
  f.DrainAll();
  const auto calls = b.Read(Lane::kCalls);
  REQUIRE(calls.size() == 20);
  for (uint64_t i = 1; i <= 20; ++i) {
    CHECK(calls[i - 1].header.task.sequence == i);
    CHECK(calls[i - 1].body.size() == i * 500);
  }
  CHECK(f.to_daemon.size() == 1);
  REQUIRE(b.Send(b.Frame(a.id, FrameKind::kReply, 1)));
  f.DrainAll();
  CHECK(a.Read(Lane::kReplies).size() == 1);
  CHECK(a.process->contacts.count(b.id) == 1);
  CHECK(b.process->contacts.count(a.id) == 1);
  CHECK_FALSE(f.router.HasWork());
}

TEST_CASE("FrameRouter: a full ring makes frames wait in order; nothing is lost or repeated") {
  Fixture f;
  Client a = f.Add();
  Client b = f.Add();
  const uint64_t sent = f.Overfill(a, b);
  CHECK(f.router.stalled());
  uint64_t received = 0;
  for (int round = 0; round < 1000 && received < sent; ++round) {
    for (const auto& call : b.Read(Lane::kCalls)) REQUIRE(call.header.task.sequence == ++received);
    f.DrainAll();
  }
  CHECK(received == sent);
  CHECK_FALSE(f.router.stalled());
}

TEST_CASE("FrameRouter: a call is revoked in the queue and in the ring, not once it is claimed") {
  Fixture f;
  Client a = f.Add();
  Client b = f.Add();
  const uint64_t sent = f.Overfill(a, b);
  const auto revoke = [&](uint64_t number) {
    FrameHeader header = a.Frame(b.id, FrameKind::kRevoke, number);
    REQUIRE(a.Send(header));
    f.DrainAll();
    const auto answers = a.Read(Lane::kReplies);
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].header.kind == FrameKind::kRevokeReply);
    CHECK(answers[0].header.task.sequence == number);
    return (answers[0].header.flags & model::kFlagTooLate) == 0;
  };
  CHECK(revoke(2));
  CHECK_FALSE(revoke(2));
  CHECK(revoke(2999));
  CHECK_FALSE(revoke(2999));
  CHECK_FALSE(revoke(5000));  // never sent
  std::set<uint64_t> received;
  for (int round = 0; round < 1000; ++round) {
    for (const auto& call : b.Read(Lane::kCalls)) received.insert(call.header.task.sequence);
    f.DrainAll();
  }
  CHECK(received.size() == sent - 2);
  CHECK(received.count(2) == 0);
  CHECK(received.count(2999) == 0);
  CHECK_FALSE(revoke(1));  // ran
}

TEST_CASE("FrameRouter: what a process that exits had not started comes back, the rest does not") {
  Fixture f;
  Client owner = f.Add();
  Client worker = f.Add();
  for (uint64_t number = 1; number <= 3; ++number) {
    REQUIRE(owner.Send(owner.Frame(worker.id, FrameKind::kTask, number)));
  }
  f.DrainAll();
  shm::ReceivedFrame first;
  REQUIRE(worker.channel->Peek(Lane::kCalls, first) == ReadResult::kFrame);
  REQUIRE(worker.channel->TryClaim(first));
  f.router.DrainLast(*worker.process);
  f.router.ReturnUnstarted(*worker.process, {});
  f.router.OnProcessGone(*worker.process, {});
  f.DrainAll();
  std::set<uint64_t> back;
  for (const auto& frame : owner.Read(Lane::kReplies)) {
    CHECK(frame.header.kind == FrameKind::kUndeliverable);
    CHECK(back.insert(frame.header.task.sequence).second);
  }
  CHECK(back == std::set<uint64_t>{2, 3});
}

TEST_CASE("FrameRouter: what needs an answer and has no destination comes back with the cause") {
  Fixture f;
  Client a = f.Add();
  Client b = f.Add();
  proto::ErrorInfo cause;
  cause.set_code(static_cast<int>(ErrorCode::kWorkerDied));
  cause.set_message("killed by signal 9");
  const ProcessId gone = b.id;
  f.router.OnProcessGone(*b.process, cause);
  f.table.Remove(gone);
  REQUIRE(a.Send(a.Frame(gone, FrameKind::kTask, 1)));
  REQUIRE(a.Send(a.Frame(gone, FrameKind::kReply, 2)));  // nobody waits for an answer to it
  f.node_is_dead = true;
  REQUIRE(a.Send(a.Frame(kRemote, FrameKind::kFetchValue, 3)));
  f.DrainAll();
  const auto back = a.Read(Lane::kReplies);
  REQUIRE(back.size() == 2);
  for (const auto& frame : back) {
    CHECK(frame.header.kind == FrameKind::kUndeliverable);
    model::BodyReader reader(frame.body, frame.header.item_count);
    model::Item item;
    REQUIRE(reader.Next(item));
    proto::ErrorInfo error;
    REQUIRE(error.ParseFromArray(item.bytes.data(), static_cast<int>(item.bytes.size())));
    if (frame.header.task.sequence == 1) {
      CHECK(error.message() == "killed by signal 9");
    } else {
      CHECK(error.message() == "node n2 is dead");
    }
  }
}

TEST_CASE(
    "FrameRouter: a full stream leaves calls in their sender's ring, where they can be revoked") {
  Fixture f;
  Client a = f.Add();
  Client b = f.Add();
  f.stream_is_full = true;
  FrameHeader remote = a.Frame(kRemote, FrameKind::kTask, 1);
  REQUIRE(a.channel->TryWrite(remote, {}));
  REQUIRE(a.Send(a.Frame(b.id, FrameKind::kReply, 2)));  // the other lane goes on
  f.DrainAll();
  CHECK(f.outgoing.empty());
  CHECK(f.router.stalled());
  CHECK_FALSE(f.router.HasWork());  // nothing that could be done: the daemon may sleep
  CHECK(b.Read(Lane::kReplies).size() == 1);
  CHECK(a.channel->TryRevoke(remote.claim_slot, remote.cookie_sequence));
  f.stream_is_full = false;
  f.DrainAll();
  CHECK(f.outgoing.empty());  // it was revoked
  REQUIRE(a.Send(a.Frame(kRemote, FrameKind::kTask, 3)));
  f.DrainAll();
  REQUIRE(f.outgoing.size() == 1);
  CHECK(f.router.TakeContactsOf(kRemote) == std::set<ProcessId>{a.id});
}

TEST_CASE("FrameRouter: frames of a stream count as delivered in the ring, not when they return") {
  Fixture f;
  Client a = f.Add();
  FrameHeader header;
  header.kind = FrameKind::kTask;
  header.source = kRemote;
  header.destination = a.id;
  header.cookie_sequence = 1;
  f.router.Deliver(header, {}, kRemote.node());
  CHECK(f.delivered.size() == 1);
  header.destination = ProcessId::Make(kSelf, 99);
  f.router.Deliver(header, {}, kRemote.node());
  CHECK(f.delivered.size() == 1);  // the answer tells that the process is gone
  REQUIRE(f.outgoing.size() == 1);
  CHECK(f.outgoing[0].header.kind == FrameKind::kUndeliverable);
  CHECK(f.outgoing[0].header.destination == kRemote);
  CHECK(a.process->contacts.count(kRemote) == 1);
}

TEST_CASE("FrameRouter: a process that speaks for another is cut off") {
  Fixture f;
  Client a = f.Add();
  Client b = f.Add();
  FrameHeader forged = a.Frame(b.id, FrameKind::kTask, 1);
  forged.source = b.id;
  REQUIRE(a.Send(forged));
  f.DrainAll();
  CHECK_FALSE(f.corrupt.empty());
  CHECK(b.Read(Lane::kCalls).empty());
}

TEST_CASE("FrameRouter: an answer to a process passes the calls that it does not take") {
  Fixture f;
  Client a = f.Add();
  Client busy = f.Add();
  uint64_t sent = 0;
  while (!f.router.stalled()) {
    if (a.Send(a.Frame(busy.id, FrameKind::kActorCall, sent + 1), 3000)) {
      ++sent;
    } else {
      f.DrainAll();
    }
  }
  // From this node and from another.
  REQUIRE(a.Send(a.Frame(busy.id, FrameKind::kReply, 1)));
  FrameHeader value = a.Frame(busy.id, FrameKind::kValue, 2);
  value.source = kRemote;
  f.router.Deliver(value, {}, kRemote.node());
  f.DrainAll();
  CHECK(busy.Read(Lane::kReplies).size() == 2);
  uint64_t received = 0;
  for (int round = 0; round < 1000 && received < sent; ++round) {
    for (const auto& call : busy.Read(Lane::kCalls)) {
      REQUIRE(call.header.task.sequence == ++received);
    }
    f.DrainAll();
  }
  CHECK(received == sent);
}

TEST_CASE("FrameRouter: calls that fill a queue leave the way open for what frees it") {
  Fixture f;
  Client a = f.Add();
  Client busy = f.Add();
  // Until the queue and then the sender's ring are full.
  uint64_t sent = 0;
  for (int refused = 0; refused < 2;) {
    if (a.Send(a.Frame(busy.id, FrameKind::kActorCall, sent + 1), 400 << 10)) {
      ++sent;
      refused = 0;
    } else {
      ++refused;
      f.DrainAll();
    }
  }
  CHECK(sent < 300);
  f.stream_is_full = true;
  REQUIRE(a.Send(a.Frame(busy.id, FrameKind::kReply, 1)));
  REQUIRE(a.Send(a.Frame(kRemote, FrameKind::kValue, 2)));
  f.DrainAll();
  CHECK(busy.Read(Lane::kReplies).size() == 1);
  CHECK(f.outgoing.size() == 1);
}

TEST_CASE("FrameRouter: urgent frames give no credit back, so calls flow on after any number") {
  Fixture f;
  Client b = f.Add();
  FrameSenderCore sender("a");
  FrameHeader urgent = b.Frame(b.id, FrameKind::kRevokeReply, 1);
  urgent.source = kRemote;
  for (int i = 0; i < 300; ++i) {
    f.router.Deliver(urgent, {}, kRemote.node());
    b.Read(Lane::kReplies);
  }
  for (uint64_t i = 1; i <= 1000; ++i) {
    FrameHeader call = b.Frame(b.id, FrameKind::kActorCall, i);
    call.source = kRemote;
    sender.Push(call, {});
    proto::FrameBatch batch;
    REQUIRE(sender.NextBatch(batch));
    std::vector<FrameReceiverCore::Received> frames;
    REQUIRE(f.stream.OnBatch(batch, frames).ok());
    for (const auto& frame : frames) f.router.Deliver(frame.header, frame.body, kRemote.node());
    f.DrainAll();
    REQUIRE(b.Read(Lane::kCalls).size() == 1);
    proto::FrameBatch acknowledgement;
    REQUIRE(f.stream.NextAcknowledgement(acknowledgement));
    sender.OnAcknowledged(acknowledgement.acknowledged());
    for (const auto& credit : acknowledgement.credits()) {
      sender.OnCredit(ProcessId{credit.process()}, credit.frames_total());
      // Never more than a window beyond what was delivered.
      REQUIRE(credit.frames_total() == i + StreamLimits{}.credit_frames);
    }
  }
}

TEST_CASE("FrameRouter: the last answers of a process leave it even towards what is full") {
  Fixture f;
  Client a = f.Add();
  for (uint64_t i = 1; i <= 100; ++i) REQUIRE(a.Send(a.Frame(kRemote, FrameKind::kReply, i)));
  f.answers_are_full = true;
  f.DrainAll();
  CHECK(f.outgoing.empty());
  f.router.DrainLast(*a.process);
  CHECK(f.outgoing.size() == 100);
}

TEST_CASE("FrameRouter: news of an end is told after the answers that came before it") {
  Fixture f;
  Client a = f.Add();
  const auto news = std::make_shared<proto::DaemonMessage>();
  news->mutable_process_died()->set_process(kRemote.value);
  FrameHeader reply = a.Frame(a.id, FrameKind::kReply, 1);
  reply.source = kRemote;
  SECTION("they are in the ring: published before the news") {
    f.router.Deliver(reply, {}, kRemote.node());
    f.router.TellAfterAnswers(*a.process, news);
    CHECK(a.Read(Lane::kReplies).size() == 1);
    CHECK(a.HasMessage());
  }
  SECTION("they wait for room in the ring") {
    const size_t sent = 200;
    for (size_t i = 0; i < sent; ++i) {
      f.router.Deliver(reply, std::vector<std::byte>(3000), kRemote.node());
    }
    f.router.TellAfterAnswers(*a.process, news);
    f.router.Deliver(reply, {}, kRemote.node());  // what comes later may be seen later
    f.router.RingAll();
    size_t received = 0;
    int rounds = 0;
    while (!a.HasMessage()) {
      REQUIRE(++rounds < 1000);
      const auto frames = a.Read(Lane::kReplies);
      // The news follows the last of them, in the same pass.
      REQUIRE(received < sent);
      received += frames.size();
      f.DrainAll();
    }
    received += a.Read(Lane::kReplies).size();
    CHECK(received >= sent);
    CHECK(rounds > 2);
    f.DrainAll();
    received += a.Read(Lane::kReplies).size();
    CHECK(received == sent + 1);
  }
  SECTION("nobody has answered it yet") {
    f.router.TellAfterAnswers(*a.process, news);
    CHECK(a.HasMessage());
  }
}

}  // namespace rayx::node
