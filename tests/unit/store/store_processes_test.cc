// Goal:   whatever moment a process is killed at, nothing leaks and nobody reads what was not
//         written.
// Method: real processes that share a segment with the store, kill -9, 10,000 random cycles.
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "base/prng.h"
#include "child_process.h"
#include "shm/fault_report.h"
#include "store_fixture.h"

namespace rayx::store {
namespace {

const ProcessId kDriver = ProcessId::Make(NodeNumber{1}, 1);

ProcessId Worker(uint32_t number) {
  return ProcessId::Make(NodeNumber{1}, 100 + number);
}

std::unique_ptr<ChildProcess> Start(StoreRig& rig, ProcessId process,
                                    std::function<void()> at_start = {}) {
  const auto memory = rig.store.Attach(kJob, process);
  REQUIRE(memory.ok());
  return std::make_unique<ChildProcess>(process, kJob, *memory, std::move(at_start));
}

TEST_CASE("Store and processes: what one writes another reads") {
  StoreRig rig(8 * kMiB);
  REQUIRE(rig.store.OpenJob(kJob).ok());
  const auto writer = Start(rig, Worker(1));
  const auto reader = Start(rig, Worker(2));
  const Result at = rig.Allocate(writer->process(), {kDriver, 5}, 300'000);
  REQUIRE(at.ok());
  CHECK(reader->Do(Op::kPin, *at) == StatusCode::kNotFound);  // not sealed
  CHECK(writer->Do(Op::kWrite, *at) == StatusCode::kOk);
  CHECK(writer->Do(Op::kWrite, *at) == StatusCode::kNotFound);  // sealed
  CHECK(reader->Do(Op::kPin, *at) == StatusCode::kOk);
  rig.store.Free(*at, kDriver);
  CHECK(rig.store.used_bytes() > 0);
  CHECK(reader->Do(Op::kUnpin, *at) == StatusCode::kOk);
  rig.store.Tick();
  CHECK(rig.store.used_bytes() == 0);
}

TEST_CASE("Store and processes: a writer killed in mid-write leaves nothing behind") {
  StoreRig rig(8 * kMiB);
  REQUIRE(rig.store.OpenJob(kJob).ok());
  auto writer = Start(rig, Worker(1));
  const auto reader = Start(rig, Worker(2));
  const Result half = rig.Allocate(writer->process(), {kDriver, 1}, kMiB);
  const Result whole = rig.Allocate(writer->process(), {kDriver, 2}, kMiB);
  REQUIRE((half.ok() && whole.ok()));
  CHECK(writer->Do(Op::kWriteHalf, *half) == StatusCode::kOk);
  CHECK(writer->Do(Op::kWrite, *whole) == StatusCode::kOk);
  writer->Kill();
  rig.store.ProcessGone(writer->process());
  CHECK(reader->Do(Op::kPin, *half) == StatusCode::kNotFound);
  CHECK(rig.store.used_bytes() == kMiB);
  REQUIRE(rig.orphans.size() == 1);
  CHECK(rig.orphans[0] == *whole);
  CHECK(reader->Do(Op::kPin, *whole) == StatusCode::kOk);
  rig.store.ProcessGone(kDriver);
  CHECK(rig.store.used_bytes() == kMiB);
  reader->Kill();
  rig.store.ProcessGone(reader->process());
  CHECK(rig.store.used_bytes() == 0);
}

TEST_CASE("Store and processes: a write to a sealed object is reported and kills") {
  StoreRig rig(8 * kMiB);
  REQUIRE(rig.store.OpenJob(kJob).ok());
  auto page_memory = shm::ProcessPage::CreateMemory(Worker(1), 0);
  REQUIRE(page_memory.ok());
  const int page_fd = page_memory->get();
  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  const bool says_it = GENERATE(false, true);
  const auto writer = Start(rig, Worker(1), [&] {
    ::dup2(pipe[1], STDERR_FILENO);
    static auto page = *shm::ProcessPage::Open(page_fd);
    if (!shm::InstallFaultReport(&page, says_it).ok()) ::_exit(98);
  });
  const Result at = rig.Allocate(writer->process(), {kDriver, 77}, kMiB);
  const Result other = rig.Allocate(writer->process(), {kDriver, 78}, kMiB);
  REQUIRE((at.ok() && other.ok()));
  CHECK(writer->Do(Op::kWrite, *at) == StatusCode::kOk);
  CHECK(writer->Do(Op::kWrite, *other) == StatusCode::kOk);
  CHECK(writer->Do(Op::kPin, *at) == StatusCode::kOk);
  CHECK(writer->Do(Op::kScribble, *at) == StatusCode::kInternal);
  const int status = writer->Wait();
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGSEGV);
  const auto page = shm::ProcessPage::Open(page_fd);
  REQUIRE(page.ok());
  const auto fault = page->fault();
  REQUIRE(fault.has_value());
  CHECK(fault->object == ObjectId{kDriver, 77});
  CHECK(fault->address % kPageBytes == 100);
  ::close(pipe[1]);
  char text[256] = {};
  const auto length = ::read(pipe[0], text, sizeof(text) - 1);
  ::close(pipe[0]);
  const std::string said(text, length > 0 ? static_cast<size_t>(length) : 0);
  const bool is_sentence =
      said.find("rayx: wrote to immutable object n1.p1.o77 at address 0x") == 0 &&
      said.find(": clone it first\n") != std::string::npos;
  CHECK(is_sentence == says_it);
  rig.store.ProcessGone(writer->process());
  rig.store.ProcessGone(kDriver);
  CHECK(rig.store.used_bytes() == 0);
}

// they have handlers of their own
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
volatile int* volatile nowhere = nullptr;

int StatusOfChild(const std::function<void()>& body) {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return status;
}

TEST_CASE("Fault report: other faults go to the handler that was there before, or kill as ever") {
  const auto install = [] {
    if (!shm::InstallFaultReport(nullptr, false).ok()) ::_exit(98);
    if (!shm::InstallFaultReport(nullptr, false).ok()) ::_exit(98);  // does not chain to itself
  };
  SECTION("with no handler before: the default") {
    ::signal(SIGSEGV, SIG_DFL);  // Catch has one of its own
    const int fault = StatusOfChild([&] {
      install();
      *nowhere = 1;
    });
    CHECK((WIFSIGNALED(fault) && WTERMSIG(fault) == SIGSEGV));
    const int sent = StatusOfChild([&] {
      install();
      ::raise(SIGSEGV);
    });
    CHECK((WIFSIGNALED(sent) && WTERMSIG(sent) == SIGSEGV));
  }
  SECTION("with one that exits") {
    const int status = StatusOfChild([&] {
      struct sigaction action = {};
      action.sa_sigaction = [](int, siginfo_t* info, void*) {
        ::_exit(info->si_addr == nullptr ? 42 : 43);
      };
      action.sa_flags = SA_SIGINFO;
      ::sigaction(SIGSEGV, &action, nullptr);
      install();
      *nowhere = 1;
    });
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 42));
  }
}
#endif

