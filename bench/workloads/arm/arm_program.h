// bench/workloads/arm/arm_program.h
//
// The arm protocol (bench/runner/arm_protocol.h) for arms written in C++: command line, commands,
// events, series, checksums. The arm itself is a function that runs one repetition.
// Owner:    an arm's main.                      Threads: one.
// Inputs:   the command line and the control FIFO: out-of-range values are errors that name them.
// Promises: an exception out of a repetition becomes an `error` event and exit code 1. Ranks other
//           than 0 write no events.
#pragma once

#include <cstdint>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace rayx::bench {

struct ArmOptions {
  std::string data, control, out;
  std::string rendezvous, own_address = "127.0.0.1";  // of arms that are started once a rank
  uint64_t seed = 1;
  int64_t steps = 20;
  int threads = 1, world_size = 1, rank = 0, reps = 1;
  bool step_events = false;
};

// Exits with a message when the command line is wrong. `add` declares the workload's own flags.
ArmOptions ParseArmOptions(int argc, char** argv, const std::function<void(CLI::App&)>& add);

// Measures from its construction on.
class PhaseClock {
 public:
  PhaseClock();
  double Seconds() const;

 private:
  double begin_;
};

// What the gates look at, by the names that the workload declares.
struct ArmOutcome {
  int64_t steps = 0;
  std::map<std::string, std::string> hashes, texts;
  std::map<std::string, double> values;
  std::map<std::string, std::vector<double>> series;
};

struct RepCommand {
  std::string name;
  int64_t steps = 0;
  std::string series_prefix;  // "": series are not written
};

class ArmEvents {
 public:
  // `path`: a file or FIFO; "": stdout. A rank other than 0 writes nothing.
  ArmEvents(const std::string& path, int rank);
  bool active() const { return out_ != nullptr; }
  void Ready(const nlohmann::json& facts);  // protocol version and `at` are added
  void Phase(const std::string& name, double seconds);
  void Step(int64_t done);  // so many are; written only when `step_events`
  // Writes the series, then the event.
  void Result(const RepCommand& command, const ArmOutcome& outcome);
  void Error(const std::string& message);

  std::string rep;  // of the repetition that runs
  bool step_events = false;

 private:
  void Write(nlohmann::json event);
  std::ofstream file_;
  std::ostream* out_ = nullptr;
};

// Reads commands until "quit" and runs a repetition for each. Returns the exit code. `share`, for
// arms of several ranks: gives every rank the line of rank 0.
int ServeRepetitions(const ArmOptions& options, ArmEvents& events,
                     const std::function<void(const RepCommand&)>& run,
                     const std::function<std::string(const std::string&)>& share = nullptr);

// An arm's work between its options and its end: the exit code of `work`; an exception becomes an
// `error` event, a line of `program` on stderr, and 1.
int RunArm(const char* program, ArmEvents& events, const std::function<int()>& work);

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void Add(const void* bytes, size_t size);
  std::string Binary();  // ends it
  static std::string Hex(std::string_view binary);

 private:
  void* context_;
};

// SHA-256 (hex) of the files' bytes, one after the other.
std::string Sha256OfFiles(const std::vector<std::string>& paths);

}  // namespace rayx::bench
