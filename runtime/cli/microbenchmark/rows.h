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

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "cli/microbenchmark/row.h"
#include "rayx/rayx.h"

namespace rayx::cli {

// Those that are alone first.
std::vector<Row> AllRows();

std::vector<Row> FreshRows();    // of programs that have done nothing before
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

}  // namespace rayx::cli
