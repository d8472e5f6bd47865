// bench/workloads/table/parquet_rows.h
//
// Columns of numbers of a table that lies in one or several Parquet files, by rows. Arrow reads.
// Owner:    an arm's rank or worker.            Threads: one; computes on one thread.
// Inputs:   files from outside the process: a missing column, another type, an empty cell (except
//           where gaps are asked for), a damaged file is a std::runtime_error that names the file.
// Promises: reads only the row groups in which the wanted rows lie.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rayx::bench {

class ParquetTable;

// The Parquet files of a folder, by name.
std::vector<std::string> ParquetFiles(const std::string& folder);

class ParquetRows {
 public:
  // `paths`: the parts of the table, in order. Looks at their row groups.
  explicit ParquetRows(std::vector<std::string> paths);

  int64_t rows() const;
  // Rows [begin, end) of a column of doubles, or of 32-bit integers.
  std::vector<double> Doubles(const std::string& column, int64_t begin, int64_t end) const;
  std::vector<int32_t> Integers(const std::string& column, int64_t begin, int64_t end) const;

  // Rows [begin, end) of several columns of doubles, one column after the other, into `out`. NaN
  // where a cell is empty.
  void DoublesWithGaps(const std::vector<std::string>& columns, int64_t begin, int64_t end,
                       double* out) const;

 private:
  template <typename ArrowType, typename T>
  std::vector<T> Read(const std::string& column, int64_t begin, int64_t end) const;

  std::shared_ptr<const ParquetTable> table_;
};

// SHA-256 (hex) of the columns' values, one column after the other, as they lie in memory: the same
// for any way of storing them.
std::string Sha256OfDoubles(const ParquetRows& table, const std::vector<std::string>& columns);
std::string Sha256OfIntegers(const ParquetRows& table, const std::vector<std::string>& columns);

}  // namespace rayx::bench
