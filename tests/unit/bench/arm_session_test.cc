// Goal: whatever an arm writes or however it ends, the runner reports it and does not hang.
// Method: arms of a few lines of Python on the bare machine, each with another fault.
#include "bench/runner/arm_session.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

constexpr char kPrelude[] = R"(
import json, sys
flags = dict(a[2:].partition('=')[::2] for a in sys.argv[1:])
out = open(flags['out'], 'w', buffering=1)
def event(**fields): out.write(json.dumps(fields) + '\n')
def ready(version=4): event(event='ready', protocol=version, at=1e9)
def commands(): return open(flags['control'])
def phases():
  for name in ('load', 'preprocess', 'train', 'evaluate'):
    event(event='phase', name=name, seconds=0.5)
def result(prefix):
  open(prefix + '.loss.txt', 'w').write('0x1p+1\n0x1p+0\n')
  open(prefix + '.large.txt', 'w').write('0x1p+3\n')
  event(event='result', steps=2, hashes={'dataset': 'a'}, values={'accuracy': 0.5},
        texts={'top': '1,2'})
)";

class FakeArm {
 public:
  explicit FakeArm(const std::string& script) {
    folder_ = fs::temp_directory_path() / ("fake-arm-" + std::to_string(getpid()));
    fs::create_directories(folder_ / "bench/native");
    fs::create_directories(folder_ / "bin");
    fs::create_directories(folder_ / "logs");
    fs::create_directories(folder_ / "series");
    std::ofstream(folder_ / "bench/native/fake.py") << kPrelude << script;
    fs::create_symlink("/usr/bin/python3", folder_ / "bin/python");
  }
  ~FakeArm() { fs::remove_all(folder_); }

  absl::StatusOr<std::unique_ptr<ArmSession>> Start(const LaunchOptions& launch = {}) {
    const Places places = {
        .checkout = folder_, .venv = folder_, .bin = folder_, .data = folder_, .result = folder_};
    const ArmSpec arm = {.name = "fake", .kind = ArmKind::kSerial, .program = "fake.py"};
    return ArmSession::Start(workload_, arm, machines_, places, launch);
  }
  fs::path SeriesOf(const std::string& rep, const std::string& series) const {
    return folder_ / "series" / (rep + "." + series + ".txt");
  }
  std::unique_ptr<ArmSession> MustStart(const LaunchOptions& launch = {}) {
    auto session = Start(launch);
    INFO(session.status());
    REQUIRE(session.ok());
    return *std::move(session);
  }

 private:
  fs::path folder_;
  const WorkloadSpec workload_ = {.name = "w",
                                  .phases = {"load", "preprocess", "train", "evaluate"},
                                  .series = {{.name = "loss"}, {.name = "large", .kept = false}}};
  Machines machines_ = Machines::Bare(false);
};

bool Says(const absl::Status& status, const std::string& words) {
  INFO(status);
  return std::string(status.message()).find(words) != std::string::npos;
}

TEST_CASE("ArmSession: an arm that follows the protocol") {
  FakeArm arm(R"(
ready()
for line in commands():
  if line == 'quit\n': break
  words = line.split()
  phases()
  result(words[3])
)");
  auto session = arm.MustStart();
  for (const char* name : {"a", "b"}) {
    auto rep = session->Run(name, 2, seconds(20));
    INFO(rep.status());
    REQUIRE(rep.ok());
    CHECK(rep->Total() == 2.0);
    CHECK(rep->outcome.series["loss"].numbers == std::vector<double>{2, 1});
    CHECK(rep->outcome.values["accuracy"] == 0.5);
    CHECK(rep->outcome.texts["top"] == "1,2");
    // What is not kept has been read all the same.
    CHECK(rep->outcome.series["large"].numbers == std::vector<double>{8});
    CHECK(rep->series_paths.count("large") == 0);
    CHECK_FALSE(fs::exists(arm.SeriesOf(name, "large")));
    CHECK(fs::exists(arm.SeriesOf(name, "loss")));
    CHECK_FALSE(rep->usage.cpu_seconds);  // nobody meters here
  }
  CHECK(session->Stop().ok());
}

