// bench/data/generate/table_rows.h
//
// Rows of `table`: sales of a year, with holes and dirt, and the stores they were made in. Each is
// a pure function of (seed, row).
//
//   id int64        the row's number
//   day int32       0..364
//   store int32     0..kStores-1, few stores with most of the sales (rank by a power law)
//   category string one of kCategories, the first ones more often; dirty: in capitals, with blanks
//   quantity int32  1..10, or empty
//   price double    the category's price +-30 %, in whole cents; dirty: negative or times 1000; or
//                   empty
//   m0..  double    measures, standard normal, or empty
// A store: store int32, region string, area double.
//
// Threads:  any, functions without state.
// Promises: what cleaning must find is counted (TableCounts): clean rows are those with quantity
//           and price present and price and category not dirty, and their revenue is exact.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "bench/data/generate/generate_spec.h"

namespace rayx::bench {

inline constexpr std::int32_t kStores = 1000;
inline constexpr std::array<const char*, 12> kCategories = {"books", "food",    "toys",   "garden",
                                                            "music", "clothes", "tools",  "sports",
                                                            "pets",  "office",  "health", "travel"};

struct SalesRow {
  std::int32_t day = 0;
  std::int32_t store = 0;
  std::int32_t category = 0;  // number in kCategories
  std::string category_text;  // as written
  std::int32_t quantity = 0;  // 0: empty
  bool has_price = true;
  bool is_dirty = false;   // price or category
  std::int64_t cents = 0;  // the price as written
};
SalesRow DrawSalesRow(const GenerateSpec& spec, std::int64_t row);

// Measure `column` of a row; NaN: empty.
double DrawMeasure(const GenerateSpec& spec, std::int64_t row, std::int64_t column);

// How often each happened in the rows counted so far.
struct TableCounts {
  std::int64_t dirty_rows = 0;
  std::int64_t clean_rows = 0;
  std::int64_t clean_revenue_cents = 0;  // sum of quantity times price

  void Add(const SalesRow& row);
  void Add(const TableCounts& other);
};

struct StoreRow {
  const char* region;
  double area;
};
StoreRow DrawStore(std::uint64_t seed, std::int32_t store);

}  // namespace rayx::bench
