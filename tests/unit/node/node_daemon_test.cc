// Goal: a real node daemon keeps its promises towards drivers, workers, the head and other daemons.
// Method: the daemon runs as a process of its own; head, drivers and workers are fakes written
// against the wire contracts alone (fake_*.h), so that every message can be looked at.
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "fake_cluster.h"
#include "fake_worker.h"
#include "node/parts/program_manifest.h"
#include "node/wire.h"
#include "rpc/byte_stream.h"
#include "store/transfer/data_wire.h"
#include "tests/eventually.h"
#include "tests/run_tests.h"

namespace rayx::node::testing {
namespace {

using model::FrameHeader;
using model::FrameKind;
using model::LeaseId;
using model::NodeNumber;
using model::ProcessId;
using Case = proto::DaemonMessage::MessageCase;

struct Lease {
  LeaseId id;
  ProcessId worker;
};

Lease AwaitLease(FakeProcess& driver, uint64_t request, int timeout_ms = 20000) {
  const auto granted = driver.Await(Case::kLeaseGranted, timeout_ms);
  REQUIRE(granted);
  CHECK(granted->lease_granted().request_id() == request);
  return {LeaseId{granted->lease_granted().lease()}, ProcessId{granted->lease_granted().worker()}};
}

Lease Acquire(FakeProcess& driver, uint64_t request, double cpus = 1) {
  driver.Send(LeaseRequestOf(request, cpus));
  return AwaitLease(driver, request);
}

void Return(FakeProcess& driver, const Lease& lease) {
  proto::ClientMessage message;
  message.mutable_lease_return()->set_lease(lease.id.value);
  driver.Send(message);
}

uint64_t next_task = 1;

FrameHeader Call(const FakeProcess& driver, ProcessId worker, FakeFunction function) {
  FrameHeader header;
  header.kind = FrameKind::kTask;
  header.destination = worker;
  header.task = {driver.self, next_task};
  header.cookie_slot = 1;
  header.cookie_sequence = static_cast<uint32_t>(next_task++);
  header.function.value = function;
  return header;
}

std::vector<std::byte> BodyOf(size_t bytes) {
  std::vector<std::byte> body;
  model::BodyWriter writer(body);
  writer.AddInline(std::vector<std::byte>(bytes, std::byte{42}));
  return body;
}

FakeFrame Run(FakeProcess& driver, ProcessId worker, FakeFunction function,
              const std::vector<std::byte>& body = {}, bool direct = true) {
  FrameHeader header = Call(driver, worker, function);
  header.item_count = body.empty() ? 0 : 1;
  REQUIRE(driver.SendFrame(header, body, direct));
  auto frame = driver.AwaitFrame();
  REQUIRE(frame);
  CHECK(frame->header.task == header.task);
  return std::move(*frame);
}

std::string Text(const FakeFrame& frame) {
  model::BodyReader reader(frame.body, frame.header.item_count);
  model::Item item;
  REQUIRE(reader.Next(item));
  return {reinterpret_cast<const char*>(item.bytes.data()), item.bytes.size()};
}

pid_t PidOf(FakeProcess& driver, const Lease& lease) {
  return std::stoi(Text(Run(driver, lease.worker, kPid)));
}

// Until the process is gone or a zombie of somebody else.
bool AwaitGone(pid_t pid) {
  const io::PosixClock clock;
  const auto deadline = clock.Now() + std::chrono::seconds(10);
  while (clock.Now() < deadline) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    // Reaped between open and read, its file says ESRCH: getline fails, an iterator would throw.
    std::string text;
    std::getline(stat, text);
    if (text.empty() || text.find(") Z ") != std::string::npos) return true;
    ::poll(nullptr, 0, 10);
  }
  return false;
}

proto::NodeState StateOf(FakeHead& head, uint32_t node) {
  rpc::RpcChannel channel(head.NodeAddress(node), rpc::Role::kNode, head.credentials());
  const auto state = channel.CallAndWait(rpc::kNodeState, proto::NodeStateRequest{});
  REQUIRE(state.ok());
  return *state;
}

void CheckIdle(FakeHead& head, uint32_t node) {
  const proto::NodeState state = StateOf(head, node);
  CHECK(state.leases_size() == 0);
  CHECK(state.node().available().SerializeAsString() == state.node().total().SerializeAsString());
}

// What the data port answers to a greeting with this token; nothing when it closes without a word.
std::optional<store::DataVerdict> Knock(const io::Address& port, const std::string& token) {
  const auto security =
      rpc::StreamSecurity::OfClient(rpc::ClusterCredentials{}, rpc::Role::kNode).value();
  const auto stream = rpc::ByteStream::Connect(port, security).value();
  store::DataGreeting greeting;
  std::copy(token.begin(), token.end(), greeting.token);
  store::DataWelcome welcome;
  size_t sent = 0;
  size_t filled = 0;
  const bool is_over = rayx::testing::Eventually([&] {
    if (stream->Handshake() != rpc::StreamStep::kDone) return false;
    if (sent == 0) sent = stream->Write(store::BytesOf(greeting)).bytes;
    const auto read = stream->Read(store::RoomOf(welcome).subspan(filled));
    filled += read.bytes;
    return filled == sizeof welcome || read.step == rpc::StreamStep::kEnded;
  });
  CHECK(is_over);
  return filled == sizeof welcome ? std::optional(welcome.verdict) : std::nullopt;
}

}  // namespace

