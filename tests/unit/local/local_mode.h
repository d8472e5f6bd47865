// tests/unit/local/local_mode.h
//
// Local mode for the length of one test.
#pragma once

#include <condition_variable>
#include <mutex>

#include "rayx/rayx.h"

namespace rayx::testing {

class LocalMode {
 public:
  LocalMode() {
    Options options;
    options.local_mode = true;
    options.num_cpus = 4;
    Init(options);
  }
  ~LocalMode() { Shutdown(); }
  LocalMode(const LocalMode&) = delete;
  LocalMode& operator=(const LocalMode&) = delete;
};

// A door that test and actor share, because local mode is one process.
class Gate {
 public:
  void Open() {
    {
      std::lock_guard lock(mutex_);
      open_ = true;
    }
    changed_.notify_all();
  }
  void Pass() {
    std::unique_lock lock(mutex_);
    waiting_ = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  void AwaitSomebody() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  bool waiting_ = false;
};

}  // namespace rayx::testing
