// Goal: Ray's configuration and flags mean here what they say there, or are refused. Method: Init
// with each, looking at what a program and its workers then are; flags by themselves beside it.
#include <dlfcn.h>
#include <ray/api.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>

#include "tests/compat/counter.h"
#include "tests/integration/cluster/two_nodes.h"
#include "tests/run_tests.h"

namespace app {

int Minus(int x, int y) {
  return x - y;
}
std::string Variable(std::string name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}
std::string Folder() {
  return std::filesystem::current_path().string();
}
RAY_REMOTE(Minus, Variable, Folder);

}  // namespace app

using app::ConfigOf;
using app::Counter;
using app::kPatience;

namespace {

// A command line that a test owns.
class CommandLine {
 public:
  CommandLine(std::initializer_list<std::string> words) : words_(words) {
    words_.insert(words_.begin(), "program");
    for (std::string& word : words_) argv_.push_back(word.data());
    argv_.push_back(nullptr);
  }
  int argc() const { return static_cast<int>(words_.size()); }
  char** argv() { return argv_.data(); }

 private:
  std::vector<std::string> words_;
  std::vector<char*> argv_;
};

// What of the command line is left for rayx::Init and for the program.
std::vector<std::string> Rest(ray::RayConfig& config, CommandLine line) {
  const auto rest = ray::internal::TakeFlags(config, line.argc(), line.argv());
  return {rest.begin(), rest.end()};
}

class EnvironmentVariable {
 public:
  EnvironmentVariable(const char* name, const char* value) : name_(name) {
    ::setenv(name, value, 1);
  }
  ~EnvironmentVariable() { ::unsetenv(name_); }
  EnvironmentVariable(const EnvironmentVariable&) = delete;
  EnvironmentVariable& operator=(const EnvironmentVariable&) = delete;

 private:
  const char* name_;
};

}  // namespace

TEST_CASE("Ray's API: Init without a word, and with flags, which stay on the command line") {
  ray::Init();
  CHECK(*ray::Task(app::Minus).Remote(3, 1).Get() == 2);
  CHECK_FALSE(ray::GetNamespace().empty());
  ray::Shutdown();

  ray::RayConfig config = ConfigOf("embedded");
  config.ray_namespace = "of the field";
  CommandLine line{"--ray_job_namespace=shop",
                   "-ray_head_args",
                   "--num-gpus 3",
                   "--ray_redis_password=",
                   "--own",
                   "1",
                   "--",
                   "--ray_address=10.0.0.1:7"};
  ray::Init(config, line.argc(), line.argv());
  CHECK(ray::GetNamespace() == "shop");
  CHECK(rayx::ClusterResources()["GPU"] == 3);
  CHECK(rayx::ClusterResources()["CPU"] == 2);
  CHECK(line.argv()[1] == std::string("--ray_job_namespace=shop"));
  ray::Shutdown();

  CommandLine local{"--local"};
  ray::Init(ray::RayConfig(), local.argc(), local.argv());
  CHECK(rayx::GetRuntimeContext().LocalMode());
  ray::Shutdown();
}

