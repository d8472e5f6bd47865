// What a call costs as something grows, and the stages of a call for an instruction counter.
//
//   call_costs workers W     W workers: us of a call, ns of one of many
//   call_costs pending P     P calls under way: ns of a Remote, of a Get
//   call_costs_counted stages KIND STAGE   for callgrind: KIND sync or async, STAGE submit, get or
//                            release; only that stage of kStageCalls calls is collected
//   call_costs_counted growth W P   for callgrind: W workers, P calls under way; a dump each for
//                            submit, get and release of kBatch of them
//   call_costs_counted worker   likewise, all that its worker does, async: not itself under
//                            callgrind, but CALL_COSTS_WORKER_OUT names the file for its workers'
//                            numbers
//
// Purpose:  generate (beside) makes tables of what this prints.
// Owner:    a process of its own, with a cluster of its own, for each point.
// Promises: every result is checked; a wrong one ends the program with 1, a word that it does not
//           know with 2.
#include <fcntl.h>
#include <rayx/rayx.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#ifdef CALL_COSTS_COUNTED
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT static_cast<void>(0)
#define CALLGRIND_START_INSTRUMENTATION static_cast<void>(0)
#define CALLGRIND_STOP_INSTRUMENTATION static_cast<void>(0)
#define CALLGRIND_DUMP_STATS_AT(name) static_cast<void>(name)
#define RUNNING_ON_VALGRIND 0
#endif

