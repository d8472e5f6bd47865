// Goal: every error of the list travels as data and comes back as its type; a user's exception
// comes back as both its type and TaskError. Method: capture an exception, rethrow the record,
// catch it in every promised way.
#include <catch2/catch.hpp>

#include <functional>
#include <stdexcept>
#include <string>

#include "rayx/errors.h"

namespace app {
class BadInput : public std::runtime_error {
 public:
  explicit BadInput(const std::string& what) : std::runtime_error("bad input"), detail(what) {}
  std::string detail;
};
struct Odd {  // no std::exception at all
  explicit Odd(std::string text) : text(std::move(text)) {}
  std::string text;
};
class Unregistered : public std::out_of_range {
 public:
  Unregistered() : std::out_of_range("far away") {}
};
struct Stranger {};
}  // namespace app

RAYX_EXCEPTION(app::BadInput);
RAYX_EXCEPTION(app::Odd);

using rayx::ErrorCode;
using rayx::detail::CaptureException;
using rayx::detail::ErrorRecord;
using rayx::detail::ThrowError;

namespace {

template <class E>
ErrorRecord Capture(E error) {
  return CaptureException(std::make_exception_ptr(std::move(error)));
}

template <class Caught>
std::string WhatAs(const ErrorRecord& record) {
  try {
    ThrowError(record);
  } catch (const Caught& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE(
    "Errors: a user's exception arrives as its type, as TaskError, Error and std::exception") {
  const ErrorRecord record = Capture(std::out_of_range("index 7"));
  CHECK(record.code == ErrorCode::kTaskError);
  CHECK(record.type_name == "std::out_of_range");
  CHECK(record.what == "index 7");
  CHECK(WhatAs<std::out_of_range>(record) == "index 7");
  CHECK(WhatAs<std::logic_error>(record) == "index 7");
  CHECK(WhatAs<rayx::TaskError>(record) == "index 7");
  CHECK(WhatAs<rayx::Error>(record) == "index 7");
  CHECK(WhatAs<std::exception>(record) == "index 7");
}

TEST_CASE("Errors: a registered type of the user's own") {
  const ErrorRecord record = Capture(app::BadInput("ignored"));
  CHECK(record.type_name == "app::BadInput");
  CHECK(WhatAs<app::BadInput>(record) == "bad input");
  CHECK(WhatAs<rayx::TaskError>(record) == "bad input");
  try {
    ThrowError(Capture(app::Odd("?")));
  } catch (const std::exception& error) {  // although app::Odd is none
    CHECK(dynamic_cast<const app::Odd*>(&error) != nullptr);
    CHECK(dynamic_cast<const rayx::TaskError*>(&error)->type_name() == "app::Odd");
  }
}

TEST_CASE("Errors: an unknown type arrives as its nearest standard base") {
  const ErrorRecord record = Capture(app::Unregistered());
  CHECK(record.type_name == "app::Unregistered");
  CHECK(record.base_name == "std::out_of_range");
  CHECK(WhatAs<std::out_of_range>(record) == "far away");
  CHECK(WhatAs<rayx::TaskError>(record) == "far away");
}

TEST_CASE("Errors: what is no exception at all arrives as a TaskError that names its type") {
  const ErrorRecord stranger = Capture(app::Stranger());
  CHECK(stranger.type_name == "app::Stranger");
  CHECK(WhatAs<std::runtime_error>(stranger) == "an object of type app::Stranger was thrown");
  CHECK(Capture(42).type_name == "int");
  CHECK(WhatAs<rayx::TaskError>(Capture(std::string("text"))) == "text");
  CHECK(WhatAs<rayx::TaskError>(Capture("literal")) == "literal");
}

TEST_CASE("Errors: bad_alloc and others that take no text keep theirs") {
  ErrorRecord record = Capture(std::bad_alloc());
  CHECK(record.type_name == "std::bad_alloc");
  record.what = "remote words";
  CHECK(WhatAs<std::bad_alloc>(record) == "remote words");
  CHECK(WhatAs<std::bad_function_call>(Capture(std::bad_function_call())) == "bad_function_call");
}

TEST_CASE("Errors: every code of the list comes back as its type and name") {
  for (int number = 1; number <= static_cast<int>(ErrorCode::kNameTaken); ++number) {
    ErrorRecord record;
    record.code = static_cast<ErrorCode>(number);
    record.message = "sentence";
    record.what = "sentence";
    record.type_name = "std::runtime_error";
    record.node = 3;
    record.attempt = 2;
    INFO(rayx::ErrorName(record.code));
    try {
      ThrowError(record);
    } catch (const rayx::Error& error) {
      CHECK(error.code() == record.code);
      CHECK(error.message() == "sentence");
      CHECK(std::string(error.what()) == "sentence");
      CHECK(error.node() == 3);
      CHECK(error.attempt() == 2);
      const std::string type = typeid(error).name();
      if (number > 1) CHECK(type.find(rayx::ErrorName(record.code)) != std::string::npos);
    }
  }
  CHECK(rayx::ErrorName(static_cast<ErrorCode>(27)) == std::string("unknown error"));
  CHECK(rayx::ErrorName(static_cast<ErrorCode>(-1)) == std::string("unknown error"));
}

TEST_CASE("Errors: who catches a kind catches what is of it; any is passed on as std::exception") {
  const auto record = [](ErrorCode code) {
    ErrorRecord made;
    made.code = code;
    made.message = "sentence";
    made.signal = 9;
    return made;
  };
  CHECK(WhatAs<rayx::WorkerDied>(record(ErrorCode::kTaskPoisoned)) == "sentence");
  CHECK(WhatAs<rayx::ObjectLost>(record(ErrorCode::kOwnerDied)) == "sentence");
  CHECK(WhatAs<rayx::ObjectLost>(record(ErrorCode::kObjectCorrupt)) == "sentence");
  CHECK(rayx::OwnerDied("said here").code() == ErrorCode::kOwnerDied);
  CHECK(rayx::TaskPoisoned("said here").code() == ErrorCode::kTaskPoisoned);
  const auto said = [](const std::exception& error) { return std::string(error.what()); };
  for (const ErrorRecord& one : {Capture(std::out_of_range("sentence")), Capture(app::Odd("?")),
                                 record(ErrorCode::kTaskPoisoned)}) {
    try {
      ThrowError(one);
    } catch (const rayx::Error& error) {
      CHECK(said(error) == error.what());
    }
  }
}

TEST_CASE("Errors: the cause of a worker's death survives the journey") {
  ErrorRecord record;
  record.code = ErrorCode::kWorkerDied;
  record.message = "the worker died";
  record.signal = 11;
  record.log_lines = {"first", "last"};
  record.host = "vm3";
  try {
    ThrowError(record);
  } catch (const rayx::WorkerDied& died) {
    CHECK(died.signal() == 11);
    CHECK(died.log_lines().size() == 2);
    CHECK(died.host() == "vm3");
    const ErrorRecord again = CaptureException(std::current_exception());
    CHECK(again.code == ErrorCode::kWorkerDied);
    CHECK(again.signal == 11);
  }
}

TEST_CASE("Errors: a number of another release is a VersionMismatch, not a crash") {
  for (const int number : {0, 27, 1000, -1}) {
    ErrorRecord record;
    record.code = static_cast<ErrorCode>(number);
    CHECK_THROWS_AS(ThrowError(record), rayx::VersionMismatch);
  }
}

TEST_CASE("Errors: the numbers are fixed for ever") {
  CHECK(static_cast<int>(ErrorCode::kTaskError) == 1);
  CHECK(static_cast<int>(ErrorCode::kWorkerDied) == 2);
  CHECK(static_cast<int>(ErrorCode::kTimeout) == 11);
  CHECK(static_cast<int>(ErrorCode::kSerializationError) == 19);
  CHECK(static_cast<int>(ErrorCode::kInvalidOption) == 24);
  CHECK(static_cast<int>(ErrorCode::kNameTaken) == 26);
}