TEST_CASE("Ray's API: each flag of Ray's is taken, and nothing else") {
  ray::RayConfig config;
  config.head_args = {"--num-cpus", "1"};
  CHECK(Rest(config, {"--ray_address=10.0.0.1:7", "--ray_code_search_path", "a.so::b",
                      "--ray_default_actor_lifetime=Detached", "-ray_head_args=--num-gpus  2",
                      "--ray_job_namespace", "n", "--own=1", "-x", "ray_address=0"}) ==
        std::vector<std::string>{"program", "--own=1", "-x", "ray_address=0"});
  CHECK(config.address == "10.0.0.1:7");
  CHECK(config.code_search_path == std::vector<std::string>{"a.so", "b"});
  CHECK(config.default_actor_lifetime == ray::ActorLifetime::DETACHED);
  CHECK(config.head_args == std::vector<std::string>{"--num-cpus", "1", "--num-gpus", "2"});
  CHECK(config.ray_namespace == "n");

  ray::RayConfig same = config;
  CHECK(Rest(same,
             {"--ray_redis_username=u", "--ray_redis_password", "p", "--ray_job_id=01",
              "--ray_worker_id=w", "--ray_session_dir=s", "--ray_logs_dir=l",
              "--ray_node_ip_address=i", "--ray_node_manager_port=1", "--ray_raylet_socket_name=r",
              "--ray_plasma_store_socket_name=p", "--ray_runtime_env_hash=0",
              "--ray_address=", "--ray_job_namespace", "", "--", "--ray_address=1:1"}) ==
        std::vector<std::string>{"program", "--", "--ray_address=1:1"});
  CHECK(same.address == config.address);
  CHECK(same.ray_namespace == "n");

  CHECK_THROWS_WITH(Rest(same, {"--ray_address"}), "--ray_address: a value must follow.");
  CHECK_THROWS_WITH(Rest(same, {"--ray_default_actor_lifetime=forever"}),
                    Catch::Contains("'forever'") && Catch::Contains("non_detached"));
  CHECK_THROWS_AS(Rest(same, {"--ray_runtime_env={"}), ray::internal::RayRuntimeEnvException);
  CHECK_THROWS_AS(Rest(same, {"--ray_runtime_env=7"}), ray::internal::RayRuntimeEnvException);
  CHECK(Rest(same, {R"(--ray_runtime_env={"env_vars":{"A":"b"}})"}).size() == 1);
  CHECK(ray::internal::OptionsOf(same).env.at("A") == "b");
}

TEST_CASE("Ray's API: what a configuration means") {
  ray::RayConfig config;
  config.redis_username_ = "u";
  config.redis_password_ = "p";
  {
    const EnvironmentVariable address("RAY_ADDRESS", "10.0.0.2:7");
    CHECK(ray::internal::OptionsOf(config).address == "10.0.0.2:7");
    config.address = "10.0.0.3:7";
    CHECK(ray::internal::OptionsOf(config).address == "10.0.0.3:7");
    config.address.clear();
    const EnvironmentVariable of_rayx("RAYX_ADDRESS", "10.0.0.4:7");
    CHECK(ray::internal::OptionsOf(config).address.empty());  // RayX reads its own
    config.local_mode = true;
    CHECK(ray::internal::OptionsOf(config).address.empty());
  }
  config.code_search_path = {"no.so"};
  CHECK(ray::internal::OptionsOf(config).preload_libraries.empty());
  config.local_mode = false;
  CHECK(ray::internal::OptionsOf(config).preload_libraries.size() == 1);
  CHECK_THROWS_AS(ray::Init(config), ray::internal::RayException);
  CHECK_FALSE(ray::IsInitialized());
}

TEST_CASE("Ray's API: the libraries of code_search_path are there, and in workers") {
  ray::RayConfig config = ConfigOf("embedded");
  config.code_search_path = {PLANTED_LIBRARY};
  ray::Init(config);
  void* answer = ::dlsym(RTLD_DEFAULT, "PlantedAnswer");
  REQUIRE(answer != nullptr);
  CHECK(*ray::Task(reinterpret_cast<int (*)()>(answer)).Remote().Get(kPatience) == 7);
  ray::Shutdown();
}