TEST_CASE("NodeDaemon: a driver is welcomed, others are refused with a sentence") {
  FakeHead head;
  FakeDaemon daemon(head);
  auto driver = daemon.Driver();
  CHECK(driver->welcome.job() == 1);
  CHECK(driver->self.node() == NodeNumber{1});
  CHECK(driver->welcome.node_ip() == "127.0.0.1");
  const auto segment = driver->Await(Case::kSegmentAttached);
  REQUIRE(segment);
  CHECK(segment->segment_attached().job() == 1);

  const auto refusal = [&](const proto::ClientMessage& hello) {
    auto stranger = daemon.Connect();
    stranger->Send(hello);
    const auto refused = stranger->Await(Case::kRefused);
    REQUIRE(refused);
    return refused->refused().error();
  };
  proto::ClientMessage old = HelloOfDriver({});
  old.mutable_hello()->mutable_versions()->set_layout(77);
  const auto version = refusal(old);
  CHECK(version.code() == static_cast<int>(ErrorCode::kVersionMismatch));
  CHECK(version.message().find("layout 77") != std::string::npos);
  proto::ClientMessage elsewhere = HelloOfDriver({});
  elsewhere.mutable_hello()->set_head_address("10.9.8.7:1");
  CHECK(refusal(elsewhere).message().find("10.9.8.7:1") != std::string::npos);
  proto::ClientMessage worker = HelloOfDriver({});
  worker.mutable_hello()->set_role(proto::WORKER);
  CHECK(refusal(worker).code() == static_cast<int>(ErrorCode::kUnauthenticated));
  CHECK(refusal(LeaseRequestOf(1, 1)).message() == "the first message was no Hello");

  proto::ClientMessage ask;
  ask.mutable_head_request()->set_request_id(5);
  ask.mutable_head_request()->mutable_kv_get()->set_key("who");
  driver->Send(ask);
  const auto answer = driver->Await(Case::kHeadResponse);
  REQUIRE(answer);
  CHECK(answer->head_response().request_id() == 5);
  CHECK(answer->head_response().kv_get().value() == std::to_string(driver->self.value) + "/1");
}

TEST_CASE("NodeDaemon: a leased worker runs tasks over a channel of its own and is used again") {
  FakeHead head;
  FakeDaemon daemon(head);
  auto driver = daemon.Driver();
  const Lease lease = Acquire(*driver, 1);
  REQUIRE(driver->HasPeer(lease.worker));
  for (const size_t bytes : {size_t{10}, size_t{5000}, size_t{90000}}) {
    const auto body = BodyOf(bytes);
    CHECK(Run(*driver, lease.worker, kEcho, body).body == body);
    CHECK(Run(*driver, lease.worker, kEcho, body, /*direct=*/false).body == body);
  }
  const pid_t pid = PidOf(*driver, lease);
  driver->Send(LeaseRequestOf(2, 1));  // waits: one CPU
  CHECK_FALSE(driver->Await(Case::kLeaseGranted, 50));
  Return(*driver, lease);
  const Lease second = AwaitLease(*driver, 2);
  CHECK(PidOf(*driver, second) == pid);
  driver->Send(LeaseRequestOf(3, 64));
  const auto failed = driver->Await(Case::kLeaseFailed, 4000);
  REQUIRE(failed);
  CHECK(failed->lease_failed().error().code() == static_cast<int>(ErrorCode::kInfeasible));
  CHECK(failed->lease_failed().error().message().find("CPU: needs 64, has 1") != std::string::npos);
}

