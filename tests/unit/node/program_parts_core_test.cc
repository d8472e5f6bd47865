// Goal: a program of another VM is run of exactly the driver's files, or not at all, and says why.
// Method: looks and transfers are played by hand; invariants are checked after every step.
#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "node/core/program_parts_core.h"

namespace rayx::node {
namespace {

using model::JobId;
using model::NodeNumber;
using Found = PartLook::Found;

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr PartLook kAbsent{};

std::string Hash(char digit) {
  return std::string(64, digit);
}

// /app/run, and what is added to it.
struct Wire {
  explicit Wire(char key, uint32_t node = 1) {
    program.set_key(Hash(key));
    program.set_executable("/app/run");
    program.set_source_node(node);
    Add("run", 'e', kMiB);
  }
  proto::Part& Add(const std::string& name, char hash, uint64_t bytes) {
    proto::Part& part = *program.add_parts();
    part.set_path("/app/" + name);
    part.set_name(name);
    part.set_bytes(bytes);
    part.set_sha256(Hash(hash));
    return part;
  }
  proto::Program program;
};

struct Parts {
  explicit Parts(uint64_t kept_bytes_max = 1 << 30)
      : core(PartsOptions{"vm2", "/s/parts", kept_bytes_max, NodeNumber{2}}) {}

  void Want(const Wire& wire, uint32_t job = 1) {
    REQUIRE(ProgramPartsCore::CheckProgram(wire.program).ok());
    core.OnWant(wire.program, JobId{job}, effects);
    core.CheckInvariants();
  }
  void Looked(char key, const std::vector<PartLook>& looks) {
    core.OnLooked(Hash(key), looks, effects);
    core.CheckInvariants();
  }
  void Fetched(uint64_t id, ErrorCode code = ErrorCode::kNone, const std::string& why = "") {
    core.OnFetched(id, code, why, effects);
    core.CheckInvariants();
  }
  void Linked(char key, ErrorCode code = ErrorCode::kNone) {
    core.OnLinked(Hash(key), code, "no room", effects);
    core.CheckInvariants();
  }
  void Nodes(const std::vector<uint32_t>& alive) {
    std::vector<NodeNumber> nodes;
    for (const uint32_t node : alive) nodes.push_back(NodeNumber{node});
    core.OnNodes(nodes);
  }
  // The one transfer that was asked for since.
  PartsEffects::Fetch TakeFetch() {
    const PartsEffects step = Take();
    REQUIRE(step.fetches.size() == 1);
    return step.fetches[0];
  }
  PartsEffects::Failed TakeFailure() {
    const PartsEffects step = Take();
    REQUIRE(step.failures.size() == 1);
    CHECK(step.fetches.empty());
    return step.failures[0];
  }
  void JobEnded(uint32_t job) {
    core.OnJobEnded(JobId{job}, effects);
    core.CheckInvariants();
  }
  PartsEffects Take() { return std::exchange(effects, {}); }
  // To its end, with all of it fetched.
  RunPlan Run(const Wire& wire, char key, uint32_t job = 1) {
    Want(wire, job);
    Looked(key, std::vector<PartLook>(static_cast<size_t>(wire.program.parts_size())));
    for (const auto& fetch : Take().fetches) Fetched(fetch.id);
    Linked(key);
    const PartsEffects step = Take();
    REQUIRE(step.ready.size() == 1);
    return step.ready[0].plan;
  }

