// Rows of one client that puts and gets, and of another process that reads.
#include <algorithm>
#include <span>
#include <stdexcept>

#include "cli/microbenchmark/rows.h"

namespace rayx::cli {

using Bytes = std::vector<uint8_t>;
using Words = std::vector<uint64_t>;

struct ReadTimes {
  uint64_t sum = 0;
  double first_seconds = 0;
  double repeated_seconds = 0;
};

// Reads in a process of its own.
class Reader {
 public:
  static Reader* Create() { return new Reader; }
  int64_t Begin(int64_t value) const { return value + 1; }
  // One object, in a vector so that it comes as a reference.
  ReadTimes Read(const std::vector<ObjectRef<Words>>& object) const;
};

std::vector<ObjectRef<int64_t>> PutAndReturn(int64_t first, int64_t count) {
  std::vector<ObjectRef<int64_t>> refs;
  for (int64_t i = 0; i < count; ++i) refs.push_back(rayx::Put(first + i));
  return refs;
}

namespace {

constexpr size_t kSmallObjects = 1000;
constexpr int64_t kRefsInside = 10'000;
constexpr int kRepeatedReads = 5;

// From the call of Get until every byte has been read, where it lies.
double ReadOnce(const ObjectRef<Words>& object, uint64_t& sum) {
  const auto start = RowClock::now();
  const View<Words> view = rayx::GetView(object);
  sum = ReadAll(view);
  return SecondsSince(start);
}

}  // namespace

ReadTimes Reader::Read(const std::vector<ObjectRef<Words>>& object) const {
  ReadTimes times;
  times.first_seconds = ReadOnce(object.at(0), times.sum);
  std::vector<double> repeated;
  for (int i = 0; i < kRepeatedReads; ++i) {
    uint64_t sum = 0;
    repeated.push_back(ReadOnce(object.at(0), sum));
    if (sum != times.sum) throw std::runtime_error("a repeated read has found other bytes");
  }
  times.repeated_seconds = Quantile(repeated, 0.5);
  return times;
}

namespace {

Sampler GetSmall() {
  const int64_t first = TakeArguments(kSmallObjects);
  std::vector<ObjectRef<int64_t>> refs;
  for (size_t i = 0; i < kSmallObjects; ++i) {
    refs.push_back(rayx::Put(first + static_cast<int64_t>(i)));
  }
  return [refs = std::move(refs), first](size_t calls) {
    const auto start = RowClock::now();
    for (size_t i = 0; i < calls; ++i) {
      const size_t which = i % kSmallObjects;
      Expect(*refs[which].Get(), first + static_cast<int64_t>(which));
    }
    return std::vector{SecondsSince(start) / static_cast<double>(calls) * 1e6};
  };
}

// Each put takes the place of an earlier one, so that releasing it is in the time, as in Ray's row.
Sampler PutSmall() {
  return [refs = std::vector<ObjectRef<int64_t>>(kSmallObjects)](size_t calls) mutable {
    const int64_t first = TakeArguments(calls);
    const auto start = RowClock::now();
    for (size_t i = 0; i < calls; ++i) {
      refs[i % kSmallObjects] = rayx::Put(first + static_cast<int64_t>(i));
    }
    const double seconds = SecondsSince(start);
    for (size_t i = calls - std::min(calls, kSmallObjects); i < calls; ++i) {
      Expect(*refs[i % kSmallObjects].Get(), first + static_cast<int64_t>(i));
    }
    return std::vector{seconds / static_cast<double>(calls) * 1e6};
  };
}

std::vector<double> PutGetSmall(size_t calls) {
  const int64_t first = TakeArguments(calls);
  const auto start = RowClock::now();
  for (size_t i = 0; i < calls; ++i) {
    const int64_t value = first + static_cast<int64_t>(i);
    Expect(*rayx::Put(value).Get(), value);
  }
  return {SecondsSince(start) / static_cast<double>(calls) * 1e6};
}

// A value that no call has had.
void Change(Bytes& value) {
  const auto argument = static_cast<size_t>(TakeArguments(1));
  value[argument % value.size()] ^= static_cast<uint8_t>(argument) | 1;
}

double Gigabytes(size_t calls) {
  return static_cast<double>(calls * kLargeObjectBytes) / 1e9;
}

Sampler PutLarge() {
  return [value = Bytes(kLargeObjectBytes, 1)](size_t calls) mutable {
    double seconds = 0;
    for (size_t i = 0; i < calls; ++i) {
      Change(value);
      const auto start = RowClock::now();
      const auto ref = rayx::Put(value);
      seconds += SecondsSince(start);
      // Outside the measured time: what was put is what is there.
      if (i == 0 && *ref.Get() != value) throw std::runtime_error("read back other bytes");
    }
    return std::vector{Gigabytes(calls) / seconds};
  };
}

// With the copy that a Get is: GetView has none.
Sampler GetLarge() {
  return [value = Bytes(kLargeObjectBytes, 1)](size_t calls) mutable {
    Change(value);
    const auto ref = rayx::Put(value);
    double seconds = 0;
    for (size_t i = 0; i < calls; ++i) {
      const auto start = RowClock::now();
      const auto got = ref.Get();
      seconds += SecondsSince(start);
      if (i == 0 && *got != value) throw std::runtime_error("got other bytes");
    }
    return std::vector{Gigabytes(calls) / seconds};
  };
}

Sampler GetReferences() {
  const int64_t first = TakeArguments(static_cast<size_t>(kRefsInside));
  const auto outer = rayx::Task<&PutAndReturn>().Remote(first, kRefsInside);
  outer.Get();
  return [outer, first](size_t calls) {
    double seconds = 0;
    for (size_t i = 0; i < calls; ++i) {
      const auto start = RowClock::now();
      const auto refs = outer.Get();
      seconds += SecondsSince(start);
      Expect(static_cast<int64_t>(refs->size()), kRefsInside);
      if (i != 0) continue;
      const auto values = rayx::Get(*refs);
      for (size_t k = 0; k < values.size(); ++k)
        Expect(*values[k], first + static_cast<int64_t>(k));
    }
    return std::vector{seconds / static_cast<double>(calls) * 1e3};
  };
}

// A process that has read nothing yet reads a new object, then again.
Sampler ReadElsewhere() {
  return [words = Words(kLargeObjectBytes / sizeof(uint64_t), 1)](size_t calls) mutable {
    double first = 0;
    double repeated = 0;
    for (size_t i = 0; i < calls; ++i) {
      const int64_t argument = TakeArguments(1);
      words[static_cast<size_t>(argument) % words.size()] += static_cast<uint64_t>(argument);
      const auto reader = EndsWithRow(rayx::Actor<&Reader::Create>().Remote());
      Expect(*reader->Task<&Reader::Begin>().Remote(argument).Get(), argument + 1);
      const std::vector<ObjectRef<Words>> object = {rayx::Put(words)};
      const auto times = reader->Task<&Reader::Read>().Remote(object).Get();
      if (times->sum != ReadAll(words)) throw std::runtime_error("the bytes read are others");
      first += times->first_seconds;
      repeated += times->repeated_seconds;
    }
    return std::vector{Gigabytes(calls) / first, Gigabytes(calls) / repeated};
  };
}

}  // namespace

std::vector<Row> ObjectRows() {
  const auto us = Unit::kMicroseconds;
  const auto bandwidth = Unit::kGigabytesPerSecond;
  const auto ring = Limit::kRingRoundTrip;
  const std::string read = "80 MiB get in another process, every byte read";
  return {
      {{{"single client get calls (Plasma Store)", us, ring}}, GetSmall, 1000},
      {{{"single client put calls (Plasma Store)", us, ring}}, PutSmall, 1000},
      {{{"single client put + get small", us, ring}}, [] { return PutGetSmall; }, 1000},
      {{{"single client put gigabytes", bandwidth, Limit::kWarmCopy}}, PutLarge},
      {{{"single client get gigabytes", bandwidth, Limit::kWarmCopy}}, GetLarge},
      {{{read + ": first", bandwidth, Limit::kWarmRead},
        {read + ": repeated", bandwidth, Limit::kWarmRead}},
       ReadElsewhere},
      {{{"single client get object containing 10k refs", Unit::kMilliseconds, ring,
         static_cast<double>(kRefsInside)}},
       GetReferences},
  };
}

}  // namespace rayx::cli
