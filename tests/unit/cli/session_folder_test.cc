// Goal: sessions are found by those who may find them, and every wrong file is an error that names
// it. Method: folders and sockets made by hand under a RAYX_SESSION_DIR of the test's own.
#include "io/session_folder.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "base/fd.h"
#include "io/address.h"

namespace rayx::io {
namespace {

struct Base {
  Base() {
    char name[] = "/tmp/rxs-XXXXXX";
    path = ::mkdtemp(name);
    ::setenv("RAYX_SESSION_DIR", path.c_str(), 1);
  }
  ~Base() {
    ::unsetenv("RAYX_SESSION_DIR");
    std::filesystem::remove_all(path);
  }
  SessionInfo Make(const std::string& name, const std::string& address, int64_t started = 1) {
    SessionInfo session;
    session.folder = path + "/" + name;
    session.head_address = address;
    session.cluster = "c";
    session.node_number = 3;
    session.supervisor = StampOf(::getpid());
    session.started_unix_ms = started;
    std::filesystem::create_directory(session.folder);
    REQUIRE(WriteSession(session).ok());
    return session;
  }
  std::string path;
};

base::UniqueFd Listen(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(fd.get(), 4) == 0);
  return fd;
}

std::string ErrorOf(const base::Status& status) {
  CHECK_FALSE(status.ok());
  return std::string(base::Message(status));
}

}  // namespace

