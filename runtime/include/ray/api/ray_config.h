// What ray::Init can be told.
//
// Purpose:  Ray's configuration, and what each field means here.
// Owner:    a value; Init copies it.
// Promises: a flag of init.h counts more than the field.
#ifndef RAY_API_RAY_CONFIG_H_
#define RAY_API_RAY_CONFIG_H_

#include <ray/api/optional.h>
#include <ray/api/runtime_env.h>

#include <string>
#include <vector>

namespace ray {

// DETACHED: named actors outlive the program. Ones without a name, which no later program could
// find, end with it.
enum class ActorLifetime { NON_DETACHED, DETACHED };

// Each field has a default that works.
class RayConfig {
 public:
  // "ip:port" of a cluster's head; "": what RAYX_ADDRESS or RAY_ADDRESS says, else a cluster of one
  // VM that ends with the program.
  std::string address;
  // No cluster: tasks run at Remote(), actors on threads. Counts more than an address.
  bool local_mode = false;
  // Shared libraries, or folders of them, with user code: loaded here and in every worker. The
  // program itself needs none, because it is its own worker. Not used in local mode.
  std::vector<std::string> code_search_path;
  // More arguments for the start of the program's own cluster, those of `rayx start`. Without
  // effect beside an address.
  std::vector<std::string> head_args;
  // Of the actors whose creation says nothing else.
  ActorLifetime default_actor_lifetime = ActorLifetime::NON_DETACHED;
#ifdef RAY_HAS_RUNTIME_ENV
  // env_vars: environment variables of the workers. working_dir: the folder where they run, where a
  // VM has it.
  internal::Optional<RuntimeEnv> runtime_env;
#endif
  // Where names of actors live; "": a namespace of this program's own.
  std::string ray_namespace;

  // Without meaning here, and accepted. There is no Redis: a cluster has a token of its own, which
  // travels in its join file. Workers are started by the cluster alone.
  internal::Optional<std::string> redis_username_;
  internal::Optional<std::string> redis_password_;
  bool is_worker_ = false;
};

}  // namespace ray

#endif  // RAY_API_RAY_CONFIG_H_
