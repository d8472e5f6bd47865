// Goal: every kind of value arrives as it was sent, and large buffers are not copied into the
// structure. Method: pack, encode, decode, compare; the encoded form is looked at where its shape
// is promised.
#include <catch2/catch.hpp>

#include <array>
#include <chrono>
#include <complex>
#include <cstring>
#include <deque>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "rayx/rayx.h"
#include "tests/unit/api/encoded.h"

namespace {

enum class Color : std::uint8_t { kRed = 1, kBlue = 200 };
enum Plain { kOne, kTwo };

struct Empty {
  friend bool operator==(const Empty&, const Empty&) { return true; }
};
struct Point {
  float x = 0;
  double y = 0;
  friend bool operator==(const Point& a, const Point& b) { return a.x == b.x && a.y == b.y; }
};
struct Grid {
  int cells[2][3] = {};
  std::string name;
  friend bool operator==(const Grid& a, const Grid& b) {
    return std::memcmp(a.cells, b.cells, sizeof(a.cells)) == 0 && a.name == b.name;
  }
};
struct Tree {
  std::string name;
  std::vector<Tree> children;
  friend bool operator==(const Tree& a, const Tree& b) {
    return a.name == b.name && a.children == b.children;
  }
};
struct Sixteen {
  int a, b, c, d, e, f, g, h, i, j, k, l, m, n, o;
  std::optional<std::string> p;
  friend bool operator==(const Sixteen& x, const Sixteen& y) {
    return x.a == y.a && x.h == y.h && x.o == y.o && x.p == y.p;
  }
};
// Enumerations, containers of structs and structs of its own kind.
struct Order {
  Color color = Color::kRed;
  Plain plain = kOne;
  std::map<std::string, std::vector<Point>> named;
  std::vector<std::pair<Color, int>> counts;
  std::vector<Order> parts;
  friend bool operator==(const Order& a, const Order& b) {
    return a.color == b.color && a.plain == b.plain && a.named == b.named && a.counts == b.counts &&
           a.parts == b.parts;
  }
};
struct NeverEmpty {  // an aggregate without a default constructor
  const int fixed;
  std::unique_ptr<int> owned;
};

class Account {
 public:
  Account() = default;
  Account(std::string owner, std::int64_t cents) : owner_(std::move(owner)), cents_(cents) {}
  friend bool operator==(const Account& a, const Account& b) {
    return a.owner_ == b.owner_ && a.cents_ == b.cents_ && a.history_ == b.history_;
  }
  std::vector<Point> history_;
  RAYX_SERIALIZE(owner_, cents_, history_)

 private:
  std::string owner_;
  std::int64_t cents_ = 0;
};

class Legacy {
 public:
  std::vector<int> numbers;
  std::map<std::string, double> table;
  MSGPACK_DEFINE(numbers, table)
  friend bool operator==(const Legacy& a, const Legacy& b) {
    return a.numbers == b.numbers && a.table == b.table;
  }
};

// A type of somebody else's, taught from outside.
class Matrix {
 public:
  Matrix(std::size_t rows, std::size_t columns)
      : rows(rows), columns(columns), cells(rows * columns) {}
  std::size_t rows;
  std::size_t columns;
  std::vector<double> cells;
};

}  // namespace

template <>
struct rayx::Serializer<Matrix> {
  static void Pack(Packer& packer, const Matrix& matrix) {
    packer.ArrayHeader(3);
    packer.Pack(matrix.rows);
    packer.Pack(matrix.columns);
    packer.Buffer(matrix.cells.data(), matrix.cells.size() * sizeof(double));
  }
  static Matrix Unpack(Unpacker& unpacker) {
    unpacker.ArrayHeader(3);
    const auto rows = unpacker.Unpack<std::size_t>();
    Matrix matrix(rows, unpacker.Unpack<std::size_t>());
    const BufferView bytes = unpacker.Buffer();
    if (bytes.bytes != matrix.cells.size() * sizeof(double)) unpacker.Fail("the cells of a matrix");
    std::memcpy(matrix.cells.data(), bytes.data, bytes.bytes);
    return matrix;
  }
};

using rayx::testing::Encoded;
using rayx::testing::RoundTrip;

#define CHECK_TRAVELS(...)                      \
  do {                                          \
    const auto travelling = (__VA_ARGS__);      \
    CHECK(RoundTrip(travelling) == travelling); \
  } while (false)

TEST_CASE("Serializer: numbers of every size and sign") {
  CHECK_TRAVELS(true);
  CHECK_TRAVELS('x');
  for (const std::int64_t value :
       {0L,     1L,     -1L,         31L,          -32L,        -33L,       127L,
        128L,   -128L,  -129L,       255L,         256L,        32767L,     -32768L,
        65535L, 65536L, 2147483647L, -2147483648L, 4294967295L, 4294967296L}) {
    CHECK_TRAVELS(value);
  }
  CHECK_TRAVELS(std::numeric_limits<std::int64_t>::min());
  CHECK_TRAVELS(std::numeric_limits<std::uint64_t>::max());
  CHECK_TRAVELS(std::numeric_limits<std::int8_t>::min());
  CHECK_TRAVELS(std::uint16_t{65535});
  CHECK_TRAVELS(1.5f);
  CHECK_TRAVELS(-std::numeric_limits<double>::infinity());
  CHECK_TRAVELS(3.25L);
  CHECK(std::isnan(RoundTrip(std::numeric_limits<double>::quiet_NaN())));
  CHECK_TRAVELS(Color::kBlue);
  CHECK_TRAVELS(kTwo);
}

