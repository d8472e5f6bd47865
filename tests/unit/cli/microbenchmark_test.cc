// Goal: a row's numbers are what its samples say, and a wrong result is never a number.
// Method: made-up rows, one of which calls a remote function that computes something else, in local
// mode.
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include <catch2/catch.hpp>

#include "cli/microbenchmark/limits.h"
#include "cli/microbenchmark/report.h"
#include "cli/microbenchmark/row.h"
#include "cli/microbenchmark/rows.h"
#include "rayx/rayx.h"

namespace rayx::cli {

// What should have been AddOne, but for one value.
int64_t AddOneButNotToTwelve(int64_t value) {
  return value == 12 ? 12 : value + 1;
}

namespace {

using Catch::Matchers::Contains;

constexpr double kShort = 0.001;

Limits MadeUpLimits() {
  Limits limits;
  limits.ring_us = 0.5;
  limits.fork_us = 400;
  limits.copy_gbs = 5;
  limits.read_gbs = 10;
  return limits;
}

Row RowOf(Sampler sampler) {
  return {{{"made up", Unit::kMicroseconds, Limit::kRingRoundTrip}},
          [sampler = std::move(sampler)] { return sampler; }};
}

nlohmann::json JsonRows(const std::vector<RowResult>& rows) {
  return nlohmann::json::parse(FormatJson(rows, MadeUpLimits()))["rows"];
}

class LocalMode {
 public:
  LocalMode() {
    Options options;
    options.local_mode = true;
    rayx::Init(options);
  }
  ~LocalMode() { rayx::Shutdown(); }
};

template <auto F>
Sampler Plus(size_t calls_max) {
  return [calls_max](size_t calls) {
    for (size_t i = 0; i < std::min(calls, calls_max); ++i) {
      const auto argument = static_cast<int64_t>(i);
      Expect(*rayx::Task<F>().Remote(argument).Get(), argument + 1);
    }
    return std::vector<double>{1};
  };
}

}  // namespace

TEST_CASE("Microbenchmark: a planted wrong result fails its row, whichever call it is of") {
  const LocalMode local;
  Row planted = RowOf(Plus<&AddOneButNotToTwelve>(20));
  planted.calls_min = 20;
  planted.samples = 1;
  const RowResult result = MeasureRow(planted, kShort);
  CHECK_FALSE(result.has_numbers());
  CHECK_THAT(result.failed, Contains("got 12, expected 13"));
  const auto rows = JsonRows({result});
  REQUIRE(rows.size() == 1);
  CHECK(rows[0]["median"].is_null());
  CHECK(rows[0]["ratio"].is_null());
  CHECK(rows[0]["failed"] == result.failed);
  CHECK_THAT(FormatTable({result}, MadeUpLimits()), Contains("FAILED: got 12, expected 13"));
  // The same row with the right function, and with the wrong one before it goes wrong.
  planted.begin = [] { return Plus<&AddOne>(20); };
  CHECK(MeasureRow(planted, kShort).has_numbers());
  planted.begin = [] { return Plus<&AddOneButNotToTwelve>(12); };
  CHECK(MeasureRow(planted, kShort).has_numbers());
}

TEST_CASE("Microbenchmark: a wrong result fails a row also after good samples") {
  auto samples = std::make_shared<int>(0);
  const RowResult result = MeasureRow(RowOf([samples](size_t) {
                                        if (++*samples > 3) Expect(1, 2);
                                        return std::vector<double>{1};
                                      }),
                                      kShort);
  CHECK(result.failed == "got 1, expected 2");
  CHECK(*samples == 4);
}

TEST_CASE("Microbenchmark: a row that cannot be measured here says why and has not failed") {
  Row row = RowOf(nullptr);
  row.begin = []() -> Sampler { throw NotRun("no such machine"); };
  const RowResult result = MeasureRow(row, kShort);
  CHECK(result.failed.empty());
  CHECK(result.not_run == "no such machine");
  const auto rows = JsonRows({result});
  CHECK(rows[0]["median"].is_null());
  CHECK(rows[0]["limit"] == 0.5);
  CHECK(rows[0]["not_run"] == "no such machine");
  CHECK_FALSE(rows[0].contains("failed"));
  CHECK_THAT(FormatTable({result}, MadeUpLimits()), Contains("not run: no such machine"));
}

TEST_CASE("Microbenchmark: median and spread over the samples, each figure by itself") {
  Row row;
  row.figures = {{"a", Unit::kMicroseconds, Limit::kRingRoundTrip},
                 {"b", Unit::kPerSecond, Limit::kRingRoundTrip, 1000}};
  row.samples = 11;
  auto sample = std::make_shared<int>(-1);  // the first warms up
  row.begin = [sample] {
    return [sample](size_t) {
      const double value = (*sample)++;
      return std::vector<double>{value < 0 ? 1e9 : value + 1, 100 - value};
    };
  };
  const RowResult result = MeasureRow(row, kFixedSamplesFromSeconds);
  REQUIRE(result.has_numbers());
  CHECK(*sample == 11);
  CHECK(result.figures[0].median == Approx(6));
  CHECK(result.figures[0].p10 == Approx(2));
  CHECK(result.figures[0].p90 == Approx(10));
  CHECK(result.figures[1].median == Approx(95));
  const auto rows = JsonRows({result});
  CHECK(rows[0]["unit"] == "us");
  CHECK(rows[0]["limit"] == 0.5);
  CHECK(rows[0]["ratio"].get<double>() == Approx(12));
  CHECK(rows[1]["limit"].get<double>() == Approx(2000));  // a batch is 1000 round trips
  CHECK(rows[1]["ratio"].get<double>() == Approx(2000.0 / 95));
  // Below half a second: one sample, without a warm-up.
  *sample = 0;
  CHECK(MeasureRow(row, kShort).figures[0].p90 == Approx(1));
  CHECK(*sample == 1);
}

TEST_CASE("Microbenchmark: of a limit beside the samples the best counts, in either direction") {
  Row row;
  row.figures = {{"a", Unit::kSeconds, Limit::kBeside},
                 {"b", Unit::kGigabytesPerSecond, Limit::kBeside},
                 {"c", Unit::kMicroseconds, Limit::kRingRoundTrip}};
  row.samples = 3;
  row.runs_in = RunsIn::kOwnPrograms;  // without a warm-up
  auto sample = std::make_shared<double>(0);
  row.begin = [sample] {
    return [sample](size_t) {
      const double n = ++*sample;
      return std::vector<double>{10, n, 6, n + 10, 2};  // a, its limit, b, its limit, c
    };
  };
  const RowResult result = MeasureRow(row, kFixedSamplesFromSeconds);
  REQUIRE(result.failed.empty());
  const auto rows = JsonRows({result});
  CHECK(rows[0]["limit"] == 1);
  CHECK(rows[0]["ratio"] == 10);
  CHECK(rows[1]["limit"] == 13);
  CHECK(rows[1]["ratio"].get<double>() == Approx(13.0 / 6));
  CHECK(rows[2]["limit"] == 0.5);
  CHECK(rows[2]["ratio"] == 4);
}

TEST_CASE("Microbenchmark: a row that was not run has no limit that it measures itself") {
  Row row;
  row.figures = {{"a", Unit::kSeconds, Limit::kBeside}};
  row.begin = []() -> Sampler { throw NotRun("no network"); };
  const RowResult result = MeasureRow(row, kShort);
  CHECK(JsonRows({result})[0]["limit"].is_null());
  CHECK_THAT(FormatTable({result}, MadeUpLimits()), Contains("not run: no network"));
}

TEST_CASE("Microbenchmark: Ray's numbers stand beside the rows that Ray has, and no other") {
  const RayColumn ray = ParseRayColumn(
      R"({"release": "2.58.0", "rows": {"made up": {"ray": {"median": 300, "p10": 200, "p90": 400},
          "same_source": {"median": 2, "p10": 1, "p90": 3}}}})");
  CHECK(ray.release == "2.58.0");
  Row row = RowOf([](size_t) { return std::vector<double>{1, 5}; });
  row.figures.push_back({"of ours", Unit::kPerSecond, Limit::kRingRoundTrip});
  const std::vector<RowResult> results = {MeasureRow(row, kShort)};
  const auto json = nlohmann::json::parse(FormatJson(results, MadeUpLimits(), ray));
  CHECK(json["env"]["ray_release"] == "2.58.0");
  CHECK(json["rows"][0]["ray"]["median"] == 300);
  CHECK(json["rows"][0]["ray"]["same_source"] == 2);
  CHECK(json["rows"][0]["ray"]["times"] == 150);
  CHECK_FALSE(json["rows"][1].contains("ray"));
  const std::string table = FormatTable(results, MadeUpLimits(), ray);
  CHECK_THAT(table, Contains("Ray 2.58.0"));
  CHECK_THAT(table, Contains("          300            2       150\n"));
  CHECK_THAT(FormatTable(results, MadeUpLimits()), !Contains("Ray"));
  CHECK_THAT(FormatTable(results, MadeUpLimits(), {}, "remark: busy"), Contains("remark: busy"));
  const auto remarked =
      nlohmann::json::parse(FormatJson(results, MadeUpLimits(), {}, "remark: busy"));
  CHECK(remarked["env"]["remark"] == "remark: busy");
  CHECK_FALSE(json["env"].contains("remark"));
  CHECK_THROWS_WITH(ParseRayColumn("{}"), Contains("run_both said something else"));
  CHECK_THROWS_WITH(ParseRayColumn("no"), Contains("run_both said something else"));
}

