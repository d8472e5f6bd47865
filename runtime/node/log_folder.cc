#include "node/log_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "base/fd.h"
#include "base/log.h"

namespace rayx::node {
namespace {

enum class Standing { kOfTheDead, kOldOfTheLiving, kWritten };

bool IsDaemons(const std::string& log) {
  return log == "head.log" || log == "node.log";
}

// "worker-7.log.1" is an old file of "worker-7.log".
Standing StandingOf(const std::string& name, const std::set<std::string>& written) {
  if (!name.ends_with(".log") && name.find(".log.") == std::string::npos) {
    return Standing::kWritten;  // *.err, stopped.json: not ours to remove
  }
  const std::string log = name.substr(0, name.find(".log") + 4);
  if (!written.contains(log) && !IsDaemons(log)) return Standing::kOfTheDead;
  return name == log ? Standing::kWritten : Standing::kOldOfTheLiving;
}

std::vector<LogFile> FilesIn(const std::string& folder) {
  std::vector<LogFile> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    struct stat info = {};
    if (::lstat(entry.path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    files.push_back({entry.path().filename(), static_cast<uint64_t>(info.st_size),
                     int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec});
  }
  return files;
}

// Its writer appends, and goes on at the new end.
void BeginAnew(const std::string& path, uint64_t bytes) {
  const base::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
  if (!fd || ::ftruncate(fd.get(), 0) != 0) return;
  const std::string note =
      "(rayx) what came before was removed: " + std::to_string(bytes) + " bytes\n";
  [[maybe_unused]] const auto written = ::write(fd.get(), note.data(), note.size());
}

}  // namespace

std::vector<LogFile> LogsToRemove(std::vector<LogFile> files, const std::set<std::string>& written,
                                  uint64_t bytes_max) {
  uint64_t total = 0;
  for (const LogFile& file : files) total += file.bytes;
  if (total <= bytes_max) return {};
  std::sort(files.begin(), files.end(), [&](const LogFile& a, const LogFile& b) {
    return std::tuple(StandingOf(a.name, written), a.changed, a.name) <
           std::tuple(StandingOf(b.name, written), b.changed, b.name);
  });
  std::vector<LogFile> removed;
  for (LogFile& file : files) {
    if (total <= bytes_max || StandingOf(file.name, written) == Standing::kWritten) break;
    total -= file.bytes;
    removed.push_back(std::move(file));
  }
  return removed;
}

void SweepLogs(const std::string& folder, const std::set<std::string>& written,
               const LogLimits& limits) {
  const std::vector<LogFile> files = FilesIn(folder);
  for (const LogFile& file : files) {
    if (file.name.ends_with(".err") && file.bytes > limits.file_bytes_max) {
      BeginAnew(folder + "/" + file.name, file.bytes);
    }
  }
  for (const LogFile& file : LogsToRemove(files, written, limits.total_bytes_max)) {
    if (::unlink((folder + "/" + file.name).c_str()) != 0) continue;
    RAYX_LOG(kWarning) << "removed the log " << file.name << " (" << file.bytes
                       << " bytes): the logs of a session may have " << limits.total_bytes_max
                       << " bytes (rayx start --log-total)";
  }
}

}  // namespace rayx::node
