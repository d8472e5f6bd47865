// Goal: the head as a process sees it: every method needs the token, calls wait and end, nodes are
// told what concerns them, and stopping leaves nobody waiting. Method: a real HeadServer on
// loopback with shortened times; nodes are RpcServers of the test.
#include "head/head_server.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <catch2/catch.hpp>

#include "model/versions.h"
#include "rpc/channel.h"
#include "rpc/errors.h"
#include "rpc/secret.h"
#include "rpc/server.h"

namespace rayx::head {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What happened, to be waited for.
template <typename T>
class Events {
 public:
  void Add(T event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_all();
  }
  // The next one, in order.
  T Next() {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, seconds(20), [&] { return taken_ < events_.size(); }));
    return events_[taken_++];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> events_;
  size_t taken_ = 0;
};

struct TestHead {
  TestHead() {
    options.credentials.token = rpc::RandomHex(rpc::kTokenBytes);
    options.core.membership.cluster = "c1";
    options.core.membership.suspect = milliseconds(600);
    options.core.membership.dead = milliseconds(1500);
    options.on_stop_asked = [this](const std::string& reason) { stop_asked.Add(reason); };
    auto started = HeadServer::Start(options, std::make_unique<MemoryStorage>());
    REQUIRE(started.ok());
    server = *std::move(started);
    channel =
        std::make_unique<rpc::RpcChannel>(server->address(), rpc::Role::kHead, options.credentials);
  }
  template <typename Request, typename Reply>
  Reply Call(const rpc::Method<Request, Reply>& method, const Request& request) {
    rpc::CallOptions call;
    call.deadline = seconds(20);
    auto reply = channel->CallAndWait(method, request, call);
    INFO(base::Message(reply.status()));
    REQUIRE(reply.ok());
    return *std::move(reply);
  }
  HeadServerOptions options;
  Events<std::string> stop_asked;
  std::unique_ptr<HeadServer> server;
  std::unique_ptr<rpc::RpcChannel> channel;
};

// A node daemon that only listens.
struct TestNode {
  explicit TestNode(TestHead& head) : server(OptionsOf(head)) {
    server.Handle<proto::StartActorRequest, proto::StartActorReply>(
        rpc::kNodeStartActor, [this](proto::StartActorRequest& request,
                                     rpc::Responder<proto::StartActorReply> responder) {
          started.Add(request);
          responder.Reply({});
        });
    server.Handle<proto::StopActorRequest, proto::StopActorReply>(
        rpc::kNodeStopActor,
        [this](proto::StopActorRequest& request, rpc::Responder<proto::StopActorReply> responder) {
          stopped.Add(request);
          responder.Reply({});
        });
    server.Handle<proto::JobEndedRequest, proto::JobEndedReply>(
        rpc::kNodeJobEnded,
        [this](proto::JobEndedRequest& request, rpc::Responder<proto::JobEndedReply> responder) {
          ended_jobs.Add(request.job());
          responder.Reply({});
        });
    server.Handle<proto::NodeStopRequest, proto::NodeStopReply>(
        rpc::kNodeStop,
        [this](proto::NodeStopRequest& request, rpc::Responder<proto::NodeStopReply> responder) {
          stop.Add(request.reason());
          responder.Reply({});
        });
    REQUIRE(server.Start().ok());
    proto::RegisterNodeRequest request;
    model::VersionsToWire(model::OwnVersions(model::kNoLayout), *request.mutable_versions());
    request.set_registration(rpc::RandomHex(8));
    request.set_host_name("vm");
    request.set_address(server.address().ToString());
    request.set_data_port(1);
    auto* cpu = request.mutable_total()->add_amounts();
    cpu->set_name("CPU");
    cpu->set_units(20000);
    const proto::RegisterNodeReply reply = head.Call(rpc::kHeadRegisterNode, request);
    REQUIRE(reply.error().message() == "");
    number = reply.node();
  }
  static rpc::ServerOptions OptionsOf(const TestHead& head) {
    rpc::ServerOptions options;
    options.credentials = head.options.credentials;
    return options;
  }
  uint64_t Process(uint32_t count) const {
    return model::ProcessId::Make(model::NodeNumber{number}, count).value;
  }
  Events<proto::StartActorRequest> started;
  Events<proto::StopActorRequest> stopped;
  Events<uint32_t> ended_jobs;
  Events<std::string> stop;
  rpc::RpcServer server;
  uint32_t number = 0;
};

proto::HeadRequest Create(uint64_t creator, uint32_t job, uint64_t sequence) {
  proto::HeadRequest request;
  request.set_request_id(sequence);
  request.set_process(creator);
  request.set_job(job);
  auto& spec = *request.mutable_create_actor()->mutable_spec();
  spec.mutable_id()->set_creator(creator);
  spec.mutable_id()->set_sequence(sequence);
  spec.set_class_name("Counter");
  return request;
}

uint32_t StartJob(TestHead& head, const TestNode& node) {
  proto::RegisterJobRequest request;
  request.set_registration(rpc::RandomHex(8));
  request.set_driver(node.Process(3));
  return head.Call(rpc::kHeadRegisterJob, request).job();
}

}  // namespace

