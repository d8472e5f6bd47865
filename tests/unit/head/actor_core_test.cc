// Goal: an actor lives at most once, is restarted as often as allowed, and everybody who waits for
// it hears of its end. Method: a head of cores; nodes are answered for by hand, each message twice.
#include "tests/unit/head/core_fixture.h"

#include "base/mark.h"

namespace rayx::head {
namespace {

struct Actors {
  explicit Actors(HeadCoreOptions options = {}, double cpus = 2) : cluster(std::move(options)) {
    node = cluster.AddNode(cpus);
    job = cluster.AddJob(node);
  }

  static proto::ActorSpec Spec(uint64_t sequence, const std::string& name = "") {
    proto::ActorSpec spec;
    spec.mutable_id()->set_creator(Cluster::Process(1, 7));
    spec.mutable_id()->set_sequence(sequence);
    spec.set_name(name);
    spec.set_class_name("Counter");
    *spec.mutable_placement()->mutable_resources() = Cpus(1);
    spec.set_creation_frame(std::string(200, 'f'));
    return spec;
  }
  proto::HeadResponse Create(const proto::ActorSpec& spec) {
    proto::HeadRequest request;
    *request.mutable_create_actor()->mutable_spec() = spec;
    return cluster.Call(request, job);
  }
  // Of a watch that is answered at once.
  proto::ActorView View(uint64_t sequence) {
    proto::HeadRequest request;
    *request.mutable_watch_actor()->mutable_id() = Spec(sequence).id();
    return cluster.Call(request, job).watch_actor();
  }
  std::optional<proto::HeadResponse> Watch(uint64_t sequence, uint64_t known,
                                           uint32_t timeout_ms = 5000) {
    proto::HeadRequest request;
    *request.mutable_watch_actor()->mutable_id() = Spec(sequence).id();
    request.mutable_watch_actor()->set_known_version(known);
    request.mutable_watch_actor()->set_timeout_ms(timeout_ms);
    return cluster.CallLater(request, job);
  }
  bool Kill(uint64_t sequence, bool no_restart = true) {
    proto::HeadRequest request;
    *request.mutable_kill_actor()->mutable_id() = Spec(sequence).id();
    request.mutable_kill_actor()->set_no_restart(no_restart);
    request.mutable_kill_actor()->set_reason("test");
    return cluster.Call(request, job).kill_actor().existed();
  }
  proto::FindActorReply Find(const std::string& name, uint32_t of_job) {
    proto::HeadRequest request;
    request.mutable_find_actor()->set_name(name);
    return cluster.Call(request, of_job).find_actor();
  }
  void Report(uint64_t sequence, uint32_t incarnation, proto::ActorState state, uint32_t on_node,
              ErrorCode cause = ErrorCode::kNone, bool meant = false) {
    proto::ActorReport report;
    *report.mutable_id() = Spec(sequence).id();
    report.set_incarnation(incarnation);
    report.set_state(state);
    report.set_process(Cluster::Process(on_node, 50 + incarnation));
    report.mutable_cause()->set_code(static_cast<int32_t>(cause));
    report.mutable_cause()->set_meant(meant);
    cluster.core.OnReportActor(report, cluster.now, cluster.effects);
    cluster.Done();
    cluster.core.OnReportActor(report, cluster.now, cluster.effects);
    cluster.Done();
  }
  void StartAnswered(uint64_t sequence, uint32_t incarnation, ErrorCode code, bool definite) {
    proto::ErrorInfo error;
    error.set_code(static_cast<int32_t>(code));
    const model::ActorId id{model::ProcessId{Cluster::Process(1, 7)}, sequence};
    cluster.core.OnStartAnswered(id, incarnation, error, definite, cluster.now, cluster.effects);
    cluster.Done();
    cluster.core.OnStartAnswered(id, incarnation, error, definite, cluster.now, cluster.effects);
    cluster.Done();
  }
  // Keeps the node alive meanwhile.
  void Pass(model::Duration duration) {
    cluster.Heartbeat(node);
    cluster.Pass(duration);
  }

