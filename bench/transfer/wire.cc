#include "bench/transfer/wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace rayx::bench {
namespace {

constexpr uint16_t kPort = 7398;
constexpr size_t kPieceBytes = size_t{1} << 20;

[[noreturn]] void Fail(const char* what) {
  std::fprintf(stderr, "rayx-transfer: %s: %s\n", what, std::strerror(errno));
  ERR_print_errors_fp(stderr);
  std::exit(1);
}

sockaddr_in NameOf(const std::string& ip) {
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_port = htons(kPort);
  if (::inet_pton(AF_INET, ip.c_str(), &name.sin_addr) != 1) Fail("address");
  return name;
}

// Shared memory, as objects lie in.
std::byte* Memory(size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) Fail("mmap");
  std::memset(memory, 1, bytes);
  return static_cast<std::byte*>(memory);
}

class Wire {
 public:
  Wire(int fd, bool tls, bool is_server) : fd_(fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!tls) return;
    SSL_CTX* context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
    if (is_server) UseOwnCertificate(context);
    ssl_ = SSL_new(context);
    SSL_set_fd(ssl_, fd);
    if ((is_server ? SSL_accept(ssl_) : SSL_connect(ssl_)) != 1) Fail("TLS");
  }
  // False: the other side has closed.
  bool Take(std::byte* into, size_t bytes) {
    while (bytes > 0) {
      const size_t piece = std::min(bytes, kPieceBytes);
      const auto n = ssl_ != nullptr ? SSL_read(ssl_, into, static_cast<int>(piece))
                                     : ::recv(fd_, into, piece, 0);
      if (n <= 0) return false;
      into += n;
      bytes -= static_cast<size_t>(n);
    }
    return true;
  }
  void Send(const std::byte* from, size_t bytes) {
    while (bytes > 0) {
      const size_t piece = std::min(bytes, kPieceBytes);
      const auto n = ssl_ != nullptr ? SSL_write(ssl_, from, static_cast<int>(piece))
                                     : ::send(fd_, from, piece, MSG_NOSIGNAL);
      if (n <= 0) Fail("send");
      from += n;
      bytes -= static_cast<size_t>(n);
    }
  }

 private:
  static void UseOwnCertificate(SSL_CTX* context) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    if (SSL_CTX_use_certificate(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(context, key) != 1) {
      Fail("certificate");
    }
  }

  const int fd_;
  SSL* ssl_ = nullptr;
};

}  // namespace

void SendOnWire(const WireOptions& options) {
  const std::byte* memory = Memory(options.bytes);
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in name = NameOf(options.ip);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 ||
      ::listen(listener, 1) != 0) {
    Fail("listen");
  }
  Wire wire(::accept(listener, nullptr, nullptr), options.tls, true);
  std::byte go{};
  while (wire.Take(&go, 1)) wire.Send(memory, options.bytes);
}

std::vector<double> TakeFromWire(const WireOptions& options) {
  std::byte* memory = Memory(options.bytes);
  const sockaddr_in name = NameOf(options.ip);
  int fd = -1;
  for (int tries = 0; tries < 500; ++tries) {
    fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0) break;
    ::close(fd);
    fd = -1;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  if (fd < 0) Fail("connect");
  Wire wire(fd, options.tls, false);
  std::vector<double> seconds;
  for (int i = 0; i < options.rounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const std::byte go{1};
    wire.Send(&go, 1);
    if (!wire.Take(memory, options.bytes)) Fail("receive");
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return seconds;
}

}  // namespace rayx::bench
