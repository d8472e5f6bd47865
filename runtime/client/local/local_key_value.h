// runtime/client/local/local_key_value.h
//
// The key-value table of local mode.
//
// Owner: LocalRuntime.   Threads: any.   Promises: Stop ends every wait with NotInitialized.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "rayx/detail/runtime_interface.h"

namespace rayx::client {

class LocalKeyValue {
 public:
  bool Put(const std::string& key, const std::string& value, bool only_if_absent);
  bool Get(const std::string& key, std::string& value);
  bool Wait(const std::vector<std::string>& keys, detail::Milliseconds timeout);
  bool Delete(const std::string& key);
  std::int64_t Add(const std::string& key, std::int64_t amount);
  std::size_t Count();
  void Stop();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::map<std::string, std::string> values_;
  bool stopped_ = false;
};

}  // namespace rayx::client
