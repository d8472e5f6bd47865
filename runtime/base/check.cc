#include "base/check.h"

#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace rayx::base {

void CheckFailed(const char* file, int line, const char* condition,
                 std::string_view message) noexcept {
  std::array<char, 16> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), line).ptr;
  const auto part = [](std::string_view text) {
    return iovec{const_cast<char*>(text.data()), text.size()};
  };
  const std::array<iovec, 8> parts = {
      part(file),
      part(":"),
      part({digits.data(), static_cast<std::size_t>(end - digits.data())}),
      part(": check failed: "),
      part(condition),
      part(message.empty() ? "" : ": "),
      part(message),
      part("\n")};
  // One call, so that lines of several processes do not mix.
  [[maybe_unused]] const auto written = ::writev(STDERR_FILENO, parts.data(), parts.size());
  std::abort();
}

}  // namespace rayx::base
