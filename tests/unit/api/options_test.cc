// Goal: flags, options and environment give the options that options.h promises; wrong ones are
// named. Method: ResolveOptions on made-up command lines.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <string>
#include <vector>

#include "rayx/errors.h"
#include "rayx/options.h"

namespace {

rayx::Options Resolve(std::vector<const char*> arguments, rayx::Options options = {},
                      std::vector<bool>* used = nullptr) {
  arguments.insert(arguments.begin(), "program");
  return rayx::detail::ResolveOptions(std::move(options), static_cast<int>(arguments.size()),
                                      arguments.data(), used);
}

std::string Refusal(std::vector<const char*> arguments, rayx::Options options = {}) {
  try {
    Resolve(std::move(arguments), std::move(options));
  } catch (const rayx::InvalidOption& error) {
    return error.what();
  }
  return "accepted";
}

// An environment variable for one test.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

}  // namespace

TEST_CASE("Options: flags in both spellings") {
  CHECK(Resolve({"--address=1.2.3.4:7399"}).address == "1.2.3.4:7399");
  CHECK(Resolve({"--ray_address", "auto"}).address == "auto");
  CHECK(Resolve({"--num-cpus=2.5"}).num_cpus == 2.5);
  CHECK(Resolve({"--num_gpus", "0"}).num_gpus == 0);
  CHECK(Resolve({"--object-store-memory=1000000"}).object_store_memory == 1'000'000);
  CHECK(Resolve({"--ray_job_namespace=team"}).job_namespace == "team");
  CHECK(Resolve({"--ray_code_search_path=/a:/b"}).preload_libraries ==
        std::vector<std::string>{"/a", "/b"});
  CHECK(Resolve({"--ray_head_args=--num-cpus 3"}).head_args ==
        std::vector<std::string>{"--num-cpus", "3"});
  CHECK(Resolve({"--local"}).local_mode);
  CHECK_FALSE(Resolve({"--local=false"}).local_mode);
}

TEST_CASE("Options: what is not ours is left alone") {
  std::vector<bool> used;
  const rayx::Options options =
      Resolve({"input", "--address", "a:1", "--mine", "--", "--local"}, {}, &used);
  CHECK(options.address == "a:1");
  CHECK_FALSE(options.local_mode);
  CHECK(used == std::vector<bool>{false, false, true, true, false, false, false});
}

TEST_CASE("Options: a slip in a flag's name is refused, with the name that was meant") {
  const auto meant = [](const char* argument, const std::string& name) {
    const std::string refusal = Refusal({argument, "3"});
    INFO(argument << ": " << refusal);
    CHECK(refusal.find("did you mean --" + name + "?") != std::string::npos);
  };
  meant("--adress", "address");
  meant("--addres=1.2.3.4:5", "address");
  meant("--num-cpu", "num_cpus");
  meant("--num_gpsu", "num_gpus");
  meant("--name-space", "namespace");
  meant("--object-store-memmory", "object_store_memory");
  meant("--loglevel", "log_level");
  // The program's own, however close it looks.
  for (const char* own : {"--locale", "--focal", "--nodes", "--num-cols", "--names", "--addressee",
                          "--", "--help", "adress", "-adress"}) {
    INFO(own);
    CHECK(Refusal({own}) == "accepted");
  }
  CHECK(Refusal({"--", "--adress", "x"}) == "accepted");
}

TEST_CASE("Options: a flag counts more than the option, the option more than the environment") {
  const Variable address("RAYX_ADDRESS", "environment:1");
  CHECK(Resolve({}).address == "environment:1");
  rayx::Options options;
  options.address = "option:1";
  CHECK(Resolve({}, options).address == "option:1");
  CHECK(Resolve({"--address=flag:1"}, options).address == "flag:1");
  CHECK(Resolve({"--local"}, options).local_mode);
  CHECK(Resolve({"--local"}, options).address.empty());
  options.local_mode = true;
  CHECK_FALSE(Resolve({"--address=flag:1"}, options).local_mode);
}

TEST_CASE("Options: local mode by the environment") {
  const Variable local("RAYX_LOCAL_MODE", "1");
  CHECK(Resolve({}).local_mode);
  CHECK_FALSE(Resolve({"--address=a:1"}).local_mode);
  const Variable level("RAYX_LOG_LEVEL", "info");
  CHECK(Resolve({}).log_level == "info");
  CHECK(Resolve({"--log-level=error"}).log_level == "error");
}

TEST_CASE("Options: wrong values are named, with what was expected") {
  CHECK(Refusal({"--num-cpus=many"}) ==
        "--num_cpus: 'many' is wrong; expected a number from 0 to 1000000.");
  CHECK(Refusal({"--num-cpus=-1"}).find("--num_cpus") == 0);
  CHECK(Refusal({"--num-cpus=nan"}).find("--num_cpus") == 0);
  CHECK(Refusal({"--num-cpus="}).find("--num_cpus") == 0);
  CHECK(Refusal({"--object-store-memory=-5"}).find("--object_store_memory") == 0);
  CHECK(Refusal({"--object-store-memory=99999999999999999999"}).find("--object_store_memory") == 0);
  CHECK(Refusal({"--address"}) == "--address: a value must follow.");
  CHECK(Refusal({"--address="}).find("--address") == 0);
  CHECK(Refusal({"--local=perhaps"}).find("--local") == 0);
  CHECK(Refusal({"--log-level=loud"}).find("--log_level") == 0);
  CHECK(Refusal({"--local", "--address=a:1"}).find("exclude each other") != std::string::npos);
  for (const char* own : {"--num-cpus=1", "--num-gpus=1", "--object-store-memory=1",
                          "--ray-head-args=--labels a=b"}) {
    const std::string refusal = Refusal({own, "--address=auto"});
    CHECK(refusal.find("is for a cluster of the program's own; that at 'auto'") !=
          std::string::npos);
    CHECK(Refusal({own, "--local"}) == "accepted");
  }
  rayx::Options options;
  options.env["A=B"] = "c";
  CHECK(Refusal({}, options).find("Options::env") == 0);
  const Variable local("RAYX_LOCAL_MODE", "maybe");
  CHECK(Refusal({}).find("RAYX_LOCAL_MODE") == 0);
}
