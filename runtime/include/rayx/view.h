// Reading a large object in place.
//
// Purpose:  GetView(ref) reads a std::string or a std::vector of plain numbers (or plain structs of
//           numbers) where it lies, without a copy. So does a function whose parameter is a View<T>
//           (or a const reference to one): it is called with a T, an ObjectRef<T> or a View<T>.
// Owner:    a View pins the object's bytes until it ends. What it converts to does not: hence only
//           named views convert.
// Promises: the bytes never change. Writing through a cast pointer ends the process.
// Limits:   a small value may be a private copy inside the view.
#ifndef RAYX_VIEW_H_
#define RAYX_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#if __cplusplus >= 202002L
#include <span>
#endif

#include "rayx/object_ref.h"

namespace rayx {
namespace detail {

template <class T>
struct ViewTraits {
  static constexpr bool kHasView = false;
  using Element = char;
};
template <class T>
struct ViewTraits<std::vector<T>> {
  static constexpr bool kHasView = kIsRaw<T>;
  using Element = T;
};
template <>
struct ViewTraits<std::string> {
  static constexpr bool kHasView = true;
  using Element = char;
};

}  // namespace detail

// An object in place. T: std::string, or std::vector of plain numbers or structs of numbers.
template <class T>
class View {
 public:
  static_assert(
      detail::ViewTraits<T>::kHasView,
      "rayx::View is for std::string and for std::vector of plain numbers or plain structs of "
      "numbers: use Get for other types.");
  using Element = typename detail::ViewTraits<T>::Element;

  View() = default;
  // `pin` keeps the elements in place.
  View(std::shared_ptr<const void> pin, const Element* data, std::size_t size)
      : pin_(std::move(pin)), data_(data), size_(size) {}

  // As those of std::span:
  const Element* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  const Element* begin() const noexcept { return data_; }
  const Element* end() const noexcept { return data_ + size_; }
  const Element& operator[](std::size_t i) const noexcept { return data_[i]; }

#if __cplusplus >= 202002L
  // Of a named view only.
  operator std::span<const Element>() const& noexcept {
    return {data_, size_};
  }  // NOLINT
  operator std::span<const Element>() const&& = delete;
#endif
  // A View of a std::string is a std::string_view; a temporary one is not.
  template <class Text, class = std::enable_if_t<std::is_same_v<Text, std::string_view> &&
                                                 std::is_same_v<T, std::string>>>
  operator Text() const& noexcept {  // NOLINT: implicit, as std::string converts
    return {data_, size_};
  }
  template <class Text, class = std::enable_if_t<std::is_same_v<Text, std::string_view>>>
  operator Text() const&& = delete;

 private:
  std::shared_ptr<const void> pin_;
  const Element* data_ = nullptr;
  std::size_t size_ = 0;
};

namespace detail {

template <class T>
View<T> UnpackView(Unpacker& unpacker) {
  using Element = typename View<T>::Element;
  BufferView bytes;
  if constexpr (std::is_same_v<T, std::string>) {
    const std::string_view text = unpacker.String();
    bytes = {reinterpret_cast<const std::byte*>(text.data()), text.size(), false};
  } else {
    bytes = unpacker.Buffer();
    if (bytes.bytes % sizeof(Element) != 0) unpacker.Fail("a whole number of elements");
  }
  const std::size_t count = bytes.bytes / sizeof(Element);
  std::shared_ptr<const void> pin = unpacker.Pin();
  const bool aligned = reinterpret_cast<std::uintptr_t>(bytes.data) % alignof(Element) == 0;
  if (pin != nullptr && aligned) {
    return View<T>(std::move(pin), reinterpret_cast<const Element*>(bytes.data), count);
  }
  auto copy = std::make_shared<std::vector<Element>>(count);
  if (count != 0) std::memcpy(static_cast<void*>(copy->data()), bytes.data, bytes.bytes);
  const Element* data = copy->data();
  return View<T>(std::move(copy), data, count);
}

}  // namespace detail

// A view travels as what it views.
template <class T>
struct Serializer<View<T>> {
  static void Pack(Packer& packer, const View<T>& view) {
    if constexpr (std::is_same_v<T, std::string>) {
      packer.String({view.data(), view.size()});
    } else {
      packer.Buffer(view.data(), view.size() * sizeof(typename View<T>::Element));
    }
  }
  static View<T> Unpack(Unpacker& unpacker) { return detail::UnpackView<T>(unpacker); }
};

// Waits for the value, as Get, and gives a view of it.
template <class T>
View<T> GetView(const ObjectRef<T>& ref, int timeout_ms = -1) {
  detail::Fetched value;
  detail::Runtime().Get(&ref.hold().Use(), 1, detail::Milliseconds(timeout_ms), &value);
  Unpacker unpacker(value, ref.hold().raw());
  View<T> view = detail::UnpackView<T>(unpacker);
  unpacker.ExpectEnd();
  return view;
}

}  // namespace rayx

#endif  // RAYX_VIEW_H_
