// Goal: bytes from a hostile or broken peer give a value, which is one that travels on unchanged,
// or a SerializationError that says what is wrong, never anything else. Method: one value that uses
// every form of the encoding is cut at every byte, changed at every byte, and mutated at random; a
// counting allocator of memory shows that no announced size is believed.
#include <catch2/catch.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "base/prng.h"
#include "rayx/rayx.h"
#include "tests/unit/api/encoded.h"

using rayx::testing::Encoded;

namespace {

struct Inner {
  std::vector<std::string> names;
  std::optional<double> weight;
};
struct Legacy {
  std::vector<int> numbers;
  std::map<std::string, std::vector<double>> table;
  MSGPACK_DEFINE(numbers, table)
};
using Everything = std::tuple<int, std::string, std::vector<std::uint16_t>,
                              std::map<std::string, Inner>, std::variant<int, std::string>,
                              std::vector<bool>, std::string, Legacy, std::vector<Inner>>;

Everything MakeEverything() {
  Legacy legacy;
  legacy.numbers = {1, 200, -70'000};
  legacy.table = {{"a", {1.5}}, {"b", {}}};
  return {-5,
          std::string(40, 'x'),
          std::vector<std::uint16_t>(2100, 7),
          {{"one", {{"a", "b"}, 2.5}}, {"two", {{}, std::nullopt}}},
          std::string("variant"),
          {true, false},
          std::string(4100, 'y'),
          legacy,
          {{{"n"}, 1.0}}};
}

// True: a value came out, and it travels on: encoded, decoded and encoded again it is the same.
// False: refused with a sentence.
template <class T>
bool Decodes(const std::string& bytes) {
  std::optional<T> value;
  try {
    value = Encoded::FromBytes(bytes).As<T>();
  } catch (const rayx::SerializationError& error) {
    REQUIRE_FALSE(error.message().empty());
    return false;
  }
  const std::string encoded = Encoded(*value).Bytes();
  const T again = Encoded::FromBytes(encoded).As<T>();
  REQUIRE(Encoded(again).Bytes() == encoded);
  return true;
}

// How many of many inputs were values, and how many were refused.
struct Count {
  int values = 0;
  int refused = 0;
  void Add(bool is_value) { ++(is_value ? values : refused); }
};

}  // namespace

TEST_CASE("Unpacker: a value that is cut short anywhere is refused") {
  const std::string whole = Encoded(MakeEverything()).Bytes();
  REQUIRE(Decodes<Everything>(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    INFO(size);
    REQUIRE_FALSE(Decodes<Everything>(whole.substr(0, size)));
  }
}

TEST_CASE("Unpacker: a value that goes on after its end is refused") {
  CHECK_FALSE(Decodes<int>(Encoded(5).Bytes() + "\x01"));
}

TEST_CASE("Unpacker: any byte may be any other") {
  const std::string whole = Encoded(MakeEverything()).Bytes();
  Count count;
  // Beyond the structure lie the buffers, whose every content is a value.
  for (std::size_t i = 0; i < whole.size() && i < 600; ++i) {
    for (const int bits : {0x01, 0x80, 0xff, 0x40, 0x13}) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ bits);
      count.Add(Decodes<Everything>(changed));
    }
  }
  CHECK(count.values > 0);
  CHECK(count.refused > 0);
}

TEST_CASE("Unpacker: random mutations of random places") {
  rayx::base::RandomStream random(20260901, 0, 0);
  const std::string whole = Encoded(MakeEverything()).Bytes();
  Count count;
  for (int round = 0; round < 20'000; ++round) {
    std::string changed = whole;
    const std::uint64_t changes = 1 + random.Next() % 8;
    for (std::uint64_t i = 0; i < changes; ++i) {
      changed[random.Next() % 600] = static_cast<char>(random.Next());
    }
    if (random.Next() % 4 == 0) changed.resize(random.Next() % changed.size());
    count.Add(Decodes<Everything>(changed));
  }
  CHECK(count.values > 0);
  CHECK(count.refused > 0);
}

TEST_CASE("Unpacker: random bytes as values of many types") {
  rayx::base::RandomStream random(7, 0, 0);
  Count count;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(1 + random.Next() % 64, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.Next());
    bytes[0] = static_cast<char>(random.Next() % 3);
    count.Add(Decodes<Everything>(bytes));
    count.Add(Decodes<Legacy>(bytes));
    count.Add(Decodes<std::vector<Inner>>(bytes));
    count.Add(Decodes<std::map<int, std::vector<std::string>>>(bytes));
    count.Add(Decodes<std::vector<double>>(bytes));
    count.Add(Decodes<std::string>(bytes));
  }
  CHECK(count.values > 0);
  CHECK(count.refused > 0);
}

TEST_CASE("Unpacker: announced sizes are not believed") {
  // Arrays, maps, texts and blocks of 2^32 - 1 elements in a few bytes.
  const std::string form(1, '\0');
  for (const char* tag : {"\xdd", "\xdf", "\xdb", "\xc6", "\xc9"}) {
    const std::string bytes = form + tag + "\xff\xff\xff\xff" + "abcdefgh";
    CHECK_FALSE(Decodes<std::vector<std::string>>(bytes));
    CHECK_FALSE(Decodes<std::map<int, int>>(bytes));
    CHECK_FALSE(Decodes<std::string>(bytes));
    CHECK_FALSE(Decodes<std::vector<double>>(bytes));
    CHECK_FALSE(Decodes<Legacy>(bytes));
  }
  // Out of band: more buffers than bytes; a buffer that ends beyond the value.
  std::string many(64, '\0');
  many[0] = 1;
  for (int i = 4; i < 12; ++i) many[static_cast<std::size_t>(i)] = '\xff';
  CHECK_FALSE(Decodes<std::string>(many));
  std::string outside = Encoded(std::string(5000, 'x')).Bytes();
  outside[24] = '\xff';
  outside[25] = '\xff';
  CHECK_FALSE(Decodes<std::string>(outside));
  outside = Encoded(std::string(5000, 'x')).Bytes();
  for (std::size_t i = 16; i < 24; ++i) outside[i] = '\xff';
  CHECK_FALSE(Decodes<std::string>(outside));
}

TEST_CASE("Unpacker: room is made in steps, not by what was announced") {
  CHECK(rayx::Unpacker::Reserve(10, 8) == 10);
  CHECK(rayx::Unpacker::Reserve(1'000'000, 1) == 64 * 1024);
  CHECK(rayx::Unpacker::Reserve(1'000'000, 1 << 20) == 1);
}
