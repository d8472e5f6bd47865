// Rows of programs that have done nothing before, each in a process and a cluster of its own; and
// what runs in those processes.
#include <unistd.h>

#include <fstream>
#include <stdexcept>
#include <string>

#include "cli/microbenchmark/fresh_program.h"
#include "cli/microbenchmark/rows.h"

namespace rayx::cli {
namespace {

constexpr int kFreshSamples = 5;
constexpr int kFreshQueuedSamples = 3;  // they are long
constexpr size_t kFreshQueued = 1'000'000;

// Own memory and memory shared with others, but not the program's file.
double ResidentBytes() {
  std::ifstream status("/proc/self/status");
  double kilobytes = 0;
  for (std::string name; status >> name;) {
    double value = 0;
    if ((name == "RssAnon:" || name == "RssShmem:") && status >> value) kilobytes += value;
  }
  return kilobytes * 1024;
}

void BeginCluster() {
  rayx::Init();
  Expect(*rayx::Task<&AddOne>().Remote(TakeArguments(1)).Get(), 1);
}

void FirstTask() {
  BeginCluster();
  SayNumbers({1});
}

void PutCold() {
  BeginCluster();
  const std::vector<uint8_t> value(kLargeObjectBytes, 1);
  const auto start = RowClock::now();
  const auto ref = rayx::Put(value);
  const double seconds = SecondsSince(start);
  if (*ref.Get() != value) throw std::runtime_error("read back other bytes");
  SayNumbers({static_cast<double>(kLargeObjectBytes) / seconds / 1e9});
}

// The memory is all that the driver has more than before Init, however early it was taken.
void QueueMany() {
  std::vector<ObjectRef<int64_t>> refs(kFreshQueued);
  const double before = ResidentBytes();
  BeginCluster();
  double bytes = 0;
  const QueueSeconds seconds = QueueTasks(refs, [&] { bytes = ResidentBytes() - before; });
  SayNumbers({seconds.submit + seconds.drain, bytes / static_cast<double>(kFreshQueued)});
}

void KeepBusy() {
  for (;;) asm volatile("" ::: "memory");
}

void StayIdle() {
  SayNumbers({1});
  for (;;) ::pause();  // until it is killed
}

std::vector<double> ColdStart(size_t) {
  const auto start = RowClock::now();
  FreshProgram program(kProbeFirstTask);
  program.Numbers(1);
  const double milliseconds = SecondsSince(start) * 1e3;
  program.ExpectEnd();
  return {milliseconds};
}

Sampler NumbersOf(const char* probe, size_t count) {
  return [probe, count](size_t) {
    FreshProgram program(probe);
    std::vector<double> numbers = program.Numbers(count);
    program.ExpectEnd();
    return numbers;
  };
}

Row FreshRow(std::vector<Figure> figures, int samples, std::function<Sampler()> begin) {
  return {std::move(figures), std::move(begin), 1, samples, RunsIn::kOwnPrograms};
}

}  // namespace

std::vector<Part> FreshParts() {
  return {{kProbeFirstTask, FirstTask},
          {kProbePutCold, PutCold},
          {kProbeQueued, QueueMany},
          {kProbeBusy, KeepBusy},
          {kProbeIdle, StayIdle}};
}

std::vector<Row> FreshRows() {
  const std::string queued = "1,000,000 queued tasks in a fresh program";
  return {
      FreshRow({{"cold start until the first task returns", Unit::kMilliseconds, Limit::kFork}},
               kFreshSamples, [] { return ColdStart; }),
      FreshRow({{"put 80 MiB cold", Unit::kGigabytesPerSecond, Limit::kWarmCopy}}, kFreshSamples,
               [] { return NumbersOf(kProbePutCold, 1); }),
      FreshRow({{queued + ": submit + drain", Unit::kSeconds, Limit::kRingRoundTrip,
                 static_cast<double>(kFreshQueued)},
                {queued + ": driver memory of each", Unit::kBytes, Limit::kCacheLine}},
               kFreshQueuedSamples, [] { return NumbersOf(kProbeQueued, 2); }),
  };
}

}  // namespace rayx::cli
