// A user's program for tests/integration/cluster/three_vms_test.cc: the first argument names what
// to do, the rest are RayX's flags. Prints one "key value" line a finding, or "error <type>
// <seconds> <message>".
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "rayx/rayx.h"

namespace user {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string HoldCpu(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  return rayx::GetRuntimeContext().HostName();
}
// A value that only a right execution gives. Its first attempt says that it runs and stays long
// enough to be lost with its VM; a later one is quick.
std::string LoseOnceThenSquare(int x, const std::string& name) {
  const auto context = rayx::GetRuntimeContext();
  if (context.Attempt() == 1) {
    rayx::KeyValue::Put(name, "runs");
    std::this_thread::sleep_for(std::chrono::seconds(60));
  }
  return std::to_string(x * x) + " " + context.HostName() + " " + std::to_string(context.Attempt());
}
uint32_t DieOnce() {
  const uint32_t attempt = rayx::GetRuntimeContext().Attempt();
  if (attempt == 1) ::raise(SIGKILL);
  return attempt;
}
std::vector<uint64_t> Numbers(size_t count, uint64_t seed) {
  std::vector<uint64_t> numbers(count);
  for (uint64_t& number : numbers)
    number = seed = seed * 6364136223846793005u + 1442695040888963407u;
  return numbers;
}

class Receiver {
 public:
  static Receiver* Create() { return new Receiver; }
  std::string Host() { return rayx::GetRuntimeContext().HostName(); }
  bool IsNumbers(const std::vector<uint64_t>& got, uint64_t seed) {
    return got == Numbers(got.size(), seed);
  }
  int Sleep(const std::string& name) {
    rayx::KeyValue::Put(name, "runs");
    std::this_thread::sleep_for(std::chrono::seconds(60));
    return 60;
  }
};

}  // namespace user

