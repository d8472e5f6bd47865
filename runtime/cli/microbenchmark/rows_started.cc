// Rows of `rayx start`: what users wait for, and what daemons cost that do nothing.
#include <array>
#include <memory>
#include <stdexcept>
#include <thread>

#include "cli/microbenchmark/fresh_program.h"
#include "cli/microbenchmark/process_memory.h"
#include "cli/microbenchmark/rows.h"
#include "cli/microbenchmark/started_cluster.h"

namespace rayx::cli {
namespace {

constexpr int kStartedSamples = 5;
constexpr int kFootprintSamples = 3;  // they wait
constexpr size_t kDaemons = 3;        // head, node, supervisor
// Of doing nothing: first heartbeats, checks and queries are over.
constexpr std::chrono::seconds kIdleFor(1);

std::vector<double> StartUntilFirstTask(size_t) {
  const auto start = RowClock::now();
  const StartedCluster cluster;
  FreshProgram program(kProbeFirstTask, cluster.Environment());
  program.Numbers(1);
  const double milliseconds = SecondsSince(start) * 1e3;
  program.ExpectEnd();
  return {milliseconds};
}

double FootprintOfDaemons() {
  const StartedCluster cluster;
  std::this_thread::sleep_for(kIdleFor);
  const io::SessionInfo session = cluster.Session();
  for (const io::ProcessStamp& daemon : {session.head, session.node, session.supervisor}) {
    if (!io::IsRunning(daemon)) throw std::runtime_error("a daemon has ended");
  }
  return ProportionalBytes({session.head.pid, session.node.pid, session.supervisor.pid});
}

// As many processes of the same program, which do nothing.
double FootprintOfIdleProcesses() {
  std::array<std::unique_ptr<FreshProgram>, kDaemons> idle;
  std::vector<pid_t> processes;
  for (auto& program : idle) {
    program = std::make_unique<FreshProgram>(kProbeIdle);
    program->Numbers(1);
    processes.push_back(program->pid());
  }
  return ProportionalBytes(processes);
}

std::vector<double> IdleFootprint(size_t) {
  const double limit = FootprintOfIdleProcesses();
  return {FootprintOfDaemons() / 1e6, limit / 1e6};
}

Row StartedRow(Figure figure, int samples, Sampler sampler) {
  return {{std::move(figure)}, [=] { return sampler; }, 1, samples, RunsIn::kOwnDaemons};
}

}  // namespace

std::vector<Row> StartedRows() {
  return {
      StartedRow({"start --head until the first task returns", Unit::kMilliseconds, Limit::kFork},
                 kStartedSamples, StartUntilFirstTask),
      StartedRow({"idle footprint of head + node + supervisor", Unit::kMegabytes, Limit::kBeside},
                 kFootprintSamples, IdleFootprint),
  };
}

}  // namespace rayx::cli
