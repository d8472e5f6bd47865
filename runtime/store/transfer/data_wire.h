// runtime/store/transfer/data_wire.h
//
// What two daemons say to each other on a data connection, around the bytes of objects.
// Owner:    values; no state.
// Threads:  any.
// Inputs:   bytes of a peer: hostile until the functions here have said otherwise.
// Promises: every message has one size, or says one that is bounded here: nobody allocates by a
//           peer's word.
//
// The client speaks first: a DataGreeting, and behind it, without waiting, its first DataRequest.
// The server answers the greeting with a DataWelcome and closes unless it is kWelcome; bytes that
// are no greeting get no answer. Then requests, one at a time: each is answered by a DataHead and
// what that announces. Whatever breaks this order ends the connection.
//
// Little-endian, as on every machine that we run on (model/frame.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/status.h"
#include "model/frame.h"
#include "store/chunk_source.h"

namespace rayx::store {

inline constexpr uint64_t kDataMagic = 0x4154414458594152;  // "RAYXDATA"
inline constexpr uint32_t kDataVersion = 1;                 // digest 0286b7c4496c96f6
inline constexpr size_t kTokenTextBytes = 64;
inline constexpr size_t kRefusalBytesMax = 512;

// Its layout is that of every version, so that strangers can tell each other apart.
struct DataGreeting {
  uint64_t magic = kDataMagic;
  uint32_t version = kDataVersion;
  uint32_t reserved = 0;
  char token[kTokenTextBytes] = {};
};
static_assert(sizeof(DataGreeting) == 80);

enum class DataVerdict : uint32_t { kWelcome = 1, kWrongToken = 2, kWrongVersion = 3 };

struct DataWelcome {
  uint64_t magic = kDataMagic;
  uint32_t version = kDataVersion;
  DataVerdict verdict = DataVerdict::kWelcome;
};
static_assert(sizeof(DataWelcome) == 16);

// A part of an object. NodeStore::Serve says what may be asked for.
struct DataRequest {
  model::StoredLocation source;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  uint32_t asker = 0;  // node
  uint32_t reserved = 0;
};
static_assert(sizeof(DataRequest) == 72);

enum class DataAnswer : uint32_t {
  kBytes = 1,    // `count` node numbers that have or make copies, then `bytes` from `offset` on
  kLost = 2,     // the object is not there: `count` bytes of text say why
  kRefused = 3,  // for another reason, which `count` bytes of text tell
};

struct DataHead {
  DataAnswer answer = DataAnswer::kBytes;
  uint32_t count = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};
static_assert(sizeof(DataHead) == 24);

// The verdict on a greeting, in a time that tells nothing of the token. NotFound: no greeting.
base::StatusOr<DataVerdict> Judge(const DataGreeting& greeting, std::string_view token);

// InvalidArgument: not an answer to a request for `asked`: what it announces is larger than it may
// be, or bytes that were not asked for. A kBytes may bring less: of a copy, the first part in a
// row that is there.
base::Status CheckHead(const DataHead& head, ByteRange asked);

// A message as the bytes that travel.
template <typename Message>
std::span<const std::byte> BytesOf(const Message& message) {
  static_assert(std::is_trivially_copyable_v<Message>);
  return std::as_bytes(std::span(&message, 1));
}
template <typename Message>
std::span<std::byte> RoomOf(Message& message) {
  static_assert(std::is_trivially_copyable_v<Message>);
  return std::as_writable_bytes(std::span(&message, 1));
}

}  // namespace rayx::store
