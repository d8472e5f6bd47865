#include "model/resources.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>

namespace rayx::model {
namespace {

std::string Amount(int64_t units) {
  char text[48];
  std::snprintf(text, sizeof text, "%.10g", static_cast<double>(units) / kResourceUnit);
  return text;
}

bool ValidName(const std::string& name) {
  if (name.empty() || name.size() > 64) return false;
  for (unsigned char c : name) {
    if (!std::isalnum(c) && c != '_' && c != '-' && c != '.' && c != ':') return false;
  }
  return true;
}

}  // namespace

void ResourceSet::Set(const std::string& name, int64_t units) {
  if (units == 0) {
    units_.erase(name);
  } else {
    units_[name] = units;
  }
}

int64_t ResourceSet::Get(const std::string& name) const {
  auto it = units_.find(name);
  return it == units_.end() ? 0 : it->second;
}

absl::Status ResourceSet::SetDouble(const std::string& name, double amount) {
  if (!ValidName(name)) {
    return absl::InvalidArgumentError("resource name '" + name.substr(0, 64) +
                                      "': expected 1 to 64 letters, digits, '_', '-', '.' or ':'");
  }
  if (!std::isfinite(amount) || amount < 0 || amount > 9e11) {
    return absl::InvalidArgumentError("resource '" + name + "': expected an amount from 0 to 9e11");
  }
  const double units = amount * kResourceUnit;
  const double rounded = std::nearbyint(units);
  const bool vanishes = amount > 0 && rounded == 0;
  if (vanishes || std::abs(units - rounded) > 1e-4 * (1 + std::abs(units) * 1e-9)) {
    return absl::InvalidArgumentError("resource '" + name +
                                      "': expected 0 or a multiple of 0.0001");
  }
  if (units_.size() >= kResourceNamesMax && units_.find(name) == units_.end()) {
    return absl::InvalidArgumentError("resource '" + name + "': more than 64 resources");
  }
  Set(name, static_cast<int64_t>(rounded));
  return absl::OkStatus();
}

bool ResourceSet::Covers(const ResourceSet& demand) const {
  for (const auto& [name, units] : demand.units_) {
    if (Get(name) < units) return false;
  }
  return true;
}

void ResourceSet::Add(const ResourceSet& other) {
  for (const auto& [name, units] : other.units_) Set(name, Get(name) + units);
}

void ResourceSet::Subtract(const ResourceSet& other) {
  for (const auto& [name, units] : other.units_) Set(name, Get(name) - units);
}

std::string ResourceSet::ToString() const {
  std::string text;
  for (const auto& [name, units] : units_) {
    if (!text.empty()) text += ", ";
    text += name + ": " + Amount(units);
  }
  return text;
}

std::string ResourceSet::Missing(const ResourceSet& demand) const {
  std::string text;
  for (const auto& [name, units] : demand.units_) {
    if (Get(name) >= units) continue;
    if (!text.empty()) text += ", ";
    text += name + ": needs " + Amount(units) + ", has " + Amount(std::max<int64_t>(Get(name), 0));
  }
  return text;
}

}  // namespace rayx::model
