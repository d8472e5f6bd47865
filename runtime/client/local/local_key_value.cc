#include "client/local/local_key_value.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "rayx/errors.h"

namespace rayx::client {

bool LocalKeyValue::Put(const std::string& key, const std::string& value, bool only_if_absent) {
  {
    std::lock_guard lock(mutex_);
    const auto [place, is_new] = values_.try_emplace(key, value);
    if (!is_new && only_if_absent) return false;
    if (!is_new) place->second = value;
  }
  changed_.notify_all();
  return true;
}

bool LocalKeyValue::Get(const std::string& key, std::string& value) {
  std::lock_guard lock(mutex_);
  const auto found = values_.find(key);
  if (found == values_.end()) return false;
  value = found->second;
  return true;
}

bool LocalKeyValue::Wait(const std::vector<std::string>& keys, detail::Milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const auto all_there = [&] {
    return std::all_of(keys.begin(), keys.end(),
                       [&](const std::string& key) { return values_.contains(key); });
  };
  const auto done = [&] { return stopped_ || all_there(); };
  if (timeout.count() < 0) {
    changed_.wait(lock, done);
  } else {
    changed_.wait_until(lock,
                        std::chrono::steady_clock::now() +
                            std::min<detail::Milliseconds>(timeout, std::chrono::hours(8760)),
                        done);
  }
  if (all_there()) return true;
  if (stopped_) throw NotInitialized("KeyValue::Wait: RayX was shut down meanwhile.");
  return false;
}

bool LocalKeyValue::Delete(const std::string& key) {
  std::lock_guard lock(mutex_);
  return values_.erase(key) > 0;
}

std::int64_t LocalKeyValue::Add(const std::string& key, std::int64_t amount) {
  std::int64_t sum = 0;
  {
    std::lock_guard lock(mutex_);
    const auto found = values_.find(key);
    const std::string value = found == values_.end() ? "0" : found->second;
    const char* end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, sum);
    if (error != std::errc() || stop != end || __builtin_add_overflow(sum, amount, &sum)) {
      throw InvalidOption("KeyValue::Add: the value of '" + key + "' is no 64-bit number: '" +
                          value + "'.");
    }
    values_.insert_or_assign(key, std::to_string(sum));
  }
  changed_.notify_all();
  return sum;
}

std::size_t LocalKeyValue::Count() {
  std::lock_guard lock(mutex_);
  return values_.size();
}

void LocalKeyValue::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
}

}  // namespace rayx::client
