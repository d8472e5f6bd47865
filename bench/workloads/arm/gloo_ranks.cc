#include "bench/workloads/arm/gloo_ranks.h"

#include <torch/torch.h>
#include <torch/version.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <numeric>
#include <stdexcept>

namespace rayx::bench {
namespace {

constexpr auto kConnectTimeout = std::chrono::minutes(2);
constexpr auto kLineTimeout = std::chrono::hours(12);  // ranks sleep while other arms run

struct HostPort {
  std::string host;
  uint16_t port = 0;
};

HostPort ParseRendezvous(const std::string& text) {
  const size_t colon = text.rfind(':');
  HostPort result;
  if (colon != std::string::npos) {
    result.host = text.substr(0, colon);
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + colon + 1, end, result.port);
    if (parsed.ec == std::errc() && parsed.ptr == end && !result.host.empty()) return result;
  }
  throw std::invalid_argument("--rendezvous is not ADDRESS:PORT: '" + text + "'");
}

at::Tensor TensorOf(const std::vector<double>& numbers, int64_t size) {
  at::Tensor tensor = at::zeros({size}, at::kDouble);
  std::copy(numbers.begin(), numbers.end(), tensor.data_ptr<double>());
  return tensor;
}

}  // namespace

struct GlooRanks::Connection {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group;
  c10::intrusive_ptr<c10d::ProcessGroup> whole;  // `group`, as all of c10d but itself wants it
};

GlooRanks::GlooRanks(const ArmOptions& options) : rank_(options.rank), size_(options.world_size) {
  if (size_ == 1) return;
  const HostPort where = ParseRendezvous(options.rendezvous);
  c10d::TCPStoreOptions store_options;
  store_options.port = where.port;
  store_options.isServer = rank_ == 0;
  store_options.numWorkers = static_cast<size_t>(size_);
  store_options.timeout = kConnectTimeout;
  const auto store = c10::make_intrusive<c10d::TCPStore>(where.host, store_options);
  const auto gloo_options = c10d::ProcessGroupGloo::Options::create(kConnectTimeout);
  gloo_options->devices.push_back(
      c10d::ProcessGroupGloo::createDeviceForHostname(options.own_address, /*lazyInit=*/false));
  connection_ = std::make_unique<Connection>();
  connection_->group = c10::make_intrusive<c10d::ProcessGroupGloo>(
      c10::make_intrusive<c10d::PrefixStore>("gloo", store), rank_, size_, gloo_options);
  connection_->store = store;
  connection_->whole = c10::make_intrusive<c10d::ProcessGroup>(store, rank_, size_);
  connection_->whole->setBackend(
      c10::DeviceType::CPU, c10d::ProcessGroup::GLOO,
      c10::static_intrusive_pointer_cast<c10d::Backend>(connection_->group));
  connection_->whole->setDefaultBackend(c10d::ProcessGroup::GLOO);
  Barrier();
  store->setTimeout(kLineTimeout);
}

GlooRanks::~GlooRanks() = default;

std::vector<double> GlooRanks::AllGather(const std::vector<double>& own,
                                         const std::vector<int64_t>& sizes) {
  if (size_ == 1) return own;
  // Gloo gathers parts of one size: the shorter ones are filled up.
  const int64_t largest = *std::max_element(sizes.begin(), sizes.end());
  std::vector<at::Tensor> input = {TensorOf(own, largest)};
  std::vector<std::vector<at::Tensor>> outputs(1);
  for (int rank = 0; rank < size_; ++rank) outputs[0].push_back(at::empty_like(input[0]));
  connection_->group->allgather(outputs, input)->wait();
  std::vector<double> all;
  for (int rank = 0; rank < size_; ++rank) {
    const auto* numbers = outputs[0][static_cast<size_t>(rank)].const_data_ptr<double>();
    all.insert(all.end(), numbers, numbers + sizes.at(static_cast<size_t>(rank)));
  }
  return all;
}

