// Goal:   a long wait speaks ever more seldom, and says how long it has lasted in all.
// Method: WaitNotes with made-up times.
#include "client/core/wait_notes.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

using rayx::client::WaitNotes;

TEST_CASE("WaitNotes: the silence doubles up to 10 min, the time is that of the whole wait") {
  const rayx::model::TimePoint began{std::chrono::hours(1)};
  WaitNotes notes(began);
  std::vector<std::string> said;
  for (int i = 0; i < 9; ++i) said.push_back(notes.Take(notes.next()));
  CHECK(said == std::vector<std::string>{"10 s", "30 s", "70 s", "150 s", "310 s", "630 s",
                                         "1230 s", "1830 s", "2430 s"});
}
