#include "cli/microbenchmark/stream_limit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>

#include "base/status.h"
#include "cli/microbenchmark/rows.h"
#include "cli/microbenchmark/transfer_content.h"
#include "rpc/certificate.h"

namespace rayx::cli {
namespace {

constexpr char kReceiver[] = "stream-receiver";  // asked for nothing; says its port
constexpr char kTlsReceiver[] = "tls-receiver";
constexpr char kSender[] = "stream-sender";  // asked "IP PORT", then "send"; says seconds
constexpr char kTlsSender[] = "tls-sender";
constexpr size_t kCallBytes = 1u << 20;  // of one send or receive
constexpr char kHaveAll = 'a';
constexpr char kIsRight = 'r';

[[noreturn]] void ThrowErrno(const char* what) {
  throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

[[noreturn]] void ThrowTls(const char* what) {
  char text[256];
  ::ERR_error_string_n(::ERR_get_error(), text, sizeof text);
  throw std::runtime_error(std::string(what) + ": " + text);
}

using Context = std::unique_ptr<SSL_CTX, decltype(&::SSL_CTX_free)>;
using Session = std::unique_ptr<SSL, decltype(&::SSL_free)>;

// A connected socket, with TLS where there is a session.
class Stream {
 public:
  Stream(base::UniqueFd socket, Context context)
      : socket_(std::move(socket)), context_(std::move(context)), session_(nullptr, ::SSL_free) {
    const int on = 1;
    ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!context_) return;
    session_.reset(::SSL_new(context_.get()));
    if (!session_ || ::SSL_set_fd(session_.get(), socket_.get()) != 1) ThrowTls("SSL_new");
  }

  void ShakeHands(bool as_server) {
    if (!session_) return;
    const int done = as_server ? ::SSL_accept(session_.get()) : ::SSL_connect(session_.get());
    if (done != 1) ThrowTls("the TLS handshake");
  }

  void Send(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const size_t part = std::min(bytes.size(), kCallBytes);
      const ssize_t sent = session_
                               ? ::SSL_write(session_.get(), bytes.data(), static_cast<int>(part))
                               : ::send(socket_.get(), bytes.data(), part, MSG_NOSIGNAL);
      if (sent <= 0) session_ ? ThrowTls("SSL_write") : ThrowErrno("send");
      bytes = bytes.subspan(static_cast<size_t>(sent));
    }
  }

  // False: the other end has closed it before the first byte.
  bool Receive(std::span<std::byte> bytes) {
    const size_t all = bytes.size();
    while (!bytes.empty()) {
      const size_t part = std::min(bytes.size(), kCallBytes);
      const ssize_t got = session_
                              ? ::SSL_read(session_.get(), bytes.data(), static_cast<int>(part))
                              : ::recv(socket_.get(), bytes.data(), part, 0);
      if (got <= 0 && bytes.size() == all) return false;
      if (got <= 0) throw std::runtime_error("the stream ended early");
      bytes = bytes.subspan(static_cast<size_t>(got));
    }
    return true;
  }

 private:
  base::UniqueFd socket_;
  Context context_;  // null: no TLS
  Session session_;
};

Context NoTls() {
  return {nullptr, ::SSL_CTX_free};
}

Context NewContext(const SSL_METHOD* method) {
  Context context(::SSL_CTX_new(method), ::SSL_CTX_free);
  if (!context) ThrowTls("SSL_CTX_new");
  ::SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  // What RayX prefers (rpc/byte_stream.cc): OpenSSL's own choice takes longer.
  if (::SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_128_GCM_SHA256") != 1) ThrowTls("cipher");
  return context;
}

// Nobody is known to the other: this is about bytes, which the receiver compares, in a network of
// two processes of ours.
Context SenderTls() {
  Context context = NewContext(::TLS_client_method());
  ::SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  return context;
}

template <class T>
T SecretOrThrow(base::StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(std::string(base::Message(value.status())));
  return std::move(*value);
}

Context ReceiverTls() {
  const auto authority = SecretOrThrow(rpc::CertificateAuthority::Make("stream"));
  const auto request = SecretOrThrow(rpc::MakeSigningRequest());
  const std::string certificate =
      SecretOrThrow(authority->Sign(request.request_pem, rpc::Role::kNode, "127.0.0.1"));
  const auto memory = [](const std::string& text) {
    return std::unique_ptr<BIO, decltype(&::BIO_free)>(
        ::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), ::BIO_free);
  };
  const std::unique_ptr<X509, decltype(&::X509_free)> parsed(
      ::PEM_read_bio_X509(memory(certificate).get(), nullptr, nullptr, nullptr), ::X509_free);
  const std::unique_ptr<EVP_PKEY, decltype(&::EVP_PKEY_free)> key(
      ::PEM_read_bio_PrivateKey(memory(request.key_pem).get(), nullptr, nullptr, nullptr),
      ::EVP_PKEY_free);
  Context context = NewContext(::TLS_server_method());
  if (!parsed || !key || ::SSL_CTX_use_certificate(context.get(), parsed.get()) != 1 ||
      ::SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
    ThrowTls("the certificate");
  }
  return context;
}

base::UniqueFd NewSocket() {
  base::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) ThrowErrno("socket");
  return socket;
}

