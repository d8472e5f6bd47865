#include "store/transfer/serving_connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace rayx::store {

using rpc::StreamStep;

static_assert(kCopiesToldMax * sizeof(uint32_t) <= kRefusalBytesMax);

void ServingConnection::Begin(std::unique_ptr<rpc::ByteStream> stream) {
  last_progress_ = Now();
  if (const auto status = Open(std::move(stream)); !status.ok()) {
    Close(base::Message(status));
    return;
  }
  Run();
}

void ServingConnection::Enter(Phase phase) {
  phase_ = phase;
  filled_ = 0;
  last_progress_ = Now();
}

ServingConnection::Next ServingConnection::Advance() {
  StreamStep step = StreamStep::kDone;
  while (true) {
    switch (phase_) {
      case Phase::kHandshake:
        if (step = stream().Handshake(); step != StreamStep::kDone) return WaitFor(step);
        phase_ = Phase::kGreeting;  // in the same time
        break;
      case Phase::kGreeting:
        if (step = Fill(RoomOf(greeting_)); step != StreamStep::kDone) return WaitFor(step);
        if (const auto next = OnGreeting()) return *next;
        break;
      case Phase::kRequest:
        if (step = Fill(RoomOf(request_)); step != StreamStep::kDone) return WaitFor(step);
        Enter(Phase::kAsking);
        events_->on_request(std::static_pointer_cast<ServingConnection>(shared_from_this()),
                            request_);
        return Next::kNothing;
      case Phase::kAsking:
        return Next::kNothing;
      case Phase::kVerdict:
      case Phase::kSending:
        if (const auto next = Write()) return *next;
        break;
    }
  }
}

StreamStep ServingConnection::Fill(std::span<std::byte> room) {
  while (filled_ < room.size()) {
    const auto read = stream().Read(room.subspan(filled_));
    if (read.step != StreamStep::kDone) return read.step;
    if (phase_ == Phase::kRequest && filled_ == 0) last_progress_ = Now();
    filled_ += read.bytes;
  }
  return StreamStep::kDone;
}

std::optional<ServingConnection::Next> ServingConnection::OnGreeting() {
  const auto verdict = Judge(greeting_, events_->token);
  std::memset(greeting_.token, 0, sizeof greeting_.token);
  if (!verdict.ok()) return CloseFor(std::string(base::Message(verdict.status())));
  verdict_ = *verdict;
  if (verdict_ == DataVerdict::kWelcome) {
    is_known_ = true;
    events_->on_known(this);
  }
  DataWelcome welcome;
  welcome.verdict = verdict_;
  std::memcpy(head_.data(), &welcome, sizeof welcome);
  head_left_ = std::span(head_).first(sizeof welcome);
  Enter(Phase::kVerdict);
  return std::nullopt;
}

void ServingConnection::PutHead(const DataHead& head, std::span<const std::byte> behind) {
  std::memcpy(head_.data(), &head, sizeof head);
  std::memcpy(head_.data() + sizeof head, behind.data(), behind.size());
  head_left_ = std::span(head_).first(sizeof head + behind.size());
  Enter(Phase::kSending);
}

void ServingConnection::Answer(std::shared_ptr<const ServedObject> object) {
  if (is_closed() || phase_ != Phase::kAsking) return;
  const ByteRange range = object->range();
  const auto bytes = object->Read(range.offset, range.bytes);
  RAYX_CHECK(bytes.ok() && object->copies().size() <= kCopiesToldMax,
             "the store serves what it has");
  std::array<uint32_t, kCopiesToldMax> copies{};
  std::transform(object->copies().begin(), object->copies().end(), copies.begin(),
                 [](model::NodeNumber node) { return node.value; });
  object_ = std::move(object);
  body_left_ = *bytes;
  const auto count = static_cast<uint32_t>(object_->copies().size());
  PutHead({DataAnswer::kBytes, count, range.offset, range.bytes},
          std::as_bytes(std::span(copies).first(count)));
  Run();
}

void ServingConnection::Refuse(DataAnswer answer, std::string_view why) {
  if (is_closed() || phase_ != Phase::kAsking) return;
  why = why.substr(0, kRefusalBytesMax);
  PutHead({answer, static_cast<uint32_t>(why.size()), 0, 0}, std::as_bytes(std::span(why)));
  Run();
}

bool ServingConnection::Send(std::span<const std::byte>& left, size_t& turn, StreamStep& step) {
  while (!left.empty() && turn > 0) {
    const auto written = stream().Write(left.first(std::min(left.size(), turn)));
    step = written.step;
    if (step != StreamStep::kDone) return false;
    left = left.subspan(written.bytes);
    turn -= written.bytes;
  }
  return left.empty();
}

std::optional<ServingConnection::Next> ServingConnection::Write() {
  const size_t to_send = head_left_.size() + body_left_.size();
  size_t turn = kDataTurnBytes;
  StreamStep step = StreamStep::kDone;
  const bool is_sent = Send(head_left_, turn, step) && Send(body_left_, turn, step);
  if (head_left_.size() + body_left_.size() < to_send) last_progress_ = Now();
  if (!is_sent) return step == StreamStep::kDone ? Next::kAgain : WaitFor(step);
  object_.reset();
  if (verdict_ != DataVerdict::kWelcome) {
    // Bytes that nobody has read would make the end a reset, which may overtake the verdict.
    (void)stream().Read(RoomOf(request_));
    return CloseFor("its token or its version is not ours");
  }
  Enter(Phase::kRequest);
  return std::nullopt;
}

void ServingConnection::OnTick(model::TimePoint now) {
  const model::Duration passed = now - last_progress_;
  switch (phase_) {
    case Phase::kHandshake:
    case Phase::kGreeting:
      if (passed >= limits_.handshake_max) Close("it did not greet in time");
      return;
    case Phase::kRequest:
      if (passed >= (filled_ > 0 ? limits_.stall_max : limits_.idle_max)) Close("it is idle");
      return;
    case Phase::kVerdict:
    case Phase::kSending:
      if (passed >= limits_.stall_max) Close("it takes no bytes");
      return;
    case Phase::kAsking:
      return;  // the store answers or has stopped
  }
}

void ServingConnection::OnClosed(std::string_view why) {
  object_.reset();
  body_left_ = {};
  if (!is_known_) RAYX_LOG(kDebug) << "a data connection was refused: " << why;
  events_->on_closed(this);
}

}  // namespace rayx::store
