// Goal: a descriptor is closed once, by its last owner.
// Method: fcntl tells whether a descriptor is open.
#include "base/fd.h"

#include <fcntl.h>

#include <catch2/catch.hpp>

using rayx::base::UniqueFd;

namespace {
bool IsOpen(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}
int OpenNull() {
  return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}
}  // namespace

TEST_CASE("UniqueFd: closes at the end of its life") {
  int raw;
  {
    UniqueFd fd(OpenNull());
    raw = fd.get();
    REQUIRE(fd);
    CHECK(IsOpen(raw));
  }
  CHECK_FALSE(IsOpen(raw));
}

TEST_CASE("UniqueFd: moving passes the descriptor on and closes what was there") {
  UniqueFd first(OpenNull());
  UniqueFd second(OpenNull());
  const int first_raw = first.get();
  const int second_raw = second.get();
  second = std::move(first);
  CHECK(second.get() == first_raw);
  CHECK_FALSE(IsOpen(second_raw));
  auto& self = second;
  second = std::move(self);
  CHECK(IsOpen(first_raw));
}

TEST_CASE("UniqueFd: Release gives away, Reset closes and keeps errno") {
  UniqueFd fd(OpenNull());
  UniqueFd again(fd.Release());
  CHECK_FALSE(fd);
  errno = 1234;
  again.Reset();
  CHECK(errno == 1234);
  CHECK_FALSE(again);
}
