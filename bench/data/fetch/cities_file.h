// bench/data/fetch/cities_file.h
//
// Reads cities.json: an array of objects whose "lat" and "lng" are decimal numbers in strings.
// Threads:  any, functions without state.
// Promises: anything else is an error that names the city's place in the list.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace rayx::bench {

struct Cities {
  std::vector<double> latitudes;   // degrees, -90..90
  std::vector<double> longitudes;  // degrees, -180..180
};

absl::StatusOr<Cities> ParseCities(std::string_view text);

}  // namespace rayx::bench
