// Where the calling code runs, and what the cluster is made of.
//
// Purpose:  for programs that act by node, attempt or job: GetRuntimeContext, Nodes, Actors, Jobs,
//           ClusterResources, AvailableResources.
// Owner:    values: pictures of the moment of the call.
// Threads:  any.
// Limits:   throws NotInitialized before Init and after Shutdown.
#ifndef RAYX_CONTEXT_H_
#define RAYX_CONTEXT_H_

#include <cstdint>
#include <map>
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
  // Whether the call runs in an actor.
  bool InActor() const { return is_.actor.creator != 0; }
  // False outside of an actor.
  bool WasCurrentActorRestarted() const { return is_.was_actor_restarted; }
  // In a detached actor, and in what it makes: of a job of its own (JobDescription::detached_from).
  std::uint32_t JobNumber() const { return is_.job; }
  // As NodeDescription::number.
  std::uint32_t NodeNumber() const { return is_.node; }
  std::uint64_t ProcessId() const { return is_.process; }  // of RayX: unique in the cluster
  // Of the VM.
  const std::string& HostName() const { return is_.host_name; }
  // The address by which other VMs reach this one.
  const std::string& NodeIp() const { return is_.node_ip; }
  // Where names of actors are looked up: Options::job_namespace.
  const std::string& Namespace() const { return is_.job_namespace; }
  // What the running task or actor may use; 0 in a driver.
  double LeasedCpus() const { return is_.leased_cpus; }
  // Options::local_mode.
  bool LocalMode() const { return is_.local_mode; }

 private:
  detail::ContextDescription is_;
};

using NodeDescription = detail::NodeDescription;
using ActorDescription = detail::ActorDescription;
using ActorState = detail::ActorState;
using JobDescription = detail::JobDescription;

// Of the calling thread: a driver's, or that of the task or actor that runs on it.
RAYX_PUBLIC RuntimeContext GetRuntimeContext();
// Every node that was ever part of the cluster, dead ones too.
RAYX_PUBLIC std::vector<NodeDescription> Nodes();
// The living ones and the newest of the dead, of all jobs.
RAYX_PUBLIC std::vector<ActorDescription> Actors();
// The running ones and the newest of the ended.
RAYX_PUBLIC std::vector<JobDescription> Jobs();
// What there is, by name, over all living nodes.
RAYX_PUBLIC std::map<std::string, double> ClusterResources();
// What of it nobody uses at the moment, as of each node's last heartbeat (half a second ago at
// most).
RAYX_PUBLIC std::map<std::string, double> AvailableResources();
// GetRuntimeContext().WasCurrentActorRestarted(), as Ray spells it.
RAYX_PUBLIC bool WasCurrentActorRestarted();
// GetRuntimeContext().Namespace(), as Ray spells it.
RAYX_PUBLIC std::string GetNamespace();

}  // namespace rayx

#endif  // RAYX_CONTEXT_H_
