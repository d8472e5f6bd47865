// Goal: whatever mistake a user makes with programs, versions, secrets, memory, clusters and ports,
// he is told within 5 s what is wrong, where, and what to do. Method: three simulated VMs, each
// mistake planted for real; the log of a run has the table of what was said. VM 3 has a second
// cluster, with a small store. Needs root; says "not run" with the reason otherwise.
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "tests/integration/cluster/shipped_folders.h"

using namespace rayx::three_vms;

namespace {

constexpr double kPromisedSeconds = 5;
constexpr char kOtherFolder[] = "/tmp/other";     // VM 1: the client of another release
constexpr char kToolsFolder[] = "/tmp/tools";     // VM 3: a program for the second cluster
constexpr char kSecondSession[] = "/tmp/second";  // its RAYX_SESSION_DIR

// The error is a type in a program, an exit status at the command line.
struct Outcome {
  std::string error;
  double seconds = 0;
  std::string text;
};

class Table {
 public:
  void Add(const std::string& mistake, const std::string& who, const Outcome& outcome) {
    char seconds[16];
    std::snprintf(seconds, sizeof seconds, "%.2f", outcome.seconds);
    std::string text = outcome.text;
    for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos;) text[at] = ' ';
    rows_ += "| " + mistake + " | " + who + " | " + outcome.error + " | " + seconds + " | " + text +
             " |\n";
    INFO(mistake << ": " << outcome.text);
    CHECK(outcome.seconds < kPromisedSeconds);
  }
  ~Table() {
    std::cout << "| mistake | who sees it | error | s | text |\n|---|---|---|---|---|\n"
              << rows_ << std::flush;
  }

 private:
  std::string rows_;
};

// Of a line "error Type SECONDS text".
Outcome Parsed(const std::string& line) {
  std::istringstream words(line);
  Outcome outcome;
  std::string kind;
  words >> kind >> outcome.error >> outcome.seconds;
  INFO(line);
  CHECK(kind == "error");
  std::getline(words >> std::ws, outcome.text);
  return outcome;
}

class Mistakes {
 public:
  Mistakes()
      : cluster({"1", "1", "1"}, {{1, folders.one(), kAppFolder},
                                  {2, folders.two(), kAppFolder},
                                  {1, folders.other_release(), kOtherFolder},
                                  {3, folders.one(), kToolsFolder}}) {}

  // What a driver on a VM printed.
  std::string Drive(int vm, const std::string& folder, std::vector<std::string> arguments,
                    std::vector<std::string> environment = {}) {
    arguments.insert(arguments.begin(), folder + "/shipping_driver");
    const auto status = cluster.vms().Exec(
        vm, arguments, {.environment = std::move(environment), .working_folder = folder}, 60s);
    REQUIRE(status.ok());
    INFO(status->errors);
    CHECK(status->signal == 0);
    return status->output;
  }
  // A `rayx` command that is refused.
  Outcome Command(int vm, std::vector<std::string> arguments,
                  std::vector<std::string> environment = {}) {
    arguments.insert(arguments.begin(), Rayx());
    const auto start = std::chrono::steady_clock::now();
    const auto status =
        cluster.vms().Exec(vm, arguments, {.environment = std::move(environment)}, 60s);
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    REQUIRE(status.ok());
    CHECK(status->exit_code != 0);
    return {"exit " + std::to_string(status->exit_code), passed.count(), status->errors};
  }
  std::string Second() { return std::string("RAYX_SESSION_DIR=") + kSecondSession; }

  const ShippedFolders folders;
  Cluster cluster;
  Table table;
};

// The join file of the first cluster with a token that is none of its.
std::string WrongToken(Cluster& cluster) {
  std::string join = ReadAll(cluster.join_file());
  const size_t at = join.find("\"token\"");
  REQUIRE(at != std::string::npos);
  const size_t digit = join.find('"', join.find(':', at)) + 3;
  join[digit] = join[digit] == '0' ? '1' : '0';
  const std::string path = cluster.shared() + "/wrong";
  std::ofstream(path) << join;
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  return path;
}

void PlantInProgram(Mistakes& mistakes) {
  const std::string address = mistakes.cluster.address();
  const std::string torch = std::string(kAppFolder) + "/libtorch_planted.so";
  const std::string refused = mistakes.Drive(
      1, kAppFolder, {"planted", torch, "--code_search_path", torch, "--address", address});
  const Outcome missing = Parsed(Value(refused, "vm3"));
  mistakes.table.Add("missing library", "the program, at Get", missing);
  CHECK(missing.error == "MissingLibrary");
  CHECK_THAT(missing.text, Catch::Contains("VM vm3 lacks libtorch_planted.so") &&
                               Catch::Contains("install it there at " + torch));
  const Outcome other = Parsed(Value(refused, "vm2"));
  mistakes.table.Add("other build of a library", "the program, at Get", other);
  CHECK(other.error == "LibraryMismatch");
  CHECK_THAT(other.text, Catch::Contains("VM vm2 has another build of libtorch_planted.so") &&
                             Catch::Contains(torch) &&
                             Catch::Contains("install the same build on every VM"));
  const Outcome nowhere = Parsed(Value(
      mistakes.Drive(1, kAppFolder,
                     {"-", "-", "--code_search_path", "/nowhere/lib.so", "--address", address}),
      "init"));
  mistakes.table.Add("missing library in preload_libraries", "the program, at Init", nowhere);
  CHECK(nowhere.error == "MissingLibrary");
  CHECK_THAT(nowhere.text, Catch::Contains("/nowhere/lib.so"));
  const std::string planted = std::string(kAppFolder) + "/libplanted.so";
  const Outcome unknown = Parsed(
      Value(mistakes.Drive(1, kAppFolder, {"planted", planted, "--address", address}), "vm2"));
  mistakes.table.Add("function that the workers' program lacks", "the program, at Get", unknown);
  CHECK(unknown.error == "UnknownFunction");
  CHECK_THAT(unknown.text, Catch::Contains("int PlantedAnswer()") && Catch::Contains("vm2") &&
                               Catch::Contains("/tmp/app/shipping_driver") &&
                               Catch::Contains("RAYX_REMOTE"));
  const Outcome version =
      Parsed(Value(mistakes.Drive(1, kOtherFolder, {"-", "-", "--address", address}), "init"));
  mistakes.table.Add("another release of RayX", "the program, at Init", version);
  CHECK(version.error == "VersionMismatch");
  CHECK_THAT(version.text, Catch::Contains("release 0.0.9") && Catch::Contains("release 0.1.0") &&
                               Catch::Contains("install the same release on every VM"));
}

