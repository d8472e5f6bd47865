// Goal: etl finds what the generator has made dirty, its kernel is right, and an arm that does its
// work wrong fails a gate. Method: the arms' kernel on a small generated table, its workers in one
// process; then errors in data and work.
#include <algorithm>
#include <cstring>

#include "bench/data/generate/generate_rows.h"
#include "bench/workloads/etl/etl_result.h"
#include "tests/unit/bench/arm_outcomes.h"
#include "tests/unit/bench/parquet_files.h"

namespace rayx::bench {
namespace {

std::string Failed(const WorkloadSpec& workload, const Outcome& outcome, const Outcome& reference) {
  return FailedGates(workload, outcome, reference, {.steps = 6, .nodes = 3});
}

constexpr int64_t kRows = 5300, kBlockRows = 900, kSteps = 6;

GenerateSpec Spec() {
  GenerateSpec spec = DefaultSpec(DataKind::kTable);
  spec.rows = kRows;
  spec.features = 0;
  return spec;
}

NamedArrays ColumnsOf(const arrow::RecordBatch& rows) {
  NamedArrays columns;
  for (int i = 0; i < rows.num_columns(); ++i) {
    columns.emplace_back(rows.column_name(i), rows.column(i));
  }
  return columns;
}

enum class Slip { kNone, kUnsorted, kLostRange, kTotalsTwice, kRowTwice, kOneMoreCent };

class Table {
 public:
  Table() : folder_("etl") {
    const auto stores = GenerateStores(Spec());
    REQUIRE(stores.ok());
    WriteParquet(Path("stores.parquet"), ColumnsOf(**stores), 1000);
    Write(1);
  }

  std::string Path(const std::string& name) const { return (folder_.path() / name).string(); }
  void Write(uint64_t seed) const {
    GenerateSpec spec = Spec();
    spec.seed = seed;
    for (const auto& [name, begin, count] :
         {std::tuple("part-0.parquet", 0, 3000), std::tuple("part-1.parquet", 3000, 2300)}) {
      const auto rows = GenerateRows(spec, begin, count);
      REQUIRE(rows.ok());
      WriteParquet(Path(name), ColumnsOf(**rows), 700);
    }
  }
  // Writes the first part again with a column of its rows changed; null: without the column.
  void Change(const std::string& column, const std::shared_ptr<arrow::Array>& values) const {
    NamedArrays columns = ColumnsOf(**GenerateRows(Spec(), 0, 3000));
    std::erase_if(columns, [&](const auto& named) { return named.first == column; });
    if (values) columns.emplace_back(column, values);
    WriteParquet(Path("part-0.parquet"), columns, 700);
  }

  Outcome Run(int workers, Slip slip = Slip::kNone, int64_t steps = kSteps) const {
    const EtlOptions options = {.folder = folder_.path(), .block_rows = kBlockRows};
    const int64_t rows = RowsOf(options, steps);
    const ParquetTable table(SalesFiles(options.folder));
    std::vector<Sales> sales;
    std::vector<int64_t> sample;
    Totals totals = NoTotals();
    for (int64_t block = 0; block < steps; ++block) {
      const Range range = BlockRange(block, rows, kBlockRows);
      sales.push_back(ReadCleanSales(table, range.begin, range.end, ReadRegions(options.folder)));
      if (slip == Slip::kOneMoreCent && block == 2) ++sales.back()[5].cents;
      if (slip == Slip::kRowTwice && block == 2) sales.back()[5] = sales.back()[6];
      AddTotals(sales.back(), totals);
      if (slip == Slip::kTotalsTwice && block == 2) AddTotals(sales.back(), totals);
      for (const int64_t place : SampleOf(sales.back())) sample.push_back(place);
    }
    const Fingerprint whole = SortAll(sales, Splitters(sample, workers), slip);
    const std::string prefix = Path("rep");
    const RepCommand command = {"rep", steps, prefix};
    ArmEvents(prefix + ".events", 0)
        .Result(command, EtlOutcome(HashOfTable(options.folder), command, totals, whole));
    return ReadOutcome(prefix, workload);
  }

  const WorkloadSpec workload = WorkloadNamed("etl");

 private:
  static Fingerprint SortAll(const std::vector<Sales>& blocks,
                             const std::vector<int64_t>& splitters, Slip slip) {
    Fingerprint whole;
    for (size_t range = 0; range <= splitters.size(); ++range) {
      Sales sales;
      for (const Sales& block : blocks) {
        const Sales part = CutByRange(block, splitters).at(range);
        sales.insert(sales.end(), part.begin(), part.end());
      }
      if (slip != Slip::kUnsorted || range > 0) SortByRevenue(sales);
      if (slip != Slip::kLostRange || range > 0) whole = Merge(whole, FingerprintOf(sales));
    }
    return whole;
  }