TEST_CASE("NodeDaemon: a worker's death is told with signal, exit code and last lines") {
  FakeHead head;
  FakeDaemon daemon(head);
  auto driver = daemon.Driver();
  Lease lease = Acquire(*driver, 1);
  REQUIRE(driver->SendFrame(Call(*driver, lease.worker, kDie), {}));
  auto died = driver->Await(Case::kProcessDied, 3000);
  REQUIRE(died);
  CHECK(ProcessId{died->process_died().process()} == lease.worker);
  CHECK(died->process_died().cause().signal() == SIGKILL);
  CHECK(died->process_died().cause().code() == static_cast<int>(ErrorCode::kWorkerDied));
  REQUIRE(died->process_died().cause().log_lines_size() == 1);
  CHECK(died->process_died().cause().log_lines(0) == "about to die");
  const auto printed = driver->Await(Case::kLogLines);
  REQUIRE(printed);
  CHECK(printed->log_lines().is_stderr());
  // What is sent to it afterwards comes back.
  FrameHeader late = Call(*driver, lease.worker, kEcho);
  REQUIRE(driver->SendFrame(late, {}, /*direct=*/false));
  const auto back = driver->AwaitFrame();
  REQUIRE(back);
  CHECK(back->header.kind == FrameKind::kUndeliverable);
  CHECK(back->header.task == late.task);
  // Its CPU is free again.
  lease = Acquire(*driver, 2);
  REQUIRE(driver->SendFrame(Call(*driver, lease.worker, kExit), {}));
  died = driver->Await(Case::kProcessDied, 3000);
  REQUIRE(died);
  CHECK(died->process_died().cause().exit_code() == 7);
  lease = Acquire(*driver, 3);
  Run(*driver, lease.worker, kPrint);
  const auto line = driver->Await(Case::kLogLines);
  REQUIRE(line);
  REQUIRE(line->log_lines().lines_size() == 1);
  CHECK(line->log_lines().lines(0) == "hello from a task");
}

TEST_CASE("NodeDaemon: the end of a driver ends its job, workers and zygote's workers") {
  FakeHead head;
  FakeDaemon daemon(head, {.cpus = 2});
  auto driver = daemon.Driver();
  auto other = daemon.Driver();
  const Lease mine = Acquire(*driver, 1);
  const Lease theirs = Acquire(*other, 1);
  const pid_t my_worker = PidOf(*driver, mine);
  const pid_t their_worker = PidOf(*other, theirs);
  CHECK(my_worker != their_worker);
  REQUIRE(driver->SendFrame(Call(*driver, mine.worker, kHang), {}));
  driver->Close();
  CHECK(head.AwaitFinished(1));
  CHECK(AwaitGone(my_worker));
  CHECK(PidOf(*other, theirs) == their_worker);
  other->Close();
  CHECK(head.AwaitFinished(2));
  CHECK(AwaitGone(their_worker));
  CheckIdle(head, 1);
}

TEST_CASE("NodeDaemon: a program that cannot be forked is executed; one that dies says why") {
  FakeHead head;
  FakeDaemon daemon(head);
  auto driver = daemon.Driver({"FAKE_CANNOT_FORK=1"});
  const Lease lease = Acquire(*driver, 1);
  CHECK(PidOf(*driver, lease) > 0);
  Return(*driver, lease);
  driver->Close();
  auto broken = daemon.Driver({"FAKE_ZYGOTE_DIES=1"});
  broken->Send(LeaseRequestOf(1, 1));
  const auto failed = broken->Await(Case::kLeaseFailed, 20000);
  REQUIRE(failed);
  const std::string& why = failed->lease_failed().error().message();
  CHECK(why.find("exited with code 9") != std::string::npos);
  CHECK(why.find("no library of that name") != std::string::npos);
  broken->Close();
  auto killed = daemon.Driver({"FAKE_ZYGOTE_IS_KILLED=1"});
  killed->Send(LeaseRequestOf(1, 1));
  const auto lost = killed->Await(Case::kLeaseFailed, 20000);
  REQUIRE(lost);
  CHECK(lost->lease_failed().error().message().find("it was killed by signal 9") !=
        std::string::npos);
}

