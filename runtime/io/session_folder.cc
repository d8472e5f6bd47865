#include "io/session_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "io/address.h"

namespace rayx::io {
namespace {

using Json = nlohmann::json;

constexpr size_t kFileBytesMax = 64 * 1024;
// "/<8 hex digits>-<pid of 10 digits>/node.sock" and the final zero.
constexpr size_t kBaseBytesMax = sizeof(sockaddr_un::sun_path) - (1 + 8 + 1 + 10 + 10 + 1);

std::string ErrnoText() {
  return std::strerror(errno);
}

base::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  // Not blocking: the path may name a pipe.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return absl::NotFoundError(absl::StrCat(path, ": ", ErrnoText()));
  std::string text(kFileBytesMax + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t n = ::read(fd, text.data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    size += static_cast<size_t>(n);
  }
  ::close(fd);
  if (size > kFileBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": larger than ", kFileBytesMax, " bytes"));
  }
  text.resize(size);
  return text;
}

// /proc/<pid>/stat from the state on; the name before it may hold anything, so count from its end.
base::StatusOr<std::vector<std::string>> StatFields(pid_t pid) {
  RAYX_ASSIGN_OR_RETURN(const std::string text,
                        ReadSmallFile(absl::StrCat("/proc/", pid, "/stat")));
  const size_t end = text.rfind(')');
  if (end == std::string::npos) return absl::InternalError("no name in /proc/<pid>/stat");
  std::vector<std::string> fields;
  size_t begin = end + 2;
  while (begin < text.size()) {
    const size_t space = std::min(text.find(' ', begin), text.size());
    fields.push_back(text.substr(begin, space - begin));
    begin = space + 1;
  }
  if (fields.size() < 20) return absl::InternalError("short /proc/<pid>/stat");
  return fields;
}

Json ToJson(const ProcessStamp& process) {
  return Json{{"pid", process.pid}, {"start", process.start_ticks}};
}

ProcessStamp ProcessFrom(const Json& json, const char* key) {
  const Json& value = json.at(key);
  return {value.at("pid").get<pid_t>(), value.at("start").get<uint64_t>()};
}

