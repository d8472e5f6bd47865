// A second source file with a static function of the same name and signature.
#ifndef TESTS_UNIT_API_INTERNAL_LINKAGE_H_
#define TESTS_UNIT_API_INTERNAL_LINKAGE_H_

#include <cstdint>

std::uint64_t InternalIdOfOtherFile();

#endif  // TESTS_UNIT_API_INTERNAL_LINKAGE_H_