// Regression: the one refused was left alone with what it was told.
TEST_CASE("NodeDaemon: a worker of another release is refused, and ended") {
  FakeHead head;
  FakeDaemon daemon(head);
  auto driver = daemon.Driver({"FAKE_OTHER_RELEASE=1"});
  driver->Send(LeaseRequestOf(1, 1));
  const auto failed = driver->Await(Case::kLeaseFailed, 20000);
  REQUIRE(failed);
  CHECK(failed->lease_failed().error().message().find("layout 77") != std::string::npos);
  int workers = 0;
  for (const auto& log : std::filesystem::directory_iterator(daemon.folder() + "/logs")) {
    const std::string name = log.path().filename();
    if (name.rfind("worker-", 0) != 0) continue;
    ++workers;
    CHECK(AwaitGone(std::stoi(name.substr(7))));
  }
  CHECK(workers > 0);
}

// Regression: the refusal was a line in the daemon's log alone, and the process waited for it.
TEST_CASE("NodeDaemon: a segment that it cannot give is refused with the reason") {
  FakeHead head;
  FakeDaemon daemon(head);
  auto driver = daemon.Driver();
  auto other = daemon.Driver();
  other->Close();
  REQUIRE(head.AwaitFinished(2));
  REQUIRE(driver->Await(Case::kSegmentAttached));  // its own, unasked
  for (const uint32_t job : {2, 1}) {
    proto::ClientMessage ask;
    ask.mutable_attach_segment()->set_job(job);
    driver->Send(ask);
  }
  const auto refused = driver->Await(Case::kRefused);
  REQUIRE(refused);
  CHECK(refused->refused().error().code() == static_cast<int>(ErrorCode::kObjectLost));
  CHECK(refused->refused().error().message() == "job 2 has ended");
  CHECK(driver->Await(Case::kSegmentAttached));
}

TEST_CASE("NodeDaemon: an actor is created, reported, and its death reported with its cause") {
  FakeHead head;
  FakeDaemon daemon(head);
  auto driver = daemon.Driver();
  rpc::RpcChannel channel(head.NodeAddress(1), rpc::Role::kNode, head.credentials());
  FrameHeader creation;
  creation.kind = FrameKind::kActorCreate;
  proto::StartActorRequest start;
  auto* spec = start.mutable_spec();
  spec->mutable_id()->set_creator(driver->self.value);
  spec->mutable_id()->set_sequence(1);
  spec->set_job(1);
  FileIdentities identities;
  const auto manifest =
      MakeManifest(HelloOfDriver({}).hello().program(), NodeNumber{1}, identities);
  REQUIRE(manifest.ok());
  *spec->mutable_program() = manifest->program;
  start.set_incarnation(1);
  const auto send = [&](FakeFunction function) {
    creation.function.value = function;
    creation.actor = {driver->self, spec->id().sequence()};
    creation.task = {driver->self, 1000 + spec->id().sequence()};
    spec->set_creation_frame(
        std::string(reinterpret_cast<const char*>(&creation), sizeof creation));
    for (int i = 0; i < 2; ++i) {
      const auto reply = channel.CallAndWait(rpc::kNodeStartActor, start);
      REQUIRE(reply.ok());
      REQUIRE(reply->error().code() == 0);
    }
  };
  proto::ActorReport report;
  send(kEcho);
  REQUIRE(head.AwaitReport(proto::ACTOR_ALIVE, report));
  const ProcessId host{report.process()};
  proto::ClientMessage connect;
  connect.mutable_connect_peer()->set_process(host.value);
  driver->Send(connect);
  REQUIRE(driver->Await(Case::kPeerConnected));
  FrameHeader call = Call(*driver, host, kDie);
  call.kind = FrameKind::kActorCall;
  REQUIRE(driver->SendFrame(call, {}));
  REQUIRE(head.AwaitReport(proto::ACTOR_DEAD, report));
  CHECK(report.cause().code() == static_cast<int>(ErrorCode::kActorDied));
  CHECK(report.cause().signal() == SIGKILL);
  CHECK(report.cause().log_lines_size() == 1);
  CHECK(driver->Await(Case::kProcessDied, 3000));
  CHECK(head.reports() == 2);
  spec->mutable_id()->set_sequence(2);
  send(kThrow);
  const auto failed_to_construct = [&] {
    return head.AwaitReport(proto::ACTOR_DEAD, report) && head.reports() == 3;
  };
  for (int i = 0; i < 500 && !failed_to_construct(); ++i) ::poll(nullptr, 0, 10);
  CHECK(head.reports() == 3);
}

