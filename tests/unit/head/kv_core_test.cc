// Goal: the key-value store of each job, with waits that end.
// Method: a head of cores, each message twice; limits made small.
#include "tests/unit/head/core_fixture.h"

namespace rayx::head {
namespace {

struct Kv {
  explicit Kv(HeadCoreOptions options = {}) : cluster(std::move(options)) {
    job = cluster.AddJob(cluster.AddNode());
  }
  proto::HeadResponse Put(const std::string& key, const std::string& value, bool absent = false) {
    proto::HeadRequest request;
    request.mutable_kv_put()->set_key(key);
    request.mutable_kv_put()->set_value(value);
    request.mutable_kv_put()->set_only_if_absent(absent);
    return cluster.Call(request, job);
  }
  proto::KvGetReply Get(const std::string& key) {
    proto::HeadRequest request;
    request.mutable_kv_get()->set_key(key);
    return cluster.Call(request, job).kv_get();
  }
  bool Delete(const std::string& key) {
    proto::HeadRequest request;
    request.mutable_kv_delete()->set_key(key);
    return cluster.Call(request, job).kv_delete().deleted();
  }
  proto::HeadResponse Add(const std::string& key, int64_t amount) {
    proto::HeadRequest request;
    request.mutable_kv_add()->set_key(key);
    request.mutable_kv_add()->set_amount(amount);
    return cluster.Call(request, job);
  }
  uint64_t Count() {
    proto::HeadRequest request;
    request.mutable_kv_count();
    return cluster.Call(request, job).kv_count().keys();
  }
  // Nothing: it waits.
  std::optional<proto::HeadResponse> Wait(const std::vector<std::string>& keys,
                                          uint32_t timeout_ms = 5000) {
    proto::HeadRequest request;
    for (const auto& key : keys) request.mutable_kv_wait()->add_keys(key);
    request.mutable_kv_wait()->set_timeout_ms(timeout_ms);
    return cluster.CallLater(request, job);
  }
  Cluster cluster;
  uint32_t job = 0;
};

}  // namespace

TEST_CASE("Kv: put, get, delete, count") {
  Kv kv;
  CHECK_FALSE(kv.Get("k").found());
  CHECK(kv.Put("k", "v1").kv_put().stored());
  CHECK(kv.Put("k", "v2").kv_put().stored());
  CHECK(kv.Get("k").value() == "v2");
  CHECK(kv.Count() == 1);
  CHECK(kv.Delete("k"));
  CHECK_FALSE(kv.Delete("k"));
  CHECK(kv.Count() == 0);
}

TEST_CASE("Kv: put if absent tells what is there, a repeat does not see itself") {
  Kv kv;
  CHECK(kv.Put("k", "first", true).kv_put().stored());
  const auto second = kv.Put("k", "second", true).kv_put();
  CHECK_FALSE(second.stored());
  CHECK(second.value() == "first");
}

TEST_CASE("Kv: add counts each request once") {
  Kv kv;
  CHECK(kv.Add("n", 5).kv_add().value() == 5);
  CHECK(kv.Add("n", -7).kv_add().value() == -2);
  CHECK(kv.Get("n").value() == "-2");
  kv.Put("text", "five");
  CHECK(IsError(kv.Add("text", 1).error(), ErrorCode::kInvalidOption));
  kv.Put("n", "9223372036854775807");
  CHECK_THAT(kv.Add("n", 1).error().message(), Catch::Contains("overflows"));
  CHECK(kv.Get("n").value() == "9223372036854775807");
}

TEST_CASE("Kv: a wait ends when all keys are there") {
  Kv kv;
  kv.Put("a", "1");
  CHECK(kv.Wait({"a"})->kv_wait().all_present());
  CHECK(kv.Wait({})->kv_wait().all_present());
  CHECK_FALSE(kv.Wait({"a", "b"}, 0)->kv_wait().all_present());
  REQUIRE_FALSE(kv.Wait({"a", "b", "c"}).has_value());
  const ReplyTo waiting = kv.cluster.last_waiting();
  kv.Put("b", "2");
  CHECK_FALSE(kv.cluster.TakeReply(waiting).has_value());
  kv.Put("c", "3");
  const auto answer = kv.cluster.TakeReply(waiting);
  REQUIRE(answer.has_value());
  CHECK(answer->kv_wait().all_present());
}

TEST_CASE("Kv: a key that went before the last one came is waited for again") {
  Kv kv;
  REQUIRE_FALSE(kv.Wait({"a", "b"}).has_value());
  const ReplyTo waiting = kv.cluster.last_waiting();
  kv.Put("a", "1");
  kv.Delete("a");
  kv.Put("b", "2");
  CHECK_FALSE(kv.cluster.TakeReply(waiting).has_value());
  kv.Put("a", "1");
  CHECK(kv.cluster.TakeReply(waiting).has_value());
}

TEST_CASE("Kv: a wait ends at its time, at most after 10 s, and with its job") {
  Kv kv;
  REQUIRE_FALSE(kv.Wait({"a"}, 200).has_value());
  ReplyTo waiting = kv.cluster.last_waiting();
  kv.cluster.Pass(milliseconds(199));
  CHECK_FALSE(kv.cluster.TakeReply(waiting).has_value());
  kv.cluster.Pass(milliseconds(1));
  CHECK_FALSE(kv.cluster.TakeReply(waiting)->kv_wait().all_present());
  kv.Wait({"a"}, 4000000000);
  waiting = kv.cluster.last_waiting();
  kv.cluster.Heartbeat(1);
  kv.cluster.Pass(seconds(9));
  kv.cluster.Heartbeat(1);
  kv.cluster.Pass(seconds(1));
  CHECK(kv.cluster.TakeReply(waiting).has_value());
  kv.Wait({"a"});
  waiting = kv.cluster.last_waiting();
  kv.cluster.FinishJob(kv.job);
  CHECK(kv.cluster.TakeReply(waiting).has_value());
}

TEST_CASE("Kv: jobs do not see each other's keys, and leave none behind") {
  Kv kv;
  kv.Put("k", "v");
  const uint32_t first = kv.job;
  kv.job = kv.cluster.AddJob(1);
  CHECK(kv.Count() == 0);
  CHECK_FALSE(kv.Get("k").found());
  kv.cluster.FinishJob(first);
  CHECK(kv.Count() == 0);
}

TEST_CASE("Kv: what is too large or too much is named and changes nothing") {
  HeadCoreOptions options;
  options.kv.total_bytes_max = 1000;
  options.kv.value_bytes_max = 500;
  options.kv.waiters_max = 2;
  Kv kv(options);
  CHECK_THAT(kv.Put("", "v").error().message(), Catch::Contains("expected 1 to 1024"));
  CHECK_THAT(kv.Put(std::string(1025, 'k'), "v").error().message(), Catch::Contains("1025"));
  CHECK_THAT(kv.Put("k", std::string(501, 'v')).error().message(), Catch::Contains("501 bytes"));
  CHECK(kv.Put("a", std::string(400, 'v')).kv_put().stored());
  CHECK(IsError(kv.Put("b", std::string(480, 'v')).error(), ErrorCode::kOutOfMemory));
  CHECK(kv.Put("a", std::string(500, 'v')).kv_put().stored());
  CHECK(kv.Count() == 1);
  kv.Wait({"x"});  // twice, as every message here: the bound is reached
  CHECK(IsError(kv.Wait({"y"})->error(), ErrorCode::kHeadUnavailable));
  CHECK_THAT(kv.Wait(std::vector<std::string>(1025, "k"))->error().message(),
             Catch::Contains("1025 keys"));
}

}  // namespace rayx::head
