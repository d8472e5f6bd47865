// Rows of large objects that go from one VM to others, and what runs in those VMs.
#include <array>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "cli/microbenchmark/fresh_program.h"
#include "cli/microbenchmark/rows.h"
#include "cli/microbenchmark/stream_limit.h"
#include "cli/microbenchmark/transfer_content.h"
#include "cli/microbenchmark/vm_cluster.h"

namespace rayx::cli {

// On a VM of its own.
class Receiver {
 public:
  using Content = std::vector<uint64_t>;

  static Receiver* Create() { return new Receiver; }
  int64_t Begin(int64_t value) const { return value + 1; }
  // Until all of it lies in this VM. One object, in a vector so that it comes as a reference.
  int64_t Fetch(const std::vector<ObjectRef<Content>>& object) {
    view_ = rayx::GetView(object.at(0));
    return static_cast<int64_t>(view_.size());
  }
  // Throws when what was fetched is not what was sent; lets go of it.
  int64_t Check(uint64_t seed) {
    ExpectWords({view_.data(), view_.size()}, seed);
    view_ = {};
    return static_cast<int64_t>(seed);
  }

 private:
  View<Content> view_;
};

namespace {

constexpr int kVmSamples = 5;
constexpr int kSlowVmSamples = 3;  // seconds each
constexpr int64_t kGigabit = 1'000'000'000;
constexpr char kDriver[] = "vm-driver";  // asked for a number of receivers; says seconds
constexpr double kTransferGigabytes = static_cast<double>(kTransferBytes) / 1e9;

using Receivers = std::vector<ActorHandle<Receiver>>;

// Of each receiver's call, all at once.
template <auto Method, class Argument>
std::vector<int64_t> CallAll(const Receivers& receivers, const Argument& argument) {
  std::vector<ObjectRef<int64_t>> refs;
  for (const auto& receiver : receivers) {
    refs.push_back(receiver.template Task<Method>().Remote(argument));
  }
  std::vector<int64_t> values;
  for (const auto& value : rayx::Get(refs)) values.push_back(*value);
  return values;
}

// Seconds until every receiver has a new object of this VM.
double Broadcast(const Receivers& receivers, Receiver::Content& words) {
  const int64_t seed = TakeArguments(1);
  for (const int64_t next : CallAll<&Receiver::Begin>(receivers, seed)) Expect(next, seed + 1);
  FillWords(words, static_cast<uint64_t>(seed));
  const std::vector<ObjectRef<Receiver::Content>> object = {rayx::Put(words)};
  const auto start = RowClock::now();
  const auto sizes = CallAll<&Receiver::Fetch>(receivers, object);
  const double seconds = SecondsSince(start);
  for (const int64_t size : sizes) Expect(size, static_cast<int64_t>(kTransferWords));
  const auto checked = CallAll<&Receiver::Check>(receivers, static_cast<uint64_t>(seed));
  for (const int64_t right : checked) Expect(right, seed);
  return seconds;
}

void Drive() {
  rayx::Init();
  Receivers all;
  Receiver::Content words(kTransferWords);
  for (size_t count = 0; std::cin >> count;) {
    while (all.size() < count) {
      const std::string resource = "vm" + std::to_string(all.size() + 2);
      all.push_back(rayx::Actor<&Receiver::Create>().SetResource(resource, 1).Remote());
    }
    const auto last = all.begin() + static_cast<std::ptrdiff_t>(count);
    SayNumbers({Broadcast({all.begin(), last}, words)});
  }
}

// VMs with a driver in the first.
struct Network {
  Network(int vms, Wire wire)
      : cluster(std::make_shared<VmCluster>(vms, wire)), driver(cluster, 1, kDriver) {}

  // Seconds.
  double BroadcastTo(int receivers) { return driver.Ask(std::to_string(receivers), 1)[0]; }

  std::shared_ptr<VmCluster> cluster;
  VmProgram driver;
};

Sampler Transfer(Wire wire) {
  const auto network = std::make_shared<Network>(2, wire);
  const auto stream = std::make_shared<StreamLimit>(network->cluster, wire);
  stream->Seconds();  // both warm up
  network->BroadcastTo(1);
  return [network, stream](size_t) -> std::vector<double> {
    const double limit = kTransferGigabytes / stream->Seconds();
    return {kTransferGigabytes / network->BroadcastTo(1), limit};
  };
}

constexpr std::array kBroadcasts = {2, 4};  // receivers

// With one transfer before each, which is its limit.
std::vector<double> BroadcastToEach(Network& network) {
  std::vector<double> values;
  for (const int receivers : kBroadcasts) {
    const double one = network.BroadcastTo(1);
    values.insert(values.end(), {network.BroadcastTo(receivers), one});
  }
  return values;
}

Sampler Broadcasts() {
  const auto network = std::make_shared<Network>(kBroadcasts.back() + 1, Wire::kInsecure);
  network->BroadcastTo(kBroadcasts.back());  // warms up
  return [network](size_t) { return BroadcastToEach(*network); };
}

Sampler SlowLinks() {
  const auto network = std::make_shared<Network>(kBroadcasts.back() + 1, Wire::kInsecure);
  const auto stream = std::make_shared<StreamLimit>(network->cluster, Wire::kInsecure);
  network->BroadcastTo(kBroadcasts.back());
  stream->Seconds();
  network->cluster->LimitLinks(kGigabit);
  return [network, stream](size_t) {
    // As a transfer is the limit of the broadcasts, a stream is that of a transfer.
    const double limit = kTransferGigabytes / stream->Seconds();
    std::vector<double> values = BroadcastToEach(*network);
    values.insert(values.begin(), {kTransferGigabytes / values[1], limit});
    return values;
  };
}

std::vector<Figure> BroadcastFigures(const std::string& links) {
  std::vector<Figure> figures;
  for (const int receivers : kBroadcasts) {
    const std::string name = "broadcast of 256 MiB to " + std::to_string(receivers) + " VMs";
    figures.push_back({name + links, Unit::kSeconds, Limit::kBeside});
  }
  return figures;
}

Row VmRow(std::vector<Figure> figures, int samples, std::function<Sampler()> begin) {
  return {std::move(figures), std::move(begin), 1, samples, RunsIn::kOwnDaemons};
}

}  // namespace

std::vector<Part> VmParts() {
  std::vector<Part> parts = StreamParts();
  parts.push_back({kDriver, Drive});
  return parts;
}

std::vector<Row> VmRows() {
  const std::string transfer = "transfer 256 MiB between 2 VMs, ";
  const std::string slow = ", links of 1 Gbit/s";
  const auto figure = [&](const std::string& name) -> Figure {
    return {transfer + name, Unit::kGigabytesPerSecond, Limit::kBeside};
  };
  std::vector<Figure> of_slow = BroadcastFigures(slow);
  of_slow.insert(of_slow.begin(), figure("insecure" + slow));
  return {
      VmRow({figure("insecure")}, kVmSamples, [] { return Transfer(Wire::kInsecure); }),
      VmRow({figure("TLS")}, kVmSamples, [] { return Transfer(Wire::kTls); }),
      VmRow(BroadcastFigures(""), kVmSamples, Broadcasts),
      VmRow(std::move(of_slow), kSlowVmSamples, SlowLinks),
  };
}

}  // namespace rayx::cli
