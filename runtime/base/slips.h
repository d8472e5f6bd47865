// runtime/base/slips.h
//
// How far a mistyped word is from another one. Threads: any (no state).
#pragma once

#include <cstddef>
#include <string_view>

namespace rayx::base {

// Letters to insert, remove or replace, and neighbours to swap, at least (the restricted
// Damerau-Levenshtein distance). Takes time and memory for a word's length, not a text's.
size_t SlipsBetween(std::string_view a, std::string_view b);

}  // namespace rayx::base
