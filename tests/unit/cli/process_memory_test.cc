// Goal: memory of processes is what the kernel says of it, without store pages.
// Method: made-up smaps, and this process.
#include "cli/microbenchmark/process_memory.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace rayx::cli {

TEST_CASE("ProportionalBytes: adds up Pss and leaves out pages of object stores") {
  const std::string smaps =
      "55d0c0000000-55d0c0002000 r-xp 00001000 08:01 4711                       /usr/bin/rayx\n"
      "Size:                  8 kB\n"
      "Pss:                   3 kB\n"
      "Pss_Dirty:           900 kB\n"
      "Anonymous:             0 kB\n"
      "VmFlags: rd ex mr mw me sd \n"
      "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n"
      "Pss:                   4 kB\n"
      "Anonymous:             4 kB\n"
      "7f1000000000-7f2000000000 rw-s 00000000 00:01 99  /memfd:rayx:segment-j1 (deleted)\n"
      "Pss:               70000 kB\n"
      "7f3000000000-7f3000001000 rw-s 00000000 00:01 98  /memfd:rayx:channel (deleted)\n"
      "Pss:                   5 kB\n";
  CHECK(ProportionalBytesIn(smaps) == 12 * 1024);
  CHECK(ProportionalBytesIn("") == 0);
}

TEST_CASE("ProportionalBytes: a process that writes to memory has it") {
  const double before = ProportionalBytes({::getpid()});
  CHECK(before > 0);
  const std::vector<char> memory(32 << 20, 1);
  CHECK(memory[1 << 20] == 1);
  CHECK(ProportionalBytes({::getpid()}) - before == Approx(32 << 20).epsilon(0.1));
  CHECK_THROWS_WITH(ProportionalBytes({-1}), Catch::Contains("/proc/-1/smaps"));
}

}  // namespace rayx::cli
