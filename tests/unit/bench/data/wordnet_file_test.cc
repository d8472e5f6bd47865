// Goal: WordNet's files become the graph that is promised, and nothing else is taken for them.
// Method: a WordNet of five synsets, and its lines damaged one at a time.
#include "bench/data/fetch/wordnet_file.h"

#include <catch2/catch.hpp>

#include "bench/data/fetch/cities_file.h"

namespace rayx::bench {
namespace {

using Catch::Matchers::Contains;

const std::string kLicence = "  1 A licence: 00000000 99 n\n";
const std::string kNoun =
    kLicence +
    "00000010 03 n 01 entity 0 002 ~ 00000020 n 0000 + 00000010 v 0101 | that | which is\n"
    "00000020 03 n 02 physical_entity 0 thing 1 001 @ 00000010 n 0000 | a thing  \n";
// Frames after the pointers; the same pair of synsets twice, by different words.
const std::string kVerb =
    "00000010 29 v 0a a 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 j 0 003 * 00000010 v 0000 "
    "+ 00000020 n 0102 + 00000020 n 0301 01 + 02 00 | draw  \n";
const std::string kAdj = "00000010 00 s 01 able 0 000 | (usually followed by `to')\n";
const std::string kAdv = "00000010 02 r 01 ably 0 001 \\ 00000010 a 0101 | in an able manner\n";

absl::StatusOr<WordNetGraph> Parse(const std::string& noun) {
  return ParseWordNet({noun, kVerb, kAdj, kAdv});
}

TEST_CASE("ParseWordNet: nodes by file and line, an edge for every pointer") {
  auto graph = Parse(kNoun);
  INFO(graph.status());
  REQUIRE(graph.ok());
  CHECK(graph->names ==
        std::vector<std::string>{"00000010n", "00000020n", "00000010v", "00000010a", "00000010r"});
  CHECK(graph->sources == std::vector<std::int32_t>{0, 0, 1, 2, 2, 2, 4});
  CHECK(graph->targets == std::vector<std::int32_t>{1, 2, 0, 2, 1, 1, 3});
}

TEST_CASE("ParseWordNet: damage is an error with file and line") {
  const auto refused = [](const std::string& from, const std::string& to) {
    std::string text = kNoun;
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    auto graph = Parse(text.replace(at, from.size(), to));
    CHECK(graph.status().code() == absl::StatusCode::kDataLoss);
    return std::string(graph.status().message());
  };
  CHECK_THAT(refused("00000010 03", "0000001x 03"), Contains("data.noun:2: is not a synset"));
  CHECK_THAT(refused("00000010 03", "-0000010 03"), Contains("data.noun:2: is not a synset"));
  CHECK_THAT(refused("00000010 03 n", "00000010 03 v"), Contains("data.noun:2: is not a synset"));
  CHECK_THAT(refused("00000020 03", "00000010 03"), Contains("data.noun:3: is a synset that was"));
  CHECK_THAT(refused("n 01 entity", "n ff entity"), Contains("data.noun:2: has no list of words"));
  CHECK_THAT(refused("n 01 entity", "n 00 entity"), Contains("data.noun:2: has no list of words"));
  CHECK_THAT(refused("0 002 ~", "0 xyz ~"), Contains("data.noun:2: has no list of pointers"));
  CHECK_THAT(refused("0 002 ~", "0 999 ~"), Contains("data.noun:2: has a pointer that is none"));
  CHECK_THAT(refused("~ 00000020 n", "~ 00000020 x"), Contains("data.noun:2: has a pointer"));
  CHECK_THAT(refused("~ 00000020 n", "~ 00000021 n"), Contains("points to a synset that is not"));
  CHECK_THAT(refused("00000020 03 n", "\n00000020 03 n"), Contains("data.noun:3:"));
}

TEST_CASE("ParseWordNet: cut at every place, it is never taken for whole") {
  for (size_t length = 0; length < kNoun.size(); ++length) {
    CAPTURE(length);
    CHECK(!Parse(kNoun.substr(0, length)).ok());
  }
}

TEST_CASE("ParseCities: numbers in strings, within the globe") {
  auto cities = ParseCities(R"([{"name": "x", "lat": "42.53176", "lng": "-1.5"}])");
  REQUIRE(cities.ok());
  CHECK(cities->latitudes == std::vector<double>{42.53176});
  CHECK(cities->longitudes == std::vector<double>{-1.5});
  for (const char* text :
       {"", "{}", "[", "[1]", R"([{"lat": "1"}])", R"([{"lat": 1, "lng": 2}])",
        R"([{"lat": "91", "lng": "0"}])", R"([{"lat": "0", "lng": "-180.5"}])",
        R"([{"lat": "1x", "lng": "0"}])", R"([{"lat": "", "lng": "0"}])",
        R"([{"lat": "nan", "lng": "0"}])", R"([{"lat": "0", "lng": "0"}, null])"}) {
    CAPTURE(text);
    CHECK(ParseCities(text).status().code() == absl::StatusCode::kDataLoss);
  }
  CHECK(ParseCities("[]").ok());
}

}  // namespace
}  // namespace rayx::bench
