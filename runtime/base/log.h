// runtime/base/log.h
//
// Log lines of the daemons and of the library inside user programs, thin over spdlog, whose headers
// stay out of everybody's includes.
//   RAYX_LOG(kWarning) << "worker " << id << " exited with " << code;
// Threads:  any.
// Promises: the operands are evaluated only when the level is on; a line is written whole; files
//           rotate and are bounded. A daemon's last lines reach the file before it aborts or exits.
// Limits:   the one process-wide state of base/: every part of a process shares its log, including
//           a whole cluster in one test process. Not for the task path, never for secrets.
#pragma once

#include <atomic>
#include <cstddef>
#include <sstream>
#include <string>
#include <string_view>

#include "base/status.h"

namespace rayx::base {

enum class LogLevel : int { kTrace, kDebug, kInfo, kWarning, kError, kOff };

// "info" and so on, as in options and environment; kInvalidArgument names the choices.
StatusOr<LogLevel> ParseLogLevel(std::string_view text);

struct LogOptions {
  std::string process;  // first word of a line: head, node, worker...
  LogLevel level = LogLevel::kInfo;
  bool to_stderr = true;
  std::string file;                        // empty: no file
  std::size_t file_bytes_max = 64u << 20;  // a file is rotated at this size
  std::size_t files_max = 4;               // so many old ones are kept
};

// Until the first call, warnings and errors go to stderr. May be called again (a forked worker
// does). kUnavailable when the file cannot be opened; the old settings then stay.
Status SetUpLogging(const LogOptions& options);

// Writes out what is buffered.
void FlushLog();

namespace log_internal {

extern std::atomic<int> level;

// One line, written by the destructor.
class Line {
 public:
  Line(LogLevel level, const char* file, int line) : level_(level), file_(file), line_(line) {}
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  ~Line();

  std::ostream& stream() { return text_; }

 private:
  const LogLevel level_;
  const char* const file_;
  const int line_;
  std::ostringstream text_;
};

}  // namespace log_internal

inline bool IsLogged(LogLevel level) {
  return static_cast<int>(level) >= log_internal::level.load(std::memory_order_relaxed);
}

}  // namespace rayx::base

// A for loop and not an if, so that it may stand before somebody's else.
#define RAYX_LOG(severity)                                                                   \
  for (bool rayx_log_ = ::rayx::base::IsLogged(::rayx::base::LogLevel::severity); rayx_log_; \
       rayx_log_ = false)                                                                    \
  ::rayx::base::log_internal::Line(::rayx::base::LogLevel::severity, __FILE__, __LINE__).stream()
