// runtime/base/check.h
//
// Assertions that stay on in every build. For our own mistakes only: anything that came from
// outside the process (a frame, a file, a user's argument) is checked with a Status instead.
// Threads:  any.
// Promises: a failed check prints `file:line: condition: message` to stderr and aborts.
#pragma once

#include <string_view>

namespace rayx::base {

// Never returns. Async-signal-safe: formats nothing, allocates nothing.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              std::string_view message) noexcept;

}  // namespace rayx::base

// RAYX_CHECK(condition) or RAYX_CHECK(condition, "message"): the message is anything that converts
// to std::string_view and is evaluated only when the condition is false.
#define RAYX_CHECK(condition, ...)                                                              \
  do {                                                                                          \
    if (!(condition)) [[unlikely]]                                                              \
      ::rayx::base::CheckFailed(__FILE__, __LINE__, #condition, std::string_view{__VA_ARGS__}); \
  } while (false)

// A place that cannot be reached.
#define RAYX_UNREACHABLE(message) \
  ::rayx::base::CheckFailed(__FILE__, __LINE__, "unreachable", message)
