#include "shm/ring_round_trip.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "shm/futex.h"
#include "shm/memory_file.h"
#include "shm/process_page.h"
#include "shm/waiting.h"

namespace rayx::shm {
namespace {

constexpr uint64_t kStop = UINT64_MAX;
constexpr int kSpinsWithoutPause = 64;

// The line that travels: odd values there, even values back.
struct Line {
  alignas(kCacheLineBytes) std::atomic<uint64_t> turn;
};

base::Status Unavailable(const std::string& what) {
  return base::MakeStatus(base::StatusCode::kUnavailable, "ring round trip: " + what);
}

// What one of the two processes holds. Each maps for itself: mappings do not survive a fork.
class Player {
 public:
  static base::StatusOr<Player> Open(int line, int own_page, int peer_page, int64_t until_ns) {
    RAYX_ASSIGN_OR_RETURN(Mapping mapping,
                          Mapping::Map(line, 0, kPageBytes, Protection::kReadWrite));
    RAYX_ASSIGN_OR_RETURN(ProcessPage self, ProcessPage::Open(own_page));
    RAYX_ASSIGN_OR_RETURN(ProcessPage peer, ProcessPage::Open(peer_page));
    return Player(std::move(mapping), std::move(self), std::move(peer), until_ns);
  }

  std::atomic<uint64_t>& turn() const { return reinterpret_cast<Line*>(mapping_.data())->turn; }

  // False when the time is up or the other side stopped.
  bool WaitFor(uint64_t value) {
    for (int i = 0; i < kSpinsWithoutPause; ++i) {
      if (turn().load(std::memory_order_acquire) == value) return true;
    }
    Waiting waiting(self_);
    waiting.Begin(false, 0);
    const ProcessPage* const peers[] = {&peer_};
    for (;;) {
      const uint64_t now = turn().load(std::memory_order_acquire);
      if (now == value) return true;
      if (now == kStop) return false;
      if (waiting.Step(peers)) continue;
      if (MonotonicNs() > until_ns_) return false;
      ::sched_yield();
      waiting.Begin(false, 0);
    }
  }

 private:
  Player(Mapping mapping, ProcessPage self, ProcessPage peer, int64_t until_ns)
      : mapping_(std::move(mapping)),
        self_(std::move(self)),
        peer_(std::move(peer)),
        until_ns_(until_ns) {}

  Mapping mapping_;
  ProcessPage self_;
  ProcessPage peer_;
  int64_t until_ns_;
};

bool RunOn(int cpu) {
  if (cpu < 0) return true;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

// The forked child: allocates nothing, ends with its parent.
[[noreturn]] void Echo(int line, int own_page, int peer_page, int cpu, int64_t until_ns) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!RunOn(cpu)) ::_exit(2);
  auto player = Player::Open(line, own_page, peer_page, until_ns);
  if (!player.ok()) ::_exit(3);
  for (uint64_t turn = 1; player->WaitFor(turn); turn += 2) {
    player->turn().store(turn + 1, std::memory_order_release);
  }
  ::_exit(0);
}

// Kills and reaps the child whatever happens.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

 private:
  const pid_t pid_;
};

// Puts this thread back where it may run, after a pinned measurement.
class AffinityGuard {
 public:
  AffinityGuard() : known_(::sched_getaffinity(0, sizeof before_, &before_) == 0) {}
  ~AffinityGuard() {
    if (known_) ::sched_setaffinity(0, sizeof before_, &before_);
  }

 private:
  cpu_set_t before_;
  const bool known_;
};

base::StatusOr<RingRoundTripResult> Measure(Player& player, const RingRoundTripOptions& options) {
  RingRoundTripResult result;
  uint64_t turn = 1;
  // The sample before the first warms both sides up.
  for (int sample = -1; sample < options.samples; ++sample) {
    const int64_t start = MonotonicNs();
    for (uint32_t i = 0; i < options.round_trips; ++i, turn += 2) {
      player.turn().store(turn, std::memory_order_release);
      if (!player.WaitFor(turn + 1)) {
        return base::MakeStatus(base::StatusCode::kDeadlineExceeded,
                                "ring round trip: the other process does not answer");
      }
    }
    const auto elapsed = static_cast<double>(MonotonicNs() - start);
    if (sample >= 0) result.samples_ns.push_back(elapsed / options.round_trips);
  }
  player.turn().store(kStop, std::memory_order_release);
  std::vector<double> sorted = result.samples_ns;
  std::sort(sorted.begin(), sorted.end());
  result.min_ns = sorted.front();
  result.max_ns = sorted.back();
  result.median_ns = (sorted[(sorted.size() - 1) / 2] + sorted[sorted.size() / 2]) / 2;
  return result;
}

}  // namespace

base::StatusOr<RingRoundTripResult> MeasureRingRoundTrip(const RingRoundTripOptions& options) {
  if (options.samples < 1 || options.round_trips < 1 || options.parent_cpu >= CPU_SETSIZE ||
      options.child_cpu >= CPU_SETSIZE) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument,
                            "ring round trip: expected at least one sample of one round trip");
  }
  const int64_t until_ns = MonotonicNs() + options.time_max.count();
  RAYX_ASSIGN_OR_RETURN(const base::UniqueFd line, CreateMemoryFile("round-trip", sizeof(Line)));
  const model::ProcessId nobody;
  RAYX_ASSIGN_OR_RETURN(const base::UniqueFd parent_page, ProcessPage::CreateMemory(nobody, 0));
  RAYX_ASSIGN_OR_RETURN(const base::UniqueFd child_page, ProcessPage::CreateMemory(nobody, 0));
  RAYX_ASSIGN_OR_RETURN(Player player,
                        Player::Open(line.get(), parent_page.get(), child_page.get(), until_ns));
  const pid_t pid = ::fork();
  if (pid < 0) return Unavailable(std::string("fork: ") + std::strerror(errno));
  if (pid == 0) {
    Echo(line.get(), child_page.get(), parent_page.get(), options.child_cpu, until_ns);
  }
  const Child child(pid);
  const AffinityGuard affinity;
  if (!RunOn(options.parent_cpu)) {
    return Unavailable("cannot run on CPU " + std::to_string(options.parent_cpu));
  }
  return Measure(player, options);
}

}  // namespace rayx::shm
