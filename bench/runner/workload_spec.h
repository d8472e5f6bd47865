// bench/runner/workload_spec.h
//
// What a workload is to the runner: its data, its phases, its arms, and the gates that a result
// must pass before its time is shown. Values only; bench/runner/catalogue/ has the rows, and
// gates.h, summary.h and the report know no workload by name.
// Pairs:    every name of a gate, a series or a quality is a field of the `result` event, see
//           arm_protocol.h.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace rayx::bench {

enum class ArmKind {
  kTorchrun,  // one Python rank a VM under torchrun
  kRanks,     // one rank a VM, a program of ours: it is told its rank and where ranks meet
  kSerial,    // one process in VM 1
  kRayx,      // a driver in VM 1, daemons on all
};

struct ArmSpec {
  std::string name;
  ArmKind kind = ArmKind::kTorchrun;
  // Below bench/native, or below the build's bin/ for kRanks and kRayx.
  std::string program;
  std::vector<std::string> arguments = {};
  bool one_node_only = false;
  // For orientation, and slow: a suite may give it fewer pairs than those that are compared.
  bool beside = false;
  // Runs on the bare machine with all its CPUs: a line for orientation, never part of a pair.
  bool unrestricted = false;
  std::string description = {};
};

// What of an outcome a gate looks at.
enum class GateKind { kHash, kText, kValue, kSeries };

enum class Closeness {
  kExact,
  kAbsolute,  // each number within `tolerance`
  kRelative,  // each number within `tolerance` of the reference's
  kL1,        // the sum of the absolute differences within `tolerance`
};

// Bit for bit: up to kExactNodes VMs and with the reference's number of threads. Beyond: otherwise.
enum class GateScope { kAlways, kBitForBit, kBeyond };

struct GateSpec {
  std::string name;   // where it has failed: "loss trace"
  std::string field;  // of the outcome
  std::string words;  // in a sentence: "loss of each step"
  GateKind kind = GateKind::kHash;
  Closeness closeness = Closeness::kExact;
  double tolerance = 0;
  GateScope scope = GateScope::kAlways;
  // Of a series: the numbers of so many steps from the beginning; of a value: in force where a run
  // makes no more. 0: of any number.
  int64_t first_steps = 0;
  int64_t after_steps = 0;  // in force where a run makes more
};

// A value that is known without any arm, by the number of steps (0: any): arms that agree may be
// wrong together. Where the steps are not among them, nothing is known.
struct KnownSpec {
  std::string name, value, words;
  std::map<int64_t, double> by_steps = {};
  double tolerance = 0;
  bool and_beyond = false;  // what is known of the most steps is so of more, too
};

// Numbers that an arm writes to a file, one a line.
struct SeriesSpec {
  std::string name;
  int64_t length = 0;  // 0: one a step
  bool kept = true;    // the file stays in the result
};

// A number by which a reader judges a result; significant digits.
struct QualitySpec {
  std::string value, label;
  int digits = 4;
};

// A series that the report draws; no name: none is.
struct CurveSpec {
  std::string series, title, label;
  bool logarithmic = false;
};

// Steps a repetition, of a suite and of its warm-up.
struct StepCounts {
  int64_t smoke = 0, quick = 0, quick_warm_up = 0, full = 0, full_warm_up = 0;
};

struct WorkloadSpec {
  std::string name = {}, title = {};
  // The data: a folder below the data folder, the files that must be in it, the pinned hash of what
  // is in them (see arm_protocol.h), and the command that brings it.
  std::string dataset_folder = {};
  std::vector<std::string> dataset_files = {};
  std::string dataset_sha256 = {};
  std::string dataset_command = {};
  std::vector<std::string> arguments = {};  // of every arm
  StepCounts steps = {};
  std::string smallest_suite = "quick";  // smoke, quick or full: from there on it runs unasked
  std::string step_word = "step";
  std::vector<std::string> phases = {};  // in order; a repetition is over with the last one
  std::string main_phase = {};           // whose time is divided by the steps
  std::vector<std::string> compared_phases = {};  // that have a ratio of their own
  std::vector<GateSpec> gates = {};
  std::vector<KnownSpec> known = {};
  // One reference at all numbers of VMs, that on the fewest: what is computed does not depend on
  // them. Otherwise each number of VMs has its own.
  bool same_on_any_nodes = false;
  std::vector<SeriesSpec> series = {};
  std::vector<QualitySpec> qualities = {};
  CurveSpec curve = {};
  int64_t exchanged_bytes = 0;  // between ranks, a step
  std::string exchanged_what = {};
  std::string remark = {};  // what a reader should hold against the comparison
  std::vector<ArmSpec> arms = {};
};

}  // namespace rayx::bench
