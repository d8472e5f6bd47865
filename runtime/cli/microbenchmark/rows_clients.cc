// Rows of several clients: actors and tasks that call others themselves. The driver only starts
// them and takes the time.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "cli/microbenchmark/rows.h"

namespace rayx::cli {

using Servers = std::vector<ActorHandle<Counter>>;

// One of several clients. Each method does `count` calls, with arguments from `first` on, checks
// what they give, and says how many it was.
class Client {
 public:
  static Client* Create(Servers servers) { return new Client(std::move(servers)); }

  int64_t Tasks(int64_t first, int64_t count);
  int64_t TasksSync(int64_t first, int64_t count);
  int64_t Calls(int64_t first, int64_t count);         // of its servers in turn
  int64_t CallsSync(int64_t first, int64_t count);     // likewise
  int64_t CallsWithArg(int64_t first, int64_t count);  // likewise, with a reference
  int64_t PutSmall(int64_t first, int64_t count);
  int64_t PutLarge(int64_t first, int64_t count);
  // What the last puts have stored is what was put: throws if not.
  int64_t CheckPuts();

 private:
  explicit Client(Servers servers) : servers_(std::move(servers)) {}
  const ActorHandle<Counter>& Server(int64_t i) const {
    return servers_[static_cast<size_t>(i) % servers_.size()];
  }

  const Servers servers_;
  std::vector<int64_t> small_;
  std::vector<ObjectRef<int64_t>> small_refs_;
  std::vector<uint8_t> large_;
  ObjectRef<std::vector<uint8_t>> large_ref_;
};

namespace {

// As in Ray's rows.
constexpr size_t kTaskClients = 4;
constexpr size_t kTasksOfAClient = 10'000;
constexpr size_t kCallsOfAClient = 5000;
constexpr size_t kCallsWithArg = 1000;
constexpr size_t kPutClients = 10;
// Of our own.
constexpr size_t kSyncClients = 2;
constexpr size_t kSyncCalls = 1000;
constexpr size_t kLargePutClients = 2;  // each needs room for an object twice
constexpr size_t kServersMin = 2;
constexpr size_t kPutsKept = 100;  // of a client's small ones, until the next take their place

// Gives how many there were.
int64_t ExpectPlusOne(const std::vector<ObjectRef<int64_t>>& refs, int64_t first) {
  const auto values = rayx::Get(refs);
  for (size_t i = 0; i < values.size(); ++i) {
    Expect(*values[i], first + static_cast<int64_t>(i) + 1);
  }
  return static_cast<int64_t>(values.size());
}

template <class Call>
std::vector<ObjectRef<int64_t>> SubmitAll(int64_t count, const Call& call) {
  std::vector<ObjectRef<int64_t>> refs;
  refs.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) refs.push_back(call(i));
  return refs;
}

int64_t CallServers(const Servers& servers, int64_t first, int64_t count) {
  const auto refs = SubmitAll(count, [&](int64_t i) {
    const auto& server = servers[static_cast<size_t>(i) % servers.size()];
    return server.Task<&Counter::PlusOne>().Remote(first + i);
  });
  return ExpectPlusOne(refs, first);
}

}  // namespace

int64_t Client::Tasks(int64_t first, int64_t count) {
  const auto refs =
      SubmitAll(count, [&](int64_t i) { return rayx::Task<&AddOne>().Remote(first + i); });
  return ExpectPlusOne(refs, first);
}

int64_t Client::TasksSync(int64_t first, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    Expect(*rayx::Task<&AddOne>().Remote(first + i).Get(), first + i + 1);
  }
  return count;
}

int64_t Client::Calls(int64_t first, int64_t count) {
  return CallServers(servers_, first, count);
}

int64_t Client::CallsSync(int64_t first, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    Expect(*Server(i).Task<&Counter::PlusOne>().Remote(first + i).Get(), first + i + 1);
  }
  return count;
}

int64_t Client::CallsWithArg(int64_t first, int64_t count) {
  const auto shared = rayx::Put(first + 1);
  const auto refs = SubmitAll(
      count, [&](int64_t i) { return Server(i).Task<&Counter::Plus>().Remote(shared, i); });
  return ExpectPlusOne(refs, first);
}

