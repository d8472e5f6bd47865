#include "store/memory_thread.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "shm/segment.h"

namespace rayx::store {

MemoryThread::MemoryThread() : thread_([this] { Run(); }) {
  ::pthread_setname_np(thread_.native_handle(), "rayx-store-mem");
}

MemoryThread::~MemoryThread() {
  Stop();
}

void MemoryThread::Punch(SharedFd segment, ByteRange range) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    takings_.push_back({std::move(segment), range});
  }
  changed_.notify_one();
}

void MemoryThread::Give(SharedFd segment, std::vector<ByteRange> ranges,
                        std::function<void(const base::Status&)> done) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    givings_.push_back({std::move(segment), std::move(ranges), std::move(done)});
  }
  changed_.notify_one();
}

void MemoryThread::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void MemoryThread::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopped_ || !takings_.empty() || !givings_.empty(); });
    if (stopped_) return;
    if (!takings_.empty()) {
      const Taking taking = std::move(takings_.front());
      takings_.pop_front();
      lock.unlock();
      if (const auto status =
              shm::Punch(taking.segment->get(), taking.range.offset, taking.range.bytes);
          !status.ok()) {
        RAYX_LOG(kWarning) << base::Message(status);
      }
      lock.lock();
      continue;
    }
    Giving giving = std::move(givings_.front());
    givings_.pop_front();
    lock.unlock();
    base::Status status;
    const bool is_done = Step(giving, status);
    if (is_done) giving.done(status);
    lock.lock();
    if (!is_done) givings_.push_back(std::move(giving));
  }
}

bool MemoryThread::Step(Giving& giving, base::Status& status) {
  ByteRange& range = giving.ranges.back();
  const uint64_t step = shm::FallocateStep(range.offset, range.bytes);
  status = shm::Fallocate(giving.segment->get(), range.offset, step);
  if (!status.ok()) return true;
  range.offset += step;
  range.bytes -= step;
  if (range.bytes == 0) giving.ranges.pop_back();
  return giving.ranges.empty();
}

}  // namespace rayx::store