TEST_CASE("NodeDaemon: it registers a data port, which is for members of the cluster alone") {
  FakeHead head;
  FakeDaemon daemon(head);
  const io::Address port = head.DataAddress(daemon.node());
  CHECK(port.ip == "127.0.0.1");
  CHECK(port != head.NodeAddress(daemon.node()));
  const std::string token = head.credentials().token;
  CHECK(Knock(port, token) == store::DataVerdict::kWelcome);
  CHECK(Knock(port, std::string(token.size(), '0')) == store::DataVerdict::kWrongToken);
  CHECK(Knock(port, "") == store::DataVerdict::kWrongToken);
}

TEST_CASE("NodeDaemon: objects are allocated in the job's segment") {
  FakeHead head;
  FakeDaemon daemon(head);
  auto driver = daemon.Driver();
  const Lease lease = Acquire(*driver, 1);
  proto::Allocated allocated;
  REQUIRE(allocated.ParseFromString(Text(Run(*driver, lease.worker, kAllocate))));
  CHECK(allocated.error().code() == 0);
  CHECK(allocated.bytes() == 1 << 20);
  const proto::NodeState state = StateOf(head, 1);
  REQUIRE(state.objects_size() == 1);
  CHECK(state.objects(0).bytes() == 1 << 20);
}

