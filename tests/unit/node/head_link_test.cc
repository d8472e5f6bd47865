// Goal: a node judges the head's silence only by time in which it ran itself. Method: a real loop
// on a clock that the test moves; nobody serves the head's address.
#include "node/head_link.h"

#include <catch2/catch.hpp>
#include <string>

#include "io/clock.h"

namespace rayx::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class FakeClock final : public io::Clock {
 public:
  model::TimePoint Now() const override { return now; }
  model::TimePoint now{seconds(100)};
};

struct Link {
  Link() {
    auto made = io::Loop::Create(clock);
    REQUIRE(made.ok());
    loop = *std::move(made);
    HeadLinkEvents events;
    events.fill_heartbeat = [](proto::HeartbeatRequest&) {};
    events.on_view = [](const proto::HeartbeatReply&) {};
    events.on_lost = [this](const proto::ErrorInfo& error) { lost.push_back(error.message()); };
    HeadLinkOptions options;
    options.head = {"127.0.0.1", 1};
    options.credentials.token = std::string(64, '0');
    link = std::make_unique<HeadLink>(loop, options, std::move(events));
    link->StartHeartbeats(1);
  }
  // One turn of the loop after a step of the clock.
  void Step(model::Duration step) {
    clock.now += step;
    loop->RunOnce(milliseconds(0));
  }
  void Pass(model::Duration duration) {
    const model::TimePoint end = clock.now + duration;
    while (clock.now < end) Step(milliseconds(500));
  }

  FakeClock clock;
  std::shared_ptr<io::Loop> loop;
  std::unique_ptr<HeadLink> link;
  std::vector<std::string> lost;
};

}  // namespace

TEST_CASE("HeadLink: a head that is silent for 8 s is lost, once") {
  Link link;
  link.Pass(seconds(8));
  CHECK(link.lost.empty());
  link.Pass(seconds(2));
  REQUIRE(link.lost.size() == 1);
  CHECK_THAT(link.lost[0], Catch::Contains("127.0.0.1:1 has not answered for 8 s"));
}

TEST_CASE("HeadLink: a pause of this process is not the head's silence") {
  Link link;
  link.Pass(seconds(1));
  link.Step(seconds(12));
  CHECK(link.lost.empty());
  link.Pass(seconds(6));
  CHECK(link.lost.empty());
  link.Pass(seconds(3));
  REQUIRE(link.lost.size() == 1);
  CHECK_THAT(link.lost[0], Catch::Contains("has not answered for 8 s"));
}

}  // namespace rayx::node
