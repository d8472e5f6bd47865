#include "rpc/byte_stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "rpc/openssl_objects.h"

namespace rayx::rpc {

struct StreamSecurity::Tls {
  OpensslContext context;
  std::string peer_name;  // that a client demands; "": a server's
};

struct ByteStream::Connection {
  OpensslConnection ssl;
  bool is_open = false;  // the handshake is done
};

namespace {

// All cluster members have AES in hardware; a longer key would cost a quarter of the speed.
constexpr char kCipherSuites[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr size_t kTlsBytesMax = size_t{1} << 30;  // a call of OpenSSL takes an int

std::string TlsWords() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason == nullptr ? "unknown" : reason;
}

base::Status TlsFailed(const char* what) {
  return absl::InvalidArgumentError(absl::StrCat("TLS: ", what, ": ", TlsWords()));
}

OpensslBio ReadingPem(const std::string& pem) {
  return OpensslBio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

base::StatusOr<OpensslContext> NewContext(const SSL_METHOD* method) {
  OpensslContext context(SSL_CTX_new(method));
  if (context == nullptr) return TlsFailed("no context");
  SSL_CTX* raw = context.get();
  // A stream's bytes say where they end: a connection that is cut ends like one that is closed.
  SSL_CTX_set_options(raw, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(raw, 0);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_clear_mode(raw, SSL_MODE_AUTO_RETRY);
  if (SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(raw, kCipherSuites) != 1) {
    return TlsFailed("no TLS 1.3");
  }
  return context;
}

// The socket as OpenSSL sees it; its own kind would raise SIGPIPE.
int BioWrite(BIO* bio, const char* data, int bytes) {
  BIO_clear_retry_flags(bio);
  const int fd = static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
  const ssize_t n = ::send(fd, data, static_cast<size_t>(bytes), MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(n);
}
int BioRead(BIO* bio, char* data, int bytes) {
  BIO_clear_retry_flags(bio);
  const int fd = static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
  const ssize_t n = ::recv(fd, data, static_cast<size_t>(bytes), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  if (n == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(n);
}
long BioControl(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
  return 0;
}
const BIO_METHOD* SocketMethod() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rayx socket");
    RAYX_CHECK(made != nullptr && BIO_meth_set_write(made, BioWrite) == 1 &&
               BIO_meth_set_read(made, BioRead) == 1 && BIO_meth_set_ctrl(made, BioControl) == 1);
    return made;
  }();
  return method;
}

OpensslConnection NewConnection(SSL_CTX* context, int fd) {
  OpensslConnection ssl(SSL_new(context));
  BIO* bio = BIO_new(SocketMethod());
  RAYX_CHECK(ssl != nullptr && bio != nullptr, "no memory for a TLS connection");
  BIO_set_data(bio, reinterpret_cast<void*>(intptr_t{fd}));
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl.get(), bio, bio);  // takes it
  return ssl;
}

void Set(int fd, int level, int option, int value) {
  ::setsockopt(fd, level, option, &value, sizeof value);
}

// The kernel sizes the buffers by what the way holds; told here: do not wait for more bytes, and
// when the other side counts as gone.
void SetTcpOptions(int fd) {
  Set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  Set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  Set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 10);
  Set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  Set(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  Set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 20'000);
}

}  // namespace

// --- What streams share ---

StreamSecurity::StreamSecurity() = default;
StreamSecurity::~StreamSecurity() = default;

base::StatusOr<std::shared_ptr<const StreamSecurity>> StreamSecurity::OfServer(
    const ClusterCredentials& own) {
  const std::shared_ptr<StreamSecurity> security(new StreamSecurity);
  if (!own.tls()) return security;
  security->tls_ = std::make_unique<Tls>();
  RAYX_ASSIGN_OR_RETURN(security->tls_->context, NewContext(TLS_server_method()));
  SSL_CTX* context = security->tls_->context.get();
  const OpensslBio certificate_bio = ReadingPem(own.certificate_pem);
  const OpensslCertificate certificate(
      PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
  const OpensslBio key_bio = ReadingPem(own.key_pem);
  const OpensslKey key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr || key == nullptr ||
      SSL_CTX_use_certificate(context, certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return TlsFailed("a server needs a certificate and its key");
  }
  return security;
}

base::StatusOr<std::shared_ptr<const StreamSecurity>> StreamSecurity::OfClient(
    const ClusterCredentials& own, Role peer) {
  const std::shared_ptr<StreamSecurity> security(new StreamSecurity);
  if (!own.tls()) return security;
  security->tls_ = std::make_unique<Tls>();
  security->tls_->peer_name = RoleHostName(peer);
  RAYX_ASSIGN_OR_RETURN(security->tls_->context, NewContext(TLS_client_method()));
  SSL_CTX* context = security->tls_->context.get();
  const OpensslBio bio = ReadingPem(own.ca_pem);
  const OpensslCertificate authority(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (authority == nullptr ||
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1) {
    return TlsFailed("not a certificate of an authority");
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  return security;
}

// --- A stream ---

ByteStream::ByteStream(base::UniqueFd fd, std::shared_ptr<const StreamSecurity> security,
                       bool is_connected)
    : fd_(std::move(fd)), security_(std::move(security)), is_connected_(is_connected) {
  SetTcpOptions(fd_.get());
  if (security_->tls_ == nullptr) return;
  tls_ = std::make_unique<Connection>();
  tls_->ssl = NewConnection(security_->tls_->context.get(), fd_.get());
  SSL* ssl = tls_->ssl.get();
  const std::string& name = security_->tls_->peer_name;
  if (name.empty()) {
    SSL_set_accept_state(ssl);
    return;
  }
  SSL_set_connect_state(ssl);
  RAYX_CHECK(SSL_set1_host(ssl, name.c_str()) == 1 &&
             SSL_set_tlsext_host_name(ssl, name.c_str()) == 1);
}

ByteStream::~ByteStream() = default;

std::unique_ptr<ByteStream> ByteStream::Accepted(base::UniqueFd fd,
                                                 std::shared_ptr<const StreamSecurity> security) {
  return std::unique_ptr<ByteStream>(new ByteStream(std::move(fd), std::move(security), true));
}

base::StatusOr<std::unique_ptr<ByteStream>> ByteStream::Connect(
    const io::Address& peer, std::shared_ptr<const StreamSecurity> security) {
  base::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return absl::ResourceExhaustedError(absl::StrCat("socket: ", std::strerror(errno)));
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_port = htons(peer.port);
  if (::inet_pton(AF_INET, peer.ip.c_str(), &name.sin_addr) != 1) {
    return absl::InvalidArgumentError(absl::StrCat("not an IPv4 address: ", peer.ip));
  }
  const int result = ::connect(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof name);
  if (result != 0 && errno != EINPROGRESS) {
    return absl::UnavailableError(std::strerror(errno));
  }
  return std::unique_ptr<ByteStream>(new ByteStream(std::move(fd), std::move(security), false));
}

StreamStep ByteStream::FinishConnect() {
  pollfd waiting{fd_.get(), POLLOUT, 0};
  if (::poll(&waiting, 1, 0) <= 0) return StreamStep::kWantsWrite;
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) {
    error_ = std::strerror(error);
    return StreamStep::kFailed;
  }
  is_connected_ = true;
  return StreamStep::kDone;
}

StreamStep ByteStream::Handshake() {
  if (!is_connected_) {
    const StreamStep step = FinishConnect();
    if (step != StreamStep::kDone) return step;
  }
  if (tls_ == nullptr || tls_->is_open) return StreamStep::kDone;
  ERR_clear_error();
  errno = 0;
  const int result = SSL_do_handshake(tls_->ssl.get());
  if (result != 1) return FromTls(result);
  tls_->is_open = true;
  return StreamStep::kDone;
}

StreamStep ByteStream::FromErrno(StreamStep would_block) {
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return would_block;
  error_ = std::strerror(errno);
  return StreamStep::kFailed;
}

StreamStep ByteStream::FromTls(int result) {
  const int saved_errno = errno;
  SSL* ssl = tls_->ssl.get();
  switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
      return StreamStep::kWantsRead;
    case SSL_ERROR_WANT_WRITE:
      return StreamStep::kWantsWrite;
    case SSL_ERROR_ZERO_RETURN:
      return StreamStep::kEnded;
    case SSL_ERROR_SYSCALL:
      if (saved_errno == 0) return StreamStep::kEnded;
      error_ = std::strerror(saved_errno);
      return StreamStep::kFailed;
    default:
      break;
  }
  error_ = TlsWords();
  if (const long verified = SSL_get_verify_result(ssl); verified != X509_V_OK) {
    absl::StrAppend(&error_, ": ", X509_verify_cert_error_string(verified));
  }
  return StreamStep::kFailed;
}

void ByteStream::BeReadableFrom(size_t bytes) {
  if (std::exchange(readable_from_, bytes) == bytes) return;
  const int low_water = static_cast<int>(std::min<size_t>(bytes, INT_MAX));
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVLOWAT, &low_water, sizeof low_water);
}

StreamProgress ByteStream::Read(std::span<std::byte> into) {
  if (tls_ == nullptr) {
    const ssize_t n = ::recv(fd_.get(), into.data(), into.size(), 0);
    if (n > 0) return {StreamStep::kDone, static_cast<size_t>(n)};
    return {n == 0 ? StreamStep::kEnded : FromErrno(StreamStep::kWantsRead), 0};
  }
  ERR_clear_error();
  const auto wanted = static_cast<int>(std::min(into.size(), kTlsBytesMax));
  errno = 0;
  const int n = SSL_read(tls_->ssl.get(), into.data(), wanted);
  if (n > 0) return {StreamStep::kDone, static_cast<size_t>(n)};
  return {FromTls(n), 0};
}

StreamProgress ByteStream::Write(std::span<const std::byte> from) {
  if (tls_ == nullptr) {
    const ssize_t n = ::send(fd_.get(), from.data(), from.size(), MSG_NOSIGNAL);
    if (n > 0) return {StreamStep::kDone, static_cast<size_t>(n)};
    return {FromErrno(StreamStep::kWantsWrite), 0};
  }
  ERR_clear_error();
  const auto given = static_cast<int>(std::min(from.size(), kTlsBytesMax));
  errno = 0;
  const int n = SSL_write(tls_->ssl.get(), from.data(), given);
  if (n > 0) return {StreamStep::kDone, static_cast<size_t>(n)};
  return {FromTls(n), 0};
}

}  // namespace rayx::rpc
