// runtime/io/address.h
//
// TCP addresses as users write them.
// Owner:    values.           Threads: any.
// Promises: ParseAddress answers with an error that names the text and what was expected; a name is
//           resolved (IPv4, may block on DNS), so that equal addresses compare equal.
// Limits:   IPv4.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "base/status.h"

namespace rayx::io {

inline constexpr uint16_t kDefaultPort = 7399;

struct Address {
  std::string ip;  // dotted, never a name
  uint16_t port = 0;
  std::string ToString() const { return ip + ":" + std::to_string(port); }
  friend auto operator<=>(const Address&, const Address&) = default;
};

// Of a dotted IPv4 address: only this VM reaches it.
inline bool IsLoopback(const std::string& ip) {
  return ip.starts_with("127.");
}

// "10.0.0.5:7399", "localhost:7399", "vm1:7399". Port 1 to 65535.
base::StatusOr<Address> ParseAddress(const std::string& text);

// One IPv4 address of an interface of this VM, as a server listens on it. Not 0.0.0.0: other VMs
// are told this address.
base::Status CheckListenIp(const std::string& ip);

// The address by which this VM reaches `peer`: what a node there should call it by. No packet is
// sent.
base::StatusOr<std::string> LocalIpToward(const Address& peer);

}  // namespace rayx::io
