#include "cli/logs.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/fd.h"
#include "base/file_tail.h"
#include "cli/cluster.h"
#include "cli/command_error.h"
#include "cli/files.h"
#include "cli/session.h"
#include "cli/table.h"
#include "io/session_folder.h"
#include "model/ids.h"

namespace rayx::cli {
namespace {

constexpr int kFollowMs = 200;
constexpr uint32_t kOldFilesMax = 100;  // of a log: rayx start --log-files
// Of the head and of the node each: logs are looked at when a daemon hangs.
constexpr std::chrono::milliseconds kOwnerWait(1000);

int Fail(const base::Status& status) {
  std::cerr << "rayx logs: " << base::Message(status) << "\n";
  return 1;
}

// stopped.json lies beside the logs and is none.
bool IsLog(const std::string& file) {
  return !file.ends_with(".json");
}

// The folder whose logs are meant: of the session that runs, else of the newest one.
base::StatusOr<std::string> LogsFolder() {
  const std::string base = io::SessionBase();
  for (const io::SessionInfo& session : io::ListSessions(base)) {
    if (!session.embedded) return session.logs_folder();
  }
  std::string newest;
  std::filesystem::file_time_type newest_time;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(base, error)) {
    const auto logs = entry.path() / "logs";
    const auto time = std::filesystem::last_write_time(logs, error);
    if (error || (!newest.empty() && time < newest_time)) continue;
    newest = logs;
    newest_time = time;
  }
  if (::access(base.c_str(), R_OK | X_OK) != 0 && errno != ENOENT) {
    return absl::UnavailableError(absl::StrCat(base, ": ", std::strerror(errno)));
  }
  if (newest.empty()) {
    return absl::NotFoundError(absl::StrCat(
        "no logs in ", base, "; `rayx start --head` starts a cluster, which has some"));
  }
  return newest;
}

// Of this VM's node, if its cluster runs and the logs are of it.
base::StatusOr<proto::NodeState> OwnState(const std::string& folder) {
  RAYX_ASSIGN_OR_RETURN(const auto cluster, Cluster::Connect());
  if (cluster->session().logs_folder() != folder) return absl::NotFoundError("of the past");
  return cluster->StateOf(cluster->session().node_number, kOwnerWait);
}

std::vector<std::filesystem::directory_entry> LogsIn(const std::string& folder) {
  std::vector<std::filesystem::directory_entry> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.is_regular_file(error) && IsLog(entry.path().filename())) files.push_back(entry);
  }
  std::sort(files.begin(), files.end());
  return files;
}

int ListLogs(const std::string& folder) {
  const auto state = OwnState(folder);
  Table table({"FILE", "BYTES", "WHO"});
  std::error_code error;
  for (const auto& file : LogsIn(folder)) {
    const std::string name = file.path().filename();
    table.Add({name, absl::StrCat(file.file_size(error)),
               LogOwner(name, state.ok() ? &*state : nullptr)});
  }
  std::cout << folder << "\n";
  table.Print(std::cout);
  return 0;
}

base::Status NoSuchLog(const std::string& file, const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& log : LogsIn(folder)) names.push_back(log.path().filename());
  const std::string nearest = Nearest(file, names);
  return absl::NotFoundError(
      absl::StrCat("no log file \"", file, "\" in ", folder, "; ",
                   nearest.empty() ? "`rayx logs` lists them" : "did you mean '" + nearest + "'?"));
}

// The answer does not say whether there was more: its size does.
void SayWhatNodesSend(const proto::LogReply& reply, const LogOptions& options) {
  const auto shown = static_cast<size_t>(reply.lines_size());
  size_t bytes = 0;
  for (const auto& line : reply.lines()) bytes += line.size() + 1;
  const bool may_be_cut = shown >= base::kSentTailLinesMax || bytes > base::kSentTailBytesMax / 2;
  if (shown >= options.tail || !may_be_cut) return;
  std::cerr << "rayx logs: " << shown << " of " << options.tail
            << " lines: there may be more, of which a node sends the last "
            << base::kSentTailLinesMax << ", and 1 MiB at most\n";
}

int RemoteLogs(const LogOptions& options) {
  const auto cluster = Cluster::Connect();
  if (!cluster.ok()) return Fail(cluster.status());
  const auto reply = (*cluster)->Logs(options.node, options.file, options.tail);
  if (!reply.ok()) return Fail(reply.status());
  if (reply->error().code() != 0) {
    const std::string node = ToString(model::NodeNumber{options.node});
    std::cerr << "rayx logs: " << reply->error().message() << " on node " << node
              << "; `rayx logs --node " << node << "` lists them\n";
    return 1;
  }
  for (const auto& line : reply->lines()) std::cout << PrintableLine(line) << "\n";
  if (!options.file.empty()) {
    SayWhatNodesSend(*reply, options);
    return 0;
  }
  const auto state = (*cluster)->StateOf(options.node);
  Table table({"FILE", "WHO"});
  for (const auto& file : reply->files()) {
    if (IsLog(file)) table.Add({file, LogOwner(file, state.ok() ? &*state : nullptr)});
  }
  table.Print(std::cout);
  return 0;
}

