// Goal: frames arrive once and in order over connections that break, and a slow destination holds back
// only itself. Method: both ends of a stream with a connection that loses and repeats at random (fixed
// seed), then single rules by hand.
#include "node/core/frame_stream_core.h"

#include <catch2/catch.hpp>
#include <map>
#include <random>

namespace rayx::node {
namespace {

using model::FrameHeader;
using model::NodeNumber;
using model::ProcessId;

FrameHeader Frame(uint32_t destination, uint64_t number) {
  FrameHeader header;
  header.kind = model::FrameKind::kReply;
  header.source = ProcessId::Make(NodeNumber{1}, 1);
  header.destination = ProcessId::Make(NodeNumber{2}, destination);
  header.call_number = number;
  return header;
}

std::vector<std::byte> Body(size_t bytes) { return std::vector<std::byte>(bytes, std::byte{7}); }

}  // namespace

TEST_CASE("FrameStream: every frame arrives once and in order, however the connection breaks") {
  std::mt19937 random(17);
  for (int run = 0; run < 20; ++run) {
    StreamLimits limits;
    limits.credit_frames = 8;
    limits.batch_bytes_max = 1000;
    FrameSenderCore sender("a", true, limits);
    FrameReceiverCore receiver(limits);
    std::map<uint32_t, uint64_t> sent;
    std::map<uint32_t, uint64_t> received;
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
            const uint32_t destination = random() % 3;
            sender.Push(Frame(destination, ++sent[destination]), Body(random() % 600));
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
              REQUIRE(frame.header.call_number == ++received[destination]);
              receiver.OnDelivered(frame.header.destination);
              ++total;
            }
          }
          break;
        case 4: {
          proto::FrameBatch batch;
          if (receiver.NextAcknowledgement(batch)) acknowledgements.push_back(batch);
          if (!acknowledgements.empty()) {
            sender.OnAcknowledged(acknowledgements.front().acknowledged());
            for (const auto& credit : acknowledgements.front().credits()) {
              sender.OnCredit(ProcessId{credit.process()}, credit.frames_total());
            }
            acknowledgements.pop_front();
          }
          break;
        }
        case 5:
          if (random() % 20 == 0) {  // the connection breaks: both directions lose what is under way
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
    CHECK(sender.held_bytes() == 0);
  }
}

TEST_CASE("FrameStream: a destination without credit waits, the others go on") {
  StreamLimits limits;
  limits.credit_frames = 2;
  FrameSenderCore sender("a", true, limits);
  for (uint64_t i = 1; i <= 5; ++i) sender.Push(Frame(1, i), {});
  sender.Push(Frame(2, 1), {});
  proto::FrameBatch batch;
  REQUIRE(sender.NextBatch(batch));
  CHECK(batch.frames() == 3);
  proto::FrameBatch none;
  CHECK_FALSE(sender.NextBatch(none));
  sender.OnAcknowledged(3);
  const ProcessId slow = ProcessId::Make(NodeNumber{2}, 1);
  sender.OnCredit(slow, 1000);  // more than can be: ignored
  CHECK_FALSE(sender.NextBatch(none));
  sender.OnCredit(slow, 4);
  sender.OnCredit(slow, 4);
  proto::FrameBatch two;
  REQUIRE(sender.NextBatch(two));
  CHECK(two.frames() == 2);
  const auto returned = sender.OnDestinationGone(slow);
  REQUIRE(returned.size() == 1);
  CHECK(returned[0].header.call_number == 5);
  sender.CheckInvariants();
  CHECK(sender.TakeAll().size() == 2);
  sender.CheckInvariants();
}

TEST_CASE("FrameStream: nonsense of a peer is refused and changes nothing") {
  FrameSenderCore sender("a", false);
  sender.Push(Frame(1, 1), Body(10));
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

}  // namespace rayx::node
