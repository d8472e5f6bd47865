// runtime/cli/microbenchmark/transfer_content.h
//
// What is sent in the rows of transfers, and how a receiver knows that it is that.
// Owner:    none (no state).      Threads: any.
// Promises: each word is a function of its place and the seed, so that lost, doubled and exchanged
//           parts are found, and no transfer can stand for another's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

namespace rayx::cli {

inline constexpr size_t kTransferBytes = 256u << 20;
inline constexpr size_t kTransferWords = kTransferBytes / sizeof(uint64_t);

inline uint64_t TransferWord(uint64_t seed, size_t place) {
  return ((seed << 32) + place) * 0x9e3779b97f4a7c15u;
}

inline void FillWords(std::span<uint64_t> words, uint64_t seed) {
  for (size_t i = 0; i < words.size(); ++i) words[i] = TransferWord(seed, i);
}

// Throws std::runtime_error when they are not the kTransferWords of that seed.
inline void ExpectWords(std::span<const uint64_t> words, uint64_t seed) {
  if (words.size() != kTransferWords) {
    throw std::runtime_error("received " + std::to_string(words.size()) + " words, expected " +
                             std::to_string(kTransferWords));
  }
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == TransferWord(seed, i)) continue;
    throw std::runtime_error("received other bytes than were sent, first in word " +
                             std::to_string(i));
  }
}

}  // namespace rayx::cli
