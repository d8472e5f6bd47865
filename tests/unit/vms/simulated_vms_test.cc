// Goal: simulated VMs are apart from each other, connected, limited, and leave nothing behind.
// Method: real namespaces and cgroups, as root. Skipped where they cannot be made.
#include "vms/simulated_vms.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace rayx::vms {
namespace {

using std::chrono::seconds;

constexpr int kSkipped = 77;  // CMakeLists.txt says so to ctest

// Ends the program as skipped, before the first case that needs VMs.
void NeedVms() {
  const std::string why = SimulatedVms::WhyNot();
  if (why.empty()) return;
  std::fprintf(stderr, "not run: %s\n", why.c_str());
  std::exit(kSkipped);
}

SimulatedVms MustUp(int vms, double cpus = 0) {
  auto up = SimulatedVms::Up({.vms = vms, .cpus_per_vm = cpus});
  INFO(up.status());
  REQUIRE(up.ok());
  return *std::move(up);
}

std::string Output(SimulatedVms& vms, int vm, const std::string& script) {
  auto ended = vms.Exec(vm, {"/bin/sh", "-c", script}, {.working_folder = "/"}, seconds(20));
  INFO(ended.status());
  REQUIRE(ended.ok());
  INFO(script << ": " << ended->errors);
  CHECK(ended->exit_code == 0);
  return ended->output;
}

bool HasSet(const std::string& name) {
  for (const std::string& up : SimulatedVms::ListAndClearStale()) {
    if (up == name) return true;
  }
  return false;
}

TEST_CASE("SimulatedVms: the number of VMs is checked") {
  for (int vms : {0, -1, kVmsMax + 1}) {
    CHECK(SimulatedVms::Up({.vms = vms}).status().code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("SimulatedVms: each has its own name, folders, processes and network") {
  NeedVms();
  SimulatedVms vms = MustUp(2);
  CHECK(Output(vms, 1, "hostname") == "vm1\n");
  CHECK(Output(vms, 2, "hostname") == "vm2\n");
  CHECK(Output(vms, 1, "getent hosts vm2") == "10.77.0.2       vm2\n");
  Output(vms, 1, "touch /tmp/a /dev/shm/a /run/a $HOME/a");
  CHECK(Output(vms, 2, "ls /tmp/a /dev/shm/a /run/a $HOME/a 2>/dev/null || true").empty());
  CHECK(Output(vms, 1, "cat /proc/1/comm") == "rayx-vm-init\n");
  CHECK(Output(vms, 1, "ls /sys/class/net") == "eth0\nlo\n");
  CHECK(Output(vms, 1, "ip -4 -o addr show dev eth0 | awk '{print $4}'") == "10.77.0.1/24\n");
  // Memory files of the same name are different inodes on different devices.
  Output(vms, 2, "touch /dev/shm/a");
  CHECK(Output(vms, 1, "stat -c %d /dev/shm/a") != Output(vms, 2, "stat -c %d /dev/shm/a"));
}

TEST_CASE("SimulatedVms: they reach each other, and not a lost one") {
  NeedVms();
  SimulatedVms vms = MustUp(2);
  auto server = vms.Start(2,
                          {"/usr/bin/python3", "-c",
                           "import socket\n"
                           "s=socket.create_server(('10.77.0.2',7000))\n"
                           "open('/tmp/ready','w')\n"
                           "c,_=s.accept(); c.sendall(b'hello'); c.recv(1)\n"},
                          {.working_folder = "/"});
  REQUIRE(server.ok());
  Output(vms, 2, "until [ -e /tmp/ready ]; do sleep 0.05; done");
  // The client must see silence, not a reset, when the server's VM is lost.
  auto client = vms.Start(1,
                          {"/usr/bin/python3", "-c",
                           "import socket\n"
                           "s=socket.create_connection(('vm2',7000))\n"
                           "print(s.recv(5).decode(),flush=True)\n"
                           "open('/tmp/got','w')\n"
                           "s.settimeout(1)\n"
                           "try: print('data',s.recv(1))\n"
                           "except TimeoutError: print('silence')\n"
                           "except OSError as e: print('error',e)\n"},
                          {.working_folder = "/"});
  REQUIRE(client.ok());
  Output(vms, 1, "until [ -e /tmp/got ]; do sleep 0.05; done");
  REQUIRE(vms.Lose(2).ok());
  CHECK_FALSE(vms.Alive(2));
  auto ended = client->Wait(seconds(10));
  REQUIRE(ended.ok());
  CHECK(ended->output == "hello\nsilence\n");
  CHECK_FALSE(server->Running());
  CHECK(vms.Exec(2, {"/bin/true"}).status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(Output(vms, 1, "echo still here") == "still here\n");
}

TEST_CASE("SimulatedVms: exit codes, signals and output come back") {
  NeedVms();
  SimulatedVms vms = MustUp(1);
  const ExecOptions here = {.working_folder = "/"};
  auto failed = vms.Exec(1, {"/bin/sh", "-c", "echo out; echo err >&2; exit 7"}, here);
  REQUIRE(failed.ok());
  CHECK(failed->exit_code == 7);
  CHECK(failed->output == "out\n");
  CHECK(failed->errors == "err\n");
  auto killed = vms.Exec(1, {"/bin/sh", "-c", "kill -9 $$"}, here);
  REQUIRE(killed.ok());
  CHECK(killed->signal == SIGKILL);
  CHECK(killed->exit_code == 137);
  auto late = vms.Exec(1, {"/bin/sleep", "60"}, here, std::chrono::milliseconds(100));
  CHECK(late.status().code() == absl::StatusCode::kDeadlineExceeded);
  Output(vms, 1,
         "for i in 1 2 3 4 5 6 7 8 9 10; do pgrep -x sleep || exit 0; sleep 0.1; done; exit 1");
  auto absent = vms.Exec(1, {"/no/such/program"}, here);
  REQUIRE(absent.ok());
  CHECK(absent->exit_code == 126);
}

TEST_CASE("SimulatedVms: the CPU quota holds for all processes of a VM together") {
  NeedVms();
  SimulatedVms vms = MustUp(1, 0.3);
  const auto begin = std::chrono::steady_clock::now();
  const double before = vms.CpuSeconds(1).value();
  Output(
      vms, 1,
      "timeout 1 sh -c 'while :; do :; done' & timeout 1 sh -c 'while :; do :; done'; wait; true");
  const double used = vms.CpuSeconds(1).value() - before;
  const double wall =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  CHECK(used < 0.3 * wall * 1.25 + 0.02);
  CHECK(used > 0.05 * wall);  // a busy machine may give less than the quota
}

TEST_CASE("SimulatedVms: an account counts the CPU time and memory of its own commands") {
  NeedVms();
  SimulatedVms vms = MustUp(1, 0.9);
  const auto run = [&](const std::string& account, const std::string& script) {
    auto ended =
        vms.Exec(1, {"/bin/sh", "-c", script}, {.working_folder = "/", .account = account});
    REQUIRE(ended.ok());
    REQUIRE(ended->exit_code == 0);
  };
  run("idle", "true");
  run("busy", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
  run("busy", "head -c 30000000 /dev/zero > /dev/shm/block");
  CHECK(vms.CpuSeconds(1, "busy").value() > 4 * vms.CpuSeconds(1, "idle").value());
  CHECK(vms.CpuSeconds(1).value() >= vms.CpuSeconds(1, "busy").value());
  if (vms.PeakMemoryBytes(1).ok()) {
    CHECK(vms.PeakMemoryBytes(1, "busy").value() > 30000000);
    CHECK(vms.PeakMemoryBytes(1, "idle").value() < 30000000);
    run("busy", "rm /dev/shm/block");
    REQUIRE(vms.ResetPeakMemory(1, "busy").ok());
    CHECK(vms.PeakMemoryBytes(1, "busy").value() < 30000000);
  }
}

TEST_CASE("SimulatedVms: a set outlives its maker when told so, and is attached to by name") {
  NeedVms();
  const std::string name = "attach-test-" + std::to_string(getpid());
  {
    auto up = SimulatedVms::Up({.name = name, .vms = 1, .cpus_per_vm = 0, .outlive_owner = true});
    REQUIRE(up.ok());
  }
  CHECK(SimulatedVms::Up({.name = name}).status().code() == absl::StatusCode::kAlreadyExists);
  auto again = SimulatedVms::Attach(name);
  REQUIRE(again.ok());
  CHECK(Output(*again, 1, "hostname") == "vm1\n");
  again->Down();
  CHECK_FALSE(HasSet(name));
  CHECK(SimulatedVms::Attach(name).status().code() == absl::StatusCode::kNotFound);
}

TEST_CASE("SimulatedVms: what a killed owner leaves ends by itself and is cleared") {
  NeedVms();
  const std::string name = "crash-test-" + std::to_string(getpid());
  int ready[2];
  REQUIRE(pipe(ready) == 0);
  const pid_t owner = fork();
  if (owner == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // whatever becomes of the test
    auto up = SimulatedVms::Up({.name = name, .vms = 1, .cpus_per_vm = 0.5});
    const pid_t init = up.ok() ? up->InitPid(1) : 0;
    if (write(ready[1], &init, sizeof init) != sizeof init) _exit(1);
    pause();
  }
  pid_t init = 0;
  REQUIRE(read(ready[0], &init, sizeof init) == sizeof init);
  REQUIRE(init > 0);
  kill(owner, SIGKILL);
  waitpid(owner, nullptr, 0);
  const auto cgroup = "/sys/fs/cgroup/cpu/rayx-" + name + "-vm1";
  const auto end = std::chrono::steady_clock::now() + seconds(10);
  // Its entry may stay as a zombie until whoever adopted it reaps it; its program is then gone.
  const auto runs = "/proc/" + std::to_string(init) + "/exe";
  while (std::filesystem::exists(runs) && std::chrono::steady_clock::now() < end) usleep(10000);
  CHECK_FALSE(std::filesystem::exists(runs));
  CHECK_FALSE(HasSet(name));
  CHECK_FALSE(std::filesystem::exists("/run/rayx-simulated-vms/" + name));
  CHECK_FALSE(std::filesystem::exists(cgroup));
}

TEST_CASE("SimulatedVms: a folder below /tmp stays visible when asked, others do not") {
  NeedVms();
  const std::string folder = "/tmp/visible-" + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/file") << "seen";
  auto up = SimulatedVms::Up({.vms = 2,
                              .cpus_per_vm = 0,
                              .visible_folders = {folder},
                              .mounts = {{1, folder + "/file", "/run/only-first"}}});
  REQUIRE(up.ok());
  CHECK(Output(*up, 1, "cat " + folder + "/file") == "seen");
  CHECK(Output(*up, 1, "cat /run/only-first") == "seen");
  CHECK(Output(*up, 2, "ls /run/only-first 2>/dev/null || true").empty());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace rayx::vms
