// ObjectRef and ActorHandle inside classes that say MSGPACK_DEFINE.
//
// Owner:    no state.
// Threads:  any; packing uses the packer of its thread.
// Promises: a reference inside such a class is held on its way like any other; packed by msgpack
//           alone, outside of a remote call, it throws SerializationError.
#ifndef RAYX_DETAIL_MSGPACK_ADAPTORS_H_
#define RAYX_DETAIL_MSGPACK_ADAPTORS_H_

#include "rayx/actor.h"
#include "rayx/detail/serialize_msgpack.h"
#include "rayx/object_ref.h"

namespace rayx::detail {

// Packs into the packer of this thread; outside of one a reference would be lost on the way.
template <class T>
void PackInside(const T& value) {
  if (CurrentPacker() == nullptr) ThrowNoPacker();
  CurrentPacker()->Pack(value);
}

// One msgpack extension value, read as if it stood alone.
template <class T>
T UnpackInside(const ::msgpack::object& object) {
  if (object.type != ::msgpack::type::EXT) throw ::msgpack::type_error();
  const std::string encoded =
      EncodeExtension(object.via.ext.type(), object.via.ext.data(), object.via.ext.size);
  Fetched value;
  value.data = reinterpret_cast<const std::byte*>(encoded.data());
  value.bytes = encoded.size();
  return UnpackValue<T>(value);
}

}  // namespace rayx::detail

namespace msgpack {
MSGPACK_API_VERSION_NAMESPACE(MSGPACK_DEFAULT_API_NS) {
  namespace adaptor {

  template <class T>
  struct pack<rayx::ObjectRef<T>> {
    template <class Stream>
    packer<Stream>& operator()(packer<Stream>& out, const rayx::ObjectRef<T>& value) const {
      rayx::detail::PackInside(value);
      return out;
    }
  };
  template <class T>
  struct convert<rayx::ObjectRef<T>> {
    const msgpack::object& operator()(const msgpack::object& in, rayx::ObjectRef<T>& value) const {
      value = rayx::detail::UnpackInside<rayx::ObjectRef<T>>(in);
      return in;
    }
  };
  template <class T>
  struct pack<rayx::ActorHandle<T>> {
    template <class Stream>
    packer<Stream>& operator()(packer<Stream>& out, const rayx::ActorHandle<T>& value) const {
      rayx::detail::PackInside(value);
      return out;
    }
  };
  template <class T>
  struct convert<rayx::ActorHandle<T>> {
    const msgpack::object& operator()(const msgpack::object& in,
                                      rayx::ActorHandle<T>& value) const {
      value = rayx::detail::UnpackInside<rayx::ActorHandle<T>>(in);
      return in;
    }
  };

  }  // namespace adaptor
}  // MSGPACK_API_VERSION_NAMESPACE
}  // namespace msgpack

#endif  // RAYX_DETAIL_MSGPACK_ADAPTORS_H_
