#include "node/parts/work_thread.h"

#include <pthread.h>

#include <utility>

namespace rayx::node {

WorkThread::WorkThread(const char* name) : thread_([this] { Run(); }) {
  ::pthread_setname_np(thread_.native_handle(), name);
}

WorkThread::~WorkThread() {
  Stop();
}

void WorkThread::Do(std::function<void()> call) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    calls_.push_back(std::move(call));
  }
  changed_.notify_one();
}

void WorkThread::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void WorkThread::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopped_ || !calls_.empty(); });
    if (stopped_) return;
    const std::function<void()> call = std::move(calls_.front());
    calls_.pop_front();
    lock.unlock();
    call();
    lock.lock();
  }
}

}  // namespace rayx::node
