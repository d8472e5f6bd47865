// Goal:   kill -9 at any point of writers and readers of the store leaves no wrong byte, no leaked
//         extent, entry, pin or page, and nobody waiting.
// Method: six processes work on two jobs' segments of a real NodeStore, each until it is killed: at
//         a random moment, after a random step, or single-stepped to a random instruction of an
//         operation on the shared memory. Every hundred kills everything is counted.
//         RAYX_STORE_KILLS=10000 asks for more kills than a test run makes, RAYX_STORE_SEED=N for
//         other ones. A seed fixes what each process does and how it ends, not who is faster.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>

#include "tests/from_environment.h"
#include "tests/stress/peer.h"
#include "tests/stress/store_client.h"

namespace rayx::store {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;
using rayx::testing::FromEnvironment;

constexpr uint64_t kStoreBytes = 2 * kMiB;
constexpr uint32_t kLedgerBlocks = 64;  // a job, of StoreRig
constexpr size_t kClients = 6;
constexpr size_t kPublishedMax = 24;
constexpr auto kHang = 30s;
const JobId kJobs[] = {JobId{1}, JobId{2}};
const ProcessId kDriver = ProcessId::Make(NodeNumber{1}, 1);

struct Client {
  pid_t pid = -1;
  ProcessId process;
  base::UniqueFd socket;
  Death death = Death::kFromOutside;
  SteadyClock::time_point ends_at;  // kFromOutside
  SteadyClock::time_point heard;
};

// The node daemon's part, as far as the store is concerned, and the driver that owns half of the
// objects.
class Daemon {
 public:
  explicit Daemon(uint64_t seed) : seed_(seed), random_(seed, 0, /*stream=*/0), rig_(kStoreBytes) {
    for (const JobId job : kJobs) REQUIRE(rig_.store.OpenJob(job).ok());
  }
  ~Daemon() {
    for (const Client& client : clients_) {
      if (client.pid > 0) ::kill(client.pid, SIGKILL);
    }
  }

  // Until so many more have been killed; then counts what is left.
  void Run(uint64_t kills) {
    const uint64_t enough = kills_ + kills;
    for (Client& client : clients_) Start(client);
    while (kills_ + kClients < enough) {
      Serve();
      for (Client& client : clients_) {
        if (EndIfDue(client)) Start(client);
      }
    }
    rig_.store.CloseJob(kJobs[1]);  // with its readers and writers at work
    for (int i = 0; i < 5; ++i) Serve();
    for (Client& client : clients_) Kill(client);
    CheckNothingIsLeft();
  }

  uint64_t kills_ = 0;
  uint64_t kills_by_[kDeaths] = {};
  uint64_t writes_ = 0;
  uint64_t reads_ = 0;
  uint64_t refusals_ = 0;

