#include "bench/data/fetch/convert.h"

#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "bench/data/arrow_status.h"
#include "bench/data/fetch/cities_file.h"
#include "bench/data/fetch/wordnet_file.h"
#include "bench/data/generate/part_writer.h"
#include "bench/data/idx_file.h"

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;
using Members = std::map<std::string, std::string>;
using Files = std::vector<DataFile>;

absl::Status WriteWhole(const fs::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush();
  if (file) return absl::OkStatus();
  return absl::UnavailableError("cannot write " + path.string() + ": " + strerror(errno));
}

absl::Status CheckRows(const DataSet& set, size_t rows, std::int64_t expected) {
  if (static_cast<std::int64_t>(rows) == expected) return absl::OkStatus();
  return absl::DataLossError(set.name + ": the package holds " + std::to_string(rows) +
                             " rows instead of " + std::to_string(expected));
}

// The files of the package themselves, decompressed if the set says so.
absl::StatusOr<Files> ConvertPlain(const DataSet& set, const Members& members, const fs::path& work,
                                   const fs::path& done) {
  Files files;
  for (const PackageFile& wanted : set.files) {
    absl::Status written;
    if (set.conversion == Conversion::kGunzip) {
      const fs::path packed = work / (wanted.name + ".gz");
      if (written = WriteWhole(packed, members.at(wanted.path)); !written.ok()) return written;
      auto bytes = ReadGzip(packed.string(), wanted.bytes_max);
      if (!bytes.ok()) return bytes.status();
      written = WriteWhole(done / wanted.name, *bytes);
    } else {
      written = WriteWhole(done / wanted.name, members.at(wanted.path));
    }
    if (!written.ok()) return written;
    auto file = DescribeFile(done.string(), wanted.name, 0);
    if (!file.ok()) return file.status();
    if (file->sha256 != wanted.sha256) {
      return absl::DataLossError(wanted.path + " has SHA-256 " + file->sha256 + " instead of " +
                                 wanted.sha256);
    }
    files.push_back(*std::move(file));
  }
  return files;
}

template <typename Builder, typename Value>
arrow::Result<std::shared_ptr<arrow::Array>> Column(const std::vector<Value>& values) {
  Builder builder;
  ARROW_RETURN_NOT_OK(builder.AppendValues(values));
  return builder.Finish();
}

absl::Status WriteTable(const fs::path& path, arrow::FieldVector fields,
                        std::vector<arrow::Result<std::shared_ptr<arrow::Array>>> results,
                        Files& files) {
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (auto& result : results) {
    if (!result.ok()) return FromArrow(result.status(), path.string());
    columns.push_back(std::move(result).ValueUnsafe());
  }
  const std::int64_t rows = columns[0]->length();
  const auto batch = arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows, columns);
  if (auto bad = WritePart(PartFormat::kParquet, path.string(), *batch); !bad.ok()) return bad;
  auto file = DescribeFile(path.parent_path().string(), path.filename().string(), rows);
  if (file.ok()) files.push_back(*file);
  return file.status();
}

absl::StatusOr<Files> ConvertCities(const DataSet& set, const Members& members,
                                    const fs::path& done) {
  auto cities = ParseCities(members.at(set.files[0].path));
  if (!cities.ok()) return cities.status();
  if (auto bad = CheckRows(set, cities->latitudes.size(), set.rows); !bad.ok()) return bad;
  Files files;
  auto status = WriteTable(
      done / "cities.parquet",
      {arrow::field("lat", arrow::float64(), false), arrow::field("lng", arrow::float64(), false)},
      {Column<arrow::DoubleBuilder>(cities->latitudes),
       Column<arrow::DoubleBuilder>(cities->longitudes)},
      files);
  if (!status.ok()) return status;
  return files;
}

absl::StatusOr<Files> ConvertWordNet(const DataSet& set, const Members& members,
                                     const fs::path& done) {
  std::array<std::string_view, 4> texts;
  for (size_t i = 0; i < texts.size(); ++i) texts[i] = members.at(set.files[i].path);
  auto graph = ParseWordNet(texts);
  if (!graph.ok()) return graph.status();
  if (auto bad = CheckRows(set, graph->names.size(), set.rows); !bad.ok()) return bad;
  if (auto bad = CheckRows(set, graph->sources.size(), set.more_rows); !bad.ok()) return bad;
  Files files;
  auto status = WriteTable(
      done / "edges.parquet",
      {arrow::field("source", arrow::int32(), false),
       arrow::field("target", arrow::int32(), false)},
      {Column<arrow::Int32Builder>(graph->sources), Column<arrow::Int32Builder>(graph->targets)},
      files);
  if (!status.ok()) return status;
  status = WriteTable(done / "nodes.parquet", {arrow::field("name", arrow::utf8(), false)},
                      {Column<arrow::StringBuilder>(graph->names)}, files);
  if (!status.ok()) return status;
  return files;
}

}  // namespace

absl::StatusOr<Files> Convert(const DataSet& set, const Members& members, const fs::path& work,
                              const fs::path& done) {
  switch (set.conversion) {
    case Conversion::kCities:
      return ConvertCities(set, members, done);
    case Conversion::kWordNet:
      return ConvertWordNet(set, members, done);
    case Conversion::kNone:
    case Conversion::kGunzip:
      break;
  }
  return ConvertPlain(set, members, work, done);
}

}  // namespace rayx::bench