  Cluster cluster;
  uint32_t node = 0;
  uint32_t job = 0;
};

}  // namespace

TEST_CASE("Actor: created once, placed once, alive when its node says so") {
  Actors actors;
  CHECK(actors.Create(Actors::Spec(1)).error().code() == 0);
  REQUIRE(actors.cluster.starts.size() == 1);
  CHECK(actors.cluster.starts[0].incarnation == 1);
  CHECK(actors.cluster.starts[0].spec.job() == actors.job);
  CHECK(actors.View(1).state() == proto::ACTOR_PENDING);
  actors.StartAnswered(1, 1, ErrorCode::kNone, true);
  actors.Report(1, 1, proto::ACTOR_ALIVE, actors.node);
  const auto view = actors.View(1);
  CHECK(view.state() == proto::ACTOR_ALIVE);
  CHECK(view.process() == Cluster::Process(actors.node, 51));
  CHECK(actors.cluster.starts.size() == 1);
  CHECK(actors.cluster.stops.empty());
}

TEST_CASE("Actor: a watch is answered by a change, at its time, and for an id that comes later") {
  Actors actors;
  REQUIRE_FALSE(actors.Watch(1, 0).has_value());
  const ReplyTo early = actors.cluster.last_waiting();
  actors.Create(Actors::Spec(1));
  const auto born = actors.cluster.TakeReply(early);
  REQUIRE(born.has_value());
  const uint64_t version = born->watch_actor().version();
  REQUIRE_FALSE(actors.Watch(1, version).has_value());
  const ReplyTo waiting = actors.cluster.last_waiting();
  actors.Report(1, 1, proto::ACTOR_ALIVE, actors.node);
  CHECK(actors.cluster.TakeReply(waiting)->watch_actor().state() == proto::ACTOR_ALIVE);
  REQUIRE_FALSE(actors.Watch(1, version + 1, 100).has_value());
  const ReplyTo timed = actors.cluster.last_waiting();
  actors.Pass(milliseconds(100));
  CHECK(actors.cluster.TakeReply(timed)->watch_actor().version() == version + 1);
  REQUIRE_FALSE(actors.Watch(9, 0, 100).has_value());
  const ReplyTo unknown = actors.cluster.last_waiting();
  actors.Pass(milliseconds(100));
  CHECK(IsError(actors.cluster.TakeReply(unknown)->error(), ErrorCode::kActorDied));
}

TEST_CASE("Actor: a death without restarts left is the end, with its cause") {
  Actors actors;
  actors.Create(Actors::Spec(1));
  actors.Report(1, 1, proto::ACTOR_ALIVE, actors.node);
  actors.Report(1, 1, proto::ACTOR_DEAD, actors.node, ErrorCode::kWorkerDied);
  const auto view = actors.View(1);
  CHECK(view.state() == proto::ACTOR_DEAD);
  CHECK(IsError(view.cause(), ErrorCode::kWorkerDied));
  CHECK_THAT(view.cause().message(), Catch::EndsWith("no restart is left (SetMaxRestarts(0))"));
  CHECK(actors.cluster.starts.size() == 1);
}

TEST_CASE(
    "Actor: restarted with a higher incarnation, later each time, at most max_restarts times") {
  Actors actors;
  auto spec = Actors::Spec(1);
  spec.set_max_restarts(2);
  actors.Create(spec);
  actors.Report(1, 1, proto::ACTOR_ALIVE, actors.node);
  actors.Report(1, 1, proto::ACTOR_DEAD, actors.node, ErrorCode::kWorkerDied);
  CHECK(actors.View(1).state() == proto::ACTOR_RESTARTING);
  CHECK_THAT(actors.View(1).cause().message(), Catch::EndsWith("restart 1 of 2 follows"));
  CHECK(actors.cluster.starts.size() == 1);  // not at once
  actors.Pass(milliseconds(100));
  REQUIRE(actors.cluster.starts.size() == 2);
  CHECK(actors.cluster.starts[1].incarnation == 2);
  actors.Report(1, 2, proto::ACTOR_ALIVE, actors.node);
  CHECK(actors.View(1).incarnation() == 2);
  actors.Report(1, 2, proto::ACTOR_DEAD, actors.node, ErrorCode::kWorkerDied);
  actors.Pass(milliseconds(100));
  CHECK(actors.cluster.starts.size() == 2);
  actors.Pass(milliseconds(100));
  CHECK(actors.cluster.starts.size() == 3);
  actors.Report(1, 3, proto::ACTOR_DEAD, actors.node, ErrorCode::kWorkerDied);
  CHECK(actors.View(1).state() == proto::ACTOR_DEAD);
  CHECK_THAT(actors.View(1).cause().message(),
             Catch::EndsWith("no restart is left (SetMaxRestarts(2))"));
}

TEST_CASE("Actor: one that ended itself is not restarted") {
  Actors actors;
  auto spec = Actors::Spec(1);
  spec.set_max_restarts(-1);
  actors.Create(spec);
  actors.Report(1, 1, proto::ACTOR_ALIVE, actors.node);
  actors.Report(1, 1, proto::ACTOR_DEAD, actors.node, ErrorCode::kActorDied, /*meant=*/true);
  CHECK(actors.View(1).state() == proto::ACTOR_DEAD);
  CHECK(actors.cluster.starts.size() == 1);
}

TEST_CASE("Actor: a constructor that threw is not tried again") {
  Actors actors;
  auto spec = Actors::Spec(1);
  spec.set_max_restarts(-1);
  actors.Create(spec);
  actors.Report(1, 1, proto::ACTOR_DEAD, actors.node, ErrorCode::kTaskError);
  CHECK(actors.View(1).state() == proto::ACTOR_DEAD);
}

TEST_CASE("Actor: reports of a superseded incarnation change nothing, and it is stopped") {
  Actors actors;
  auto spec = Actors::Spec(1);
  spec.set_max_restarts(1);
  actors.Create(spec);
  actors.Report(1, 1, proto::ACTOR_ALIVE, actors.node);
  actors.Report(1, 1, proto::ACTOR_DEAD, actors.node, ErrorCode::kWorkerDied);
  actors.Report(1, 1, proto::ACTOR_ALIVE, actors.node);
  CHECK(base::MarkCount("report of a superseded incarnation") > 0);
  CHECK(actors.View(1).state() == proto::ACTOR_RESTARTING);
  REQUIRE_FALSE(actors.cluster.stops.empty());
  CHECK(actors.cluster.stops[0].incarnation == 1);
}

TEST_CASE("Actor: a start that may have been lost is stopped there and made anew") {
  Actors actors;
  actors.Create(Actors::Spec(1));
  actors.StartAnswered(1, 1, ErrorCode::kHeadUnavailable, false);
  REQUIRE(actors.cluster.stops.size() == 1);
  CHECK(actors.cluster.stops[0].incarnation == 1);
  actors.Pass(milliseconds(100));
  REQUIRE(actors.cluster.starts.size() == 2);
  CHECK(actors.cluster.starts[1].incarnation == 2);
}

TEST_CASE("Actor: a node that refuses for good ends it, one without room does not") {
  Actors actors;
  actors.Create(Actors::Spec(1));
  actors.StartAnswered(1, 1, ErrorCode::kMissingLibrary, true);
  CHECK(IsError(actors.View(1).cause(), ErrorCode::kMissingLibrary));
  actors.Create(Actors::Spec(2));
  actors.StartAnswered(2, 1, ErrorCode::kInfeasible, true);
  CHECK(actors.View(2).state() == proto::ACTOR_PENDING);
  actors.Pass(milliseconds(100));
  CHECK(actors.cluster.starts.back().incarnation == 2);
  CHECK(actors.cluster.stops.empty());
}

TEST_CASE("Actor: a dead node's actors die or move to another one") {
  Actors actors;
  const uint32_t other = actors.cluster.AddNode();
  auto pinned = Actors::Spec(1);
  pinned.set_max_restarts(1);
  actors.Create(pinned);
  actors.Create(Actors::Spec(2));
  REQUIRE(actors.cluster.starts.size() == 2);
  CHECK(actors.cluster.starts[0].node.value == actors.node);
  actors.Report(1, 1, proto::ACTOR_ALIVE, actors.node);
  actors.Report(2, 1, proto::ACTOR_ALIVE, actors.node);
  // The job's driver lives elsewhere, so that the job survives.
  actors.job = actors.cluster.AddJob(other);
  actors.cluster.Pass(seconds(9));
  actors.cluster.Heartbeat(other);
  actors.cluster.Pass(seconds(1));
  // Their own job died with its driver's node: both are gone with the reason.
  CHECK(actors.View(1).state() == proto::ACTOR_DEAD);
  CHECK_THAT(actors.View(2).cause().message(), Catch::Contains("ended with its job"));
}

TEST_CASE("Actor: a detached actor outlives its job and moves when its node dies") {
  Actors actors;
  const uint32_t other = actors.cluster.AddNode();
  auto spec = Actors::Spec(1, "keeper");
  spec.set_detached(true);
  spec.set_max_restarts(1);
  actors.Create(spec);
  actors.Create(Actors::Spec(2));
  actors.Report(1, 1, proto::ACTOR_ALIVE, actors.node);
  actors.Report(2, 1, proto::ACTOR_ALIVE, actors.node);
  actors.cluster.FinishJob(actors.job);
  CHECK(actors.View(1).state() == proto::ACTOR_ALIVE);
  CHECK(actors.View(2).state() == proto::ACTOR_DEAD);
  REQUIRE(actors.cluster.stops.size() == 1);
  CHECK(actors.cluster.stops[0].id.sequence() == 2);
  actors.cluster.Pass(seconds(9));
  actors.cluster.Heartbeat(other);
  actors.cluster.Pass(seconds(1));
  actors.cluster.Pass(milliseconds(100));
  CHECK(actors.cluster.starts.back().node.value == other);
  CHECK(actors.cluster.starts.back().incarnation == 2);
}

TEST_CASE("Actor: detached actors live in a job of their own, which ends with the last of them") {
  Actors actors;
  for (const uint64_t sequence : {1, 2}) {
    auto spec = Actors::Spec(sequence, "keeper" + std::to_string(sequence));
    spec.set_detached(true);
    CHECK(actors.Create(spec).error().code() == 0);
    actors.Report(sequence, 1, proto::ACTOR_ALIVE, actors.node);
  }
  const uint32_t own = actors.View(1).job();
  CHECK(own != actors.job);
  CHECK(actors.View(2).job() == own);
  CHECK(actors.View(1).detached());
  CHECK(actors.cluster.starts[0].spec.job() == own);
  CHECK(actors.cluster.starts[0].spec.job_namespace() == "job-1");
  // What such an actor makes belongs to its job, whether detached or not.
  actors.cluster.FinishJob(actors.job);
  actors.job = own;
  auto child = Actors::Spec(3, "child");
  child.set_detached(true);
  CHECK(actors.Create(child).error().code() == 0);
  CHECK(actors.View(3).job() == own);
  CHECK(actors.Create(Actors::Spec(4)).error().code() == 0);

  CHECK(actors.cluster.ended_jobs == std::vector<uint32_t>{1});
  for (const uint64_t sequence : {1, 2, 3}) {
    CHECK(actors.View(4).state() != proto::ACTOR_DEAD);
    actors.Pass(milliseconds(100));
    CHECK(actors.Kill(sequence));
  }
  CHECK(actors.cluster.ended_jobs == std::vector<uint32_t>{1});
  actors.Pass(milliseconds(100));
  CHECK(actors.cluster.ended_jobs == std::vector<uint32_t>{1, own});
  CHECK(actors.View(4).state() == proto::ACTOR_DEAD);
}

TEST_CASE("Actor: a job whose detached actors have all ended makes another job for the next") {
  Actors actors;
  auto spec = Actors::Spec(1, "keeper");
  spec.set_detached(true);
  actors.Create(spec);
  const uint32_t first = actors.View(1).job();
  CHECK(actors.Kill(1));
  actors.Pass(milliseconds(100));
  *spec.mutable_id() = Actors::Spec(2).id();
  actors.Create(spec);
  CHECK(actors.View(2).job() != first);
  CHECK(actors.View(2).job() != actors.job);
  // A creation that is refused leaves no job behind.
  const uint32_t second = actors.View(2).job();
  CHECK(actors.Kill(2));
  actors.Pass(milliseconds(100));
  actors.Create(Actors::Spec(3, "keeper"));
  *spec.mutable_id() = Actors::Spec(4).id();
  CHECK(IsError(actors.Create(spec).error(), ErrorCode::kNameTaken));
  actors.Pass(milliseconds(100));
  CHECK(actors.cluster.ended_jobs == std::vector<uint32_t>{first, second, second + 1});
}

TEST_CASE("Actor: a detached actor needs a name") {
  Actors actors;
  auto spec = Actors::Spec(1);
  spec.set_detached(true);
  const auto error = actors.Create(spec).error();
  CHECK(IsError(error, ErrorCode::kInvalidOption));
  CHECK_THAT(error.message(), Catch::Contains("needs a name"));
}

TEST_CASE("Actor: key-values are one table for a job and its detached actors, while either lives") {
  Actors actors;
  auto spec = Actors::Spec(1, "keeper");
  spec.set_detached(true);
  actors.Create(spec);
  const uint32_t own = actors.View(1).job();
  proto::HeadRequest put;
  put.mutable_kv_put()->set_key("k");
  put.mutable_kv_put()->set_value("v");
  CHECK(actors.cluster.Call(put, actors.job).kv_put().stored());
  proto::HeadRequest get;
  get.mutable_kv_get()->set_key("k");
  CHECK(actors.cluster.Call(get, own).kv_get().value() == "v");
  actors.cluster.FinishJob(actors.job);
  CHECK(actors.cluster.Call(get, own).kv_get().value() == "v");
  const uint32_t stranger = actors.cluster.AddJob(actors.node);
  CHECK_FALSE(actors.cluster.Call(get, stranger).kv_get().found());
  actors.Kill(1);
  actors.Pass(milliseconds(100));
  CHECK(IsError(actors.cluster.Call(get, own).error(), ErrorCode::kCancelled));
}

TEST_CASE("Actor: a name lives in its job's namespace, or in the one that it names") {
  Actors actors;
  const uint32_t shared = actors.cluster.AddJob(actors.node, "shared");
  CHECK(actors.Create(Actors::Spec(1, "log")).error().code() == 0);
  auto spec = Actors::Spec(2, "log");
  spec.set_name_space("shared");
  CHECK(actors.Create(spec).error().code() == 0);
  CHECK(actors.Find("log", actors.job).actor().id().sequence() == 1);
  CHECK(actors.Find("log", shared).actor().id().sequence() == 2);
  CHECK(actors.Find("log", actors.job).actor().name_space() == "job-1");
  proto::HeadRequest find;
  find.mutable_find_actor()->set_name("log");
  find.mutable_find_actor()->set_name_space("shared");
  CHECK(actors.cluster.Call(find, actors.job).find_actor().actor().id().sequence() == 2);
  find.mutable_find_actor()->set_name_space("elsewhere");
  CHECK_FALSE(actors.cluster.Call(find, actors.job).find_actor().found());
  *spec.mutable_id() = Actors::Spec(3).id();
  const auto taken = actors.Create(spec).error();
  CHECK(IsError(taken, ErrorCode::kNameTaken));
  CHECK_THAT(taken.message(), Catch::Contains("\"log\"") && Catch::Contains("\"shared\""));
  CHECK(actors.Kill(2));
  CHECK(actors.Create(spec).error().code() == 0);
  spec = Actors::Spec(4, "x");
  spec.set_name_space(std::string(300, 'n'));
  CHECK(IsError(actors.Create(spec).error(), ErrorCode::kInvalidOption));
}

TEST_CASE("Actor: a list comes in parts of about the asked size, each once, in order") {
  Actors actors;
  for (uint64_t i = 1; i <= 9; ++i) actors.Create(Actors::Spec(i));
  actors.Kill(4);
  std::vector<uint64_t> seen;
  proto::HeadRequest list;
  list.mutable_list_actors()->set_bytes_max(100);
  for (bool more = true; more;) {
    const auto part = actors.cluster.Call(list, actors.job).list_actors();
    REQUIRE(part.actors_size() > 0);
    CHECK(part.actors_size() < 9);
    for (const auto& actor : part.actors()) seen.push_back(actor.id().sequence());
    *list.mutable_list_actors()->mutable_after() = part.actors(part.actors_size() - 1).id();
    more = part.more();
  }
  CHECK(seen == std::vector<uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9});
  list.mutable_list_actors()->Clear();
  CHECK(actors.cluster.Call(list, actors.job).list_actors().actors_size() == 9);
}

