// Goal: what crashed sessions left is ended and removed, and nothing else is.
// Method: sessions of processes that the test forks, in a fresh base folder.
#include "cli/session.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "cli/files.h"

namespace rayx::cli {
namespace {

namespace fs = std::filesystem;

struct Base {
  Base() {
    char name[] = "/tmp/rxc-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Base() { fs::remove_all(path); }
  std::string path;
};

// A session leader with one child that ignores SIGTERM; both wait for a signal.
struct Leader {
  Leader() {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    pid = ::fork();
    if (pid == 0) {
      ::setsid();
      if (::fork() == 0) {
        ::signal(SIGTERM, SIG_IGN);
        const pid_t own = ::getpid();
        [[maybe_unused]] const auto written = ::write(ends[1], &own, sizeof own);
        while (true) ::pause();
      }
      while (true) ::pause();
    }
    REQUIRE(::read(ends[0], &child, sizeof child) == sizeof child);
    ::close(ends[0]);
    ::close(ends[1]);
  }
  pid_t pid = 0;
  pid_t child = 0;
};

io::SessionInfo MakeSession(const Base& base, const std::string& cluster, pid_t supervisor) {
  io::SessionInfo session;
  session.folder = MakeSessionFolder(base.path, cluster, 1).value();
  session.head_address = "127.0.0.1:1";
  session.cluster = cluster;
  session.supervisor = io::StampOf(supervisor);
  REQUIRE(io::WriteSession(session).ok());
  std::ofstream(session.folder + "/node.sock") << "x";
  std::ofstream(session.folder + "/logs/head.log") << "line\n";
  std::ofstream(session.folder + "/logs/head.err") << "";
  return session;
}

}  // namespace

TEST_CASE("Session: ending reaches every process of the session, also the stubborn") {
  Base base;
  const Leader leader;
  const io::SessionInfo session = MakeSession(base, "00000001", leader.pid);
  CHECK(IsAlive(session));
  CHECK(StartedSessions(base.path).size() == 1);
  // The leader dies alone; its child is found by the session that it made.
  ::kill(leader.pid, SIGKILL);
  ::waitpid(leader.pid, nullptr, 0);
  CHECK(IsAlive(session));
  CHECK(EndProcesses(session).empty());
  CHECK_FALSE(io::StampOf(leader.child));
  CHECK_FALSE(IsAlive(session));
}

TEST_CASE("Session: another process with the supervisor's pid is left alone") {
  Base base;
  const Leader leader;
  io::SessionInfo session = MakeSession(base, "00000002", leader.pid);
  ++session.supervisor.start_ticks;
  CHECK_FALSE(IsAlive(session));
  CHECK(EndProcesses(session).empty());
  CHECK(io::StampOf(leader.pid));
  CHECK(io::StampOf(leader.child));
  ::kill(leader.child, SIGKILL);
  ::kill(leader.pid, SIGKILL);
  ::waitpid(leader.pid, nullptr, 0);
}

TEST_CASE("Session: cleaning leaves logs with something in them") {
  Base base;
  const io::SessionInfo session = MakeSession(base, "00000003", 0);
  REQUIRE(WriteEnding(session.folder, {"the head", 7, 9, 0, 1000, {"last"}, "x"}).ok());
  CleanFolder(session.folder, true);
  CHECK(ReadEnding(session.folder).value().signal == 9);
  CleanFolder(session.folder, false);
  CHECK_FALSE(fs::exists(session.folder + "/ended.json"));
  CHECK_FALSE(fs::exists(session.folder + "/session.json"));
  CHECK(fs::exists(session.folder + "/logs/head.log"));
  CHECK_FALSE(fs::exists(session.folder + "/logs/head.err"));
}

TEST_CASE("Session: the newest stop is told, also after cleaning") {
  Base base;
  CHECK_FALSE(LastStop(base.path).ok());
  const io::SessionInfo session = MakeSession(base, "00000004", 0);
  CleanFolder(session.folder, false);
  RecordStop(session);
  const auto first = LastStop(base.path);
  REQUIRE(first.ok());
  CHECK(first->head_address == session.head_address);
  RecordStop(session);  // as `rayx stop` does after the supervisor
  CHECK(LastStop(base.path).value().unix_ms >= first->unix_ms);
}

TEST_CASE("Session: old logs are bounded, folders that are not ours stay") {
  Base base;
  fs::create_directory(base.path + "/somebody's");
  fs::create_directory(base.path + "/0000000g-1");
  for (int i = 0; i < 9; ++i) MakeSession(base, "0000001" + std::to_string(i), 0);
  CleanUpDead(base.path, true);
  CHECK(io::ListSessions(base.path).size() == 9);  // not a driver's to remove
  CleanUpDead(base.path, false);
  int kept = 0;
  for (const auto& entry : fs::directory_iterator(base.path)) {
    kept += fs::exists(entry.path() / "logs") ? 1 : 0;
  }
  CHECK(kept == 5);
  CHECK(fs::exists(base.path + "/somebody's"));
  CHECK(fs::exists(base.path + "/0000000g-1"));
}

TEST_CASE("Session: one start at a time") {
  Base base;
  {
    const auto lock = LockBase(base.path);
    REQUIRE(lock.ok());
    CHECK_FALSE(LockBase(base.path).ok());
  }
  CHECK(LockBase(base.path).ok());
  CHECK(fs::is_empty(base.path));
}

TEST_CASE("Session: an ending says what a person needs") {
  const Ending killed = {"the head", 7, SIGSEGV, 0, 1000, {"a", "b"}, "/x/head.log"};
  CHECK(killed.ToString() ==
        "the head (pid 7) was killed by signal 11 (Segmentation fault); its log is /x/head.log\n"
        "Its last log lines:\n  a\n  b");
  const Ending left = {"the node daemon", 8, 0, 3, 1000, {}, ""};
  CHECK(left.ToString() == "the node daemon (pid 8) exited with code 3");
}

TEST_CASE("Files: the tail of a file, without control characters") {
  Base base;
  const std::string path = base.path + "/f";
  std::string text;
  for (int i = 0; i < 100000; ++i) text += "line " + std::to_string(i) + "\n";
  std::ofstream(path) << text << "\x1b[31mred\n";
  const auto tail = TailOf(path, 2);
  REQUIRE(tail.size() == 2);
  CHECK(tail[0] == "line 99999");
  CHECK(tail[1] == "?[31mred");
  CHECK(TailOf(base.path + "/none", 2).empty());
}

}  // namespace rayx::cli
