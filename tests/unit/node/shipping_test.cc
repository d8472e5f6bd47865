// Goal: a node runs programs that only another VM has, and says by name why it cannot. Method: a
// real node daemon; the VM of the driver is another one, or the test, which answers FetchPart as it
// likes.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <mutex>
#include <sstream>

#include "fake_cluster.h"
#include "fake_worker.h"
#include "node/parts/part_server.h"
#include "node/parts/part_stream.h"
#include "node/parts/program_parts.h"
#include "node/parts/sha256.h"
#include "node/wire.h"
#include "rpc/secret.h"
#include "rpc/server_stream.h"
#include "scheduling/wire.h"
#include "tests/eventually.h"

namespace rayx::node::testing {
namespace {

namespace fs = std::filesystem;
using model::NodeNumber;
using model::ProcessId;
using rayx::testing::Eventually;
using Case = proto::DaemonMessage::MessageCase;
using Clock = std::chrono::steady_clock;

constexpr uint32_t kJob = 77;  // of the test's own driver

std::string Self() {
  return fs::read_symlink("/proc/self/exe");
}

// Reads the call and says nothing.
class SilentStream final : public rpc::ServerStream<proto::PartRequest, proto::PartChunk> {
 public:
  explicit SilentStream(std::atomic<int>& calls) : calls_(calls) {}
  void OnOpen() override { Read(); }

 private:
  void OnMessage(proto::PartRequest&) override { ++calls_; }
  void OnCancel() override { Close(absl::CancelledError("the caller has gone")); }
  std::atomic<int>& calls_;
};

// The VM of a driver, as far as a node daemon sees it.
class DriverVm {
 public:
  enum class Way { kServes, kWrongBytes, kSilent, kHasNothing };

  DriverVm(FakeHead& head, Way way) : way_(way) {
    char folder[] = "/tmp/rayx-ship-XXXXXX";
    REQUIRE(::mkdtemp(folder) != nullptr);
    folder_ = folder;
    rpc::ServerOptions options;
    options.credentials = head.credentials();
    server_ = std::make_unique<rpc::RpcServer>(options);
    parts_ = std::make_unique<PartServer>(
        [](std::function<void()> call) {
          call();
          return true;
        },
        [this](const std::string&) { return Find(); });
    if (way == Way::kSilent) {
      server_->HandleStream<proto::PartRequest, proto::PartChunk>(
          rpc::kNodeFetchPart,
          [this]() -> rpc::ServerStreamBase* { return new SilentStream(calls_); });
    } else {
      parts_->AddTo(*server_);
    }
    REQUIRE(server_->Start().ok());
    proto::RegisterNodeRequest request;
    request.set_registration(folder_);
    request.set_host_name("drivers");
    request.set_address(server_->address().ToString());
    rpc::RpcChannel channel(head.address(), rpc::Role::kHead, head.credentials());
    const auto reply = channel.CallAndWait(rpc::kHeadRegisterNode, request);
    REQUIRE(reply.ok());
    node_ = NodeNumber{reply->node()};
  }
  ~DriverVm() {
    Stop();
    fs::remove_all(folder_);
  }
  void Stop() {
    parts_->Stop();
    server_->Stop(std::chrono::milliseconds(0));
  }

  // A program that lies nowhere else; its bytes are those of this test.
  proto::Program Program(const std::vector<std::string>& environment = {}) {
    const std::string bytes = [] {
      std::ifstream file(Self(), std::ios::binary);
      return std::string(std::istreambuf_iterator<char>(file), {});
    }();
    Sha256 hash;
    hash.Add(bytes);
    std::string served = bytes;
    if (way_ == Way::kWrongBytes) served[served.size() / 2] ^= 1;
    std::ofstream(folder_ + "/app", std::ios::binary) << served;
    proto::Program program;
    program.set_executable("/nowhere/app");
    program.set_working_folder("/nowhere");
    for (const auto& variable : environment) program.add_environment(variable);
    proto::Part& part = *program.add_parts();
    part.set_path("/nowhere/app");
    part.set_name("app");
    part.set_bytes(bytes.size());
    part.set_sha256(hash.Finish());
    Sha256 key;
    key.Add(program.SerializeAsString());
    program.set_key(key.Finish());
    program.set_source_node(node_.value);
    return program;
  }
  NodeNumber node() const { return node_; }
  int calls() const { return calls_; }

