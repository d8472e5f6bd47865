#include "bench/workloads/table/parquet_rows.h"

#include <arrow/array.h>
#include <arrow/memory_pool.h>
#include <arrow/table.h>
#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <memory>
#include <stdexcept>

#include "bench/workloads/arm/arm_program.h"

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Fail(const std::string& path, const std::string& what) {
  throw std::runtime_error(path + ": " + what);
}

// Parquet throws exceptions of its own, Arrow returns statuses: both become one that names a file.
template <typename Work>
auto OnFile(const std::string& path, const Work& work) {
  try {
    return work();
  } catch (const parquet::ParquetException& error) {
    Fail(path, error.what());
  }
}

template <typename T>
T Check(const std::string& path, arrow::Result<T> result) {
  if (!result.ok()) Fail(path, result.status().message());
  return *std::move(result);
}

std::unique_ptr<parquet::arrow::FileReader> Open(const std::string& path) {
  parquet::arrow::FileReaderBuilder builder;
  if (auto s = builder.OpenFile(path, /*memory_map=*/true); !s.ok()) Fail(path, s.message());
  std::unique_ptr<parquet::arrow::FileReader> reader;
  if (auto s = builder.Build(&reader); !s.ok()) Fail(path, s.message());
  reader->set_use_threads(false);
  return reader;
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

ParquetRows::ParquetRows(std::vector<std::string> paths) {
  for (std::string& path : paths) {
    Part part;
    OnFile(path, [&] {
      const auto metadata = parquet::ParquetFileReader::OpenFile(path)->metadata();
      for (int group = 0; group < metadata->num_row_groups(); ++group) {
        part.group_begins.push_back(rows_);
        rows_ += metadata->RowGroup(group)->num_rows();
      }
      part.group_begins.push_back(rows_);
    });
    part.path = std::move(path);
    parts_.push_back(std::move(part));
  }
}

template <typename ArrowType, typename Use>
void ParquetRows::ReadPieces(const std::vector<std::string>& columns, int64_t begin, int64_t end,
                             const Use& use) const {
  if (begin < 0 || begin > end || end > rows_) {
    throw std::out_of_range("rows " + std::to_string(begin) + " to " + std::to_string(end) +
                            " of a table of " + std::to_string(rows_));
  }
  for (const Part& part : parts_) {
    std::vector<int> groups;
    for (size_t g = 0; g + 1 < part.group_begins.size(); ++g) {
      if (part.group_begins[g] < end && part.group_begins[g + 1] > begin) {
        groups.push_back(static_cast<int>(g));
      }
    }
    if (groups.empty()) continue;
    OnFile(part.path, [&] {
      const auto reader = Open(part.path);
      const auto* schema = reader->parquet_reader()->metadata()->schema();
      std::vector<int> indices;
      for (const std::string& column : columns) {
        indices.push_back(schema->ColumnIndex(column));
        if (indices.back() < 0) Fail(part.path, "there is no column " + column);
      }
      const auto table = Check(part.path, reader->ReadRowGroups(groups, indices));
      for (size_t c = 0; c < columns.size(); ++c) {
        // Rows of the first group read that come before `begin`.
        int64_t at = part.group_begins[static_cast<size_t>(groups.front())];
        const auto whole = table->GetColumnByName(columns[c]);
        if (!whole) Fail(part.path, columns[c] + " is no column of numbers");
        for (const auto& chunk : whole->chunks()) {
          const auto array = std::dynamic_pointer_cast<ArrowType>(chunk);
          if (!array) Fail(part.path, columns[c] + " is of type " + chunk->type()->ToString());
          use(part.path, c, *array, std::clamp(begin - at, int64_t{0}, array->length()),
              std::clamp(end - at, int64_t{0}, array->length()));
          at += array->length();
        }
      }
    });
  }
}

template <typename ArrowType, typename T>
std::vector<T> ParquetRows::Read(const std::string& column, int64_t begin, int64_t end) const {
  std::vector<T> values;
  values.reserve(static_cast<size_t>(std::max(end - begin, int64_t{0})));
  ReadPieces<ArrowType>(
      {column}, begin, end,
      [&](const std::string& path, size_t, const ArrowType& array, int64_t first, int64_t last) {
        if (array.null_count() != 0) Fail(path, column + " has empty cells");
        values.insert(values.end(), array.raw_values() + first, array.raw_values() + last);
      });
  if (static_cast<int64_t>(values.size()) != end - begin) {
    Fail(parts_.front().path, "has fewer rows than it says");
  }
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
  std::vector<int64_t> filled(columns.size(), 0);
  ReadPieces<arrow::DoubleArray>(
      columns, begin, end,
      [&](const std::string& path, size_t column, const arrow::DoubleArray& array, int64_t first,
          int64_t last) {
        if (filled[column] + last - first > end - begin) Fail(path, "has more rows than it says");
        double* to = out + static_cast<int64_t>(column) * (end - begin) + filled[column];
        std::copy(array.raw_values() + first, array.raw_values() + last, to);
        for (int64_t i = first; array.null_count() != 0 && i < last; ++i) {
          if (array.IsNull(i)) to[i - first] = std::numeric_limits<double>::quiet_NaN();
        }
        filled[column] += last - first;
      });
  for (const int64_t rows : filled) {
    if (rows != end - begin) Fail(parts_.front().path, "has fewer rows than it says");
  }
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
