// Map and reduce: words of a text are counted. Each mapper returns a part for each reducer, and a
// part goes straight from where it was made to where it is needed.
#include <rayx/rayx.h>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "../flags.h"

using Counts = std::map<std::string, std::int64_t>;

// Stands for a file of a large text: some words come often, most seldom.
std::string Text(int block, int words) {
  static const char* const kSyllables[] = {"ba", "ne", "ki", "lo", "su", "ra", "te", "mi"};
  std::mt19937 random(static_cast<std::uint32_t>(block));
  std::string text;
  for (int word = 0; word < words; ++word) {
    const std::uint32_t limit = 1 + static_cast<std::uint32_t>(random()) % 2000;
    std::uint32_t number = static_cast<std::uint32_t>(random()) % limit;
    for (; number > 0; number /= 8) text += kSyllables[number % 8];
    text += word % 12 == 11 ? ".\n" : " ";
  }
  return text;
}

// The same in every process and on every machine, as std::hash need not be.
std::size_t ReducerOf(const std::string& word, std::size_t reducers) {
  std::uint64_t hash = 14695981039346656037U;  // FNV-1a
  for (const char c : word) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return static_cast<std::size_t>(hash % reducers);
}

// The counts of a block, one part a reducer.
std::vector<Counts> Map(int block, int words, int reducers) {
  std::vector<Counts> parts(static_cast<std::size_t>(reducers));
  std::string word;
  for (const char c : Text(block, words)) {
    if (c >= 'a' && c <= 'z') {
      word += c;
    } else if (!word.empty()) {
      ++parts[ReducerOf(word, parts.size())][word];
      word.clear();
    }
  }
  return parts;
}

// A parameter that is a vector of references gets them as they are, and reads one after the other:
// so many parts need not fit into memory at once.
Counts Reduce(const std::vector<rayx::ObjectRef<Counts>>& parts) {
  Counts sum;
  for (const auto& part : parts) {
    const std::shared_ptr<Counts> counts = part.Get();  // kept while it is read
    for (const auto& [word, count] : *counts) sum[word] += count;
  }
  return sum;
}

Counts CountWords(int blocks, int words, int reducers) {
  // parts[reducer][block]
  std::vector<std::vector<rayx::ObjectRef<Counts>>> parts(static_cast<std::size_t>(reducers));
  for (int block = 0; block < blocks; ++block) {
    const std::vector<rayx::ObjectRef<Counts>> of_block =
        rayx::Task<&Map>().SetNumReturns(reducers).RemoteEach(block, words, reducers);
    for (std::size_t i = 0; i < parts.size(); ++i) parts[i].push_back(of_block[i]);
  }
  std::vector<rayx::ObjectRef<Counts>> sums;
  for (const auto& of_reducer : parts) {
    sums.push_back(rayx::Task<&Reduce>().Remote(of_reducer));
  }
  parts.clear();  // from here on the reducers alone keep the parts
  Counts all;
  for (const auto& sum : rayx::Get(sums)) all.insert(sum->begin(), sum->end());
  return all;
}

Counts CountHere(int blocks, int words) {
  Counts all;
  for (int block = 0; block < blocks; ++block) {
    const std::vector<Counts> one_part = Map(block, words, 1);
    for (const auto& [word, count] : one_part.front()) all[word] += count;
  }
  return all;
}

int main(int argc, char** argv) {
  int blocks = 16;
  int words = 20'000;
  int reducers = 4;
  const example::Flags flags("08_map_reduce", {{"blocks", &blocks, "blocks of text"},
                                               {"words", &words, "words of a block"},
                                               {"reducers", &reducers, "parts of the result"}});
  if (flags.PrintHelp(argc, argv)) return 0;
  try {
    rayx::Init(&argc, argv);  // --local, --address ip:port, or nothing: a cluster of its own
    flags.Read(argc, argv);

    const Counts counts = CountWords(blocks, words, reducers);
    std::vector<std::pair<std::string, std::int64_t>> top(counts.begin(), counts.end());
    std::sort(top.begin(), top.end(), [](const auto& a, const auto& b) {
      return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    std::cout << top.size() << " different words\n";
    for (std::size_t i = 0; i < top.size() && i < 5; ++i) {
      std::cout << top[i].first << ' ' << top[i].second << '\n';
    }
    const bool same = counts == CountHere(blocks, words);
    std::cout << (same ? "as" : "NOT as") << " counted without RayX\n";
    rayx::Shutdown();
    return same ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
}
