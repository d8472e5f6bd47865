// Goal: who is in the cluster, and from when on not any more.
// Method: a head of cores; registrations, heartbeats and ticks at chosen times, each message twice.
#include "tests/unit/head/core_fixture.h"

#include "base/mark.h"

namespace rayx::head {

TEST_CASE("Membership: numbers are given once and in order") {
  Cluster cluster;
  CHECK(cluster.AddNode() == 1);
  CHECK(cluster.AddNode() == 2);
  CHECK(base::MarkCount("registration repeated") > 0);
  CHECK(cluster.core.OnStatus().nodes_size() == 2);
  CHECK(cluster.core.OnStatus().membership_version() == 2);
}

TEST_CASE("Membership: a pause below 10 s is invisible, 10 s are death") {
  Cluster cluster;
  const uint32_t node = cluster.AddNode();
  const uint32_t other = cluster.AddNode();
  cluster.Pass(milliseconds(9900));
  CHECK(cluster.Heartbeat(node).error().code() == 0);
  CHECK(cluster.Heartbeat(other).membership_version() == 2);
  cluster.Pass(milliseconds(9900));
  cluster.Heartbeat(node);
  cluster.Pass(milliseconds(100));
  CHECK(cluster.dead_nodes == std::vector<uint32_t>{other});
  CHECK(cluster.Heartbeat(node).membership_version() == 3);
  const auto told = cluster.Heartbeat(other);
  CHECK(IsError(told.error(), ErrorCode::kNodeDied));
  CHECK_THAT(told.error().message(), Catch::Contains("no sign of life for 10 s"));
}

TEST_CASE("Membership: a pause of the head itself is nobody's death and hides none") {
  Cluster cluster;
  const uint32_t node = cluster.AddNode();
  const uint32_t silent = cluster.AddNode();
  cluster.Pass(milliseconds(500));
  cluster.Heartbeat(node);
  cluster.Pause(seconds(12));
  CHECK(base::MarkCount("head was paused") > 0);
  CHECK(cluster.dead_nodes.empty());
  CHECK(cluster.Heartbeat(node).error().code() == 0);
  cluster.Pass(milliseconds(9400));
  CHECK(cluster.dead_nodes.empty());
  cluster.Heartbeat(node);
  cluster.Pass(milliseconds(100));
  CHECK(cluster.dead_nodes == std::vector<uint32_t>{silent});
}

TEST_CASE("Membership: a dead node is listed without what it last used") {
  Cluster cluster;
  const uint32_t node = cluster.AddNode();
  proto::HeartbeatRequest heartbeat;
  heartbeat.set_node(node);
  *heartbeat.mutable_available() = Cpus(1);
  heartbeat.set_queued_leases(3);
  heartbeat.set_workers(4);
  heartbeat.set_store_used_bytes(5);
  cluster.core.OnHeartbeat(heartbeat, cluster.now, cluster.effects);
  CHECK(cluster.core.OnStatus().nodes(0).workers() == 4);
  cluster.Pass(seconds(10));
  const proto::NodeInfo dead = cluster.core.OnStatus().nodes(0);
  CHECK_FALSE(dead.alive());
  CHECK(dead.available().amounts_size() == 0);
  CHECK(dead.queued_leases() + dead.workers() + dead.store_used_bytes() == 0);
}

TEST_CASE("Membership: a dead daemon's registration is refused, a new one is a new node") {
  Cluster cluster;
  cluster.AddNode();
  cluster.Pass(seconds(10));
  proto::RegisterNodeRequest request;
  request.set_registration("start-1");
  request.set_host_name("vm1");
  request.set_address("10.0.0.1:1000");
  request.set_data_port(1001);
  const auto refused = cluster.core.OnRegisterNode(request, cluster.now, cluster.effects);
  CHECK(IsError(refused.error(), ErrorCode::kNodeDied));
  CHECK(cluster.AddNode() == 2);
}

TEST_CASE("Membership: a silent node gets no new work after 3 s, and does when it speaks again") {
  Cluster cluster;
  const uint32_t node = cluster.AddNode();
  const uint32_t job = cluster.AddJob(node);
  cluster.Pass(seconds(3));
  CHECK(base::MarkCount("node suspected") > 0);
  proto::HeadRequest request;
  auto& spec = *request.mutable_create_actor()->mutable_spec();
  spec.mutable_id()->set_creator(Cluster::Process(node, 7));
  spec.mutable_id()->set_sequence(1);
  *spec.mutable_lifetime_resources() = Cpus(1);
  CHECK(cluster.Call(request, job).error().code() == 0);
  CHECK(cluster.starts.empty());
  cluster.Heartbeat(node);
  CHECK(cluster.starts.size() == 1);
}

TEST_CASE("Membership: a node that leaves is dead at once") {
  Cluster cluster;
  const uint32_t node = cluster.AddNode();
  proto::LeaveRequest request;
  request.set_node(node);
  request.set_reason("rayx stop");
  cluster.core.OnLeave(request, cluster.now, 0, cluster.effects);
  cluster.core.OnLeave(request, cluster.now, 0, cluster.effects);
  cluster.Done();
  CHECK(cluster.dead_nodes == std::vector<uint32_t>{node});
  CHECK(cluster.core.OnStatus().nodes(0).death_reason() == "rayx stop");
}

TEST_CASE("Membership: wrong registrations and heartbeats are named and change nothing") {
  Cluster cluster;
  proto::RegisterNodeRequest request;
  const auto refuse = [&](const char* expected) {
    const auto reply = cluster.core.OnRegisterNode(request, cluster.now, cluster.effects);
    cluster.Done();
    CHECK(reply.node() == 0);
    CHECK_THAT(reply.error().message(), Catch::Contains(expected));
  };
  refuse("names the daemon's start");
  request.set_registration("r");
  refuse("host name");
  request.set_host_name(std::string(300, 'h'));
  refuse("host name");
  request.set_host_name("vm1");
  refuse("ip:port");
  request.set_address("10.0.0.1:1");
  refuse("data server");
  request.set_data_port(65536);
  refuse("data server");
  request.set_data_port(2);
  *request.mutable_total() = Cpus(-1);
  refuse("negative");
  CHECK(IsError(cluster.Heartbeat(77).error(), ErrorCode::kNodeDied));
  const uint32_t node = cluster.AddNode();
  proto::HeartbeatRequest heartbeat;
  heartbeat.set_node(node);
  auto* amount = heartbeat.mutable_available()->add_amounts();
  amount->set_name("bad name!");
  amount->set_units(1);
  CHECK(IsError(cluster.core.OnHeartbeat(heartbeat, cluster.now, cluster.effects).error(),
                ErrorCode::kInvalidOption));
  cluster.Done();
}

TEST_CASE("Membership: only the newest dead nodes are remembered") {
  HeadCoreOptions options;
  options.membership.dead_nodes_kept = 3;
  Cluster cluster(options);
  for (int i = 0; i < 10; ++i) {
    cluster.AddNode();
    cluster.Pass(seconds(11));
  }
  const auto status = cluster.core.OnStatus();
  CHECK(status.nodes_size() == 3);
  CHECK(status.nodes(2).number() == 10);
}

}  // namespace rayx::head
