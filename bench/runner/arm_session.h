// bench/runner/arm_session.h
//
// One launch of one arm on a number of VMs, which runs all its repetitions and sleeps in between
// while other arms run. Speaks arm_protocol.h.
// Owner:    the run of a suite.                 Threads: one.
// Inputs:   events that the arm writes: unknown, missing or malformed ones are errors that name the
//           arm and show the last lines of its log.
// Promises: every wait is bounded and ends when a process of the arm dies or the user interrupts;
//           the destructor ends all its processes.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/runner/event_pipe.h"
#include "bench/runner/gates.h"
#include "bench/runner/machines.h"
#include "bench/runner/workload_spec.h"

namespace rayx::bench {

struct Places {
  std::string checkout, venv, bin;  // bin: where rayx and bench/<program> lie
  std::string data;                 // the data folder
  std::string result;               // results/<id>
};

struct Repetition {
  std::map<std::string, double> phase_seconds;
  // From the command to the end of the last phase, by the runner's clock, less the phases.
  double outside_seconds = 0;
  std::map<std::string, std::string> series_paths;  // of those that are kept
  Usage usage;  // all of the arm's processes, daemons included, over the same span
  // What everything else in the same VMs used meanwhile: arms that sleep, and their daemons.
  std::optional<double> others_cpu_seconds;
  Outcome outcome;

  double Total() const;  // of all phases
};

// What a repetition has shown until now, also one that never ends. Times are CLOCK_MONOTONIC.
struct RunTrace {
  struct Step {
    int64_t done = 0;
    double at = 0;
  };
  struct Phase {
    std::string name;
    double end = 0;
  };
  double begin = 0;
  std::vector<Step> steps;
  std::vector<Phase> phases;
};

// What a user does wrong at a launch.
enum class Mistake {
  kNone,
  kWrongPort,    // who joins is told another port than that where the others meet
  kNoData,       // the folder of the data is misspelt
  kMissingNode,  // nobody starts the last VM
};

struct LaunchOptions {
  int threads = 1;
  bool step_events = false;
  // The program is what runs in VM 1: the end of another rank is no end.
  bool only_vm1_counts = false;
  Mistake mistake = Mistake::kNone;
  std::chrono::seconds ready_timeout = std::chrono::seconds(180);
  // Called several times a second while something is waited for.
  std::function<void(const RunTrace&)> watch = {};
};

class ArmSession {
 public:
  // Launches and waits until the arm is ready. `workload` outlives the session.
  static absl::StatusOr<std::unique_ptr<ArmSession>> Start(const WorkloadSpec& workload,
                                                           const ArmSpec& arm, Machines& machines,
                                                           const Places& places,
                                                           const LaunchOptions& launch = {});
  ~ArmSession();

  absl::StatusOr<Repetition> Run(const std::string& name, int64_t steps,
                                 std::chrono::seconds timeout);
  // Lets the arm end by itself; an exit code other than 0 is an error.
  absl::Status Stop();

  // In place of LaunchOptions::watch from now on.
  void Watch(std::function<void(const RunTrace&)> watch) { watch_ = std::move(watch); }
  // Of the latest repetition.
  const RunTrace& trace() const { return trace_; }

  const ArmSpec& arm() const { return arm_; }
  // The meter of its processes.
  const std::string& account() const { return account_; }
  // From the launch of the program to its readiness; daemons that must be there before, apart.
  double start_seconds() const { return start_seconds_; }
  double daemons_start_seconds() const { return daemons_start_seconds_; }
  const nlohmann::json& ready() const { return ready_; }

 private:
  ArmSession(const WorkloadSpec& workload, const ArmSpec& arm, Machines& machines,
             const Places& places, const LaunchOptions& launch);
  absl::Status Launch();
  // Starts the arm's processes: one a VM, or one.
  absl::Status StartProcesses();
  absl::Status ReadReady(std::chrono::steady_clock::time_point begin);
  absl::Status StartDaemons();
  absl::Status FetchJoinFile();
  void StopDaemons();
  std::vector<std::string> Command(int vm, int rendezvous_port) const;
  // How many VMs take part in the launch.
  int StartedVms() const;
  ExecOptions Options(int vm) const;
  std::string LogPath(int vm) const;
  std::string LastLogLines() const;
  absl::Status TooLate() const;
  absl::StatusOr<nlohmann::json> NextEvent(std::chrono::steady_clock::time_point deadline);
  absl::Status Apply(const nlohmann::json& event, Repetition& repetition);
  void ReadAllSeries(const std::string& prefix, Repetition& repetition) const;

  const WorkloadSpec& workload_;
  const ArmSpec arm_;
  Machines& machines_;
  const Places places_;
  const LaunchOptions launch_;
  std::string account_, label_;  // label: file names of this launch
  std::string join_file_;
  bool daemons_up_ = false;
  std::unique_ptr<EventPipe> events_;
  std::vector<VmProcess> processes_;
  nlohmann::json ready_;
  double start_seconds_ = 0, daemons_start_seconds_ = 0;
  RunTrace trace_;
  std::function<void(const RunTrace&)> watch_;
};

}  // namespace rayx::bench