TEST_CASE(
    "NodeDaemon: a full node's request is granted by another, whose worker is reached by frames") {
  FakeHead head;
  FakeDaemon first(head, {.host = "vm1"});
  FakeDaemon second(head, {.host = "vm2"});
  auto driver = first.Driver();
  const Lease here = Acquire(*driver, 1);
  CHECK(here.worker.node() == NodeNumber{1});
  const Lease there = Acquire(*driver, 2);
  REQUIRE(there.worker.node() == NodeNumber{2});
  for (const size_t bytes : {size_t{10}, size_t{5000}, size_t{400000}}) {
    const auto body = BodyOf(bytes);
    CHECK(Run(*driver, there.worker, kEcho, body).body == body);
  }
  // Many at once, more than a window of credit: in order.
  std::vector<model::TaskId> sent;
  for (int i = 0; i < 2000; ++i) {
    const FrameHeader header = Call(*driver, there.worker, kEcho);
    sent.push_back(header.task);
    REQUIRE(driver->Poll(10000, [&] { return driver->SendFrame(header, {}); }));
  }
  for (const auto& task : sent) {
    const auto reply = driver->AwaitFrame();
    REQUIRE(reply);
    REQUIRE(reply->header.task == task);
  }
  Run(*driver, there.worker, kPrint);
  const auto line = driver->Await(Case::kLogLines);
  REQUIRE(line);
  CHECK(line->log_lines().host() == "vm2");
  SECTION("a queued frame is revoked, a running one is not") {
    const FrameHeader running = Call(*driver, there.worker, kHang);
    const FrameHeader queued = Call(*driver, there.worker, kEcho);
    REQUIRE(driver->SendFrame(running, {}));
    REQUIRE(driver->Await(Case::kLogLines));  // it runs
    REQUIRE(driver->SendFrame(queued, {}));
    const auto revoke = [&](FrameHeader header) {
      header.kind = FrameKind::kRevoke;
      REQUIRE(driver->SendFrame(header, {}));
      const auto answer = driver->AwaitFrame();
      REQUIRE(answer);
      REQUIRE(answer->header.kind == FrameKind::kRevokeReply);
      return (answer->header.flags & model::kFlagTooLate) == 0;
    };
    CHECK_FALSE(revoke(running));
    CHECK(revoke(queued));
    CHECK_FALSE(revoke(queued));
  }
  SECTION("its death is told across nodes") {
    REQUIRE(driver->SendFrame(Call(*driver, there.worker, kDie), {}));
    const auto died = driver->Await(Case::kProcessDied, 3000);
    REQUIRE(died);
    CHECK(died->process_died().cause().signal() == SIGKILL);
    CHECK(died->process_died().cause().host() == "vm2");
    const Lease again = Acquire(*driver, 3);
    CHECK(again.worker.node() == NodeNumber{2});
  }
  SECTION("its last answers come before the news of its death") {
    const pid_t worker = PidOf(*driver, there);
    const base::UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, worker, 0)));
    REQUIRE(pidfd);
    driver->set_reads_rings(false);  // most of the answers wait in the driver's daemon
    const std::vector<std::byte> body(3000);
    std::vector<model::TaskId> tasks;
    for (int i = 0; i < 1000; ++i) {
      const FrameHeader header = Call(*driver, there.worker, kEcho);
      tasks.push_back(header.task);
      REQUIRE(driver->Poll(10000, [&] { return driver->SendFrame(header, body); }));
    }
    REQUIRE(driver->Poll(10000,
                         [&] { return driver->SendFrame(Call(*driver, there.worker, kDie), {}); }));
    pollfd gone{pidfd.get(), POLLIN, 0};
    REQUIRE(::poll(&gone, 1, 10000) == 1);
    driver->set_reads_rings(true);
    // Await reads the rings after the socket: what was there before the news has been read.
    REQUIRE(driver->Await(Case::kProcessDied));
    for (const auto& task : tasks) {
      const auto reply = driver->AwaitFrame(0);
      REQUIRE(reply);
      REQUIRE(reply->header.kind == FrameKind::kReply);
      REQUIRE(reply->header.task == task);
    }
  }
  SECTION("its node is declared dead") {
    second.Signal(SIGSTOP);
    FrameHeader lost = Call(*driver, there.worker, kEcho);
    REQUIRE(driver->SendFrame(lost, {}));
    head.MarkDead(2);
    const auto dead = driver->Await(Case::kNodeDied, 5000);
    REQUIRE(dead);
    CHECK(dead->node_died().node() == 2);
    const auto back = driver->AwaitFrame();
    REQUIRE(back);
    CHECK(back->header.kind == FrameKind::kUndeliverable);
    CHECK(back->header.task == lost.task);
    second.Signal(SIGKILL);
  }
  SECTION("the driver's end frees the other node too") {
    const pid_t worker = PidOf(*driver, there);
    driver->Close();
    CHECK(AwaitGone(worker));
  }
}

TEST_CASE("NodeDaemon: a worker that dies with much output costs its owner nothing") {
  FakeHead head;
  FakeDaemon daemon(head);
  auto driver = daemon.Driver();
  const Lease lease = Acquire(*driver, 1);
  REQUIRE(driver->SendFrame(Call(*driver, lease.worker, kDieLoudly), {}));
  const auto died = driver->Await(Case::kProcessDied);
  REQUIRE(died);
  CHECK(died->process_died().cause().log_lines_size() > 0);
  CHECK_FALSE(driver->closed());
  Run(*driver, Acquire(*driver, 2).worker, kEcho);
}

TEST_CASE("NodeDaemon: a zygote that names each worker twice does no harm") {
  FakeHead head;
  FakeDaemon daemon(head, {.cpus = 2});
  auto driver = daemon.Driver({"FAKE_SAYS_TWICE=1"});
  const Lease first = Acquire(*driver, 1);
  const Lease second = Acquire(*driver, 2);
  CHECK(PidOf(*driver, first) != PidOf(*driver, second));
  REQUIRE(driver->SendFrame(Call(*driver, first.worker, kDie), {}));
  REQUIRE(driver->Await(Case::kProcessDied));
  Run(*driver, Acquire(*driver, 3).worker, kEcho);
}

