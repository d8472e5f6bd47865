#include "rayx/torch/process_group.h"

#include <torch/torch.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include <optional>
#include <utility>

#include "rayx/rayx.h"
#include "torch/gloo_group.h"
#include "torch/key_value_store.h"

RAYX_EXCEPTION(rayx::torch::GroupBroken);

namespace rayx::torch {
namespace {

constexpr char kCounterKey[] = "rayx.torch/groups";
constexpr int kRanksMax = 4096;

std::string RankKey(int rank) {
  return "rank/" + std::to_string(rank);
}

bool IsLoopback(const std::string& address) {
  return address.rfind("127.", 0) == 0 || address == "localhost" || address == "::1";
}

void CheckSpec(const GroupSpec& spec, int rank) {
  if (spec.name.empty() || spec.size < 1 || spec.size > kRanksMax || spec.timeout_ms < 1) {
    throw InvalidOption("ProcessGroup: a GroupSpec of NewGroup is needed, not one of name '" +
                        spec.name + "', size " + std::to_string(spec.size) + ", timeout " +
                        std::to_string(spec.timeout_ms) + " ms");
  }
  if (rank < 0 || rank >= spec.size) {
    throw InvalidOption("ProcessGroup " + spec.name + ": rank " + std::to_string(rank) +
                        " is not one of 0 to " + std::to_string(spec.size - 1));
  }
}

}  // namespace

GroupSpec NewGroup(int size, std::chrono::milliseconds timeout) {
  GroupSpec spec{"", size, timeout.count()};
  if (size < 1 || size > kRanksMax) {
    throw InvalidOption("NewGroup: the size must be 1 to " + std::to_string(kRanksMax) + ", not " +
                        std::to_string(size));
  }
  if (spec.timeout_ms < 1) throw InvalidOption("NewGroup: the timeout must be at least 1 ms");
  spec.name = "group-" + std::to_string(KeyValue::Add(kCounterKey, 1));
  return spec;
}

// What lives from joining to leaving.
class ProcessGroup::Connection {
 public:
  Connection(const std::string& prefix, std::chrono::milliseconds timeout)
      : store(c10::make_intrusive<KeyValueStore>(prefix, timeout)) {}
  ~Connection() {
    group.reset();
    store->Forget();
  }

  const c10::intrusive_ptr<KeyValueStore> store;
  c10::intrusive_ptr<c10d::ProcessGroup> group;
};

ProcessGroup::ProcessGroup(const GroupSpec& spec, int rank) : spec_(spec), rank_(rank) {
  CheckSpec(spec_, rank_);
  Join();
}

ProcessGroup::~ProcessGroup() {
  Leave();
}

void ProcessGroup::Join() {
  const std::string prefix = "rayx.torch/" + spec_.name + "/";
  std::string address = GetRuntimeContext().NodeIp();
  if (address.empty()) address = "127.0.0.1";
  if (!KeyValue::PutIfAbsent(prefix + RankKey(rank_), address)) {
    throw InvalidOption("ProcessGroup " + spec_.name + ": rank " + std::to_string(rank_) +
                        " has joined already; a group cannot be joined a second time");
  }
  AwaitRanks(prefix, address);
  GlooOptions options;
  options.rank = rank_;
  options.size = spec_.size;
  options.address = address;
  options.timeout = std::chrono::milliseconds(spec_.timeout_ms);
  connection_ = std::make_unique<Connection>(prefix + "gloo/", options.timeout);
  Collective("joining", [&] { connection_->group = ConnectGloo(connection_->store, options); });
}

// Waits for all, so that an absent rank is named before Gloo waits for it in vain.
void ProcessGroup::AwaitRanks(const std::string& prefix, const std::string& address) {
  std::vector<std::string> keys;
  for (int rank = 0; rank < spec_.size; ++rank) keys.push_back(prefix + RankKey(rank));
  const bool all = KeyValue::Wait(keys, static_cast<int>(spec_.timeout_ms));
  std::string missing;
  for (int rank = 0; rank < spec_.size; ++rank) {
    const std::optional<std::string> peer = KeyValue::Get(keys[static_cast<std::size_t>(rank)]);
    if (!peer) {
      missing += (missing.empty() ? "" : ", ") + std::to_string(rank);
    } else if (IsLoopback(*peer) != IsLoopback(address)) {
      throw InvalidOption("ProcessGroup " + spec_.name + ": rank " + std::to_string(rank) +
                          " is on a VM with the address " + *peer + ", rank " +
                          std::to_string(rank_) + " on one with " + address +
                          ": they cannot reach each other; start the nodes with --listen");
    }
  }
  if (all) return;
  throw Timeout("ProcessGroup " + spec_.name + ": of " + std::to_string(spec_.size) +
                " ranks these did not join within " + std::to_string(spec_.timeout_ms) +
                " ms: " + missing);
}

const c10::intrusive_ptr<c10d::ProcessGroup>& ProcessGroup::c10d() const {
  if (!connection_) {
    throw GroupBroken("group " + spec_.name + ": rank " + std::to_string(rank_) + " has left it");
  }
  return connection_->group;
}

void ProcessGroup::Leave() noexcept {
  connection_.reset();
}

void ProcessGroup::CheckBroken(const std::exception& error) {
  if (!IsGroupFailure(error)) return;
  Leave();
  throw GroupBroken("group " + spec_.name + ", rank " + std::to_string(rank_) + " of " +
                    std::to_string(spec_.size) + ": " + GroupFailureText(error));
}

template <typename Call>
void ProcessGroup::Collective(const char* name, const Call& call) {
  try {
    call();
  } catch (const std::exception& error) {
    if (!IsGroupFailure(error)) throw;
    Leave();
    throw GroupBroken("group " + spec_.name + ", rank " + std::to_string(rank_) + " of " +
                      std::to_string(spec_.size) + ": " + name + ": " + GroupFailureText(error));
  }
}

void ProcessGroup::AllReduce(at::Tensor& tensor) {
  std::vector<at::Tensor> tensors{tensor};
  Collective("AllReduce", [&] { c10d()->allreduce(tensors)->wait(); });
}

void ProcessGroup::Broadcast(at::Tensor& tensor, int root) {
  std::vector<at::Tensor> tensors{tensor};
  c10d::BroadcastOptions options;
  options.rootRank = root;
  Collective("Broadcast", [&] { c10d()->broadcast(tensors, options)->wait(); });
}

std::vector<at::Tensor> ProcessGroup::AllGather(const at::Tensor& tensor) {
  std::vector<at::Tensor> input{tensor};
  std::vector<std::vector<at::Tensor>> outputs(1);
  for (int rank = 0; rank < spec_.size; ++rank) outputs[0].push_back(at::empty_like(tensor));
  Collective("AllGather", [&] { c10d()->allgather(outputs, input)->wait(); });
  return std::move(outputs[0]);
}

void ProcessGroup::Barrier() {
  Collective("Barrier", [&] { c10d()->barrier()->wait(); });
}

}  // namespace rayx::torch
