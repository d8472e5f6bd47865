// bench/workloads/arm/arm_program.h
//
// The arm protocol (bench/runner/arm_protocol.h) for arms written in C++: command line, commands,
// events, checksums. The arm itself is a function that runs one repetition.
// Owner:    an arm's main.                      Threads: one.
// Inputs:   the command line and the control FIFO: out-of-range values are errors that name them.
// Promises: an exception out of a repetition becomes an `error` event and exit code 1.
#pragma once

#include <cstdint>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace rayx::bench {

struct ArmOptions {
  std::string data, control, out;
  uint64_t seed = 1, sampler_seed = 45;
  int64_t batch = 64, steps = 938;
  double learning_rate = 1e-3;
  int threads = 1, world_size = 1, rank = 0, reps = 1;
};

// Exits with a message when the command line is wrong.
ArmOptions ParseArmOptions(int argc, char** argv);

// Measures from its construction on.
class PhaseClock {
 public:
  PhaseClock();
  double Seconds() const;

 private:
  double begin_;
};

class ArmEvents {
 public:
  explicit ArmEvents(const std::string& path);
  void Ready(const nlohmann::json& facts);  // protocol version and `at` are added
  void Phase(const std::string& name, double seconds);
  // Writes the trace and says where it is. An empty path: nothing is written.
  void Losses(const std::string& path, const std::vector<float>& losses);
  void Result(const nlohmann::json& fields);
  void Error(const std::string& message);

  std::string rep;  // of the repetition that runs

 private:
  void Write(nlohmann::json event);
  std::ofstream file_;
  std::ostream* out_;
};

struct RepCommand {
  std::string name, loss_path;
  int64_t steps = 0;
};

// Reads commands until "quit" and runs a repetition for each. Returns the exit code.
int ServeRepetitions(const ArmOptions& options, ArmEvents& events,
                     const std::function<void(const RepCommand&)>& run);

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