TEST_CASE("Serializer: a number outside of the receiver's type is refused") {
  const Encoded wide(std::int64_t{300});
  CHECK_THROWS_AS(wide.As<std::uint8_t>(), rayx::SerializationError);
  const Encoded negative(-1);
  CHECK_THROWS_AS(negative.As<unsigned>(), rayx::SerializationError);
  CHECK(negative.As<std::int8_t>() == -1);
  const Encoded large(std::numeric_limits<std::uint64_t>::max());
  CHECK_THROWS_AS(large.As<std::int64_t>(), rayx::SerializationError);
}

TEST_CASE("Serializer: texts, short, long and empty") {
  CHECK_TRAVELS(std::string());
  for (const std::size_t size : {1U, 31U, 32U, 255U, 256U, 4095U, 4096U, 100'000U}) {
    CHECK_TRAVELS(std::string(size, 'q'));
  }
  CHECK_TRAVELS(std::string("with\0zero", 9));
  CHECK_TRAVELS(std::u16string(u"sixteen"));
  CHECK_TRAVELS(std::wstring(3000, L'w'));
}

TEST_CASE("Serializer: containers") {
  CHECK_TRAVELS(std::vector<int>());
  CHECK_TRAVELS(std::vector<int>{1, -2, 3});
  CHECK_TRAVELS(std::vector<double>(10'000, 0.25));
  CHECK_TRAVELS(std::vector<bool>{true, false, true, true});
  CHECK_TRAVELS(std::vector<bool>(9000, true));
  CHECK_TRAVELS(std::vector<std::string>{"a", "", "c"});
  CHECK_TRAVELS(std::vector<std::vector<float>>{{1, 2}, {}, {3}});
  CHECK_TRAVELS(std::array<int, 3>{1, 2, 3});
  CHECK_TRAVELS(std::array<std::string, 2>{"x", "y"});
  CHECK_TRAVELS(std::array<double, 600>{1, 2});
  CHECK_TRAVELS(std::deque<std::string>{"a", "b"});
  CHECK_TRAVELS(std::list<int>{5, 6});
  CHECK_TRAVELS(std::set<std::string>{"x", "y"});
  CHECK_TRAVELS(std::multiset<int>{1, 1, 2});
  CHECK_TRAVELS(std::unordered_set<int>{1, 2, 3});
  CHECK_TRAVELS(std::map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}});
  CHECK_TRAVELS(std::unordered_map<int, std::string>{{1, "one"}, {2, "two"}});
  CHECK_TRAVELS(std::multimap<int, int>{{1, 1}, {1, 2}});
  std::map<int, int> large;
  for (int i = 0; i < 70'000; ++i) large[i] = -i;
  CHECK_TRAVELS(large);
}

TEST_CASE("Serializer: tuples, variants, optionals, times") {
  CHECK_TRAVELS(std::tuple<>());
  CHECK_TRAVELS(std::tuple(1, std::string("x"), 2.5));
  CHECK_TRAVELS(std::pair(std::string("k"), std::vector<int>{1}));
  using Choice = std::variant<std::monostate, int, std::string>;
  CHECK_TRAVELS(Choice());
  CHECK_TRAVELS(Choice(7));
  CHECK_TRAVELS(Choice(std::string("text")));
  CHECK_TRAVELS(std::optional<int>());
  CHECK_TRAVELS(std::optional<int>(0));
  CHECK_TRAVELS(std::optional<std::optional<int>>(std::optional<int>()));
  CHECK_TRAVELS(std::complex<float>(1, -2));
  CHECK_TRAVELS(std::vector<std::complex<double>>{{1, 2}, {3, 4}});
  CHECK_TRAVELS(std::chrono::milliseconds(-15));
  CHECK_TRAVELS(std::chrono::system_clock::now());
}

TEST_CASE("Serializer: pointers that own") {
  CHECK(RoundTrip(std::unique_ptr<int>()) == nullptr);
  CHECK(*RoundTrip(std::make_unique<std::string>("owned")) == "owned");
  CHECK(*RoundTrip(std::make_shared<const Point>(Point{1, 2})) == Point{1, 2});
  CHECK(**RoundTrip(std::make_unique<std::unique_ptr<int>>(std::make_unique<int>(4))) == 4);
}

TEST_CASE("Serializer: plain structs need no macro") {
  CHECK_TRAVELS(Empty());
  CHECK_TRAVELS(std::vector<Empty>(5));
  CHECK_TRAVELS(Point{1, 2});
  CHECK_TRAVELS(std::vector<Point>(1000, Point{3, 4}));
  CHECK_TRAVELS(Grid{{{1, 2, 3}, {4, 5, 6}}, "grid"});
  CHECK_TRAVELS(Tree{"root", {{"left", {}}, {"right", {{"leaf", {}}}}}});
  CHECK_TRAVELS(Sixteen{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, "sixteen"});
  const NeverEmpty sent{5, std::make_unique<int>(6)};
  const NeverEmpty received = RoundTrip(sent);
  CHECK(received.fixed == 5);
  CHECK(*received.owned == 6);
}

TEST_CASE("Serializer: plain structs with enumerations, nested and in containers") {
  const Order order{Color::kBlue, kTwo, {{"a", {Point{1, 2}}}, {"b", {}}}, {{Color::kRed, 3}}, {}};
  CHECK_TRAVELS(order);
  CHECK_TRAVELS(std::vector<Order>{order, Order()});
  CHECK_TRAVELS(std::map<Color, Order>{{Color::kRed, order}});
  Order outer = order;
  outer.parts = {order, Order()};
  CHECK_TRAVELS(std::optional<Order>(outer));
  CHECK_TRAVELS(std::variant<int, Order>(outer));
  CHECK_TRAVELS(std::vector<Color>{Color::kBlue, Color::kRed});
  CHECK_TRAVELS(std::tuple<Order, Plain>(outer, kOne));
}

TEST_CASE("Serializer: classes that say what travels") {
  Account account("Ada", -500);
  account.history_ = {{1, 2}, {3, 4}};
  CHECK_TRAVELS(account);
  Legacy legacy;
  legacy.numbers = {1, 2, 3};
  legacy.table = {{"pi", 3.14}};
  CHECK_TRAVELS(legacy);
  CHECK_TRAVELS(std::vector<Legacy>{legacy, Legacy()});
  Matrix matrix(2, 3);
  matrix.cells[5] = 9;
  CHECK(RoundTrip(matrix).cells == matrix.cells);
  CHECK(RoundTrip(std::vector<Matrix>{matrix})[0].columns == 3);
}

TEST_CASE("Serializer: a large buffer is named by address and lies 64-byte aligned") {
  const std::vector<float> values(1024, 1.5f);
  const rayx::detail::Packed packed = rayx::detail::PackValue(values);
  REQUIRE(packed.buffers.size() == 1);
  CHECK(packed.buffers[0].data == values.data());
  CHECK(packed.buffers[0].bytes == 4096);
  CHECK(packed.structure.size() < 16);

  const Encoded encoded(std::tuple(std::string(5000, 's'), values, std::string("small")));
  rayx::Unpacker unpacker(encoded.fetched());
  unpacker.ArrayHeader(3);
  const std::string_view text = unpacker.String();
  const rayx::BufferView view = unpacker.Buffer();
  CHECK(view.out_of_band);
  CHECK(reinterpret_cast<std::uintptr_t>(text.data()) % 64 == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(view.data) % 64 == 0);
  CHECK(unpacker.String() == "small");
  CHECK_NOTHROW(unpacker.ExpectEnd());
}

TEST_CASE("Serializer: a small value is one byte of form and its msgpack") {
  const Encoded encoded(7);
  REQUIRE(encoded.fetched().bytes == 2);
  CHECK(encoded.fetched().data[0] == std::byte{0});
  CHECK(encoded.fetched().data[1] == std::byte{7});
}

TEST_CASE("Serializer: a block travels right from an address that is not aligned") {
  const std::vector<double> values{1.5, 2.5};
  const Encoded encoded(values);
  std::vector<std::byte> shifted(encoded.fetched().bytes + 1);
  for (std::size_t shift = 0; shift < 2; ++shift) {
    std::memcpy(shifted.data() + shift, encoded.fetched().data, encoded.fetched().bytes);
    rayx::detail::Fetched fetched;
    fetched.data = shifted.data() + shift;
    fetched.bytes = encoded.fetched().bytes;
    CHECK(rayx::detail::UnpackValue<std::vector<double>>(fetched) == values);
  }
}

TEST_CASE("Serializer: a value nested too deep is refused on both sides") {
  struct Chain {
    std::unique_ptr<Chain> next;
  };
  const auto chain_of = [](int length) {
    auto chain = std::make_unique<Chain>();
    for (int i = 0; i < length; ++i) {
      auto longer = std::make_unique<Chain>();
      longer->next = std::move(chain);
      chain = std::move(longer);
    }
    return chain;
  };
  CHECK_NOTHROW(RoundTrip(chain_of(400)));
  CHECK_THROWS_AS(Encoded(chain_of(2000)), rayx::SerializationError);
  // A hostile sender: 100,000 times "array of one".
  const std::string nested = std::string(1, '\0') + std::string(100'000, '\x91');
  CHECK_THROWS_AS(Encoded::FromBytes(nested).As<std::unique_ptr<Chain>>(),
                  rayx::SerializationError);
  CHECK_THROWS_AS(Encoded::FromBytes(nested).As<Legacy>(), rayx::SerializationError);
}