 private:
  void Start(Client& client) {
    ClientPlan plan;
    plan.seed = seed_;
    plan.number = ++started_;
    plan.death = static_cast<Death>(random_.NextBelow(kDeaths));
    plan.step = 1 + random_.NextBelow(plan.death == Death::kTraced ? 40 : 300);
    client.process = ProcessId::Make(NodeNumber{1}, static_cast<uint32_t>(100 + started_));
    client.death = plan.death;
    client.heard = SteadyClock::now();
    client.ends_at = client.heard + std::chrono::microseconds(random_.NextBelow(5'000));
    NodeStore::Attachment memory[std::size(kJobs)];
    for (size_t i = 0; i < std::size(kJobs); ++i) {
      const auto attachment = rig_.store.Attach(kJobs[i], client.process);
      REQUIRE(attachment.ok());
      memory[i] = *attachment;
    }
    int sockets[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
    client.pid = shm::Fork([&]() -> int {
      StoreClient child(sockets[1], client.process, plan);
      for (size_t i = 0; i < std::size(kJobs); ++i) child.Attach(kJobs[i], memory[i]);
      child.Run();
    });
    ::close(sockets[1]);
    client.socket.Reset(sockets[0]);
  }

  // One look at everything that may have happened.
  void Serve() {
    pollfd waits[kClients];
    auto until = SteadyClock::now() + 1ms;
    for (size_t i = 0; i < kClients; ++i) {
      waits[i] = {clients_[i].socket.get(), POLLIN, 0};
      if (clients_[i].death == Death::kFromOutside) until = std::min(until, clients_[i].ends_at);
    }
    const auto left = std::max<int64_t>(0, (until - SteadyClock::now()).count());
    const timespec timeout{0, left};
    ::ppoll(waits, kClients, &timeout, nullptr);
    for (size_t i = 0; i < kClients; ++i) {
      if ((waits[i].revents & POLLIN) != 0) Receive(clients_[i]);
    }
    rig_.loop.RunPosted();
    if (const auto now = SteadyClock::now(); now - ticked_ > 2ms) {
      ticked_ = now;
      rig_.clock.Advance(50ms);
      rig_.store.Tick();
    }
    ClaimOrphans();
    while (published_.size() > kPublishedMax) FreeOne(random_.NextBelow(published_.size()));
  }

  bool Receive(Client& client) {
    Told told;
    if (::recv(client.socket.get(), &told, sizeof(told), MSG_DONTWAIT) != sizeof(told)) {
      return false;
    }
    client.heard = SteadyClock::now();
    switch (told.tell) {
      case Tell::kAllocate:
        Allocate(client, told);
        break;
      case Tell::kPick:
        if (published_.empty()) {
          Answer(client, {static_cast<int32_t>(StatusCode::kNotFound), {}});
        } else {
          ++reads_;
          Answer(client, {0, published_[random_.NextBelow(published_.size())]});
        }
        break;
      case Tell::kSealed:
        ++writes_;
        published_.push_back(told.location);
        break;
      case Tell::kFree:
        std::erase(published_, told.location);
        rig_.store.Free(told.location, client.process);
        break;
      case Tell::kWrong:
        FAIL("process " << ToString(client.process) << ": " << told.text);
    }
    return true;
  }

  void Allocate(const Client& client, const Told& told) {
    const ObjectId object{told.own ? client.process : kDriver, ++objects_};
    rig_.store.Allocate(
        client.process, objects_, object, told.job, told.bytes,
        [this, process = client.process](Result result) {
          for (const Client& asker : clients_) {
            if (asker.process != process) continue;
            if (!result.ok()) ++refusals_;
            Answer(asker, result.ok() ? Reply{0, *result}
                                      : Reply{static_cast<int32_t>(result.status().code()), {}});
          }
        });
  }
  static void Answer(const Client& client, const Reply& reply) {
    // One that has died meanwhile hears nothing.
    (void)::send(client.socket.get(), &reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  // Objects of the driver that a dead writer had finished: freed unless it had said so.
  void ClaimOrphans() {
    for (const StoredLocation& orphan : std::exchange(rig_.orphans, {})) {
      const bool is_known =
          std::find(published_.begin(), published_.end(), orphan) != published_.end();
      if (!is_known) rig_.store.Free(orphan, kDriver);
    }
  }
  void FreeOne(size_t index) {
    const StoredLocation at = published_[index];
    published_.erase(published_.begin() + static_cast<std::ptrdiff_t>(index));
    rig_.store.Free(at, at.object.owner);
  }

  // True when it was killed.
  bool EndIfDue(Client& client) {
    const auto now = SteadyClock::now();
    if (now - client.heard > kHang) {
      FAIL("process " << ToString(client.process) << " hangs, death "
                      << static_cast<uint32_t>(client.death));
    }
    if (client.death == Death::kFromOutside) {
      if (now < client.ends_at) return false;
      Kill(client);
      return true;
    }
    int status = 0;
    const pid_t changed = ::waitpid(client.pid, &status, WNOHANG);
    REQUIRE(changed >= 0);
    if (changed == 0) return false;
    if (WIFSTOPPED(status)) {
      StepAndKill(client);
    } else {
      OnGone(client, status);
    }
    return true;
  }

  // It has stopped just before an operation: on, instruction by instruction.
  void StepAndKill(Client& client) {
    int status = 0;
    for (uint64_t left = random_.NextBelow(1 + random_.NextBelow(900)); left > 0; --left) {
      REQUIRE(::ptrace(PTRACE_SINGLESTEP, client.pid, nullptr, nullptr) == 0);
      REQUIRE(::waitpid(client.pid, &status, 0) == client.pid);
      if (!WIFSTOPPED(status)) return OnGone(client, status);  // it was past its end
      REQUIRE(WSTOPSIG(status) == SIGTRAP);
    }
    Kill(client);
  }
  void Kill(Client& client) {
    ::kill(client.pid, SIGKILL);
    int status = 0;
    do {  // a traced one may have stopped before
      REQUIRE(::waitpid(client.pid, &status, 0) == client.pid);
    } while (WIFSTOPPED(status));
    OnGone(client, status);
  }
  void OnGone(Client& client, int status) {
    client.pid = -1;
    while (Receive(client)) {
    }
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(WTERMSIG(status) == SIGKILL);
    std::erase_if(published_,
                  [&](const StoredLocation& at) { return at.object.owner == client.process; });
    rig_.store.ProcessGone(client.process);
    ClaimOrphans();
    ++kills_;
    ++kills_by_[static_cast<size_t>(client.death)];
  }

  // --- what is left when nobody lives ---

  // Until it holds; pages come and go on a thread of the store.
  template <typename Condition>
  bool Eventually(Condition condition) {
    const auto deadline = SteadyClock::now() + kHang;
    while (!condition()) {
      if (SteadyClock::now() > deadline) return false;
      rig_.loop.RunPosted();
      rig_.store.Tick();
      ::poll(nullptr, 0, 1);
    }
    return true;
  }
  uint64_t SegmentPagesBytes(JobId job) {
    struct stat status = {};
    REQUIRE(::fstat(rig_.store.Attach(job, kDriver)->segment, &status) == 0);
    return static_cast<uint64_t>(status.st_blocks) * 512;
  }
  // As many processes can attach as there are blocks, but for the store's own and the driver's.
  size_t FreeLedgerBlocks(JobId job) {
    std::vector<ProcessId> attached;
    for (uint32_t i = 1; i <= kLedgerBlocks; ++i) {
      const ProcessId process = ProcessId::Make(NodeNumber{1}, UINT32_MAX - i);
      if (!rig_.store.Attach(job, process).ok()) break;
      attached.push_back(process);
    }
    for (const ProcessId process : attached) rig_.store.ProcessGone(process);
    return attached.size();
  }
  void CheckNothingIsLeft() {
    while (!published_.empty()) FreeOne(0);
    REQUIRE(Eventually([&] { return rig_.store.used_bytes() == 0; }));
    REQUIRE(rig_.store.Objects().empty());
    REQUIRE(rig_.store.waiting_requests() == 0);
    rig_.store.CheckInvariants();
    REQUIRE(rig_.store.OpenJob(kJobs[1]).ok());  // its end is over
    // No page but those kept for the next grants.
    REQUIRE(Eventually([&] {
      return SegmentPagesBytes(kJobs[0]) == rig_.store.kept_bytes() &&
             SegmentPagesBytes(kJobs[1]) == 0;
    }));
    for (const JobId job : kJobs) REQUIRE(FreeLedgerBlocks(job) == kLedgerBlocks - 2);
  }

  const uint64_t seed_;
  base::RandomStream random_;
  StoreRig rig_;
  Client clients_[kClients];
  uint64_t started_ = 0;
  uint64_t objects_ = 0;
  std::vector<StoredLocation> published_;  // sealed, and nobody has freed them
  SteadyClock::time_point ticked_;
};

TEST_CASE("Store: kill -9 at random points leaves no wrong byte, nothing leaked, nobody waiting") {
  const uint64_t kills = FromEnvironment("RAYX_STORE_KILLS", 300);
  const uint64_t seed = FromEnvironment("RAYX_STORE_SEED", 20'261'126);
  INFO("RAYX_STORE_SEED=" << seed);
  const auto begun = SteadyClock::now();
  Daemon daemon(seed);
  while (daemon.kills_ < kills) daemon.Run(std::min<uint64_t>(100, kills - daemon.kills_));
  const std::chrono::duration<double> took = SteadyClock::now() - begun;
  std::printf(
      "seed %lu: %lu processes killed in %.1f s (%lu at a moment, %lu at a step, %lu at an "
      "instruction); %lu objects written, %lu reads, %lu requests refused\n",
      seed, daemon.kills_, took.count(), daemon.kills_by_[0], daemon.kills_by_[1],
      daemon.kills_by_[2], daemon.writes_, daemon.reads_, daemon.refusals_);
  for (const uint64_t of_a_kind : daemon.kills_by_) CHECK(of_a_kind > kills / 10);
  CHECK(daemon.writes_ > kills);
  CHECK(daemon.reads_ > kills);
}

}  // namespace
}  // namespace rayx::store
