#include "bench/data/fetch/wordnet_file.h"

#include <charconv>
#include <limits>
#include <unordered_map>

#include "absl/status/status.h"

namespace rayx::bench {
namespace {

constexpr std::array<const char*, 4> kFileNames = {"data.noun", "data.verb", "data.adj",
                                                   "data.adv"};
constexpr std::array<char, 4> kLetters = {'n', 'v', 'a', 'r'};

// Splits a line at blanks, one word a call; an empty word: the line has no more.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  std::string_view Next() {
    const size_t begin = std::min(rest_.find_first_not_of(' '), rest_.size());
    const size_t end = std::min(rest_.find(' ', begin), rest_.size());
    const std::string_view word = rest_.substr(begin, end - begin);
    rest_.remove_prefix(end);
    return word;
  }

  bool Skip(int count) {
    for (int i = 0; i < count; ++i) {
      if (Next().empty()) return false;
    }
    return true;
  }

  // A number of exactly `digits` digits; -1: it is none.
  int Number(size_t digits, int base) {
    const std::string_view word = Next();
    int value = -1;
    const auto end = std::from_chars(word.data(), word.data() + word.size(), value, base);
    return word.size() == digits && word[0] != '-' && end.ptr == word.data() + digits ? value : -1;
  }

 private:
  std::string_view rest_;
};

// One number for a synset's offset and part of speech; -1: they are no such thing. The satellites
// of adjectives ('s') lie in data.adj.
std::int64_t Key(int offset, std::string_view letter) {
  if (offset < 0 || letter.size() != 1) return -1;
  const char plain = letter[0] == 's' ? 'a' : letter[0];
  for (size_t file = 0; file < kLetters.size(); ++file) {
    if (plain == kLetters[file])
      return static_cast<std::int64_t>(offset) * 4 + static_cast<int>(file);
  }
  return -1;
}

class Parser {
 public:
  absl::StatusOr<WordNetGraph> Parse(const std::array<std::string_view, 4>& files) {
    for (const bool is_edge_pass : {false, true}) {
      node_ = 0;
      for (size_t file = 0; file < files.size(); ++file) {
        if (auto bad = ParseFile(files[file], file, is_edge_pass); !bad.ok()) return bad;
      }
    }
    return std::move(graph_);
  }

 private:
  absl::Status ParseFile(std::string_view text, size_t file, bool is_edge_pass) {
    for (std::int64_t number = 1; !text.empty(); ++number) {
      const size_t end = std::min(text.find('\n'), text.size());
      const std::string_view line = text.substr(0, end);
      const bool is_cut = end == text.size();
      text.remove_prefix(std::min(end + 1, text.size()));
      if (line.substr(0, 2) == "  ") continue;
      const char* wrong = is_cut ? "is cut" : is_edge_pass ? AddEdges(line) : AddNode(line, file);
      if (wrong == nullptr) continue;
      return absl::DataLossError(std::string(kFileNames[file]) + ":" + std::to_string(number) +
                                 ": " + wrong);
    }
    return absl::OkStatus();
  }

  // Null: all is well.
  const char* AddNode(std::string_view line, size_t file) {
    Words words(line);
    const std::string offset(line.substr(0, 8));
    const int offset_number = words.Number(8, 10);
    words.Skip(1);
    const std::int64_t key = Key(offset_number, words.Next());
    if (key < 0 || key % 4 != static_cast<int>(file)) return "is not a synset of this file";
    if (graph_.names.size() == std::numeric_limits<std::int32_t>::max())
      return "one synset too many";
    const auto node = static_cast<std::int32_t>(graph_.names.size());
    if (!nodes_.emplace(key, node).second) return "is a synset that was there before";
    graph_.names.push_back(offset + kLetters[file]);
    return nullptr;
  }

  const char* AddEdges(std::string_view line) {
    const std::int32_t source = node_++;
    Words words(line.substr(0, line.find('|')));
    words.Skip(3);
    const int word_count = words.Number(2, 16);
    if (word_count < 1 || !words.Skip(2 * word_count)) return "has no list of words";
    const int pointers = words.Number(3, 10);
    if (pointers < 0) return "has no list of pointers";
    for (int i = 0; i < pointers; ++i) {
      words.Skip(1);
      const int offset = words.Number(8, 10);
      const std::int64_t key = Key(offset, words.Next());
      if (key < 0 || words.Number(4, 16) < 0) return "has a pointer that is none";
      const auto target = nodes_.find(key);
      if (target == nodes_.end()) return "points to a synset that is not there";
      graph_.sources.push_back(source);
      graph_.targets.push_back(target->second);
    }
    return nullptr;
  }

  WordNetGraph graph_;
  std::unordered_map<std::int64_t, std::int32_t> nodes_;
  std::int32_t node_ = 0;  // of the next line, in the second pass
};

}  // namespace

absl::StatusOr<WordNetGraph> ParseWordNet(const std::array<std::string_view, 4>& files) {
  return Parser().Parse(files);
}

}  // namespace rayx::bench