// A connection that is made is a daemon that lives: a dead one's socket file refuses.
base::Status TryConnect(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return absl::InvalidArgumentError("path too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return absl::UnavailableError(ErrnoText());
  const int result = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::close(fd);
  // EAGAIN: alive, its queue of new connections is full at this moment.
  if (result == 0 || error == EAGAIN) return base::OkStatus();
  return absl::UnavailableError(std::strerror(error));
}

bool IsNamedByUser() {
  const char* folder = std::getenv("RAYX_SESSION_DIR");
  return folder != nullptr && *folder != '\0';
}

// InvalidArgument when the user named the folder.
base::Status RefuseBase(const std::string& base, const std::string& why) {
  if (IsNamedByUser()) {
    return absl::InvalidArgumentError(absl::StrCat("RAYX_SESSION_DIR ", base, ": ", why));
  }
  return absl::FailedPreconditionError(absl::StrCat("session folder ", base, ": ", why));
}

base::Status CheckAbsolute(const std::string& base) {
  if (!base.empty() && base[0] == '/') return base::OkStatus();
  return RefuseBase(base, "expected an absolute path");
}

// More than one has to be told apart by whoever asked.
base::StatusOr<SessionInfo> OnlyOne(std::vector<SessionInfo> sessions) {
  if (sessions.size() == 1) return std::move(sessions[0]);
  std::vector<std::string> places;
  for (const SessionInfo& session : sessions) {
    places.push_back(absl::StrCat(session.head_address, " (", session.folder, ")"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("several clusters of this user run on this VM, at ",
                   absl::StrJoin(places, " and "), "; say which one by its address"));
}

// `wanted`: the head's address, "" for any. `others`: of the heads whose clusters run here.
std::string NoSession(const std::string& wanted, const std::vector<std::string>& others,
                      const std::vector<std::string>& tried) {
  std::string text = absl::StrCat(
      "no node daemon ", wanted.empty() ? "" : absl::StrCat("of the cluster at ", wanted, " "),
      "runs on this VM for this user; ");
  if (!others.empty()) {
    absl::StrAppend(&text, "one of the cluster at ", absl::StrJoin(others, " and "),
                    others.size() == 1 ? " does (`--address auto`)" : " does", ". Else ");
  }
  if (wanted.empty()) {
    absl::StrAppend(&text, "start one with `rayx start --head`");
  } else {
    const std::string port = wanted.substr(wanted.rfind(':') + 1);
    const bool is_default = port == std::to_string(kDefaultPort);
    absl::StrAppend(&text, "start one with `rayx start --address=", wanted,
                    "` (or `rayx start --head", is_default ? "" : absl::StrCat(" --port ", port),
                    "` on the head's VM)");
  }
  return absl::StrCat(text, ". Tried: ", absl::StrJoin(tried, "; "));
}

}  // namespace

ProcessStamp StampOf(pid_t pid) {
  if (pid <= 0) return {};
  const auto fields = StatFields(pid);
  if (!fields.ok() || (*fields)[0] == "Z" || (*fields)[0] == "X") return {};
  return {pid, std::strtoull((*fields)[19].c_str(), nullptr, 10)};
}

bool IsRunning(const ProcessStamp& process) {
  return process && StampOf(process.pid) == process;
}

bool IsStopped(const ProcessStamp& process) {
  const auto fields = StatFields(process.pid);
  return IsRunning(process) && fields.ok() && ((*fields)[0] == "T" || (*fields)[0] == "t");
}

std::string SessionBase() {
  if (IsNamedByUser()) return std::getenv("RAYX_SESSION_DIR");
  if (const char* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime != nullptr && *runtime == '/') {
    return absl::StrCat(runtime, "/rayx");
  }
  return absl::StrCat("/tmp/rayx-", ::getuid());
}

base::Status PrepareSessionBase(const std::string& base) {
  const auto refuse = [&](auto... why) { return RefuseBase(base, absl::StrCat(why...)); };
  RAYX_RETURN_IF_ERROR(CheckAbsolute(base));
  if (base.size() > kBaseBytesMax) {
    return refuse("longer than ", kBaseBytesMax,
                  " bytes, so that sockets in it could not be named; set RAYX_SESSION_DIR to a "
                  "shorter one");
  }
  if (::mkdir(base.c_str(), 0700) != 0 && errno != EEXIST) {
    return refuse("cannot be made: ", ErrnoText());
  }
  struct stat info = {};
  if (::lstat(base.c_str(), &info) != 0) return refuse(ErrnoText());
  if (!S_ISDIR(info.st_mode)) return refuse("is not a folder");
  if (info.st_uid != ::getuid()) return refuse("belongs to another user (uid ", info.st_uid, ")");
  if ((info.st_mode & 0022) != 0) {
    return refuse("other users may write into it; expected a folder of yours alone (chmod go-w)");
  }
  return base::OkStatus();
}

base::Status WriteSession(const SessionInfo& session) {
  const Json json = {{"head_address", session.head_address},
                     {"cluster", session.cluster},
                     {"node_number", session.node_number},
                     {"supervisor", ToJson(session.supervisor)},
                     {"head", ToJson(session.head)},
                     {"node", ToJson(session.node)},
                     {"started_unix_ms", session.started_unix_ms},
                     {"embedded", session.embedded}};
  const std::string text = json.dump(2) + "\n";
  const std::string path = session.folder + "/session.json";
  const std::string temporary = path + ".new";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return absl::UnavailableError(absl::StrCat(temporary, ": ", ErrnoText()));
  const ssize_t written = ::write(fd, text.data(), text.size());
  ::close(fd);
  if (written >= 0) errno = ENOSPC;  // of a part alone
  if (written != static_cast<ssize_t>(text.size()) ||
      ::rename(temporary.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(absl::StrCat(path, ": cannot be written: ", ErrnoText()));
  }
  return base::OkStatus();
}

base::StatusOr<SessionInfo> ReadSession(const std::string& folder) {
  const std::string path = folder + "/session.json";
  RAYX_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path));
  try {
    const Json json = Json::parse(text);
    SessionInfo session;
    session.folder = folder;
    session.head_address = json.at("head_address").get<std::string>();
    session.cluster = json.at("cluster").get<std::string>();
    session.node_number = json.at("node_number").get<uint32_t>();
    session.supervisor = ProcessFrom(json, "supervisor");
    session.head = ProcessFrom(json, "head");
    session.node = ProcessFrom(json, "node");
    session.started_unix_ms = json.at("started_unix_ms").get<int64_t>();
    session.embedded = json.at("embedded").get<bool>();
    return session;
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": not a session's description: ", error.what()));
  }
}

