// Goal:   what a cluster's objects cost its VM: one copy for all readers, and nothing once they are
//         dropped or their writers and readers have been killed.
// Method: this program is driver and workers of a real cluster of one VM, whose memory is read from
//         /proc and whose tables `rayx list objects` shows. The environment asks for more than a
//         test run has time for: RAYX_OBJECT_MIB=1024, RAYX_OBJECTS=10000, RAYX_KILLS=1000.
#define CATCH_CONFIG_RUNNER
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "rayx/rayx.h"
#include "tests/eventually.h"

namespace user {

using Words = std::vector<std::uint64_t>;
using WordsRef = rayx::ObjectRef<Words>;

// No two objects of a test share a word.
std::uint64_t Word(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t x = seed * 0x9e3779b97f4a7c15u + index;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  return x ^ (x >> 27);
}
Words Make(std::uint64_t seed, std::size_t words) {
  Words made(words);
  for (std::size_t i = 0; i < words; ++i) made[i] = Word(seed, i);
  return made;
}
bool IsMade(const std::uint64_t* words, std::size_t count, std::uint64_t seed) {
  for (std::size_t i = 0; i < count; ++i) {
    if (words[i] != Word(seed, i)) return false;
  }
  return true;
}

// kill -9 of this process, so many microseconds from now, whatever it does then.
void DieIn(std::uint64_t microseconds) {
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGKILL;
  timer_t timer{};
  itimerspec when{};
  when.it_value.tv_nsec = 1 + static_cast<long>(microseconds) * 1000;
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) std::abort();
  if (::timer_settime(timer, 0, &when, nullptr) != 0) std::abort();
}
// Half of the first attempts do not live long.
void MayDie(std::uint64_t seed) {
  if (rayx::GetRuntimeContext().Attempt() == 1 && seed % 2 == 0) DieIn(Word(seed, 1) % 2'000);
}
Words MakeAndDie(std::uint64_t seed, std::size_t words) {
  MayDie(seed);
  return Make(seed, words);
}
// The attempt that read `words`, which were made of `seed`; 0: they were not.
std::uint32_t ReadAndDie(const Words& words, std::uint64_t seed, std::uint64_t own_seed) {
  MayDie(own_seed);
  const bool is_right = IsMade(words.data(), words.size(), seed);
  return is_right ? rayx::GetRuntimeContext().Attempt() : 0;
}
// The same through a view that it takes itself, beside an object of its own.
std::uint32_t ViewAndDie(const std::vector<WordsRef>& refs, std::uint64_t seed,
                         std::uint64_t own_seed) {
  MayDie(own_seed);
  const WordsRef own = rayx::Put(Make(own_seed, 20'000));
  const auto view = rayx::GetView(refs.at(0));
  const bool is_right =
      IsMade(view.data(), view.size(), seed) && IsMade(rayx::GetView(own).data(), 20'000, own_seed);
  return is_right ? rayx::GetRuntimeContext().Attempt() : 0;
}

class Reader {
 public:
  static Reader* Create() { return new Reader; }
  int Pid() { return ::getpid(); }
  bool Hold(const std::vector<WordsRef>& refs, std::uint64_t seed) {
    view_ = rayx::GetView(refs.at(0));
    return IsMade(view_.data(), view_.size(), seed);
  }

 private:
  rayx::View<Words> view_;
};

int Scribble(const std::vector<WordsRef>& refs) {
  const auto view = rayx::GetView(refs.at(0));
  const_cast<std::uint64_t&>(view[0]) = 1;
  return 1;
}

}  // namespace user

namespace {

using rayx::testing::Eventually;
using user::Make;
using user::Words;
using user::WordsRef;

std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// A started cluster, so that the command line can be asked about it.
class Cluster {
 public:
  explicit Cluster(std::uint64_t store_bytes) {
    char name[] = "/tmp/rxob-XXXXXX";
    if (::mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = name;
    ::setenv("RAYX_SESSION_DIR", name, 1);
    if (!Rayx("start --head --port 0 --num-cpus 2 --object-store-memory " +
              std::to_string(store_bytes))) {
      throw std::runtime_error("rayx start: " + Said());
    }
    rayx::Options options;
    options.address = "auto";
    rayx::Init(options);
  }
  ~Cluster() {
    rayx::Shutdown();
    if (!Rayx("stop")) std::abort();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
    ::unsetenv("RAYX_SESSION_DIR");
  }
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // Entries of the store's table, freed but pinned ones too.
  std::size_t Objects() {
    if (!Rayx("list objects --format json")) throw std::runtime_error("rayx list: " + Said());
    const std::string text = Said();
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find("\"object\"", at)) != std::string::npos; ++at) ++count;
    return count;
  }

 private:
  bool Rayx(const std::string& arguments) const {
    const auto own = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    const std::string command =
        own.string() + "/../rayx " + arguments + " > " + folder_ + "/said 2>&1";
    return std::system(command.c_str()) == 0;
  }
  std::string Said() const {
    std::ifstream file(folder_ + "/said");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string folder_;
};

struct Memory {
  std::uint64_t segment_rss = 0;
  std::uint64_t segment_pss = 0;
  std::uint64_t anonymous = 0;
};

// KiB as /proc writes them, in bytes.
Memory MemoryOf(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/smaps");
  if (!file) throw std::runtime_error("no smaps of " + std::to_string(pid));
  Memory memory;
  bool in_segment = false;
  for (std::string line; std::getline(file, line);) {
    const bool is_head = line.find('-') != std::string::npos && line.find(':') > line.find('-');
    if (is_head && line.find("kB") == std::string::npos) {
      in_segment = line.find("memfd:rayx:segment") != std::string::npos;
      continue;
    }
    const std::uint64_t bytes = std::strtoull(line.c_str() + line.find(':') + 1, nullptr, 10) << 10;
    if (line.rfind("Anonymous:", 0) == 0) memory.anonymous += bytes;
    if (in_segment && line.rfind("Rss:", 0) == 0) memory.segment_rss += bytes;
    if (in_segment && line.rfind("Pss:", 0) == 0) memory.segment_pss += bytes;
  }
  return memory;
}

std::uint64_t PagesBytes(int segment) {
  struct stat status {};
  if (::fstat(segment, &status) != 0) throw std::runtime_error("fstat");
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}
// A descriptor of the job's segment that outlives the runtime. Those of earlier jobs, which this
// process may still have mapped, have no pages.
int SegmentOfThisProcess() {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(entry.path(), error);
    if (target.find("memfd:rayx:segment") == std::string::npos) continue;
    const int segment = std::atoi(entry.path().filename().c_str());
    if (PagesBytes(segment) > 0) return ::dup(segment);
  }
  throw std::runtime_error("no segment with pages is attached");
}

std::uint64_t HeapBytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

}  // namespace

TEST_CASE("objects: eight readers of one object on a VM hold one copy") {
  constexpr std::uint64_t kSeed = 7;
  const std::uint64_t mib = FromEnvironment("RAYX_OBJECT_MIB", 64);
  const std::uint64_t bytes = mib << 20;
  Cluster cluster(bytes + bytes / 4 + (64u << 20));
  std::vector<rayx::ActorHandle<user::Reader>> readers;
  std::vector<int> pids;
  std::vector<Memory> before;
  for (int i = 0; i < 8; ++i) readers.push_back(rayx::Actor<&user::Reader::Create>().Remote());
  for (const auto& reader : readers) {
    pids.push_back(*reader.Task<&user::Reader::Pid>().Remote().Get(60'000));
    before.push_back(MemoryOf(pids.back()));
  }
  const std::vector<WordsRef> refs{rayx::Put(Make(kSeed, bytes / 8))};
  for (const auto& reader : readers) {
    REQUIRE(*reader.Task<&user::Reader::Hold>().Remote(refs, kSeed).Get(120'000));
  }
  pids.push_back(::getpid());  // who wrote it
  std::uint64_t pss = 0;
  std::printf("an object of %lu MiB, MiB of its segment in\n  %-8s %8s %8s\n", mib, "process",
              "RSS", "PSS");
  for (std::size_t i = 0; i < pids.size(); ++i) {
    const Memory memory = MemoryOf(pids[i]);
    std::printf("  %-8s %8.1f %8.1f\n", i < 8 ? "reader" : "driver",
                static_cast<double>(memory.segment_rss) / (1 << 20),
                static_cast<double>(memory.segment_pss) / (1 << 20));
    pss += memory.segment_pss;
    if (i == 8) break;
    CHECK(memory.segment_rss >= bytes);  // it has read all of it, there
    CHECK(memory.anonymous < before[i].anonymous + bytes / 8);
  }
  std::printf("  %-8s %8s %8.1f\n", "all", "", static_cast<double>(pss) / (1 << 20));
  CHECK(pss >= bytes - bytes / 100);  // each is rounded down
  CHECK(pss <= bytes + bytes / 10);
}

TEST_CASE("objects: ten thousand that are dropped give their memory back") {
  constexpr std::size_t kSmall = 10'000;
  constexpr std::size_t kSmallWords = 512;     // in the owner's memory
  constexpr std::size_t kLargeWords = 13'000;  // 102 KiB: in the store
  const std::size_t large = FromEnvironment("RAYX_OBJECTS", 1'000);
  Cluster cluster(large * (kLargeWords * 8 + 8192) + (32u << 20));
  const auto round = [&](std::uint64_t seed) {
    std::vector<WordsRef> refs;
    for (std::size_t i = 0; i < kSmall; ++i) refs.push_back(rayx::Put(Make(seed + i, kSmallWords)));
    for (std::size_t i = 0; i < large; ++i) refs.push_back(rayx::Put(Make(seed + i, kLargeWords)));
    CHECK(cluster.Objects() == std::min<std::size_t>(large, 10'000));
    CHECK(HeapBytes() > kSmall * kSmallWords * 8);
    for (const std::size_t i : {std::size_t{0}, kSmall - 1, kSmall, refs.size() - 1}) {
      const auto words = refs[i].Get();
      CHECK(user::IsMade(words->data(), words->size(), seed + (i < kSmall ? i : i - kSmall)));
    }
  };
  round(1);
  REQUIRE(Eventually([&] { return cluster.Objects() == 0; }));
  const int segment = SegmentOfThisProcess();
  const std::uint64_t heap = HeapBytes();
  const std::uint64_t pages = PagesBytes(segment);
  CHECK(pages >= large * kLargeWords * 8);  // kept for the next grants, within the store's size
  round(1'000'000);
  REQUIRE(Eventually([&] { return cluster.Objects() == 0; }));
  std::printf("after 1 and 2 rounds: %.1f and %.1f MiB of heap, %.1f and %.1f MiB of pages\n",
              static_cast<double>(heap) / (1 << 20), static_cast<double>(HeapBytes()) / (1 << 20),
              static_cast<double>(pages) / (1 << 20),
              static_cast<double>(PagesBytes(segment)) / (1 << 20));
  CHECK(HeapBytes() <= heap + (256u << 10));
  CHECK(PagesBytes(segment) == pages);
  rayx::Shutdown();  // with the job its last page
  CHECK(Eventually([&] { return PagesBytes(segment) == 0; }));
  ::close(segment);
}

TEST_CASE("objects: writers and readers that are killed leave nothing, and every value is right") {
  const std::uint64_t tasks = 2 * FromEnvironment("RAYX_KILLS", 40);
  Cluster cluster(64u << 20);
  const auto make = rayx::Task<&user::MakeAndDie>().SetMaxRetries(-1);
  std::uint64_t repeated = 0;
  for (std::uint64_t at = 0; at < tasks; at += 40) {
    std::vector<WordsRef> made;
    std::vector<rayx::ObjectRef<std::uint32_t>> reads;
    for (std::uint64_t seed = at + 1; seed <= at + 20; ++seed) {
      auto maker = make;
      made.push_back(maker.Remote(seed, std::size_t{14'000 + seed % 7 * 5'000}));
      auto reader = rayx::Task<&user::ReadAndDie>().SetMaxRetries(-1);
      reads.push_back(reader.Remote(made.back(), seed, seed + 1'000'000));
      auto viewer = rayx::Task<&user::ViewAndDie>().SetMaxRetries(-1);
      reads.push_back(viewer.Remote(std::vector<WordsRef>{made.back()}, seed, seed + 2'000'001));
    }
    for (const auto& read : reads) {
      const std::uint32_t attempt = *read.Get(120'000);
      REQUIRE(attempt > 0);
      repeated += attempt > 1;
    }
  }
  std::printf("%lu tasks of %lu were killed and run again\n", repeated, tasks);
  CHECK(repeated > 0);
  CHECK(Eventually([&] { return cluster.Objects() == 0; }));
  // Nearly the whole store in one piece.
  const WordsRef whole = rayx::Put(Make(5, (60u << 20) / 8));
  CHECK(user::IsMade(rayx::GetView(whole).data(), (60u << 20) / 8, 5));
}

TEST_CASE("objects: a task that writes to a view dies, and its error says why") {
  Cluster cluster(64u << 20);
  const std::vector<WordsRef> refs{rayx::Put(Make(3, 20'000))};
  try {
    rayx::Task<&user::Scribble>().SetMaxRetries(0).Remote(refs).Get(60'000);
    FAIL("no error");
  } catch (const rayx::WorkerDied& died) {
    CHECK(died.signal() == SIGSEGV);
    CHECK_THAT(died.message(), Catch::Contains("user::Scribble") &&
                                   Catch::Contains("wrote to immutable object") &&
                                   Catch::Contains("clone it first"));
  }
  CHECK(user::IsMade(rayx::GetView(refs[0]).data(), 20'000, 3));
}

int main(int argc, char** argv) {
  return Catch::Session().run(argc, argv);
}