void PlantSecrets(Mistakes& mistakes) {
  Cluster& cluster = mistakes.cluster;
  std::vector<std::string> join = {"start", "--address", cluster.address(), "--listen",
                                   cluster.vms().Address(3)};
  const std::vector<std::string> session = {"RAYX_SESSION_DIR=/tmp/third"};
  const Outcome none = mistakes.Command(3, join, session);
  mistakes.table.Add("no token", "rayx start", none);
  CHECK_THAT(none.text, Catch::Contains("no token") && Catch::Contains("--join-file") &&
                            Catch::Contains("`rayx start --head` printed"));
  join.insert(join.end(), {"--join-file", WrongToken(cluster)});
  const Outcome wrong = mistakes.Command(3, join, session);
  mistakes.table.Add("wrong token", "rayx start", wrong);
  CHECK_THAT(wrong.text, Catch::Contains("refused the token") &&
                             Catch::Contains(cluster.address()) && Catch::Contains("copy it anew"));
}

void PlantInSecondCluster(Mistakes& mistakes) {
  Cluster& cluster = mistakes.cluster;
  const std::string second = cluster.vms().Address(3) + ":7400";
  const auto started = cluster.vms().Exec(
      3,
      {Rayx(), "start", "--head", "--port", "7400", "--listen", cluster.vms().Address(3),
       "--num-cpus", "1", "--object-store-memory", "32MiB"},
      {.environment = {mistakes.Second()}}, 60s);
  REQUIRE(started.ok());
  INFO(started->errors);
  REQUIRE(started->ok());
  const std::string filled =
      mistakes.Drive(3, kToolsFolder, {"fill", "-", "--address", "auto"}, {mistakes.Second()});
  const Outcome full = Parsed(Lines(filled).back().second);
  mistakes.table.Add("full object store", "the program, at Put", full);
  CHECK(full.error == "ObjectStoreFull");
  CHECK_THAT(full.text, Catch::Contains("needs 4") && Catch::Contains("of 32") &&
                            Catch::Contains("MiB") && Catch::Contains("objects"));

  const Outcome again = mistakes.Command(3, {"start", "--head"}, {mistakes.Second()});
  mistakes.table.Add("second cluster beside a running one", "rayx start", again);
  CHECK_THAT(again.text, Catch::Contains("already running: the cluster at " + second) &&
                             Catch::Contains("rayx stop"));
  const Outcome foreign =
      Parsed(Value(mistakes.Drive(3, kToolsFolder, {"-", "-", "--address", cluster.address()},
                                  {mistakes.Second()}),
                   "init"));
  mistakes.table.Add("program beside another cluster's node", "the program, at Init", foreign);
  CHECK(foreign.error == "HeadUnavailable");
  CHECK_THAT(foreign.text,
             Catch::Contains("no node daemon of the cluster at " + cluster.address()) &&
                 Catch::Contains("its head is at " + second) &&
                 Catch::Contains("rayx start --address=" + cluster.address()));
  const Outcome mixed =
      mistakes.Command(2,
                       {"start", "--address", second, "--listen", cluster.vms().Address(2),
                        "--join-file", cluster.join_file()},
                       {"RAYX_SESSION_DIR=/tmp/third"});
  mistakes.table.Add("join file of another cluster", "rayx start", mixed);
  CHECK_THAT(mixed.text, Catch::Contains(second) && Catch::Contains("of another cluster"));
  const Outcome busy = mistakes.Command(
      3, {"start", "--head", "--port", "7400", "--listen", cluster.vms().Address(3)},
      {"RAYX_SESSION_DIR=/tmp/third"});
  mistakes.table.Add("busy port", "rayx start", busy);
  CHECK_THAT(busy.text,
             Catch::Contains(second + ": the port is in use") && Catch::Contains("--port"));
  cluster.vms().Exec(3, {Rayx(), "stop"}, {.environment = {mistakes.Second()}}).IgnoreError();
}

}  // namespace

TEST_CASE("planted mistakes: each is told within 5 s, by name, with what to do") {
  SkipUnlessVmsWork();
  Mistakes mistakes;
  PlantInProgram(mistakes);
  PlantSecrets(mistakes);
  PlantInSecondCluster(mistakes);
}
