// Goal: selectors of labels mean what they say, and what is none is named. Method: texts written
// out by hand, read and matched.
#include "scheduling/label_selector.h"

#include <catch2/catch.hpp>

namespace rayx::scheduling {
namespace {

bool Matches(const std::string& text, const std::string& value) {
  return LabelSelector::Parse("zone", text).value().Matches(&value);
}
bool MatchesNone(const std::string& text) {
  return LabelSelector::Parse("zone", text).value().Matches(nullptr);
}

}  // namespace

TEST_CASE("LabelSelector: a value, one of several, and not") {
  CHECK(Matches("a", "a"));
  CHECK_FALSE(Matches("a", "b"));
  CHECK_FALSE(MatchesNone("a"));
  CHECK(Matches("in(a,b)", "b"));
  CHECK_FALSE(Matches("in(a,b)", "c"));
  CHECK_FALSE(MatchesNone("in(a,b)"));
  CHECK_FALSE(Matches("!a", "a"));
  CHECK(Matches("!a", "b"));
  CHECK(MatchesNone("!a"));
  CHECK_FALSE(Matches("!in(a,b)", "b"));
  CHECK(Matches("!in(a,b)", "c"));
  CHECK(MatchesNone("!in(a,b)"));
  CHECK(Matches("in", "in"));  // a value like any other
}

TEST_CASE("LabelSelector: its text is read back as what it was") {
  for (const char* text : {"a", "!a", "in(a)", "in(a,b-1.x/y_z)", "!in(a,b)"}) {
    const auto selector = LabelSelector::Parse("zone", text).value();
    CHECK(selector.ToString() == text);
    CHECK(LabelSelector::Parse("zone", selector.ToString()).value() == selector);
  }
}

TEST_CASE("LabelSelector: what is none is refused by key and text") {
  for (const char* text : {"", "!", "!!a", "in(", "in()", "in(a", "in(a,)", "in(,a)", "a,b", "a b",
                           "in(a)b", "!in(a,b", "in(in(a))", "a=b", "in(a, b)"}) {
    const auto selector = LabelSelector::Parse("zone", text);
    INFO(text);
    REQUIRE_FALSE(selector.ok());
    CHECK_THAT(std::string(base::Message(selector.status())),
               Catch::Contains("\"zone\"") && Catch::Contains(std::string("\"") + text + "\"") &&
                   Catch::Contains("!in(a,b)"));
  }
  CHECK_FALSE(LabelSelector::Parse("", "a").ok());
  CHECK_FALSE(LabelSelector::Parse("a key", "a").ok());
  CHECK_FALSE(LabelSelector::Parse("zone", std::string(129, 'a')).ok());
  CHECK(LabelSelector::Parse("zone", std::string(128, 'a')).ok());
  std::string many = "in(a";
  for (size_t i = 1; i < LabelSelector::kValuesMax; ++i) many += ",a";
  CHECK(LabelSelector::Parse("zone", many + ")").ok());
  CHECK_FALSE(LabelSelector::Parse("zone", many + ",a)").ok());
  CHECK_FALSE(LabelSelector::Parse("zone", std::string(1 << 20, 'a')).ok());
}

}  // namespace rayx::scheduling
