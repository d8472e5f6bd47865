// Where the calling code runs, and what the cluster is made of.
//
// Purpose:  for programs that act by node, attempt or job: GetRuntimeContext, Nodes.
// Owner:    values: pictures of the moment of the call.
// Threads:  any.
// Limits:   throws NotInitialized before Init and after Shutdown.
#ifndef RAYX_CONTEXT_H_
#define RAYX_CONTEXT_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "rayx/detail/runtime_interface.h"
#include "rayx/detail/visibility.h"

namespace rayx {

// A picture of the moment at which GetRuntimeContext was called.
class RuntimeContext {
 public:
  explicit RuntimeContext(detail::ContextDescription description) : is_(std::move(description)) {}

  const std::string& TaskName() const { return is_.task_name; }  // "" in a driver
  std::uint32_t Attempt() const { return is_.attempt; }          // of the task, from 1
  bool InActor() const { return is_.actor.creator != 0; }
  bool WasCurrentActorRestarted() const { return is_.was_actor_restarted; }
  std::uint32_t JobNumber() const { return is_.job; }
  std::uint32_t NodeNumber() const { return is_.node; }
  std::uint64_t ProcessId() const { return is_.process; }  // of RayX: unique in the cluster
  const std::string& HostName() const { return is_.host_name; }
  // The address by which other VMs reach this one.
  const std::string& NodeIp() const { return is_.node_ip; }
  const std::string& Namespace() const { return is_.job_namespace; }
  // What the running task or actor may use; 0 in a driver.
  double LeasedCpus() const { return is_.leased_cpus; }
  bool LocalMode() const { return is_.local_mode; }

 private:
  detail::ContextDescription is_;
};

using NodeDescription = detail::NodeDescription;

RAYX_PUBLIC RuntimeContext GetRuntimeContext();
// Every node that was ever part of the cluster, dead ones too.
RAYX_PUBLIC std::vector<NodeDescription> Nodes();
RAYX_PUBLIC bool WasCurrentActorRestarted();
RAYX_PUBLIC std::string GetNamespace();

}  // namespace rayx

#endif  // RAYX_CONTEXT_H_
