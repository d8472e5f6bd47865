// tests/unit/bench/parquet_files.h
//
// Small Parquet files for tests of what reads tables: columns of numbers, in row groups.
#pragma once

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/writer.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace rayx::bench {

template <typename Builder, typename T>
std::shared_ptr<arrow::Array> ArrayOf(const std::vector<T>& values) {
  Builder builder;
  std::shared_ptr<arrow::Array> array;
  REQUIRE(builder.AppendValues(values).ok());
  REQUIRE(builder.Finish(&array).ok());
  return array;
}

using NamedArrays = std::vector<std::pair<std::string, std::shared_ptr<arrow::Array>>>;

inline void WriteParquet(const std::filesystem::path& path, const NamedArrays& columns,
                         int64_t group_rows) {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  for (const auto& [name, array] : columns) {
    fields.push_back(arrow::field(name, array->type()));
    arrays.push_back(array);
  }
  const auto table = arrow::Table::Make(arrow::schema(fields), arrays);
  const auto file = arrow::io::FileOutputStream::Open(path.string());
  REQUIRE(file.ok());
  REQUIRE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), *file, group_rows).ok());
  REQUIRE((*file)->Close().ok());
}

class TestFolder {
 public:
  explicit TestFolder(const std::string& name)
      : path_(std::filesystem::temp_directory_path() / (name + "-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace rayx::bench
