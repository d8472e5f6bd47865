// tests/unit/api/internal_linkage.h
//
// A second source file with a static function of the same name and signature.
#pragma once

#include <cstdint>

std::uint64_t InternalIdOfOtherFile();
