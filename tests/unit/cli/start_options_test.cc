// Goal: every option of `rayx start` is checked before anything starts, and a wrong one is named.
// Method: texts, right and wrong.
#include "cli/start_options.h"

#include <catch2/catch.hpp>

namespace rayx::cli {
namespace {

std::string ErrorOf(const base::Status& status) {
  CHECK_FALSE(status.ok());
  return std::string(base::Message(status));
}

StartOptions Head() {
  StartOptions options;
  options.head = true;
  return options;
}

}  // namespace

TEST_CASE("StartOptions: memory in bytes, units and shares") {
  constexpr uint64_t kVm = uint64_t{8} << 30;
  CHECK(ParseMemory("--m", "1073741824", kVm).value() == uint64_t{1} << 30);
  CHECK(ParseMemory("--m", "2GiB", kVm).value() == uint64_t{2} << 30);
  CHECK(ParseMemory("--m", "0.5GiB", kVm).value() == uint64_t{1} << 29);
  CHECK(ParseMemory("--m", "500MB", kVm).value() == 500000000 / 4096 * 4096);
  CHECK(ParseMemory("--m", "50%", kVm).value() == uint64_t{4} << 30);
  for (const char* wrong : {"", "x", "1 GiB", "1gib", "-1GiB", "inf", "nan", "1e999", "101%",
                            "9GiB", "1MB", "0x10", "%"}) {
    INFO(wrong);
    CHECK_THAT(ErrorOf(ParseMemory("--m", wrong, kVm).status()), Catch::StartsWith("--m \""));
  }
}

TEST_CASE("StartOptions: bounds of logs") {
  StartOptions options = Head();
  CHECK(ParseLogBounds(options).value().files == LogBounds().files);
  options.log_file_size = "1MiB";
  options.log_files = "1";
  options.log_total = "64MB";
  const LogBounds bounds = ParseLogBounds(options).value();
  CHECK(bounds.file_bytes == 1 << 20);
  CHECK(bounds.files == 1);
  CHECK(bounds.total_bytes == 64000000);
  for (const char* wrong : {"x", "1KB", "30%", "-1", "2TiB"}) {
    options.log_file_size = wrong;
    CHECK_THAT(ErrorOf(ParseLogBounds(options).status()), Catch::StartsWith("--log-file-size \""));
  }
  options.log_file_size = "1MiB";
  for (const char* wrong : {"0", "-1", "101", "two", "1.5"}) {
    options.log_files = wrong;
    CHECK_THAT(ErrorOf(ParseLogBounds(options).status()), Catch::StartsWith("--log-files \""));
  }
  options.log_files = "65";
  CHECK_THAT(ErrorOf(ParseLogBounds(options).status()), Catch::StartsWith("--log-total 64000000"));
}

TEST_CASE("StartOptions: amounts and labels") {
  CHECK(ParseAmount("--n", "0.5").value() == 0.5);
  for (const char* wrong : {"", "-1", "two", "1x", "inf", "1e9"}) {
    CHECK_THAT(ErrorOf(ParseAmount("--n", wrong).status()), Catch::Contains("--n"));
  }
  CHECK(ParseLabels("").value().empty());
  CHECK(ParseLabels("zone=a,disk=ssd").value().at("disk") == "ssd");
  for (const char* wrong : {"zone", "=a", "zone=", "zone=a,", "zone=a,zone=b", "a b=c", "x=\n"}) {
    INFO(wrong);
    CHECK_THAT(ErrorOf(ParseLabels(wrong).status()), Catch::Contains("--labels"));
  }
}

TEST_CASE("StartOptions: resources are CPU, GPU, memory and what JSON names") {
  StartOptions options = Head();
  options.num_cpus = "1.5";
  options.num_gpus = "2";
  options.resources = "{\"disk\": 3, \"gold\": 0.25}";
  const auto resources = ParseResources(options, uint64_t{8} << 30, uint64_t{2} << 30).value();
  CHECK(resources.Get("CPU") == 15000);
  CHECK(resources.Get("GPU") == 20000);
  CHECK(resources.Get("disk") == 30000);
  CHECK(resources.Get("gold") == 2500);
  CHECK(resources.Get("memory") == (int64_t{6} << 30) * 10000);
  options.resources = "[1]";
  CHECK_THAT(ErrorOf(ParseResources(options, 1, 1).status()), Catch::Contains("JSON object"));
  options.resources = "{\"memory\": 1}";
  CHECK_THAT(ErrorOf(ParseResources(options, 1, 1).status()),
             Catch::Contains("an option of its own"));
}

TEST_CASE("StartOptions: a plan's defaults, and options that do not go together") {
  const StartPlan plan = MakePlan(Head()).value();
  CHECK(plan.with_head);
  CHECK(plan.port == 7399);
  CHECK(plan.listen_ip == "127.0.0.1");
  CHECK(plan.resources.Get("CPU") >= 10000);
  CHECK(plan.store_bytes > 0);
  CHECK_FALSE(MakePlan(StartOptions()).ok());
  StartOptions both = Head();
  both.address = "1.2.3.4:5";
  CHECK_THAT(ErrorOf(MakePlan(both).status()), Catch::Contains("--address"));
  StartOptions embedded = Head();
  embedded.embedded = true;
  CHECK_THAT(ErrorOf(MakePlan(embedded).status()), Catch::Contains("--pipe-fd"));
  embedded.pipe_fd = 4;
  embedded.driver_pid = 1;
  CHECK(MakePlan(embedded).value().port == 0);
}

}  // namespace rayx::cli