  const TestFolder folder_;
};

TEST_CASE("etl: the clean rows and their revenue are those that the generator knows") {
  const Table table;
  TableCounts known;
  for (int64_t row = 0; row < kRows; ++row) known.Add(DrawSalesRow(Spec(), row));
  const Outcome outcome = table.Run(1);
  CHECK(known.dirty_rows > 0);
  CHECK(outcome.values.at("sorted_rows") == static_cast<double>(known.clean_rows));
  CHECK(outcome.values.at("clean_rows") == static_cast<double>(known.clean_rows));
  CHECK(outcome.values.at("revenue_cents") == static_cast<double>(known.clean_revenue_cents));
  CHECK(outcome.values.at("descents") == 0);
}

TEST_CASE("etl: what the catalogue calls known is what the generator makes") {
  TableCounts known;
  for (int64_t row = 0; row < 4 * 65536; ++row) known.Add(DrawSalesRow(Spec(), row));
  const WorkloadSpec workload = WorkloadNamed("etl");
  CHECK(workload.known.at(0).by_steps.at(4) == static_cast<double>(known.clean_rows));
  CHECK(workload.known.at(1).by_steps.at(4) == static_cast<double>(known.clean_revenue_cents));
}

TEST_CASE("etl: every number is the same on 1, 2, 3 and 20 workers") {
  const Table table;
  const Outcome one = table.Run(1);
  for (const int workers : {2, 3, 20}) {
    const Outcome several = table.Run(workers);
    CHECK(several.hashes == one.hashes);
    CHECK(several.texts == one.texts);
    CHECK(several.values == one.values);
    CHECK(Failed(table.workload, several, one).empty());
  }
}

TEST_CASE("etl: each error fails the gates that look at it") {
  const Table table;
  const Outcome sound = table.Run(3);
  const auto failed = [&](Slip slip) { return Failed(table.workload, table.Run(3, slip), sound); };
  CHECK(failed(Slip::kUnsorted) == "known order;order;descents;");
  CHECK(failed(Slip::kLostRange) == "rows;order;sorted rows;");
  CHECK(failed(Slip::kTotalsTwice) == "totals;clean rows;revenue;");
  CHECK(failed(Slip::kRowTwice).find("known order;totals;rows;order;") == 0);
  CHECK(failed(Slip::kOneMoreCent) == "totals;rows;order;revenue;");
  CHECK(Failed(table.workload, table.Run(3, Slip::kNone, kSteps - 1), sound)
            .find("steps;totals;rows;order;") == 0);
  table.Write(2);
  CHECK(Failed(table.workload, table.Run(3), sound).find("dataset;totals;rows;order;") == 0);
}

TEST_CASE("etl: numbers that are known fail an arm that agrees with a wrong reference") {
  WorkloadSpec workload = WorkloadNamed("etl");
  Outcome wrong = Table().Run(1);
  for (KnownSpec& known : workload.known) {
    if (known.by_steps.count(0) == 0) known.by_steps[kSteps] = wrong.values.at(known.value);
  }
  CHECK(Failed(workload, wrong, wrong).empty());
  wrong.values["sorted_rows"] += 1;
  wrong.values["revenue_cents"] += 1;
  wrong.values["descents"] += 1;
  CHECK(Failed(workload, wrong, wrong) == "known clean rows;known revenue;known order;");
  wrong.values.erase("revenue_cents");
  CHECK(Failed(workload, wrong, wrong).find("known revenue;") != std::string::npos);
}

TEST_CASE("etl: ranges hold all rows, each in its own, and sorting is by revenue, then id") {
  Sales sales;
  for (uint32_t id = 0; id < 3000; ++id) {
    sales.push_back({.id = id, .cents = static_cast<int32_t>(id * 7919 % 1000 * 1000)});
  }
  const auto splitters = Splitters(SampleOf(sales), 3);
  REQUIRE(splitters.size() == 2);
  Sales joined;
  for (Sales& part : CutByRange(sales, splitters)) {
    SortByRevenue(part);
    joined.insert(joined.end(), part.begin(), part.end());
  }
  std::sort(sales.begin(), sales.end(),
            [](const Sale& a, const Sale& b) { return OrderOf(a) < OrderOf(b); });
  CHECK(joined == sales);
  const std::vector<Sales> first_only = CutByRange(sales, Splitters({}, 3));
  CHECK(first_only.size() == 3);
  CHECK(first_only[0] == sales);
}

TEST_CASE("etl: wrong data are refused by name") {
  const Table table;
  const std::string path = table.Path("part-0.parquet");
  const auto refused = [&](const std::string& words) {
    CHECK_THROWS_WITH(table.Run(1), Catch::Contains(path + ": ") && Catch::Contains(words));
  };
  const auto ints = [](int32_t value) {
    return ArrayOf<arrow::Int32Builder>(std::vector<int32_t>(3000, value));
  };
  for (const std::string column : {"id", "store", "category", "price"}) {
    table.Change(column, nullptr);
    refused("there is no column " + column);
    table.Change(column, ArrayOf<arrow::BooleanBuilder>(std::vector<bool>(3000, true)));
    refused(column + " is of type bool");
  }
  table.Change("day", arrow::MakeArrayOfNull(arrow::int32(), 3000).ValueOrDie());
  refused("day has empty cells");
  table.Change("category", arrow::MakeArrayOfNull(arrow::utf8(), 3000).ValueOrDie());
  refused("category has empty cells");
  table.Change("store", ints(1000));
  refused("an unknown store");
  table.Change("day", ints(-3));
  refused("a day that is not of the year");
  table.Change("quantity", ints(-1));
  refused("a quantity that is not from 1 to 10");
  std::filesystem::resize_file(path, 1000);
  refused("");
  std::filesystem::remove(path);
  CHECK_THROWS_WITH(table.Run(1), Catch::Contains("has 3 blocks, a step each, not 6"));
  std::filesystem::remove(table.Path("stores.parquet"));
  CHECK_THROWS_WITH(ReadRegions(std::filesystem::path(path).parent_path().string()),
                    Catch::Contains(table.Path("stores.parquet")));
}

}  // namespace
}  // namespace rayx::bench
