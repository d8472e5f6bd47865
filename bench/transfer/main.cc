// rayx-transfer: how fast an object moves between two simulated VMs, beside one TCP and one TLS
// connection between the same two, in turns. Needs root.
//   rayx-transfer [MiB [rounds]]
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "bench/transfer/wire.h"
#include "vms/simulated_vms.h"

namespace {

namespace fs = std::filesystem;
using rayx::vms::ExitStatus;
using rayx::vms::SimulatedVms;
using Seconds = std::vector<double>;

constexpr int kTurns = 6;

struct Settings {
  size_t bytes = size_t{256} << 20;
  int rounds = 5;  // of a turn, and one more that does not count
};

std::string OwnFolder() {
  return fs::read_symlink("/proc/self/exe").parent_path().string();
}

[[noreturn]] void Fail(const std::string& why) {
  std::fprintf(stderr, "rayx-transfer: %s\n", why.c_str());
  std::exit(1);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Of lines "seconds S".
Seconds SecondsIn(const std::string& output) {
  Seconds seconds;
  std::istringstream stream(output);
  std::string key;
  std::string rest;
  while (stream >> key && std::getline(stream, rest)) {
    if (key == "seconds") seconds.push_back(std::stod(rest));
  }
  return seconds;
}

class Bench {
 public:
  explicit Bench(const Settings& settings) : settings_(settings), vms_(Up()) {}

  void Run(bool insecure) {
    StartCluster(insecure);
    // In turns, so that what else the machine does meets both.
    Seconds wire;
    Seconds objects;
    std::vector<double> ratios;
    for (int turn = 0; turn < kTurns; ++turn) {
      const Seconds some_wire = OnWire(!insecure);
      // The first pays for memory that no object has lain in yet.
      const Seconds some_objects = Objects();
      wire.insert(wire.end(), some_wire.begin() + 1, some_wire.end());
      objects.insert(objects.end(), some_objects.begin() + 1, some_objects.end());
      ratios.push_back(Median({some_wire.begin() + 1, some_wire.end()}) /
                       Median({some_objects.begin() + 1, some_objects.end()}));
      if (turn == 0) Print("first object, cold memory", {some_objects.front()});
    }
    Print(insecure ? "one TCP connection" : "one TLS connection", wire);
    Print(insecure ? "an object, --insecure" : "an object, TLS", objects);
    std::sort(ratios.begin(), ratios.end());
    std::printf("%-28s %.2f (median of %d turns, %.2f to %.2f)\n\n", "of the limit", Median(ratios),
                kTurns, ratios.front(), ratios.back());
    Must(vms_.Exec(1, {Rayx(), "stop"}), "stop");
  }

 private:
  static std::string Rayx() { return OwnFolder() + "/rayx"; }
  static SimulatedVms Up() {
    auto vms = SimulatedVms::Up({.vms = 2, .cpus_per_vm = 0});
    if (!vms.ok()) Fail(std::string(vms.status().message()));
    return std::move(*vms);
  }
  static std::string Must(const absl::StatusOr<ExitStatus>& run, const char* what) {
    if (!run.ok()) Fail(std::string(what) + ": " + std::string(run.status().message()));
    if (!run->ok()) Fail(std::string(what) + ": " + run->output + run->errors);
    return run->output;
  }

  void StartCluster(bool insecure) {
    std::vector<std::string> head = {
        Rayx(),     "start",         "--head",     "--port", "7399",
        "--listen", vms_.Address(1), "--num-cpus", "2",      "--object-store-memory",
        "2GiB"};
    if (insecure) head.push_back("--insecure");
    Must(vms_.Exec(1, head), "start --head");
    const std::string join =
        Must(vms_.Exec(1, {"/bin/sh", "-c", "cat /tmp/rayx-*/*/join"}), "join file");
    const std::string file = OwnFolder() + "/transfer_join_" + std::to_string(::getpid());
    std::ofstream(file) << join;
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
    std::vector<std::string> node = {Rayx(),
                                     "start",
                                     "--address",
                                     Address(),
                                     "--listen",
                                     vms_.Address(2),
                                     "--join-file",
                                     file,
                                     "--num-cpus",
                                     "2",
                                     "--object-store-memory",
                                     "2GiB"};
    if (insecure) node.push_back("--insecure");
    const auto started = vms_.Exec(2, node);
    fs::remove(file);
    Must(started, "start --address");
  }

  Seconds OnWire(bool tls) {
    const std::vector<std::string> arguments = {OwnFolder() + "/rayx-transfer",
                                                "wire",
                                                "take",
                                                tls ? "tls" : "tcp",
                                                vms_.Address(1),
                                                std::to_string(settings_.bytes),
                                                std::to_string(settings_.rounds + 1)};
    std::vector<std::string> sending = arguments;
    sending[2] = "send";
    auto sender = vms_.Start(1, sending);
    if (!sender.ok()) Fail(std::string(sender.status().message()));
    Seconds seconds = SecondsIn(Must(vms_.Exec(2, arguments), "the connection"));
    Must(sender->Wait(std::chrono::seconds(20)), "the sender");
    return seconds;
  }

  Seconds Objects() {
    return SecondsIn(
        Must(vms_.Exec(1, {OwnFolder() + "/transfer_program", std::to_string(settings_.bytes),
                           std::to_string(settings_.rounds + 1), "--address", Address()}),
             "the program"));
  }

  void Print(const char* what, Seconds seconds) const {
    std::sort(seconds.begin(), seconds.end());
    const auto speed = [&](double s) { return static_cast<double>(settings_.bytes) / s / 1e9; };
    std::printf("%-28s %.2f GB/s (%.2f to %.2f, %zu times)\n", what, speed(Median(seconds)),
                speed(seconds.back()), speed(seconds.front()), seconds.size());
    std::fflush(stdout);
  }
  std::string Address() const { return vms_.Address(1) + ":7399"; }

  const Settings settings_;
  SimulatedVms vms_;
};

int OnWire(char** argv) {
  const rayx::bench::WireOptions options{.ip = argv[4],
                                         .tls = std::string(argv[3]) == "tls",
                                         .bytes = std::strtoull(argv[5], nullptr, 10),
                                         .rounds = std::atoi(argv[6])};
  if (std::string(argv[2]) == "send") {
    SendOnWire(options);
    return 0;
  }
  for (const double seconds : TakeFromWire(options)) std::printf("seconds %.6f\n", seconds);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 7 && std::string(argv[1]) == "wire") return OnWire(argv);
  if (const std::string why = SimulatedVms::WhyNot(); !why.empty()) Fail(why);
  Settings settings;
  if (argc > 1) settings.bytes = std::strtoull(argv[1], nullptr, 10) << 20;
  if (argc > 2) settings.rounds = std::max(1, std::atoi(argv[2]));
  if (settings.bytes == 0) Fail("usage: rayx-transfer [MiB [rounds]]");
  Bench(settings).Run(true);
  Bench(settings).Run(false);
  return 0;
}
