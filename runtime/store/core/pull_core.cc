#include "store/core/pull_core.h"

#include <algorithm>

#include "base/check.h"
#include "base/mark.h"

namespace rayx::store {

using model::TimePoint;

namespace {

size_t ChunkCount(uint64_t bytes) {
  return static_cast<size_t>(bytes / kChunkBytes + (bytes % kChunkBytes != 0));
}

base::Status Lost(const model::StoredLocation& source, std::string_view why) {
  return absl::NotFoundError(base::ToAbsl("object " + ToString(source.object) + " on node " +
                                          ToString(source.node) + " is lost: " + std::string(why)));
}

}  // namespace

void PullCore::OnPull(RequestKey waiter, const model::StoredLocation& source, TimePoint now,
                      PullEffects& effects) {
  if (by_waiter_.count(waiter) != 0) {
    RAYX_MARK("store: pull repeated while it runs");
    return;
  }
  if (source.size == 0) {
    effects.answers.push_back({waiter, absl::InvalidArgumentError("a location of 0 bytes")});
    return;
  }
  if (by_waiter_.size() >= options_.waiters_max) {
    effects.answers.push_back({waiter, absl::ResourceExhaustedError("too many pulls wait")});
    return;
  }
  const auto [at, is_new] = by_source_.try_emplace(SourceKey::Of(source), last_transfer_ + 1);
  if (is_new) {
    ++last_transfer_;
    transfers_[at->second].source = source;
    queue_.push_back(at->second);
  }
  Transfer& transfer = transfers_.at(at->second);
  if (transfer.source != source) {
    effects.answers.push_back(
        {waiter, absl::InvalidArgumentError("two locations of one entry differ")});
  } else if (transfer.phase == Phase::kHere) {
    effects.answers.push_back({waiter, transfer.copy});
  } else if (!transfer.doom.ok()) {
    RAYX_MARK("store: pull joins a transfer that has failed");
    effects.answers.push_back({waiter, transfer.doom});
  } else {
    transfer.waiters.push_back(waiter);
    by_waiter_.emplace(waiter, at->second);
  }
  Admit(now, effects);
}

void PullCore::OnPullCancelled(RequestKey waiter, TimePoint now, PullEffects& effects) {
  const auto at = by_waiter_.find(waiter);
  if (at == by_waiter_.end()) return;
  const uint64_t id = at->second;
  by_waiter_.erase(at);
  Transfer& transfer = transfers_.at(id);
  std::erase(transfer.waiters, waiter);
  if (transfer.waiters.empty()) End(id, effects);
  Admit(now, effects);
}

void PullCore::OnProcessGone(model::ProcessId process, TimePoint now, PullEffects& effects) {
  for (auto at = by_waiter_.lower_bound({process, 0});
       at != by_waiter_.end() && at->first.process == process;) {
    const RequestKey waiter = at->first;
    ++at;
    OnPullCancelled(waiter, now, effects);
  }
  for (auto at = transfers_.begin(); at != transfers_.end();) {
    const auto& [id, transfer] = *at++;
    if (transfer.source.object.owner == process) {
      Fail(id, Lost(transfer.source, "its owner has ended"), effects);
    }
  }
  Admit(now, effects);
}

void PullCore::OnNodeGone(model::NodeNumber node, TimePoint now, PullEffects& effects) {
  for (auto at = transfers_.begin(); at != transfers_.end();) {
    const auto& [id, transfer] = *at++;
    const bool owner_gone = transfer.source.object.owner.node() == node;
    const bool source_gone = transfer.source.node == node && transfer.phase != Phase::kHere;
    if (owner_gone || source_gone) {
      Fail(id, Lost(transfer.source, "node " + ToString(node) + " is gone"), effects);
    }
  }
  Admit(now, effects);
}

void PullCore::OnSourceFreed(const SourceKey& source, TimePoint now, PullEffects& effects) {
  const auto at = by_source_.find(source);
  if (at == by_source_.end()) return;
  Fail(at->second, Lost(transfers_.at(at->second).source, "it has been freed"), effects);
  Admit(now, effects);
}

void PullCore::OnJobClosed(model::JobId job, TimePoint now, PullEffects& effects) {
  for (auto at = transfers_.begin(); at != transfers_.end();) {
    const auto& [id, transfer] = *at++;
    if (transfer.source.job != job) continue;
    Fail(id, absl::CancelledError("the job has ended"), effects);
  }
  Admit(now, effects);
}

void PullCore::OnAllocated(uint64_t id, const base::StatusOr<model::StoredLocation>& copy,
                           TimePoint now, PullEffects& effects) {
  Transfer& transfer = transfers_.at(id);
  RAYX_CHECK(transfer.phase == Phase::kAllocating, "an extent unasked for");
  if (!copy.ok()) {
    transfer.phase = Phase::kBackoff;  // there is nothing to give back
    transfer.copy = {};
    Fail(id, copy.status(), effects);
  } else {
    transfer.copy = *copy;
    transfer.phase = Phase::kBackoff;
    const size_t chunks = ChunkCount(transfer.source.size);
    transfer.arrived.assign(chunks, false);
    transfer.missing = chunks;
    transfer.last_progress = now;
    if (transfer.waiters.empty()) {
      End(id, effects);
    } else {
      StartFetch(id, transfer, now, effects);
    }
  }
  Admit(now, effects);
}

void PullCore::OnChunk(uint64_t id, uint32_t attempt, uint64_t offset, TimePoint now) {
  const auto at = transfers_.find(id);
  if (at == transfers_.end() || at->second.attempt != attempt) return;
  Transfer& transfer = at->second;
  const uint64_t chunk = offset / kChunkBytes;
  if (offset % kChunkBytes != 0 || chunk >= transfer.arrived.size()) return;
  transfer.last_activity = now;
  if (transfer.arrived[chunk]) return;
  transfer.arrived[chunk] = true;
  --transfer.missing;
  transfer.last_progress = now;
  transfer.has_progressed = true;
  transfer.failures = 0;
}

void PullCore::OnFetchDone(uint64_t id, uint32_t attempt, FetchOutcome outcome,
                           std::string_view why, TimePoint now, PullEffects& effects) {
  const auto at = transfers_.find(id);
  if (at == transfers_.end() || at->second.attempt != attempt) return;
  Transfer& transfer = at->second;
  if (transfer.phase != Phase::kFetching && transfer.phase != Phase::kCancelling) return;
  transfer.phase = Phase::kBackoff;  // from here on nobody writes to the extent
  if (transfer.waiters.empty()) {
    End(id, effects);
  } else if (outcome == FetchOutcome::kLost) {
    Fail(id, Lost(transfer.source, why), effects);
  } else if (transfer.missing == 0) {
    Complete(id, transfer, effects);
  } else if (outcome == FetchOutcome::kDone && transfer.has_progressed) {
    StartFetch(id, transfer, now, effects);  // another stretch that an earlier fetch had left out
  } else {
    Retry(id, transfer, outcome == FetchOutcome::kDone ? "it sent no data" : why, now, effects);
  }
  Admit(now, effects);
}

void PullCore::Retry(uint64_t id, Transfer& transfer, std::string_view why, TimePoint now,
                     PullEffects& effects) {
  transfer.last_error = why;
  if (now - transfer.last_progress >= options_.progress_lost_max) {
    Fail(id, Lost(transfer.source, why), effects);
    return;
  }
  model::Duration wait = options_.backoff_first;
  for (uint32_t i = 0; i < transfer.failures && wait < options_.backoff_max; ++i) wait *= 2;
  ++transfer.failures;
  transfer.retry_at = now + std::min(wait, options_.backoff_max);
}

void PullCore::OnTick(TimePoint now, PullEffects& effects) {
  for (auto at = transfers_.begin(); at != transfers_.end();) {
    auto& [id, transfer] = *at++;
    const bool is_fetching = transfer.phase == Phase::kFetching;
    if (!is_fetching && transfer.phase != Phase::kBackoff && transfer.phase != Phase::kCancelling) {
      continue;
    }
    if (!transfer.waiters.empty() && now - transfer.last_progress >= options_.progress_lost_max) {
      Fail(id,
           Lost(transfer.source,
                transfer.last_error.empty() ? "it sends no data" : transfer.last_error),
           effects);
    } else if (is_fetching && now - transfer.last_activity >= options_.stall) {
      RAYX_MARK("store: stalled fetch begun again");
      effects.cancels.push_back({id, transfer.attempt});
      transfer.phase = Phase::kCancelling;
    } else if (transfer.phase == Phase::kBackoff && now >= transfer.retry_at) {
      StartFetch(id, transfer, now, effects);
    }
  }
  Admit(now, effects);
}

void PullCore::Admit(TimePoint, PullEffects& effects) {
  while (!queue_.empty()) {
    Transfer& transfer = transfers_.at(queue_.front());
    const uint64_t bytes = transfer.source.size;
    const uint64_t room =
        options_.bytes_in_flight_max - std::min(options_.bytes_in_flight_max, bytes_in_flight_);
    if (bytes_in_flight_ > 0 && bytes > room) return;
    bytes_in_flight_ += bytes;
    transfer.phase = Phase::kAllocating;
    effects.allocates.push_back({queue_.front(), transfer.source});
    queue_.pop_front();
  }
}

void PullCore::StartFetch(uint64_t id, Transfer& transfer, TimePoint now, PullEffects& effects) {
  const auto first = std::find(transfer.arrived.begin(), transfer.arrived.end(), false);
  const auto last = std::find(first, transfer.arrived.end(), true);
  const uint64_t begin = static_cast<uint64_t>(first - transfer.arrived.begin()) * kChunkBytes;
  const uint64_t end = std::min(
      static_cast<uint64_t>(last - transfer.arrived.begin()) * kChunkBytes, transfer.source.size);
  transfer.phase = Phase::kFetching;
  ++transfer.attempt;
  transfer.last_activity = now;
  transfer.has_progressed = false;
  effects.fetches.push_back(
      {id, transfer.attempt, transfer.source, transfer.copy, ByteRange{begin, end - begin}});
}

void PullCore::Complete(uint64_t id, Transfer& transfer, PullEffects& effects) {
  transfer.phase = Phase::kHere;
  bytes_in_flight_ -= transfer.source.size;
  transfer.arrived.clear();
  transfer.arrived.shrink_to_fit();
  effects.seals.push_back({id, transfer.copy});
  for (const RequestKey& waiter : transfer.waiters) {
    by_waiter_.erase(waiter);
    effects.answers.push_back({waiter, transfer.copy});
  }
  transfer.waiters.clear();
}

void PullCore::Fail(uint64_t id, const base::Status& why, PullEffects& effects) {
  Transfer& transfer = transfers_.at(id);
  for (const RequestKey& waiter : transfer.waiters) {
    by_waiter_.erase(waiter);
    effects.answers.push_back({waiter, why});
  }
  transfer.waiters.clear();
  if (transfer.phase == Phase::kHere) {
    effects.discards.push_back({id, transfer.copy});
    Erase(id);
  } else if (!End(id, effects)) {
    transfer.doom = why;
  }
}

bool PullCore::End(uint64_t id, PullEffects& effects) {
  Transfer& transfer = transfers_.at(id);
  switch (transfer.phase) {
    case Phase::kQueued:
      std::erase(queue_, id);
      Erase(id);
      return true;
    case Phase::kBackoff:
      if (transfer.copy.size > 0) effects.discards.push_back({id, transfer.copy});
      Erase(id);
      return true;
    case Phase::kFetching:
      effects.cancels.push_back({id, transfer.attempt});
      transfer.phase = Phase::kCancelling;
      return false;
    case Phase::kAllocating:  // ends when the extent is granted or refused
    case Phase::kCancelling:  // ends when the fetch does
    case Phase::kHere:
      return false;
  }
  RAYX_UNREACHABLE("a phase");
}

void PullCore::Erase(uint64_t id) {
  const auto at = transfers_.find(id);
  const Transfer& transfer = at->second;
  if (transfer.phase != Phase::kQueued && transfer.phase != Phase::kHere) {
    bytes_in_flight_ -= transfer.source.size;
  }
  by_source_.erase(SourceKey::Of(transfer.source));
  transfers_.erase(at);
}

void PullCore::CheckInvariants() const {
  uint64_t in_flight = 0;
  size_t waiters = 0;
  size_t queued = 0;
  for (const auto& [id, transfer] : transfers_) {
    const Phase phase = transfer.phase;
    const auto source = by_source_.find(SourceKey::Of(transfer.source));
    RAYX_CHECK(source != by_source_.end() && source->second == id);
    queued += phase == Phase::kQueued;
    if (phase != Phase::kQueued && phase != Phase::kHere) in_flight += transfer.source.size;
    waiters += transfer.waiters.size();
    for (const RequestKey& waiter : transfer.waiters) RAYX_CHECK(by_waiter_.at(waiter) == id);
    const bool may_be_unwanted = phase == Phase::kAllocating || phase == Phase::kCancelling;
    RAYX_CHECK(phase == Phase::kHere || may_be_unwanted || !transfer.waiters.empty(),
               "a transfer that nobody waits for");
    RAYX_CHECK(phase != Phase::kHere || transfer.waiters.empty());
    RAYX_CHECK(transfer.doom.ok() || (may_be_unwanted && transfer.waiters.empty()));
    if (phase == Phase::kFetching || phase == Phase::kBackoff || phase == Phase::kCancelling) {
      RAYX_CHECK(transfer.copy.size == transfer.source.size);
      RAYX_CHECK(transfer.missing == static_cast<uint64_t>(std::count(
                                         transfer.arrived.begin(), transfer.arrived.end(), false)));
    }
  }
  RAYX_CHECK(in_flight == bytes_in_flight_ && waiters == by_waiter_.size());
  RAYX_CHECK(queued == queue_.size() && by_source_.size() == transfers_.size());
}

}  // namespace rayx::store
