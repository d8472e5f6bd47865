// runtime/model/ids.h
//
// Identities of the things that processes talk about.
//
// Purpose:  strong types for nodes, processes, jobs, tasks, objects, actors, functions and leases.
// Owner:    everyone (values).
// Threads:  any.
// Promises: making an id needs no randomness and no message: a process numbers what it makes. A
//           node number is never reused in a cluster's life, a process number never in a node's
//           life, so no id ever names two things.
// Limits:   zero is "none" in every type.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace rayx::model {

// Given by the head when a node daemon registers; 1 is the first node.
struct NodeNumber {
  uint32_t value = 0;
  friend auto operator<=>(const NodeNumber&, const NodeNumber&) = default;
  explicit operator bool() const { return value != 0; }
  template <typename H>
  friend H AbslHashValue(H h, const NodeNumber& id) {
    return H::combine(std::move(h), id.value);
  }
};

// node number in the upper half, the node's own count in the lower. Number 0 is the node daemon
// itself.
struct ProcessId {
  uint64_t value = 0;
  static constexpr ProcessId Make(NodeNumber node, uint32_t number) {
    return ProcessId{(uint64_t{node.value} << 32) | number};
  }
  NodeNumber node() const { return NodeNumber{static_cast<uint32_t>(value >> 32)}; }
  uint32_t number() const { return static_cast<uint32_t>(value); }
  bool is_daemon() const { return value != 0 && number() == 0; }
  friend auto operator<=>(const ProcessId&, const ProcessId&) = default;
  explicit operator bool() const { return value != 0; }
  template <typename H>
  friend H AbslHashValue(H h, const ProcessId& id) {
    return H::combine(std::move(h), id.value);
  }
};

// Given by the head when a driver connects.
struct JobId {
  uint32_t value = 0;
  friend auto operator<=>(const JobId&, const JobId&) = default;
  explicit operator bool() const { return value != 0; }
  template <typename H>
  friend H AbslHashValue(H h, const JobId& id) {
    return H::combine(std::move(h), id.value);
  }
};

// An object: the process that owns it and that process's count. The results of a task with n
// results have n consecutive sequences.
struct ObjectId {
  ProcessId owner;
  uint64_t sequence = 0;
  friend auto operator<=>(const ObjectId&, const ObjectId&) = default;
  explicit operator bool() const { return owner.value != 0; }
  template <typename H>
  friend H AbslHashValue(H h, const ObjectId& id) {
    return H::combine(std::move(h), id.owner.value, id.sequence);
  }
};

// A task is named by its first result, so that a result names the task that makes it.
using TaskId = ObjectId;

// An actor: the process that created it and that process's count.
struct ActorId {
  ProcessId creator;
  uint64_t sequence = 0;
  friend auto operator<=>(const ActorId&, const ActorId&) = default;
  explicit operator bool() const { return creator.value != 0; }
  template <typename H>
  friend H AbslHashValue(H h, const ActorId& id) {
    return H::combine(std::move(h), id.creator.value, id.sequence);
  }
};

// 64-bit hash of a function's qualified name and signature, stable across builds and programs.
struct FunctionId {
  uint64_t value = 0;
  friend auto operator<=>(const FunctionId&, const FunctionId&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const FunctionId& id) {
    return H::combine(std::move(h), id.value);
  }
};

// node number of the granting daemon in the upper half, that daemon's count in the lower.
struct LeaseId {
  uint64_t value = 0;
  friend auto operator<=>(const LeaseId&, const LeaseId&) = default;
  explicit operator bool() const { return value != 0; }
  template <typename H>
  friend H AbslHashValue(H h, const LeaseId& id) {
    return H::combine(std::move(h), id.value);
  }
};

std::string ToString(NodeNumber id);       // "n3"
std::string ToString(ProcessId id);        // "n3.p17"
std::string ToString(JobId id);            // "j1"
std::string ToString(const ObjectId& id);  // "n3.p17.o42"
std::string ToString(const ActorId& id);   // "n3.p17.a2"

}  // namespace rayx::model
