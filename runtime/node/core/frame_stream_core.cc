#include "node/core/frame_stream_core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace rayx::node {

using model::FrameHeader;
using model::ProcessId;

void FrameSenderCore::Sequence(StreamFrame frame) {
  ++sequenced_;
  kept_.push_back(std::move(frame));
}

void FrameSenderCore::Push(const FrameHeader& header, std::span<const std::byte> body) {
  StreamFrame frame;
  frame.header = header;
  frame.header.flags &= static_cast<uint8_t>(~model::kFlagPayloadBlock);
  frame.header.body_bytes = static_cast<uint32_t>(body.size());
  frame.header.claim_slot = 0;
  frame.bytes.reserve(sizeof frame.header + body.size());
  frame.bytes.append(reinterpret_cast<const char*>(&frame.header), sizeof frame.header);
  frame.bytes.append(reinterpret_cast<const char*>(body.data()), body.size());
  if (!TakesCredit(header)) {
    answers_bytes_ += frame.bytes.size();
    return Sequence(std::move(frame));
  }
  auto [it, added] = credits_.try_emplace(header.destination);
  Credit& credit = it->second;
  if (added) credit.allowed = limits_.credit_frames;
  credit.gone = false;
  credit.bytes += frame.bytes.size();
  calls_bytes_ += frame.bytes.size();
  if (!credit.waiting.empty() || credit.used >= credit.allowed) {
    credit.waiting.push_back(std::move(frame));
    held_.insert(header.destination);
    return;
  }
  ++credit.used;
  Sequence(std::move(frame));
}

bool FrameSenderCore::Full(const FrameHeader& header) const {
  if (!TakesCredit(header)) return answers_bytes_ >= limits_.answers_bytes_max;
  if (calls_bytes_ < limits_.calls_bytes_max) return false;
  auto it = credits_.find(header.destination);
  return it != credits_.end() && it->second.bytes >= limits_.destination_bytes_min;
}

// The peer has handled the frame.
void FrameSenderCore::Release(const StreamFrame& frame) {
  if (!TakesCredit(frame.header)) {
    answers_bytes_ -= frame.bytes.size();
    return;
  }
  calls_bytes_ -= frame.bytes.size();
  auto it = credits_.find(frame.header.destination);
  it->second.bytes -= frame.bytes.size();
  if (it->second.gone && it->second.bytes == 0) credits_.erase(it);
}

void FrameSenderCore::OnCredit(ProcessId destination, uint64_t frames_total) {
  auto it = credits_.find(destination);
  if (it == credits_.end()) return;
  Credit& credit = it->second;
  frames_total = std::min(frames_total, credit.used + limits_.credit_frames);
  if (frames_total <= credit.allowed) return;  // totals only grow
  credit.allowed = frames_total;
  while (!credit.waiting.empty() && credit.used < credit.allowed) {
    ++credit.used;
    Sequence(std::move(credit.waiting.front()));
    credit.waiting.pop_front();
  }
  if (credit.waiting.empty()) held_.erase(destination);
}

bool FrameSenderCore::NextBatch(proto::FrameBatch& batch) {
  if (sent_ >= sequenced_ && !greet_) return false;
  greet_ = false;
  batch.set_stream_incarnation(incarnation_);
  batch.set_first_sequence(sent_ + 1);
  uint32_t frames = 0;
  std::string* data = batch.mutable_data();
  while (sent_ < sequenced_) {
    const StreamFrame& frame = kept_[sent_ - acknowledged_];
    if (frames != 0 && data->size() + frame.bytes.size() > limits_.batch_bytes_max) break;
    data->append(frame.bytes);
    ++frames;
    ++sent_;
  }
  batch.set_frames(frames);
  return true;
}

void FrameSenderCore::OnAcknowledged(uint64_t sequence) {
  if (sequence > sent_) return;  // of what was never sent: nonsense
  while (acknowledged_ < sequence) {
    Release(kept_.front());
    kept_.pop_front();
    ++acknowledged_;
  }
}

std::vector<StreamFrame> FrameSenderCore::OnDestinationGone(ProcessId destination) {
  std::vector<StreamFrame> frames;
  auto it = credits_.find(destination);
  if (it == credits_.end()) return frames;
  Credit& credit = it->second;
  for (StreamFrame& frame : credit.waiting) {
    calls_bytes_ -= frame.bytes.size();
    credit.bytes -= frame.bytes.size();
    frames.push_back(std::move(frame));
  }
  credit.waiting.clear();
  credit.used = 0;
  credit.allowed = limits_.credit_frames;
  credit.gone = true;
  held_.erase(destination);
  if (credit.bytes == 0) credits_.erase(it);
  return frames;
}

