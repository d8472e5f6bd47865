#include "bench/workloads/etl/sales.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace rayx::bench {
namespace {

// Fixed numbers of categories and regions.
constexpr std::array<const char*, kCategoryCount> kCategoryTexts = {
    "books", "food",   "toys", "garden", "music",  "clothes",
    "tools", "sports", "pets", "office", "health", "travel"};
constexpr std::array<const char*, kRegionCount> kRegionTexts = {"north", "east", "south", "west",
                                                                "islands"};
constexpr double kPriceEnd = 1000;  // what costs more is a price without its point
constexpr int32_t kDaysOfWeek = 7;

template <typename Texts>
int32_t NumberOf(const Texts& texts, const std::string& text) {
  const auto found = std::find(texts.begin(), texts.end(), text);
  return found == texts.end() ? -1 : static_cast<int32_t>(found - texts.begin());
}

// One batch of columns id, day, store, category, quantity, price.
class SalesBatch {
 public:
  SalesBatch(const TableBatch& batch, const std::vector<int32_t>& regions)
      : batch_(batch),
        regions_(regions),
        id_(batch.Column<arrow::Int64Array>(0, "id")),
        day_(batch.Column<arrow::Int32Array>(1, "day")),
        store_(batch.Column<arrow::Int32Array>(2, "store")),
        category_(batch.TextColumn(3, "category")),
        quantity_(batch.Column<arrow::Int32Array>(4, "quantity", true)),
        price_(batch.Column<arrow::DoubleArray>(5, "price", true)) {
    // Only the exact word is clean.
    for (const std::string& text : category_.texts) {
      categories_.push_back(NumberOf(kCategoryTexts, text));
    }
  }

  void AppendClean(Sales& sales) const {
    for (int64_t row = 0; row < id_->length(); ++row) {
      const int32_t category =
          categories_[static_cast<size_t>(category_.numbers[static_cast<size_t>(row)])];
      if (category < 0 || quantity_->IsNull(row) || price_->IsNull(row)) continue;
      const double price = price_->Value(row);
      if (!(price > 0 && price < kPriceEnd)) continue;
      sales.push_back(Derive(row, category, price));
    }
  }

 private:
  Sale Derive(int64_t row, int32_t category, double price) const {
    const int32_t store = store_->Value(row), week = day_->Value(row) / kDaysOfWeek;
    Sale sale;
    sale.id = static_cast<uint32_t>(id_->Value(row));
    sale.store = store;
    const double cents = std::nearbyint(price * 100) * quantity_->Value(row);
    if (store < 0 || store >= static_cast<int32_t>(regions_.size()))
      batch_.Fail("an unknown store");
    if (day_->Value(row) < 0 || week >= kWeeks) batch_.Fail("a day that is not of the year");
    if (id_->Value(row) != int64_t{sale.id}) batch_.Fail("an id of more than 32 bits");
    if (!(cents >= 0 && cents < kCentsEnd)) batch_.Fail("a quantity that is not from 1 to 10");
    sale.cents = static_cast<int32_t>(cents);
    sale.group = static_cast<int32_t>(
        (regions_[static_cast<size_t>(store)] * kCategoryCount + category) * kWeeks + week);
    return sale;
  }

  const TableBatch& batch_;
  const std::vector<int32_t>& regions_;
  const std::shared_ptr<arrow::Int64Array> id_;
  const std::shared_ptr<arrow::Int32Array> day_, store_;
  const TableBatch::Texts category_;
  const std::shared_ptr<arrow::Int32Array> quantity_;
  const std::shared_ptr<arrow::DoubleArray> price_;
  std::vector<int32_t> categories_;  // by number of the text; -1: dirty
};

// The finaliser of SplitMix64.
uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

uint64_t HashOf(const Sale& sale) {
  const uint64_t rest =
      static_cast<uint64_t>(sale.store) * kGroups + static_cast<uint64_t>(sale.group);
  return Mix(Mix(static_cast<uint64_t>(OrderOf(sale))) + rest);
}

// One stable pass of a radix sort by kDigitBits of the revenue.
constexpr int kDigitBits = 10;
void SortByDigit(const Sales& from, int shift, Sales& to) {
  constexpr int32_t kDigits = 1 << kDigitBits;
  const auto digit = [shift](const Sale& sale) {
    return static_cast<size_t>((sale.cents >> shift) & (kDigits - 1));
  };
  std::array<size_t, kDigits> places = {};
  for (const Sale& sale : from) ++places[digit(sale)];
  size_t before = 0;
  for (size_t& place : places) before += std::exchange(place, before);
  for (const Sale& sale : from) to[places[digit(sale)]++] = sale;
}

}  // namespace

