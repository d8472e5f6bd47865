// tests/unit/shm/interleaving.h
//
// Walks through every interleaving of a few small threads, on a machine with store buffers
// (x86-TSO) or without. The threads run the real protocol code: they act on SimAtomic instead of
// std::atomic.
//
// Method: explicit states, no contexts. A thread is a deterministic function of what its operations
// returned, so a thread's state is the list of those answers; its next operation is found by
// running the function again with that list until it asks for one answer more. States that agree in
// memory, buffers and lists are visited once. Model: a plain store waits in its thread's buffer,
// loads look there first; read-modify-writes,
//        fences and system calls need the buffer empty; buffers drain in order at any time.
// Owner:    one Explorer a scenario.                          Threads: one.
// Limits:   states_max; a scenario that exceeds it says so (complete is false).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace rayx::shm::sim {

enum class OpKind : uint8_t {
  kLoad,
  kStore,
  kExchange,
  kCas,
  kAdd,
  kFence,
  kWait,
  kWake,
  kDone,
  kFail
};

struct Op {
  OpKind kind = OpKind::kDone;
  uint32_t address = 0;
  uint64_t value = 0;
  uint64_t expected = 0;
};

class Explorer {
 public:
  struct Thread {
    std::function<void()> body;
    // Runs the body for ever; each time begins as the first, so the body keeps nothing in
    // variables.
    bool repeats = false;
  };
  struct Options {
    bool store_buffers = true;
    size_t states_max = 2'000'000;
  };
  // Predicates over memory (buffers drained or not).
  struct Goals {
    // Safety where no thread can move any more: what is wrong there, empty if nothing. Not asked if
    // null. (Safety on the way: a body calls Fail().)
    std::function<std::string(const std::vector<uint64_t>&)> at_end;
    // Liveness: from every state some state with this must be reachable. Not asked if null.
    std::function<bool(const std::vector<uint64_t>&)> reachable;
  };
  struct Result {
    size_t states = 0;
    size_t ends = 0;                    // states from which nobody moves
    std::vector<std::string> failures;  // the first few, each with its schedule
    bool complete = true;               // states_max was not reached
  };

  // Memory cells are numbered from 0; cell i begins with initial[i].
  Explorer(std::vector<Thread> threads, std::vector<uint64_t> initial, Options options);

  Result Explore(const Goals& goals);

  // --- For SimAtomic and the bodies, while a body runs ---
  static uint64_t Perform(const Op& op);
  // From within a body: what just happened must not happen. Stops the thread.
  [[noreturn]] static void Fail(const std::string& what);

 private:
  // A list of answers, as the last one and the list before it; the same list is the same number.
  struct Answers {
    uint32_t before = 0;
    uint64_t last = 0;
    uint32_t count = 0;
    bool known = false;  // `next` was found
    Op next;
    std::string failure;  // of kFail
  };
  struct Local {
    uint32_t answers = 0;
    bool waits = false;  // inside kWait, for the cell below
    uint32_t waits_for = 0;
    std::vector<std::pair<uint32_t, uint64_t>> buffer;
  };
  struct State {
    std::vector<uint64_t> memory;
    std::vector<Local> threads;
  };
  struct Visit {
    State state;
    size_t number = 0;
  };

  const Op& NextOp(size_t thread, uint32_t answers);
  void Answer(Local& thread, uint64_t answer);
  bool Step(State& state, size_t thread, const Op& op);
  bool Move(State& state, size_t thread);
  void Expand(const Visit& visit);
  void Add(State state, size_t from, std::string step);
  void CheckReachable(const std::vector<bool>& good);
  void AddFailure(const std::string& what, size_t state);
  static std::string Key(const State& state);

  const std::vector<Thread> threads_;
  const std::vector<uint64_t> initial_;
  const Options options_;
  std::vector<Answers> answers_;  // [0, threads) are the empty lists
  std::map<std::pair<uint32_t, uint64_t>, uint32_t> longer_;
  std::unordered_map<std::string, size_t> seen_;       // state -> number
  std::vector<std::pair<size_t, std::string>> steps_;  // number -> first seen from, by which step
  std::vector<std::pair<size_t, size_t>> edges_;       // from, to
  std::vector<Visit> stack_;
  std::vector<std::string> failures_;
};

// What std::atomic is to the protocols, on a cell of the explored memory.
template <typename T>
class SimAtomic {
 public:
  explicit SimAtomic(uint32_t address) : address_(address) {}

  T load(std::memory_order) const { return Do(OpKind::kLoad, 0); }
  void store(T value, std::memory_order) { Do(OpKind::kStore, value); }
  T exchange(T value, std::memory_order) { return Do(OpKind::kExchange, value); }
  T fetch_add(T value, std::memory_order) { return Do(OpKind::kAdd, value); }
  bool compare_exchange_strong(T& expected, T value, std::memory_order) {
    const T was = Do(OpKind::kCas, value, expected);
    if (was == expected) return true;
    expected = was;
    return false;
  }
  uint32_t address() const { return address_; }

 private:
  T Do(OpKind kind, uint64_t value, uint64_t expected = 0) const {
    return static_cast<T>(Explorer::Perform({kind, address_, value, expected}));
  }
  uint32_t address_;
};

// The Os of the protocols. Futex waits end only by a wake: a lost wake-up shows as a deadlock, not
// as the 250 ms that it would cost in production.
template <bool kFenced>
struct SimOs {
  SimAtomic<uint32_t> event;

  void Fence() {
    if (kFenced) Explorer::Perform({OpKind::kFence, 0, 0, 0});
  }
  bool FutexWait(const SimAtomic<uint32_t>& word, uint32_t expected) {
    Explorer::Perform({OpKind::kWait, word.address(), 0, expected});
    return true;
  }
  void FutexWake(const SimAtomic<uint32_t>& word) {
    Explorer::Perform({OpKind::kWake, word.address(), 0, 0});
  }
  // An eventfd: a count that is waited for.
  void WriteEvent() {
    event.exchange(1, std::memory_order_acq_rel);
    FutexWake(event);
  }
  void WaitEvent() {
    while (event.exchange(0, std::memory_order_acq_rel) == 0) FutexWait(event, 0);
  }
};

}  // namespace rayx::shm::sim
