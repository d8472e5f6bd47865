#include "rpc/certificate.h"

#include <arpa/inet.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "rpc/openssl_objects.h"

namespace rayx::rpc {
namespace {

using Bio = OpensslBio;
using Key = OpensslKey;
using Certificate = OpensslCertificate;
using Request = std::unique_ptr<X509_REQ, OpensslDeleter<X509_REQ_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, OpensslDeleter<X509_EXTENSION_free>>;

constexpr size_t kPemBytesMax = 16 * 1024;
constexpr long kDaySeconds = 24 * 3600;
constexpr long kValidSeconds = 3650 * kDaySeconds;

base::Status Failed(const char* what) {
  char text[256] = "unknown";
  if (const unsigned long error = ERR_get_error(); error != 0) {
    ERR_error_string_n(error, text, sizeof text);
  }
  ERR_clear_error();
  return absl::InternalError(absl::StrCat("TLS: ", what, " failed: ", text));
}

Bio ReadingFrom(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

template <typename WriteFunction>
base::StatusOr<std::string> ToPem(const char* what, WriteFunction write) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || write(bio.get()) != 1) return Failed(what);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

base::StatusOr<std::string> KeyToPem(EVP_PKEY* key) {
  return ToPem("writing a key", [key](BIO* bio) {
    return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

base::StatusOr<std::string> CertificateToPem(X509* certificate) {
  return ToPem("writing a certificate",
               [certificate](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

base::Status SetName(X509_NAME* name, const std::string& common_name) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(common_name.data());
  if (X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, bytes,
                                 static_cast<int>(common_name.size()), -1, 0) != 1) {
    return Failed("naming a certificate");
  }
  return base::OkStatus();
}

base::Status AddExtension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return Failed("extending a certificate");
  }
  return base::OkStatus();
}

// Serial number, version, validity (a day back, for clocks that differ), subject and public key.
base::StatusOr<Certificate> NewCertificate(EVP_PKEY* key, const std::string& common_name) {
  Certificate certificate(X509_new());
  unsigned char serial[16];
  if (certificate == nullptr || RAND_bytes(serial, sizeof serial) != 1) return Failed("X509_new");
  serial[0] = static_cast<unsigned char>((serial[0] & 0x7f) | 1);  // positive, not zero
  BIGNUM* number = BN_bin2bn(serial, sizeof serial, nullptr);
  const bool numbered =
      number != nullptr && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  if (!numbered || X509_set_version(certificate.get(), 2) != 1 ||
      X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kDaySeconds) == nullptr ||
      X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kValidSeconds) == nullptr ||
      X509_set_pubkey(certificate.get(), key) != 1) {
    return Failed("making a certificate");
  }
  RAYX_RETURN_IF_ERROR(SetName(X509_get_subject_name(certificate.get()), common_name));
  return certificate;
}

// The request's public key, after every check that its bytes need.
base::StatusOr<Key> PublicKeyOf(const std::string& request_pem) {
  const auto refuse = [](const char* why) {
    ERR_clear_error();
    return absl::InvalidArgumentError(absl::StrCat("certificate request: ", why));
  };
  if (request_pem.size() > kPemBytesMax) return refuse("larger than 16 KiB");
  const Bio bio = ReadingFrom(request_pem);
  const Request request(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  if (request == nullptr) return refuse("not a PEM certificate request");
  Key key(X509_REQ_get_pubkey(request.get()));
  if (key == nullptr) return refuse("holds no usable key");
  if (EVP_PKEY_base_id(key.get()) != EVP_PKEY_EC || EVP_PKEY_bits(key.get()) != 256) {
    return refuse("expected an EC P-256 key");
  }
  if (X509_REQ_verify(request.get(), key.get()) != 1) return refuse("its signature is wrong");
  return key;
}

}  // namespace

const char* RoleHostName(Role role) {
  return role == Role::kHead ? "head.rayx" : "node.rayx";
}

base::StatusOr<SigningRequest> MakeSigningRequest() {
  const Key key(EVP_EC_gen("P-256"));
  const Request request(X509_REQ_new());
  if (key == nullptr || request == nullptr) return Failed("making a key");
  RAYX_RETURN_IF_ERROR(SetName(X509_REQ_get_subject_name(request.get()), "rayx"));
  if (X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) <= 0) {
    return Failed("making a certificate request");
  }
  SigningRequest result;
  RAYX_ASSIGN_OR_RETURN(result.key_pem, KeyToPem(key.get()));
  RAYX_ASSIGN_OR_RETURN(result.request_pem, ToPem("writing a certificate request", [&](BIO* bio) {
                          return PEM_write_bio_X509_REQ(bio, request.get());
                        }));
  return result;
}

base::StatusOr<std::string> CertificateFingerprint(const std::string& certificate_pem) {
  const auto refuse = [] {
    ERR_clear_error();
    return absl::InvalidArgumentError("expected a PEM certificate");
  };
  if (certificate_pem.size() > kPemBytesMax) return refuse();
  const Bio bio = ReadingFrom(certificate_pem);
  const Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return refuse();
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (X509_digest(certificate.get(), EVP_sha256(), digest, &size) != 1) return Failed("digest");
  const absl::string_view bytes(reinterpret_cast<const char*>(digest), size);
  return absl::BytesToHexString(bytes);
}

struct CertificateAuthority::Keys {
  Key key;
  Certificate certificate;
};

CertificateAuthority::CertificateAuthority(std::unique_ptr<Keys> keys, std::string certificate_pem)
    : keys_(std::move(keys)), certificate_pem_(std::move(certificate_pem)) {}
CertificateAuthority::~CertificateAuthority() = default;

base::StatusOr<std::unique_ptr<CertificateAuthority>> CertificateAuthority::Make(
    const std::string& cluster) {
  auto keys = std::make_unique<Keys>();
  keys->key.reset(EVP_EC_gen("P-256"));
  if (keys->key == nullptr) return Failed("making a key");
  RAYX_ASSIGN_OR_RETURN(keys->certificate,
                        NewCertificate(keys->key.get(), absl::StrCat("rayx cluster ", cluster)));
  X509* certificate = keys->certificate.get();
  if (X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) != 1) {
    return Failed("naming the issuer");
  }
  RAYX_RETURN_IF_ERROR(
      AddExtension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  RAYX_RETURN_IF_ERROR(
      AddExtension(certificate, certificate, NID_key_usage, "critical,keyCertSign"));
  if (X509_sign(certificate, keys->key.get(), EVP_sha256()) <= 0) return Failed("signing");
  RAYX_ASSIGN_OR_RETURN(std::string pem, CertificateToPem(certificate));
  return std::unique_ptr<CertificateAuthority>(
      new CertificateAuthority(std::move(keys), std::move(pem)));
}

base::StatusOr<std::string> CertificateAuthority::Sign(const std::string& request_pem, Role role,
                                                       const std::string& ip) const {
  in_addr parsed;
  if (::inet_pton(AF_INET, ip.c_str(), &parsed) != 1) {
    return absl::InvalidArgumentError("certificate request: expected an IPv4 address beside it");
  }
  RAYX_ASSIGN_OR_RETURN(const Key key, PublicKeyOf(request_pem));
  RAYX_ASSIGN_OR_RETURN(const Certificate certificate,
                        NewCertificate(key.get(), RoleHostName(role)));
  X509* issuer = keys_->certificate.get();
  if (X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer)) != 1) {
    return Failed("naming the issuer");
  }
  const std::string names = absl::StrCat("DNS:", RoleHostName(role), ",IP:", ip);
  RAYX_RETURN_IF_ERROR(
      AddExtension(certificate.get(), issuer, NID_basic_constraints, "critical,CA:FALSE"));
  RAYX_RETURN_IF_ERROR(
      AddExtension(certificate.get(), issuer, NID_key_usage, "critical,digitalSignature"));
  RAYX_RETURN_IF_ERROR(AddExtension(certificate.get(), issuer, NID_ext_key_usage, "serverAuth"));
  RAYX_RETURN_IF_ERROR(AddExtension(certificate.get(), issuer, NID_subject_alt_name, names));
  if (X509_sign(certificate.get(), keys_->key.get(), EVP_sha256()) <= 0) return Failed("signing");
  return CertificateToPem(certificate.get());
}

}  // namespace rayx::rpc