std::vector<int32_t> ReadRegions(const std::string& folder) {
  const ParquetTable table({folder + "/stores.parquet"});
  std::vector<int32_t> regions;
  table.Read({"store", "region"}, 0, table.rows(), [&](const TableBatch& batch) {
    const auto stores = batch.Column<arrow::Int32Array>(0, "store");
    const TableBatch::Texts texts = batch.TextColumn(1, "region");
    for (int64_t row = 0; row < stores->length(); ++row) {
      const std::string& text =
          texts.texts[static_cast<size_t>(texts.numbers[static_cast<size_t>(row)])];
      const int32_t region = NumberOf(kRegionTexts, text);
      if (region < 0) batch.Fail("an unknown region: " + text);
      if (stores->Value(row) != static_cast<int32_t>(regions.size())) {
        batch.Fail("the stores are not numbered from 0 on");
      }
      regions.push_back(region);
    }
  });
  return regions;
}

Sales ReadCleanSales(const ParquetTable& table, int64_t begin, int64_t end,
                     const std::vector<int32_t>& regions) {
  Sales sales;
  sales.reserve(static_cast<size_t>(end - begin));
  table.Read({"id", "day", "store", "category", "quantity", "price"}, begin, end,
             [&](const TableBatch& batch) { SalesBatch(batch, regions).AppendClean(sales); });
  return sales;
}

void AddTotals(std::span<const Sale> sales, Totals& totals) {
  for (const Sale& sale : sales) {
    ++totals[static_cast<size_t>(sale.group)];
    totals[static_cast<size_t>(kGroups + sale.group)] += sale.cents;
  }
}

std::vector<int64_t> SampleOf(const Sales& sales) {
  std::vector<int64_t> sample;
  for (size_t i = 0; i < sales.size(); i += kSampleEvery) sample.push_back(OrderOf(sales[i]));
  return sample;
}

std::vector<int64_t> Splitters(std::vector<int64_t> sample, int parts) {
  std::sort(sample.begin(), sample.end());
  std::vector<int64_t> splitters;
  for (size_t part = 1; part < static_cast<size_t>(parts); ++part) {
    splitters.push_back(sample.empty() ? std::numeric_limits<int64_t>::max()
                                       : sample[part * sample.size() / static_cast<size_t>(parts)]);
  }
  return splitters;
}

std::vector<Sales> CutByRange(std::span<const Sale> sales, const std::vector<int64_t>& splitters) {
  std::vector<Sales> parts(splitters.size() + 1);
  for (Sales& part : parts) part.reserve(sales.size() / parts.size() * 9 / 8);
  for (const Sale& sale : sales) {
    const auto range = std::upper_bound(splitters.begin(), splitters.end(), OrderOf(sale));
    parts[static_cast<size_t>(range - splitters.begin())].push_back(sale);
  }
  return parts;
}

void SortByRevenue(Sales& sales) {
  static_assert(1 << (2 * kDigitBits) == kCentsEnd);
  Sales half_sorted(sales.size());
  SortByDigit(sales, 0, half_sorted);
  SortByDigit(half_sorted, kDigitBits, sales);
}

Fingerprint FingerprintOf(std::span<const Sale> sales) {
  Fingerprint result;
  for (const Sale& sale : sales) {
    const int64_t order = OrderOf(sale);
    if (result.rows == 0) result.first = order;
    if (result.rows > 0 && order <= result.last) ++result.descents;
    result.last = order;
    const uint64_t hash = HashOf(sale);
    result.sum += hash;
    result.ordered += hash * (2 * static_cast<uint64_t>(result.rows++) + 1);
  }
  return result;
}

Fingerprint Merge(const Fingerprint& before, const Fingerprint& after) {
  if (before.rows == 0) return after;
  if (after.rows == 0) return before;
  Fingerprint result = before;
  result.rows += after.rows;
  result.sum += after.sum;
  result.ordered += after.ordered + 2 * static_cast<uint64_t>(before.rows) * after.sum;
  result.descents += after.descents + (after.first <= before.last ? 1 : 0);
  result.last = after.last;
  return result;
}

}  // namespace rayx::bench