namespace {

using user::Clock;
using user::SecondsSince;

uint32_t NodeOf(const std::string& host) {
  for (const auto& node : rayx::Nodes()) {
    if (node.alive && node.host_name == host) return node.number;
  }
  throw std::runtime_error("no live node on host " + host);
}

rayx::SchedulingStrategy On(const std::string& host, bool soft = false) {
  return rayx::SchedulingStrategy::NodeAffinity(NodeOf(host), soft);
}

// Runs a Get and prints its outcome and how long after `since` it came.
template <typename F>
void Report(const char* what, Clock::time_point since, F&& get) {
  try {
    std::printf("%s value %.2f %s\n", what, SecondsSince(since), std::string(get()).c_str());
  } catch (const rayx::Error& error) {
    std::printf("%s error %.2f %s %s\n", what, SecondsSince(since), rayx::ErrorName(error.code()),
                error.what());
  }
  std::fflush(stdout);
}

void Spread() {
  const auto start = Clock::now();
  std::vector<rayx::ObjectRef<std::string>> refs;
  for (int i = 0; i < 30; ++i) refs.push_back(rayx::Task<&user::HoldCpu>().Remote(500));
  std::map<std::string, int> hosts;
  for (const auto& ref : refs) ++hosts[*ref.Get(60'000)];
  std::printf("seconds %.2f\n", SecondsSince(start));
  for (const auto& [host, tasks] : hosts) std::printf("host %s %d\n", host.c_str(), tasks);
}

void Transfer() {
  constexpr size_t kCount = (64u << 20) / sizeof(uint64_t);
  auto receiver = rayx::Actor<&user::Receiver::Create>().SetSchedulingStrategy(On("vm3")).Remote();
  std::printf("actor %s\n", receiver.Task<&user::Receiver::Host>().Remote().Get(30'000)->c_str());
  const auto ref = rayx::Put(user::Numbers(kCount, 12345));
  const auto start = Clock::now();
  const bool same =
      *receiver.Task<&user::Receiver::IsNumbers>().Remote(ref, uint64_t{12345}).Get(60'000);
  std::printf("unchanged %d %.2f\n", same ? 1 : 0, SecondsSince(start));
  // And back: a result that lies on VM 3.
  const auto there =
      rayx::Task<&user::Numbers>().SetSchedulingStrategy(On("vm3")).Remote(kCount, uint64_t{7});
  std::printf("back %d\n", *there.Get(60'000) == user::Numbers(kCount, 7) ? 1 : 0);
}

void Retry() {
  std::printf("attempt %u\n",
              *rayx::Task<&user::DieOnce>().SetSchedulingStrategy(On("vm2")).Remote().Get(30'000));
}

std::string go_file;  // "lost": appears when VM 3 was taken away

// Starts everything on VM 3, says "ready", and goes on when VM 3 was lost.
void LostVm() {
  const auto vm3 = On("vm3", /*soft=*/true);
  const auto hard = On("vm3");
  auto actor = rayx::Actor<&user::Receiver::Create>().SetSchedulingStrategy(hard).Remote();
  actor.Task<&user::Receiver::Host>().Remote().Get(30'000);
  constexpr size_t kCount = (64u << 20) / sizeof(uint64_t);
  const auto object =
      rayx::Task<&user::Numbers>().SetSchedulingStrategy(hard).Remote(kCount, uint64_t{7});
  rayx::Wait(std::vector<rayx::ObjectRef<std::vector<uint64_t>>>{object}, 1, 30'000);
  std::vector<rayx::ObjectRef<std::string>> retried;
  std::vector<rayx::ObjectRef<std::string>> once;
  std::vector<std::string> names{"call"};
  for (int i = 0; i < 8; ++i) {
    names.push_back("task " + std::to_string(i));
    auto& refs = i < 6 ? retried : once;
    refs.push_back(rayx::Task<&user::LoseOnceThenSquare>()
                       .SetMaxRetries(i < 6 ? 3 : 0)
                       .SetSchedulingStrategy(i < 6 ? vm3 : hard)
                       .Remote(i, names.back()));
  }
  const auto call = actor.Task<&user::Receiver::Sleep>().Remote(names[0]);
  if (!rayx::KeyValue::Wait(names, 30'000)) throw std::runtime_error("not all of it runs on VM 3");
  std::printf("ready\n");
  std::fflush(stdout);
  const auto give_up = Clock::now() + std::chrono::seconds(60);
  while (::access(go_file.c_str(), F_OK) != 0) {
    if (Clock::now() > give_up) throw std::runtime_error("nobody took VM 3 away");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const auto lost = Clock::now();
  std::vector<std::thread> threads;
  threads.emplace_back(
      [&] { Report("object", lost, [&] { return object.Get(30'000)->empty() ? "" : "64 MiB"; }); });
  threads.emplace_back(
      [&] { Report("call", lost, [&] { return std::to_string(*call.Get(30'000)); }); });
  for (auto& ref : once)
    threads.emplace_back([&] { Report("once", lost, [&] { return *ref.Get(30'000); }); });
  for (auto& ref : retried)
    threads.emplace_back([&] { Report("retried", lost, [&] { return *ref.Get(60'000); }); });
  for (auto& thread : threads) thread.join();
}

void Infeasible() {
  const auto start = Clock::now();
  Report("infeasible", start, [] {
    return *rayx::Task<&user::HoldCpu>().SetResource("CPU", 1000).Remote(1).Get(30'000);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, std::function<void()>> scenarios = {{"spread", Spread},
                                                                  {"transfer", Transfer},
                                                                  {"retry", Retry},
                                                                  {"lost", LostVm},
                                                                  {"infeasible", Infeasible}};
  const auto it = argc > 1 ? scenarios.find(argv[1]) : scenarios.end();
  if (it == scenarios.end()) {
    std::fprintf(stderr,
                 "usage: three_vms_driver spread|transfer|retry|infeasible - --address IP:PORT | "
                 "lost GO_FILE --address IP:PORT\n");
    return 2;
  }
  try {
    if (argc > 2) go_file = argv[2];
    rayx::Init(argc, argv);
    it->second();
    rayx::Shutdown();
  } catch (const std::exception& error) {
    std::printf("failed %s\n", error.what());
    return 1;
  }
  return 0;
}
