// tests/compat/counter.h
//
// An actor in Ray's C++ API, as a header of a Ray program has one: its RAY_REMOTE stands in it.
// Owner:    tests.
#pragma once

#include <ray/api.h>

#include <stdexcept>
#include <string>

namespace app {

class Counter {
 public:
  explicit Counter(int init) : count_(init) {}
  static Counter* FactoryCreate() { return new Counter(0); }
  static Counter* FactoryCreate(int init) { return new Counter(init); }
  static Counter* FactoryCreateException() { throw std::domain_error("no counter"); }
  int Add(int x) {
    count_ += x;
    return count_;
  }
  int Get() const { return count_; }
  bool WasRestarted() { return ray::WasCurrentActorRestarted(); }
  void Exit() { ray::ExitActor(); }
  void Throw() { throw std::logic_error("of an actor"); }
  int AddElsewhere(ray::ActorHandle<Counter> other, int x) {
    other_ = other;
    return *other_.Task(&Counter::Add).Remote(x).Get();
  }
  ray::ActorHandle<Counter> MakeChild(std::string name) {
    return ray::Actor(RAY_FUNC(Counter::FactoryCreate, int)).SetName(name).Remote(100);
  }

 private:
  int count_;
  ray::ActorHandle<Counter> other_;
};

RAY_REMOTE(RAY_FUNC(Counter::FactoryCreate), RAY_FUNC(Counter::FactoryCreate, int),
           Counter::FactoryCreateException);
RAY_REMOTE(&Counter::Add, &Counter::Get, &Counter::WasRestarted, &Counter::Exit, &Counter::Throw,
           &Counter::AddElsewhere, &Counter::MakeChild);

constexpr int kPatience = 30'000;

inline ray::RayConfig ConfigOf(const std::string& mode) {
  ray::RayConfig config;
  config.local_mode = mode == "local";
  config.head_args = {"--num-cpus", "2", "--object-store-memory", "256MiB"};
  return config;
}

}  // namespace app
