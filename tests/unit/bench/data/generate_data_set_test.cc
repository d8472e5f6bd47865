// Goal: a made-up data set on disk is the same for any number of threads and any file size, says
// the truth about itself, and what is there is not harmed. Method: data sets in a folder of the
// test's own, read back by Arrow.
#include "bench/data/generate/generate_data_set.h"

#include <arrow/csv/reader.h>
#include <arrow/io/file.h>
#include <arrow/table.h>
#include <parquet/arrow/reader.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <sstream>

#include "bench/data/generate/generate_rows.h"
#include "bench/data/staging_folder.h"
#include "temporary_folder.h"

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;
using Catch::Matchers::Contains;

GenerateSpec Spec(DataKind kind, std::int64_t rows) {
  GenerateSpec spec = DefaultSpec(kind);
  spec.rows = rows;
  if (kind == DataKind::kClassification) spec.features = 3;
  return spec;
}

GenerateResult Make(const GenerateSpec& spec, const GenerateOptions& options,
                    const TemporaryFolder& out) {
  auto made = GenerateDataSet(spec, options, out.path().string());
  INFO(made.status());
  REQUIRE(made.ok());
  return *made;
}

// The text of all parts without their headers.
std::string Lines(const GenerateResult& made, bool has_header) {
  std::string text;
  for (const DataFile& file : made.meta.files) {
    const std::string part = ReadWhole(fs::path(made.folder) / file.name);
    text += has_header ? part.substr(part.find('\n') + 1) : part;
  }
  return text;
}

