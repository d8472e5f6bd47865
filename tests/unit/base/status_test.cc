// Goal: the macros return the first failure unchanged and otherwise go on.
// Method: functions that use them with ok and failed values, a move-only value among them.
#include "base/status.h"

#include <memory>
#include <string>

#include <catch2/catch.hpp>

using namespace rayx::base;

namespace {

Status Fail(bool fail) {
  return fail ? MakeStatus(StatusCode::kNotFound, "gone") : OkStatus();
}

Status Twice(bool first, bool second, int& passed) {
  RAYX_RETURN_IF_ERROR(Fail(first));
  ++passed;
  RAYX_RETURN_IF_ERROR(Fail(second));
  ++passed;
  return OkStatus();
}

StatusOr<std::unique_ptr<int>> Make(bool fail) {
  RAYX_RETURN_IF_ERROR(Fail(fail));
  return std::make_unique<int>(7);
}

StatusOr<int> Use(bool fail) {
  RAYX_ASSIGN_OR_RETURN(const std::unique_ptr<int> value, Make(fail));
  int number = 0;
  RAYX_ASSIGN_OR_RETURN(number, StatusOr<int>(*value));
  return number;
}

}  // namespace

TEST_CASE("Status: RAYX_RETURN_IF_ERROR returns at the first failure") {
  int passed = 0;
  CHECK(Twice(false, true, passed).code() == StatusCode::kNotFound);
  CHECK(passed == 1);
  CHECK(Twice(false, false, passed).ok());
}

TEST_CASE("Status: RAYX_ASSIGN_OR_RETURN moves the value out or passes the failure on") {
  CHECK(Use(false).value() == 7);
  CHECK(Message(Use(true).status()) == "gone");
}
