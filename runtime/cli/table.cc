#include "cli/table.h"

#include <algorithm>
#include <cstdio>
#include <ostream>

#include "model/resources.h"

namespace rayx::cli {

std::string Printable(const std::string& text) {
  std::string result = text;
  std::replace_if(
      result.begin(), result.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return result;
}

std::string PrintableLine(const std::string& text) {
  std::string result = text;
  std::replace_if(
      result.begin(), result.end(),
      [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; }, '?');
  return result;
}

std::string FormatBytes(uint64_t bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  char text[48];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text;
}

std::string FormatUnits(int64_t units) {
  char text[48];
  std::snprintf(text, sizeof text, "%.10g", static_cast<double>(units) / model::kResourceUnit);
  return text;
}

void Table::Print(std::ostream& out) const {
  std::vector<size_t> widths;
  for (const std::string& cell : header_) widths.push_back(cell.size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  const auto print = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += Printable(row[i]);
      if (i + 1 < row.size()) line += std::string(widths[i] - row[i].size() + 2, ' ');
    }
    out << line << "\n";
  };
  print(header_);
  for (const auto& row : rows_) print(row);
}

}  // namespace rayx::cli
