// Goal: nothing that a user program says or leaves behind breaks a message or cuts a process off.
// Method: the conversions alone; bytes that are no text, and texts far above a packet.
#include "node/wire.h"

#include <catch2/catch.hpp>

#include "io/packet_socket.h"
#include "proto/head.pb.h"

namespace rayx::node {
namespace {

const std::string kNoText = "caf\xE9 \xFF\xC3";

template <typename Message>
void CheckSurvives(const Message& message) {
  Message parsed;
  REQUIRE(parsed.ParseFromString(message.SerializeAsString()));
  CHECK(parsed.SerializeAsString() == message.SerializeAsString());
}

}  // namespace

TEST_CASE("Wire: whatever bytes a user gives as text, the message is understood") {
  proto::ClientMessage put;
  put.mutable_head_request()->mutable_kv_put()->set_key(kNoText);
  CheckSurvives(put);
  proto::ClientMessage wait;
  wait.mutable_head_request()->mutable_kv_wait()->add_keys(kNoText);
  CheckSurvives(wait);
  proto::ClientMessage create;
  auto* spec = create.mutable_head_request()->mutable_create_actor()->mutable_spec();
  spec->set_name(kNoText);
  spec->set_class_name(kNoText);
  auto* label = spec->mutable_placement()->mutable_strategy()->add_labels();
  label->set_key(kNoText);
  label->set_value(kNoText);
  spec->mutable_lifetime_resources()->add_amounts()->set_name(kNoText);
  CheckSurvives(create);
  proto::ClientMessage find;
  find.mutable_head_request()->mutable_find_actor()->set_name(kNoText);
  CheckSurvives(find);
  proto::ClientMessage hello;
  auto* program = hello.mutable_hello()->mutable_program();
  program->set_executable(kNoText);
  program->set_working_folder(kNoText);
  program->add_environment("NAME=" + kNoText);
  program->add_preload_libraries(kNoText);
  hello.mutable_hello()->set_job_namespace(kNoText);
  CheckSurvives(hello);
  proto::ErrorInfo error;
  error.set_message(kNoText);
  error.set_what(kNoText);
  error.set_type_name(kNoText);
  error.add_log_lines(kNoText);
  CheckSurvives(error);
  proto::RegisterJobRequest job;
  job.set_program(kNoText);
  job.set_job_namespace(kNoText);
  CheckSurvives(job);
}

TEST_CASE("Wire: of a death's lines the newest stay, and it fits into a packet") {
  proto::DeathCause cause;
  cause.set_reason(std::string(300'000, 'r'));
  for (int i = 0; i < 20; ++i) cause.add_log_lines(std::to_string(i) + std::string(8192, 'x'));
  Bound(cause);
  REQUIRE(cause.log_lines_size() > 10);
  CHECK(cause.log_lines(cause.log_lines_size() - 1).substr(0, 2) == "19");
  CHECK(cause.ByteSizeLong() < io::kPacketBytesMax / 2);
  proto::DeathCause small;
  small.set_reason("short");
  small.add_log_lines("a line");
  Bound(small);
  CHECK(small.log_lines_size() == 1);
  CHECK(small.reason() == "short");
}

TEST_CASE("Wire: an answer that no packet holds becomes an error for the one who asked") {
  proto::DaemonMessage message;
  message.mutable_head_response()->set_request_id(7);
  auto* nodes = message.mutable_head_response()->mutable_list_nodes();
  for (int i = 0; i < 100; ++i) nodes->add_nodes()->set_host_name(std::string(4096, 'h'));
  REQUIRE(FitIntoPacket(message));
  CHECK(message.head_response().request_id() == 7);
  CHECK(message.head_response().error().code() == static_cast<int>(ErrorCode::kSerializationError));
  proto::DaemonMessage died;
  died.mutable_process_died()->set_process(3);
  died.mutable_process_died()->mutable_cause()->add_log_lines(std::string(200'000, 'x'));
  REQUIRE(FitIntoPacket(died));
  CHECK(died.process_died().process() == 3);
  proto::DaemonMessage failed;
  failed.mutable_lease_failed()->set_request_id(9);
  failed.mutable_lease_failed()->mutable_error()->set_message(std::string(200'000, 'x'));
  REQUIRE(FitIntoPacket(failed));
  CHECK(failed.lease_failed().request_id() == 9);
}

}  // namespace rayx::node