TEST_CASE("Actor: kill ends it, or costs a restart") {
  Actors actors;
  auto spec = Actors::Spec(1);
  spec.set_max_restarts(1);
  actors.Create(spec);
  actors.Report(1, 1, proto::ACTOR_ALIVE, actors.node);
  CHECK(actors.Kill(1, false));
  CHECK(actors.View(1).state() == proto::ACTOR_RESTARTING);
  CHECK(actors.cluster.stops.size() == 1);
  actors.Pass(milliseconds(100));
  actors.Report(1, 2, proto::ACTOR_ALIVE, actors.node);
  CHECK(actors.Kill(1));
  CHECK(actors.View(1).state() == proto::ACTOR_DEAD);
  CHECK_THAT(actors.View(1).cause().message(), Catch::Contains("was killed: test"));
  CHECK(actors.cluster.stops.size() == 2);
  CHECK_FALSE(actors.Kill(1));
  CHECK_FALSE(actors.Kill(99));
}

TEST_CASE("Actor: one that ran well for 30 s is restarted without a grown delay") {
  Actors actors;
  auto spec = Actors::Spec(1);
  spec.set_max_restarts(-1);
  actors.Create(spec);
  uint32_t incarnation = 1;
  // True when the next incarnation was placed within `delay` of this one's death, not earlier.
  const auto restarts_after = [&](model::Duration delay) {
    const size_t starts = actors.cluster.starts.size();
    actors.Report(1, incarnation, proto::ACTOR_DEAD, actors.node, ErrorCode::kWorkerDied);
    actors.Pass(delay - milliseconds(100));
    const bool early = actors.cluster.starts.size() > starts;
    actors.Pass(milliseconds(100));
    ++incarnation;
    return !early && actors.cluster.starts.size() == starts + 1;
  };
  const auto live_for = [&](model::Duration duration) {
    actors.Report(1, incarnation, proto::ACTOR_ALIVE, actors.node);
    for (model::Duration lived{}; lived < duration; lived += seconds(2)) actors.Pass(seconds(2));
  };
  for (const int delay : {100, 200, 400, 800}) {
    live_for(seconds(20));
    CHECK(restarts_after(milliseconds(delay)));
  }
  live_for(seconds(30));
  CHECK(restarts_after(milliseconds(100)));
  live_for(seconds(2));
  CHECK(restarts_after(milliseconds(200)));
  live_for(seconds(30));  // a healthy life that a kill ends counts as well
  actors.Kill(1, false);
  actors.Pass(milliseconds(100));
  ++incarnation;
  live_for(seconds(2));
  CHECK(restarts_after(milliseconds(100)));
}