  ProgramPartsCore core;
  PartsEffects effects;
};

PartLook Same(const std::string& path, bool by_default = false) {
  return {Found::kSame, path, by_default};
}
PartLook Other(const std::string& path) {
  return {Found::kOther, path, false};
}

}  // namespace

TEST_CASE("ProgramPartsCore: what lies at the same paths is run there, and nothing is fetched") {
  Parts parts;
  Wire wire('a');
  wire.Add("libuser.so", '1', kMiB);
  wire.Add("libtorch_cpu.so", '2', 400 * kMiB);
  wire.program.add_preload_libraries("/app/libuser.so");
  parts.Want(wire);
  const PartsEffects asked = parts.Take();
  REQUIRE(asked.looks.size() == 1);
  CHECK(asked.looks[0].program.parts_size() == 3);
  parts.Looked('a', {Same("/app/run"), Same("/app/libuser.so"), Same("/app/libtorch_cpu.so")});
  const PartsEffects step = parts.Take();
  CHECK(step.fetches.empty());
  CHECK(step.links.empty());
  REQUIRE(step.ready.size() == 1);
  CHECK(step.ready[0].plan == RunPlan{"/app/run", "", {"/app/libuser.so"}});
  // The next want is answered at once, and the end of the job leaves nothing.
  parts.Want(wire);
  CHECK(parts.Take().ready.size() == 1);
  parts.JobEnded(1);
  CHECK(parts.Take().empty());
  parts.Want(wire, 2);
  CHECK(parts.Take().looks.size() == 1);
}

TEST_CASE("ProgramPartsCore: what is missing is fetched, and linked with the rest") {
  Parts parts;
  Wire wire('a', 7);
  wire.Add("libuser.so", '1', kMiB);
  wire.Add("libhere.so.2", '2', kMiB);
  wire.Add("libtorch.so", '3', 400 * kMiB);
  wire.Add("libc10.so", '4', kMiB);
  wire.program.add_preload_libraries("/app/libuser.so");
  wire.program.add_preload_libraries("libname.so");
  parts.Want(wire, 5);
  parts.Take();
  parts.Looked('a', {kAbsent, kAbsent, Same("/app/libhere.so.2"), Same("/torch/libtorch.so"),
                     Same("/usr/lib/libc10.so", true)});
  PartsEffects step = parts.Take();
  REQUIRE(step.fetches.size() == 2);
  CHECK(step.fetches[0].sha256 == Hash('e'));
  CHECK(step.fetches[0].bytes == kMiB);
  CHECK(step.fetches[0].node == NodeNumber{7});
  parts.Fetched(step.fetches[1].id);
  CHECK(parts.Take().empty());
  parts.Fetched(step.fetches[0].id);
  step = parts.Take();
  REQUIRE(step.links.size() == 1);
  using Links = std::vector<std::pair<std::string, std::string>>;
  CHECK(step.links[0].links ==
        Links{{"libuser.so", "/s/parts/" + Hash('1')}, {"libhere.so.2", "/app/libhere.so.2"}});
  parts.Linked('a');
  step = parts.Take();
  REQUIRE(step.ready.size() == 1);
  CHECK(step.ready[0].plan.executable == "/s/parts/" + Hash('e'));
  CHECK(step.ready[0].plan.library_path == "/s/parts/program-" + Hash('a') + ":/torch");
  CHECK(step.ready[0].plan.preload_libraries ==
        std::vector<std::string>{"/s/parts/" + Hash('1'), "libname.so"});
}

TEST_CASE("ProgramPartsCore: a part is fetched once for all that want it") {
  Parts parts;
  Wire first('a'), second('b', 3);
  first.Add("libuser.so", '1', kMiB);
  second.Add("libuser.so", '1', kMiB);
  parts.Want(first);
  parts.Want(first, 2);
  parts.Want(second, 3);
  CHECK(parts.Take().looks.size() == 2);
  parts.Looked('a', {kAbsent, kAbsent});
  parts.Looked('b', {kAbsent, kAbsent});
  const PartsEffects step = parts.Take();
  REQUIRE(step.fetches.size() == 2);
  parts.Fetched(step.fetches[0].id);
  parts.Fetched(step.fetches[1].id);
  CHECK(parts.Take().links.size() == 2);
  // One job of two goes: the other's transfers and folder stay.
  parts.JobEnded(1);
  CHECK(parts.Take().empty());
  parts.Linked('a');
  CHECK(parts.Take().ready.size() == 1);
}

TEST_CASE("ProgramPartsCore: large libraries and LibTorch must be there, in the same build") {
  const bool is_torch = GENERATE(false, true);
  Parts parts;
  Wire wire('a');
  wire.Add(is_torch ? "libc10.so" : "libhuge.so", '1', is_torch ? kMiB : 65 * kMiB);
  const std::string name = wire.program.parts(1).name();
  parts.Want(wire);
  parts.Take();
  SECTION("lacking") {
    parts.Looked('a', {Same("/app/run"), kAbsent});
    const PartsEffects step = parts.Take();
    REQUIRE(step.failures.size() == 1);
    CHECK(step.failures[0].code == ErrorCode::kMissingLibrary);
    CHECK_THAT(step.failures[0].message, Catch::StartsWith("VM vm2 lacks " + name));
    CHECK_THAT(step.failures[0].message, Catch::Contains(is_torch ? "LibTorch" : "64 MiB"));
  }
  SECTION("another build") {
    parts.Looked('a', {kAbsent, Other("/app/" + name)});
    const PartsEffects step = parts.Take();
    CHECK(step.fetches.empty());
    REQUIRE(step.failures.size() == 1);
    CHECK(step.failures[0].code == ErrorCode::kLibraryMismatch);
    CHECK_THAT(step.failures[0].message, Catch::Contains("another build of " + name));
    CHECK_THAT(step.failures[0].message, Catch::Contains("/app/" + name));
  }
  SECTION("elsewhere") {
    parts.Looked('a', {Same("/app/run"), Same("/opt/" + name)});
    const PartsEffects step = parts.Take();
    REQUIRE(step.ready.size() == 1);
    CHECK(step.ready[0].plan == RunPlan{"/app/run", "/opt", {}});
  }
  SECTION("installed after the failure") {
    parts.Looked('a', {Same("/app/run"), kAbsent});
    CHECK(parts.Take().failures.size() == 1);
    parts.Want(wire);
    CHECK(parts.Take().looks.size() == 1);
    parts.Looked('a', {Same("/app/run"), Same("/app/" + name)});
    CHECK(parts.Take().ready.size() == 1);
  }
}

TEST_CASE("ProgramPartsCore: more than 512 MiB of missing files are refused") {
  Parts parts;
  Wire wire('a');
  wire.program.mutable_parts(0)->set_bytes(300 * kMiB);
  for (char hash = '1'; hash <= '4'; ++hash) {
    wire.Add(std::string("lib") + hash + ".so", hash, 60 * kMiB);
  }
  parts.Want(wire);
  parts.Take();
  std::vector<PartLook> looks(5);
  SECTION("all of them") {
    parts.Looked('a', looks);
    const PartsEffects step = parts.Take();
    REQUIRE(step.failures.size() == 1);
    CHECK(step.failures[0].code == ErrorCode::kMissingLibrary);
    CHECK_THAT(step.failures[0].message, Catch::Contains("512 MiB"));
  }
  SECTION("one of them is there") {
    looks[2] = Same("/app/lib2.so");
    parts.Looked('a', looks);
    CHECK(parts.Take().fetches.size() == 4);
  }
}

TEST_CASE("ProgramPartsCore: another build is replaced unless an RPATH could find it") {
  Parts parts;
  Wire wire('a');
  wire.Add("libuser.so", '1', kMiB);
  const auto rpath = [&](int part, const char* value) {
    wire.program.mutable_parts(part)->set_rpath(value);
  };
  const auto outcome = [&](const PartLook& executable) {
    parts.Want(wire);
    parts.Looked('a', {executable, Other("/app/libuser.so")});
    const PartsEffects step = parts.Take();
    if (step.failures.empty()) return std::string("fetched");
    CHECK(step.failures[0].code == ErrorCode::kLibraryMismatch);
    return step.failures[0].message;
  };
  SECTION("no RPATH") {
    CHECK(outcome(Same("/app/run")) == "fetched");
  }
  SECTION("beside an executable that is shipped too") {
    rpath(0, "$ORIGIN:${ORIGIN}/../lib");
    CHECK(outcome(Other("/app/run")) == "fetched");
  }
  SECTION("beside an executable that stays") {
    rpath(0, "$ORIGIN");
    CHECK_THAT(outcome(Same("/app/run")), Catch::Contains("the RPATH of /app/run"));
  }
  SECTION("absolute") {
    rpath(0, "$ORIGIN:/app");
    CHECK_THAT(outcome(kAbsent), Catch::Contains("--enable-new-dtags"));
  }
  SECTION("of the library itself, which is linked from elsewhere") {
    rpath(1, "$ORIGIN");
    CHECK(outcome(Same("/app/run")) == "fetched");
  }
}

TEST_CASE(
    "ProgramPartsCore: a failed transfer fails what waits for it, and the next want begins anew") {
  Parts parts;
  Wire wire('a', 9), other('b', 9);
  wire.Add("libuser.so", '1', kMiB);
  wire.Add("libmore.so", '2', kMiB);
  parts.Want(wire);
  parts.Want(other);
  parts.Looked('b', {Same("/app/run")});
  parts.Looked('a', {Same("/app/run"), kAbsent, kAbsent});
  PartsEffects step = parts.Take();
  REQUIRE(step.fetches.size() == 2);
  SECTION("the transfer says so") {
    parts.Fetched(step.fetches[0].id, ErrorCode::kOutOfDisk, "/s/parts: No space left on device");
    step = parts.Take();
    REQUIRE(step.failures.size() == 1);
    CHECK(step.failures[0].key == Hash('a'));
    CHECK(step.failures[0].code == ErrorCode::kOutOfDisk);
    CHECK_THAT(step.failures[0].message, Catch::Contains("VM vm2 lacks libuser.so of /app/run") &&
                                             Catch::Contains("node n9") &&
                                             Catch::Contains("No space left"));
    CHECK(step.cancels.size() == 1);  // the other one is for nobody
  }
  SECTION("the node is dead") {
    parts.core.OnNodeDead(NodeNumber{8}, "power", parts.effects);
    CHECK(parts.Take().empty());
    parts.core.OnNodeDead(NodeNumber{9}, "power", parts.effects);
    parts.core.CheckInvariants();
    const PartsEffects dead = parts.Take();
    REQUIRE(dead.failures.size() == 1);
    CHECK(dead.failures[0].code == ErrorCode::kNodeDied);
    CHECK_THAT(dead.failures[0].message, Catch::Contains("power"));
    CHECK(dead.cancels.size() >= 2);
    parts.Fetched(step.fetches[0].id);  // cancelled too late: nobody knows it any more
    CHECK(parts.Take().empty());
    CHECK(parts.core.stored_bytes() == 0);
  }
  SECTION("the job ends meanwhile") {
    parts.JobEnded(1);
    step = parts.Take();
    REQUIRE(step.failures.size() == 1);
    CHECK(step.failures[0].code == ErrorCode::kCancelled);
    CHECK(step.cancels.size() == 2);
  }
  parts.Want(wire, 2);
  CHECK(parts.Take().looks.size() == 1);
  parts.Looked('a', {Same("/app/run"), kAbsent, kAbsent});
  CHECK(parts.Take().fetches.size() == 2);
}

TEST_CASE("ProgramPartsCore: what its driver's node cannot give is asked of the others in turn") {
  Parts parts;
  const Wire wire('a', 9);
  parts.Nodes({1, 2, 5, 9});
  parts.Want(wire);
  parts.Looked('a', {kAbsent});
  const auto first = parts.TakeFetch();
  CHECK(first.node == NodeNumber{9});
  SECTION("the last one has it") {
    parts.Fetched(first.id, ErrorCode::kMissingLibrary, "it has no such part");
    const auto second = parts.TakeFetch();
    CHECK(second.node == NodeNumber{1});
    parts.Fetched(first.id);  // a late word of the first one
    CHECK(parts.Take().empty());
    parts.Fetched(second.id, ErrorCode::kNodeDied, "sent nothing");
    const auto third = parts.TakeFetch();
    CHECK(third.node == NodeNumber{5});  // this node itself is not asked
    parts.Fetched(third.id);
    CHECK(parts.Take().links.size() == 1);
    CHECK(parts.core.PathOf(Hash('e')) == "/s/parts/" + Hash('e'));
    CHECK(parts.core.PathOf(Hash('f')).empty());
  }
  SECTION("its node dies meanwhile, and the others have it not") {
    parts.core.OnNodeDead(NodeNumber{9}, "power", parts.effects);
    parts.core.CheckInvariants();
    const PartsEffects step = parts.Take();
    CHECK(step.cancels.size() == 1);
    REQUIRE(step.fetches.size() == 1);
    parts.Fetched(step.fetches[0].id, ErrorCode::kMissingLibrary, "it has no such part");
    parts.Fetched(parts.TakeFetch().id, ErrorCode::kMissingLibrary, "it has no such part");
    const auto failed = parts.TakeFailure();
    CHECK(failed.code == ErrorCode::kNodeDied);  // which the head tries again
    CHECK_THAT(failed.message, Catch::Contains("from node n9, where its driver runs: ") &&
                                   Catch::Contains("power") &&
                                   Catch::Contains("nor from node n1: it has no such part") &&
                                   Catch::Contains("nor from node n5"));
  }
  SECTION("this VM's own fault") {
    parts.Fetched(first.id, ErrorCode::kOutOfDisk, "no space");
    CHECK(parts.TakeFailure().code == ErrorCode::kOutOfDisk);
  }
}

TEST_CASE("ProgramPartsCore: that the only holder is gone is said for good") {
  Parts parts;
  const Wire wire('a', 9);
  SECTION("other nodes live") {
    parts.Nodes({2, 4, 5, 6, 7, 8});
    parts.Want(wire);
    parts.Looked('a', {kAbsent});
    for (uint32_t node = 4; node <= 8; ++node) {
      const auto fetch = parts.TakeFetch();
      CHECK(fetch.node == NodeNumber{node});
      parts.Fetched(fetch.id, ErrorCode::kMissingLibrary, "it has no such part");
    }
    const auto failed = parts.TakeFailure();
    CHECK(failed.code == ErrorCode::kMissingLibrary);
    CHECK_THAT(
        failed.message,
        Catch::StartsWith("VM vm2 lacks run of /app/run and could not get it: node n9, where "
                          "its driver ran, is gone; nor from node n4: it has no such part") &&
            Catch::EndsWith("nor from 2 other nodes"));
  }
  SECTION("none but this") {
    parts.Nodes({2});
    parts.Want(wire);
    parts.Looked('a', {kAbsent});
    const auto failed = parts.TakeFailure();
    CHECK(failed.code == ErrorCode::kMissingLibrary);
    CHECK_THAT(failed.message, Catch::Contains("there is no other node"));
  }
  parts.Want(wire, 2);
  CHECK(parts.Take().looks.size() == 1);
}

TEST_CASE("ProgramPartsCore: what is used where it lies can be served from there") {
  Parts parts;
  Wire wire('a');
  wire.Add("libuser.so", '1', kMiB);
  parts.Want(wire);
  CHECK(parts.core.PathOf(Hash('1')).empty());
  parts.Looked('a', {kAbsent, Same("/app/libuser.so")});
  CHECK(parts.core.PathOf(Hash('1')) == "/app/libuser.so");
  CHECK(parts.core.PathOf(Hash('e')).empty());
}

TEST_CASE(
    "ProgramPartsCore: a folder that cannot be made is said, and one that was made is removed") {
  Parts parts;
  Wire wire('a');
  parts.Want(wire);
  parts.Looked('a', {kAbsent});
  parts.Fetched(parts.Take().fetches.at(0).id);
  parts.Take();
  SECTION("not made") {
    parts.Linked('a', ErrorCode::kOutOfDisk);
    const PartsEffects step = parts.Take();
    REQUIRE(step.failures.size() == 1);
    CHECK(step.failures[0].message == "VM vm2: no room");
  }
  SECTION("made") {
    parts.Linked('a');
    CHECK(parts.Take().ready.size() == 1);
    parts.JobEnded(1);
    CHECK(parts.Take().unlinks == std::vector<std::string>{Hash('a')});
  }
  SECTION("the job ends while it is made") {
    parts.JobEnded(1);
    const PartsEffects step = parts.Take();
    CHECK(step.unlinks.size() == 1);
    CHECK(step.failures.size() == 1);
    parts.Linked('a');
    CHECK(parts.Take().empty());
  }
  CHECK(parts.core.stored_bytes() == kMiB);
}

TEST_CASE("ProgramPartsCore: parts that no job uses stay up to a bound, the newest longest") {
  Parts parts(2 * kMiB);
  std::vector<std::string> removed;
  for (char key = 'a'; key <= 'd'; ++key) {
    Wire wire(key);
    wire.program.mutable_parts(0)->set_sha256(Hash(key));
    parts.Run(wire, key, static_cast<uint32_t>(key));
  }
  CHECK(parts.core.stored_bytes() == 4 * kMiB);  // all in use
  for (char key = 'a'; key <= 'd'; ++key) {
    parts.JobEnded(static_cast<uint32_t>(key));
    for (const auto& sha256 : parts.Take().removes) removed.push_back(sha256);
  }
  CHECK(removed == std::vector<std::string>{Hash('a'), Hash('b')});
  CHECK(parts.core.stored_bytes() == 2 * kMiB);
  // One that stayed is used again without a transfer; one that went is fetched again.
  for (const char key : {'d', 'a'}) {
    Wire wire(key);
    wire.program.mutable_parts(0)->set_sha256(Hash(key));
    parts.Want(wire, 9);
    parts.Looked(key, {kAbsent});
    CHECK(parts.Take().fetches.size() == (key == 'a' ? 1u : 0u));
  }
}

TEST_CASE("ProgramPartsCore: what no daemon fills in is refused") {
  Wire wire('a');
  proto::Part& library = wire.Add("libuser.so", '1', kMiB);
  proto::Program& program = wire.program;
  REQUIRE(ProgramPartsCore::CheckProgram(program).ok());
  SECTION("key") {
    program.set_key(GENERATE(as<std::string>{}, "", "../../etc/passwd", "A", "abc"));
  }
  SECTION("hash") {
    library.set_sha256(GENERATE(as<std::string>{}, "", "../x", "ABCDEF"));
  }
  SECTION("a hash of 64 letters that are none of a hash") {
    library.set_sha256(std::string(63, 'a') + "/");
  }
  SECTION("no hash, only a build id, for what travels") {
    library.clear_sha256();
    library.set_build_id("abcd");
  }
  SECTION("name") {
    library.set_name(GENERATE(as<std::string>{}, "", ".", "..", "a/b", "/x"));
  }
  SECTION("a name with an end in it") {
    library.set_name(std::string("a\0b", 3));
  }
  SECTION("a long name") {
    library.set_name(std::string(256, 'x'));
  }
  SECTION("path") {
    library.set_path(GENERATE(as<std::string>{}, "", "relative/libuser.so", "/folder/"));
  }
  SECTION("one name twice") {
    wire.Add("libuser.so", '2', kMiB);
  }
  SECTION("too many") {
    for (int i = 0; i < 1024; ++i) wire.Add("lib" + std::to_string(i) + ".so", '2', 1);
  }
  SECTION("the executable is another file") {
    program.set_executable("/bin/sh");
  }
  SECTION("no executable") {
    program.clear_parts();
  }
  SECTION("of no node") {
    program.set_source_node(0);
  }
  SECTION("a long RPATH") {
    library.set_rpath(std::string(4097, 'x'));
  }
  CHECK(absl::IsInvalidArgument(ProgramPartsCore::CheckProgram(program)));
}

TEST_CASE("ProgramPartsCore: sizes that lie cannot wrap around") {
  Parts parts;
  Wire wire('a');
  wire.program.mutable_parts(0)->set_bytes(~uint64_t{0});
  parts.Want(wire);
  parts.Looked('a', {kAbsent});
  CHECK(parts.Take().failures.size() == 1);
}

}  // namespace rayx::node
