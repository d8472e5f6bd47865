// Goal: tables line up and print nothing that would confuse a terminal.
// Method: compared with the text expected.
#include "cli/table.h"

#include <sstream>

#include <catch2/catch.hpp>

namespace rayx::cli {

TEST_CASE("Table: columns are as wide as their widest cell") {
  Table table({"A", "LONG"});
  table.Add({"wide cell", "x"});
  table.Add({"y", "\x1b[31m"});
  std::ostringstream out;
  table.Print(out);
  CHECK(out.str() ==
        "A          LONG\n"
        "wide cell  x\n"
        "y          ?[31m\n");
}

TEST_CASE("Table: bytes and units") {
  CHECK(FormatBytes(0) == "0 B");
  CHECK(FormatBytes(1023) == "1023 B");
  CHECK(FormatBytes(1536) == "1.5 KiB");
  CHECK(FormatBytes(~uint64_t{0}) == "16384.0 PiB");
  CHECK(FormatUnits(5000) == "0.5");
  CHECK(FormatUnits(20000) == "2");
}

}  // namespace rayx::cli