TEST_CASE("Actor: a kill that asks for a restart is no failure: no delay, none that grows") {
  Actors actors;
  auto spec = Actors::Spec(1);
  spec.set_max_restarts(-1);
  actors.Create(spec);
  for (uint32_t incarnation = 1; incarnation <= 8; ++incarnation) {
    actors.Report(1, incarnation, proto::ACTOR_ALIVE, actors.node);
    CHECK(actors.Kill(1, false));
    actors.cluster.Tick();
    REQUIRE(actors.cluster.starts.back().incarnation == incarnation + 1);
  }
  actors.Report(1, 9, proto::ACTOR_ALIVE, actors.node);
  actors.Report(1, 9, proto::ACTOR_DEAD, actors.node, ErrorCode::kWorkerDied);
  actors.Pass(milliseconds(100));
  CHECK(actors.cluster.starts.back().incarnation == 10);
}

TEST_CASE("Actor: names are unique in a namespace among the living") {
  Actors actors;
  const uint32_t shared = actors.cluster.AddJob(actors.node, "space");
  const uint32_t same = actors.cluster.AddJob(actors.node, "space");
  actors.Create(Actors::Spec(1, "bob"));
  CHECK(IsError(actors.Create(Actors::Spec(2, "bob")).error(), ErrorCode::kNameTaken));
  CHECK(actors.Find("bob", actors.job).actor().id().sequence() == 1);
  CHECK_FALSE(actors.Find("bob", shared).found());
  const uint32_t own = actors.job;
  actors.job = shared;
  CHECK(actors.Create(Actors::Spec(3, "bob")).error().code() == 0);
  CHECK(actors.Find("bob", same).actor().id().sequence() == 3);
  actors.job = own;
  actors.Kill(1);
  CHECK_FALSE(actors.Find("bob", own).found());
  CHECK(actors.Create(Actors::Spec(4, "bob")).error().code() == 0);
}