TEST_CASE("NodeDaemon: more long polls than the head takes at once wait their turn, others go on") {
  constexpr int kPolls = 6000;
  FakeHead head;
  FakeDaemon daemon(head);
  auto driver = daemon.Driver();
  head.HoldPolls(true);
  proto::ClientMessage poll;
  auto* request = poll.mutable_head_request();
  request->mutable_watch_actor()->mutable_id()->set_creator(driver->self.value);
  request->mutable_watch_actor()->set_timeout_ms(10'000);
  for (int i = 1; i <= kPolls; ++i) {
    request->set_request_id(static_cast<uint64_t>(i));
    driver->Send(poll);
  }
  proto::ClientMessage get;
  get.mutable_head_request()->set_request_id(kPolls + 1);
  get.mutable_head_request()->mutable_kv_get()->set_key("\xFF");
  driver->Send(get);
  const auto got = driver->Await(Case::kHeadResponse);
  REQUIRE(got);
  CHECK(got->head_response().request_id() == kPolls + 1);
  CHECK(got->head_response().kv_get().found());
  head.HoldPolls(false);
  int answers = 0;
  while (answers < kPolls) {
    const auto answer = driver->Await(Case::kHeadResponse);
    REQUIRE(answer);
    REQUIRE(answer->head_response().error().code() == 0);
    ++answers;
  }
}

TEST_CASE("NodeDaemon: told to stop it ends what workers have left behind in other sessions") {
  FakeHead head;
  FakeDaemon daemon(head);
  auto driver = daemon.Driver();
  const Lease lease = Acquire(*driver, 1);
  const pid_t child = std::stoi(Text(Run(*driver, lease.worker, kLeaveChild)));
  REQUIRE(::kill(child, 0) == 0);
  daemon.Signal(SIGTERM);
  io::ExitStatus status;
  REQUIRE(daemon.AwaitExit(status));
  CHECK(AwaitGone(child));
}

TEST_CASE("NodeDaemon: told to stop it ends its workers, leaves the cluster and exits with 0") {
  FakeHead head;
  FakeDaemon daemon(head);
  auto driver = daemon.Driver();
  const Lease lease = Acquire(*driver, 1);
  const pid_t worker = PidOf(*driver, lease);
  daemon.Signal(SIGTERM);
  io::ExitStatus status;
  REQUIRE(daemon.AwaitExit(status));
  CHECK(status.exit_code == 0);
  CHECK(head.AwaitLeft(1));
  CHECK(AwaitGone(worker));
  CHECK_FALSE(driver->Await(Case::kExit, 100));
  CHECK(driver->closed());
}

TEST_CASE("NodeDaemon: killed, it takes its workers with it") {
  FakeHead head;
  FakeDaemon daemon(head);
  auto driver = daemon.Driver();
  const pid_t worker = PidOf(*driver, Acquire(*driver, 1));
  daemon.Signal(SIGKILL);
  io::ExitStatus status;
  REQUIRE(daemon.AwaitExit(status));
  CHECK(AwaitGone(worker));
}

TEST_CASE("NodeDaemon: a lost head is told to every client, and the node ends with a reason") {
  FakeHead head;
  FakeDaemon daemon(head, {.head_lost_after_ms = 1500});
  auto driver = daemon.Driver();
  const pid_t worker = PidOf(*driver, Acquire(*driver, 1));
  head.Stop();
  const auto lost = driver->Await(Case::kHeadLost, 10000);
  REQUIRE(lost);
  CHECK(lost->head_lost().error().code() == static_cast<int>(ErrorCode::kHeadUnavailable));
  io::ExitStatus status;
  REQUIRE(daemon.AwaitExit(status));
  CHECK(status.exit_code == 1);
  CHECK(AwaitGone(worker));
}

}  // namespace rayx::node::testing

int main(int argc, char** argv) {
  if (rayx::node::testing::IsFakeWorker()) rayx::node::testing::RunFakeWorker();
  int exit_code = 0;
  if (rayx::node::testing::RunAsDaemon(argc, argv, exit_code)) return exit_code;
  return rayx::testing::RunTests(argc, argv);
}