 private:
  std::shared_ptr<const PartFile> Find() {
    ++calls_;
    if (way_ == Way::kHasNothing) return nullptr;
    auto file = FileIdentities::Open(folder_ + "/app");
    if (!file.ok()) return nullptr;
    return std::make_shared<const PartFile>(
        PartFile{*std::move(file), fs::file_size(folder_ + "/app")});
  }

  const Way way_;
  std::string folder_;
  std::unique_ptr<rpc::RpcServer> server_;
  std::unique_ptr<PartServer> parts_;
  NodeNumber node_;
  std::atomic<int> calls_{0};
};

using LeaseAnswer = std::future<base::StatusOr<proto::RemoteLeaseReply>>;

// Asks a daemon as the daemon of `vm` would.
struct Asker {
  Asker(FakeHead& head, const FakeDaemon& daemon, const DriverVm& its_vm)
      : vm(its_vm),
        channel(head.NodeAddress(daemon.node()), rpc::Role::kNode, head.credentials()) {}

  LeaseAnswer Ask(const proto::Program& program, uint64_t request) {
    proto::RemoteLeaseRequest wire;
    const ProcessId owner = ProcessId::Make(vm.node(), 1);
    wire.set_id(ToString(owner) + "/" + std::to_string(request));
    wire.set_owner(owner.value);
    *wire.mutable_request() = LeaseRequestOf(request, 1).lease_request();
    wire.mutable_request()->mutable_scheduling_class()->set_job(kJob);
    *wire.mutable_program() = program;
    auto promise = std::make_shared<std::promise<base::StatusOr<proto::RemoteLeaseReply>>>();
    rpc::CallOptions options;
    options.deadline = std::chrono::seconds(30);
    channel.Call<proto::RemoteLeaseRequest, proto::RemoteLeaseReply>(
        rpc::kNodeLease, wire, options,
        [promise](base::StatusOr<proto::RemoteLeaseReply> reply) { promise->set_value(reply); });
    return promise->get_future();
  }
  proto::ErrorInfo Failure(const proto::Program& program, uint64_t request = 1) {
    const auto reply = Ask(program, request).get();
    REQUIRE(reply.ok());
    INFO(reply->DebugString());
    REQUIRE(reply->has_failed());
    return reply->failed().error();
  }
  void EndJob() {
    proto::JobEndedRequest ended;
    ended.set_job(kJob);
    REQUIRE(channel.CallAndWait(rpc::kNodeJobEnded, ended).ok());
  }
  std::vector<pid_t> Workers() {
    const auto state = channel.CallAndWait(rpc::kNodeState, proto::NodeStateRequest{});
    REQUIRE(state.ok());
    std::vector<pid_t> pids;
    for (const auto& worker : state->workers()) pids.push_back(worker.pid());
    return pids;
  }

