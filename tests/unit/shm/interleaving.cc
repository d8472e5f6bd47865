#include "tests/unit/shm/interleaving.h"

#include <algorithm>

namespace rayx::shm::sim {
namespace {

struct NeedsAnswer {
  Op op;
};
struct BodyFailed {
  std::string what;
};

// The answers of the body that is being run again, and how many were used.
const std::vector<uint64_t>* replay = nullptr;
size_t replayed = 0;

const char* Name(OpKind kind) {
  switch (kind) {
    case OpKind::kLoad:
      return "load";
    case OpKind::kStore:
      return "store";
    case OpKind::kExchange:
      return "exchange";
    case OpKind::kCas:
      return "cas";
    case OpKind::kAdd:
      return "add";
    case OpKind::kFence:
      return "fence";
    case OpKind::kWait:
      return "wait";
    case OpKind::kWake:
      return "wake";
    case OpKind::kDone:
      return "done";
    case OpKind::kFail:
      return "fail";
  }
  return "?";
}

}  // namespace

Explorer::Explorer(std::vector<Thread> threads, std::vector<uint64_t> initial, Options options)
    : threads_(std::move(threads)),
      initial_(std::move(initial)),
      options_(options),
      answers_(threads_.size()) {}

uint64_t Explorer::Perform(const Op& op) {
  if (replayed == replay->size()) throw NeedsAnswer{op};
  return (*replay)[replayed++];
}

void Explorer::Fail(const std::string& what) {
  throw BodyFailed{what};
}

const Op& Explorer::NextOp(size_t thread, uint32_t number) {
  if (answers_[number].known) return answers_[number].next;
  std::vector<uint64_t> list;
  for (uint32_t at = number; answers_[at].count > 0; at = answers_[at].before) {
    list.push_back(answers_[at].last);
  }
  std::reverse(list.begin(), list.end());
  replay = &list;
  replayed = 0;
  answers_[number].known = true;
  try {
    threads_[thread].body();
  } catch (const NeedsAnswer& needs) {
    answers_[number].next = needs.op;
  } catch (const BodyFailed& failed) {
    answers_[number].next.kind = OpKind::kFail;
    answers_[number].failure = failed.what;
  }
  return answers_[number].next;
}

void Explorer::Answer(Local& thread, uint64_t answer) {
  const auto [it, added] =
      longer_.try_emplace({thread.answers, answer}, static_cast<uint32_t>(answers_.size()));
  if (added) {
    Answers longer;
    longer.before = thread.answers;
    longer.last = answer;
    longer.count = answers_[thread.answers].count + 1;
    answers_.push_back(longer);
  }
  thread.answers = it->second;
}

bool Explorer::Step(State& state, size_t index, const Op& op) {
  Local& thread = state.threads[index];
  uint64_t& cell = state.memory[op.address];
  if (op.kind == OpKind::kStore && options_.store_buffers) {
    thread.buffer.emplace_back(op.address, op.value);
    Answer(thread, 0);
    return true;
  }
  uint64_t answer = cell;
  if (op.kind == OpKind::kLoad) {
    for (const auto& [address, stored] : thread.buffer) {
      if (address == op.address) answer = stored;
    }
    Answer(thread, answer);
    return true;
  }
  if (!thread.buffer.empty()) return false;
  if (op.kind == OpKind::kStore || op.kind == OpKind::kExchange) cell = op.value;
  if (op.kind == OpKind::kAdd) cell += op.value;
  if (op.kind == OpKind::kCas && cell == op.expected) cell = op.value;
  if (op.kind == OpKind::kWait && cell == op.expected) {
    thread.waits = true;
    thread.waits_for = op.address;
    return true;
  }
  if (op.kind == OpKind::kWake) {
    const auto sleeper = std::find_if(
        state.threads.begin(), state.threads.end(),
        [&](const Local& other) { return other.waits && other.waits_for == op.address; });
    if (sleeper != state.threads.end()) {
      sleeper->waits = false;
      Answer(*sleeper, 1);
    }
    answer = 0;
  }
  if (op.kind == OpKind::kFence || op.kind == OpKind::kStore) answer = 0;
  Answer(thread, answer);
  return true;
}

std::string Explorer::Key(const State& state) {
  std::string key;
  const auto add = [&key](uint64_t value) {
    key.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  for (const uint64_t cell : state.memory) add(cell);
  for (const Local& thread : state.threads) {
    add(uint64_t{thread.answers} << 32 | thread.buffer.size() << 16 |
        (thread.waits ? thread.waits_for + 1 : 0));
    for (const auto& [address, value] : thread.buffer) {
      add(address);
      add(value);
    }
  }
  return key;
}

void Explorer::Add(State state, size_t from, std::string step) {
  const auto [it, added] = seen_.try_emplace(Key(state), steps_.size());
  edges_.emplace_back(from, it->second);
  if (!added) return;
  stack_.push_back({std::move(state), it->second});
  steps_.emplace_back(from, std::move(step));
}

bool Explorer::Move(State& state, size_t i) {
  const Local& thread = state.threads[i];
  if (thread.waits) return false;
  const Op op = NextOp(i, thread.answers);
  if (op.kind == OpKind::kFail) return false;
  if (op.kind != OpKind::kDone) return Step(state, i, op);
  if (!threads_[i].repeats) return false;
  state.threads[i].answers = static_cast<uint32_t>(i);
  return true;
}

void Explorer::Expand(const Visit& visit) {
  for (size_t i = 0; i < visit.state.threads.size(); ++i) {
    const Local& thread = visit.state.threads[i];
    const std::string who = " " + std::to_string(i) + ":";
    if (!thread.buffer.empty()) {
      State next = visit.state;
      const auto [address, value] = thread.buffer.front();
      next.threads[i].buffer.erase(next.threads[i].buffer.begin());
      next.memory[address] = value;
      Add(std::move(next), visit.number, who + "drain" + std::to_string(address));
    }
    const Op op = NextOp(i, thread.answers);
    if (op.kind == OpKind::kFail) AddFailure(answers_[thread.answers].failure, visit.number);
    State next = visit.state;
    if (!Move(next, i)) continue;
    Add(std::move(next), visit.number, who + Name(op.kind) + std::to_string(op.address));
  }
}

void Explorer::AddFailure(const std::string& what, size_t state) {
  if (failures_.size() >= 3) return;
  std::string path;
  for (; state != 0; state = steps_[state].first) path.insert(0, steps_[state].second);
  failures_.push_back(what + ":" + path);
}

void Explorer::CheckReachable(const std::vector<bool>& good) {
  // Backwards from the good states, over the edges in order of where they lead.
  std::sort(edges_.begin(), edges_.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  std::vector<bool> reached = good;
  std::vector<size_t> open;
  for (size_t i = 0; i < good.size(); ++i) {
    if (good[i]) open.push_back(i);
  }
  while (!open.empty()) {
    const size_t to = open.back();
    open.pop_back();
    auto edge = std::lower_bound(edges_.begin(), edges_.end(), to,
                                 [](const auto& e, size_t state) { return e.second < state; });
    for (; edge != edges_.end() && edge->second == to; ++edge) {
      if (reached[edge->first]) continue;
      reached[edge->first] = true;
      open.push_back(edge->first);
    }
  }
  const auto lost = std::find(reached.begin(), reached.end(), false);
  if (lost != reached.end()) {
    AddFailure("no way to the goal from", static_cast<size_t>(lost - reached.begin()));
  }
}

Explorer::Result Explorer::Explore(const Goals& goals) {
  // Each thread begins with an empty list of its own number.
  State first{initial_, std::vector<Local>(threads_.size())};
  for (size_t i = 0; i < threads_.size(); ++i) first.threads[i].answers = static_cast<uint32_t>(i);
  Result result;
  std::vector<bool> good;
  Add(std::move(first), 0, "");
  while (!stack_.empty() && seen_.size() <= options_.states_max) {
    const Visit visit = std::move(stack_.back());
    stack_.pop_back();
    const size_t edges_before = edges_.size();
    Expand(visit);
    good.resize(steps_.size());
    good[visit.number] = goals.reachable && goals.reachable(visit.state.memory);
    if (edges_.size() != edges_before) continue;
    ++result.ends;
    const std::string wrong = goals.at_end ? goals.at_end(visit.state.memory) : "";
    if (!wrong.empty()) AddFailure(wrong, visit.number);
  }
  result.states = seen_.size();
  result.complete = stack_.empty();
  if (goals.reachable && result.complete) CheckReachable(good);
  result.failures = failures_;
  return result;
}

}  // namespace rayx::shm::sim
