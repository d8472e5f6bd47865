// Goal: the process in which tasks run is one in which ordinary code works. Method: this program is
// driver and worker of an embedded cluster, and its tasks do what libraries do.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <vector>

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

// Ends its process when it is asked for a negative number.
int64_t Double(int64_t x) {
  if (x < 0) ::kill(::getpid(), SIGKILL);
  return 2 * x;
}

// 0, 1, ... Likewise.
std::vector<int64_t> Numbers(int64_t count) {
  std::vector<int64_t> numbers(static_cast<std::size_t>(Double(count) / 2));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

class Doubler {
 public:
  static Doubler* Create() { return new Doubler; }
  int64_t Of(int64_t x) { return Double(x); }
};

}  // namespace user

TEST_CASE("worker process: a write to a peer that is gone is an error and not its end") {
  rayx::Options options;
  options.num_cpus = 1;
  rayx::Init(options);
  CHECK(*rayx::Task<&user::WriteToNobody>().SetMaxRetries(0).Remote().Get(30'000) == EPIPE);
  CHECK(*rayx::Task<&user::SignalOfAProgramThatWritesToNobody>().Remote().Get(30'000) == SIGPIPE);
  rayx::Shutdown();
}

TEST_CASE("worker process: what it has answered before it dies counts") {
  constexpr int64_t kCalls = 60;  // whose replies may go together
  rayx::Options options;
  options.num_cpus = 1;
  rayx::Init(options);
  for (int round = 0; round < 5; ++round) {
    const auto actor = rayx::Actor<&user::Doubler::Create>().Remote();
    actor.Task<&user::Doubler::Of>().Remote(0).Get(30'000);
    std::vector<rayx::ObjectRef<int64_t>> calls, once, again;
    for (int64_t i = 0; i < kCalls; ++i) {
      calls.push_back(actor.Task<&user::Doubler::Of>().Remote(i));
    }
    const auto last_call = actor.Task<&user::Doubler::Of>().Remote(-1);
    for (int64_t i = 0; i < kCalls; ++i) CHECK(*calls[i].Get(30'000) == 2 * i);
    CHECK_THROWS_AS(last_call.Get(30'000), rayx::ActorDied);
    for (int64_t i = 0; i < kCalls; ++i) {
      once.push_back(rayx::Task<&user::Double>().SetMaxRetries(0).Remote(i));
    }
    const auto last_once = rayx::Task<&user::Double>().SetMaxRetries(0).Remote(-1);
    for (int64_t i = 0; i < kCalls; ++i) CHECK(*once[i].Get(30'000) == 2 * i);
    CHECK_THROWS_AS(last_once.Get(30'000), rayx::WorkerDied);
    for (int64_t i = 0; i < kCalls; ++i) again.push_back(rayx::Task<&user::Double>().Remote(i));
    const auto poison = rayx::Task<&user::Double>().Remote(-1);
    for (int64_t i = 0; i < kCalls; ++i) CHECK(*again[i].Get(30'000) == 2 * i);
    CHECK_THROWS_AS(poison.Get(30'000), rayx::TaskPoisoned);
  }
  rayx::Shutdown();
}

TEST_CASE("worker process: a large result that it had answered before it died is there") {
  rayx::Options options;
  options.num_cpus = 1;
  rayx::Init(options);
  for (int round = 0; round < 10; ++round) {
    // Short ones first, behind which a reply may wait for the next one's.
    std::vector<int64_t> sizes(12, 8);
    sizes.insert(sizes.end(), 3, 200'000);
    std::vector<rayx::ObjectRef<std::vector<int64_t>>> made;
    for (const int64_t size : sizes) {
      made.push_back(rayx::Task<&user::Numbers>().SetMaxRetries(0).Remote(size));
    }
    const auto last = rayx::Task<&user::Numbers>().SetMaxRetries(0).Remote(-1);
    CHECK_THROWS_AS(last.Get(30'000), rayx::WorkerDied);
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const auto numbers = made[i].Get(30'000);
      REQUIRE(numbers->size() == static_cast<std::size_t>(sizes[i]));
      CHECK(numbers->back() == sizes[i] - 1);
    }
  }
  rayx::Shutdown();
}

int main(int argc, char** argv) {
  return rayx::testing::RunTests(argc, argv);
}
