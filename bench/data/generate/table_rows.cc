#include "bench/data/generate/table_rows.h"

#include <cctype>
#include <cmath>
#include <limits>

#include "base/prng.h"
#include "bench/data/generate/normal.h"

namespace rayx::bench {
namespace {

// What a random word is for. Part of the data: a changed number is other data.
enum Stream : std::uint64_t {
  kDay = 32,
  kStore = 33,
  kCategory = 34,
  kQuantity = 35,
  kPrice = 36,
  kMeasure = 37,
  kRegion = 38,
  kArea = 39,
};

constexpr std::array<const char*, 5> kRegions = {"north", "east", "south", "west", "islands"};

double Unit(const GenerateSpec& spec, std::int64_t row, Stream stream, std::uint64_t counter) {
  return UnitFromWord(
      base::RandomWord(spec.seed, static_cast<std::uint64_t>(row), stream, counter));
}

// A rank below `count` that falls off by a power law: P(rank < r) = sqrt(r / count).
std::int32_t SkewedRank(double unit, std::int32_t count) {
  return static_cast<std::int32_t>(unit * unit * count);
}

std::string Dirty(std::string text, double unit) {
  if (unit < 0.5) return " " + text + "  ";
  for (char& letter : text) letter = static_cast<char>(std::toupper(letter));
  return text;
}

void DrawPrice(const GenerateSpec& spec, std::int64_t row, SalesRow& sale) {
  // 2.50 for the first category, 1.75 more for each of the others.
  const double centre = 250 + 175 * sale.category;
  const double factor = 0.7 + 0.6 * Unit(spec, row, kPrice, 0);
  sale.cents = static_cast<std::int64_t>(std::floor(centre * factor + 0.5));
  sale.has_price = Unit(spec, row, kPrice, 1) >= spec.missing;
  if (sale.has_price && Unit(spec, row, kPrice, 2) < spec.noise) {
    sale.is_dirty = true;
    sale.cents *= Unit(spec, row, kPrice, 3) < 0.5 ? -1 : 1000;
  }
}

}  // namespace

SalesRow DrawSalesRow(const GenerateSpec& spec, std::int64_t row) {
  SalesRow sale;
  sale.day = static_cast<std::int32_t>(Unit(spec, row, kDay, 0) * 365);
  sale.store = SkewedRank(Unit(spec, row, kStore, 0), kStores);
  sale.category = SkewedRank(Unit(spec, row, kCategory, 0), kCategories.size());
  sale.category_text = kCategories[static_cast<size_t>(sale.category)];
  if (Unit(spec, row, kCategory, 1) < spec.noise) {
    sale.is_dirty = true;
    sale.category_text = Dirty(sale.category_text, Unit(spec, row, kCategory, 2));
  }
  sale.quantity = 1 + static_cast<std::int32_t>(Unit(spec, row, kQuantity, 0) * 10);
  if (Unit(spec, row, kQuantity, 1) < spec.missing) sale.quantity = 0;
  DrawPrice(spec, row, sale);
  return sale;
}

double DrawMeasure(const GenerateSpec& spec, std::int64_t row, std::int64_t column) {
  const auto counter = 2 * static_cast<std::uint64_t>(column);
  if (Unit(spec, row, kMeasure, counter + 1) < spec.missing) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  return NormalQuantile(Unit(spec, row, kMeasure, counter));
}

void TableCounts::Add(const SalesRow& row) {
  dirty_rows += row.is_dirty ? 1 : 0;
  if (row.is_dirty || row.quantity == 0 || !row.has_price) return;
  ++clean_rows;
  clean_revenue_cents += row.quantity * row.cents;
}

void TableCounts::Add(const TableCounts& other) {
  dirty_rows += other.dirty_rows;
  clean_rows += other.clean_rows;
  clean_revenue_cents += other.clean_revenue_cents;
}

StoreRow DrawStore(std::uint64_t seed, std::int32_t store) {
  const auto entity = static_cast<std::uint64_t>(store);
  const std::uint64_t region =
      base::ToBelow(base::RandomWord(seed, entity, kRegion, 0), kRegions.size());
  const double area = std::floor(50 + 950 * UnitFromWord(base::RandomWord(seed, entity, kArea, 0)));
  return {kRegions[region], area};
}

}  // namespace rayx::bench
