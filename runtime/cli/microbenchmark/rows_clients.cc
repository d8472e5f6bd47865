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
constexpr size_t kPutClients = 10;
// Of our own.
constexpr size_t kSyncClients = 2;
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

size_t ShareOf(size_t calls, size_t clients) {
  return std::max<size_t>(calls / clients, 1);
}

// Calls a second of `count` clients together.
template <auto Method>
Sampler RateOf(OwnedClients clients, OwnedCounters servers = {}) {
  return [clients = std::move(clients), servers = std::move(servers)](size_t calls) {
    const size_t each = ShareOf(calls, clients.size());
    return std::vector{static_cast<double>(each * clients.size()) / TimeOf<Method>(clients, each)};
  };
}

// The same of puts, which are checked after the time was taken.
template <auto Method>
Sampler RateOfPuts(OwnedClients clients, double value_of_one) {
  return [clients = std::move(clients), value_of_one](size_t calls) {
    const size_t each = ShareOf(calls, clients.size());
    const double seconds = TimeOf<Method>(clients, each);
    std::vector<ObjectRef<int64_t>> checks;
    for (const auto& client : clients) {
      checks.push_back(client->template Task<&Client::CheckPuts>().Remote());
    }
    rayx::Get(checks);
    return std::vector{static_cast<double>(each * clients.size()) * value_of_one / seconds};
  };
}

// Each client with a server of its own.
template <auto Method>
Sampler RateOfPairs(size_t pairs) {
  OwnedCounters servers = MakeServers(pairs);
  OwnedClients clients;
  for (const auto& server : servers) {
    clients.push_back(EndsWithRow(rayx::Actor<&Client::Create>().Remote(Servers{*server})));
  }
  return RateOf<Method>(std::move(clients), std::move(servers));
}

Sampler OneToMany() {
  OwnedCounters servers = MakeServers(ServerCount());
  OwnedClients clients = MakeClients(1, HandlesOf(servers));
  return RateOf<&Client::Calls>(std::move(clients), std::move(servers));
}

Sampler ManyToMany() {
  return [servers = MakeServers(ServerCount())](size_t calls) {
    const Servers handles = HandlesOf(servers);
    const auto each = static_cast<int64_t>(ShareOf(calls, kTaskClients));
    const int64_t first = TakeArguments(kTaskClients * static_cast<size_t>(each));
    std::vector<ObjectRef<int64_t>> refs;
    const auto start = RowClock::now();
    for (size_t i = 0; i < kTaskClients; ++i) {
      refs.push_back(rayx::Task<&WorkWithServers>().Remote(
          handles, first + static_cast<int64_t>(i) * each, each));
    }
    for (const auto& done : rayx::Get(refs)) Expect(*done, each);
    return std::vector{static_cast<double>(each) * kTaskClients / SecondsSince(start)};
  };
}

}  // namespace

std::vector<Row> ClientRows() {
  const auto ring = Limit::kRingRoundTrip;
  const auto rate = Unit::kPerSecond;
  const double large = static_cast<double>(kLargeObjectBytes) / 1e9;
  return {
      {{{"multi client put calls (Plasma Store)", rate, ring}},
       [] { return RateOfPuts<&Client::PutSmall>(MakeClients(kPutClients, {}), 1); },
       1000},
      {{{"multi client put gigabytes", Unit::kGigabytesPerSecond, Limit::kWarmCopy}},
       [=] { return RateOfPuts<&Client::PutLarge>(MakeClients(kLargePutClients, {}), large); },
       2},
      {{{"multi client tasks async", rate, ring}},
       [] { return RateOf<&Client::Tasks>(MakeClients(kTaskClients, {})); },
       kTaskClients * kTasksOfAClient},
      {{{"multi client tasks sync", rate, ring}},
       [] { return RateOf<&Client::TasksSync>(MakeClients(kSyncClients, {})); },
       200},
      {{{"1:n actor calls async", rate, ring}}, OneToMany, kCallsOfAClient},
      {{{"n:n actor calls async", rate, ring}}, ManyToMany, kTaskClients * kCallsOfAClient},
      {{{"n:n actor calls sync", rate, ring}},
       [] { return RateOfPairs<&Client::CallsSync>(kSyncClients); },
       200},
      {{{"n:n actor calls with arg async", rate, ring}},
       [] { return RateOfPairs<&Client::CallsWithArg>(ServerCount()); },
       1000},
  };
}

}  // namespace rayx::cli
