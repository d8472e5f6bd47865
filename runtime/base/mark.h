// runtime/base/mark.h
//
// Names rare branches, so that a test can show that it reached the one it was written for.
//   RAYX_MARK("lease retry answered while pulling");
//   CHECK(base::MarkCount("lease retry answered while pulling") > 0);
// Threads:  any.
// Promises: a hit is one relaxed increment; the counts of marks with one name are summed.
// Limits:   for branches that are rare by nature; process-wide, counts only grow (tests compare
//           before and after).
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace rayx::base {

class Mark {
 public:
  // `name` is a literal. Enters the process's list of marks; marks live until the process ends.
  explicit Mark(const char* name);
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;

  void Hit() { count_.fetch_add(1, std::memory_order_relaxed); }

 private:
  friend std::uint64_t MarkCount(std::string_view name);

  const char* const name_;
  Mark* next_;
  std::atomic<std::uint64_t> count_{0};
};

// 0 for a mark that was never reached.
std::uint64_t MarkCount(std::string_view name);

}  // namespace rayx::base

#define RAYX_MARK(name)                        \
  do {                                         \
    static ::rayx::base::Mark rayx_mark(name); \
    rayx_mark.Hit();                           \
  } while (false)