TEST_CASE("ArmSession: a value that is not a number is one for the gates, no broken protocol") {
  FakeArm arm(R"(
ready()
commands().readline()
phases()
event(event='result', steps=2, hashes={'dataset': 'a'}, values={'accuracy': None, 'loss': 1})
)");
  const auto rep = arm.MustStart()->Run("a", 2, seconds(20));
  INFO(rep.status());
  REQUIRE(rep.ok());
  CHECK(std::isnan(rep->outcome.values.at("accuracy")));
  CHECK(rep->outcome.values.at("loss") == 1);
  CHECK(rep->outcome.hashes.at("dataset") == "a");
}

TEST_CASE("ArmSession: time in no phase is seen") {
  FakeArm arm(R"(
import time
ready()
f = commands()
words = f.readline().split()
begin = time.monotonic()
while time.monotonic() - begin < 0.3: pass
for name in ('load', 'preprocess', 'train', 'evaluate'):
  event(event='phase', name=name, seconds=0.0)
result(words[3])
f.readline()
)");
  auto session = arm.MustStart();
  auto rep = session->Run("a", 2, seconds(20));
  INFO(rep.status());
  REQUIRE(rep.ok());
  CHECK(rep->Total() == 0);
  CHECK(rep->outside_seconds >= 0.3);
}

TEST_CASE("ArmSession: what a repetition that fails had done until then is kept") {
  FakeArm arm(R"(
ready()
f = commands()
f.readline()
event(event='phase', name='load', seconds=0.5)
event(event='step', done=1, at=10.0)
event(event='step', done=2, at=11.0)
event(event='error', message='a worker died')
)");
  auto session = arm.MustStart({.step_events = true});
  size_t seen = 0;
  session->Watch([&](const RunTrace& trace) { seen = std::max(seen, trace.steps.size()); });
  CHECK(Says(session->Run("a", 4, seconds(20)).status(), "a worker died"));
  REQUIRE(session->trace().steps.size() == 2);
  CHECK(seen == 2);
  CHECK(session->trace().steps[1].done == 2);
  CHECK(session->trace().steps[1].at == 11.0);
  REQUIRE(session->trace().phases.size() == 1);
  CHECK(session->trace().phases[0].name == "load");
  CHECK(session->trace().begin > 0);
}

TEST_CASE("ArmSession: step events that were not asked for are refused") {
  FakeArm arm(
      "ready()\nf = commands()\nf.readline()\nevent(event='step', done=1, at=1.0)\n"
      "f.readline()");
  CHECK(Says(arm.MustStart()->Run("a", 2, seconds(20)).status(), "an unknown event"));
}

TEST_CASE("ArmSession: an event that the protocol does not know is refused") {
  FakeArm arm("ready()\nf = commands()\nf.readline()\nevent(event='news')\nf.readline()");
  CHECK(Says(arm.MustStart()->Run("a", 2, seconds(20)).status(), "an unknown event"));
}

TEST_CASE("ArmSession: an arm that cannot start shows its last words") {
  FakeArm arm("sys.exit('no such library')");
  const absl::Status status = arm.Start().status();
  CHECK(Says(status, "exit code 1"));
  CHECK(Says(status, "no such library"));
}

TEST_CASE("ArmSession: another version of the protocol is refused") {
  FakeArm arm("ready(1)\ncommands().readline()");
  CHECK(Says(arm.Start().status(), "version 1"));
}

TEST_CASE("ArmSession: rubbish instead of events is refused") {
  FakeArm arm("out.write('hello\\n')\ncommands().readline()");
  CHECK(Says(arm.Start().status(), "not a JSON object: hello"));
}

TEST_CASE("ArmSession: death in the middle of a repetition is reported with the signal") {
  FakeArm arm("ready()\ncommands().readline()\nimport os\nos.kill(os.getpid(), 9)");
  auto session = arm.MustStart();
  CHECK(Says(session->Run("a", 2, seconds(20)).status(), "signal 9"));
}