TEST_CASE("Actor: what no node could host fails after 3 s and says what is missing") {
  Actors actors;
  auto spec = Actors::Spec(1);
  *spec.mutable_placement()->mutable_resources() = Cpus(8);
  actors.Create(spec);
  auto patient = Actors::Spec(2);
  *patient.mutable_placement()->mutable_resources() = Cpus(8);
  patient.mutable_placement()->set_wait_if_infeasible(true);
  actors.Create(patient);
  actors.Pass(milliseconds(2900));
  CHECK(actors.View(1).state() == proto::ACTOR_PENDING);
  actors.Pass(milliseconds(100));
  const auto view = actors.View(1);
  CHECK(IsError(view.cause(), ErrorCode::kInfeasible));
  CHECK_THAT(view.cause().message(), Catch::Contains("CPU") && Catch::Contains("8"));
  actors.Pass(seconds(5));
  CHECK(actors.View(2).state() == proto::ACTOR_PENDING);
  actors.cluster.AddNode(8);
  CHECK(actors.cluster.starts.size() == 1);
}

TEST_CASE("Actor: those that hold resources wait until some are free") {
  Actors actors({}, 1);
  auto first = Actors::Spec(1);
  *first.mutable_lifetime_resources() = Cpus(1);
  auto second = Actors::Spec(2);
  *second.mutable_lifetime_resources() = Cpus(1);
  actors.Create(first);
  actors.Create(second);
  CHECK(actors.cluster.starts.size() == 1);
  actors.StartAnswered(1, 1, ErrorCode::kNone, true);
  actors.cluster.Heartbeat(actors.node, 0);
  actors.cluster.Pass(seconds(5));
  CHECK(actors.View(2).state() == proto::ACTOR_PENDING);  // not infeasible: it only waits
  actors.cluster.Heartbeat(actors.node, 1);
  CHECK(actors.cluster.starts.size() == 2);
}