namespace call_costs {

using Clock = std::chrono::steady_clock;
using Ref = rayx::ObjectRef<int64_t>;

constexpr size_t kSyncCalls = 2000;
constexpr size_t kAsyncCalls = 100'000;
constexpr size_t kBatch = 1000;
constexpr int kSamples = 5;
constexpr size_t kCallsOfAPoint = 200'000;  // of few pending ones many rounds
constexpr int kRoundsMin = 3;
constexpr int64_t kBriefTaskMs = 20;
constexpr int kMeetingsMax = 100;
constexpr size_t kStageCalls = 2000;
// Longer than a worker takes to answer, shorter than others let a caller be away.
constexpr std::chrono::microseconds kUntilAnswered(300);

int64_t AddOne(int64_t value) {
  return value + 1;
}

uint64_t ProcessOfABriefTask(int64_t milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  return rayx::GetRuntimeContext().ProcessId();
}

// Of this worker, from the first to the second call.
int64_t CountInWorker(bool begin) {
  if (begin) {
    CALLGRIND_START_INSTRUMENTATION;
  } else {
    CALLGRIND_DUMP_STATS_AT("worker");
  }
  return RUNNING_ON_VALGRIND;
}

// Daemons start workers, out of sight of a callgrind that runs the driver. So a worker becomes
// callgrind, which runs it anew, before its main; and it must be one that was not forked: a program
// with two threads cannot be.
bool BecomeCallgrind() {
  const char* const out = std::getenv("CALL_COSTS_WORKER_OUT");
  if (out == nullptr || RUNNING_ON_VALGRIND) return false;
  std::ifstream file("/proc/self/environ");  // of before RayX has taken its own part of it
  std::vector<std::string> environment;
  int worker = -1;
  bool is_zygote = false;
  for (std::string entry; std::getline(file, entry, '\0');) {
    if (entry.rfind("RAYX_WORKER_FD=", 0) == 0) worker = std::stoi(entry.substr(15));
    is_zygote = is_zygote || entry == "RAYX_WORKER_MODE=zygote";
    environment.push_back(entry);
  }
  if (worker < 0) return false;  // the driver
  if (is_zygote) {
    std::thread([] { ::pause(); }).detach();
    return false;
  }
  ::fcntl(worker, F_SETFD, 0);
  std::vector<std::string> words = {"valgrind",
                                    "-q",
                                    "--tool=callgrind",
                                    "--instr-atstart=no",
                                    std::string("--callgrind-out-file=") + out,
                                    std::filesystem::read_symlink("/proc/self/exe").string()};
  std::vector<char*> arguments, variables;
  for (std::string& word : words) arguments.push_back(word.data());
  for (std::string& entry : environment) variables.push_back(entry.data());
  arguments.push_back(nullptr);
  variables.push_back(nullptr);
  ::execvpe("valgrind", arguments.data(), variables.data());
  return false;
}
[[maybe_unused]] const bool kBecameCallgrind = BecomeCallgrind();

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void Expect(int64_t got, int64_t wanted) {
  if (got == wanted) return;
  throw std::runtime_error("got " + std::to_string(got) + ", expected " + std::to_string(wanted));
}

int64_t TakeArguments(size_t count) {
  static int64_t next = 0;
  const int64_t first = next;
  next += static_cast<int64_t>(count);
  return first;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Ref Submit(int64_t argument) {
  return rayx::Task<&AddOne>().Remote(argument);
}

// How many processes have run `count` tasks that were submitted together.
size_t Meet(size_t count) {
  std::vector<rayx::ObjectRef<uint64_t>> refs;
  for (size_t i = 0; i < count; ++i) {
    refs.push_back(rayx::Task<&ProcessOfABriefTask>().Remote(kBriefTaskMs));
  }
  std::set<uint64_t> processes;
  for (const auto& process : rayx::Get(refs)) processes.insert(*process);
  return processes.size();
}

double SyncMicroseconds() {
  const int64_t first = TakeArguments(kSyncCalls);
  const auto start = Clock::now();
  for (size_t i = 0; i < kSyncCalls; ++i) {
    const int64_t argument = first + static_cast<int64_t>(i);
    Expect(*Submit(argument).Get(), argument + 1);
  }
  return SecondsSince(start) / kSyncCalls * 1e6;
}

double AsyncNanoseconds() {
  std::vector<Ref> refs(kBatch);
  const auto start = Clock::now();
  for (size_t done = 0; done < kAsyncCalls; done += kBatch) {
    const int64_t first = TakeArguments(kBatch);
    for (size_t i = 0; i < kBatch; ++i) refs[i] = Submit(first + static_cast<int64_t>(i));
    for (size_t i = 0; i < kBatch; ++i) {
      Expect(*refs[i].Get(), first + static_cast<int64_t>(i) + 1);
    }
  }
  return SecondsSince(start) / kAsyncCalls * 1e9;
}

// A cluster with so many workers, which have all been at work.
void InitWithWorkers(size_t count) {
  rayx::Options options;
  options.num_cpus = static_cast<double>(count);
  rayx::Init(options);
  size_t met = 0;
  for (int i = 0; i < kMeetingsMax && met < count; ++i) met = std::max(met, Meet(count));
  if (met < count) {
    throw std::runtime_error(std::to_string(count) + " tasks at once are run by no more than " +
                             std::to_string(met) + " workers");
  }
}

void Workers(size_t count) {
  InitWithWorkers(count);
  std::vector<double> sync, async;
  SyncMicroseconds();
  for (int i = 0; i < kSamples; ++i) {
    Meet(count);  // all have just been at work
    sync.push_back(SyncMicroseconds());
    Meet(count);
    async.push_back(AsyncNanoseconds());
  }
  std::printf("%.9g %.9g\n", Median(sync), Median(async));
}

void Pending(size_t count) {
  rayx::Init();
  std::vector<Ref> refs(count);
  std::vector<double> submit, drain;
  const size_t rounds = std::max<size_t>(kRoundsMin, kCallsOfAPoint / count);
  for (size_t round = 0; round < rounds + 1; ++round) {
    const int64_t first = TakeArguments(count);
    const auto start = Clock::now();
    for (size_t i = 0; i < count; ++i) refs[i] = Submit(first + static_cast<int64_t>(i));
    const double submitted = SecondsSince(start);
    for (size_t i = 0; i < count; ++i) {
      Expect(*refs[i].Get(), first + static_cast<int64_t>(i) + 1);
      refs[i] = {};
    }
    const double all = SecondsSince(start);
    if (round == 0) continue;  // warms up
    submit.push_back(submitted / static_cast<double>(count) * 1e9);
    drain.push_back((all - submitted) / static_cast<double>(count) * 1e9);
  }
  std::printf("%.9g %.9g\n", Median(submit), Median(drain));
}

// Collects while it lives, if it is of the stage that is asked for.
class Collected {
 public:
  explicit Collected(bool wanted) : wanted_(wanted) {
    if (wanted_) CALLGRIND_TOGGLE_COLLECT;
  }
  ~Collected() {
    if (wanted_) CALLGRIND_TOGGLE_COLLECT;
  }

 private:
  const bool wanted_;
};

// One after another; the answer is there before it is asked for, so that no waiting is counted.
void SyncStages(size_t calls, const std::string& stage) {
  const int64_t first = TakeArguments(calls);
  for (size_t i = 0; i < calls; ++i) {
    const int64_t argument = first + static_cast<int64_t>(i);
    Ref ref;
    {
      const Collected collected(stage == "submit");
      ref = Submit(argument);
    }
    std::this_thread::sleep_for(kUntilAnswered);
    int64_t value = 0;
    {
      const Collected collected(stage == "get");
      value = *ref.Get();
    }
    {
      const Collected collected(stage == "release");
      ref = {};
    }
    Expect(value, argument + 1);
  }
}

// Batches; the worker is not counted and not slowed down, so that its answers are there.
void AsyncStages(size_t calls, const std::string& stage) {
  std::vector<Ref> refs(kBatch);
  std::vector<int64_t> values(kBatch);
  for (size_t done = 0; done < calls; done += kBatch) {
    const int64_t first = TakeArguments(kBatch);
    {
      const Collected collected(stage == "submit");
      for (size_t i = 0; i < kBatch; ++i) refs[i] = Submit(first + static_cast<int64_t>(i));
    }
    {
      const Collected collected(stage == "get");
      for (size_t i = 0; i < kBatch; ++i) values[i] = *refs[i].Get();
    }
    {
      const Collected collected(stage == "release");
      for (size_t i = 0; i < kBatch; ++i) refs[i] = {};
    }
    for (size_t i = 0; i < kBatch; ++i) Expect(values[i], first + static_cast<int64_t>(i) + 1);
  }
}

class UnknownWord : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Of another word nothing would be counted, or something else than its name says.
void CheckWords(const std::string& kind, const std::string& stage) {
  if (kind != "sync" && kind != "async") {
    throw UnknownWord("no kind is named " + kind + ": sync, async");
  }
  if (stage != "submit" && stage != "get" && stage != "release") {
    throw UnknownWord("no stage is named " + stage + ": submit, get, release");
  }
}

void ExpectCallgrind() {
  if (!RUNNING_ON_VALGRIND) {
    throw std::runtime_error("not call_costs_counted under callgrind");
  }
}

void Stages(const std::string& kind, const std::string& stage) {
  CheckWords(kind, stage);
  ExpectCallgrind();
  rayx::Init();
  const auto run = kind == "sync" ? SyncStages : AsyncStages;
  run(kBatch, "");  // warms up
  CALLGRIND_START_INSTRUMENTATION;
  run(kStageCalls, stage);
  CALLGRIND_DUMP_STATS_AT(stage.c_str());
  std::printf("%zu\n", kStageCalls);
}

void SubmitTo(std::vector<Ref>& refs, size_t begin, size_t end, int64_t first) {
  for (size_t i = begin; i < end; ++i) refs[i] = Submit(first + static_cast<int64_t>(i));
}

// Of `pending` calls the last to be submitted are counted, and the first to be got and released.
void Growth(size_t workers, size_t pending) {
  ExpectCallgrind();
  if (pending < kBatch) throw std::runtime_error("fewer than are counted");
  InitWithWorkers(workers);
  AsyncStages(kBatch, "");
  std::vector<Ref> refs(pending);
  std::vector<int64_t> values(kBatch);
  const int64_t first = TakeArguments(pending);
  SubmitTo(refs, 0, pending - kBatch, first);
  CALLGRIND_START_INSTRUMENTATION;
  {
    const Collected collected(true);
    SubmitTo(refs, pending - kBatch, pending, first);
  }
  CALLGRIND_DUMP_STATS_AT("submit");
  {
    const Collected collected(true);
    for (size_t i = 0; i < kBatch; ++i) values[i] = *refs[i].Get();
  }
  CALLGRIND_DUMP_STATS_AT("get");
  {
    const Collected collected(true);
    for (size_t i = 0; i < kBatch; ++i) refs[i] = {};
  }
  CALLGRIND_DUMP_STATS_AT("release");
  CALLGRIND_STOP_INSTRUMENTATION;
  for (size_t i = 0; i < pending; ++i) {
    const int64_t value = i < kBatch ? values[i] : *refs[i].Get();
    Expect(value, first + static_cast<int64_t>(i) + 1);
  }
  std::printf("%zu\n", kBatch);
}

void Worker() {
  rayx::Options options;
  options.num_cpus = 1;  // one worker
  rayx::Init(options);
  AsyncStages(kBatch, "");
  if (*rayx::Task<&CountInWorker>().Remote(true).Get() == 0) {
    throw std::runtime_error("the worker is not under callgrind");
  }
  AsyncStages(kStageCalls, "");
  rayx::Task<&CountInWorker>().Remote(false).Get();
  std::printf("%zu\n", kStageCalls);
}

}  // namespace call_costs

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (words.size() == 2 && words[0] == "workers") {
      call_costs::Workers(std::stoul(words[1]));
    } else if (words.size() == 2 && words[0] == "pending") {
      call_costs::Pending(std::stoul(words[1]));
    } else if (words.size() == 3 && words[0] == "stages") {
      call_costs::Stages(words[1], words[2]);
    } else if (words.size() == 3 && words[0] == "growth") {
      call_costs::Growth(std::stoul(words[1]), std::stoul(words[2]));
    } else if (words.size() == 1 && words[0] == "worker") {
      call_costs::Worker();
    } else {
      std::fprintf(stderr, "call_costs: see the head of its source\n");
      return 2;
    }
  } catch (const call_costs::UnknownWord& error) {
    std::fprintf(stderr, "call_costs: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "call_costs: %s\n", error.what());
    return 1;
  }
  std::fflush(stdout);
  rayx::Shutdown();
  return 0;
}
