// What Init can be told.
//
// Purpose:  the options of a driver; every one has a default that works.
// Promises: a flag on the command line counts more than the option, the option more than the
//           environment variable. A wrong value throws InvalidOption that names the option and what
//           was expected. So does a flag that is one letter, or one swap of two, away from a flag
//           below of seven letters or more (`--adress`); a program whose own flag is so close puts
//           it behind a lone `--`. Every other argument is the program's own.
#ifndef RAYX_OPTIONS_H_
#define RAYX_OPTIONS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "rayx/detail/visibility.h"

namespace rayx {

// A value; Init copies it.
struct Options {
  // "ip:port" of a cluster's head; "auto": this user's running session; "": an embedded cluster of
  // one VM, which ends with this program.     --address, --ray_address; RAYX_ADDRESS
  std::string address;
  // No cluster: tasks run at Remote(), actors on threads of their own. Resources and labels are
  // accepted and ignored.   --local; RAYX_LOCAL_MODE=1
  bool local_mode = false;

  // The embedded cluster only. Negative: all CPUs of the VM, no GPU.     --num_cpus, --num_gpus
  double num_cpus = -1;
  double num_gpus = -1;
  // Other resources of the embedded cluster, by name.
  std::map<std::string, double> resources;
  // Bytes of shared memory for objects; 0: 30 % of the memory. The embedded cluster only.
  std::uint64_t object_store_memory = 0;  // --object_store_memory
  // More arguments for the `rayx start` of the embedded cluster.  --ray_head_args (separated by
  // blanks)
  std::vector<std::string> head_args;

  // Where names of actors live; "": a namespace of this job's own.  --namespace,
  // --ray_job_namespace
  std::string job_namespace;
  // Shared libraries, or folders of them, with user code: loaded here and in every worker before
  // anything runs.      --code_search_path, --ray_code_search_path (separated by ':')
  std::vector<std::string> preload_libraries;
  // Environment variables of the workers, beside the driver's own.
  std::map<std::string, std::string> env;
  // Where workers run; "": the driver's folder, where it exists.
  std::string working_folder;

  // Lines that workers print appear on this program's stdout and stderr.
  bool print_worker_output = true;
  // Of the runtime itself, on stderr: debug, info, warning, error, off.   --log_level;
  // RAYX_LOG_LEVEL
  std::string log_level = "warning";
};

namespace detail {

// The options after flags and environment. Flags are `--name=value` or `--name value` (a `-` in a
// name counts as `_`); everything from a lone `--` on, and every other argument, is the program's
// own. `used[i]` is set for each argument that was a flag of ours.
RAYX_PUBLIC Options ResolveOptions(Options options, int argc, const char* const* argv,
                                   std::vector<bool>* used);

}  // namespace detail
}  // namespace rayx

#endif  // RAYX_OPTIONS_H_
