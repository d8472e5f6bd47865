// Goal: children get what they were given and nothing else, and their ends are known exactly.
// Method: small shell programs.
#include "io/processes.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

namespace rayx::io {
namespace {

SpawnOptions Shell(const std::string& script) {
  SpawnOptions options;
  options.executable = "/bin/sh";
  options.arguments = {"sh", "-c", script};
  options.environment = {"PATH=/usr/bin:/bin", "COLOUR=blue"};
  return options;
}

ExitStatus WaitFor(const Process& process) {
  REQUIRE(WaitExited(process.pidfd.get(), std::chrono::seconds(10)));
  CHECK(HasExited(process.pidfd.get()));
  const auto status = Reap(process.pidfd.get());
  REQUIRE(status.has_value());
  return *status;
}

std::string Output(const std::string& script) {
  int fds[2];
  REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
  const base::UniqueFd read_end(fds[0]);
  base::UniqueFd write_end(fds[1]);
  SpawnOptions options = Shell(script);
  options.fds = {{write_end.get(), 1}};
  auto process = Spawn(options);
  REQUIRE(process.ok());
  write_end.Reset();
  std::string text;
  char buffer[512];
  ssize_t size = 0;
  while ((size = ::read(read_end.get(), buffer, sizeof buffer)) > 0) text.append(buffer, size);
  WaitFor(*process);
  return text;
}

}  // namespace

TEST_CASE("Spawn: exit code and signal are told apart") {
  auto exits = Spawn(Shell("exit 42"));
  REQUIRE(exits.ok());
  CHECK(WaitFor(*exits).exit_code == 42);
  CHECK_FALSE(Reap(exits->pidfd.get()).has_value());
  auto killed = Spawn(Shell("kill -SEGV $$; sleep 60"));
  REQUIRE(killed.ok());
  CHECK(WaitFor(*killed).signal == SIGSEGV);
  auto sleeps = Spawn(Shell("exec sleep 60"));
  REQUIRE(sleeps.ok());
  CHECK_FALSE(HasExited(sleeps->pidfd.get()));
  CHECK_FALSE(WaitExited(sleeps->pidfd.get(), std::chrono::milliseconds(1)));
  CHECK_FALSE(Reap(sleeps->pidfd.get()).has_value());
  REQUIRE(Signal(sleeps->pidfd.get(), SIGKILL));
  CHECK(WaitFor(*sleeps).signal == SIGKILL);
  CHECK_FALSE(Signal(sleeps->pidfd.get(), SIGKILL));
}

TEST_CASE("ExitStatus: a sentence tells how a process ended") {
  CHECK(ExitStatus{SIGKILL, 0}.ToString() == "was killed by signal 9 (Killed)");
  CHECK(ExitStatus{0, 3}.ToString() == "exited with code 3");
}

TEST_CASE("ReadLine: a line is read in pieces; none in time and a closed pipe are told apart") {
  int fds[2];
  REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
  const base::UniqueFd read_end(fds[0]);
  base::UniqueFd write_end(fds[1]);
  CHECK(absl::IsDeadlineExceeded(ReadLine(read_end.get(), std::chrono::milliseconds(1)).status()));
  SpawnOptions options = Shell("printf 'one '; printf 'line\\n'");
  options.fds = {{write_end.get(), 1}};
  const auto child = Spawn(options);
  REQUIRE(child.ok());
  write_end.Reset();
  const auto line = ReadLine(read_end.get(), std::chrono::seconds(10));
  REQUIRE(line.ok());
  CHECK(*line == "one line\n");
  CHECK(absl::IsUnavailable(ReadLine(read_end.get(), std::chrono::seconds(10)).status()));
  WaitFor(*child);
}

TEST_CASE("Spawn: a program that cannot run is an error that names it") {
  SpawnOptions options = Shell("");
  options.executable = "/no/such/program";
  const auto process = Spawn(options);
  REQUIRE_FALSE(process.ok());
  CHECK(process.status().message() == "cannot run /no/such/program: No such file or directory");
  options = Shell("");
  options.working_folder = "/no/such/folder";
  CHECK_FALSE(Spawn(options).ok());
}

TEST_CASE("Spawn: the child has the named descriptors, the given environment and no more") {
  const base::UniqueFd leak(::open("/dev/zero", O_RDONLY));  // not close-on-exec on purpose
  CHECK(Output("echo $COLOUR $HOME") == "blue\n");
  CHECK(Output("cd /proc/self/fd; for f in *; do [ -e $f ] && echo -n $f; done") == "012");
}

TEST_CASE("Spawn: a blocked or ignored signal of the parent works in the child") {
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  REQUIRE(::sigprocmask(SIG_BLOCK, &blocked, &before) == 0);
  auto process = Spawn(Shell("exec sleep 60"));
  REQUIRE(::sigprocmask(SIG_SETMASK, &before, nullptr) == 0);
  REQUIRE(process.ok());
  REQUIRE(Signal(process->pidfd.get(), SIGTERM));
  CHECK(WaitFor(*process).signal == SIGTERM);
}

TEST_CASE("Spawn: the child dies with the process that started it") {
  int fds[2];
  REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
  const base::UniqueFd read_end(fds[0]);
  base::UniqueFd write_end(fds[1]);
  const pid_t parent = ::fork();
  REQUIRE(parent >= 0);
  if (parent == 0) {
    // exec: a shell that forks its sleep before the signal comes would leave it behind.
    SpawnOptions options = Shell("exec sleep 60");
    options.fds = {{write_end.get(), 1}};
    ::_exit(Spawn(options).ok() ? 0 : 1);
  }
  write_end.Reset();
  int status = 0;
  REQUIRE(::waitpid(parent, &status, 0) == parent);
  CHECK(status == 0);
  char byte;
  CHECK(::read(read_end.get(), &byte, 1) == 0);  // end-of-file: the last holder is gone
}

TEST_CASE("EndAllChildren: it ends what has left its session and its parent") {
  REQUIRE(AdoptOrphans());
  int fds[2];
  REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
  const base::UniqueFd read_end(fds[0]);
  base::UniqueFd write_end(fds[1]);
  SpawnOptions options = Shell("setsid sleep 600 & echo; exit 0");
  options.fds = {{write_end.get(), 1}};
  auto process = Spawn(options);
  REQUIRE(process.ok());
  write_end.Reset();
  char byte = 0;
  REQUIRE(::read(read_end.get(), &byte, 1) == 1);
  WaitFor(*process);
  CHECK(Children().size() == 1);  // the orphan is ours
  CHECK(EndAllChildren(std::chrono::seconds(10)));
  CHECK(Children().empty());
  CHECK(::read(read_end.get(), &byte, 1) == 0);  // nobody holds the other end
}

}  // namespace rayx::io