TEST_CASE("SessionFolder: written and read") {
  Base base;
  const SessionInfo session = base.Make("one", "127.0.0.1:7399");
  const auto back = ReadSession(session.folder);
  REQUIRE(back.ok());
  CHECK(back->head_address == session.head_address);
  CHECK(back->node_number == 3);
  CHECK(back->supervisor == session.supervisor);
  CHECK(back->socket_path() == session.folder + "/node.sock");
  struct stat info = {};
  REQUIRE(::stat((session.folder + "/session.json").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("SessionFolder: found by address and by auto, if its daemon accepts") {
  Base base;
  base.Make("old", "127.0.0.1:7000", 1);
  const SessionInfo session = base.Make("new", "127.0.0.1:7001", 2);
  const auto none = FindSession("auto");
  CHECK_THAT(ErrorOf(none.status()),
             Catch::Contains("old/node.sock") && Catch::Contains("new/node.sock"));
  const auto listening = Listen(session.socket_path());
  CHECK(FindSession("auto").value().folder == session.folder);
  CHECK(FindSession("localhost:7001").value().folder == session.folder);
  CHECK_THAT(ErrorOf(FindSession("127.0.0.1:7002").status()),
             Catch::Contains("its head is at 127.0.0.1:7001") &&
                 Catch::Contains("one of the cluster at 127.0.0.1:7001 does (`--address auto`)") &&
                 Catch::Contains("rayx start --address=127.0.0.1:7002") &&
                 Catch::Contains("`rayx start --head --port 7002`"));
  CHECK_THAT(ErrorOf(FindSession("7001").status()), Catch::Contains("expected ip:port"));
}

TEST_CASE("SessionFolder: auto among two is answered by both, an address by its own") {
  Base base;
  const SessionInfo one = base.Make("one", "127.0.0.1:7001", 1);
  const SessionInfo two = base.Make("two", "127.0.0.1:7002", 2);
  const auto first = Listen(one.socket_path());
  const auto second = Listen(two.socket_path());
  const auto both = FindSession("auto");
  CHECK(absl::IsInvalidArgument(both.status()));
  CHECK_THAT(ErrorOf(both.status()), Catch::Contains("127.0.0.1:7001 (" + one.folder + ")") &&
                                         Catch::Contains("127.0.0.1:7002 (" + two.folder + ")"));
  CHECK(FindSession("127.0.0.1:7001").value().folder == one.folder);
  CHECK(FindSession("127.0.0.1:7002").value().folder == two.folder);
}

TEST_CASE("SessionFolder: a folder that the user named wrongly is the user's wrong argument") {
  Base base;
  ::setenv("RAYX_SESSION_DIR", "relative", 1);
  for (const auto& status : {PrepareSessionBase(SessionBase()), FindSession("auto").status()}) {
    CHECK(absl::IsInvalidArgument(status));
    CHECK_THAT(ErrorOf(status), Catch::Contains("RAYX_SESSION_DIR relative: expected an absolute"));
  }
  ::unsetenv("RAYX_SESSION_DIR");
  CHECK_FALSE(absl::IsInvalidArgument(PrepareSessionBase("/proc/none")));
}

TEST_CASE("SessionFolder: an embedded session is nobody else's") {
  Base base;
  SessionInfo session = base.Make("own", "127.0.0.1:7001");
  session.embedded = true;
  REQUIRE(WriteSession(session).ok());
  const auto listening = Listen(session.socket_path());
  CHECK(absl::IsNotFound(FindSession("auto").status()));
  CHECK(absl::IsNotFound(FindSession("127.0.0.1:7001").status()));
}

TEST_CASE("SessionFolder: damaged descriptions are named and passed over") {
  Base base;
  const SessionInfo good = base.Make("good", "127.0.0.1:7001");
  base.Make("bad", "127.0.0.1:7001");
  for (const char* wrong : {"", "{", "{}", "{\"head_address\": 7}", "[]"}) {
    std::ofstream(base.path + "/bad/session.json") << wrong;
    std::vector<std::string> problems;
    const auto sessions = ListSessions(base.path, &problems);
    CHECK(sessions.size() == 1);
    REQUIRE(problems.size() == 1);
    CHECK_THAT(problems[0], Catch::Contains("bad/session.json"));
  }
}

TEST_CASE("SessionFolder: a base folder must be ours, absolute and short") {
  Base base;
  CHECK(PrepareSessionBase(base.path).ok());
  CHECK(PrepareSessionBase(base.path + "/made").ok());
  CHECK_THAT(ErrorOf(PrepareSessionBase("relative")), Catch::Contains("absolute"));
  CHECK_THAT(ErrorOf(PrepareSessionBase("/" + std::string(100, 'x'))), Catch::Contains("shorter"));
  CHECK_THAT(ErrorOf(PrepareSessionBase(base.path + "/no/where")),
             Catch::Contains("cannot be made"));
  REQUIRE(::chmod((base.path + "/made").c_str(), 0777) == 0);
  CHECK_THAT(ErrorOf(PrepareSessionBase(base.path + "/made")), Catch::Contains("may write"));
  std::ofstream(base.path + "/file") << "x";
  CHECK_THAT(ErrorOf(PrepareSessionBase(base.path + "/file")), Catch::Contains("not a folder"));
}

TEST_CASE("SessionFolder: a process is not mistaken for another one") {
  const ProcessStamp own = StampOf(::getpid());
  CHECK(IsRunning(own));
  CHECK_FALSE(IsRunning({own.pid, own.start_ticks + 1}));
  CHECK_FALSE(IsRunning({}));
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  siginfo_t info = {};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
  CHECK_FALSE(StampOf(child));  // a zombie
  ::waitpid(child, nullptr, 0);
  CHECK_FALSE(StampOf(child));
}

TEST_CASE("SessionFolder: the answer of a start") {
  const auto back = ParseStartAnswer(FormatStartAnswer({"why\n\xff", "1.2.3.4:5", "/tmp/x"}));
  REQUIRE(back.ok());
  CHECK(back->head_address == "1.2.3.4:5");
  CHECK(back->session_folder == "/tmp/x");
  CHECK_FALSE(ParseStartAnswer("").ok());
  CHECK_FALSE(ParseStartAnswer("[]").ok());
}

TEST_CASE("Address: ip:port and names") {
  CHECK(ParseAddress("10.0.0.5:7399").value() == Address{"10.0.0.5", 7399});
  CHECK(rayx::io::IsLoopback(ParseAddress("localhost:1").value().ip));
  CHECK_FALSE(rayx::io::IsLoopback("10.0.0.5"));
  for (const char* wrong : {"", ":1", "10.0.0.5", "10.0.0.5:", "10.0.0.5:0", "10.0.0.5:65536",
                            "10.0.0.5:-1", "10.0.0.5:1x", "10.0.0.5:99999999999"}) {
    INFO(wrong);
    CHECK_THAT(ErrorOf(ParseAddress(wrong).status()), Catch::Contains("expected"));
  }
  CHECK(CheckListenIp("127.0.0.1").ok());
  CHECK_THAT(ErrorOf(CheckListenIp("0.0.0.0")), Catch::Contains("one interface"));
  CHECK_THAT(ErrorOf(CheckListenIp("192.0.2.1")), Catch::Contains("not an address of this VM"));
  CHECK_THAT(ErrorOf(CheckListenIp("localhost")), Catch::Contains("not an IPv4 address"));
  CHECK(LocalIpToward({"127.0.0.1", 1}).value() == "127.0.0.1");
}

}  // namespace rayx::io