TEST_CASE("Actor: the list says what those without a place wait for") {
  Actors actors({}, 1);
  auto spec = Actors::Spec(1);
  *spec.mutable_lifetime_resources() = Cpus(1);
  actors.Create(spec);
  actors.StartAnswered(1, 1, ErrorCode::kNone, true);
  actors.Report(1, 1, proto::ACTOR_ALIVE, actors.node);
  actors.cluster.Heartbeat(actors.node, 0);
  spec = Actors::Spec(2);
  *spec.mutable_lifetime_resources() = Cpus(1);
  spec.set_max_restarts(1);
  actors.Create(spec);
  const auto listed = [&actors](int index) { return actors.cluster.core.OnStatus().actors(index); };
  CHECK_FALSE(listed(0).has_cause());
  CHECK_THAT(listed(1).cause().message(),
             Catch::Contains("waits for room on") && Catch::Contains("CPU: needs 1, has 0"));
  CHECK_FALSE(actors.View(2).has_cause());  // a handle's word about deaths stays one
  actors.Kill(1);
  actors.cluster.Heartbeat(actors.node, 1);
  CHECK_FALSE(listed(0).has_cause());
  actors.Report(2, 1, proto::ACTOR_ALIVE, actors.node);
  actors.Report(2, 1, proto::ACTOR_DEAD, actors.node, ErrorCode::kWorkerDied);
  actors.cluster.Heartbeat(actors.node, 0);
  CHECK_THAT(listed(0).cause().message(), Catch::Contains("needs 1, has 0"));
}

