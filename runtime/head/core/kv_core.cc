#include "head/core/kv_core.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mark.h"
#include "head/core/errors.h"

namespace rayx::head {
namespace {

std::string RowKey(model::JobId job, const std::string& key) {
  return absl::StrCat(job.value, "/", key);
}

// The whole text, as KvAdd counts: what was stored may be anything.
bool ParseInteger(const std::string& text, int64_t& value) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

}  // namespace

proto::ErrorInfo KvCore::CheckKey(const std::string& key) const {
  if (!key.empty() && key.size() <= options_.key_bytes_max) return {};
  return MakeError(ErrorCode::kInvalidOption,
                   absl::StrCat("key-value: a key of ", key.size(), " bytes; expected 1 to ",
                                options_.key_bytes_max));
}

const std::string* KvCore::Find(model::JobId job, const std::string& key) const {
  const auto space = spaces_.find(job);
  if (space == spaces_.end()) return nullptr;
  const auto entry = space->second.find(key);
  return entry == space->second.end() ? nullptr : &entry->second;
}

proto::ErrorInfo KvCore::Store(model::JobId job, const std::string& key, const std::string& value,
                               HeadEffects& effects) {
  if (value.size() > options_.value_bytes_max) {
    return MakeError(ErrorCode::kInvalidOption,
                     absl::StrCat("key-value: the value of \"", key.substr(0, 100), "\" has ",
                                  value.size(), " bytes; at most ", options_.value_bytes_max,
                                  " are allowed (put larger ones as objects)"));
  }
  const std::string* old = Find(job, key);
  const size_t freed = old == nullptr ? 0 : old->size();
  const size_t added = value.size() + (old == nullptr ? key.size() + kEntryBytes : 0);
  if (bytes_ - freed + added > options_.total_bytes_max) {
    return MakeError(ErrorCode::kOutOfMemory,
                     absl::StrCat("key-value: the store of the cluster is full (",
                                  options_.total_bytes_max, " bytes)"));
  }
  bytes_ = bytes_ - freed + added;
  spaces_[job][key] = value;
  effects.persists.push_back({Table::kKeyValue, RowKey(job, key), value});
  Wake(job, key, effects);
  return {};
}

void KvCore::OnPut(model::JobId job, const proto::KvPut& put, HeadEffects& effects,
                   proto::HeadResponse& response) {
  if (auto error = CheckKey(put.key()); error.code() != 0) {
    *response.mutable_error() = std::move(error);
    return;
  }
  const std::string* present = Find(job, put.key());
  if (put.only_if_absent() && present != nullptr) {
    response.mutable_kv_put()->set_stored(false);
    response.mutable_kv_put()->set_value(*present);
    return;
  }
  if (auto error = Store(job, put.key(), put.value(), effects); error.code() != 0) {
    *response.mutable_error() = std::move(error);
    return;
  }
  response.mutable_kv_put()->set_stored(true);
  response.mutable_kv_put()->set_value(put.value());
}

void KvCore::OnGet(model::JobId job, const proto::KvGet& get, proto::HeadResponse& response) const {
  if (auto error = CheckKey(get.key()); error.code() != 0) {
    *response.mutable_error() = std::move(error);
    return;
  }
  auto& reply = *response.mutable_kv_get();
  const std::string* value = Find(job, get.key());
  reply.set_found(value != nullptr);
  if (value != nullptr) reply.set_value(*value);
}

void KvCore::OnDelete(model::JobId job, const proto::KvDelete& del, HeadEffects& effects,
                      proto::HeadResponse& response) {
  auto& reply = *response.mutable_kv_delete();
  const std::string* value = Find(job, del.key());
  reply.set_deleted(value != nullptr);
  if (value == nullptr) return;
  bytes_ -= value->size() + del.key().size() + kEntryBytes;
  const auto space = spaces_.find(job);
  space->second.erase(del.key());
  if (space->second.empty()) spaces_.erase(space);
  effects.persists.push_back({Table::kKeyValue, RowKey(job, del.key()), std::nullopt});
}

void KvCore::OnAdd(model::JobId job, const proto::KvAdd& add, HeadEffects& effects,
                   proto::HeadResponse& response) {
  if (auto error = CheckKey(add.key()); error.code() != 0) {
    *response.mutable_error() = std::move(error);
    return;
  }
  int64_t value = 0;
  const std::string* present = Find(job, add.key());
  if (present != nullptr && !ParseInteger(*present, value)) {
    *response.mutable_error() =
        MakeError(ErrorCode::kInvalidOption,
                  absl::StrCat("key-value: the value of \"", add.key().substr(0, 100),
                               "\" is not a decimal number, so nothing can be added to it"));
    return;
  }
  int64_t sum = 0;
  if (__builtin_add_overflow(value, add.amount(), &sum)) {
    *response.mutable_error() = MakeError(
        ErrorCode::kInvalidOption,
        absl::StrCat("key-value: adding to \"", add.key().substr(0, 100), "\" overflows"));
    return;
  }
  if (auto error = Store(job, add.key(), absl::StrCat(sum), effects); error.code() != 0) {
    *response.mutable_error() = std::move(error);
    return;
  }
  response.mutable_kv_add()->set_value(sum);
}

void KvCore::OnCount(model::JobId job, proto::HeadResponse& response) const {
  const auto space = spaces_.find(job);
  response.mutable_kv_count()->set_keys(space == spaces_.end() ? 0 : space->second.size());
}

bool KvCore::OnWait(model::JobId job, const proto::KvWait& wait, uint64_t request_id, ReplyTo to,
                    model::TimePoint now, proto::HeadResponse& response) {
  if (static_cast<size_t>(wait.keys_size()) > options_.keys_a_wait_max) {
    *response.mutable_error() = MakeError(
        ErrorCode::kInvalidOption, absl::StrCat("key-value: a wait for ", wait.keys_size(),
                                                " keys; at most ", options_.keys_a_wait_max));
    return true;
  }
  Waiter waiter;
  for (const std::string& key : wait.keys()) {
    if (auto error = CheckKey(key); error.code() != 0) {
      *response.mutable_error() = std::move(error);
      return true;
    }
    waiter.keys.push_back(key);
  }
  const std::string* missing = FirstMissing(job, waiter.keys);
  if (missing == nullptr || wait.timeout_ms() == 0) {
    response.mutable_kv_wait()->set_all_present(missing == nullptr);
    return true;
  }
  if (waiters_.size() >= options_.waiters_max) {
    *response.mutable_error() =
        MakeError(ErrorCode::kHeadUnavailable, "key-value: too many calls wait at the head");
    return true;
  }
  waiter.missing = *missing;
  waiter.job = job;
  waiter.request_id = request_id;
  waiter.deadline = now + std::min<model::Duration>(std::chrono::milliseconds(wait.timeout_ms()),
                                                    options_.wait_max);
  waiting_for_[{job, waiter.missing}].insert(to);
  deadlines_.insert({waiter.deadline, to});
  waiters_.emplace(to, std::move(waiter));
  return false;
}

const std::string* KvCore::FirstMissing(model::JobId job,
                                        const std::vector<std::string>& keys) const {
  const auto missing = std::find_if(
      keys.begin(), keys.end(), [&](const std::string& key) { return Find(job, key) == nullptr; });
  return missing == keys.end() ? nullptr : &*missing;
}

void KvCore::Wake(model::JobId job, const std::string& key, HeadEffects& effects) {
  const auto found = waiting_for_.find({job, key});
  if (found == waiting_for_.end()) return;
  const std::set<ReplyTo> waiting = found->second;  // a copy: the loop changes it
  for (const ReplyTo to : waiting) {
    Waiter& waiter = waiters_.at(to);
    const std::string* missing = FirstMissing(job, waiter.keys);
    if (missing == nullptr) {
      Answer(to, true, effects);
      continue;
    }
    waiting_for_[{job, *missing}].insert(to);
    Unlink(to, waiter);
    waiter.missing = *missing;
  }
}

void KvCore::Unlink(ReplyTo to, const Waiter& waiter) {
  const auto waiting = waiting_for_.find({waiter.job, waiter.missing});
  waiting->second.erase(to);
  if (waiting->second.empty()) waiting_for_.erase(waiting);
}

void KvCore::Answer(ReplyTo to, bool all_present, HeadEffects& effects) {
  const auto found = waiters_.find(to);
  const Waiter& waiter = found->second;
  Unlink(to, waiter);
  CallReply& reply = effects.replies.emplace_back();
  reply.to = to;
  reply.response.set_request_id(waiter.request_id);
  reply.response.mutable_kv_wait()->set_all_present(all_present);
  deadlines_.erase({waiter.deadline, to});
  waiters_.erase(found);
}

void KvCore::OnJobEnded(model::JobId job, HeadEffects& effects) {
  std::vector<ReplyTo> ended;
  for (const auto& [to, waiter] : waiters_) {
    if (waiter.job == job) ended.push_back(to);
  }
  for (const ReplyTo to : ended) Answer(to, false, effects);
  const auto space = spaces_.find(job);
  if (space == spaces_.end()) return;
  for (const auto& [key, value] : space->second) {
    bytes_ -= key.size() + value.size() + kEntryBytes;
    effects.persists.push_back({Table::kKeyValue, RowKey(job, key), std::nullopt});
  }
  spaces_.erase(space);
}

void KvCore::OnTick(model::TimePoint now, HeadEffects& effects) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    Answer(deadlines_.begin()->second, false, effects);
  }
}

void KvCore::CheckInvariants() const {
  size_t bytes = 0;
  for (const auto& [job, space] : spaces_) {
    RAYX_CHECK(!space.empty());
    for (const auto& [key, value] : space) bytes += key.size() + value.size() + kEntryBytes;
  }
  RAYX_CHECK(bytes == bytes_ && bytes_ <= options_.total_bytes_max);
  RAYX_CHECK(deadlines_.size() == waiters_.size());
  for (const auto& [to, waiter] : waiters_) {
    RAYX_CHECK(deadlines_.count({waiter.deadline, to}) == 1);
    RAYX_CHECK(waiting_for_.at({waiter.job, waiter.missing}).count(to) == 1);
    RAYX_CHECK(Find(waiter.job, waiter.missing) == nullptr, "a waiter misses a key that is there");
  }
  size_t linked = 0;
  for (const auto& [key, waiting] : waiting_for_) linked += waiting.size();
  RAYX_CHECK(linked == waiters_.size());
}

}  // namespace rayx::head
