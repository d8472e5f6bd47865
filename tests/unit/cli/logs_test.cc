// Goal: each log file is told with the process that writes it. Method: a node's state made up.
#include "cli/logs.h"

#include <catch2/catch.hpp>

namespace rayx::cli {

TEST_CASE("Logs: whose a file is") {
  proto::NodeState state;
  auto* worker = state.add_workers();
  worker->set_pid(17);
  worker->set_process((uint64_t{1} << 32) | 3);
  worker->set_state("actor");
  worker->set_title("Counter::Add");
  const std::string who = LogOwner("worker-17.log", &state);
  CHECK_THAT(who, Catch::Matchers::EndsWith(" actor, Counter::Add"));
  CHECK(LogOwner("worker-17.log.1", &state) == who);
  CHECK(LogOwner("worker-18.log", &state) == "worker, ended");
  CHECK(LogOwner("worker-17.log", nullptr) == "worker");
  CHECK(LogOwner("worker-x.log", &state) == "worker");
  CHECK(LogOwner("zygote-5.log", &state) == "zygote");
  CHECK(LogOwner("head.err", &state) == "head");
  CHECK(LogOwner("node.log", &state) == "node daemon");
}

}  // namespace rayx::cli
