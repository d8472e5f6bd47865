// Goal: frames arrive once and in order over connections that break, and a slow destination holds
// back only itself. Method: both ends of a stream with a connection that loses and repeats at
// random (fixed seed), then single rules by hand.
#include "node/core/frame_stream_core.h"

#include <catch2/catch.hpp>
#include <map>
#include <random>

namespace rayx::node {
namespace {

using model::FrameHeader;
using model::FrameKind;
using model::NodeNumber;
using model::ProcessId;

ProcessId Process(uint32_t number) {
  return ProcessId::Make(NodeNumber{2}, number);
}

FrameHeader Frame(FrameKind kind, uint32_t destination, uint64_t number) {
  FrameHeader header;
  header.kind = kind;
  header.source = ProcessId::Make(NodeNumber{1}, 1);
  header.destination = Process(destination);
  header.number = number;
  return header;
}

FrameHeader Call(uint32_t destination, uint64_t number) {
  return Frame(FrameKind::kActorCall, destination, number);
}
FrameHeader Reply(uint32_t destination, uint64_t number) {
  return Frame(FrameKind::kReply, destination, number);
}

std::vector<std::byte> Body(size_t bytes) {
  return std::vector<std::byte>(bytes, std::byte{7});
}

// What the peer's daemon does with one batch when every ring has room.
uint64_t Handle(FrameReceiverCore& receiver, const proto::FrameBatch& batch) {
  std::vector<FrameReceiverCore::Received> frames;
  REQUIRE(receiver.OnBatch(batch, frames).ok());
  for (const auto& frame : frames) receiver.OnDelivered(frame.header);
  return frames.size();
}

void Acknowledge(FrameSenderCore& sender, const proto::FrameBatch& batch) {
  sender.OnAcknowledged(batch.acknowledged());
  for (const auto& credit : batch.credits()) {
    sender.OnCredit(ProcessId{credit.process()}, credit.frames_total());
  }
}

}  // namespace

TEST_CASE("FrameStream: every frame arrives once and in order, however the connection breaks") {
  std::mt19937 random(17);
  for (int run = 0; run < 20; ++run) {
    StreamLimits limits;
    limits.credit_frames = 8;
    limits.batch_bytes_max = 1000;
    FrameSenderCore sender("a", limits);
    FrameReceiverCore receiver(limits);
    std::map<std::pair<uint32_t, FrameKind>, uint64_t> sent;
    std::map<std::pair<uint32_t, FrameKind>, uint64_t> received;
    std::deque<proto::FrameBatch> on_the_way;
    std::deque<proto::FrameBatch> acknowledgements;
    int frames_left = 500;
    uint64_t total = 0;
    for (int step = 0; step < 100000 && (frames_left > 0 || !sender.idle()); ++step) {
      sender.CheckInvariants();
      switch (random() % 6) {
        case 0:
        case 1:
          if (frames_left > 0) {
            const uint32_t destination = 1 + random() % 3;
            const FrameKind kind = random() % 2 == 0 ? FrameKind::kTask : FrameKind::kReply;
            const uint64_t number = ++sent[{destination, kind}];
            sender.Push(Frame(kind, destination, number), Body(random() % 600));
            --frames_left;
          }
          break;
        case 2: {
          proto::FrameBatch batch;
          if (sender.NextBatch(batch)) on_the_way.push_back(batch);
          break;
        }
        case 3:
          if (!on_the_way.empty()) {
            const proto::FrameBatch batch = on_the_way.front();
            on_the_way.pop_front();
            std::vector<FrameReceiverCore::Received> frames;
            REQUIRE(receiver.OnBatch(batch, frames).ok());
            for (const auto& frame : frames) {
              const uint32_t destination = frame.header.destination.number();
              REQUIRE(frame.header.number == ++received[{destination, frame.header.kind}]);
              receiver.OnDelivered(frame.header);
              ++total;
            }
          }
          break;
        case 4: {
          proto::FrameBatch batch;
          if (receiver.NextAcknowledgement(batch)) acknowledgements.push_back(batch);
          if (!acknowledgements.empty()) {
            Acknowledge(sender, acknowledgements.front());
            acknowledgements.pop_front();
          }
          break;
        }
        case 5:
          // the connection breaks: both directions lose what is under way
          if (random() % 20 == 0) {
            on_the_way.clear();
            acknowledgements.clear();
            sender.OnReconnected();
            receiver.OnReconnected();
          }
          break;
      }
    }
    CHECK(sender.idle());
    CHECK(total == 500);
    sender.CheckInvariants();
  }
}

TEST_CASE("FrameStream: a destination without credit waits, the others go on") {
  StreamLimits limits;
  limits.credit_frames = 2;
  FrameSenderCore sender("a", limits);
  for (uint64_t i = 1; i <= 5; ++i) sender.Push(Call(1, i), {});
  sender.Push(Call(2, 1), {});
  proto::FrameBatch batch;
  REQUIRE(sender.NextBatch(batch));
  CHECK(batch.frames() == 3);
  proto::FrameBatch none;
  CHECK_FALSE(sender.NextBatch(none));
  sender.OnAcknowledged(3);
  const ProcessId slow = Process(1);
  sender.OnCredit(slow, 2);  // nothing new
  CHECK_FALSE(sender.NextBatch(none));
  sender.OnCredit(slow, 4);
  sender.OnCredit(slow, 4);
  proto::FrameBatch two;
  REQUIRE(sender.NextBatch(two));
  CHECK(two.frames() == 2);
  const auto returned = sender.OnDestinationGone(slow);
  REQUIRE(returned.size() == 1);
  CHECK(returned[0].header.number == 5);
  sender.CheckInvariants();
  CHECK(sender.TakeAll().size() == 2);
  sender.CheckInvariants();
}

TEST_CASE("FrameStream: nonsense of a peer is refused and changes nothing") {
  FrameSenderCore sender("a");
  sender.Push(Call(1, 1), Body(10));
  sender.OnAcknowledged(99);
  CHECK_FALSE(sender.idle());
  proto::FrameBatch batch;
  REQUIRE(sender.NextBatch(batch));
  FrameReceiverCore receiver;
  std::vector<FrameReceiverCore::Received> frames;
  proto::FrameBatch gap = batch;
  gap.set_first_sequence(2);
  CHECK_FALSE(receiver.OnBatch(gap, frames).ok());
  proto::FrameBatch cut = batch;
  for (size_t size = 0; size < batch.data().size(); ++size) {
    cut.set_data(batch.data().substr(0, size));
    CHECK_FALSE(receiver.OnBatch(cut, frames).ok());
  }
  CHECK(frames.empty());
  REQUIRE(receiver.OnBatch(batch, frames).ok());
  REQUIRE(receiver.OnBatch(batch, frames).ok());  // a repeat
  CHECK(frames.size() == 1);
  CHECK(frames[0].body.size() == 10);
}

TEST_CASE("FrameStream: what is no call passes the calls that wait for credit, and takes none") {
  StreamLimits limits;
  limits.credit_frames = 2;
  FrameSenderCore sender("a", limits);
  for (uint64_t i = 1; i <= 5; ++i) sender.Push(Call(1, i), {});
  for (uint64_t i = 1; i <= 20; ++i) sender.Push(Reply(1, i), {});
  proto::FrameBatch batch;
  REQUIRE(sender.NextBatch(batch));
  CHECK(batch.frames() == 22);  // the busy actor gets the answers that it may wait for
  sender.CheckInvariants();
  FrameReceiverCore receiver(limits);
  REQUIRE(Handle(receiver, batch) == 22);
  proto::FrameBatch acknowledgement;
  REQUIRE(receiver.NextAcknowledgement(acknowledgement));
  REQUIRE(acknowledgement.credits_size() == 1);
  CHECK(acknowledgement.credits(0).frames_total() == 4);  // of two calls, not of 22 frames
}

TEST_CASE("FrameStream: frames that took no credit give none; a miscount never stops a stream") {
  FrameSenderCore sender("a");
  FrameReceiverCore receiver;
  const bool miscounts = GENERATE(false, true);
  for (uint64_t i = 1; i <= 2000; ++i) {
    // Urgent frames came over another stream, and are told of here: they took no credit.
    receiver.OnDelivered(Frame(FrameKind::kRevokeReply, 1, i));
    if (miscounts && i == 10) {
      for (uint64_t extra = 1; extra <= 1000; ++extra) receiver.OnDelivered(Call(1, extra));
    }
    sender.Push(Call(1, i), {});
    proto::FrameBatch batch;
    REQUIRE(sender.NextBatch(batch));
    REQUIRE(Handle(receiver, batch) == 1);
    proto::FrameBatch acknowledgement;
    REQUIRE(receiver.NextAcknowledgement(acknowledgement));
    Acknowledge(sender, acknowledgement);
    sender.CheckInvariants();
    REQUIRE(sender.idle());
  }
}

TEST_CASE("FrameStream: calls fill only their own destination, and never what is no call") {
  StreamLimits limits;
  limits.calls_bytes_max = 9 * (model::kFrameHeaderBytes + 1000);
  limits.destination_bytes_min = 3000;
  limits.answers_bytes_max = 5000;
  limits.credit_frames = 2;
  FrameSenderCore sender("a", limits);
  uint64_t calls = 0;
  while (!sender.Full(Call(1, 0))) sender.Push(Call(1, ++calls), Body(1000));
  CHECK(calls == 9);
  CHECK_FALSE(sender.Full(Call(2, 0)));
  CHECK_FALSE(sender.Full(Reply(1, 0)));
  for (uint64_t i = 1; i <= 3; ++i) sender.Push(Call(2, i), Body(1000));
  CHECK(sender.Full(Call(2, 0)));
  CHECK_FALSE(sender.Full(Call(3, 0)));
  // Answers are bounded by what the network has not taken, whatever processes do.
  uint64_t answers = 0;
  while (!sender.Full(Reply(1, 0))) sender.Push(Reply(1, ++answers), Body(1000));
  CHECK(answers == 5);
  proto::FrameBatch batch;
  REQUIRE(sender.NextBatch(batch));
  sender.OnAcknowledged(batch.frames());
  CHECK_FALSE(sender.Full(Reply(1, 0)));
  CHECK_FALSE(sender.Full(Call(1, 0)));
  sender.CheckInvariants();
}

TEST_CASE("FrameStream: a new connection is greeted, also when all that is left waits for credit") {
  StreamLimits limits;
  limits.credit_frames = 4;
  FrameSenderCore sender("a", limits);
  FrameReceiverCore receiver(limits);
  for (uint64_t i = 1; i <= 6; ++i) sender.Push(Call(1, i), {});
  proto::FrameBatch batch;
  REQUIRE(sender.NextBatch(batch));
  std::vector<FrameReceiverCore::Received> frames;
  REQUIRE(receiver.OnBatch(batch, frames).ok());  // they wait for room in the ring
  proto::FrameBatch acknowledgement;
  REQUIRE(receiver.NextAcknowledgement(acknowledgement));
  Acknowledge(sender, acknowledgement);
  CHECK_FALSE(sender.idle());  // so that the connection is made again when it breaks
  proto::FrameBatch none;
  CHECK_FALSE(sender.NextBatch(none));
  // It breaks; meanwhile the actor takes its calls.
  for (const auto& frame : frames) receiver.OnDelivered(frame.header);
  proto::FrameBatch lost;
  REQUIRE(receiver.NextAcknowledgement(lost));
  sender.OnReconnected();
  proto::FrameBatch greeting;
  REQUIRE(sender.NextBatch(greeting));
  CHECK(greeting.frames() == 0);
  CHECK_FALSE(sender.NextBatch(none));  // once
  receiver.OnReconnected();
  CHECK(Handle(receiver, greeting) == 0);
  proto::FrameBatch again;
  REQUIRE(receiver.NextAcknowledgement(again));
  Acknowledge(sender, again);
  proto::FrameBatch rest;
  REQUIRE(sender.NextBatch(rest));
  CHECK(Handle(receiver, rest) == 2);
}

TEST_CASE("FrameStream: a destination that is gone is forgotten on both sides") {
  StreamLimits limits;
  limits.credit_frames = 2;
  FrameSenderCore sender("a", limits);
  FrameReceiverCore receiver(limits);
  for (uint64_t i = 1; i <= 2; ++i) {
    sender.Push(Call(1, i), Body(10));
    sender.Push(Call(2, i), Body(10));
  }
  proto::FrameBatch batch;
  REQUIRE(sender.NextBatch(batch));
  REQUIRE(Handle(receiver, batch) == 4);
  receiver.OnDestinationGone(Process(1));
  receiver.OnReconnected();  // would tell all that it knows
  proto::FrameBatch acknowledgement;
  REQUIRE(receiver.NextAcknowledgement(acknowledgement));
  REQUIRE(acknowledgement.credits_size() == 1);
  CHECK(acknowledgement.credits(0).process() == Process(2).value);
  // The sender learns of it while its calls are under way; what it sends later has credit anew and
  // comes back, and nothing is counted twice.
  sender.Push(Call(1, 3), Body(10));
  CHECK(sender.OnDestinationGone(Process(1)).size() == 1);
  sender.CheckInvariants();
  for (uint64_t i = 4; i <= 6; ++i) sender.Push(Call(1, i), Body(10));
  sender.CheckInvariants();
  Acknowledge(sender, acknowledgement);
  sender.CheckInvariants();
  CHECK(sender.OnDestinationGone(Process(1)).size() == 1);
  proto::FrameBatch late;
  REQUIRE(sender.NextBatch(late));
  CHECK(late.frames() == 2);
  sender.OnAcknowledged(6);
  sender.CheckInvariants();
  CHECK(sender.idle());
}

}  // namespace rayx::node
