// Goal: a job lives as long as its driver, and what it made goes with it.
// Method: a head of cores, each message twice.
#include "tests/unit/head/core_fixture.h"

namespace rayx::head {

TEST_CASE("Job: ended jobs are told to every node once, and in answers to heartbeats") {
  Cluster cluster;
  const uint32_t node = cluster.AddNode();
  const uint32_t job = cluster.AddJob(node);
  const uint32_t other = cluster.AddJob(node);
  cluster.FinishJob(job);
  CHECK(cluster.ended_jobs == std::vector<uint32_t>{job});
  proto::HeartbeatRequest request;
  request.set_node(node);
  request.add_jobs(job);
  request.add_jobs(other);
  request.add_jobs(99);
  const auto reply = cluster.core.OnHeartbeat(request, cluster.now, cluster.effects);
  REQUIRE(reply.ended_jobs_size() == 2);
  CHECK(reply.ended_jobs(0) == job);
  CHECK(reply.ended_jobs(1) == 99);
}

TEST_CASE("Job: it ends when the node of its driver dies") {
  Cluster cluster;
  const uint32_t node = cluster.AddNode();
  const uint32_t other = cluster.AddNode();
  const uint32_t job = cluster.AddJob(node);
  cluster.AddJob(other);
  cluster.Pass(seconds(9));
  cluster.Heartbeat(other);
  cluster.Pass(seconds(1));
  CHECK(cluster.ended_jobs == std::vector<uint32_t>{job});
}

TEST_CASE("Job: a driver on a node that is not in the cluster is refused") {
  Cluster cluster;
  proto::RegisterJobRequest request;
  request.set_registration("r");
  request.set_driver(Cluster::Process(9, 1));
  CHECK(IsError(cluster.core.OnRegisterJob(request, 0, cluster.effects).error(),
                ErrorCode::kNodeDied));
}

TEST_CASE("Job: namespaces are the asked one, else one of its own") {
  Cluster cluster;
  const uint32_t node = cluster.AddNode();
  proto::RegisterJobRequest request;
  request.set_driver(Cluster::Process(node, 1));
  request.set_registration("a");
  CHECK(cluster.core.OnRegisterJob(request, 0, cluster.effects).job_namespace() == "job-1");
  request.set_registration("b");
  request.set_job_namespace("shared");
  CHECK(cluster.core.OnRegisterJob(request, 0, cluster.effects).job_namespace() == "shared");
}

TEST_CASE("Job: a list comes in parts, each job once") {
  Cluster cluster;
  const uint32_t node = cluster.AddNode();
  for (int i = 0; i < 5; ++i) cluster.AddJob(node, "space");
  std::vector<uint32_t> seen;
  proto::HeadRequest list;
  list.mutable_list_jobs()->set_bytes_max(1);
  for (bool more = true; more;) {
    const auto part = cluster.Call(list, 1).list_jobs();
    REQUIRE(part.jobs_size() == 1);
    CHECK(part.jobs(0).job_namespace() == "space");
    seen.push_back(part.jobs(0).id());
    list.mutable_list_jobs()->set_after(seen.back());
    more = part.more();
  }
  CHECK(seen == std::vector<uint32_t>{1, 2, 3, 4, 5});
}

TEST_CASE("Job: requests of an ended job are refused") {
  Cluster cluster;
  const uint32_t job = cluster.AddJob(cluster.AddNode());
  cluster.FinishJob(job);
  proto::HeadRequest request;
  request.mutable_kv_get()->set_key("k");
  CHECK(IsError(cluster.Call(request, job).error(), ErrorCode::kCancelled));
}

TEST_CASE("Job: only the newest ended jobs are remembered") {
  HeadCoreOptions options;
  options.jobs.ended_jobs_kept = 2;
  Cluster cluster(options);
  const uint32_t node = cluster.AddNode();
  for (int i = 0; i < 5; ++i) cluster.FinishJob(cluster.AddJob(node));
  CHECK(cluster.core.OnStatus().jobs_size() == 2);
}

}  // namespace rayx::head
