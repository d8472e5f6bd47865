// tests/from_environment.h
//
// A number that whoever runs a test may set: more rounds than a build server has time for.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace rayx::testing {

inline uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace rayx::testing
