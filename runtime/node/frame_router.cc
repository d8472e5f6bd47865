#include "node/frame_router.h"

#include <utility>

#include "base/check.h"
#include "rpc/errors.h"

namespace rayx::node {

using model::FrameHeader;
using model::FrameKind;
using model::NodeNumber;
using model::ProcessId;
using shm::Lane;

namespace {

// Whoever sent one of these waits for an answer.
bool NeedsAnswer(FrameKind kind) {
  return IsCall(kind) || kind == FrameKind::kFetchValue || kind == FrameKind::kAddBorrower;
}

}  // namespace

bool FrameRouter::HasWork() const {
  for (const auto& [id, process] : table_.all()) {
    for (const Lane lane : {Lane::kCalls, Lane::kReplies}) {
      if (process->channel->HasWork(lane) && paused_.count({id, lane}) == 0) return true;
    }
  }
  return false;
}

bool FrameRouter::Drain() {
  paused_.clear();
  stalled_ = Flush();
  bool more = false;
  std::vector<ProcessId> ids;  // a corrupt process may leave the table meanwhile
  for (const auto& [id, process] : table_.all()) {
    if (process->channel->HasWork()) ids.push_back(id);
  }
  for (const ProcessId id : ids) {
    for (const Lane lane : {Lane::kReplies, Lane::kCalls}) {
      LocalProcess* process = table_.Find(id);
      if (process != nullptr) more = DrainLane(*process, lane, false) || more;
    }
  }
  stalled_ = stalled_ || !paused_.empty();
  RingAll();
  return more;
}

bool FrameRouter::DrainLane(LocalProcess& source, Lane lane, bool forced) {
  shm::ReceivedFrame frame;
  for (int i = 0; i < kPassFrames; ++i) {
    const shm::ReadResult result = source.channel->Peek(lane, frame);
    if (result == shm::ReadResult::kEmpty) return false;
    if (result == shm::ReadResult::kCorrupt) {
      outside_.on_corrupt(source, source.channel->corruption());
      return false;
    }
    if (frame.header.source != source.id) {
      outside_.on_corrupt(source, "a frame in the name of another process");
      return false;
    }
    if (!forced && !MayTake(frame.header)) {
      paused_.insert({source.id, lane});
      return false;
    }
    const bool is_call = lane == Lane::kCalls;
    if (is_call && !source.channel->TryClaim(frame)) {
      source.channel->Pop(lane);
      continue;
    }
    // A private copy: the source could change the bytes while they are on their way.
    scratch_.assign(frame.body.begin(), frame.body.end());
    if (is_call) {
      source.channel->MarkDone(frame.header.claim_slot, frame.header.cookie_sequence);
    }
    source.channel->Pop(lane);
    Route(source, frame.header, scratch_);
  }
  return source.channel->HasWork(lane);
}

bool FrameRouter::MayTake(const FrameHeader& header) const {
  if (header.destination.node() != self_) return !outside_.is_full(header);
  if (!IsCall(header.kind)) return true;
  auto it = destinations_.find(header.destination);
  return it == destinations_.end() || it->second.waiting_calls_bytes < kQueuedBytesMax;
}

void FrameRouter::Route(LocalProcess& source, const FrameHeader& header,
                        std::span<const std::byte> body) {
  Destination& own = destinations_[source.id];
  if (header.kind == FrameKind::kReply) own.calls.erase({header.task, header.attempt});
  if (header.destination.node() != self_) {
    if (own.last_source != header.destination) {
      own.last_source = header.destination;
      AddRemoteContact(header.destination, source.id);
      table_.AddContact(source, header.destination);
    }
    Send(header, body);
    return;
  }
  if (!header.destination.is_daemon() && own.last_source != header.destination) {
    own.last_source = header.destination;
    table_.AddContact(source, header.destination);
    if (LocalProcess* destination = table_.Find(header.destination)) {
      table_.AddContact(*destination, source.id);
    }
  }
  Deliver(header, body, self_);
}

void FrameRouter::Send(const FrameHeader& header, std::span<const std::byte> body) {
  std::string why;
  if (outside_.send(header, body, why)) return;
  Undeliverable(header, rpc::MakeErrorInfo(ErrorCode::kNodeDied, why));
}

void FrameRouter::Deliver(const FrameHeader& header, std::span<const std::byte> body,
                          NodeNumber from) {
  if (header.destination.is_daemon()) {
    outside_.receive(header, body);
    return;
  }
  LocalProcess* process = table_.Find(header.destination);
  if (process == nullptr) {
    Undeliverable(header, CauseOf(header.destination));
    return;
  }
  if (from != self_) table_.AddContact(*process, header.source);
  if (header.kind == FrameKind::kRevoke) {
    Revoke(*process, header);
    return;
  }
  DeliverLocal(*process, header, body, from);
}

void FrameRouter::DeliverLocal(LocalProcess& process, const FrameHeader& header,
                               std::span<const std::byte> body, NodeNumber from) {
  Destination& destination = destinations_[process.id];
  const bool is_call = IsCall(header.kind);
  std::deque<Waiting>& waiting = is_call ? destination.waiting_calls : destination.waiting_answers;
  if (waiting.empty() && Write(process, destination, header, body, from)) return;
  waiting.push_back({header, {body.begin(), body.end()}, from, nullptr});
  if (is_call) destination.waiting_calls_bytes += sizeof(Waiting) + body.size();
  stalled_ = true;
}

void FrameRouter::TellAfterAnswers(LocalProcess& process,
                                   std::shared_ptr<const proto::DaemonMessage> message) {
  auto it = destinations_.find(process.id);
  if (it == destinations_.end()) return table_.Send(process, *message);
  it->second.waiting_answers.push_back({{}, {}, self_, std::move(message)});
  FlushAnswers(process, it->second);
  if (!it->second.waiting_answers.empty()) stalled_ = true;
}

bool FrameRouter::Write(LocalProcess& process, Destination& destination, FrameHeader header,
                        std::span<const std::byte> body, NodeNumber from) {
  if (!process.channel->TryWrite(header, body)) return false;
  destination.published = false;
  if (IsCall(header.kind)) {
    destination.calls[{header.task, header.attempt}] = header;
    if (destination.calls.size() >= destination.sweep_at) SweepCalls(process, destination);
  }
  if ((header.flags & model::kFlagUrgent) != 0) {
    process.channel->Publish();
    process.doorbell->RingUrgent();
    destination.published = true;
  }
  if (from != self_) outside_.on_delivered(from, header);
  return true;
}

void FrameRouter::FlushAnswers(LocalProcess& process, Destination& destination) {
  for (std::deque<Waiting>& waiting = destination.waiting_answers; !waiting.empty();
       waiting.pop_front()) {
    const Waiting& next = waiting.front();
    if (next.message) {
      Publish(process, destination);
      table_.Send(process, *next.message);
    } else if (!Write(process, destination, next.header, next.body, next.from)) {
      return;
    }
  }
}

void FrameRouter::FlushCalls(LocalProcess& process, Destination& destination) {
  for (std::deque<Waiting>& waiting = destination.waiting_calls; !waiting.empty();
       waiting.pop_front()) {
    const Waiting& next = waiting.front();
    if (!Write(process, destination, next.header, next.body, next.from)) return;
    destination.waiting_calls_bytes -= sizeof next + next.body.size();
  }
}

// Writes what waits. True: something still does.
bool FrameRouter::Flush() {
  bool waits = false;
  for (auto& [id, destination] : destinations_) {
    if (LocalProcess* process = table_.Find(id)) {
      FlushAnswers(*process, destination);
      FlushCalls(*process, destination);
    }
    waits = waits || !destination.waiting_calls.empty() || !destination.waiting_answers.empty();
  }
  return waits;
}

void FrameRouter::Publish(LocalProcess& process, Destination& destination) {
  if (destination.published) return;
  destination.published = true;
  process.channel->Publish();
  process.doorbell->Ring();
}

void FrameRouter::RingAll() {
  for (auto& [id, destination] : destinations_) {
    if (destination.published) continue;
    if (LocalProcess* process = table_.Find(id)) Publish(*process, destination);
  }
}

void FrameRouter::Revoke(LocalProcess& process, const FrameHeader& request) {
  Destination& destination = destinations_[process.id];
  bool revoked = false;
  if (auto it = destination.calls.find({request.task, request.attempt});
      it != destination.calls.end()) {
    revoked = process.channel->TryRevoke(it->second.claim_slot, it->second.cookie_sequence);
    destination.calls.erase(it);
  } else {
    std::deque<Waiting>& calls = destination.waiting_calls;
    for (auto waiting = calls.begin(); waiting != calls.end(); ++waiting) {
      const FrameHeader& header = waiting->header;
      if (header.task != request.task || header.attempt != request.attempt) continue;
      if (waiting->from != self_) outside_.on_delivered(waiting->from, header);
      destination.waiting_calls_bytes -= sizeof *waiting + waiting->body.size();
      calls.erase(waiting);
      revoked = true;
      break;
    }
  }
  FrameHeader answer = request;
  answer.kind = FrameKind::kRevokeReply;
  answer.flags = model::kFlagUrgent;
  if (!revoked) answer.flags |= model::kFlagTooLate;
  answer.destination = request.source;
  answer.source = process.id;
  answer.item_count = 0;
  answer.body_bytes = 0;
  if (answer.destination.node() == self_) {
    Deliver(answer, {}, self_);
  } else {
    Send(answer, {});
  }
}

// Replies that took another way leave their call's place behind.
void FrameRouter::SweepCalls(LocalProcess& process, Destination& destination) {
  for (auto it = destination.calls.begin(); it != destination.calls.end();) {
    const auto state = process.channel->ClaimOf(it->second.claim_slot, it->second.cookie_sequence);
    const auto current = it++;
    if (state != shm::ClaimState::kQueued && state != shm::ClaimState::kRunning) {
      destination.calls.erase(current);
    }
  }
  destination.sweep_at = std::max<size_t>(4096, destination.calls.size() * 2);
}

void FrameRouter::Undeliverable(const FrameHeader& header, const proto::ErrorInfo& error) {
  if (!NeedsAnswer(header.kind) || header.source.is_daemon()) return;
  FrameHeader answer = header;
  answer.kind = FrameKind::kUndeliverable;
  answer.flags = model::kFlagFailed;
  answer.destination = header.source;
  answer.source = header.destination;
  std::vector<std::byte> body;
  model::BodyWriter writer(body);
  const std::string bytes = error.SerializeAsString();
  writer.AddError(std::as_bytes(std::span(bytes)));
  answer.item_count = writer.item_count();
  answer.body_bytes = static_cast<uint32_t>(body.size());
  if (answer.destination.node() != self_) {
    std::string why;
    outside_.send(answer, body, why);
  } else if (LocalProcess* source = table_.Find(answer.destination)) {
    DeliverLocal(*source, answer, body, self_);
  }
}

proto::ErrorInfo FrameRouter::CauseOf(ProcessId process) const {
  auto it = causes_.find(process);
  if (it != causes_.end()) return it->second;
  return rpc::MakeErrorInfo(ErrorCode::kWorkerDied, "process " + ToString(process) + " is gone");
}

void FrameRouter::DrainLast(LocalProcess& process) {
  process.channel->ShowLastReplies();
  // More than its ring holds; a driver that has left and writes on is not listened to for ever.
  for (int pass = 0; pass < kLastPasses && DrainLane(process, Lane::kReplies, true); ++pass) {
  }
  RingAll();
}

void FrameRouter::OnProcessGone(LocalProcess& process, const proto::ErrorInfo& cause) {
  if (causes_.emplace(process.id, cause).second) causes_order_.push_back(process.id);
  if (causes_order_.size() > kCausesMax) {
    causes_.erase(causes_order_.front());
    causes_order_.pop_front();
  }
  const auto it = destinations_.find(process.id);
  if (it == destinations_.end()) return;
  RAYX_CHECK(it->second.calls.empty() && it->second.waiting_calls.empty(),
             "a process is forgotten with calls that nobody gave back");
  destinations_.erase(it);
}

void FrameRouter::ReturnUnstarted(LocalProcess& process, const proto::ErrorInfo& cause) {
  auto it = destinations_.find(process.id);
  if (it == destinations_.end()) return;
  const auto calls = std::exchange(it->second.calls, {});
  for (const auto& [name, header] : calls) {
    if (process.channel->TryRevoke(header.claim_slot, header.cookie_sequence)) {
      Undeliverable(header, cause);
    }
  }
  it->second.waiting_calls_bytes = 0;
  for (std::deque<Waiting>* waiting : {&it->second.waiting_answers, &it->second.waiting_calls}) {
    for (const Waiting& frame : std::exchange(*waiting, {})) {
      if (!frame.message) Undeliverable(frame.header, cause);
    }
  }
}

void FrameRouter::AddRemoteContact(ProcessId remote, ProcessId local) {
  if (remote_contacts_.size() < ProcessTable::kContactsMax) remote_contacts_[remote].insert(local);
}

std::set<ProcessId> FrameRouter::TakeContactsOf(ProcessId remote) {
  auto it = remote_contacts_.find(remote);
  if (it == remote_contacts_.end()) return {};
  std::set<ProcessId> contacts = std::move(it->second);
  remote_contacts_.erase(it);
  return contacts;
}

void FrameRouter::OnNodeGone(NodeNumber node) {
  auto it = remote_contacts_.lower_bound(ProcessId::Make(node, 0));
  while (it != remote_contacts_.end() && it->first.node() == node) it = remote_contacts_.erase(it);
}

}  // namespace rayx::node