  const DriverVm& vm;
  rpc::RpcChannel channel;
};

int Files(const std::string& folder) {
  return static_cast<int>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

std::vector<std::string> EnvironmentOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/environ");
  std::vector<std::string> variables;
  for (std::string variable; std::getline(file, variable, '\0');) variables.push_back(variable);
  return variables;
}

bool Has(const std::vector<std::string>& variables, const std::string& variable) {
  return std::find(variables.begin(), variables.end(), variable) != variables.end();
}

}  // namespace

TEST_CASE("Shipping: a program that is not on this VM is fetched once, verified and run") {
  FakeHead head;
  DriverVm vm(head, DriverVm::Way::kServes);
  FakeDaemon daemon(head, {.cpus = 2, .host = "vm2"});
  Asker asker(head, daemon, vm);
  const proto::Program program = vm.Program({"FAKE_CANNOT_FORK=1", "LD_LIBRARY_PATH=/nowhere/lib"});
  auto first = asker.Ask(program, 1);
  auto second = asker.Ask(program, 2);
  auto repeat = asker.Ask(program, 2);
  for (LeaseAnswer* answer : {&first, &second, &repeat}) {
    const auto reply = answer->get();
    REQUIRE(reply.ok());
    INFO(reply->DebugString());
    REQUIRE(reply->has_granted());
  }
  CHECK(vm.calls() == 1);
  const std::vector<pid_t> workers = asker.Workers();
  REQUIRE(workers.size() == 2);
  const std::string proc = "/proc/" + std::to_string(workers[0]);
  const std::string part = daemon.folder() + "/parts/" + program.parts(0).sha256();
  CHECK(fs::read_symlink(proc + "/exe") == part);
  const auto environment = EnvironmentOf(workers[0]);
  CHECK(Has(environment, "RAYX_WORKER_PROGRAM=/nowhere/app"));
  CHECK(Has(environment, "LD_LIBRARY_PATH=" + daemon.folder() + "/parts/program-" + program.key() +
                             ":/nowhere/lib"));
  CHECK(Has(environment, "RAYX_WORKER_OWN_LD_LIBRARY_PATH=/nowhere/lib"));
  // The driver's folder is not here: the workers have one of their job.
  const std::string folder = daemon.folder() + "/jobs/" + std::to_string(kJob);
  CHECK(fs::read_symlink(proc + "/cwd") == folder);
  CHECK((fs::status(folder).permissions() & fs::perms::others_all) == fs::perms::none);
  std::ofstream(folder + "/left") << "by a task";
  // With the job goes what only it used; the part stays for the next one.
  asker.EndJob();
  CHECK(Eventually([&] { return !fs::exists(folder); }));
  CHECK(Eventually([&] { return Files(daemon.folder() + "/parts") == 1; }));
  CHECK(fs::exists(part));
}

TEST_CASE("Shipping: what cannot be had fails by name, in time, and leaves nothing") {
  FakeHead head;
  struct Expected {
    DriverVm::Way way;
    ErrorCode code;
    const char* why;
  };
  const Expected expected = GENERATE(
      Expected{DriverVm::Way::kWrongBytes, ErrorCode::kLibraryMismatch, "other bytes"},
      Expected{DriverVm::Way::kHasNothing, ErrorCode::kMissingLibrary, "it has no such part"},
      Expected{DriverVm::Way::kSilent, ErrorCode::kNodeDied, "sent nothing for 3 s"});
  DriverVm vm(head, expected.way);
  FakeDaemon daemon(head, {.host = "vm2"});
  Asker asker(head, daemon, vm);
  const auto start = Clock::now();
  const proto::ErrorInfo error = asker.Failure(vm.Program());
  INFO(error.message());
  CHECK(error.code() == static_cast<int>(expected.code));
  CHECK_THAT(error.message(), Catch::StartsWith("VM vm2 lacks app of /nowhere/app") &&
                                  Catch::Contains("node n1") && Catch::Contains(expected.why));
  CHECK(error.host() == "vm2");
  CHECK(Clock::now() - start < std::chrono::seconds(15));
  CHECK(Eventually([&] { return Files(daemon.folder() + "/parts") == 0; }));
  CHECK(asker.Workers().empty());
}

TEST_CASE("Shipping: a driver's VM that is gone is said, and so is the end of the job meanwhile") {
  FakeHead head;
  DriverVm vm(head, DriverVm::Way::kSilent);
  FakeDaemon daemon(head, {.host = "vm2"});
  Asker asker(head, daemon, vm);
  const proto::Program program = vm.Program();
  SECTION("nobody answers there") {
    vm.Stop();
    const proto::ErrorInfo error = asker.Failure(program);
    INFO(error.message());
    CHECK(error.code() == static_cast<int>(ErrorCode::kNodeDied));
    CHECK_THAT(error.message(), Catch::Contains("vm2") && Catch::Contains("node n1"));
  }
  SECTION("it is declared dead in the middle") {
    auto answer = asker.Ask(program, 1);
    REQUIRE(Eventually([&] { return vm.calls() == 1; }));
    head.MarkDead(vm.node().value);
    const auto reply = answer.get();
    REQUIRE(reply.ok());
    CHECK(reply->failed().error().code() == static_cast<int>(ErrorCode::kNodeDied));
    CHECK_THAT(reply->failed().error().message(), Catch::Contains("no heartbeat for 10 s"));
  }
  SECTION("the job ends in the middle") {
    auto answer = asker.Ask(program, 1);
    REQUIRE(Eventually([&] { return vm.calls() == 1; }));
    asker.EndJob();
    const auto reply = answer.get();
    REQUIRE(reply.ok());
    CHECK(reply->failed().error().code() == static_cast<int>(ErrorCode::kCancelled));
  }
  SECTION("the request is cancelled in the middle") {
    auto answer = asker.Ask(program, 1);
    REQUIRE(Eventually([&] { return vm.calls() == 1; }));
    proto::RemoteLeaseCancel cancel;
    cancel.set_id(ToString(ProcessId::Make(vm.node(), 1)) + "/1");
    REQUIRE(asker.channel.CallAndWait(rpc::kNodeCancelLease, cancel).ok());
    const auto reply = answer.get();
    REQUIRE(reply.ok());
    CHECK_FALSE(reply->has_granted());
  }
}

TEST_CASE("Shipping: actors wait for their program too, and fail with its error") {
  FakeHead head;
  DriverVm vm(head, DriverVm::Way::kServes);
  FakeDaemon daemon(head, {.host = "vm2"});
  Asker asker(head, daemon, vm);
  proto::StartActorRequest start;
  start.set_incarnation(1);
  auto* spec = start.mutable_spec();
  spec->mutable_id()->set_creator(ProcessId::Make(vm.node(), 1).value);
  spec->mutable_id()->set_sequence(1);
  spec->set_job(kJob);
  *spec->mutable_program() = vm.Program();
  model::FrameHeader creation;
  creation.kind = model::FrameKind::kActorCreate;
  creation.function.value = kEcho;
  creation.actor = {ProcessId::Make(vm.node(), 1), 1};
  creation.task = {ProcessId::Make(vm.node(), 1), 1000};
  spec->set_creation_frame(std::string(reinterpret_cast<const char*>(&creation), sizeof creation));
  SECTION("fetched") {
    const auto reply = asker.channel.CallAndWait(rpc::kNodeStartActor, start);
    REQUIRE(reply.ok());
    CHECK(reply->error().code() == 0);
    proto::ActorReport report;
    CHECK(head.AwaitReport(proto::ACTOR_ALIVE, report));
  }
  SECTION("a library that does not travel") {
    proto::Part& torch = *spec->mutable_program()->add_parts();
    torch.set_path("/nowhere/lib/libtorch_nowhere.so");
    torch.set_name("libtorch_nowhere.so");
    torch.set_bytes(100);
    torch.set_build_id("0123456789");
    const auto reply = asker.channel.CallAndWait(rpc::kNodeStartActor, start);
    REQUIRE(reply.ok());
    CHECK(reply->error().code() == static_cast<int>(ErrorCode::kMissingLibrary));
    CHECK_THAT(reply->error().message(), Catch::StartsWith("VM vm2 lacks libtorch_nowhere.so"));
    CHECK(vm.calls() == 0);
  }
  SECTION("a hash that is a path") {
    spec->mutable_program()->mutable_parts(0)->set_sha256("../../../etc/passwd");
    const auto reply = asker.channel.CallAndWait(rpc::kNodeStartActor, start);
    REQUIRE(reply.ok());
    CHECK(reply->error().code() == static_cast<int>(ErrorCode::kInvalidOption));
    CHECK(vm.calls() == 0);
  }
}

// The program is rebuilt while its driver runs: all workers that start elsewhere run what the
// driver runs.
TEST_CASE("Shipping: a driver's daemon serves the build that the driver was started from") {
  FakeHead head;
  FakeDaemon first(head, {.host = "vm1"});
  FakeDaemon second(head, {.host = "vm2"});
  const std::string folder = first.folder() + "/app";
  fs::create_directory(folder);
  fs::copy_file(Self(), folder + "/run");
  proto::ClientMessage hello = HelloOfDriver({});
  hello.mutable_hello()->mutable_program()->set_executable(folder + "/run");
  auto driver = first.Connect();
  driver->Send(hello);
  REQUIRE(driver->Await(Case::kWelcome));
  driver->Send(LeaseRequestOf(1, 1));
  REQUIRE(driver->Await(Case::kLeaseGranted, 20000));
  fs::remove(folder + "/run");
  std::ofstream(folder + "/run") << "another build";
  driver->Send(LeaseRequestOf(2, 1));
  const auto granted = driver->Await(Case::kLeaseGranted, 20000);
  REQUIRE(granted);
  CHECK(ProcessId{granted->lease_granted().worker()}.node() == NodeNumber{2});
  CHECK(Files(second.folder() + "/parts") == 2);  // the program, and the folder of its libraries
}

TEST_CASE("Shipping: an ended driver's program is served to detached actors that start anew") {
  FakeHead head;
  FakeDaemon daemon(head);
  const std::string folder = daemon.folder() + "/app";
  fs::create_directory(folder);
  fs::copy_file(Self(), folder + "/run");
  std::ofstream(folder + "/run", std::ios::app) << "a build of its own";
  proto::ClientMessage hello = HelloOfDriver({});
  hello.mutable_hello()->mutable_program()->set_executable(folder + "/run");
  auto driver = daemon.Connect();
  driver->Send(hello);
  REQUIRE(driver->Await(Case::kWelcome));
  const uint64_t bytes = fs::file_size(folder + "/run");
  FileIdentities identities;
  proto::PartRequest request;
  request.set_sha256(*identities.HashOf(FileIdentities::Open(folder + "/run")->get(), "run"));
  fs::remove_all(folder);  // the user tidies up
  driver.reset();
  REQUIRE(head.AwaitFinished(1));
  rpc::RpcChannel channel(head.NodeAddress(daemon.node()), rpc::Role::kNode, head.credentials());
  const auto fetch = [&] {
    uint64_t came = 0;
    PartStream stream;
    const auto status =
        stream.Run(channel.grpc_channel(), request, bytes, [&](std::string_view chunk) {
          came += chunk.size();
          return base::OkStatus();
        });
    CHECK(came == (status.ok() ? bytes : 0));
    return status;
  };
  CHECK(fetch().ok());
  for (size_t i = 0; i < ProgramParts::kEndedKept; ++i) daemon.Driver().reset();
  CHECK(Eventually([&] { return absl::IsNotFound(fetch()); }));
}

// Before its first worker is started there, too: no zygote has loaded the old build.
TEST_CASE("Shipping: workers of the driver's own VM run the build that the driver runs") {
  FakeHead head;
  FakeDaemon daemon(head);
  const std::string folder = daemon.folder() + "/app";
  fs::create_directory(folder);
  fs::copy_file(Self(), folder + "/run");
  // Its bytes are not the executable's: of two files that are alike either may be run.
  const auto build_library = [&] {
    fs::copy_file(Self(), folder + "/libuser.so");
    std::ofstream(folder + "/libuser.so", std::ios::app) << "library";
  };
  build_library();
  proto::ClientMessage hello = HelloOfDriver({});
  hello.mutable_hello()->mutable_program()->set_executable(folder + "/run");
  hello.mutable_hello()->mutable_program()->add_parts()->set_path(folder + "/libuser.so");
  auto driver = daemon.Connect();
  driver->Send(hello);
  REQUIRE(driver->Await(Case::kWelcome));
  const auto rebuild = [&](const std::string& file, const std::string& text) {
    fs::remove(folder + file);
    std::ofstream(folder + file) << text;
  };
  SECTION("another executable") {
    rebuild("/run", "another build");
    driver->Send(LeaseRequestOf(1, 1));
    REQUIRE(driver->Await(Case::kLeaseGranted, 20000));
    rpc::RpcChannel channel(head.NodeAddress(daemon.node()), rpc::Role::kNode, head.credentials());
    const auto state = channel.CallAndWait(rpc::kNodeState, proto::NodeStateRequest{});
    REQUIRE(state.ok());
    std::vector<std::string> images;
    for (const auto& worker : state->workers()) {
      images.push_back(fs::read_symlink("/proc/" + std::to_string(worker.pid()) + "/exe"));
    }
    CHECK_THAT(images, Catch::VectorContains(folder + "/run (deleted)"));
  }
  SECTION("another library") {
    rebuild("/libuser.so", "another build");
    driver->Send(LeaseRequestOf(1, 1));
    const auto failed = driver->Await(Case::kLeaseFailed, 20000);
    REQUIRE(failed);
    const proto::ErrorInfo& error = failed->lease_failed().error();
    CHECK(error.code() == static_cast<int>(ErrorCode::kLibraryMismatch));
    CHECK_THAT(error.message(), Catch::Contains(folder + "/libuser.so of " + folder + "/run") &&
                                    Catch::Contains("start the driver again"));
  }
  SECTION("a library that is the same build again") {
    fs::remove(folder + "/libuser.so");
    build_library();
    driver->Send(LeaseRequestOf(1, 1));
    CHECK(driver->Await(Case::kLeaseGranted, 20000));
  }
}

TEST_CASE("Shipping: a driver that names nonsense as its program is refused with a sentence") {
  FakeHead head;
  FakeDaemon daemon(head);
  proto::ClientMessage hello = HelloOfDriver({});
  proto::Program& program = *hello.mutable_hello()->mutable_program();
  ErrorCode code = ErrorCode::kInvalidOption;
  SECTION("too many libraries") {
    for (int i = 0; i < 1100; ++i) program.add_parts()->set_path("/tmp/libuser.so");
  }
  SECTION("no executable") {
    program.set_executable("/nowhere/app");
    code = ErrorCode::kMissingLibrary;
  }
  auto driver = daemon.Connect();
  driver->Send(hello);
  const auto refused = driver->Await(Case::kRefused);
  REQUIRE(refused);
  CHECK(refused->refused().error().code() == static_cast<int>(code));
  CHECK_THAT(refused->refused().error().message(),
             Catch::StartsWith("the driver's program cannot be read: "));
}

}  // namespace rayx::node::testing
