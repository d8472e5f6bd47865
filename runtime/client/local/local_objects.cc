#include "client/local/local_objects.h"

#include <chrono>
#include <new>
#include <utility>

#include "base/log.h"
#include "model/ids.h"
#include "rayx/errors.h"

namespace rayx::client {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kExplainAfter(10);

std::string NameOf(const detail::RawRef& ref) {
  return model::ToString(model::ObjectId{model::ProcessId{ref.owner}, ref.sequence});
}

Clock::time_point DeadlineOf(detail::Milliseconds timeout) {
  // Beyond a year the clock's arithmetic is not worth the risk of an overflow.
  constexpr detail::Milliseconds kLongest = std::chrono::hours(24 * 365);
  return Clock::now() + (timeout < kLongest ? timeout : kLongest);
}

}  // namespace

detail::Fetched EncodeForLocal(const detail::Packed& value) {
  detail::Fetched encoded;
  encoded.bytes = value.EncodedBytes();
  constexpr std::align_val_t kAlignment{detail::kBufferAlignment};
  std::shared_ptr<std::byte> bytes(
      static_cast<std::byte*>(::operator new(encoded.bytes, kAlignment)),
      [](std::byte* p) { ::operator delete(p, kAlignment); });
  value.EncodeTo(bytes.get());
  encoded.data = bytes.get();
  encoded.pin = std::move(bytes);
  return encoded;
}

detail::RawRef LocalObjects::Create(std::string label, std::uint64_t maker) {
  Object object;
  object.label = std::move(label);
  object.maker = maker;
  std::lock_guard lock(mutex_);
  const std::uint64_t sequence = next_sequence_++;
  objects_.emplace(sequence, std::move(object));
  return {owner_, sequence};
}

LocalObjects::Object* LocalObjects::Find(const detail::RawRef& ref) {
  if (ref.owner != owner_) return nullptr;
  const auto found = objects_.find(ref.sequence);
  return found == objects_.end() ? nullptr : &found->second;
}

LocalObjects::Object& LocalObjects::Require(const detail::RawRef& ref) {
  Object* object = Find(ref);
  if (object != nullptr) return *object;
  throw ObjectLost("The object " + NameOf(ref) + " is gone: nothing held a reference to it.");
}

void LocalObjects::Retain(const detail::RawRef& ref) noexcept {
  std::lock_guard lock(mutex_);
  if (Object* object = Find(ref)) ++object->holds;
}

void LocalObjects::Release(const detail::RawRef& ref) noexcept {
  std::lock_guard lock(mutex_);
  ReleaseLocked(ref);
}

void LocalObjects::ReleaseLocked(const detail::RawRef& ref) {
  std::vector<detail::RawRef> pending{ref};
  while (!pending.empty()) {
    const detail::RawRef next = pending.back();
    pending.pop_back();
    Object* object = Find(next);
    if (object == nullptr || --object->holds > 0) continue;
    pending.insert(pending.end(), object->inner.begin(), object->inner.end());
    objects_.erase(next.sequence);
  }
}

void LocalObjects::SetValue(const detail::RawRef& ref, detail::Fetched value,
                            const std::vector<detail::RawRef>& inner) {
  {
    std::lock_guard lock(mutex_);
    Object* object = Find(ref);
    if (object == nullptr || object->is_resolved) return;
    object->is_resolved = true;
    object->value = std::move(value);
    object->inner = inner;
    for (const detail::RawRef& held : inner) {
      if (Object* other = Find(held)) ++other->holds;
    }
  }
  resolved_.notify_all();
}

void LocalObjects::SetError(const detail::RawRef& ref, const detail::ErrorRecord& error) {
  {
    std::lock_guard lock(mutex_);
    Object* object = Find(ref);
    if (object == nullptr || object->is_resolved) return;
    object->is_resolved = true;
    object->error = std::make_unique<detail::ErrorRecord>(error);
  }
  resolved_.notify_all();
}

void LocalObjects::AwaitResolved(std::unique_lock<std::mutex>& lock, const detail::RawRef& ref,
                                 Clock::time_point deadline, bool has_deadline,
                                 std::uint64_t blocked_actor) {
  Object* object = &Require(ref);
  if (object->is_resolved) return;
  if (blocked_actor != 0 && object->maker == blocked_actor) {
    throw WouldDeadlock("An actor of concurrency 1 waits for " + object->label + " (" +
                        NameOf(ref) +
                        "), a call to itself that cannot begin before the running one ends.");
  }
  const Clock::time_point explain_at = Clock::now() + kExplainAfter;
  bool explained = false;
  while (!object->is_resolved) {
    const bool by_deadline = has_deadline && (explained || deadline < explain_at);
    if (explained && !has_deadline) {
      resolved_.wait(lock);
    } else if (resolved_.wait_until(lock, by_deadline ? deadline : explain_at) ==
               std::cv_status::timeout) {
      if (by_deadline) return;
      explained = true;
      RAYX_LOG(kWarning) << "a Get has waited 10 s for " << NameOf(ref) << ", " << object->label;
    }
    object = &Require(ref);
  }
}

void LocalObjects::Get(const detail::RawRef* refs, std::size_t count, detail::Milliseconds timeout,
                       detail::Fetched* values, std::uint64_t blocked_actor) {
  const bool has_deadline = timeout.count() >= 0;
  const Clock::time_point deadline = has_deadline ? DeadlineOf(timeout) : Clock::time_point();
  std::unique_lock lock(mutex_);
  for (std::size_t i = 0; i < count; ++i) {
    AwaitResolved(lock, refs[i], deadline, has_deadline, blocked_actor);
    const Object& object = Require(refs[i]);
    if (!object.is_resolved) {
      throw Timeout(
          "Get: after " + std::to_string(timeout.count()) + " ms " + NameOf(refs[i]) + ", " +
          object.label + ", is not there" +
          (count > 1 ? " (number " + std::to_string(i + 1) + " of " + std::to_string(count) + ")"
                     : std::string()) +
          ".");
    }
    if (object.error != nullptr) {
      const detail::ErrorRecord error = *object.error;
      lock.unlock();
      detail::ThrowError(error);
    }
    values[i] = object.value;
  }
}

void LocalObjects::Wait(const detail::RawRef* refs, std::size_t count, std::size_t num_ready,
                        detail::Milliseconds timeout, std::vector<bool>& ready,
                        std::uint64_t blocked_actor) {
  const bool has_deadline = timeout.count() >= 0;
  const Clock::time_point deadline = has_deadline ? DeadlineOf(timeout) : Clock::time_point();
  std::unique_lock lock(mutex_);
  while (true) {
    std::size_t resolved = 0;
    std::size_t own_calls = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const Object& object = Require(refs[i]);
      ready[i] = object.is_resolved;
      resolved += object.is_resolved ? 1 : 0;
      own_calls +=
          !object.is_resolved && blocked_actor != 0 && object.maker == blocked_actor ? 1 : 0;
    }
    if (resolved >= num_ready) return;
    if (!has_deadline && count - own_calls < num_ready) {
      throw WouldDeadlock("An actor of concurrency 1 waits for calls to itself.");
    }
    if (!has_deadline) {
      resolved_.wait(lock);
    } else if (Clock::now() >= deadline) {
      return;
    } else {
      resolved_.wait_until(lock, deadline);
    }
  }
}

std::size_t LocalObjects::Count() {
  std::lock_guard lock(mutex_);
  return objects_.size();
}

}  // namespace rayx::client
