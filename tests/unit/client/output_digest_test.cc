// Goal: what many workers print alike is shown once and counted, and nothing else is left out.
// Method: lines at times that the test says.
#include "client/core/output_digest.h"

#include <catch2/catch.hpp>

namespace rayx::client {
namespace {

using std::chrono::milliseconds;

struct Fixture {
  // Of worker n.
  void Print(int n, const std::string& line, bool is_stderr = false) {
    digest.OnLine({static_cast<uint64_t>(n), "(w" + std::to_string(n) + ") "}, is_stderr, line, now,
                  shown);
  }
  std::string Take() {
    std::string text;
    for (const ShownText& piece : shown) text += piece.text;
    shown.clear();
    return text;
  }
  void Pass(milliseconds time) {
    now += time;
    digest.OnTick(now, shown);
  }

  OutputDigest digest;
  model::TimePoint now{std::chrono::seconds(100)};
  std::vector<ShownText> shown;
};

}  // namespace

TEST_CASE("OutputDigest: a line of many workers is shown once, then counted") {
  Fixture f;
  for (int n = 1; n <= 16; ++n) f.Print(n, "loading");
  CHECK(f.Take() == "(w1) loading\n");
  CHECK(f.digest.next_due() == f.now + OutputDigest::kRepeatsWindow);
  f.Pass(milliseconds(4999));
  CHECK(f.Take().empty());
  f.Pass(milliseconds(1));
  CHECK(f.Take() == "(w1) loading [15 more times from other workers]\n");
  CHECK(f.digest.next_due() == model::kNever);
  f.Print(7, "loading");  // a new window
  CHECK(f.Take() == "(w7) loading\n");
}

TEST_CASE("OutputDigest: a worker's own repetitions are shown") {
  Fixture f;
  for (int i = 0; i < 3; ++i) f.Print(1, "step");
  f.Print(2, "step");
  f.Print(1, "step");
  CHECK(f.Take() == "(w1) step\n(w1) step\n(w1) step\n(w1) step\n");
  f.digest.OnEnd(f.shown);
  CHECK(f.Take() == "(w1) step [1 more time from other workers]\n");
}

TEST_CASE("OutputDigest: a line that one worker prints is never said to be repeated") {
  Fixture f;
  f.Print(1, "one");
  f.Print(2, "two");
  f.Take();
  f.Pass(milliseconds(60'000));
  CHECK(f.Take().empty());
}

TEST_CASE("OutputDigest: streams are apart, blank lines are all shown, order is kept") {
  Fixture f;
  f.Print(1, "x");
  f.Print(1, "x", true);
  f.Print(1, "");
  f.Print(2, "");
  f.Print(2, " \t");
  f.Print(2, "y");
  REQUIRE(f.shown.size() == 6);
  CHECK_FALSE(f.shown[0].is_stderr);
  CHECK(f.shown[1].is_stderr);
  CHECK(f.Take() == "(w1) x\n(w1) x\n(w1) \n(w2) \n(w2)  \t\n(w2) y\n");
}

TEST_CASE("OutputDigest: a repeat that is due is told before the line that comes after it") {
  Fixture f;
  f.Print(1, "x");
  f.Print(2, "x");
  f.Take();
  f.now += std::chrono::seconds(6);
  f.Print(2, "x");
  CHECK(f.Take() == "(w1) x [1 more time from other workers]\n(w2) x\n");
}

TEST_CASE("OutputDigest: more lines than it can remember are shown as they are") {
  Fixture f;
  for (int n : {1, 2}) {
    for (size_t i = 0; i < OutputDigest::kLinesMax + 10; ++i) f.Print(n, std::to_string(i));
  }
  CHECK(f.shown.size() == OutputDigest::kLinesMax + 20);
  const std::string longer(OutputDigest::kBytesMax, 'x');
  f.Take();
  f.Pass(milliseconds(5000));
  CHECK(f.shown.size() == OutputDigest::kLinesMax);  // the counts
  f.Take();
  f.Print(1, "y");
  for (int n : {1, 2}) f.Print(n, longer);
  CHECK(f.shown.size() == 3);
}

}  // namespace rayx::client
