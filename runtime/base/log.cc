#include "base/log.h"

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "base/rotated_file.h"
#include "spdlog/sinks/base_sink.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace rayx::base {
namespace log_internal {

constinit std::atomic<int> level{static_cast<int>(LogLevel::kWarning)};

}  // namespace log_internal

namespace {

constexpr std::array<std::string_view, 6> kLevelNames = {"trace",   "debug", "info",
                                                         "warning", "error", "off"};

// Local time to the millisecond, level, process, pid, thread, file:line.
constexpr const char* kPattern = "%Y-%m-%d %H:%M:%S.%e %L %n %P.%t %s:%#] %v";

std::shared_ptr<spdlog::logger> MakeLogger(const std::string& process,
                                           std::vector<spdlog::sink_ptr> sinks) {
  auto logger = std::make_shared<spdlog::logger>(process, sinks.begin(), sinks.end());
  logger->set_level(spdlog::level::trace);  // IsLogged has decided already
  logger->flush_on(
      spdlog::level::info);  // what a kill -9 must not take; daemons log few such lines
  logger->set_pattern(kPattern);
  return logger;
}

// Not spdlog's rotating_file_sink: that one drops lines without a word.
class FileSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  FileSink(std::string path, RotationLimits limits) : file_(std::move(path), limits) {}
  Status Open() { return file_.Open(); }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    file_.Write({line.data(), line.size()});
  }
  void flush_() override {}

  RotatedFile file_;
};

struct Current {
  std::mutex mutex;
  std::shared_ptr<spdlog::logger> logger =
      MakeLogger("rayx", {std::make_shared<spdlog::sinks::stderr_sink_mt>()});
};

// Never destroyed: other static destructors may still log.
Current& GetCurrent() {
  static Current& current = *new Current;
  return current;
}

std::shared_ptr<spdlog::logger> GetLogger() {
  Current& current = GetCurrent();
  std::lock_guard lock(current.mutex);
  return current.logger;
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      break;
  }
  return spdlog::level::off;
}

}  // namespace

StatusOr<LogLevel> ParseLogLevel(std::string_view text) {
  for (std::size_t i = 0; i < kLevelNames.size(); ++i)
    if (text == kLevelNames[i]) return static_cast<LogLevel>(i);
  return MakeStatus(StatusCode::kInvalidArgument,
                    "no log level \"" + std::string(text) +
                        "\": trace, debug, info, warning, error, off are known");
}

Status SetUpLogging(const LogOptions& options) {
  std::vector<spdlog::sink_ptr> sinks;
  if (options.to_stderr) sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
  if (!options.file.empty()) {
    const RotationLimits limits{options.file_bytes_max, static_cast<uint32_t>(options.files_max)};
    auto sink = std::make_shared<FileSink>(options.file, limits);
    RAYX_RETURN_IF_ERROR(sink->Open());
    sinks.push_back(std::move(sink));
  }
  auto logger = MakeLogger(options.process, std::move(sinks));
  Current& current = GetCurrent();
  std::lock_guard lock(current.mutex);
  current.logger->flush();
  current.logger = std::move(logger);
  log_internal::level.store(static_cast<int>(options.level), std::memory_order_relaxed);
  return OkStatus();
}

void FlushLog() {
  GetLogger()->flush();
}

log_internal::Line::~Line() {
  GetLogger()->log(spdlog::source_loc{file_, line_, ""}, ToSpdlog(level_), text_.str());
}

}  // namespace rayx::base