std::vector<StreamFrame> FrameSenderCore::TakeAll() {
  std::vector<StreamFrame> frames;
  for (StreamFrame& frame : kept_) frames.push_back(std::move(frame));
  for (ProcessId destination : held_) {
    for (StreamFrame& frame : credits_.at(destination).waiting) frames.push_back(std::move(frame));
  }
  kept_.clear();
  credits_.clear();
  held_.clear();
  calls_bytes_ = answers_bytes_ = 0;
  sent_ = acknowledged_ = sequenced_;
  return frames;
}

void FrameSenderCore::CheckInvariants() const {
  RAYX_CHECK(acknowledged_ <= sent_ && sent_ <= sequenced_, "sequences out of order");
  RAYX_CHECK(kept_.size() == sequenced_ - acknowledged_, "a frame is lost or kept too long");
  size_t answers = 0;
  std::map<ProcessId, size_t> calls;
  for (const StreamFrame& frame : kept_) {
    (TakesCredit(frame.header) ? calls[frame.header.destination] : answers) += frame.bytes.size();
  }
  size_t bytes = 0;
  for (const auto& [destination, credit] : credits_) {
    RAYX_CHECK(credit.used <= credit.allowed, "more frames sent than allowed");
    RAYX_CHECK(credit.waiting.empty() == (held_.count(destination) == 0), "held miscounted");
    RAYX_CHECK(credit.waiting.empty() || credit.used == credit.allowed, "credit is not used");
    size_t own = calls[destination];
    for (const StreamFrame& frame : credit.waiting) own += frame.bytes.size();
    RAYX_CHECK(own == credit.bytes, "bytes of a destination miscounted");
    RAYX_CHECK(own != 0 || !credit.gone, "a destination that is gone is kept");
    bytes += own;
  }
  RAYX_CHECK(bytes == calls_bytes_ && answers == answers_bytes_, "bytes miscounted");
}

base::Status FrameReceiverCore::OnBatch(const proto::FrameBatch& batch,
                                        std::vector<Received>& frames) {
  if (batch.stream_incarnation() != incarnation_) {  // another start of that daemon
    incarnation_ = batch.stream_incarnation();
    handled_ = told_ = 0;
    delivered_.clear();
    to_tell_.clear();
  }
  if (batch.first_sequence() == 0 || batch.first_sequence() > handled_ + 1) {
    return absl::InvalidArgumentError("frames are missing in the stream");
  }
  std::span<const std::byte> left = std::as_bytes(std::span(batch.data()));
  for (uint32_t i = 0; i < batch.frames(); ++i) {
    Received received;
    const model::FrameError error = DecodeHeader(left, received.header);
    if (error != model::FrameError::kNone) {
      return absl::InvalidArgumentError(model::ToString(error));
    }
    left = left.subspan(model::kFrameHeaderBytes);
    if (received.header.body_bytes > left.size()) {
      return absl::InvalidArgumentError("a frame reaches beyond its batch");
    }
    received.body = left.first(received.header.body_bytes);
    left = left.subspan(received.header.body_bytes);
    if (batch.first_sequence() + i <= handled_) continue;  // a repeat
    ++handled_;
    frames.push_back(received);
  }
  tell_ = true;
  return absl::OkStatus();
}

void FrameReceiverCore::OnDelivered(const FrameHeader& header) {
  if (!TakesCredit(header)) return;
  Delivered& delivered = delivered_[header.destination];
  ++delivered.total;
  // Every quarter of a window is often enough.
  if (delivered.total - delivered.told >= limits_.credit_frames / 4) {
    to_tell_.insert(header.destination);
  }
}

void FrameReceiverCore::OnDestinationGone(ProcessId destination) {
  delivered_.erase(destination);
  to_tell_.erase(destination);
}

bool FrameReceiverCore::NextAcknowledgement(proto::FrameBatch& batch) {
  if (!tell_ && to_tell_.empty()) return false;
  batch.set_acknowledged(handled_);
  told_ = handled_;
  tell_ = false;
  for (ProcessId destination : to_tell_) {
    auto it = delivered_.find(destination);
    if (it == delivered_.end()) continue;
    it->second.told = it->second.total;
    auto* credit = batch.add_credits();
    credit->set_process(destination.value);
    credit->set_frames_total(it->second.total + limits_.credit_frames);
  }
  to_tell_.clear();
  return true;
}

void FrameReceiverCore::OnReconnected() {
  tell_ = true;
  for (const auto& [destination, delivered] : delivered_) to_tell_.insert(destination);
}

}  // namespace rayx::node
