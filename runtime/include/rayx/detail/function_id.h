// The name and the id of a function, the same in every build and every program.
//
// Purpose:  FunctionText names a function by its signature and qualified name as the compiler
//           spells them; FunctionId hashes that text.
// Promises: constant expressions. Blanks and `__cxx11::` do not count, so that GCC and Clang agree
//           on functions of ordinary types.
// Limits:   functions of internal linkage (static, anonymous namespace) of one name and signature
//           have one text: RAYX_REMOTE adds the source file for those.
#ifndef RAYX_DETAIL_FUNCTION_ID_H_
#define RAYX_DETAIL_FUNCTION_ID_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace rayx::detail {

// Names inside this function's own text: "constexpr auto ...SpellFunction() [with S = int (*)(int);
// auto F = square]" (GCC), "... [S = int (*)(int), F = &square]" (Clang).
template <class S, auto F>
constexpr auto SpellFunction() {
  return std::string_view(__PRETTY_FUNCTION__);
}
template <class S>
constexpr auto SpellType() {
  return std::string_view(__PRETTY_FUNCTION__);
}

struct FunctionText {
  std::string_view signature;  // "int (*)(int)", "int (Counter::*)(int) const"
  std::string_view name;       // "app::square", "Counter::Add"
};

constexpr std::string_view Between(std::string_view text, std::string_view open,
                                   std::string_view close) {
  const std::size_t begin = text.find(open) + open.size();
  const std::size_t end = close.empty() ? text.size() - 1 : text.rfind(close);
  return text.substr(begin, end - begin);
}

template <auto F>
constexpr FunctionText TextOf() {
  constexpr std::string_view text = SpellFunction<decltype(F), F>();
#ifdef __clang__
  constexpr std::string_view separator = ", F = ";
#else
  constexpr std::string_view separator = "; auto F = ";
#endif
  FunctionText result{Between(text, "S = ", separator), {}};
  const std::size_t name = text.rfind(separator) + separator.size();
  result.name = text.substr(name, text.size() - 1 - name);
  if (!result.name.empty() && result.name.front() == '&') result.name.remove_prefix(1);
  return result;
}

// FNV-1a, 64 bits, with a final mix: short names must differ in all bits.
class Hash64 {
 public:
  constexpr void AddByte(char c) {
    state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  constexpr void AddText(std::string_view text) {
    constexpr std::string_view kAbi = "__cxx11::";
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '_' && text.substr(i, kAbi.size()) == kAbi) {
        i += kAbi.size() - 1;
      } else if (text[i] != ' ') {
        AddByte(text[i]);
      }
    }
    AddByte('\0');
  }
  constexpr std::uint64_t Value() const {
    std::uint64_t x = state_;
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    return x ^ (x >> 33);
  }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325ULL;
};

constexpr std::uint64_t HashFunction(const FunctionText& text, std::string_view source_file,
                                     std::string_view host_class) {
  Hash64 hash;
  hash.AddText(text.signature);
  hash.AddText(text.name);
  if (!source_file.empty()) hash.AddText(source_file);
  if (!host_class.empty()) hash.AddText(host_class);
  return hash.Value();
}

template <auto F>
inline constexpr std::uint64_t kFunctionId = HashFunction(TextOf<F>(), {}, {});

template <class T>
constexpr std::string_view TypeName() {
  constexpr std::string_view text = SpellType<T>();
  return Between(text, "S = ", "");
}

template <class T>
inline constexpr std::uint64_t kTypeHash = [] {
  Hash64 hash;
  hash.AddText(TypeName<T>());
  return hash.Value();
}();

// For people: "int app::square(int)", "int Counter::Add(int) const".
inline std::string DisplayName(const FunctionText& text) {
  const std::size_t open = text.signature.find('(');
  const std::size_t star = text.signature.find("*)", open);
  if (open == std::string_view::npos || star == std::string_view::npos) {
    return std::string(text.name);
  }
  std::string result(text.signature.substr(0, open));
  result += text.name;
  result += text.signature.substr(star + 2);
  return result;
}

}  // namespace rayx::detail

#endif  // RAYX_DETAIL_FUNCTION_ID_H_
