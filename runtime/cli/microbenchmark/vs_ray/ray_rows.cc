// Rows of `rayx microbenchmark` in Ray's C++ API, for `--vs-ray`: this one file is compiled against
// Ray's <ray/api.h> and against RayX's, and both programs do the same.
//
// Inputs:   the environment, because Ray refuses flags that it does not know:
//             VS_RAY_ROWS     names of rows, a line each; VS_RAY_SECONDS of each
//             VS_RAY_RESULTS  the file for a line a row: its name, a tab, its samples
//             VS_RAY_LIBRARY  of Ray: this program as a shared library, which Ray's workers load
//             VS_RAY_BEGAN    the steady clock when this process was started; then the one figure
//                             is the time until the first task has returned
// Promises: a row does what the row of that name does in rows_*.cc, and checks every result.
// Limits:   what Ray's implementation stands: references are copied, never moved, and of each call
//           there is a caller of its own.
#include <ray/api.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#ifdef VS_RAY_PLANTED  // a test: what returns is wrong
constexpr int kPlanted = 1;
#else
constexpr int kPlanted = 0;
#endif

namespace vs_ray {

int AddOne(int value) {
  return value + 1 + kPlanted;
}

class Counter {
 public:
  static Counter* Create() { return new Counter; }
  int Add(int amount) { return total_ += amount + kPlanted; }
  int PlusOne(int value) { return value + 1; }

