// Goal: a program and its own libraries that lie on one VM run on all; what is not shipped is
// missed by name; another build at the same path is never run. Method: three simulated VMs, the
// driver in a folder that VM 1 alone mounts; VM 2 has another build of its libraries there, VM 3
// has nothing. Needs root; says "not run" with the reason otherwise.
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "tests/integration/cluster/three_vms.h"

using namespace rayx::three_vms;

namespace {

constexpr char kFolder[] = "/tmp/app";  // in the VMs, where /tmp is private

// Files on the machine where no VM sees them, but through its mounts.
struct Hidden {
  Hidden() {
    char name[] = "/tmp/rayx-shipped-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
    const std::string built = OwnFolder() + "/shipped";
    fs::create_directory(path + "/one");
    for (const char* file : {"shipping_driver", "shipping_driver_rpath", "libshipped.so"}) {
      fs::copy(built + "/" + file, path + "/one");
    }
    fs::copy(built + "/libplanted.so", path + "/one");
    fs::copy(built + "/libplanted.so", path + "/one/libtorch_planted.so");
    fs::copy(OwnFolder() + "/../../lib/librayx.so", path + "/one");
    fs::create_directory(path + "/two");
    fs::copy(OwnFolder() + "/shipped_other/libshipped.so", path + "/two");
    fs::copy(path + "/two/libshipped.so", path + "/two/libtorch_planted.so");
  }
  ~Hidden() { fs::remove_all(path); }
  std::string path;
};

std::string Run(Cluster& cluster, const std::string& program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), std::string(kFolder) + "/" + program);
  arguments.insert(arguments.end(), {"--address", cluster.address()});
  const auto status = cluster.vms().Exec(1, arguments, {.working_folder = kFolder}, 60s);
  REQUIRE(status.ok());
  INFO(status->output << status->errors);
  CHECK(status->exit_code == 0);
  std::cout << program << ":\n" << status->output << std::flush;
  return status->output;
}

}  // namespace

TEST_CASE("shipping: a program and its libraries that one VM has run on three") {
  SkipUnlessVmsWork();
  const Hidden hidden;
  Cluster cluster({"1", "1", "1"},
                  {{1, hidden.path + "/one", kFolder}, {2, hidden.path + "/two", kFolder}});
  // RUNPATH comes after LD_LIBRARY_PATH; of an RPATH only $ORIGIN is looked in, which is another
  // folder there.
  for (const char* program : {"shipping_driver", "shipping_driver_rpath"}) {
    const auto lines = Lines(Run(cluster, program, {"tell", "-"}));
    REQUIRE(lines.size() == 6);  // a task and an actor on each VM
    for (size_t i = 0; i < lines.size(); ++i) {
      const std::string host = "vm" + std::to_string(i / 2 + 1);
      CHECK(lines[i].first == host);
      // VM 2's own build would say 43. What the loader was lent is not for what user code starts.
      CHECK_THAT(lines[i].second, Catch::StartsWith("value 42 " + host + " unset "));
      const std::string folder = host == "vm3" ? "/jobs/" : kFolder;
      CHECK_THAT(lines[i].second, Catch::Contains(folder));
    }
  }
  // A library that is loaded in every worker before anything runs.
  const std::string planted = std::string(kFolder) + "/libplanted.so";
  for (const auto& [host, outcome] : Lines(
           Run(cluster, "shipping_driver", {"planted", planted, "--code_search_path", planted}))) {
    INFO(host);
    CHECK(outcome == "value 7");
  }
  // One that only the driver has loaded: its functions are not in the workers.
  for (const auto& [host, outcome] : Lines(Run(cluster, "shipping_driver", {"planted", planted}))) {
    INFO(host);
    CHECK_THAT(outcome, Catch::StartsWith("error UnknownFunction") &&
                            Catch::Contains("/tmp/app/shipping_driver"));
  }
  const std::string torch = std::string(kFolder) + "/libtorch_planted.so";
  const std::string refused =
      Run(cluster, "shipping_driver", {"planted", torch, "--code_search_path", torch});
  CHECK(Value(refused, "vm1") == "value 7");
  CHECK_THAT(Value(refused, "vm2"), Catch::StartsWith("error LibraryMismatch") &&
                                        Catch::Contains("VM vm2") && Catch::Contains(torch));
  CHECK_THAT(Value(refused, "vm3"), Catch::StartsWith("error MissingLibrary") &&
                                        Catch::Contains("VM vm3 lacks libtorch_planted.so"));
  // After the jobs nothing of theirs is left but the parts.
  const ExitStatus left = cluster.Run(
      3, {"/bin/sh", "-c",
          "for i in $(seq 100); do [ -z \"$(ls -d /tmp/rayx-*/*/jobs/* "
          "/tmp/rayx-*/*/parts/prog* 2>/dev/null)\" ] && exit 0; sleep 0.1; done; exit 1"});
  INFO(left.output);
  CHECK(left.exit_code == 0);
}
