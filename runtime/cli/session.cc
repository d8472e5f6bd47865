#include "cli/session.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/files.h"
#include "io/processes.h"

namespace rayx::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kStopFile[] = "stopped.json";
constexpr size_t kDeadSessionsKept = 5;
constexpr std::chrono::minutes kStartMax(10);  // an older start.json is of a start that crashed
constexpr std::chrono::milliseconds kTermWait(4000);
constexpr std::chrono::milliseconds kKillWait(4000);

// The processes of the session that `leader` made with setsid. A pid is not given anew while it
// names a session: when another process has it now, the session has no members.
std::vector<io::ProcessStamp> MembersOf(const io::ProcessStamp& leader) {
  std::vector<io::ProcessStamp> members;
  if (!leader) return members;
  const io::ProcessStamp now = io::StampOf(leader.pid);
  if (now && now != leader) return members;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    int pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    struct stat info = {};
    if (::stat(entry.path().c_str(), &info) != 0 || info.st_uid != ::getuid()) continue;
    const io::ProcessStamp stamp = io::StampOf(pid);
    if (stamp && ::getsid(pid) == leader.pid) members.push_back(stamp);
  }
  return members;
}

std::vector<io::ProcessStamp> ProcessesOf(const io::SessionInfo& session) {
  std::vector<io::ProcessStamp> processes = MembersOf(session.supervisor);
  for (const io::ProcessStamp& process : {session.supervisor, session.head, session.node}) {
    const bool listed = std::find(processes.begin(), processes.end(), process) != processes.end();
    if (!listed && io::IsRunning(process)) processes.push_back(process);
  }
  std::erase_if(processes,
                [](const io::ProcessStamp& process) { return process.pid == ::getpid(); });
  return processes;
}

// Signals all and waits until they are gone or the time is over.
bool SignalAndWait(const io::SessionInfo& session, int signal, std::chrono::milliseconds wait) {
  const auto deadline = Clock::now() + wait;
  while (true) {
    std::vector<base::UniqueFd> pidfds;
    for (const io::ProcessStamp& process : ProcessesOf(session)) {
      // Opened, then looked at again: the pidfd is of that process and no later one.
      base::UniqueFd pidfd = io::OpenPidfd(process.pid);
      if (!pidfd || !io::IsRunning(process)) continue;
      io::Signal(pidfd.get(), signal);
      io::Signal(pidfd.get(), SIGCONT);  // a stopped one hears nothing else
      pidfds.push_back(std::move(pidfd));
    }
    if (pidfds.empty()) return true;
    for (const base::UniqueFd& pidfd : pidfds) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
      if (left.count() <= 0) return false;
      io::WaitExited(pidfd.get(), left);
    }
  }
}

// "<8 hex digits>-<pid>": nothing else in the base folder is ours to remove.
bool IsSessionName(const std::string& name) {
  return name.size() > 9 && name[8] == '-' && name.find_first_not_of("0123456789abcdef") == 8 &&
         name.find_first_not_of("0123456789", 9) == std::string::npos;
}

void RemoveEmptyFiles(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.is_regular_file(error) && entry.file_size(error) == 0) {
      std::filesystem::remove(entry.path(), error);
    }
  }
}

}  // namespace

std::string Ending::ToString() const {
  std::string text =
      absl::StrCat(what, " (pid ", pid, ") ", io::ExitStatus{signal, exit_code}.ToString());
  if (!log_path.empty()) absl::StrAppend(&text, "; its log is ", log_path);
  if (!log_lines.empty()) absl::StrAppend(&text, "\nIts last log lines:");
  for (const std::string& line : log_lines) absl::StrAppend(&text, "\n  ", line);
  return text;
}

base::Status WriteEnding(const std::string& folder, const Ending& ending) {
  const nlohmann::json json = {{"what", ending.what},        {"pid", ending.pid},
                               {"signal", ending.signal},    {"exit_code", ending.exit_code},
                               {"unix_ms", ending.unix_ms},  {"log_lines", ending.log_lines},
                               {"log_path", ending.log_path}};
  return WriteFile(folder + "/ended.json",
                   json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

base::StatusOr<Ending> ReadEnding(const std::string& folder) {
  RAYX_ASSIGN_OR_RETURN(const std::string text, ReadFile(folder + "/ended.json"));
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    Ending ending;
    ending.what = json.at("what").get<std::string>();
    ending.pid = json.at("pid").get<int>();
    ending.signal = json.at("signal").get<int>();
    ending.exit_code = json.at("exit_code").get<int>();
    ending.unix_ms = json.at("unix_ms").get<int64_t>();
    ending.log_lines = json.at("log_lines").get<std::vector<std::string>>();
    ending.log_path = json.at("log_path").get<std::string>();
    return ending;
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(folder, "/ended.json: ", error.what()));
  }
}