TEST_CASE("Actor: wrong and too large creations are refused") {
  HeadCoreOptions options;
  options.actors.actors_max = 1;
  Actors actors(options);
  CHECK_THAT(actors.Create(proto::ActorSpec()).error().message(), Catch::Contains("no id"));
  auto spec = Actors::Spec(1);
  spec.set_creation_frame(std::string(2 << 20, 'x'));
  CHECK_THAT(actors.Create(spec).error().message(), Catch::Contains("arguments"));
  spec = Actors::Spec(1, std::string(300, 'n'));
  CHECK_THAT(actors.Create(spec).error().message(), Catch::Contains("300 bytes"));
  spec = Actors::Spec(1);
  spec.set_max_restarts(-2);
  CHECK_THAT(actors.Create(spec).error().message(), Catch::Contains("max_restarts"));
  spec = Actors::Spec(1);
  *spec.mutable_lifetime_resources() = Cpus(-1);
  CHECK_THAT(actors.Create(spec).error().message(), Catch::Contains("negative"));
  CHECK(actors.Create(Actors::Spec(1)).error().code() == 0);
  CHECK(IsError(actors.Create(Actors::Spec(2)).error(), ErrorCode::kOutOfMemory));
}

TEST_CASE("Actor: only the newest dead are remembered") {
  HeadCoreOptions options;
  options.actors.dead_kept = 3;
  Actors actors(options);
  for (uint64_t i = 1; i <= 10; ++i) {
    actors.Create(Actors::Spec(i));
    actors.Kill(i);
  }
  CHECK(actors.cluster.core.OnStatus().actors_size() == 3);
  CHECK(actors.View(10).state() == proto::ACTOR_DEAD);
}

