// runtime/rpc/foreign_certificate.h
//
// A connection that fails because the other side is of another cluster: no repeat helps.
// Owner:    no state.     Threads: any.
#pragma once

#include <string_view>

namespace rayx::rpc {

// By the words of a failed handshake, which are OpenSSL's.
inline bool SaysForeignCertificate(std::string_view message) {
  return message.find("certificate verify failed") != std::string_view::npos;
}

}  // namespace rayx::rpc