// Random work of four processes, as a daemon sees it.
class Chaos {
 public:
  Chaos(StoreRig& rig, uint64_t seed) : rig_(rig), random_(seed, 0, 0) {
    for (auto& child : children_) child = Start(rig_, Worker(next_worker_++));
  }

  void Step() {
    const uint64_t dice = random_.NextBelow(100);
    if (dice < 40) return Put();
    if (dice < 60) return Pin();
    if (dice < 75) return Unpin();
    if (dice < 95) return Free();
    if (dice < 97) return Kill();
    rig_.store.Tick();
  }
  void Finish() {
    for (size_t i = 0; i < std::size(children_); ++i) KillChild(i);
    while (!objects_.empty()) Free();
    rig_.store.Tick();
  }
  uint64_t kills = 0;
  uint64_t puts = 0;
  uint64_t pins_made = 0;

 private:
  struct Pinned {
    size_t child;
    StoredLocation at;
  };
  size_t AnyChild() { return random_.NextBelow(std::size(children_)); }

  void Put() {
    const size_t child = AnyChild();
    const uint64_t bytes = 1 + random_.NextBelow(60'000);
    std::optional<Result> result;
    rig_.store.Allocate(children_[child]->process(), ++requests_, {kDriver, requests_}, kJob, bytes,
                        [&](Result answer) { result.emplace(std::move(answer)); });
    while (!result) {
      rig_.loop.RunPosted();
      if (result) break;
      if (rig_.store.waiting_requests() == 0) continue;  // pages are on their way
      rig_.clock.Advance(std::chrono::seconds(11));
      rig_.store.Tick();
    }
    if (!result->ok()) {
      REQUIRE(result->status().code() == StatusCode::kResourceExhausted);
      return;
    }
    if (random_.NextBelow(20) == 0) {
      REQUIRE(children_[child]->Do(Op::kWriteHalf, **result) == StatusCode::kOk);
      if (random_.NextBelow(2) == 0) return KillChild(child);
      rig_.store.Free(**result, random_.NextBelow(2) == 0 ? kDriver : children_[child]->process());
      return;
    }
    REQUIRE(children_[child]->Do(Op::kWrite, **result) == StatusCode::kOk);
    objects_.push_back(**result);
    ++puts;
  }
  void Pin() {
    if (objects_.empty()) return;
    const StoredLocation at = objects_[random_.NextBelow(objects_.size())];
    const size_t child = AnyChild();
    for (const Pinned& pinned : pins_) {
      if (pinned.child == child && pinned.at == at) return;
    }
    REQUIRE(children_[child]->Do(Op::kPin, at) == StatusCode::kOk);
    pins_.push_back({child, at});
    ++pins_made;
  }
  void Unpin() {
    if (pins_.empty()) return;
    const size_t index = random_.NextBelow(pins_.size());
    const Pinned pinned = pins_[index];
    pins_.erase(pins_.begin() + static_cast<std::ptrdiff_t>(index));
    REQUIRE(children_[pinned.child]->Do(Op::kUnpin, pinned.at) == StatusCode::kOk);
  }
  void Free() {
    if (objects_.empty()) return;
    const size_t index = random_.NextBelow(objects_.size());
    const StoredLocation at = objects_[index];
    objects_.erase(objects_.begin() + static_cast<std::ptrdiff_t>(index));
    rig_.store.Free(at, kDriver);
    if (random_.NextBelow(10) == 0) {
      REQUIRE(children_[AnyChild()]->Do(Op::kPin, at) == StatusCode::kNotFound);
    }
  }
  void Kill() { KillChild(AnyChild()); }
  void KillChild(size_t child) {
    std::erase_if(pins_, [child](const Pinned& pinned) { return pinned.child == child; });
    children_[child]->Kill();
    rig_.store.ProcessGone(children_[child]->process());
    rig_.store.CheckInvariants();
    children_[child] = Start(rig_, Worker(next_worker_++));
    ++kills;
  }

  StoreRig& rig_;
  base::RandomStream random_;
  std::unique_ptr<ChildProcess> children_[4];
  uint32_t next_worker_ = 0;
  uint64_t requests_ = 0;
  std::vector<StoredLocation> objects_;
  std::vector<Pinned> pins_;
};

TEST_CASE("Store and processes: 10,000 random steps of put, free, pin and kill leave nothing") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr int kSteps = 2'000;
#else
  constexpr int kSteps = 10'000;
#endif
  StoreRig rig(2 * kMiB);
  REQUIRE(rig.store.OpenJob(kJob).ok());
  const base::UniqueFd segment(::dup(rig.store.Attach(kJob, kDriver)->segment));
  Chaos chaos(rig, 20'260'417);
  for (int i = 0; i < kSteps; ++i) {
    chaos.Step();
    if (i % 100 == 0) rig.store.CheckInvariants();
  }
  WARN("puts " << chaos.puts << ", pins " << chaos.pins_made << ", kills " << chaos.kills);
  CHECK(chaos.kills > kSteps / 100);
  chaos.Finish();
  CHECK(rig.store.used_bytes() == 0);
  CHECK(rig.store.Objects().empty());
  rig.store.CloseJob(kJob);
  CHECK(rig.store.kept_bytes() == 0);
  // Punches come before grants.
  REQUIRE(rig.store.OpenJob(JobId{2}).ok());
  REQUIRE(rig.Allocate(kDriver, {kDriver, 1}, 1, JobId{2}).ok());
  struct stat status = {};
  REQUIRE(::fstat(segment.get(), &status) == 0);
  CHECK(status.st_blocks == 0);
}

}  // namespace
}  // namespace rayx::store
