// Goal: a program and its own libraries that lie on one VM run on all; what is not shipped is
// missed by name; another build at the same path is never run; a detached actor finds its program
// after its driver and its VM are gone. Method: three simulated VMs, the driver in a folder that
// VM 1 alone mounts; VM 2 has another build of its libraries there, VM 3 has nothing. Needs root;
// says "not run" with the reason otherwise.
#include <catch2/catch.hpp>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "tests/integration/cluster/shipped_folders.h"

using namespace rayx::three_vms;

namespace {

std::string Run(Cluster& cluster, const std::string& program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), std::string(kAppFolder) + "/" + program);
  arguments.insert(arguments.end(), {"--address", cluster.address()});
  const auto status = cluster.vms().Exec(1, arguments, {.working_folder = kAppFolder}, 60s);
  REQUIRE(status.ok());
  INFO(status->output << status->errors);
  CHECK(status->exit_code == 0);
  std::cout << program << ":\n" << status->output << std::flush;
  return status->output;
}

}  // namespace

TEST_CASE("shipping: a program and its libraries that one VM has run on three") {
  SkipUnlessVmsWork();
  const ShippedFolders folders;
  Cluster cluster({"1", "2", "2"},
                  {{1, folders.one(), kAppFolder}, {2, folders.two(), kAppFolder}});
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
      const std::string folder = host == "vm3" ? "/jobs/" : kAppFolder;
      CHECK_THAT(lines[i].second, Catch::Contains(folder));
    }
  }
  // A library that is loaded in every worker before anything runs.
  const std::string planted = std::string(kAppFolder) + "/libplanted.so";
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
  const std::string torch = std::string(kAppFolder) + "/libtorch_planted.so";
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

  // A build that no VM has met, on VM 1 alone and there not for long: its detached actor is started
  // anew on VM 3, which has to have it from the node of the driver that has ended.
  const std::string fresh = folders.one() + "/shipping_driver_fresh";
  fs::copy(folders.one() + "/shipping_driver", fresh);
  std::ofstream(fresh, std::ios::app) << "another build";
  const auto left_behind =
      Run(cluster, "shipping_driver_fresh", {"leave", "-", "--namespace", "left"});
  CHECK_THAT(Value(left_behind, "left"), Catch::StartsWith("value 42 vm2 "));
  fs::remove(fresh);
  REQUIRE(cluster.vms().Lose(2).ok());
  const auto asked = Run(cluster, "shipping_driver", {"ask", "-", "--namespace", "left"});
  CHECK_THAT(Value(asked, "asked"), Catch::StartsWith("value 42 vm3 "));
}
