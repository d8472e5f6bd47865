// Goal: what a start wants reaches head and node unchanged; damaged files are errors.
// Method: written and read in a fresh folder.
#include "cli/start_plan.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

namespace rayx::cli {

TEST_CASE("StartPlan: written and read") {
  char name[] = "/tmp/rayx-plan-XXXXXX";
  const std::string folder = ::mkdtemp(name);
  StartPlan plan;
  plan.with_head = true;
  plan.cluster = "0123abcd";
  plan.listen_ip = "10.0.0.1";
  plan.port = 65535;
  plan.resources.Set("CPU", 12345);
  plan.labels = {{"zone", "a"}};
  plan.store_bytes = uint64_t{1} << 40;
  plan.logs = {123456, 7, uint64_t{1} << 41};
  REQUIRE(WriteStartPlan(folder, plan).ok());
  const auto back = ReadStartPlan(folder);
  REQUIRE(back.ok());
  CHECK(back->with_head);
  CHECK(back->cluster == plan.cluster);
  CHECK(back->port == 65535);
  CHECK(back->resources == plan.resources);
  CHECK(back->labels == plan.labels);
  CHECK(back->store_bytes == plan.store_bytes);
  CHECK(back->logs.file_bytes == 123456);
  CHECK(back->logs.files == 7);
  CHECK(back->logs.total_bytes == uint64_t{1} << 41);
  for (const char* wrong : {"", "{", "{}", "[]", "{\"with_head\": 1}"}) {
    std::ofstream(folder + "/start.json") << wrong;
    const auto damaged = ReadStartPlan(folder);
    CHECK_FALSE(damaged.ok());
    CHECK_THAT(std::string(base::Message(damaged.status())), Catch::Contains("start.json"));
  }
  std::filesystem::remove_all(folder);
}

TEST_CASE("ReadyAnswer: there and back, whatever bytes an error has") {
  const auto back =
      ParseReadyAnswer(FormatReadyAnswer({"bad \xff\n\"bytes\"", "1.2.3.4:5", 7, "c"}));
  REQUIRE(back.ok());
  CHECK(back->address == "1.2.3.4:5");
  CHECK(back->node == 7);
  CHECK(back->cluster == "c");
  CHECK_THAT(back->error, Catch::Contains("\n\"bytes\""));
  CHECK_FALSE(ParseReadyAnswer("").ok());
  CHECK_FALSE(ParseReadyAnswer("{\"error\": 1}").ok());
}

}  // namespace rayx::cli
