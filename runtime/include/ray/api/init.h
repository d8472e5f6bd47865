// ray::Init in its three forms, and the flags of Ray's programs.
//
// Purpose:  Init(), Init(config), Init(config, argc, argv).
// Threads:  as rayx::Init.
// Promises: Flags are `--name=value` or `--name value`, one dash or two, up to a lone `--`:
//             --ray_address, --ray_code_search_path (separated by ':'), --ray_job_namespace,
//             --ray_default_actor_lifetime (detached, non_detached), --ray_runtime_env (JSON): as
//               the field of RayConfig, and more than it
//             --ray_head_args (separated by blanks): behind RayConfig::head_args
//             --ray_redis_username, --ray_redis_password, and those by which Ray starts its own
//               workers (--ray_job_id, --ray_session_dir and the like): accepted, without meaning
//           An empty value says nothing. Those of rayx/options.h (--local, --num_cpus) work too.
//           argv stays as it is. A wrong value throws RayException.
#ifndef RAY_API_INIT_H_
#define RAY_API_INIT_H_

#include <ray/api/ray_config.h>
#include <ray/api/ray_exception.h>
#include <rayx/init.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ray {
namespace internal {

// By which workers learn the program's default_actor_lifetime.
inline constexpr const char* kLifetimeVariable = "RAYX_RAY_ACTOR_LIFETIME";

// Whether the actors of this program are detached where nothing else is said.
inline std::atomic<bool>& DetachedByDefault() {
  static std::atomic<bool> detached = std::getenv(kLifetimeVariable) != nullptr;
  return detached;
}

inline std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find(separator, begin);
    const std::size_t bytes = end == std::string::npos ? text.size() - begin : end - begin;
    if (bytes != 0) parts.push_back(text.substr(begin, bytes));
    begin += bytes + 1;
  }
  return parts;
}

inline ActorLifetime ParseLifetime(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (text == "detached") return ActorLifetime::DETACHED;
  if (text == "non_detached") return ActorLifetime::NON_DETACHED;
  throw ::rayx::InvalidOption("--ray_default_actor_lifetime: '" + text +
                              "' is wrong; expected detached or non_detached.");
}

inline constexpr std::string_view kFlags[] = {
    "ray_address", "ray_code_search_path", "ray_default_actor_lifetime", "ray_head_args",
    "ray_job_namespace", "ray_runtime_env",
    // Without meaning here:
    "ray_job_id", "ray_logs_dir", "ray_node_ip_address", "ray_node_manager_port",
    "ray_plasma_store_socket_name", "ray_raylet_socket_name", "ray_redis_password",
    "ray_redis_username", "ray_runtime_env_hash", "ray_session_dir", "ray_worker_id"};

inline void ApplyFlag(RayConfig& config, std::string_view name, const std::string& value) {
  if (value.empty()) return;
  if (name == "ray_address") config.address = value;
  if (name == "ray_code_search_path") config.code_search_path = Split(value, ':');
  if (name == "ray_default_actor_lifetime") config.default_actor_lifetime = ParseLifetime(value);
  if (name == "ray_head_args") {
    for (std::string& word : Split(value, ' ')) config.head_args.push_back(std::move(word));
  }
  if (name == "ray_job_namespace") config.ray_namespace = value;
  if (name == "ray_runtime_env") {
#ifdef RAY_HAS_RUNTIME_ENV
    config.runtime_env = RuntimeEnv::Deserialize(value);
#else
    throw RayRuntimeEnvException(
        "--ray_runtime_env: this program was compiled where nlohmann-json's header is missing.");
#endif
  }
}

// The name of a flag of Ray's, as it stands on the command line; "" for any other argument.
inline std::string_view FlagName(std::string_view argument) {
  if (argument.substr(0, 1) != "-") return {};
  const std::size_t dashes = argument.substr(0, 2) == "--" ? 2 : 1;
  const std::string_view name = argument.substr(0, argument.find('=')).substr(dashes);
  for (const std::string_view flag : kFlags) {
    if (name == flag) return name;
  }
  return {};
}