std::vector<double> GlooRanks::Broadcast(const std::vector<double>& numbers, int64_t size,
                                         int root) {
  if (size_ == 1) return numbers;
  std::vector<at::Tensor> tensors = {
      TensorOf(rank_ == root ? numbers : std::vector<double>(), size)};
  c10d::BroadcastOptions options;
  options.rootRank = root;
  connection_->group->broadcast(tensors, options)->wait();
  const auto* values = tensors[0].const_data_ptr<double>();
  return {values, values + size};
}

void GlooRanks::Sum(at::Tensor& tensor) {
  if (size_ == 1) return;
  std::vector<at::Tensor> tensors = {tensor};
  connection_->group->allreduce(tensors)->wait();
}

void GlooRanks::Broadcast(at::Tensor& tensor, int root) {
  if (size_ == 1) return;
  std::vector<at::Tensor> tensors = {tensor};
  c10d::BroadcastOptions options;
  options.rootRank = root;
  connection_->group->broadcast(tensors, options)->wait();
}

const c10::intrusive_ptr<c10d::ProcessGroup>& GlooRanks::group() const {
  return connection_->whole;
}

std::vector<int64_t> GlooRanks::Sum(const std::vector<int64_t>& own) {
  if (size_ == 1) return own;
  std::vector<int64_t> sum = own;
  std::vector<at::Tensor> tensors = {
      at::from_blob(sum.data(), {static_cast<int64_t>(sum.size())}, at::kLong)};
  connection_->group->allreduce(tensors)->wait();
  return sum;
}

std::vector<int64_t> GlooRanks::Joined(const std::vector<int64_t>& own) {
  // A sum of which every rank knows a part and has zeros elsewhere.
  std::vector<int64_t> sizes(static_cast<size_t>(size_));
  sizes[static_cast<size_t>(rank_)] = static_cast<int64_t>(own.size());
  sizes = Sum(sizes);
  const auto mine = sizes.begin() + rank_;
  std::vector<int64_t> all(
      static_cast<size_t>(std::accumulate(sizes.begin(), sizes.end(), int64_t{0})));
  std::copy(own.begin(), own.end(), all.begin() + std::accumulate(sizes.begin(), mine, int64_t{0}));
  return Sum(all);
}

void GlooRanks::ExchangeBytes(const void* outgoing, void* incoming, size_t item_bytes,
                              const std::vector<int64_t>& given) {
  const auto bytes = static_cast<int64_t>(item_bytes);
  std::vector<int64_t> sent, received;
  for (int rank = 0; rank < size_; ++rank) {
    sent.push_back(given.at(Place(rank_, rank)) * bytes);
    received.push_back(given.at(Place(rank, rank_)) * bytes);
  }
  const auto tensor = [](const void* data, const std::vector<int64_t>& sizes) {
    return at::from_blob(const_cast<void*>(data),  // Gloo writes into what it receives alone
                         {std::accumulate(sizes.begin(), sizes.end(), int64_t{0})}, at::kByte);
  };
  at::Tensor input = tensor(outgoing, sent), output = tensor(incoming, received);
  if (size_ == 1) {
    output.copy_(input);
  } else {
    connection_->group->alltoall_base(output, input, received, sent)->wait();
  }
}

void GlooRanks::Barrier() {
  if (connection_) connection_->group->barrier()->wait();
}

std::string GlooRanks::Share(const std::string& line) {
  if (size_ == 1) return line;
  const std::string key = "line-" + std::to_string(++lines_);
  std::string shared = line;
  if (rank_ == 0) {
    connection_->store->set(key, std::vector<uint8_t>(line.begin(), line.end()));
  } else {
    const std::vector<uint8_t> bytes = connection_->store->get(key);
    shared.assign(bytes.begin(), bytes.end());
  }
  // Rank 0 is the host of the store: it does not end before the others have read the end.
  if (shared.rfind("run ", 0) != 0) Barrier();
  return shared;
}

std::string GlooRanks::LibraryVersion() {
  return TORCH_VERSION;
}

void RunPhase(const std::string& name, GlooRanks& ranks, ArmEvents& events,
              const std::function<void()>& work) {
  ranks.Barrier();
  const PhaseClock clock;
  work();
  ranks.Barrier();
  events.Phase(name, clock.Seconds());
}

}  // namespace rayx::bench