base::UniqueFd AcceptOne() {
  const base::UniqueFd listener = NewSocket();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener.get(), generic, size) != 0 || ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), generic, &size) != 0) {
    ThrowErrno("listen");
  }
  SayNumbers({static_cast<double>(ntohs(address.sin_port))});
  base::UniqueFd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!accepted) ThrowErrno("accept");
  return accepted;
}

base::UniqueFd Connect(const std::string& ip, uint16_t port) {
  base::UniqueFd socket = NewSocket();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, ip.c_str(), &address.sin_addr) != 1) {
    throw std::runtime_error("no address: " + ip);
  }
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ThrowErrno("connect");
  }
  return socket;
}

// Round i is of seed i at both ends.
void Receive(Context context) {
  Stream stream(AcceptOne(), std::move(context));
  stream.ShakeHands(true);
  std::vector<uint64_t> words(kTransferWords, 1);
  for (uint64_t seed = 1; stream.Receive(std::as_writable_bytes(std::span(words))); ++seed) {
    stream.Send(std::as_bytes(std::span(&kHaveAll, 1)));
    ExpectWords(words, seed);
    stream.Send(std::as_bytes(std::span(&kIsRight, 1)));
  }
}

void ExpectAnswer(Stream& stream, char wanted) {
  char answer = 0;
  if (!stream.Receive(std::as_writable_bytes(std::span(&answer, 1))) || answer != wanted) {
    throw std::runtime_error("the receiver has not got what was sent");
  }
}

void Send(Context context) {
  std::string ip, word;
  uint16_t port = 0;
  if (!(std::cin >> ip >> port)) throw std::runtime_error("where to?");
  Stream stream(Connect(ip, port), std::move(context));
  stream.ShakeHands(false);
  SayNumbers({1});
  std::vector<uint64_t> words(kTransferWords);
  for (uint64_t seed = 1; std::cin >> word; ++seed) {
    FillWords(words, seed);
    const auto start = RowClock::now();
    stream.Send(std::as_bytes(std::span(words)));
    ExpectAnswer(stream, kHaveAll);
    const double seconds = SecondsSince(start);
    ExpectAnswer(stream, kIsRight);
    SayNumbers({seconds});
  }
}

}  // namespace

StreamLimit::StreamLimit(const std::shared_ptr<VmCluster>& cluster, Wire wire)
    : receiver_(cluster, 2, wire == Wire::kTls ? kTlsReceiver : kReceiver),
      sender_(cluster, 1, wire == Wire::kTls ? kTlsSender : kSender) {
  const auto port = static_cast<int>(receiver_.Numbers(1)[0]);
  sender_.Ask(cluster->Address(2) + " " + std::to_string(port), 1);
}

double StreamLimit::Seconds() {
  return sender_.Ask("send", 1)[0];
}

std::vector<Part> StreamParts() {
  return {{kReceiver, [] { Receive(NoTls()); }},
          {kTlsReceiver, [] { Receive(ReceiverTls()); }},
          {kSender, [] { Send(NoTls()); }},
          {kTlsSender, [] { Send(SenderTls()); }}};
}

}  // namespace rayx::cli