// Takes Ray's flags; what is left is RayX's or the program's own.
inline std::vector<char*> TakeFlags(RayConfig& config, int argc, char** argv) {
  std::vector<char*> rest;
  int i = 0;
  for (; i < argc && std::string_view(argv[i]) != "--"; ++i) {
    const std::string_view argument = argv[i];
    const std::string_view name = i == 0 ? std::string_view() : FlagName(argument);
    const std::size_t equals = argument.find('=');
    if (name.empty()) {
      rest.push_back(argv[i]);
    } else if (equals != std::string_view::npos) {
      ApplyFlag(config, name, std::string(argument.substr(equals + 1)));
    } else if (i + 1 < argc) {
      ApplyFlag(config, name, argv[++i]);
    } else {
      throw ::rayx::InvalidOption(std::string(argument) + ": a value must follow.");
    }
  }
  rest.insert(rest.end(), argv + i, argv + argc);
  return rest;
}

// What a Ray program that names no cluster means by its environment.
inline std::string AddressOfEnvironment() {
  const char* address = std::getenv("RAY_ADDRESS");
  const bool says_rayx =
      std::getenv("RAYX_ADDRESS") != nullptr || std::getenv("RAYX_LOCAL_MODE") != nullptr;
  return address == nullptr || says_rayx ? "" : address;
}

#ifdef RAY_HAS_RUNTIME_ENV
inline void ApplyRuntimeEnv(const RuntimeEnv& environment, ::rayx::Options& options) {
  for (const std::string& name : environment.Names()) {
    if (name == "env_vars") {
      options.env = environment.Get<std::map<std::string, std::string>>(name);
    } else if (name == "working_dir") {
      options.working_folder = environment.Get<std::string>(name);
      if (options.working_folder.find("://") != std::string::npos) {
        throw RayRuntimeEnvException("RuntimeEnv: working_dir '" + options.working_folder +
                                     "' is fetched from nowhere here; expected a folder.");
      }
    } else {
      throw RayRuntimeEnvException("RuntimeEnv: RayX has no '" + name +
                                   "'; expected env_vars or working_dir.");
    }
  }
}
#endif

inline ::rayx::Options OptionsOf(const RayConfig& config) {
  ::rayx::Options options;
  options.local_mode = config.local_mode;
  options.address = config.address;
  if (options.address.empty() && !config.local_mode) options.address = AddressOfEnvironment();
  if (!config.local_mode) options.preload_libraries = config.code_search_path;
  options.head_args = config.head_args;
  options.job_namespace = config.ray_namespace;
#ifdef RAY_HAS_RUNTIME_ENV
  if (config.runtime_env) ApplyRuntimeEnv(*config.runtime_env, options);
#endif
  if (config.default_actor_lifetime == ActorLifetime::DETACHED) {
    options.env.emplace(kLifetimeVariable, "detached");
  }
  return options;
}

}  // namespace internal

inline void Init(const RayConfig& config, int argc, char** argv) {
  RayConfig with_flags = config;
  std::vector<char*> rest;
  if (argv != nullptr && argc > 0) rest = internal::TakeFlags(with_flags, argc, argv);
  const int count = static_cast<int>(rest.size());
  rest.push_back(nullptr);
  const ::rayx::Options options = internal::OptionsOf(with_flags);
  if (!::rayx::IsInitialized()) {
    internal::DetachedByDefault() = with_flags.default_actor_lifetime == ActorLifetime::DETACHED;
  }
  ::rayx::Init(count, rest.data(), options);
}

inline void Init(const RayConfig& config) {
  Init(config, 0, nullptr);
}

// On a cluster of the program's own, or the one that RAYX_ADDRESS or RAY_ADDRESS names.
inline void Init() {
  Init(RayConfig());
}

}  // namespace ray

#endif  // RAY_API_INIT_H_
