// bench/workloads/arm/gloo_ranks.h
//
// The ranks of an arm in C++ on c10d, without RayX: they meet in a TCPStore and talk over Gloo, as
// torchrun's Python ranks do.
// Owner:    an arm's main.                      Threads: one at a time.
// Inputs:   --rank, --world-size, --rendezvous, --own-address; a wrong address is an error.
// Limits:   each collective must be called by all ranks, in the same order. One rank needs no
//           rendezvous and talks to nobody.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/intrusive_ptr.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "bench/workloads/arm/arm_program.h"

namespace c10d {
class ProcessGroup;
}  // namespace c10d

namespace rayx::bench {

class GlooRanks {
 public:
  // Returns when all ranks are connected.
  explicit GlooRanks(const ArmOptions& options);
  ~GlooRanks();

  int rank() const { return rank_; }
  int size() const { return size_; }

  // Every rank's numbers, by rank; `sizes` says how many each has, the same on every rank.
  std::vector<double> AllGather(const std::vector<double>& own, const std::vector<int64_t>& sizes);
  // The numbers of `root`, of which there are `size`, on every rank.
  std::vector<double> Broadcast(const std::vector<double>& numbers, int64_t size, int root);
  // In place: the sum over all ranks.
  void Sum(at::Tensor& tensor);
  // In place: the tensor of `root`.
  void Broadcast(at::Tensor& tensor, int root);
  // The sum over all ranks, number by number; all have as many.
  std::vector<int64_t> Sum(const std::vector<int64_t>& own);
  // Every rank's numbers, by rank, however many each has.
  std::vector<int64_t> Joined(const std::vector<int64_t>& own);
  // All to all: `outgoing` has the items for rank 0, then those for rank 1, ..; given[from * size()
  // + to] says how many each gives to each, the same on every rank. What it is given, by rank.
  template <typename Item>
  std::vector<Item> Exchange(const std::vector<Item>& outgoing, const std::vector<int64_t>& given) {
    static_assert(std::is_trivially_copyable_v<Item>);
    int64_t count = 0;
    for (int from = 0; from < size_; ++from) count += given.at(Place(from, rank_));
    std::vector<Item> incoming(static_cast<size_t>(count));
    ExchangeBytes(outgoing.data(), incoming.data(), sizeof(Item), given);
    return incoming;
  }
  void Barrier();
  // Rank 0's line on every rank. The others sleep until it is there, for hours if need be.
  std::string Share(const std::string& line);

  // For what else c10d has. More than one rank.
  const c10::intrusive_ptr<c10d::ProcessGroup>& group() const;

  // Of LibTorch, for the `ready` event.
  static std::string LibraryVersion();

 private:
  struct Connection;
  size_t Place(int from, int to) const {
    return static_cast<size_t>(from) * static_cast<size_t>(size_) + static_cast<size_t>(to);
  }
  void ExchangeBytes(const void* outgoing, void* incoming, size_t item_bytes,
                     const std::vector<int64_t>& given);
  const int rank_, size_;
  int64_t lines_ = 0;
  std::unique_ptr<Connection> connection_;  // null for one rank
};

// A phase of the protocol: the time between two points where all ranks have arrived.
void RunPhase(const std::string& name, GlooRanks& ranks, ArmEvents& events,
              const std::function<void()>& work);

}  // namespace rayx::bench
