// bench/workloads/etl/sales.h
//
// The work of etl on a block of rows: clean and join, add up by group, cut by ranges, sort. The
// arms rayx and native-cpp run it; bench/native/etl.py computes the same.
// Owner:    an arm's rank or worker.            Threads: one.
// Inputs:   the files of `rayx-data gen table --format parquet`; whatever they are not is a
//           std::runtime_error that names the file.
// Promises: all results are integers, and so the same however blocks are shared out.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/workloads/table/parquet_table.h"

namespace rayx::bench {

inline constexpr int64_t kCategoryCount = 12, kRegionCount = 5, kWeeks = 53;
inline constexpr int64_t kGroups = kRegionCount * kCategoryCount * kWeeks;

// A clean row. Rows are ordered by revenue, then by id.
struct Sale {
  uint32_t id = 0;
  int32_t cents = 0;  // revenue: quantity times price, below kCentsEnd
  int32_t group = 0;  // (region * kCategoryCount + category) * kWeeks + week
  int32_t store = 0;

  bool operator==(const Sale&) const = default;
};
inline constexpr int32_t kCentsEnd = 1 << 20;
using Sales = std::vector<Sale>;

// A row's place in the order as one number.
inline int64_t OrderOf(const Sale& sale) {
  return (int64_t{sale.cents} << 32) + sale.id;
}

// The region of each store, by the store's number: what rows are joined with.
std::vector<int32_t> ReadRegions(const std::string& folder);
// Reads rows [begin, end), keeps the clean ones, derives revenue, week and group, joins the region.
Sales ReadCleanSales(const ParquetTable& table, int64_t begin, int64_t end,
                     const std::vector<int32_t>& regions);

// Rows and cents of each group: [2][kGroups]. Adds to `totals`.
using Totals = std::vector<int64_t>;
inline Totals NoTotals() {
  return Totals(2 * kGroups);
}
void AddTotals(std::span<const Sale> sales, Totals& totals);

// Every kSampleEvery-th row's place in the order, by which the ranges are chosen.
inline constexpr size_t kSampleEvery = 256;
std::vector<int64_t> SampleOf(const Sales& sales);
// Where the ranges 1, 2, .. of `parts` begin; without a sample all rows are in the first.
std::vector<int64_t> Splitters(std::vector<int64_t> sample, int parts);
// The rows of each range, in the order in which they came.
std::vector<Sales> CutByRange(std::span<const Sale> sales, const std::vector<int64_t>& splitters);
// Sorts rows that come in the order of their ids.
void SortByRevenue(Sales& sales);

// What of a sorted part proves that the whole is right: parts are merged in their order.
struct Fingerprint {
  int64_t rows = 0;
  uint64_t sum = 0;             // of the rows' hashes, in any order
  uint64_t ordered = 0;         // of hash times (2 * place + 1), place in the part
  int64_t descents = 0;         // how often a row is not behind the one before it
  int64_t first = 0, last = 0;  // places in the order of the first and the last row
};
Fingerprint FingerprintOf(std::span<const Sale> sales);
Fingerprint Merge(const Fingerprint& before, const Fingerprint& after);

}  // namespace rayx::bench