TEST_CASE("Actor: a node without room after all costs no restart, and another is found") {
  Actors actors;
  const uint32_t other = actors.cluster.AddNode();
  auto spec = Actors::Spec(1);
  *spec.mutable_lifetime_resources() = Cpus(2);
  actors.Create(spec);
  REQUIRE(actors.cluster.starts.size() == 1);
  const uint32_t first = actors.cluster.starts[0].node.value;
  actors.StartAnswered(1, 1, ErrorCode::kNone, true);
  actors.Report(1, 1, proto::ACTOR_PENDING, first);
  CHECK(actors.View(1).state() == proto::ACTOR_PENDING);
  actors.cluster.Pass(milliseconds(200));
  REQUIRE(actors.cluster.starts.size() == 2);
  CHECK(actors.cluster.starts[1].node.value == (first == other ? actors.node : other));
  CHECK(actors.cluster.starts[1].incarnation == 2);
  actors.Report(1, 2, proto::ACTOR_ALIVE, actors.cluster.starts[1].node.value);
  CHECK(actors.View(1).state() == proto::ACTOR_ALIVE);
}

TEST_CASE("Actor: what a node said before it heard of a start makes no room for a second") {
  Actors actors;
  auto spec = Actors::Spec(1);
  *spec.mutable_lifetime_resources() = Cpus(2);
  actors.Create(spec);
  REQUIRE(actors.cluster.starts.size() == 1);
  actors.cluster.Heartbeat(actors.node, 2);
  auto second = Actors::Spec(2);
  *second.mutable_lifetime_resources() = Cpus(2);
  actors.Create(second);
  actors.cluster.Pass(milliseconds(100));
  CHECK(actors.cluster.starts.size() == 1);
  // The actor ends at once; the node's later words count again.
  actors.StartAnswered(1, 1, ErrorCode::kNone, true);
  actors.Report(1, 1, proto::ACTOR_DEAD, actors.node, ErrorCode::kTaskError);
  actors.cluster.Heartbeat(actors.node, 2);
  CHECK(actors.cluster.starts.size() == 2);
}

TEST_CASE("Actor: a list of many fits into a message, the living before the dead") {
  HeadCoreOptions options;
  options.actors.list_bytes_max = 4000;
  Actors actors(options, 1000);
  for (uint64_t i = 1; i <= 100; ++i) actors.Create(Actors::Spec(i));
  for (uint64_t i = 1; i <= 50; ++i) actors.Kill(i);
  const proto::StatusReply status = actors.cluster.core.OnStatus();
  CHECK(status.actors_size() > 10);
  CHECK(status.ByteSizeLong() < 8000);
  CHECK(status.actors(0).state() != proto::ACTOR_DEAD);
}

}  // namespace rayx::head