int64_t Client::PutSmall(int64_t first, int64_t count) {
  small_.resize(kPutsKept);
  small_refs_.resize(kPutsKept);
  for (int64_t i = 0; i < count; ++i) {
    const size_t slot = static_cast<size_t>(i) % kPutsKept;
    small_[slot] = first + i;
    small_refs_[slot] = rayx::Put(first + i);
  }
  return count;
}

int64_t Client::PutLarge(int64_t first, int64_t count) {
  large_.resize(kLargeObjectBytes, 1);
  for (int64_t i = 0; i < count; ++i) {
    large_[static_cast<size_t>(first + i) % large_.size()] ^= static_cast<uint8_t>(first + i) | 1;
    large_ref_ = {};
    large_ref_ = rayx::Put(large_);
  }
  return count;
}

int64_t Client::CheckPuts() {
  for (size_t i = 0; i < small_refs_.size(); ++i) {
    if (small_refs_[i]) Expect(*small_refs_[i].Get(), small_[i]);
  }
  if (large_ref_ && *large_ref_.Get() != large_) {
    throw std::runtime_error("a client's put: read back other bytes");
  }
  return static_cast<int64_t>(small_refs_.size());
}

// n:n, as Ray has it: tasks that call actors.
int64_t WorkWithServers(const Servers& servers, int64_t first, int64_t count) {
  return CallServers(servers, first, count);
}

namespace {

using OwnedCounters = std::vector<std::shared_ptr<const ActorHandle<Counter>>>;
using OwnedClients = std::vector<std::shared_ptr<const ActorHandle<Client>>>;

// Ray's number: half of the cores; two where there are fewer, so that there is a choice.
size_t ServerCount() {
  const double cpus = rayx::ClusterResources()["CPU"];
  return std::max(kServersMin, static_cast<size_t>(cpus / 2));
}

OwnedCounters MakeServers(size_t count) {
  OwnedCounters servers;
  for (size_t i = 0; i < count; ++i) {
    servers.push_back(EndsWithRow(rayx::Actor<&Counter::Create>().Remote()));
  }
  return servers;
}

Servers HandlesOf(const OwnedCounters& servers) {
  Servers handles;
  for (const auto& server : servers) handles.push_back(*server);
  return handles;
}

OwnedClients MakeClients(size_t count, const Servers& servers) {
  OwnedClients clients;
  for (size_t i = 0; i < count; ++i) {
    clients.push_back(EndsWithRow(rayx::Actor<&Client::Create>().Remote(servers)));
  }
  return clients;
}

// Of each client's method with `count` calls at the same time: seconds until all have returned.
template <auto Method>
double TimeOf(const OwnedClients& clients, size_t count) {
  const auto each = static_cast<int64_t>(count);
  const int64_t first = TakeArguments(clients.size() * count);
  std::vector<ObjectRef<int64_t>> refs;
  const auto start = RowClock::now();
  for (size_t i = 0; i < clients.size(); ++i) {
    refs.push_back(
        clients[i]->template Task<Method>().Remote(first + static_cast<int64_t>(i) * each, each));
  }
  for (const auto& done : rayx::Get(refs)) Expect(*done, each);
  return SecondsSince(start);
}

// Calls a second of a sample: as many rounds as it needs, one after the other. All clients take
// part in each, with `round` calls together, as in Ray's rows. `seconds_of_one`: does a round.
template <class Round>
double RateOfRounds(size_t calls, size_t round, const Round& seconds_of_one) {
  const size_t rounds = std::max<size_t>(calls / round, 1);
  double seconds = 0;
  for (size_t i = 0; i < rounds; ++i) seconds += seconds_of_one();
  return static_cast<double>(rounds * round) / seconds;
}

// Calls a second of the clients together, in rounds of `each` calls of every one.
template <auto Method>
Sampler RateOf(OwnedClients clients, size_t each, OwnedCounters servers = {}) {
  return [clients = std::move(clients), each, servers = std::move(servers)](size_t calls) {
    return std::vector{
        RateOfRounds(calls, clients.size() * each, [&] { return TimeOf<Method>(clients, each); })};
  };
}

// The same of puts, which are checked after the time of a round was taken.
template <auto Method>
Sampler RateOfPuts(OwnedClients clients, size_t each, double value_of_one) {
  return [clients = std::move(clients), each, value_of_one](size_t calls) {
    const double rate = RateOfRounds(calls, clients.size() * each, [&] {
      const double seconds = TimeOf<Method>(clients, each);
      std::vector<ObjectRef<int64_t>> checks;
      for (const auto& client : clients) {
        checks.push_back(client->template Task<&Client::CheckPuts>().Remote());
      }
      rayx::Get(checks);
      return seconds;
    });
    return std::vector{rate * value_of_one};
  };
}

// Each client with a server of its own.
template <auto Method>
Sampler RateOfPairs(size_t pairs, size_t each) {
  OwnedCounters servers = MakeServers(pairs);
  OwnedClients clients;
  for (const auto& server : servers) {
    clients.push_back(EndsWithRow(rayx::Actor<&Client::Create>().Remote(Servers{*server})));
  }
  return RateOf<Method>(std::move(clients), each, std::move(servers));
}

Sampler OneToMany() {
  OwnedCounters servers = MakeServers(ServerCount());
  OwnedClients clients = MakeClients(1, HandlesOf(servers));
  return RateOf<&Client::Calls>(std::move(clients), kCallsOfAClient, std::move(servers));
}

double TimeOfTasks(const Servers& servers) {
  const auto each = static_cast<int64_t>(kCallsOfAClient);
  const int64_t first = TakeArguments(kTaskClients * kCallsOfAClient);
  std::vector<ObjectRef<int64_t>> refs;
  const auto start = RowClock::now();
  for (size_t i = 0; i < kTaskClients; ++i) {
    refs.push_back(rayx::Task<&WorkWithServers>().Remote(
        servers, first + static_cast<int64_t>(i) * each, each));
  }
  for (const auto& done : rayx::Get(refs)) Expect(*done, each);
  return SecondsSince(start);
}

Sampler ManyToMany() {
  return [servers = MakeServers(ServerCount())](size_t calls) {
    const Servers handles = HandlesOf(servers);
    return std::vector{
        RateOfRounds(calls, kTaskClients * kCallsOfAClient, [&] { return TimeOfTasks(handles); })};
  };
}

}  // namespace

