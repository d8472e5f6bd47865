// Goal: the last lines of a file, whole, and a word where a bound has cost some.
// Method: files of the test's own, shorter and longer than what is looked at.
#include "base/file_tail.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "base/fd.h"

namespace rayx::base {
namespace {

using Lines = std::vector<std::string>;

UniqueFd FileOf(const std::string& text) {
  char name[] = "/tmp/rayx-tail-XXXXXX";
  UniqueFd fd(::mkstemp(name));
  REQUIRE(fd);
  ::unlink(name);
  REQUIRE(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  return fd;
}

TEST_CASE("FileTail: so many lines as are wanted and there") {
  const UniqueFd fd = FileOf("one\n\nthree\n");
  CHECK(ReadTail(fd.get(), 2, 1000).text == "\nthree\n");
  CHECK(ReadTail(fd.get(), 3, 1000).text == "one\n\nthree\n");
  const FileTail all = ReadTail(fd.get(), 100, 1000);
  CHECK(LinesOf(all.text) == Lines{"one", "", "three"});
  CHECK_FALSE(all.is_cut);
  CHECK(all.end == 11);
  CHECK(ReadTail(fd.get(), 0, 1000).text.empty());
  CHECK_FALSE(ReadTail(fd.get(), 0, 1000).is_cut);
}

TEST_CASE("FileTail: a last line that has no end yet is one; nothing is none") {
  CHECK(ReadTail(FileOf("one\ntwo").get(), 1, 1000).text == "two");
  CHECK(ReadTail(FileOf("one\ntwo").get(), 2, 1000).text == "one\ntwo");
  CHECK(ReadTail(FileOf("\n").get(), 5, 1000).text == "\n");
  CHECK(ReadTail(FileOf("").get(), 5, 1000).text.empty());
  CHECK(ReadTail(-1, 5, 1000).text.empty());
}

// Regression: the first line was what the bound had left of it, and nobody said that lines were
// missing.
TEST_CASE("FileTail: where the bound has cost lines they are whole, and it is said") {
  const UniqueFd fd = FileOf("first line\nsecond\nthird\n");
  const FileTail cut = ReadTail(fd.get(), 3, 16);
  CHECK(cut.text == "second\nthird\n");
  CHECK(cut.is_cut);
  CHECK_FALSE(ReadTail(fd.get(), 2, 16).is_cut);
  const FileTail nothing = ReadTail(FileOf("one very long line").get(), 1, 4);
  CHECK(nothing.text.empty());
  CHECK(nothing.is_cut);
}

TEST_CASE("FileTail: lines far from the end are found") {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "line " + std::to_string(i) + "\n";
  const UniqueFd fd = FileOf(text);
  for (const size_t lines : {1, 1000, 7000, 99'999, 100'000}) {
    const FileTail tail = ReadTail(fd.get(), lines, text.size());
    const Lines shown = LinesOf(tail.text);
    REQUIRE(shown.size() == lines);
    CHECK(shown.front() == "line " + std::to_string(100'000 - lines));
    CHECK(shown.back() == "line 99999");
    CHECK_FALSE(tail.is_cut);
    CHECK(tail.end == static_cast<off_t>(text.size()));
  }
}

}  // namespace
}  // namespace rayx::base
