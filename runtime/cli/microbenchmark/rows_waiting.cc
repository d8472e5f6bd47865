// Rows of synchronous tasks under what surrounds them: busy processes that RayX knows nothing of,
// more workers than cores, a worker that sleeps.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <thread>

#include "cli/microbenchmark/fresh_program.h"
#include "cli/microbenchmark/rows.h"

namespace rayx::cli {

// Long enough that several of them run at once.
uint64_t ProcessOfABriefTask(int64_t milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  return rayx::GetRuntimeContext().ProcessId();
}

namespace {

constexpr int kBusyMax = 2;
constexpr size_t kWorkers = 4;
constexpr int64_t kBriefTaskMs = 20;
constexpr int kMeetingsMax = 50;
// A worker that has nothing to do sleeps after 50 us; with this it does in any case.
constexpr std::chrono::milliseconds kUntilAsleep(5);

// Microseconds of each call, and what `before` does not counted.
template <class Caller, class Before>
std::vector<double> Latencies(size_t calls, const Caller& caller, const Before& before) {
  std::vector<double> each(calls);
  const int64_t first = TakeArguments(calls);
  for (size_t i = 0; i < calls; ++i) {
    before();
    const int64_t argument = first + static_cast<int64_t>(i);
    const auto start = RowClock::now();
    const int64_t result = *caller.Remote(argument).Get();
    each[i] = SecondsSince(start) * 1e6;
    Expect(result, argument + 1);
  }
  return each;
}

std::vector<double> MedianMeanAndP99(const std::vector<double>& each) {
  const double sum = std::accumulate(each.begin(), each.end(), 0.0);
  return {Quantile(each, 0.5), sum / static_cast<double>(each.size()), Quantile(each, 0.99)};
}

Sampler BesideBusyProcesses(int count) {
  std::vector<std::shared_ptr<FreshProgram>> busy;
  for (int i = 0; i < count; ++i) busy.push_back(std::make_shared<FreshProgram>(kProbeBusy));
  return [busy](size_t calls) {
    return MedianMeanAndP99(Latencies(calls, rayx::Task<&AddOne>(), [] {}));
  };
}

Row BesideBusyRow(int count) {
  std::string name = "single client tasks sync beside " + std::to_string(count) + " busy process";
  if (count != 1) name += "es";
  const auto us = Unit::kMicroseconds;
  const auto ring = Limit::kRingRoundTrip;
  return {{{name, us, ring}, {name + ": mean", us, ring}, {name + ": p99", us, ring}},
          [count] { return BesideBusyProcesses(count); },
          100};
}

// The part of a CPU that a task may ask for so that kWorkers of them run at once: 1, the default,
// where there are so many CPUs.
double ShareOfWorkers() {
  constexpr double kSteps = 10'000;  // of a resource
  const double cpus = rayx::ClusterResources()["CPU"];
  return std::min(1.0, std::floor(cpus / static_cast<double>(kWorkers) * kSteps) / kSteps);
}

// How many processes have run kWorkers tasks that were submitted together.
size_t Meet(double share) {
  std::vector<ObjectRef<uint64_t>> refs;
  for (size_t i = 0; i < kWorkers; ++i) {
    refs.push_back(
        rayx::Task<&ProcessOfABriefTask>().SetResource("CPU", share).Remote(kBriefTaskMs));
  }
  std::set<uint64_t> processes;
  for (const auto& process : rayx::Get(refs)) processes.insert(*process);
  return processes.size();
}

Sampler WithFourWorkers() {
  const double share = ShareOfWorkers();
  if (share <= 0) throw NotRun("the cluster has no CPU for 4 workers");
  size_t met = 0;
  for (int i = 0; i < kMeetingsMax && met < kWorkers; ++i) met = Meet(share);
  if (met < kWorkers) {
    throw NotRun("4 tasks at once are run by no more than " + std::to_string(met) + " workers");
  }
  return [share](size_t calls) -> std::vector<double> {
    Meet(share);  // all four have just been at work
    const auto caller = rayx::Task<&AddOne>().SetResource("CPU", share);
    return {Quantile(Latencies(calls, caller, [] {}), 0.5)};
  };
}

std::vector<double> WorkerAsleep(size_t calls) {
  const auto sleep = [] { std::this_thread::sleep_for(kUntilAsleep); };
  return {Quantile(Latencies(calls, rayx::Task<&AddOne>(), sleep), 0.5)};
}

}  // namespace

std::vector<Row> WaitingRows() {
  const auto us = Unit::kMicroseconds;
  const auto ring = Limit::kRingRoundTrip;
  std::vector<Row> rows;
  for (int count = 0; count <= kBusyMax; ++count) rows.push_back(BesideBusyRow(count));
  rows.push_back({{{"single client tasks sync with 4 workers", us, ring}}, WithFourWorkers, 100});
  rows.push_back(
      {{{"single client tasks sync, worker asleep", us, ring}}, [] { return WorkerAsleep; }, 10});
  return rows;
}

}  // namespace rayx::cli
