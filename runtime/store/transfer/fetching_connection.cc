#include "store/transfer/fetching_connection.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"
#include "store/transfer/data_pool.h"

namespace rayx::store {

using rpc::StreamStep;

namespace {

// Of a long range: a thread that is woken for each segment costs the sender's CPU more than the
// segment does. What comes more slowly is looked at each tick.
constexpr size_t kWakeBytes = 256 * 1024;
// A fetch that crawls is begun again; the plan watches for one that stands still.
constexpr model::Duration kDeadlineFixed = std::chrono::seconds(30);
constexpr uint64_t kBytesPerSecondMin = uint64_t{4} << 20;
// A cancelled fetch that had brought nothing for so long is told from one that nobody wanted.
constexpr model::Duration kSilence = std::chrono::seconds(2);

model::Duration TimeFor(uint64_t bytes) {
  return kDeadlineFixed +
         std::chrono::seconds(std::min<uint64_t>(bytes / kBytesPerSecondMin, 24 * 3600));
}

}  // namespace

// --- One fetch after the other ---

void FetchingConnection::Begin(std::shared_ptr<Fetching> fetching) {
  if (is_closed()) return pool_->Place(std::move(fetching));  // it was idle, and its peer closed it
  RAYX_CHECK(fetching_ == nullptr, "one fetch at a time");
  Start(std::move(fetching));
  // Whoever cancelled it on its way here has asked before this connection had it.
  if (fetching_->is_cancelled) return Close("it was cancelled");
  if (phase_ == Phase::kHandshake && !Connect()) return;
  Run();
}

void FetchingConnection::Start(std::shared_ptr<Fetching> fetching) {
  fetching_ = std::move(fetching);
  began_ = last_progress_ = Now();
  is_answered_ = false;
  size_t bytes = 0;
  if (!is_greeted_) {
    DataGreeting greeting;
    const std::string& token = pool_->options().credentials.token;
    RAYX_CHECK(token.size() == sizeof greeting.token);
    std::memcpy(greeting.token, token.data(), sizeof greeting.token);
    std::memcpy(out_.data(), &greeting, sizeof greeting);
    bytes = sizeof greeting;
  }
  std::memcpy(out_.data() + bytes, &fetching_->request, sizeof(DataRequest));
  out_left_ = std::span(out_).first(bytes + sizeof(DataRequest));
  if (is_greeted_) Enter(Phase::kAsking);
}

bool FetchingConnection::Connect() {
  auto stream = rpc::ByteStream::Connect(fetching_->peer, pool_->security());
  const base::Status status = stream.ok() ? Open(*std::move(stream)) : stream.status();
  if (status.ok()) return true;
  is_failure_ = status.code() == base::StatusCode::kResourceExhausted;
  Close(base::Message(status));
  return false;
}

std::optional<FetchingConnection::Next> FetchingConnection::Finish(FetchOutcome outcome,
                                                                   std::string_view why) {
  place_ = {};
  const auto ended = std::exchange(fetching_, nullptr);
  Enter(Phase::kIdle);
  last_progress_ = Now();
  // Idle before the end is told: what that leads to finds this connection.
  auto next =
      pool_->NextFor(std::static_pointer_cast<FetchingConnection>(shared_from_this()), peer_);
  ended->Done(outcome, why);
  if (next != nullptr) Start(std::move(next));
  return std::nullopt;
}

void FetchingConnection::Cancel(const std::shared_ptr<Fetching>& fetching) {
  // The rest of the answer would have to be taken: a new connection costs less.
  if (fetching_ == fetching) Close("it was cancelled");
}

void FetchingConnection::OnClosed(std::string_view why) {
  place_ = {};
  pool_->OnClosed(this, peer_);
  const auto fetching = std::exchange(fetching_, nullptr);
  if (fetching == nullptr) return;
  const bool is_silent = Now() - (is_greeted_ ? last_progress_ : began_) >= kSilence;
  if (is_failure_) {
    fetching->Done(FetchOutcome::kBroken, "its transfer failed: " + std::string(why));
  } else if (fetching->is_cancelled && !is_silent) {
    fetching->Done(FetchOutcome::kBroken, why);
  } else if (fetching->is_cancelled) {
    fetching->Done(FetchOutcome::kBroken, "the node's daemon does not answer: it sends nothing");
  } else if (is_greeted_ && !is_answered_ && !fetching->was_repeated) {
    // An idle connection may end just when it is used again.
    fetching->was_repeated = true;
    pool_->Place(fetching);
  } else {
    fetching->Done(FetchOutcome::kBroken, "the node's daemon does not answer: " + std::string(why));
  }
}

void FetchingConnection::OnTick(model::TimePoint now) {
  if (phase_ == Phase::kBytes) Run();  // less than it waits to be woken for may have come
  if (is_closed()) return;
  const DataClientOptions& options = pool_->options();
  if (fetching_ == nullptr) {
    if (now - last_progress_ < options.idle_max) return;
    if (pool_->TakeBack(this, peer_)) Close("it is idle");
  } else if (!is_greeted_) {
    if (now - began_ >= options.connect_max) Close("it cannot be reached");
  } else if (now - last_progress_ >= options.stall_max) {
    is_answered_ = true;  // no connection has ended: another one would do no better
    Close("it sends nothing");
  } else if (now - began_ >= TimeFor(fetching_->request.bytes)) {
    is_failure_ = true;
    Close("it crawled and was given up");
  }
}

// --- What is written and read ---

void FetchingConnection::Enter(Phase phase) {
  phase_ = phase;
  filled_ = 0;
}

FetchingConnection::Next FetchingConnection::Fail(std::string why) {
  is_failure_ = true;
  return CloseFor(std::move(why));
}

FetchingConnection::Next FetchingConnection::Advance() {
  size_t turn = kDataTurnBytes;
  StreamStep step = StreamStep::kDone;
  std::optional<Next> next;
  while (!next) {
    switch (phase_) {
      case Phase::kHandshake:
        if (step = stream().Handshake(); step != StreamStep::kDone) return WaitFor(step);
        Enter(Phase::kAsking);
        break;
      case Phase::kAsking:
        next = Ask();
        break;
      case Phase::kWelcome:
        if (step = Fill(RoomOf(welcome_)); step != StreamStep::kDone) return WaitFor(step);
        next = OnWelcome();
        break;
      case Phase::kHead:
        if (step = Fill(RoomOf(head_)); step != StreamStep::kDone) return WaitFor(step);
        next = OnHead();
        break;
      case Phase::kBehind:
        if (step = Fill(Behind()); step != StreamStep::kDone) return WaitFor(step);
        next = OnBehind();
        break;
      case Phase::kBytes:
        next = ReadBytes(turn);
        break;
      case Phase::kIdle:
        next = ReadIdle();
        break;
    }
  }
  return *next;
}

StreamStep FetchingConnection::Fill(std::span<std::byte> room) {
  while (filled_ < room.size()) {
    const auto read = stream().Read(room.subspan(filled_));
    if (read.step != StreamStep::kDone) return read.step;
    filled_ += read.bytes;
    last_progress_ = Now();
    is_answered_ = is_answered_ || is_greeted_;
  }
  return StreamStep::kDone;
}

std::optional<FetchingConnection::Next> FetchingConnection::Ask() {
  while (!out_left_.empty()) {
    const auto written = stream().Write(out_left_);
    if (written.step != StreamStep::kDone) return WaitFor(written.step);
    out_left_ = out_left_.subspan(written.bytes);
  }
  Enter(is_greeted_ ? Phase::kHead : Phase::kWelcome);
  return std::nullopt;
}

std::optional<FetchingConnection::Next> FetchingConnection::OnWelcome() {
  if (welcome_.magic != kDataMagic) return Fail("its port is not one for data");
  if (welcome_.verdict == DataVerdict::kWrongVersion) {
    return Fail("node " + ToString(peer_) + " speaks version " + std::to_string(welcome_.version) +
                " of transfers, this node version " + std::to_string(kDataVersion));
  }
  if (welcome_.verdict != DataVerdict::kWelcome) {
    return Fail("node " + ToString(peer_) + " refuses this node's token");
  }
  is_greeted_ = true;
  Enter(Phase::kHead);
  return std::nullopt;
}

std::optional<FetchingConnection::Next> FetchingConnection::OnHead() {
  if (const auto status = CheckHead(head_, fetching_->range()); !status.ok()) {
    return Fail(std::string(base::Message(status)));
  }
  Enter(Phase::kBehind);
  return std::nullopt;
}

std::span<std::byte> FetchingConnection::Behind() {
  const size_t unit = head_.answer == DataAnswer::kBytes ? sizeof(uint32_t) : 1;
  return std::span(behind_).first(head_.count * unit);
}

std::optional<FetchingConnection::Next> FetchingConnection::OnBehind() {
  if (head_.answer != DataAnswer::kBytes) {
    const std::string why(reinterpret_cast<const char*>(behind_.data()), head_.count);
    return Finish(head_.answer == DataAnswer::kLost ? FetchOutcome::kLost : FetchOutcome::kBroken,
                  why);
  }
  std::vector<model::NodeNumber> copies(head_.count);
  for (uint32_t i = 0; i < head_.count; ++i) {
    std::memcpy(&copies[i].value, behind_.data() + i * sizeof(uint32_t), sizeof(uint32_t));
  }
  if (!copies.empty()) fetching_->sink().OnCopies(copies);
  next_ = head_.offset;
  end_ = head_.offset + head_.bytes;
  Enter(Phase::kBytes);
  return std::nullopt;
}

std::optional<FetchingConnection::Next> FetchingConnection::ReadBytes(size_t& turn) {
  while (next_ < end_) {
    if (turn == 0) return Next::kAgain;
    if (place_.empty()) {
      const uint64_t bytes = std::min(end_ - next_, kChunkBytes - next_ % kChunkBytes);
      place_ = fetching_->sink().Place(next_, bytes);
      if (place_.size() != bytes) return Fail("it sends what was not asked for");
    }
    const auto read = stream().Read(place_.first(std::min(place_.size(), turn)));
    if (read.step != StreamStep::kDone) {
      stream().BeReadableFrom(end_ - next_ > 2 * kWakeBytes ? kWakeBytes : 1);
      return WaitFor(read.step);
    }
    last_progress_ = Now();
    turn -= read.bytes;
    next_ += read.bytes;
    place_ = place_.subspan(read.bytes);
    if (place_.empty()) fetching_->sink().OnPlaced();
  }
  stream().BeReadableFrom(1);
  return Finish(FetchOutcome::kDone, "");
}

FetchingConnection::Next FetchingConnection::ReadIdle() {
  std::byte unasked{};
  const auto read = stream().Read(std::span(&unasked, 1));
  return read.step == StreamStep::kDone ? Fail("it speaks unasked") : WaitFor(read.step);
}

}  // namespace rayx::store