TEST_CASE("GenerateDataSet: files are the same for any number of threads") {
  for (PartFormat format : {PartFormat::kCsv, PartFormat::kParquet, PartFormat::kLibsvm}) {
    TemporaryFolder one, four;
    const GenerateSpec spec = Spec(DataKind::kClassification, 10'000);
    const auto a = Make(spec, {format, 1000, 1, false}, one);
    const auto b = Make(spec, {format, 1000, 4, false}, four);
    REQUIRE(a.meta.files.size() == 10);
    CHECK(a.meta.files == b.meta.files);
    CHECK(a.meta.files[3].name == std::string("part-00003.") + FormatName(format));
    CHECK(ReadWhole(fs::path(a.folder) / "meta.json") ==
          ReadWhole(fs::path(b.folder) / "meta.json"));
  }
}

TEST_CASE("GenerateDataSet: rows are the same for any file size") {
  for (PartFormat format : {PartFormat::kCsv, PartFormat::kLibsvm}) {
    TemporaryFolder small, large;
    const GenerateSpec spec = Spec(DataKind::kBlobs, 3000);
    const auto a = Make(spec, {format, 999, 2, false}, small);
    const auto b = Make(spec, {format, 3000, 1, false}, large);
    REQUIRE(a.meta.files.size() == 4);
    CHECK(a.meta.files[3].rows == 3);
    CHECK(Lines(a, format == PartFormat::kCsv) == Lines(b, format == PartFormat::kCsv));
  }
}

std::shared_ptr<arrow::Table> ReadParquet(const fs::path& path) {
  auto file = arrow::io::ReadableFile::Open(path.string());
  REQUIRE(file.ok());
  auto reader = parquet::arrow::OpenFile(*file, arrow::default_memory_pool());
  REQUIRE(reader.ok());
  auto table = (*reader)->ReadTable();
  REQUIRE(table.ok());
  return *table;
}

std::shared_ptr<arrow::Table> ReadCsv(const fs::path& path) {
  auto file = arrow::io::ReadableFile::Open(path.string());
  REQUIRE(file.ok());
  auto reader = arrow::csv::TableReader::Make(
      arrow::io::default_io_context(), *file, arrow::csv::ReadOptions::Defaults(),
      arrow::csv::ParseOptions::Defaults(), arrow::csv::ConvertOptions::Defaults());
  REQUIRE(reader.ok());
  auto table = (*reader)->Read();
  REQUIRE(table.ok());
  return *table;
}

TEST_CASE("GenerateDataSet: what is read back are the rows, to the bit, holes as nulls") {
  for (DataKind kind :
       {DataKind::kClassification, DataKind::kBlobs, DataKind::kTable, DataKind::kGraph}) {
    TemporaryFolder out;
    GenerateSpec spec = Spec(kind, 2000);
    if (kind != DataKind::kGraph) spec.missing = 0.2;
    auto batch = GenerateRows(spec, 0, 2000);
    REQUIRE(batch.ok());
    auto expected = arrow::Table::FromRecordBatches({*batch});
    REQUIRE(expected.ok());
    const auto parquet = Make(spec, {PartFormat::kParquet, 2000, 1, false}, out);
    const auto table = ReadParquet(fs::path(parquet.folder) / "part-00000.parquet");
    CHECK(table->Equals(**expected));
    const auto csv = Make(spec, {PartFormat::kCsv, 2000, 1, true}, out);
    const auto text = ReadCsv(fs::path(csv.folder) / "part-00000.csv");
    for (int i = 0; i < text->num_columns(); ++i) {
      const auto& wanted = (*expected)->column(i);
      CHECK(text->schema()->field(i)->name() == (*expected)->schema()->field(i)->name());
      CHECK(text->column(i)->null_count() == wanted->null_count());
      if (wanted->type()->id() == arrow::Type::DOUBLE) CHECK(text->column(i)->Equals(wanted));
    }
  }
}

TEST_CASE("GenerateDataSet: LIBSVM lines") {
  TemporaryFolder out;
  const GenerateSpec spec = Spec(DataKind::kClassification, 50);
  const auto made = Make(spec, {PartFormat::kLibsvm, 50, 1, false}, out);
  const FeatureRows rows(spec);
  std::istringstream lines(Lines(made, false));
  std::string line;
  for (std::int64_t row = 0; row < 50; ++row) {
    REQUIRE(std::getline(lines, line));
    double features[3], read[3];
    int label = -1;
    const auto drawn = rows.Draw(row, features);
    REQUIRE(sscanf(line.c_str(), "%d 1:%lf 2:%lf 3:%lf", &label, read, read + 1, read + 2) == 4);
    CHECK(label == drawn.written);
    for (int j = 0; j < 3; ++j) CHECK(read[j] == features[j]);
  }
  CHECK(!std::getline(lines, line));
}

TEST_CASE("GenerateDataSet: the same data on every machine and in every version") {
  // Of LIBSVM alone, whose bytes are ours to the last: CSV and Parquet are of Arrow's release.
  // Other hashes are other data: then raise the generator's version.
  TemporaryFolder out;
  GenerateSpec spec = Spec(DataKind::kClassification, 1000);
  spec.noise = 0.1;
  const auto classes = Make(spec, {PartFormat::kLibsvm, 1000, 1, false}, out);
  CHECK(classes.meta.files[0].sha256 ==
        "88e56d37127afce48d4e77d58684b060ab4d5b5a2cf5f510b96abff825c83150");
  spec = Spec(DataKind::kBlobs, 1000);
  const auto blobs = Make(spec, {PartFormat::kLibsvm, 1000, 1, false}, out);
  CHECK(blobs.meta.files[0].sha256 ==
        "7a99e018b365704ba5b1dbc11e0c3dee776c92e0433d20fa06e40a5234aabf74");
}

TEST_CASE("GenerateDataSet: meta.json is read back, its files checked, its facts true") {
  TemporaryFolder out;
  GenerateSpec spec = Spec(DataKind::kClassification, 5000);
  spec.missing = 0.1;
  const GenerateOptions options = {PartFormat::kCsv, 2000, 2, false};
  const auto made = Make(spec, options, out);
  CHECK(fs::path(made.folder).filename() == "classification-5000x3-s1");
  auto meta = ReadMeta(made.folder);
  REQUIRE(meta.ok());
  CHECK(meta->source == SourceOf(spec, options));
  CHECK(meta->files == made.meta.files);
  CHECK(meta->facts == made.meta.facts);
  auto read = SpecOf(meta->source);
  REQUIRE(read.ok());
  CHECK(*read == spec);
  CHECK(CheckFiles(made.folder, *meta, true).ok());
  CHECK(meta->facts["centres"].size() == 6);
  CHECK(meta->facts["rows_by_label"]["0"].get<int>() +
            meta->facts["rows_by_label"]["1"].get<int>() ==
        5000);
  const FeatureRows rows(spec);
  std::int64_t empty = 0;
  double features[3];
  for (std::int64_t row = 0; row < 5000; ++row) {
    rows.Draw(row, features);
    for (double value : features) empty += std::isnan(value);
  }
  CHECK(meta->facts["empty_cells"] == empty);
}

TEST_CASE("ReadMeta: a damaged file is refused") {
  TemporaryFolder out;
  const auto made = Make(Spec(DataKind::kGraph, 100), {}, out);
  const std::string sound = ReadWhole(fs::path(made.folder) / "meta.json");
  const auto read = [&](const std::string& text) {
    std::ofstream(fs::path(made.folder) / "meta.json", std::ios::binary) << text;
    return ReadMeta(made.folder).status();
  };
  CHECK(read(sound).ok());
  for (size_t length = 0; length + 2 < sound.size(); length += 7) {
    CHECK(read(sound.substr(0, length)).code() == absl::StatusCode::kDataLoss);
  }
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string text = sound;
    REQUIRE(text.find(from) != std::string::npos);
    return text.replace(text.find(from), from.size(), to);
  };
  CHECK(read(replaced("\"schema\": 1", "\"schema\": 2")).code() == absl::StatusCode::kDataLoss);
  CHECK(read(replaced("part-00000.csv", "../part.csv")).code() == absl::StatusCode::kDataLoss);
  CHECK(read(replaced("\"files\": [", "\"files\": [1, ")).code() == absl::StatusCode::kDataLoss);
  CHECK(read("[]").code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("GenerateDataSet: what is there is recognised, and never touched without force") {
  TemporaryFolder out;
  GenerateSpec spec = Spec(DataKind::kTable, 300);
  GenerateOptions options;
  const auto first = Make(spec, options, out);
  CHECK(!first.was_there);
  REQUIRE(first.meta.files.size() == 2);
  CHECK(first.meta.files[1].name == "stores.csv");
  options.threads = 3;
  const auto again = Make(spec, options, out);
  CHECK(again.was_there);
  CHECK(again.meta.files == first.meta.files);

  const auto refused = [&] {
    auto made = GenerateDataSet(spec, options, out.path().string());
    CHECK(made.status().code() == absl::StatusCode::kAlreadyExists);
    CHECK_THAT(std::string(made.status().message()), Contains("--force"));
    return std::string(made.status().message());
  };
  spec.noise = 0.3;
  CHECK_THAT(refused(), Contains("other options (noise 0.01 instead of 0.3)"));
  spec.noise = DefaultSpec(DataKind::kTable).noise;
  std::ofstream(fs::path(first.folder) / "part-00000.csv", std::ios::app) << "x";
  CHECK_THAT(refused(), Contains("damaged"));
  options.force = true;
  CHECK(!Make(spec, options, out).was_there);
  options.force = false;
  CHECK(Make(spec, options, out).was_there);
  fs::remove(fs::path(first.folder) / "meta.json");
  CHECK_THAT(refused(), Contains("no whole data set"));
  // Nothing else was left beside it.
  CHECK(std::distance(fs::directory_iterator(out.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("GenerateDataSet: options that cannot be are named, and nothing is made") {
  TemporaryFolder out;
  const auto refused = [&](GenerateSpec spec, GenerateOptions options, const std::string& where) {
    auto made = GenerateDataSet(spec, options, where);
    CHECK(made.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(fs::is_empty(out.path()));
    return std::string(made.status().message());
  };
  const std::string there = out.path().string();
  const GenerateSpec classes = Spec(DataKind::kClassification, 1'000'000);
  CHECK_THAT(refused(classes, {PartFormat::kCsv, 0, 1, false}, there), Contains("--chunk_rows"));
  CHECK_THAT(refused(classes, {PartFormat::kCsv, 10, 1, false}, there), Contains("--chunk_rows"));
  CHECK_THAT(refused(classes, {PartFormat::kCsv, 1000, 0, false}, there), Contains("--threads"));
  CHECK_THAT(refused(classes, {}, ""), Contains("--out"));
  CHECK_THAT(refused(Spec(DataKind::kGraph, 0), {}, there), Contains("--num_samples"));
  GenerateSpec holes = classes;
  holes.missing = 0.1;
  CHECK_THAT(refused(holes, {PartFormat::kLibsvm}, there), Contains("libsvm"));
  CHECK_THAT(refused(Spec(DataKind::kTable, 10), {PartFormat::kLibsvm}, there), Contains("libsvm"));
}

TEST_CASE("GenerateDataSet: a place that cannot be written is named") {
  TemporaryFolder out;
  const std::string file = out.Write("file", "");
  auto made = GenerateDataSet(Spec(DataKind::kBlobs, 10), {}, file + "/folder");
  CHECK(made.status().code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(made.status().message()), Contains(file));
}

TEST_CASE("PartWriter: a full disk is said, with the file") {
  const GenerateSpec spec = Spec(DataKind::kClassification, 10'000);
  auto batch = GenerateRows(spec, 0, 10'000);
  REQUIRE(batch.ok());
  for (PartFormat format : {PartFormat::kCsv, PartFormat::kParquet, PartFormat::kLibsvm}) {
    const absl::Status status = WritePart(format, "/dev/full", **batch);
    CHECK(status.code() == absl::StatusCode::kUnavailable);
    CHECK_THAT(std::string(status.message()),
               Contains("/dev/full") && Contains("No space left on device"));
  }
}

TEST_CASE("StagingFolder: the dead are removed, the living and strangers stay") {
  TemporaryFolder out;
  fs::create_directories(out.path() / ".rayx-data-dead" / "done");
  fs::create_directory(out.path() / "other");
  auto one = StagingFolder::Make(out.path());
  REQUIRE(one.ok());
  CHECK(!fs::exists(out.path() / ".rayx-data-dead"));
  auto two = StagingFolder::Make(out.path());
  REQUIRE(two.ok());
  CHECK(fs::exists(one->done()));
  CHECK(fs::exists(out.path() / "other"));
}

TEST_CASE("StagingFolder: what appears in the meantime is replaced only when asked") {
  TemporaryFolder out;
  const fs::path target = out.path() / "target";
  auto staging = StagingFolder::Make(out.path());
  REQUIRE(staging.ok());
  std::ofstream(staging->done() / "new") << "new";
  fs::create_directory(target);
  std::ofstream(target / "old") << "old";
  CHECK(staging->Publish(target, false).code() == absl::StatusCode::kAlreadyExists);
  CHECK(fs::exists(target / "old"));
  REQUIRE(staging->Publish(target, true).ok());
  CHECK(fs::exists(target / "new"));
  CHECK(!fs::exists(target / "old"));
}

}  // namespace
}  // namespace rayx::bench
