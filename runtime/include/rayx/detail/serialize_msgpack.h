// Classes that say MSGPACK_DEFINE travel as msgpack packs them.
//
// Limits:   everything inside such a class must be known to msgpack itself; ObjectRef and
//           ActorHandle are.
#ifndef RAYX_DETAIL_SERIALIZE_MSGPACK_H_
#define RAYX_DETAIL_SERIALIZE_MSGPACK_H_

#ifndef MSGPACK_NO_BOOST
#define MSGPACK_NO_BOOST
#endif
#include <exception>
#include <msgpack.hpp>
#include <string>
#include <string_view>
#include <type_traits>

#include "rayx/detail/serialize_basic.h"

namespace rayx {
namespace detail {

struct PackerStream {
  Packer* packer;
  void write(const char* data, std::size_t bytes) { packer->Raw(data, bytes); }
};

// The packer of the msgpack::pack that runs on this thread: how a reference inside is noticed.
RAYX_PUBLIC Packer*& CurrentPacker() noexcept;
[[noreturn]] RAYX_PUBLIC void ThrowNoPacker();
// An extension value in the encoded form of packed.h.
RAYX_PUBLIC std::string EncodeExtension(std::int8_t type, const char* data, std::size_t bytes);

class PackerScope {
 public:
  explicit PackerScope(Packer& packer) : previous_(CurrentPacker()) { CurrentPacker() = &packer; }
  ~PackerScope() { CurrentPacker() = previous_; }
  PackerScope(const PackerScope&) = delete;
  PackerScope& operator=(const PackerScope&) = delete;

 private:
  Packer* previous_;
};

template <class T, class = void>
struct HasMsgpack : std::false_type {};
template <class T>
struct HasMsgpack<T, std::void_t<decltype(std::declval<const T&>().msgpack_pack(
                         std::declval<::msgpack::packer<PackerStream>&>()))>> : std::true_type {};

}  // namespace detail

template <class T>
struct Serializer<T, std::enable_if_t<std::is_class_v<T> && detail::HasMsgpack<T>::value &&
                                      !detail::HasFieldsMacro<T>::value>> {
  static void Pack(Packer& packer, const T& value) {
    detail::PackerScope scope(packer);
    detail::PackerStream stream{&packer};
    ::msgpack::packer<detail::PackerStream>(stream).pack(value);
  }
  static T Unpack(Unpacker& unpacker) {
    // SkipValue has checked every announced size, so that msgpack allocates no more than the bytes
    // ask for.
    const std::string_view bytes = unpacker.SkipValue();
    try {
      ::msgpack::zone zone;
      const ::msgpack::object object = ::msgpack::unpack(zone, bytes.data(), bytes.size());
      return object.as<T>();
    } catch (const ::msgpack::type_error&) {
    } catch (const ::msgpack::unpack_error&) {
    }
    unpacker.Fail("the fields of MSGPACK_DEFINE");
  }
};

}  // namespace rayx

#endif  // RAYX_DETAIL_SERIALIZE_MSGPACK_H_