TEST_CASE("ArmSession: an arm that says nothing runs out of time") {
  FakeArm arm("ready()\nf = commands()\nf.readline()\nf.readline()");
  auto session = arm.MustStart();
  CHECK(session->Run("a", 2, seconds(0)).status().code() == absl::StatusCode::kDeadlineExceeded);
}

// Regression: the time was looked at only while nothing came.
TEST_CASE("ArmSession: an arm that never stops writing runs out of time") {
  FakeArm arm(R"(
ready()
f = commands()
f.readline()
while True: event(event='step', done=1, at=1.0)
)");
  auto session = arm.MustStart({.step_events = true});
  CHECK(session->Run("a", 2, seconds(1)).status().code() == absl::StatusCode::kDeadlineExceeded);
}

// Regression: its child alone was killed, and its own end waited for without a bound.
TEST_CASE("ArmSession: a program that goes on without its child ends with the session") {
  FakeArm arm(R"(
import signal, subprocess
child = subprocess.Popen(['sleep', '1000'])
ready()
child.wait()
while True: signal.pause()
)");
  auto session = arm.MustStart();
  const auto begin = std::chrono::steady_clock::now();
  session.reset();
  CHECK(std::chrono::steady_clock::now() - begin < seconds(20));
}

TEST_CASE("ArmSession: an error event becomes the reason") {
  FakeArm arm(
      "ready()\nf = commands()\nf.readline()\nevent(event='error', message='bad "
      "data')\nf.readline()");
  auto session = arm.MustStart();
  CHECK(Says(session->Run("a", 2, seconds(20)).status(), "bad data"));
}

TEST_CASE("ArmSession: a result without its fields, or a missing phase, is refused") {
  FakeArm without_fields(
      "ready()\nf = commands()\nf.readline()\nevent(event='result')\nf.readline()");
  CHECK(Says(without_fields.MustStart()->Run("a", 2, seconds(20)).status(), "steps"));
}

TEST_CASE("ArmSession: a missing phase is refused") {
  FakeArm arm("ready()\nf = commands()\nresult(f.readline().split()[3])\nf.readline()");
  CHECK(Says(arm.MustStart()->Run("a", 2, seconds(20)).status(), "no phase 'load'"));
}

TEST_CASE("ArmSession: a phase that the workload does not have is refused") {
  FakeArm arm(R"(
ready()
f = commands()
words = f.readline().split()
phases()
event(event='phase', name='dream', seconds=0.5)
result(words[3])
f.readline()
)");
  CHECK(Says(arm.MustStart()->Run("a", 2, seconds(20)).status(), "a phase that w does not have"));
}

// Regression: the second replaced the first, and the repetition was shorter than it had been.
TEST_CASE("ArmSession: a phase that is reported twice is refused") {
  FakeArm arm(R"(
ready()
f = commands()
words = f.readline().split()
phases()
event(event='phase', name='load', seconds=0.1)
result(words[3])
f.readline()
)");
  CHECK(Says(arm.MustStart()->Run("a", 2, seconds(20)).status(), "phase 'load' twice"));
}

// Regression: a field of another type than expected threw through the runner.
TEST_CASE("ArmSession: fields of the wrong type are refused") {
  for (const char* planted : {"event=5", "event='error', message=[1]", "event='phase', name=7",
                              "event='result', steps=2, hashes=[], values={}",
                              "event='result', steps=2, hashes={}, values={'accuracy': 'x'}"}) {
    FakeArm arm(std::string("ready()\nf = commands()\nf.readline()\nevent(") + planted +
                ")\nf.readline()");
    INFO(planted);
    CHECK_FALSE(arm.MustStart()->Run("a", 2, seconds(20)).ok());
  }
}

TEST_CASE("ArmSession: an exit code other than 0 at the end is an error") {
  FakeArm arm("ready()\ncommands().readline()\nsys.exit(3)");
  CHECK(Says(arm.MustStart()->Stop(), "exit code 3"));
}

}  // namespace
}  // namespace rayx::bench