TEST_CASE("Microbenchmark: a number that cannot be is a failure") {
  for (const double value : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    Row row = RowOf([=](size_t) { return std::vector{value}; });
    row.samples = 1;
    const RowResult result = MeasureRow(row, kShort);
    CHECK_THAT(result.failed, Contains("made up: measured"));
  }
}

TEST_CASE("Microbenchmark: limits in each unit, and the ratio in both directions") {
  const Limits limits = MadeUpLimits();
  CHECK(LimitIn(Unit::kMicroseconds, Limit::kRingRoundTrip, 10, limits) == Approx(5));
  CHECK(LimitIn(Unit::kMilliseconds, Limit::kRingRoundTrip, 10'000, limits) == Approx(5));
  CHECK(LimitIn(Unit::kSeconds, Limit::kRingRoundTrip, 1e6, limits) == Approx(0.5));
  CHECK(LimitIn(Unit::kPerSecond, Limit::kFork, 1, limits) == Approx(2500));
  CHECK(LimitIn(Unit::kMilliseconds, Limit::kFork, 1, limits) == Approx(0.4));
  CHECK(LimitIn(Unit::kBytes, Limit::kCacheLine, 1, limits) == 64);
  CHECK(LimitIn(Unit::kGigabytesPerSecond, Limit::kWarmCopy, 1, limits) == 5);
  CHECK(LimitIn(Unit::kGigabytesPerSecond, Limit::kWarmRead, 1, limits) == 10);
  CHECK(RatioTo(2, 6, Unit::kMilliseconds) == Approx(3));
  CHECK(RatioTo(6, 2, Unit::kGigabytesPerSecond) == Approx(3));
}

TEST_CASE("Microbenchmark: every byte that is read counts") {
  for (const size_t size : {0, 1, 7, 8, 9, 1000}) {
    std::vector<uint64_t> words(size);
    uint64_t sum = 0;
    for (size_t i = 0; i < size; ++i) sum += words[i] = (i + 1) * 0x9e3779b97f4a7c15u;
    CHECK(ReadAll(words) == sum);
  }
}

TEST_CASE("Microbenchmark: names are Ray's where Ray has the row, and none comes twice") {
  std::set<std::string> names;
  bool began = false;
  for (const Row& row : AllRows()) {
    for (const Figure& figure : row.figures) CHECK(names.insert(figure.name).second);
    CHECK((!began || !row.is_alone()));  // a cluster of ours is never beside another program's
    began = began || !row.is_alone();
  }
  for (const char* name :
       {"single client get calls (Plasma Store)", "single client put calls (Plasma Store)",
        "multi client put calls (Plasma Store)", "single client put gigabytes",
        "single client tasks and get batch", "multi client put gigabytes",
        "single client get object containing 10k refs", "single client wait 1k refs",
        "single client tasks sync", "single client tasks async", "multi client tasks async",
        "1:1 actor calls sync", "1:1 actor calls async", "1:1 actor calls concurrent",
        "1:n actor calls async", "n:n actor calls async", "n:n actor calls with arg async"}) {
    CHECK(names.count(name) == 1);
  }
}

}  // namespace rayx::cli
