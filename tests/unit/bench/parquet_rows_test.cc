// Goal: any range of rows comes back exactly, and a file that is not what is expected is refused by
// name. Method: small files in several parts and row groups.
#include "bench/workloads/table/parquet_rows.h"

#include <cmath>
#include <fstream>
#include <numeric>

#include "tests/unit/bench/parquet_files.h"

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;

std::vector<double> Doubles(int64_t begin, int64_t end) {
  std::vector<double> values(static_cast<size_t>(end - begin));
  std::iota(values.begin(), values.end(), static_cast<double>(begin));
  return values;
}

TEST_CASE("ParquetRows: every range, across parts and row groups") {
  const TestFolder folder("parquet-rows");
  WriteParquet(folder.path() / "part-00001.parquet",
               {{"x", ArrayOf<arrow::DoubleBuilder>(Doubles(25, 40))}}, 7);
  WriteParquet(folder.path() / "part-00000.parquet",
               {{"x", ArrayOf<arrow::DoubleBuilder>(Doubles(0, 25))}}, 10);
  std::ofstream(folder.path() / "meta.json") << "{}";
  const ParquetRows table(ParquetFiles(folder.path()));
  REQUIRE(table.rows() == 40);
  for (int64_t begin = 0; begin <= 40; ++begin) {
    for (int64_t end = begin; end <= 40; ++end) {
      REQUIRE(table.Doubles("x", begin, end) == Doubles(begin, end));
    }
  }
  CHECK_THROWS(table.Doubles("x", 30, 41));
  CHECK_THROWS(table.Doubles("x", -1, 3));
}

TEST_CASE(
    "ParquetRows: several columns at once, one after the other, across parts and row groups") {
  const TestFolder folder("parquet-columns");
  for (const auto& [name, begin, end] : {std::tuple("a", 0, 25), std::tuple("b", 25, 40)}) {
    std::vector<double> twice = Doubles(begin, end);
    for (double& value : twice) value *= 2;
    WriteParquet(folder.path() / (std::string(name) + ".parquet"),
                 {{"y", ArrayOf<arrow::DoubleBuilder>(twice)},
                  {"x", ArrayOf<arrow::DoubleBuilder>(Doubles(begin, end))}},
                 7);
  }
  std::vector<double> values(2 * 20);
  ParquetRows(ParquetFiles(folder.path())).DoublesWithGaps({"x", "y"}, 15, 35, values.data());
  for (size_t i = 0; i < 20; ++i) {
    CHECK(values[i] == static_cast<double>(15 + i));
    CHECK(values[20 + i] == static_cast<double>(2 * (15 + i)));
  }
}

TEST_CASE("ParquetRows: the hash is of the values, however they are stored") {
  const TestFolder folder("parquet-hash");
  const auto hash = [&](const std::string& name, int64_t group_rows, int64_t split) {
    const fs::path here = folder.path() / name;
    fs::create_directories(here);
    WriteParquet(here / "a.parquet", {{"x", ArrayOf<arrow::DoubleBuilder>(Doubles(0, split))}},
                 group_rows);
    WriteParquet(here / "b.parquet", {{"x", ArrayOf<arrow::DoubleBuilder>(Doubles(split, 100))}},
                 group_rows);
    return Sha256OfDoubles(ParquetRows(ParquetFiles(here)), {"x"});
  };
  const std::string one = hash("one", 100, 50);
  CHECK(one.size() == 64);
  CHECK(hash("two", 9, 13) == one);
}

TEST_CASE("ParquetRows: what is not as expected is refused with the file's name") {
  const TestFolder folder("parquet-bad");
  const std::string path = (folder.path() / "t.parquet").string();
  WriteParquet(path,
               {{"x", ArrayOf<arrow::DoubleBuilder>(Doubles(0, 5))},
                {"n", ArrayOf<arrow::Int32Builder>(std::vector<int32_t>{1, 2, 3, 4, 5})}},
               5);
  const ParquetRows table({path});
  CHECK(table.Integers("n", 1, 3) == std::vector<int32_t>{2, 3});
  CHECK_THROWS_WITH(table.Doubles("y", 0, 5), path + ": there is no column y");
  CHECK_THROWS_WITH(table.Doubles("n", 0, 5), path + ": n is of type int32");
  CHECK_THROWS_WITH(table.Integers("x", 0, 5), path + ": x is of type double");

  arrow::DoubleBuilder holes;
  std::shared_ptr<arrow::Array> array;
  REQUIRE(holes.Append(1.0).ok());
  REQUIRE(holes.AppendNull().ok());
  REQUIRE(holes.Finish(&array).ok());
  const std::string with_holes = (folder.path() / "h.parquet").string();
  WriteParquet(with_holes, {{"x", array}}, 5);
  const ParquetRows table_with_holes({with_holes});
  CHECK_THROWS_WITH(table_with_holes.Doubles("x", 0, 2), with_holes + ": x has empty cells");
  double values[2] = {0, 0};
  table_with_holes.DoublesWithGaps({"x"}, 0, 2, values);
  CHECK(values[0] == 1);
  CHECK(std::isnan(values[1]));
  CHECK_THROWS_WITH(table_with_holes.DoublesWithGaps({"x", "y"}, 0, 1, values),
                    with_holes + ": there is no column y");

  fs::resize_file(path, fs::file_size(path) / 2);
  CHECK_THROWS_WITH(ParquetRows({path}), Catch::StartsWith(path + ": "));
  CHECK_THROWS_WITH(ParquetRows({path + ".gone"}), Catch::StartsWith(path + ".gone: "));
  const std::string empty = (folder.path() / "empty").string();
  fs::create_directories(empty);
  CHECK_THROWS_WITH(ParquetFiles(empty), empty + ": there is no Parquet file");
}

}  // namespace
}  // namespace rayx::bench