std::vector<SessionInfo> ListSessions(const std::string& base, std::vector<std::string>* problems) {
  std::vector<SessionInfo> sessions;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(base.c_str()), &::closedir);
  if (folder == nullptr) {
    if (problems != nullptr) problems->push_back(absl::StrCat(base, ": ", ErrnoText()));
    return sessions;
  }
  while (const dirent* entry = ::readdir(folder.get())) {
    if (entry->d_name[0] == '.') continue;
    const std::string path = absl::StrCat(base, "/", entry->d_name);
    struct stat info = {};
    if (::lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) continue;
    auto session = ReadSession(path);
    if (session.ok()) {
      sessions.push_back(*std::move(session));
    } else if (problems != nullptr && !absl::IsNotFound(session.status())) {
      problems->push_back(std::string(base::Message(session.status())));
    }
  }
  std::sort(sessions.begin(), sessions.end(), [](const SessionInfo& a, const SessionInfo& b) {
    return a.started_unix_ms != b.started_unix_ms ? a.started_unix_ms > b.started_unix_ms
                                                  : a.folder < b.folder;
  });
  return sessions;
}

base::StatusOr<SessionInfo> FindSession(const std::string& head_address) {
  std::string wanted;
  if (head_address != "auto") {
    RAYX_ASSIGN_OR_RETURN(const Address address, ParseAddress(head_address));
    wanted = address.ToString();
  }
  const std::string base = SessionBase();
  RAYX_RETURN_IF_ERROR(CheckAbsolute(base));
  std::vector<std::string> tried;
  std::vector<SessionInfo> answering;
  std::vector<std::string> others;
  for (SessionInfo& session : ListSessions(base, &tried)) {
    if (session.embedded) continue;
    if (!wanted.empty() && session.head_address != wanted) {
      if (TryConnect(session.socket_path()).ok()) others.push_back(session.head_address);
      tried.push_back(absl::StrCat(session.folder, ": its head is at ", session.head_address));
      continue;
    }
    const base::Status answer = TryConnect(session.socket_path());
    if (answer.ok()) {
      answering.push_back(std::move(session));
    } else {
      tried.push_back(
          absl::StrCat(session.socket_path(), ": ", base::ToAbsl(base::Message(answer))));
    }
  }
  if (!answering.empty()) return OnlyOne(std::move(answering));
  if (tried.empty()) tried.push_back(absl::StrCat(base, ": no session"));
  return absl::NotFoundError(NoSession(wanted, others, tried));
}

std::string FormatStartAnswer(const StartAnswer& answer) {
  const Json json = {{"error", answer.error},
                     {"head_address", answer.head_address},
                     {"session_folder", answer.session_folder}};
  // Log lines in an error may hold any bytes: replace what is not UTF-8 instead of throwing.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

base::StatusOr<StartAnswer> ParseStartAnswer(const std::string& line) {
  try {
    const Json json = Json::parse(line);
    return StartAnswer{json.at("error").get<std::string>(),
                       json.at("head_address").get<std::string>(),
                       json.at("session_folder").get<std::string>()};
  } catch (const Json::exception&) {
    return absl::InvalidArgumentError(
        absl::StrCat("rayx start answered with \"", line.substr(0, 200), "\", which is no answer"));
  }
}

}  // namespace rayx::io
