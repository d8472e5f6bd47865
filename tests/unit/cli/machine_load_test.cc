// Goal: a run beside others is told from one on a quiet machine. Method: made-up /proc/stat.
#include "cli/microbenchmark/machine_load.h"

#include <catch2/catch.hpp>
#include <optional>

namespace rayx::cli {
namespace {

using Catch::Matchers::Contains;

// 100 ticks a second.
CpuSeconds At(const std::string& line) {
  const auto seconds = ParseCpuSeconds(line, 100);
  REQUIRE(seconds.has_value());
  return *seconds;
}

// Of one span from the machine's start.
std::string RemarkAfter(const std::string& line, double own_seconds) {
  MachineLoad load;
  load.Begin(At("cpu 0 0 0 0 0 0 0 0"), 0);
  load.End(At(line), own_seconds);
  return load.Remark();
}

}  // namespace

TEST_CASE("MachineLoad: the first line of /proc/stat, guests counted once") {
  const CpuSeconds at = At("cpu  100 200 300 4000 500 10 20 30 100 0\ncpu0 1 2 3 4 5 6 7 8\n");
  CHECK(at.busy == Approx(6.3));
  CHECK(at.stolen == Approx(0.3));
  CHECK(at.total == Approx(51.6));
  CHECK_FALSE(ParseCpuSeconds("", 100).has_value());
  CHECK_FALSE(ParseCpuSeconds("cpu 1 2 3", 100).has_value());
  CHECK_FALSE(ParseCpuSeconds("intr 1 2 3 4 5 6 7 8", 100).has_value());
}

TEST_CASE("MachineLoad: others and a host that takes time are remarked, our own work is not") {
  CHECK(RemarkAfter("cpu 900 0 100 1000 0 0 0 0", 10).empty());
  CHECK(RemarkAfter("cpu 900 0 100 1000 0 0 0 0", 9.5).empty());
  CHECK_THAT(RemarkAfter("cpu 900 0 100 1000 0 0 0 0", 4), Contains("others used 30 %"));
  CHECK_THAT(RemarkAfter("cpu 900 0 0 1000 0 0 0 100", 9), Contains("took 5 %"));
  CHECK(RemarkAfter("cpu 0 0 0 0 0 0 0 0", 1).empty());
}

TEST_CASE("MachineLoad: what works between two spans is nobody's") {
  MachineLoad load;
  CHECK(load.Remark().empty());
  load.Begin(At("cpu 0 0 0 0 0 0 0 0"), 0);
  load.End(At("cpu 500 0 0 500 0 0 0 0"), 4.9);
  // The daemons of simulated VMs, say: 20 seconds of which this process is not told.
  load.Begin(At("cpu 2500 0 0 500 0 0 0 0"), 4.9);
  load.End(At("cpu 3000 0 0 1000 0 0 0 0"), 9.9);
  CHECK(load.Remark().empty());
  load.End(At("cpu 9000 0 0 1000 0 0 0 0"), 9.9);  // ends no span
  CHECK(load.Remark().empty());
  // One whose end cannot be read is left out, whatever ends later.
  load.Begin(At("cpu 3000 0 0 1000 0 0 0 0"), 9.9);
  load.End(std::nullopt, 9.9);
  load.End(At("cpu 9000 0 0 1000 0 0 0 0"), 9.9);
  CHECK(load.Remark().empty());
  load.Begin(At("cpu 3000 0 0 1000 0 0 0 0"), 9.9);
  load.End(At("cpu 4000 0 0 2000 0 0 0 0"), 15.9);
  CHECK_THAT(load.Remark(), Contains("others used 10 %"));
}

TEST_CASE("MachineLoad: this machine can be asked") {
  const auto now = ReadCpuSeconds();
  REQUIRE(now.has_value());
  CHECK(now->total > 0);
  CHECK(OwnCpuSeconds() >= 0);
}

}  // namespace rayx::cli
