// Goal: a mistyped word finds the one that was meant, and no other word does.
// Method: words beside the commands of rayx.
#include "cli/command_error.h"

#include <catch2/catch.hpp>

namespace rayx::cli {

TEST_CASE("Nearest: slips of one or two letters, swapped ones and beginnings") {
  const std::vector<std::string> commands = {"start", "stop", "status", "list", "logs"};
  CHECK(Nearest("stauts", commands) == "status");
  CHECK(Nearest("sttus", commands) == "status");
  CHECK(Nearest("statr", commands) == "start");
  CHECK(Nearest("lst", commands) == "list");
  CHECK(Nearest("log", commands) == "logs");
  CHECK(Nearest("stat", commands) == "start");  // one letter is less than two
  CHECK(Nearest("mi", {"microbenchmark"}) == "microbenchmark");
  CHECK(Nearest("m", {"microbenchmark"}).empty());            // one letter begins nothing
  CHECK(Nearest("ab", {"abc"}) == "abc");                     // one slip, as it begins it
  CHECK(Nearest("tcsh", {"bash", "fish", "zsh"}) != "bash");  // half of it is another
  CHECK(Nearest("bsh", {"bash", "fish", "zsh"}) == "bash");
  CHECK(Nearest("", commands).empty());
  CHECK(Nearest("x", commands).empty());
  CHECK(Nearest("frobnicate", commands).empty());
}

}  // namespace rayx::cli
