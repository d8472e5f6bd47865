// A small table of texts, shared by everything in one job, its detached actors included.
//
// Purpose:  meeting points: addresses, ranks, counters. Values are any bytes, a few KiB.
// Threads:  any.      Promises: a change is seen by every later call anywhere in the job.
// Limits:   one round trip to the cluster's head a call; not for data.
#ifndef RAYX_KEY_VALUE_H_
#define RAYX_KEY_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rayx/detail/visibility.h"

namespace rayx {

// Each throws HeadUnavailable when the head does not answer.
class RAYX_PUBLIC KeyValue {
 public:
  // Also over a value that is there.
  static void Put(const std::string& key, const std::string& value);
  // False, and nothing changed, when the key is there.
  static bool PutIfAbsent(const std::string& key, const std::string& value);
  // Nothing when the key is not there.
  static std::optional<std::string> Get(const std::string& key);
  // Until all keys are there; false at the timeout (negative: none).
  static bool Wait(const std::vector<std::string>& keys, int timeout_ms = -1);
  static bool Delete(const std::string& key);  // false: it was not there
  // Adds to a decimal number (absent: 0) and gives the sum. Throws InvalidOption when it is no
  // number.
  static std::int64_t Add(const std::string& key, std::int64_t amount);
  // Of the job's keys.
  static std::size_t Count();
};

}  // namespace rayx

#endif  // RAYX_KEY_VALUE_H_
