// runtime/store/core/sizes.h
//
// Byte counts as error messages show them.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace rayx::store {

// "512 B", "4.0 KiB", "80.0 MiB", "7.2 GiB".
inline std::string SizeText(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double amount = static_cast<double>(bytes);
  int unit = 0;
  while (amount >= 1024 && unit < 4) {
    amount /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f %s", amount, kUnits[unit]);
  return text;
}

}  // namespace rayx::store
