// runtime/cli/microbenchmark/rows.h
//
// The rows of `rayx microbenchmark`, and what they share.
//
// Purpose:  Ray's rows under Ray's names, as far as C++ has what they measure; then our own.
// Owner:    microbenchmark.cc.      Threads: the main thread; remote functions in workers.
// Promises: a rate or a time is of one call, or of the whole when the name has its number. No
//           result of a run can stand for another's: each call has an argument of its own, or an
//           actor's sum that shows its turn.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/microbenchmark/row.h"
#include "rayx/rayx.h"

namespace rayx::cli {

// Those that are alone first. `libtorch`: where libtorch_cpu.so is; "": not known.
std::vector<Row> AllRows(const std::string& libtorch = "");

std::vector<Row> StartedRows();  // of `rayx start`
std::vector<Row> VmRows();       // between VMs that are simulated here
std::vector<Row> FreshRows();    // of programs that have done nothing before
std::vector<Row> LibtorchRows(const std::string& library);
std::vector<Row> ObjectRows();   // put and get
std::vector<Row> TaskRows();     // one client, tasks
std::vector<Row> WaitingRows();  // one client, synchronous tasks, under what surrounds them
std::vector<Row> ActorRows();    // one client, actors
std::vector<Row> ClientRows();   // several clients, which are actors themselves
std::vector<Row> ScaleRows();    // very many of something

inline constexpr size_t kBatch = 1000;  // calls that are under way at once, as in Ray's rows

// The first of `count` integers that no call has had.
int64_t TakeArguments(size_t count);

// Remote functions of several files.
int64_t AddOne(int64_t value);
class Counter {
 public:
  static Counter* Create() { return new Counter; }
  int64_t Add(int64_t amount) { return total_ += amount; }
  // Without state: any number at a time.
  int64_t PlusOne(int64_t value) const { return value + 1; }
  int64_t Plus(int64_t value, int64_t amount) const { return value + amount; }

 private:
  int64_t total_ = 0;
};

// Seconds from the first's creation until each of kCreatedActors has answered, was killed, and is
// known to be dead.
inline constexpr size_t kCreatedActors = 100;
double CreateCallKill();

// A sampler's actor: it ends with the sampler, which may be copied.
template <class T>
std::shared_ptr<const ActorHandle<T>> EndsWithRow(ActorHandle<T> actor) {
  return {new ActorHandle<T>(std::move(actor)), [](const ActorHandle<T>* ended) {
            try {
              ended->Kill();
            } catch (const std::exception&) {  // it has ended already, or the cluster has
            }
            delete ended;
          }};
}

using RowClock = std::chrono::steady_clock;
inline double SecondsSince(RowClock::time_point start) {
  return std::chrono::duration<double>(RowClock::now() - start).count();
}

// A reference for each place of `refs`, from `call` of the integers from `first` on.
template <class Call>
void SubmitEach(std::vector<ObjectRef<int64_t>>& refs, int64_t first, const Call& call) {
  for (size_t i = 0; i < refs.size(); ++i) refs[i] = call(first + static_cast<int64_t>(i));
}

// Calls a second of batches; `call` of an argument gives a reference to the next integer.
template <class Call>
Sampler RateOfBatches(size_t batch, Call call) {
  return [call = std::move(call),
          refs = std::vector<ObjectRef<int64_t>>(batch)](size_t calls) mutable {
    const size_t batches = std::max<size_t>(calls / refs.size(), 1);
    const auto start = RowClock::now();
    for (size_t done = 0; done < batches; ++done) {
      const int64_t first = TakeArguments(refs.size());
      SubmitEach(refs, first, call);
      for (size_t i = 0; i < refs.size(); ++i) {
        Expect(*refs[i].Get(), first + static_cast<int64_t>(i) + 1);
      }
    }
    return std::vector{static_cast<double>(batches * refs.size()) / SecondsSince(start)};
  };
}

// Fills `refs` with tasks, then takes each result and lets it go. `between` is called when all are
// submitted, outside the times.
struct QueueSeconds {
  double submit = 0;
  double drain = 0;
};
QueueSeconds QueueTasks(std::vector<ObjectRef<int64_t>>& refs,
                        const std::function<void()>& between);

}  // namespace rayx::cli
