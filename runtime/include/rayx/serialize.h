// How values travel.
//
// Purpose:  says which types may be arguments, results and objects, and how to make others so.
// Promises: without a word: numbers, bool, enumerations, std::string, the containers of the
//           standard library, std::optional, variant, tuple, pair, array, chrono, complex,
//           unique_ptr and shared_ptr (by value), rayx::ObjectRef, rayx::ActorHandle, and plain
//           structs of at most 16 fields of those. A vector of plain numbers or plain structs of
//           numbers, and a string, travels as one block: from 4 KiB on it is written once, 64-byte
//           aligned, and can be read in place (view.h). With RAYX_SERIALIZE or msgpack's
//           MSGPACK_DEFINE inside: any class that can be made empty. With a specialisation of
//           rayx::Serializer: any type.
// Limits:   values nested deeper than 1000 are refused with SerializationError. Pointers and views
//           do not compile. Both ends run the same program, so nothing here is self-describing.
#ifndef RAYX_SERIALIZE_H_
#define RAYX_SERIALIZE_H_

#include <tuple>

#include "rayx/detail/packed.h"
#include "rayx/detail/packer.h"
#include "rayx/detail/serialize_basic.h"
#include "rayx/detail/serialize_containers.h"
#include "rayx/detail/serialize_msgpack.h"
#include "rayx/detail/serialize_wrappers.h"
#include "rayx/detail/unpacker.h"

// RAYX_SERIALIZE(a, b, c) inside a class: these fields travel, in this order.
#define RAYX_SERIALIZE(...)                  \
  friend struct ::rayx::detail::FieldAccess; \
  auto RayxFields() const {                  \
    return ::std::tie(__VA_ARGS__);          \
  }

// A type of your own:
//   template <> struct rayx::Serializer<app::Mesh> {
//     static void Pack(rayx::Packer& packer, const app::Mesh& mesh);
//     static app::Mesh Unpack(rayx::Unpacker& unpacker);
//   };
// Pack writes exactly one value (an ArrayHeader(n) and n values count as one); Unpack reads it. See
// detail/packer.h and detail/unpacker.h for what they offer: buffers out of band, and what pins
// them.

namespace rayx::detail {

template <class T>
Packed PackValue(const T& value) {
  Packed packed;
  Packer(packed).Pack(value);
  return packed;
}

template <class T>
T UnpackValue(const Fetched& value, RawRef reference = {}) {
  Unpacker unpacker(value, reference);
  T result = unpacker.Unpack<T>();
  unpacker.ExpectEnd();
  return result;
}

}  // namespace rayx::detail

#endif  // RAYX_SERIALIZE_H_
