// Rows of very many of something: the whole is timed.
#include <numeric>
#include <string>

#include "cli/microbenchmark/rows.h"

namespace rayx::cli {

int64_t AddTwo(int64_t a, int64_t b) {
  return a + b;
}

int64_t SumOfReferences(const std::vector<ObjectRef<int64_t>>& refs) {
  int64_t sum = 0;
  for (const auto& value : rayx::Get(refs)) sum += *value;
  return sum;
}

std::vector<int64_t> CountFrom(int64_t first, int64_t count) {
  std::vector<int64_t> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), first);
  return values;
}

namespace {

constexpr size_t kChain = 10'000;
constexpr size_t kLeaves = 1024;
constexpr size_t kObjects = 10'000;
constexpr int kReturns = 3000;
constexpr size_t kQueued = 1'000'000;
constexpr int kQueuedSamples = 3;

// The sum of `count` integers from `first` on.
int64_t SumFrom(int64_t first, size_t count) {
  const auto n = static_cast<int64_t>(count);
  return n * first + n * (n - 1) / 2;
}

// A row's figure is of one turn; `turn` gives its seconds.
template <class Turn>
Sampler Milliseconds(const Turn& turn) {
  return [turn](size_t calls) {
    double seconds = 0;
    for (size_t i = 0; i < calls; ++i) seconds += turn();
    return std::vector{seconds / static_cast<double>(calls) * 1e3};
  };
}

double Chain() {
  const int64_t first = TakeArguments(kChain);
  const auto start = RowClock::now();
  auto last = rayx::Task<&AddOne>().Remote(first);
  for (size_t i = 1; i < kChain; ++i) last = rayx::Task<&AddOne>().Remote(last);
  Expect(*last.Get(), first + static_cast<int64_t>(kChain));
  return SecondsSince(start);
}

// A root, as many leaves as kLeaves that need it, and their sums, two by two.
double Tree() {
  const int64_t first = TakeArguments(1);
  const auto start = RowClock::now();
  const auto root = rayx::Task<&AddOne>().Remote(first);
  std::vector<ObjectRef<int64_t>> level;
  for (size_t i = 0; i < kLeaves; ++i) {
    level.push_back(rayx::Task<&AddTwo>().Remote(root, static_cast<int64_t>(i)));
  }
  while (level.size() > 1) {
    std::vector<ObjectRef<int64_t>> above;
    for (size_t i = 0; i < level.size(); i += 2) {
      above.push_back(rayx::Task<&AddTwo>().Remote(level[i], level[i + 1]));
    }
    level = std::move(above);
  }
  Expect(*level[0].Get(), SumFrom(first + 1, kLeaves));
  return SecondsSince(start);
}

std::vector<ObjectRef<int64_t>> PutObjects(int64_t first) {
  std::vector<ObjectRef<int64_t>> refs;
  refs.reserve(kObjects);
  for (size_t i = 0; i < kObjects; ++i) {
    refs.push_back(rayx::Put(first + static_cast<int64_t>(i)));
  }
  return refs;
}

double ObjectArguments() {
  const int64_t first = TakeArguments(kObjects);
  const auto refs = PutObjects(first);
  const auto start = RowClock::now();
  Expect(*rayx::Task<&SumOfReferences>().Remote(refs).Get(), SumFrom(first, kObjects));
  return SecondsSince(start);
}

double Returns() {
  const int64_t first = TakeArguments(kReturns);
  const auto start = RowClock::now();
  const auto refs = rayx::Task<&CountFrom>().SetNumReturns(kReturns).RemoteEach(first, kReturns);
  const auto values = rayx::Get(refs);
  const double seconds = SecondsSince(start);
  Expect(static_cast<int64_t>(values.size()), kReturns);
  for (size_t i = 0; i < values.size(); ++i) Expect(*values[i], first + static_cast<int64_t>(i));
  return seconds;
}

double ObjectsInOneGet() {
  const int64_t first = TakeArguments(kObjects);
  const auto refs = PutObjects(first);
  const auto start = RowClock::now();
  const auto values = rayx::Get(refs);
  const double seconds = SecondsSince(start);
  for (size_t i = 0; i < kObjects; ++i) Expect(*values[i], first + static_cast<int64_t>(i));
  return seconds;
}

Sampler QueuedTasks() {
  return [refs = std::vector<ObjectRef<int64_t>>(kQueued)](size_t) mutable {
    const QueueSeconds seconds = QueueTasks(refs, [] {});
    return std::vector{seconds.submit, seconds.drain, seconds.submit + seconds.drain};
  };
}

Row QueuedRow() {
  const std::string name = "1,000,000 queued tasks: ";
  Row row;
  for (const char* part : {"submit", "drain", "submit + drain"}) {
    row.figures.push_back(
        {name + part, Unit::kSeconds, Limit::kRingRoundTrip, static_cast<double>(kQueued)});
  }
  row.begin = QueuedTasks;
  row.samples = kQueuedSamples;
  return row;
}

}  // namespace

std::vector<Row> ScaleRows() {
  const auto row = [](std::string name, double limit_count, double (*turn)()) -> Row {
    return {{{std::move(name), Unit::kMilliseconds, Limit::kRingRoundTrip, limit_count}},
            [turn] { return Milliseconds(turn); }};
  };
  return {
      row("chain of 10,000 dependent tasks", static_cast<double>(kChain), Chain),
      row("fan-out/fan-in tree of 2,048 tasks", static_cast<double>(2 * kLeaves), Tree),
      row("10,000 object args to one task", static_cast<double>(kObjects), ObjectArguments),
      row("3,000 returns of one task", kReturns, Returns),
      row("10,000 objects in one get", static_cast<double>(kObjects), ObjectsInOneGet),
      QueuedRow(),
  };
}

}  // namespace rayx::cli
