// RAYLOG(INFO) << "text".
//
// Purpose:  a line on stderr: DEBUG, INFO, WARNING, ERROR, FATAL. A worker's appears at its driver.
// Threads:  any; a line comes out whole.
// Promises: shown from RAY_BACKEND_LOG_LEVEL (debug, info, warning, error, fatal) on; without it
//           from INFO.
//           FATAL ends the process behind its line.
#ifndef RAY_API_LOGGING_H_
#define RAY_API_LOGGING_H_

#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>

namespace ray {
namespace internal {

inline constexpr std::string_view kLogLevels[] = {"DEBUG", "INFO", "WARNING", "ERROR", "FATAL"};

inline int LogLevel(std::string_view name) {
  int level = 0;
  for (const std::string_view known : kLogLevels) {
    if (name == known) return level;
    ++level;
  }
  return -1;
}

inline int LogLevelOfEnvironment() {
  const char* value = std::getenv("RAY_BACKEND_LOG_LEVEL");
  std::string name = value == nullptr ? "" : value;
  for (char& c : name) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  const int level = LogLevel(name);
  return level < 0 ? LogLevel("INFO") : level;
}

// One line, written when it ends.
class LogLine {
 public:
  LogLine(const char* file, int line, std::string_view level) : is_fatal_(level == "FATAL") {
    text_ << level << " " << file << ":" << line << ": ";
  }
  ~LogLine() {
    text_ << "\n";
    std::cerr << text_.str() << std::flush;
    if (is_fatal_) std::abort();
  }
  LogLine(const LogLine&) = delete;
  LogLine& operator=(const LogLine&) = delete;

  static bool IsShown(std::string_view level) {
    static const int least = LogLevelOfEnvironment();
    return LogLevel(level) >= least;
  }

  template <class T>
  LogLine& operator<<(const T& value) {
    text_ << value;
    return *this;
  }

 private:
  const bool is_fatal_;
  std::ostringstream text_;
};

// Turns a line into nothing, so that both sides of RAYLOG's choice are of one type.
struct LogNothing {
  void operator&(const LogLine&) const {}
};

}  // namespace internal
}  // namespace ray

#define RAYLOG(level)                        \
  !::ray::internal::LogLine::IsShown(#level) \
      ? static_cast<void>(0)                 \
      : ::ray::internal::LogNothing() & ::ray::internal::LogLine(__FILE__, __LINE__, #level)

#endif  // RAY_API_LOGGING_H_