// Prints the whole lines that `text` has and takes them from it.
void PrintLines(std::string& text) {
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    std::cout << PrintableLine(text.substr(begin, end - begin)) << "\n";
  }
  text.erase(0, begin);
  std::cout.flush();
}

// All that is there to be read.
void ReadOn(int fd, std::string& text) {
  char buffer[16 * 1024];
  while (true) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.append(buffer, static_cast<size_t>(n));
  }
}

void SayCut(const std::string& path, size_t tail) {
  std::cerr << "rayx logs: fewer than the " << tail << " lines that were asked for: no more than "
            << FormatBytes(kTailBytesMax) << " of " << path << " are looked at\n";
}

// What comes after the file that `here` describes and that is read to its end: the files that were
// begun and full since, then the one that is written now. A file that has no name any more, or not
// yet its next one (a renaming is under way), gives the latter alone.
std::vector<std::string> FilesAfter(const std::string& path, const struct stat& here,
                                    bool& all_there) {
  std::vector<std::string> files = {path};
  all_there = false;
  for (uint32_t number = 1; number <= kOldFilesMax && !all_there; ++number) {
    const std::string old = absl::StrCat(path, ".", number);
    struct stat info = {};
    if (::stat(old.c_str(), &info) != 0) break;
    all_there = info.st_ino == here.st_ino;
    if (!all_there) files.push_back(old);
  }
  if (!all_there) files.resize(1);
  std::reverse(files.begin(), files.end());
  return files;
}

// A full file is renamed and a new one begun under its name.
void GoOn(const std::string& path, const struct stat& here, base::UniqueFd& fd, std::string& text) {
  bool all_there = false;
  std::vector<base::UniqueFd> fds;
  for (const std::string& file : FilesAfter(path, here, all_there)) {
    fds.emplace_back(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  }
  if (!all_there) {
    std::cerr << "rayx logs: " << path
              << " was begun anew; lines before that may be missing here\n";
  }
  for (size_t i = 0; i + 1 < fds.size(); ++i) ReadOn(fds[i].get(), text);
  fd = std::move(fds.back());
}

int Follow(const std::string& path, size_t tail) {
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat here = {};
  struct stat there = {};
  std::string text;
  if (fd) {
    base::FileTail last = base::ReadTail(fd.get(), tail, kTailBytesMax);
    if (last.is_cut) SayCut(path, tail);
    text = std::move(last.text);
    ::lseek(fd.get(), last.end, SEEK_SET);
  }
  while (fd && ::fstat(fd.get(), &here) == 0) {
    // Looked at before reading, so that the last words of a file that is left are read.
    const bool named = ::stat(path.c_str(), &there) == 0;
    const bool removed = !named && here.st_nlink == 0;
    ReadOn(fd.get(), text);
    if (removed && !text.empty() && !text.ends_with('\n')) text += '\n';
    PrintLines(text);
    if (!std::cout) return Fail(absl::UnavailableError("standard output takes nothing more"));
    if (removed) return 0;
    if (named && there.st_ino != here.st_ino) {
      GoOn(path, here, fd, text);
    } else {
      ::poll(nullptr, 0, kFollowMs);
    }
  }
  return Fail(absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno))));
}

}  // namespace

std::string LogOwner(const std::string& file, const proto::NodeState* state) {
  const std::string name = file.substr(0, file.find('.'));
  if (name == "node") return "node daemon";
  const std::vector<std::string> parts = absl::StrSplit(name, '-');
  int pid = 0;
  if (parts.size() != 2 || parts[0] != "worker" || !absl::SimpleAtoi(parts[1], &pid)) {
    return parts[0];
  }
  if (state == nullptr) return "worker";
  for (const auto& worker : state->workers()) {
    if (worker.pid() != pid) continue;
    return absl::StrCat(ToString(model::ProcessId{worker.process()}), " ", worker.state(),
                        worker.title().empty() ? "" : ", ", worker.title());
  }
  return "worker, ended";
}

int RunLogs(const LogOptions& options) {
  if (options.node != 0) return RemoteLogs(options);
  const auto folder = LogsFolder();
  if (!folder.ok()) return Fail(folder.status());
  if (options.names) {
    for (const auto& file : LogsIn(*folder)) std::cout << file.path().filename().string() << "\n";
    return 0;
  }
  if (options.file.empty()) return ListLogs(*folder);
  const std::string path = *folder + "/" + options.file;
  std::error_code error;
  if (options.file.find('/') != std::string::npos ||
      !std::filesystem::is_regular_file(path, error)) {
    return Fail(NoSuchLog(options.file, *folder));
  }
  if (options.follow) return Follow(path, options.tail);
  if (::access(path.c_str(), R_OK) != 0) {
    return Fail(absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno))));
  }
  bool is_cut = false;
  for (const std::string& line : TailOf(path, options.tail, &is_cut)) std::cout << line << "\n";
  if (is_cut) SayCut(path, options.tail);
  return 0;
}

}  // namespace rayx::cli
