// bench/data/fetch/wordnet_file.h
//
// Reads WordNet's data files (wndb(5WN)) into a directed graph.
//
// A node is a synset: the lines of data.noun, data.verb, data.adj, data.adv in this order, numbered
// from 0; its name is its offset and part of speech, as "00001740n". An edge is a pointer: of every
// synset, in the written order, from it to the synset that the pointer names. Semantic and lexical
// pointers count alike, and pointers between different words of the same two synsets are edges of
// their own. By this rule WordNet 3.0 has 117,659 nodes and 377,592 edges, 361,647 of them
// different and 19 of them loops.
//
// A line: offset lex_filenum ss_type w_cnt (word lex_id){w_cnt} p_cnt (symbol offset pos
// source/target){p_cnt} [frames] | gloss; w_cnt in hexadecimal, p_cnt decimal. Lines that begin
// with two blanks are the licence.
//
// Threads:  any, functions without state.
// Promises: a line that is not of this form, a synset that is there twice and a pointer to none are
//           errors with file and line.
// Limits:   2^31 - 1 nodes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace rayx::bench {

struct WordNetGraph {
  std::vector<std::string> names;  // by node
  std::vector<std::int32_t> sources;
  std::vector<std::int32_t> targets;
};

// The contents of data.noun, data.verb, data.adj, data.adv.
absl::StatusOr<WordNetGraph> ParseWordNet(const std::array<std::string_view, 4>& files);

}  // namespace rayx::bench
