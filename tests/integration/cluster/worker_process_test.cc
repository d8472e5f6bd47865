// Goal: the process in which tasks run is one in which ordinary code works. Method: this program is
// driver and worker of an embedded cluster, and its tasks do what libraries do.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "rayx/rayx.h"
#include "tests/run_tests.h"

namespace user {

// The errno of a write to a socket whose other end is closed, as when another rank has died.
int WriteToNobody() {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return -1;
  ::close(ends[1]);
  const ssize_t written = ::write(ends[0], "x", 1);
  const int error = written < 0 ? errno : 0;
  ::close(ends[0]);
  return error;
}

// How a shell ends that a task started and that wrote to nobody: the signal, 0 if there was none.
int SignalOfAProgramThatWritesToNobody() {
  const int status = std::system("kill -PIPE $$");
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

}  // namespace user

TEST_CASE("worker process: a write to a peer that is gone is an error and not its end") {
  rayx::Options options;
  options.num_cpus = 1;
  rayx::Init(options);
  CHECK(*rayx::Task<&user::WriteToNobody>().SetMaxRetries(0).Remote().Get(30'000) == EPIPE);
  CHECK(*rayx::Task<&user::SignalOfAProgramThatWritesToNobody>().Remote().Get(30'000) == SIGPIPE);
  rayx::Shutdown();
}

int main(int argc, char** argv) {
  return rayx::testing::RunTests(argc, argv);
}
