// Goal: tasks whose workers are killed at any moment, in the middle of a frame too, come out with
// the right value, and nobody waits for ever. Method: each worker kills itself a random time after
// its first task; the driver keeps batches under way until so many have died.
//
//   RAYX_CALL_KILLS=10000 RAYX_CALL_KILLS_SECONDS=600 call_kill_test
#include <fcntl.h>
#include <rayx/rayx.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "tests/from_environment.h"

namespace call_kill {

using rayx::testing::FromEnvironment;
using Clock = std::chrono::steady_clock;

constexpr size_t kBatch = 500;
constexpr int64_t kLifeMaxUs = 5000;

// In a file that all processes map: how many have killed themselves.
class Toll {
 public:
  explicit Toll(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ::ftruncate(fd, sizeof(Count)) != 0) throw std::runtime_error(path);
    void* at = ::mmap(nullptr, sizeof(Count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    if (at == MAP_FAILED) throw std::runtime_error("mmap of " + path);
    count_ = static_cast<Count*>(at);
  }
  uint64_t Look() const { return count_->load(); }
  void Add() { count_->fetch_add(1); }

 private:
  using Count = std::atomic<uint64_t>;
  Count* count_ = nullptr;
};

// The worker lives a random time from its first call on.
int64_t PlusOne(const std::string& toll, int64_t value) {
  static const bool is_dying = [&toll] {
    std::thread([toll] {
      std::srand(static_cast<unsigned>(::getpid()) ^
                 static_cast<unsigned>(Clock::now().time_since_epoch().count()));
      std::this_thread::sleep_for(std::chrono::microseconds(std::rand() % kLifeMaxUs));
      Toll(toll).Add();
      ::kill(::getpid(), SIGKILL);
    }).detach();
    return true;
  }();
  static_cast<void>(is_dying);
  return value + 1;
}

TEST_CASE("Calls: kill -9 of workers at random points, every value is right") {
  const uint64_t kills = FromEnvironment("RAYX_CALL_KILLS", 500);
  const auto limit = std::chrono::seconds(FromEnvironment("RAYX_CALL_KILLS_SECONDS", 60));
  std::string path = "/dev/shm/rayx-call-kill-XXXXXX";
  const int fd = ::mkstemp(path.data());
  REQUIRE(fd >= 0);
  ::close(fd);
  const Toll toll(path);
  rayx::Init();
  const auto start = Clock::now();
  int64_t next = 0;
  uint64_t wrong = 0;
  while (toll.Look() < kills && Clock::now() - start < limit) {
    std::vector<rayx::ObjectRef<int64_t>> refs;
    for (size_t i = 0; i < kBatch; ++i) {
      refs.push_back(
          rayx::Task<&PlusOne>().SetMaxRetries(-1).Remote(path, next + static_cast<int64_t>(i)));
    }
    const auto values = rayx::Get(refs, /*timeout_ms=*/120'000);
    for (size_t i = 0; i < kBatch; ++i) wrong += *values[i] != next + static_cast<int64_t>(i) + 1;
    next += kBatch;
  }
  WARN(toll.Look() << " workers killed under " << next << " tasks");
  CHECK(wrong == 0);
  CHECK(toll.Look() >= kills);
  rayx::Shutdown();
  ::unlink(path.c_str());
}

}  // namespace call_kill
