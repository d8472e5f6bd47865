#include "store/core/pull_core.h"

#include <algorithm>

#include "base/check.h"
#include "base/mark.h"

namespace rayx::store {

using model::TimePoint;

namespace {

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
    if (transfer.phase == Phase::kEnding) {
      RAYX_MARK("store: pull joins a transfer that was about to end");
      transfer.phase = Phase::kFetching;  // goes on when its cancelled fetches have ended
    }
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
    auto& [id, transfer] = *at++;
    const bool owner_gone = transfer.source.object.owner.node() == node;
    const bool source_gone = transfer.source.node == node && transfer.phase != Phase::kHere;
    if (owner_gone || source_gone) {
      Fail(id, Lost(transfer.source, "node " + ToString(node) + " is gone"), effects);
      continue;
    }
    // One that sends no copy any more. What it was to bring comes back when its fetch ends.
    for (Source& source : transfer.sources) {
      if (source.node == node) source.failures = options_.copy_failures_max;
    }
    std::erase_if(transfer.sources,
                  [node](const Source& gone) { return gone.node == node && gone.attempt == 0; });
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
  transfer.phase = Phase::kFetching;
  if (!copy.ok()) {
    Fail(id, copy.status(), effects);  // there is nothing to give back
  } else {
    transfer.copy = *copy;
    transfer.plan = ChunkPlan(transfer.source.size);
    transfer.sources.emplace_back().node = transfer.source.node;
    transfer.last_progress = now;
    if (transfer.waiters.empty()) {
      End(id, effects);
    } else {
      StartFetches(id, transfer, now, effects);
    }
  }
  Admit(now, effects);
}

PullCore::Source* PullCore::FindSource(Transfer& transfer, uint32_t attempt) {
  const auto at = std::find_if(transfer.sources.begin(), transfer.sources.end(),
                               [&](const Source& source) { return source.attempt == attempt; });
  return attempt == 0 || at == transfer.sources.end() ? nullptr : &*at;
}

size_t PullCore::Transfer::fetches() const {
  return static_cast<size_t>(std::count_if(sources.begin(), sources.end(),
                                           [](const Source& s) { return s.attempt != 0; }));
}

void PullCore::OnChunk(uint64_t id, uint32_t attempt, uint64_t offset, TimePoint now) {
  const auto at = transfers_.find(id);
  if (at == transfers_.end()) return;
  Transfer& transfer = at->second;
  Source* source = FindSource(transfer, attempt);
  if (source == nullptr) return;
  const bool is_its = offset >= source->range.offset && offset < source->range.end();
  if (!is_its || offset % kChunkBytes != 0) return;
  source->last_activity = now;
  if (!transfer.plan.Arrive(offset)) return;
  source->has_progressed = true;
  source->failures = 0;
  transfer.last_progress = now;
}

void PullCore::OnCopies(uint64_t id, uint32_t attempt, const std::vector<model::NodeNumber>& nodes,
                        TimePoint now, PullEffects& effects) {
  const auto at = transfers_.find(id);
  if (at == transfers_.end() || at->second.phase != Phase::kFetching) return;
  Transfer& transfer = at->second;
  const Source* told_by = FindSource(transfer, attempt);
  if (told_by == nullptr || told_by != &transfer.sources.front()) return;
  // Those that come after this node, then from the lowest again: not all ask the same ones.
  std::vector<model::NodeNumber> others = nodes;
  std::sort(others.begin(), others.end());
  std::rotate(others.begin(), std::upper_bound(others.begin(), others.end(), options_.self),
              others.end());
  for (const model::NodeNumber node : others) {
    if (transfer.sources.size() >= options_.sources_max) break;
    const auto known = std::find_if(transfer.sources.begin(), transfer.sources.end(),
                                    [node](const Source& source) { return source.node == node; });
    if (node == options_.self || !node || known != transfer.sources.end()) continue;
    RAYX_MARK("store: a copy serves as a source");
    transfer.sources.emplace_back().node = node;
  }
  StartFetches(id, transfer, now, effects);
}

void PullCore::OnFetchDone(uint64_t id, uint32_t attempt, FetchOutcome outcome,
                           std::string_view why, TimePoint now, PullEffects& effects) {
  const auto at = transfers_.find(id);
  if (at == transfers_.end()) return;
  Transfer& transfer = at->second;
  Source* source = FindSource(transfer, attempt);
  if (source == nullptr) return;
  source->attempt = 0;  // from here on it does not write to the extent
  const bool was_cancelled = std::exchange(source->is_cancelled, false);
  transfer.plan.GiveBack(source->range);
  const bool is_origin = source == &transfer.sources.front();
  if (transfer.phase == Phase::kEnding || transfer.waiters.empty()) {
    End(id, effects);
  } else if (transfer.plan.to_come() == 0) {
    if (transfer.fetches() == 0) Complete(id, transfer, effects);
  } else if (outcome == FetchOutcome::kLost && is_origin) {
    Fail(id, Lost(transfer.source, why), effects);
  } else if (outcome == FetchOutcome::kDone && source->has_progressed) {
    StartFetches(id, transfer, now, effects);
  } else {
    // That it was given up here says less than why an earlier one failed.
    const bool is_known = was_cancelled && !transfer.last_error.empty();
    const std::string_view own = outcome == FetchOutcome::kDone ? "it sent no data" : why;
    Retry(id, transfer, *source, std::string(is_known ? transfer.last_error : own), now, effects);
  }
  Admit(now, effects);
}

void PullCore::Retry(uint64_t id, Transfer& transfer, Source& source, std::string_view why,
                     TimePoint now, PullEffects& effects) {
  const bool is_origin = &source == &transfer.sources.front();
  if (is_origin) transfer.last_error = why;
  if (now - transfer.last_progress >= options_.progress_lost_max) {
    Fail(id, Lost(transfer.source, why), effects);
    return;
  }
  model::Duration wait = options_.backoff_first;
  for (uint32_t i = 0; i < source.failures && wait < options_.backoff_max; ++i) wait *= 2;
  ++source.failures;
  source.retry_at = now + std::min(wait, options_.backoff_max);
  if (!is_origin && source.failures > options_.copy_failures_max) Forget(transfer, source);
  StartFetches(id, transfer, now, effects);  // what it was to bring, from others
}

void PullCore::Forget(Transfer& transfer, const Source& source) {
  transfer.sources.erase(transfer.sources.begin() + (&source - transfer.sources.data()));
}

void PullCore::OnTick(TimePoint now, PullEffects& effects) {
  for (auto at = transfers_.begin(); at != transfers_.end();) {
    auto& [id, transfer] = *at++;
    if (transfer.phase != Phase::kFetching && transfer.phase != Phase::kEnding) continue;
    if (!transfer.waiters.empty() && now - transfer.last_progress >= options_.progress_lost_max) {
      Fail(id,
           Lost(transfer.source,
                transfer.last_error.empty() ? "it sends no data" : transfer.last_error),
           effects);
      continue;
    }
    for (Source& source : transfer.sources) {
      const bool is_stalled = source.attempt != 0 && now - source.last_activity >= options_.stall;
      if (!is_stalled || source.is_cancelled) continue;
      RAYX_MARK("store: stalled fetch begun again");
      effects.cancels.push_back({id, source.attempt});
      source.is_cancelled = true;
    }
    if (transfer.phase == Phase::kFetching) StartFetches(id, transfer, now, effects);
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

uint64_t PullCore::FirstChunk(const Transfer& transfer, model::NodeNumber node) const {
  const uint64_t stretches = transfer.plan.chunks() / options_.stretch_shared;
  if (stretches == 0) return 0;
  // Neighbours far apart, by the golden ratio: whoever comes, the beginnings stay well spread.
  constexpr uint64_t kGolden = 0x9e3779b9;  // of 2^32
  return ((node.value * kGolden & UINT32_MAX) * stretches >> 32) * options_.stretch_shared;
}

void PullCore::StartFetches(uint64_t id, Transfer& transfer, TimePoint now, PullEffects& effects) {
  const bool is_alone = transfer.sources.size() == 1 && transfer.attempts > 0;
  for (Source& source : transfer.sources) {
    if (source.attempt != 0 || now < source.retry_at) continue;
    // The object's own node has everything: of it what nobody else is likely to have.
    const bool is_origin = &source == &transfer.sources.front();
    const auto range =
        transfer.plan.Take(FirstChunk(transfer, is_origin ? options_.self : source.node),
                           is_alone ? options_.stretch_alone : options_.stretch_shared);
    if (!range) return;
    source.attempt = ++transfer.attempts;
    source.range = *range;
    source.last_activity = now;
    source.has_progressed = false;
    effects.fetches.push_back(
        {id, source.attempt, source.node, transfer.source, transfer.copy, *range});
  }
}

std::optional<HeldCopy> PullCore::Find(const SourceKey& source, ByteRange range) const {
  const auto at = by_source_.find(source);
  if (at == by_source_.end()) return std::nullopt;
  const Transfer& transfer = transfers_.at(at->second);
  if (transfer.phase == Phase::kFetching && transfer.doom.ok()) {
    const ByteRange here = transfer.plan.FirstHere(range);
    if (here.bytes > 0) return HeldCopy{transfer.copy, here};
  } else if (transfer.phase == Phase::kHere && range.offset < transfer.source.size) {
    const uint64_t bytes = std::min(range.bytes, transfer.source.size - range.offset);
    if (bytes > 0) return HeldCopy{transfer.copy, {range.offset, bytes}};
  }
  return std::nullopt;
}

void PullCore::Complete(uint64_t id, Transfer& transfer, PullEffects& effects) {
  transfer.phase = Phase::kHere;
  bytes_in_flight_ -= transfer.source.size;
  transfer.plan = ChunkPlan();
  transfer.sources.clear();
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

void PullCore::CancelFetches(uint64_t id, Transfer& transfer, PullEffects& effects) {
  for (Source& source : transfer.sources) {
    if (source.attempt == 0 || source.is_cancelled) continue;
    effects.cancels.push_back({id, source.attempt});
    source.is_cancelled = true;
  }
}

bool PullCore::End(uint64_t id, PullEffects& effects) {
  Transfer& transfer = transfers_.at(id);
  switch (transfer.phase) {
    case Phase::kQueued:
      std::erase(queue_, id);
      Erase(id);
      return true;
    case Phase::kFetching:
    case Phase::kEnding:
      transfer.phase = Phase::kEnding;
      CancelFetches(id, transfer, effects);
      if (transfer.fetches() != 0) return false;  // ends when the last one does
      if (transfer.copy.size > 0) effects.discards.push_back({id, transfer.copy});
      Erase(id);
      return true;
    case Phase::kAllocating:  // ends when the extent is granted or refused
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

void PullCore::CheckFetches(const Transfer& transfer) const {
  RAYX_CHECK(transfer.copy.size == transfer.source.size);
  RAYX_CHECK(!transfer.sources.empty() && transfer.sources.size() <= options_.sources_max);
  RAYX_CHECK(transfer.sources.front().node == transfer.source.node);
  RAYX_CHECK(transfer.phase != Phase::kEnding || transfer.fetches() > 0, "an end overlooked");
  uint64_t on_their_way = 0;
  for (const Source& source : transfer.sources) {
    if (source.attempt == 0) continue;
    on_their_way += transfer.plan.OnTheirWay(source.range);
    for (const Source& other : transfer.sources) {
      const bool is_apart = other.attempt == 0 || &other == &source ||
                            other.range.end() <= source.range.offset ||
                            source.range.end() <= other.range.offset;
      RAYX_CHECK(is_apart, "two fetches write to one place");
    }
  }
  RAYX_CHECK(on_their_way == transfer.plan.OnTheirWay({0, transfer.source.size}));
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
    const bool may_be_unwanted = phase == Phase::kAllocating || phase == Phase::kEnding;
    RAYX_CHECK(phase == Phase::kHere || may_be_unwanted || !transfer.waiters.empty(),
               "a transfer that nobody waits for");
    RAYX_CHECK(phase != Phase::kHere || transfer.waiters.empty());
    RAYX_CHECK(transfer.doom.ok() || (may_be_unwanted && transfer.waiters.empty()));
    if (phase == Phase::kFetching || phase == Phase::kEnding) CheckFetches(transfer);
  }
  RAYX_CHECK(in_flight == bytes_in_flight_ && waiters == by_waiter_.size());
  RAYX_CHECK(queued == queue_.size() && by_source_.size() == transfers_.size());
}

}  // namespace rayx::store
