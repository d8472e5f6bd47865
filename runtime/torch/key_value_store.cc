#include "torch/key_value_store.h"

#include <torch/torch.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "rayx/key_value.h"

namespace rayx::torch {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// One wait at the cluster; longer waits are made of these.
constexpr milliseconds kWaitStep{1000};

std::vector<std::uint8_t> Bytes(const std::string& value) {
  return {value.begin(), value.end()};
}
std::string Text(const std::vector<std::uint8_t>& value) {
  return {value.begin(), value.end()};
}

// The key that is held while a compareSet reads and writes.
std::string LockOf(const std::string& full_key) {
  return full_key + "/lock";
}

}  // namespace

KeyValueStore::KeyValueStore(std::string prefix, milliseconds timeout)
    : c10d::Store(timeout), prefix_(std::move(prefix)) {}

c10::intrusive_ptr<c10d::Store> KeyValueStore::clone() {
  return c10::make_intrusive<KeyValueStore>(prefix_, timeout_);
}

void KeyValueStore::set(const std::string& key, const std::vector<std::uint8_t>& value) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    own_keys_.insert(key);
  }
  KeyValue::Put(Full(key), Text(value));
}

// As TCPStore: an absent key counts as equal to an empty expectation; the answer is the value
// that the key has afterwards (or the expectation, when it is absent and was expected not to be).
std::vector<std::uint8_t> KeyValueStore::compareSet(const std::string& key,
                                                    const std::vector<std::uint8_t>& expected,
                                                    const std::vector<std::uint8_t>& desired) {
  const std::string lock_key = LockOf(Full(key));
  const auto deadline = steady_clock::now() + timeout_;
  while (!KeyValue::PutIfAbsent(lock_key, "")) {
    TORCH_CHECK_WITH(DistStoreError, timeout_ == kNoTimeout || steady_clock::now() < deadline,
                     "compareSet(", key, "): another one has not ended within ", timeout_.count(),
                     " ms");
  }
  const std::optional<std::string> found = KeyValue::Get(Full(key));
  std::vector<std::uint8_t> result = found ? Bytes(*found) : expected;
  if (found ? result == expected : expected.empty()) {
    set(key, desired);
    result = desired;
  }
  KeyValue::Delete(lock_key);
  return result;
}

std::vector<std::uint8_t> KeyValueStore::get(const std::string& key) {
  wait({key}, timeout_);
  const std::optional<std::string> value = KeyValue::Get(Full(key));
  TORCH_CHECK_WITH(DistStoreError, value.has_value(), "the key ", Full(key), " was deleted");
  return Bytes(*value);
}

std::int64_t KeyValueStore::add(const std::string& key, std::int64_t amount) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    own_keys_.insert(key);
  }
  return KeyValue::Add(Full(key), amount);
}

bool KeyValueStore::deleteKey(const std::string& key) {
  return KeyValue::Delete(Full(key));
}

bool KeyValueStore::check(const std::vector<std::string>& keys) {
  return std::all_of(keys.begin(), keys.end(), [this](const std::string& key) {
    return KeyValue::Get(Full(key)).has_value();
  });
}

std::int64_t KeyValueStore::getNumKeys() {
  return static_cast<std::int64_t>(KeyValue::Count());
}

void KeyValueStore::wait(const std::vector<std::string>& keys) {
  wait(keys, timeout_);
}

void KeyValueStore::wait(const std::vector<std::string>& keys, const milliseconds& timeout) {
  std::vector<std::string> full_keys;
  for (const std::string& key : keys) full_keys.push_back(Full(key));
  const auto deadline = steady_clock::now() + timeout;
  while (true) {
    milliseconds step = kWaitStep;
    if (timeout != kNoTimeout) {
      const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
      step = std::clamp(left, milliseconds(0), kWaitStep);
    }
    if (KeyValue::Wait(full_keys, static_cast<int>(step.count()))) return;
    if (timeout == kNoTimeout || steady_clock::now() < deadline) continue;
    std::string missing;
    for (const std::string& key : keys) {
      if (!check({key})) missing += (missing.empty() ? "" : ", ") + Full(key);
    }
    C10_THROW_ERROR(DistStoreError,
                    "not set within " + std::to_string(timeout.count()) + " ms: " + missing);
  }
}

void KeyValueStore::Forget() noexcept {
  std::set<std::string> keys;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    keys.swap(own_keys_);
  }
  try {
    for (const std::string& key : keys) KeyValue::Delete(Full(key));
  } catch (const std::exception&) {
    // The job is ending and its keys with it.
  }
}

}  // namespace rayx::torch
