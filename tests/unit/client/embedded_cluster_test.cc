// Goal: a cluster of one's own that does not start says what happened. Method: RAYX_BIN names a
// script of the test's that ends in the way that is looked at.
#include "client/embedded_cluster.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <catch2/catch.hpp>

#include "client/connect.h"
#include "rayx/errors.h"

namespace rayx::client {
namespace {

using Catch::Matchers::Contains;

// Stands for the program rayx while it lives.
class Script {
 public:
  explicit Script(const std::string& lines) {
    char name[] = "/tmp/rayx-starter-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    folder_ = name;
    const std::string path = folder_ + "/rayx";
    std::ofstream(path) << "#!/bin/sh\n" << lines << "\n";
    REQUIRE(::chmod(path.c_str(), 0700) == 0);
    ::setenv("RAYX_BIN", path.c_str(), 1);
  }
  ~Script() {
    ::unsetenv("RAYX_BIN");
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

 private:
  std::string folder_;
};

base::Status Start() {
  return EmbeddedCluster::Start(Options()).status();
}

}  // namespace

TEST_CASE("EmbeddedCluster: a starter that dies at once is told with its end and its last words") {
  {
    const Script script("echo first; echo 'no libfoo.so' >&2; exit 127");
    const base::Status status = Start();
    CHECK(status.code() == absl::StatusCode::kUnavailable);
    CHECK_THAT(std::string(base::Message(status)), Contains("exited with code 127") &&
                                                       Contains("no libfoo.so") &&
                                                       !Contains("within 30 s"));
  }
  const Script script("kill -9 $$");
  CHECK_THAT(std::string(base::Message(Start())),
             Contains("killed by signal 9") && Contains("printed nothing"));
}

TEST_CASE("EmbeddedCluster: an answer that is none is quoted") {
  const Script script("echo hello >&3; exit 0");
  CHECK_THAT(std::string(base::Message(Start())), Contains("hello"));
}

TEST_CASE("EmbeddedCluster: an error that was answered is told, and by its kind") {
  const std::string answer =
      R"(echo '{"error":"the port is in use","head_address":"","session_folder":""}' >&3; exit )";
  {
    const Script script(answer + "1");
    const base::Status status = Start();
    CHECK(status.code() == absl::StatusCode::kUnavailable);
    CHECK_THAT(std::string(base::Message(status)), Contains("the port is in use"));
    CHECK_THROWS_AS(ConnectCluster(Options()), HeadUnavailable);
  }
  const Script script(answer + "2");
  CHECK(Start().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("EmbeddedCluster: an option that rayx start does not take is InvalidOption") {
  const Script script("echo \"rayx start: unknown option '--colour'\" >&2; exit 2");
  try {
    ConnectCluster(Options());
    FAIL("the start was to fail");
  } catch (const InvalidOption& error) {
    CHECK_THAT(error.what(), Contains("--colour"));
  }
}

TEST_CASE("EmbeddedCluster: a variable with a wrong value is InvalidOption and is named") {
  for (const auto& [name, value] :
       {std::pair("RAYX_BIN", "/no/rayx"), std::pair("RAYX_DEDUPLICATE_OUTPUT", "maybe")}) {
    ::setenv(name, value, 1);
    try {
      ConnectCluster(Options());
      FAIL("the start was to fail");
    } catch (const InvalidOption& error) {
      CHECK_THAT(error.what(), Contains(name) && Contains(value));
    }
    ::unsetenv(name);
  }
}

}  // namespace rayx::client