TEST_CASE("HeadServer: every method of its service refuses a call without the token") {
  TestHead head;
  grpc::GenericStub stub(
      grpc::CreateChannel(head.server->address().ToString(), grpc::InsecureChannelCredentials()));
  const auto* service = proto::StatusRequest::descriptor()->file()->service(0);
  for (int i = 0; i < service->method_count(); ++i) {
    for (const bool wrong : {false, true}) {
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + seconds(20));
      if (wrong) context.AddMetadata("authorization", "Bearer " + rpc::RandomHex(32));
      grpc::ByteBuffer request(nullptr, 0);
      grpc::ByteBuffer reply;
      std::promise<grpc::Status> answer;
      stub.UnaryCall(&context, "/" + service->full_name() + "/" + service->method(i)->name(), {},
                     &request, &reply, [&](grpc::Status s) { answer.set_value(std::move(s)); });
      INFO(service->method(i)->name());
      CHECK(answer.get_future().get().error_code() == grpc::StatusCode::UNAUTHENTICATED);
    }
  }
}

TEST_CASE("HeadServer: another release is refused by name") {
  TestHead head;
  proto::RegisterNodeRequest request;
  model::VersionsToWire(model::OwnVersions(model::kNoLayout), *request.mutable_versions());
  request.mutable_versions()->set_release("0.0.1");
  const auto reply = head.Call(rpc::kHeadRegisterNode, request);
  CHECK(reply.error().code() == static_cast<int>(ErrorCode::kVersionMismatch));
  CHECK_THAT(reply.error().message(), Catch::Contains("0.0.1"));
}

TEST_CASE("HeadServer: an actor is started on a node, watched, and stopped with its job") {
  TestHead head;
  TestNode node(head);
  const uint32_t job = StartJob(head, node);
  const auto create = Create(node.Process(3), job, 1);
  CHECK(head.Call(rpc::kHeadCall, create).error().code() == 0);
  CHECK(head.Call(rpc::kHeadCall, create).error().code() == 0);
  const auto start = node.started.Next();
  CHECK(start.spec().class_name() == "Counter");

  proto::HeadRequest watch;
  watch.set_job(job);
  *watch.mutable_watch_actor()->mutable_id() = start.spec().id();
  watch.mutable_watch_actor()->set_timeout_ms(10000);
  watch.mutable_watch_actor()->set_known_version(1);
  std::promise<proto::HeadResponse> answer;
  rpc::CallOptions patient;
  patient.deadline = seconds(30);
  head.channel->Call<proto::HeadRequest, proto::HeadResponse>(
      rpc::kHeadCall, watch, patient,
      [&](base::StatusOr<proto::HeadResponse> reply) { answer.set_value(reply.value()); });
  proto::ActorReport report;
  *report.mutable_id() = start.spec().id();
  report.set_incarnation(1);
  report.set_state(proto::ACTOR_ALIVE);
  report.set_process(node.Process(9));
  head.Call(rpc::kHeadReportActor, report);
  CHECK(answer.get_future().get().watch_actor().process() == node.Process(9));

  proto::FinishJobRequest finish;
  finish.set_job(job);
  head.Call(rpc::kHeadFinishJob, finish);
  CHECK(node.stopped.Next().id().sequence() == 1);
  CHECK(node.ended_jobs.Next() == job);
}

TEST_CASE("HeadServer: a node without a sign of life is declared dead") {
  TestHead head;
  TestNode node(head);
  proto::StatusReply status;
  const auto deadline = std::chrono::steady_clock::now() + seconds(20);
  do {
    status = head.Call(rpc::kHeadStatus, proto::StatusRequest());
  } while (status.nodes(0).alive() && std::chrono::steady_clock::now() < deadline);
  CHECK_FALSE(status.nodes(0).alive());
  proto::HeartbeatRequest heartbeat;
  heartbeat.set_node(node.number);
  CHECK(head.Call(rpc::kHeadHeartbeat, heartbeat).error().code() ==
        static_cast<int>(ErrorCode::kNodeDied));
}

TEST_CASE("HeadServer: a Stop call is passed on; stopping tells nodes and ends waiting calls") {
  TestHead head;
  TestNode node(head);
  const uint32_t job = StartJob(head, node);
  proto::StopRequest stop;
  stop.set_reason("test");
  head.Call(rpc::kHeadStop, stop);
  CHECK(head.stop_asked.Next() == "test");
  proto::HeadRequest wait;
  wait.set_job(job);
  wait.mutable_kv_wait()->add_keys("never");
  wait.mutable_kv_wait()->set_timeout_ms(10000);
  std::promise<base::Status> answer;
  rpc::CallOptions patient;
  patient.deadline = seconds(30);
  head.channel->Call<proto::HeadRequest, proto::HeadResponse>(
      rpc::kHeadCall, wait, patient,
      [&](base::StatusOr<proto::HeadResponse> reply) { answer.set_value(reply.status()); });
  head.Call(rpc::kHeadStatus, proto::StatusRequest());
  head.server->Stop("over");
  CHECK(node.stop.Next() == "over");
  CHECK_FALSE(answer.get_future().get().ok());
}

TEST_CASE("MemoryStorage: rows come back in order, erased ones do not") {
  MemoryStorage storage;
  const std::vector<Persist> step = {{Table::kJob, "2", "b"},
                                     {Table::kJob, "1", "a"},
                                     {Table::kActor, "1", "x"},
                                     {Table::kJob, "3", "c"},
                                     {Table::kJob, "3", std::nullopt}};
  REQUIRE(storage.Apply(step).ok());
  std::string seen;
  REQUIRE(storage
              .ForEach(Table::kJob, [&](const std::string& key,
                                        const std::string& value) { seen += key + value + " "; })
              .ok());
  CHECK(seen == "1a 2b ");
}

}  // namespace rayx::head
