// Collective communication among actors.
//
// Purpose:  makes a set of actors a c10d process group over Gloo. The ranks meet in rayx::KeyValue,
//           so there is no address or port to choose; connections use the address by which VMs know
//           each other.
// Owner:    each actor owns its ProcessGroup; Leave, or its destructor, closes the connections,
//           upon which a collective that another rank is in fails at once: a rank that leaves ends
//           the group.
// Threads:  one at a time. In local mode the ranks are threads of one process.
// Promises: joining and every collective end within the group's timeout: done, or with an error.
// Errors:   Timeout names the ranks that did not join. GroupBroken: a rank is gone or late.
//           InvalidOption: a rank out of range, or one that has joined already.
//
//   rayx::torch::GroupSpec spec = rayx::torch::NewGroup(2);                    // in the driver
//   for (int rank = 0; rank < 2; ++rank) actors[rank].Task<&A::Join>().Remote(spec, rank);
//   ...
//   void A::Join(rayx::torch::GroupSpec spec, int rank) { group_.emplace(spec, rank); }
//   at::Tensor A::Sum(at::Tensor x) { group_->AllReduce(x); return x; }
#ifndef RAYX_TORCH_PROCESS_GROUP_H_
#define RAYX_TORCH_PROCESS_GROUP_H_

#include <ATen/core/Tensor.h>
#include <c10/util/intrusive_ptr.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace c10d {
class ProcessGroup;
}  // namespace c10d

namespace rayx::torch {

// A rank of the group is gone or did not answer in time; what() says how it showed. The group is of
// no further use. Remotely thrown, it arrives as itself.
class GroupBroken : public std::runtime_error {
 public:
  // `message`: how it showed.
  explicit GroupBroken(const std::string& message) : std::runtime_error(message) {}
};

// What the ranks must agree on: a value to pass to the actors.
struct GroupSpec {
  std::string name;  // unique in the job
  int size = 0;
  std::int64_t timeout_ms = 0;
};

inline constexpr std::chrono::milliseconds kGroupTimeout{15000};

// A group that nobody has joined yet. The timeout is that of joining and of each collective.
GroupSpec NewGroup(int size, std::chrono::milliseconds timeout = kGroupTimeout);

// A rank's end of the group.
class ProcessGroup {
 public:
  // Returns when all ranks have joined.
  ProcessGroup(const GroupSpec& spec, int rank);
  ~ProcessGroup();
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  // As given, from 0 to size() - 1:
  int rank() const { return rank_; }
  int size() const { return spec_.size; }

  // Each must be called by all ranks, in the same order, with tensors of the same type and sizes.
  // In place: the sum over all ranks.
  void AllReduce(at::Tensor& tensor);
  // In place: the root's values.
  void Broadcast(at::Tensor& tensor, int root);
  // Every rank's tensor, by rank.
  std::vector<at::Tensor> AllGather(const at::Tensor& tensor);
  // Returns when every rank has called it.
  void Barrier();

  // For everything else: <torch/csrc/distributed/c10d/ProcessGroup.hpp>. Throws GroupBroken after
  // Leave.
  const c10::intrusive_ptr<c10d::ProcessGroup>& c10d() const;

  // Closes the connections; a second call does nothing.
  void Leave() noexcept;

  // Call with what a use of c10d() threw: throws GroupBroken when it means that the group is
  // broken, having left it; else returns.
  void CheckBroken(const std::exception& error);

 private:
  class Connection;

  template <typename Call>
  void Collective(const char* name, const Call& call);
  void Join();
  void AwaitRanks(const std::string& prefix, const std::string& address);

  const GroupSpec spec_;
  const int rank_;
  std::unique_ptr<Connection> connection_;  // null after Leave
};

}  // namespace rayx::torch

#endif  // RAYX_TORCH_PROCESS_GROUP_H_