std::vector<Row> ClientRows() {
  const auto ring = Limit::kRingRoundTrip;
  const auto rate = Unit::kPerSecond;
  const double large = static_cast<double>(kLargeObjectBytes) / 1e9;
  return {
      {{{"multi client put calls (Plasma Store)", rate, ring}},
       [] { return RateOfPuts<&Client::PutSmall>(MakeClients(kPutClients, {}), kPutsKept, 1); },
       kPutClients * kPutsKept},
      {{{"multi client put gigabytes", Unit::kGigabytesPerSecond, Limit::kWarmCopy}},
       [=] { return RateOfPuts<&Client::PutLarge>(MakeClients(kLargePutClients, {}), 1, large); },
       kLargePutClients},
      {{{"multi client tasks async", rate, ring}},
       [] { return RateOf<&Client::Tasks>(MakeClients(kTaskClients, {}), kTasksOfAClient); },
       kTaskClients * kTasksOfAClient},
      {{{"multi client tasks sync", rate, ring}},
       [] { return RateOf<&Client::TasksSync>(MakeClients(kSyncClients, {}), kSyncCalls); },
       kSyncClients * kSyncCalls},
      {{{"1:n actor calls async", rate, ring}}, OneToMany, kCallsOfAClient},
      {{{"n:n actor calls async", rate, ring}}, ManyToMany, kTaskClients * kCallsOfAClient},
      {{{"n:n actor calls sync", rate, ring}},
       [] { return RateOfPairs<&Client::CallsSync>(kSyncClients, kSyncCalls); },
       kSyncClients * kSyncCalls},
      {{{"n:n actor calls with arg async", rate, ring}},
       [] { return RateOfPairs<&Client::CallsWithArg>(ServerCount(), kCallsWithArg); },
       kServersMin * kCallsWithArg},
  };
}

}  // namespace rayx::cli
