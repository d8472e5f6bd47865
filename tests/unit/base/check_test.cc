// Goal: a failed check ends the process and says where; a true one costs nothing visible.
// Method: fork, read the child's stderr through a pipe, look at the signal.
#include "base/check.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include <catch2/catch.hpp>

namespace {

struct Death {
  int signal = 0;
  std::string output;
};

template <typename F>
Death RunInChild(F body) {
  int pipe_ends[2];
  REQUIRE(::pipe(pipe_ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);  // Catch2's handler would report in the child
    ::dup2(pipe_ends[1], STDERR_FILENO);
    body();
    ::_exit(0);
  }
  ::close(pipe_ends[1]);
  Death death;
  char buffer[256];
  for (ssize_t n; (n = ::read(pipe_ends[0], buffer, sizeof buffer)) > 0;)
    death.output.append(buffer, static_cast<std::size_t>(n));
  ::close(pipe_ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (WIFSIGNALED(status)) death.signal = WTERMSIG(status);
  return death;
}

}  // namespace

TEST_CASE("Check: a true condition goes on") {
  int evaluated = 0;
  RAYX_CHECK(++evaluated == 1, "never shown");
  CHECK(evaluated == 1);
}

TEST_CASE("Check: a false condition aborts and names file, condition and message") {
  const Death death = RunInChild([] { RAYX_CHECK(1 + 1 == 3, std::string("arithmetic holds")); });
  CHECK(death.signal == SIGABRT);
  CHECK_THAT(death.output, Catch::Contains("check_test.cc:"));
  CHECK_THAT(death.output, Catch::Contains("1 + 1 == 3: arithmetic holds\n"));
}

TEST_CASE("Check: the message may be left out") {
  const Death death = RunInChild([] { RAYX_CHECK(false); });
  CHECK(death.signal == SIGABRT);
  CHECK_THAT(death.output, Catch::Contains("check failed: false\n"));
}
