// Goal: processes that do not speak alike are told so, with both sides named. Method: one
// difference at a time.
#include "model/versions.h"

#include <catch2/catch.hpp>

namespace rayx::model {

TEST_CASE("Versions: any difference is a sentence that names both sides") {
  const Versions ours = OwnVersions(3);
  CHECK(VersionMismatch("a", ours, "b", ours).empty());
  Versions theirs = ours;
  theirs.release = "9.9.9\n";
  CHECK_THAT(VersionMismatch("the daemon", ours, "the program", theirs),
             Catch::Contains("the daemon has release " + ours.release) &&
                 Catch::Contains("the program has release 9.9.9?"));
  for (uint32_t Versions::*field : {&Versions::layout, &Versions::frame, &Versions::protocol}) {
    theirs = ours;
    theirs.*field += 70;
    CHECK_THAT(VersionMismatch("a", ours, "b", theirs),
               Catch::Contains(std::to_string(theirs.*field)));
  }
}

TEST_CASE("Versions: the layout counts only for who shares memory") {
  CHECK(VersionMismatch("a", OwnVersions(kNoLayout), "b", OwnVersions(3)).empty());
  CHECK_FALSE(VersionMismatch("a", OwnVersions(3), "b", OwnVersions(kNoLayout)).empty());
}

}  // namespace rayx::model
