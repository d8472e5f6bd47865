#include "io/address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"

namespace rayx::io {
namespace {

std::string Dotted(const in_addr& address) {
  char text[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &address, text, sizeof text);
  return text;
}

base::StatusOr<std::string> Resolve(const std::string& host, const std::string& whole) {
  in_addr literal;
  if (::inet_pton(AF_INET, host.c_str(), &literal) == 1) return Dotted(literal);
  if (host == "localhost") return std::string("127.0.0.1");
  addrinfo hints = {};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("address \"", whole, "\": \"", host,
                     "\" is neither an IPv4 address nor a known host name (", ::gai_strerror(error),
                     "); expected ip:port, for example 10.0.0.5:7399"));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, &::freeaddrinfo);
  return Dotted(reinterpret_cast<const sockaddr_in*>(found->ai_addr)->sin_addr);
}

}  // namespace

base::StatusOr<Address> ParseAddress(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0 || text.size() > 300) {
    return absl::InvalidArgumentError(absl::StrCat(
        "address \"", text.substr(0, 300), "\": expected ip:port, for example 10.0.0.5:7399"));
  }
  const std::string port_text = text.substr(colon + 1);
  uint32_t port = 0;
  const char* end = port_text.data() + port_text.size();
  const auto parsed = std::from_chars(port_text.data(), end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end || port < 1 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("address \"", text, "\": \"", port_text,
                                                   "\" is not a port; expected 1 to 65535"));
  }
  RAYX_ASSIGN_OR_RETURN(std::string ip, Resolve(text.substr(0, colon), text));
  return Address{std::move(ip), static_cast<uint16_t>(port)};
}

base::Status CheckListenIp(const std::string& ip) {
  in_addr wanted;
  if (::inet_pton(AF_INET, ip.c_str(), &wanted) != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", ip,
        "\" is not an IPv4 address; expected an address of this VM, for example 10.0.0.5"));
  }
  if (wanted.s_addr == INADDR_ANY) {
    return absl::InvalidArgumentError(
        "0.0.0.0 is not an address that other VMs can be told; expected the address of one "
        "interface of this VM, for example 10.0.0.5");
  }
  if ((ntohl(wanted.s_addr) >> 24) == 127) return base::OkStatus();
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return base::OkStatus();  // bind will tell
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, &::freeifaddrs);
  std::string known;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    const in_addr& address = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr;
    if (address.s_addr == wanted.s_addr) return base::OkStatus();
    absl::StrAppend(&known, known.empty() ? "" : ", ", Dotted(address));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(ip, " is not an address of this VM; it has ", known.empty() ? "none" : known));
}

base::StatusOr<std::string> LocalIpToward(const Address& peer) {
  const auto failed = [&](const char* what) {
    return absl::UnavailableError(absl::StrCat("there is no route to ", peer.ip, " (", what, ": ",
                                               std::strerror(errno), ")"));
  };
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed("socket");
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(peer.port);
  ::inet_pton(AF_INET, peer.ip.c_str(), &address.sin_addr);
  socklen_t length = sizeof address;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), length) != 0) {
    const auto status = failed("connect");
    ::close(fd);
    return status;
  }
  sockaddr_in local = {};
  length = sizeof local;
  const int result = ::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &length);
  ::close(fd);
  if (result != 0) return failed("getsockname");
  return Dotted(local.sin_addr);
}

}  // namespace rayx::io