TEST_CASE("Ray's API: a runtime environment is given to the job, or refused") {
  ray::RuntimeEnv environment;
  CHECK(environment.Empty());
  const std::map<std::string, std::string> variables{{"COMPAT_KEY", "compat value"}};
  environment.Set("env_vars", variables);
  environment.SetJsonStr("working_dir", "\"/usr\"");
  CHECK(environment.Contains("env_vars"));
  CHECK(environment.GetJsonStr("working_dir") == "\"/usr\"");
  CHECK(environment.Get<std::string>("working_dir") == "/usr");
  CHECK(ray::RuntimeEnv::Deserialize(environment.Serialize())
            .Get<std::map<std::string, std::string>>("env_vars") == variables);
  CHECK_THROWS_AS(environment.Get<int>("working_dir"), ray::internal::RayRuntimeEnvException);
  CHECK_THROWS_AS(environment.Get<int>("none"), ray::internal::RayRuntimeEnvException);

  ray::RayConfig config = ConfigOf("embedded");
  config.runtime_env = environment;
  ray::Init(config);
  CHECK(*ray::Task(app::Variable).Remote(std::string("COMPAT_KEY")).Get() == "compat value");
  CHECK(*ray::Task(app::Folder).Remote().Get() == "/usr");
  CHECK_THROWS_AS(ray::Task(app::Folder).SetRuntimeEnv(environment),
                  ray::internal::RayRuntimeEnvException);
  CHECK_THROWS_AS(ray::Actor(RAY_FUNC(Counter::FactoryCreate)).SetRuntimeEnv(environment),
                  ray::internal::RayException);
  CHECK(*ray::Task(app::Minus).SetRuntimeEnv(ray::RuntimeEnv()).Remote(3, 1).Get() == 2);
  ray::Shutdown();

  CHECK(environment.Remove("env_vars"));
  CHECK_FALSE(environment.Remove("env_vars"));
  environment.Set("working_dir", std::string("https://host/dir.zip"));
  config.runtime_env = environment;
  CHECK_THROWS_AS(ray::Init(config), ray::internal::RayRuntimeEnvException);
  environment.Remove("working_dir");
  environment.Set("pip", std::vector<std::string>{"numpy"});
  config.runtime_env = environment;
  CHECK_THROWS_WITH(ray::Init(config), Catch::Contains("'pip'"));
  CHECK_FALSE(ray::IsInitialized());
}

TEST_CASE(
    "Ray's API: actors that are detached by default outlive their program if they are named") {
  rayx::testing::TwoNodes cluster;
  const EnvironmentVariable session("RAYX_SESSION_DIR", cluster.Folder(1).c_str());
  ray::RayConfig config;
  config.address = "auto";
  config.ray_namespace = "shop";
  config.default_actor_lifetime = ray::ActorLifetime::DETACHED;
  ray::Init(config);
  auto parent = ray::Actor(RAY_FUNC(Counter::FactoryCreate)).Remote();
  // Its own one, too: the workers know.
  parent.Task(&Counter::MakeChild).Remote(std::string("child")).Get(kPatience);
  auto named = ray::Actor(RAY_FUNC(Counter::FactoryCreate)).SetName("named").Remote();
  CHECK(*named.Task(&Counter::Add).Remote(5).Get(kPatience) == 5);
  ray::Shutdown();

  config.default_actor_lifetime = ray::ActorLifetime::NON_DETACHED;
  ray::Init(config);
  REQUIRE(bool(ray::GetActor<Counter>("named")));
  CHECK(*ray::GetActor<Counter>("named")->Task(&Counter::Get).Remote().Get(kPatience) == 5);
  REQUIRE(bool(ray::GetActor<Counter>("child")));
  CHECK(*ray::GetActor<Counter>("child")->Task(&Counter::Get).Remote().Get(kPatience) == 100);
  auto passing = ray::Actor(RAY_FUNC(Counter::FactoryCreate)).SetName("passing").Remote();
  CHECK(*passing.Task(&Counter::Add).Remote(1).Get(kPatience) == 1);
  ray::Shutdown();

  ray::Init(config);
  CHECK_FALSE(bool(ray::GetActor<Counter>("passing")));
  CHECK(bool(ray::GetActor<Counter>("named")));
  ray::Shutdown();
}

int main(int argc, char** argv) {
  return rayx::testing::RunTests(argc, argv);
}