void RecordStop(const io::SessionInfo& session) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const nlohmann::json json = {
      {"head_address", session.head_address},
      {"had_head", static_cast<bool>(session.head)},
      {"unix_ms", std::chrono::duration_cast<std::chrono::milliseconds>(now).count()}};
  // A full disk: the next status does not tell of this stop.
  [[maybe_unused]] const auto written =
      WriteFile(session.logs_folder() + "/" + kStopFile, json.dump(2) + "\n");
}

base::StatusOr<StopRecord> LastStop(const std::string& base) {
  StopRecord last;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(base, error)) {
    const auto text = ReadFile(entry.path() / "logs" / kStopFile);
    const nlohmann::json json =
        text.ok() ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
    if (!json.is_object()) continue;
    const auto unix_ms = json.find("unix_ms");
    const auto address = json.find("head_address");
    if (unix_ms == json.end() || !unix_ms->is_number_integer() || address == json.end() ||
        !address->is_string() || unix_ms->get<int64_t>() <= last.unix_ms) {
      continue;
    }
    const auto had_head = json.find("had_head");
    last = {address->get<std::string>(),
            had_head == json.end() || *had_head != nlohmann::json(false), unix_ms->get<int64_t>()};
  }
  if (last.unix_ms == 0) return absl::NotFoundError(absl::StrCat("no stop is recorded in ", base));
  return last;
}

base::StatusOr<base::UniqueFd> LockBase(const std::string& base) {
  // The folder itself is locked: a file for it would be left behind.
  base::UniqueFd fd(::open(base.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return absl::UnavailableError(absl::StrCat(base, ": ", std::strerror(errno)));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::UnavailableError(
        absl::StrCat("another `rayx start` or `rayx stop` is at work (it holds ", base, ")"));
  }
  return fd;
}

base::StatusOr<std::string> MakeSessionFolder(const std::string& base, const std::string& cluster,
                                              int pid) {
  const std::string folder = absl::StrCat(base, "/", cluster, "-", pid);
  if (::mkdir(folder.c_str(), 0700) != 0 || ::mkdir((folder + "/logs").c_str(), 0700) != 0) {
    const int error = errno;
    ::rmdir(folder.c_str());
    return absl::UnavailableError(
        absl::StrCat("session folder ", folder, " cannot be made: ", std::strerror(error)));
  }
  return folder;
}

bool IsAlive(const io::SessionInfo& session) {
  return !ProcessesOf(session).empty();
}

std::vector<io::SessionInfo> StartedSessions(const std::string& base) {
  std::vector<io::SessionInfo> sessions = io::ListSessions(base);
  std::erase_if(sessions, [](const io::SessionInfo& session) {
    return session.embedded || !IsAlive(session);
  });
  return sessions;
}

std::vector<int> EndProcesses(const io::SessionInfo& session) {
  if (SignalAndWait(session, SIGTERM, kTermWait)) return {};
  if (SignalAndWait(session, SIGKILL, kKillWait)) return {};
  std::vector<int> left;
  for (const io::ProcessStamp& process : ProcessesOf(session)) left.push_back(process.pid);
  return left;
}

void CleanFolder(const std::string& folder, bool keep_ending) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (name == "logs") {
      RemoveEmptyFiles(entry.path());
      continue;
    }
    if (keep_ending && (name == "session.json" || name == "ended.json")) continue;
    RemoveTree(entry.path());
  }
}

void CleanUpDead(const std::string& base, bool embedded_only) {
  for (const io::SessionInfo& session : io::ListSessions(base)) {
    if (io::IsRunning(session.supervisor) || (embedded_only && !session.embedded)) continue;
    EndProcesses(session);
    CleanFolder(session.folder, false);
  }
  // Folders without a session.json hold the logs of the past.
  std::vector<std::pair<std::filesystem::file_time_type, std::string>> dead;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(base, error)) {
    const std::string path = entry.path();
    if (!IsSessionName(entry.path().filename()) || entry.is_symlink(error)) continue;
    if (std::filesystem::exists(path + "/session.json", error)) continue;
    const auto changed = std::filesystem::last_write_time(path, error);
    const bool starting = std::filesystem::exists(path + "/start.json", error) &&
                          std::filesystem::file_time_type::clock::now() - changed < kStartMax;
    if (!starting) dead.emplace_back(changed, path);
  }
  std::sort(dead.rbegin(), dead.rend());
  for (size_t i = kDeadSessionsKept; i < dead.size(); ++i) RemoveTree(dead[i].second);
}

}  // namespace rayx::cli
