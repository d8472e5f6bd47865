// runtime/rpc/secret.h
//
// Random words, secret files and the comparison of secrets.
// Owner:    values.
// Threads:  any.
// Promises: randomness is getrandom's; a secret file is made with mode 0600, replaced atomically,
//           and refused on reading when other users may read it or it belongs to one of them;
//           comparing takes a time that depends on the lengths alone. No error message contains a
//           secret.
// Limits:   files up to 64 KiB.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/status.h"

namespace rayx::rpc {

inline constexpr size_t kTokenBytes = 32;  // 256 bits: 64 hex digits as text

// `bytes` random bytes as lower-case hex.
std::string RandomHex(size_t bytes);

// 64 lower-case hex digits.
bool IsToken(std::string_view text);

bool EqualInConstantTime(std::string_view a, std::string_view b);

base::Status WriteSecretFile(const std::string& path, std::string_view contents);
base::StatusOr<std::string> ReadSecretFile(const std::string& path);

}  // namespace rayx::rpc
