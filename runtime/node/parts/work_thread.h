// runtime/node/parts/work_thread.h
//
// One thread that does what would hold up a loop: files, transfers.
// Owner:    ProgramParts.
// Threads:  all methods from any.
// Promises: calls run one at a time, in the order of their coming; none begins after Stop.
// Limits:   the callers bound what waits.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace rayx::node {

class WorkThread {
 public:
  explicit WorkThread(const char* name);  // at most 15 characters
  ~WorkThread();                          // Stop

  void Do(std::function<void()> call);
  // Waits for the call that runs. May be called twice.
  void Stop();

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> calls_;  // under mutex_
  bool stopped_ = false;                     // under mutex_
  std::thread thread_;
};

}  // namespace rayx::node
