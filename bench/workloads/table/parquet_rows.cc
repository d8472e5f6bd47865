#include "bench/workloads/table/parquet_rows.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <utility>

#include "bench/workloads/arm/arm_program.h"
#include "bench/workloads/table/parquet_table.h"

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Fail(const std::string& path, const std::string& what) {
  throw std::runtime_error(path + ": " + what);
}

}  // namespace

std::vector<std::string> ParquetFiles(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".parquet") paths.push_back(entry.path().string());
  }
  if (error) Fail(folder, error.message());
  if (paths.empty()) Fail(folder, "there is no Parquet file");
  std::sort(paths.begin(), paths.end());
  return paths;
}

ParquetRows::ParquetRows(std::vector<std::string> paths)
    : table_(std::make_shared<ParquetTable>(std::move(paths))) {}

int64_t ParquetRows::rows() const {
  return table_->rows();
}

template <typename ArrowType, typename T>
std::vector<T> ParquetRows::Read(const std::string& column, int64_t begin, int64_t end) const {
  std::vector<T> values;
  table_->Read({column}, begin, end, [&](const TableBatch& batch) {
    const auto array = batch.Column<ArrowType>(0, column);
    values.reserve(static_cast<size_t>(end - begin));
    values.insert(values.end(), array->raw_values(), array->raw_values() + array->length());
  });
  return values;
}

std::vector<double> ParquetRows::Doubles(const std::string& column, int64_t begin,
                                         int64_t end) const {
  return Read<arrow::DoubleArray, double>(column, begin, end);
}

std::vector<int32_t> ParquetRows::Integers(const std::string& column, int64_t begin,
                                           int64_t end) const {
  return Read<arrow::Int32Array, int32_t>(column, begin, end);
}

void ParquetRows::DoublesWithGaps(const std::vector<std::string>& columns, int64_t begin,
                                  int64_t end, double* out) const {
  int64_t filled = 0;
  table_->Read(columns, begin, end, [&](const TableBatch& batch) {
    const int64_t rows = batch.rows->num_rows();
    if (rows > end - begin - filled) batch.Fail("has more rows than it says");
    for (size_t c = 0; c < columns.size(); ++c) {
      const auto array =
          batch.Column<arrow::DoubleArray>(static_cast<int>(c), columns[c], /*may_be_empty=*/true);
      double* to = out + static_cast<int64_t>(c) * (end - begin) + filled;
      std::copy(array->raw_values(), array->raw_values() + rows, to);
      for (int64_t i = 0; array->null_count() != 0 && i < rows; ++i) {
        if (array->IsNull(i)) to[i] = std::numeric_limits<double>::quiet_NaN();
      }
    }
    filled += rows;
  });
}

std::string Sha256OfDoubles(const ParquetRows& table, const std::vector<std::string>& columns) {
  Sha256 digest;
  for (const std::string& column : columns) {
    const std::vector<double> values = table.Doubles(column, 0, table.rows());
    digest.Add(values.data(), values.size() * sizeof(double));
  }
  return Sha256::Hex(digest.Binary());
}

std::string Sha256OfIntegers(const ParquetRows& table, const std::vector<std::string>& columns) {
  Sha256 digest;
  for (const std::string& column : columns) {
    const std::vector<int32_t> values = table.Integers(column, 0, table.rows());
    digest.Add(values.data(), values.size() * sizeof(int32_t));
  }
  return Sha256::Hex(digest.Binary());
}

}  // namespace rayx::bench