 private:
  int total_ = 0;
};

RAY_REMOTE(AddOne);
RAY_REMOTE(Counter::Create, &Counter::Add, &Counter::PlusOne);

namespace {

using Clock = std::chrono::steady_clock;
using Bytes = std::vector<std::uint8_t>;
using IntRef = ray::ObjectRef<int>;

constexpr int kBatch = 1000;
constexpr int kSmallObjects = 1000;
constexpr int kManyObjects = 10000;
constexpr int kConcurrency = 16;
constexpr std::size_t kLargeBytes = std::size_t{80} << 20;
constexpr int kSamplesMin = 3;
constexpr int kSamplesWanted = 10;
constexpr int kCallsMax = 1 << 28;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void Expect(std::int64_t got, std::int64_t wanted) {
  if (got == wanted) return;
  throw std::runtime_error("got " + std::to_string(got) + ", expected " + std::to_string(wanted));
}

int TakeArguments(int count) {
  static int next = 0;
  constexpr int kWrap = 1 << 29;
  if (next > kWrap) next = 0;
  return std::exchange(next, next + count);
}

// Does about so many calls and gives the row's figure.
using Sampler = std::function<double(int calls)>;

double PerCallUs(double seconds, int calls) {
  return seconds / calls * 1e6;
}

Sampler GetSmall() {
  const int first = TakeArguments(kSmallObjects);
  std::vector<IntRef> refs;
  for (int i = 0; i < kSmallObjects; ++i) {
    const IntRef ref = ray::Put(first + i);
    refs.push_back(ref);
  }
  return [refs, first](int calls) {
    const auto start = Clock::now();
    for (int i = 0; i < calls; ++i) {
      const int which = i % kSmallObjects;
      Expect(*refs[static_cast<std::size_t>(which)].Get(), first + which);
    }
    return PerCallUs(SecondsSince(start), calls);
  };
}

Sampler PutSmall() {
  return [refs = std::vector<IntRef>(kSmallObjects)](int calls) mutable {
    const int first = TakeArguments(calls);
    const auto start = Clock::now();
    for (int i = 0; i < calls; ++i) {
      const IntRef ref = ray::Put(first + i);
      refs[static_cast<std::size_t>(i % kSmallObjects)] = ref;
    }
    const double seconds = SecondsSince(start);
    for (int i = std::max(0, calls - kSmallObjects); i < calls; ++i) {
      Expect(*refs[static_cast<std::size_t>(i % kSmallObjects)].Get(), first + i);
    }
    return PerCallUs(seconds, calls);
  };
}

double Gigabytes(int calls) {
  return static_cast<double>(calls) * static_cast<double>(kLargeBytes) / 1e9;
}

void Change(Bytes& value) {
  const auto argument = static_cast<std::size_t>(TakeArguments(1));
  value[argument % value.size()] ^= static_cast<std::uint8_t>(argument | 1);
}

Sampler PutLarge() {
  return [value = Bytes(kLargeBytes, 1)](int calls) mutable {
    double seconds = 0;
    for (int i = 0; i < calls; ++i) {
      Change(value);
      const auto start = Clock::now();
      const auto ref = ray::Put(value);
      seconds += SecondsSince(start);
      if (i == 0 && *ref.Get() != value) throw std::runtime_error("read back other bytes");
    }
    return Gigabytes(calls) / seconds;
  };
}

Sampler GetLarge() {
  Bytes value(kLargeBytes, 1);
  Change(value);
  const auto ref = ray::Put(value);
  return [value, ref](int calls) {
    double seconds = 0;
    for (int i = 0; i < calls; ++i) {
      const auto start = Clock::now();
      const auto got = ref.Get();
      seconds += SecondsSince(start);
      if (i == 0 && *got != value) throw std::runtime_error("got other bytes");
    }
    return Gigabytes(calls) / seconds;
  };
}

Sampler TasksSync() {
  return [](int calls) {
    const int first = TakeArguments(calls);
    const auto start = Clock::now();
    for (int i = 0; i < calls; ++i) {
      Expect(*ray::Task(AddOne).Remote(first + i).Get(), first + i + 1);
    }
    return PerCallUs(SecondsSince(start), calls);
  };
}

std::vector<IntRef> SubmitBatch(int first) {
  std::vector<IntRef> refs;
  refs.reserve(kBatch);
  for (int i = 0; i < kBatch; ++i) {
    const IntRef ref = ray::Task(AddOne).Remote(first + i);
    refs.push_back(ref);
  }
  return refs;
}

int BatchesOf(int calls) {
  return std::max(calls / kBatch, 1);
}

Sampler TasksAsync() {
  return [](int calls) {
    const int batches = BatchesOf(calls);
    const auto start = Clock::now();
    for (int done = 0; done < batches; ++done) {
      const int first = TakeArguments(kBatch);
      const auto refs = SubmitBatch(first);
      for (int i = 0; i < kBatch; ++i) {
        Expect(*refs[static_cast<std::size_t>(i)].Get(), first + i + 1);
      }
    }
    return batches * kBatch / SecondsSince(start);
  };
}

// One Get for all; milliseconds a batch.
Sampler TasksAndGetBatch() {
  return [](int calls) {
    const auto start = Clock::now();
    for (int done = 0; done < calls; ++done) {
      const int first = TakeArguments(kBatch);
      const auto values = ray::Get(SubmitBatch(first));
      for (int i = 0; i < kBatch; ++i) {
        Expect(*values[static_cast<std::size_t>(i)], first + i + 1);
      }
    }
    return SecondsSince(start) / calls * 1e3;
  };
}

double WaitForOneBatch() {
  const int first = TakeArguments(kBatch);
  std::vector<IntRef> ready;
  const auto start = Clock::now();
  std::vector<IntRef> left = SubmitBatch(first);
  while (!left.empty()) {
    const auto result = ray::Wait(left, 1, -1);
    ready.insert(ready.end(), result.ready.begin(), result.ready.end());
    const std::vector<IntRef> unready(result.unready.begin(), result.unready.end());
    left = unready;
  }
  const double seconds = SecondsSince(start);
  Expect(static_cast<std::int64_t>(ready.size()), kBatch);
  std::vector<int> values;
  for (const auto& ref : ready) values.push_back(*ref.Get());
  std::sort(values.begin(), values.end());
  for (int i = 0; i < kBatch; ++i) Expect(values[static_cast<std::size_t>(i)], first + i + 1);
  return seconds;
}

Sampler WaitForBatch() {
  return [](int calls) {
    double seconds = 0;
    for (int done = 0; done < calls; ++done) seconds += WaitForOneBatch();
    return seconds / calls * 1e3;
  };
}

int AmountOf(int i) {
  return i % 7 + 1;
}

Sampler ActorSync() {
  auto actor = ray::Actor(Counter::Create).Remote();
  return [actor, total = 0](int calls) mutable {
    const auto start = Clock::now();
    for (int i = 0; i < calls; ++i) {
      total += AmountOf(i);
      Expect(*actor.Task(&Counter::Add).Remote(AmountOf(i)).Get(), total);
    }
    return PerCallUs(SecondsSince(start), calls);
  };
}

Sampler ActorAsync() {
  auto actor = ray::Actor(Counter::Create).Remote();
  return [actor, total = 0](int calls) mutable {
    const int batches = BatchesOf(calls);
    const auto start = Clock::now();
    for (int done = 0; done < batches; ++done) {
      std::vector<IntRef> refs;
      refs.reserve(kBatch);
      for (int i = 0; i < kBatch; ++i) {
        const IntRef ref = actor.Task(&Counter::Add).Remote(AmountOf(i));
        refs.push_back(ref);
      }
      for (int i = 0; i < kBatch; ++i) {
        total += AmountOf(i);
        Expect(*refs[static_cast<std::size_t>(i)].Get(), total);
      }
    }
    return batches * kBatch / SecondsSince(start);
  };
}

Sampler ActorConcurrent() {
  auto actor = ray::Actor(Counter::Create).SetMaxConcurrency(kConcurrency).Remote();
  return [actor](int calls) mutable {
    const int batches = BatchesOf(calls);
    const auto start = Clock::now();
    for (int done = 0; done < batches; ++done) {
      const int first = TakeArguments(kBatch);
      std::vector<IntRef> refs;
      refs.reserve(kBatch);
      for (int i = 0; i < kBatch; ++i) {
        const IntRef ref = actor.Task(&Counter::PlusOne).Remote(first + i);
        refs.push_back(ref);
      }
      for (int i = 0; i < kBatch; ++i) {
        Expect(*refs[static_cast<std::size_t>(i)].Get(), first + i + 1);
      }
    }
    return batches * kBatch / SecondsSince(start);
  };
}

Sampler ObjectsInOneGet() {
  return [](int calls) {
    double seconds = 0;
    for (int done = 0; done < calls; ++done) {
      const int first = TakeArguments(kManyObjects);
      std::vector<IntRef> refs;
      refs.reserve(kManyObjects);
      for (int i = 0; i < kManyObjects; ++i) {
        const IntRef ref = ray::Put(first + i);
        refs.push_back(ref);
      }
      const auto start = Clock::now();
      const auto values = ray::Get(refs);
      seconds += SecondsSince(start);
      for (int i = 0; i < kManyObjects; ++i) {
        Expect(*values[static_cast<std::size_t>(i)], first + i);
      }
    }
    return seconds / calls * 1e3;
  };
}

struct Row {
  const char* name;
  Sampler (*begin)();
  int calls_min;
};

const Row kRows[] = {
    {"single client get calls (Plasma Store)", GetSmall, 100},
    {"single client put calls (Plasma Store)", PutSmall, 100},
    {"single client put gigabytes", PutLarge, 1},
    {"single client get gigabytes", GetLarge, 1},
    {"single client tasks sync", TasksSync, 20},
    {"single client tasks async", TasksAsync, kBatch},
    {"single client tasks and get batch", TasksAndGetBatch, 1},
    {"single client wait 1k refs", WaitForBatch, 1},
    {"1:1 actor calls sync", ActorSync, 20},
    {"1:1 actor calls async", ActorAsync, kBatch},
    {"1:1 actor calls concurrent", ActorConcurrent, kBatch},
    {"10,000 objects in one get", ObjectsInOneGet, 1},
};

// As rows of rayx microbenchmark are sampled: warms up until a sample lasts long enough.
std::vector<double> SamplesOf(const Row& row, double seconds) {
  const Sampler sampler = row.begin();
  const double wanted = seconds / kSamplesWanted;
  int calls = row.calls_min;
  for (;;) {
    const auto start = Clock::now();
    sampler(calls);
    const double took = SecondsSince(start);
    if (took >= wanted / 2 || calls >= kCallsMax / 4) {
      const double fits = std::min<double>(calls * wanted / took, kCallsMax);
      calls = std::max(row.calls_min, static_cast<int>(fits));
      break;
    }
    calls *= 4;
  }
  std::vector<double> samples;
  const auto start = Clock::now();
  while (samples.size() < kSamplesMin || SecondsSince(start) < seconds) {
    samples.push_back(sampler(calls));
  }
  return samples;
}

std::string Given(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void Write(std::ofstream& results, const std::string& name, const std::vector<double>& samples) {
  results << name << '\t';
  for (const double sample : samples) results << sample << ' ';
  results << std::endl;
  if (!results) throw std::runtime_error("cannot write the results");
}

void Run() {
  std::ofstream results(Given("VS_RAY_RESULTS"), std::ios::app);
  results.precision(9);
  if (const std::string began = Given("VS_RAY_BEGAN"); !began.empty()) {
    Expect(*ray::Task(AddOne).Remote(1).Get(), 2);
    const double now = std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
    Write(results, "cold start until the first task returns", {(now - std::stod(began)) * 1e3});
    return;
  }
  const double seconds = std::stod(Given("VS_RAY_SECONDS"));
  std::istringstream names(Given("VS_RAY_ROWS"));
  for (std::string name; std::getline(names, name);) {
    const auto row = std::find_if(std::begin(kRows), std::end(kRows),
                                  [&](const Row& r) { return r.name == name; });
    if (row == std::end(kRows)) throw std::runtime_error("no row is named " + name);
    Write(results, name, SamplesOf(*row, seconds));
  }
}

}  // namespace
}  // namespace vs_ray

int main(int argc, char** argv) {
  ray::RayConfig config;
  if (const std::string library = vs_ray::Given("VS_RAY_LIBRARY"); !library.empty()) {
    config.code_search_path = {library};
  }
  int exit_code = 0;
  try {
    ray::Init(config, argc, argv);
    vs_ray::Run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "vs_ray: %s\n", error.what());
    exit_code = 1;
  }
  ray::Shutdown();
  return exit_code;
}
